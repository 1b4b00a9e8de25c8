#pragma once
/* Between the files of render. */
#include "shared/pod/render.h"

/* The container's variables in order, expanded (PS-157, PS-242). On failure 'ret' may hold some. */
int render_env(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Container *c,
	       const struct render_node *node, struct kv_list *ret, struct err *err);

/* command or args, each expanded. */
int render_words(char *const *words, size_t count, const struct kv_list *env, struct strv *ret,
		 struct err *err);

/* nameservers, searches, options by dnsPolicy and dnsConfig (PS-230, PS-232). */
int render_dns(const K8s__Core__V1__PodSpec *spec, const struct render_node *node,
	       struct sandbox_request *r, struct err *err);

/* Where each volume of the pod is on the node: NULL for kinds that are not carried out. Caller frees. */
char *render_volume_path(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Volume *v,
			 const struct render_node *node);
