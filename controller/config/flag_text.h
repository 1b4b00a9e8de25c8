#pragma once
/*
 * What a cluster file says in fields, a command line says in one word: published ports, mounts, sizes,
 * as docker and minikube write them. Pure. All fail with ERR_INVALID_ARGUMENT, reason BAD_VALUE, and
 * an advice that shows the form.
 */
#include "controller/config/cluster_config.h"

#include <stdint.h>

/* "[ADDRESS:][HOSTPORT:]PORT[/PROTOCOL]" into a new mapping; an IPv6 address in brackets; no host port,
 * or an empty one: we pick. */
int flag_port_parse(const char *text, struct node_config *node, struct err *err);

/* "HOSTPATH:PATH[:OPTION,...]" into a new mount; options: ro, rw, z, Z, private, rslave, rshared, create.
 * Docker's "type=bind,source=...,target=...[,readonly][,bind-propagation=...]" too. */
int flag_mount_parse(const char *text, struct node_config *node, struct err *err);

/* The path of an archive into a new mount below PRELOAD_DIR, read only, in the order given. */
int flag_preload_parse(const char *text, struct node_config *node, struct err *err);

/* "KEY=VALUE" into the list; a later one of the same key wins. */
int flag_pair_parse(const char *text, struct kv_list *list, struct err *err);

/* "2g", "1800mb", "1.5Gi" in bytes, k, m, g and t being powers of 1024; "0" and "no-limit" are 0. A
 * number alone says too little and is refused. */
int flag_size_parse(const char *text, int64_t *ret_bytes, struct err *err);

/* "2", "0.5" in thousandths; "0" and "no-limit" are 0. */
int flag_cpus_parse(const char *text, int64_t *ret_milli, struct err *err);
