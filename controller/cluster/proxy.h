#pragma once
/* Proxies of this host, for its nodes (CN-110 to CN-113). */
#include "controller/cluster/cluster.h"

/* HTTP_PROXY, HTTPS_PROXY and NO_PROXY, upper case first, then lower, as 'lookup' (getenv's kind) finds
 * them. A proxy on a loopback address is of no use inside a node and left out, with a warning. False on
 * allocation failure. */
bool proxy_read(const char *(*lookup)(const char *name), struct kv_list *ret_env,
		struct strv *warnings);

/* The same from docker's configuration ("proxies" of $DOCKER_CONFIG/config.json, else
 * ~/.docker/config.json; the entry of the daemon that DOCKER_HOST or the context names, else
 * "default"), unless there is a proxy already (CN-112). What cannot be read says nothing. */
bool proxy_read_docker(const char *(*lookup)(const char *name), struct kv_list *env,
		       struct strv *warnings);

/* One proxy by its upper-case name, unless it is of no use; for those who read them. */
bool proxy_add(const char *name, const char *value, struct kv_list *ret_env, struct strv *warnings);

/* What a node gets, both cases of each, sorted by name: NO_PROXY is completed by the network's subnets
 * ("": none), service and pod subnets, node names and the cluster's domains. Nothing without proxies
 * (CN-111). */
bool proxy_for_nodes(const struct kv_list *env, const char *subnet, const char *subnet6,
		     const struct cluster_config *config, struct kv_list *ret_env);
