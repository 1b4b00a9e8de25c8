#pragma once
/* Pieces of pods that the one-line form (pods.h) has no words for. Everything is malloc'd, as
 * protobuf-c frees it; each is appended to the message it is for. */
#include "k8s/v1/core.pb-c.h"

#include <stdint.h>

void podmake_env(K8s__Core__V1__Container *c, const char *name, const char *value);
/* 'path' as in fieldRef.fieldPath. */
void podmake_env_field(K8s__Core__V1__Container *c, const char *name, const char *path);
/* requests when 'limit' is false. */
void podmake_resource(K8s__Core__V1__Container *c, int limit, const char *key, const char *amount);
void podmake_port(K8s__Core__V1__Container *c, const char *name, int32_t port, int32_t host_port);
/* 'host_path' NULL: an emptyDir. */
void podmake_volume(K8s__Core__V1__PodSpec *spec, const char *name, const char *host_path);
void podmake_mount(K8s__Core__V1__Container *c, const char *volume, const char *path);
void podmake_word(size_t *n, char ***list, const char *word);
void podmake_label(K8s__Core__V1__Pod *pod, const char *key, const char *value);
/* The container's own, made when absent. */
K8s__Core__V1__SecurityContext *podmake_security(K8s__Core__V1__Container *c);
/* Replaces a string member. */
void podmake_text(char **member, const char *text);
