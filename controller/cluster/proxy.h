#pragma once
/* Proxies of this host, for its nodes (CN-110 to CN-113). */
#include "controller/cluster/cluster.h"

/* HTTP_PROXY, HTTPS_PROXY and NO_PROXY, upper case first, then lower, as 'lookup' (getenv's kind) finds
 * them. A proxy on a loopback address is of no use inside a node and left out. False on allocation
 * failure. */
bool proxy_read(const char *(*lookup)(const char *name), struct kv_list *ret_env);

/* What a node gets, both cases of each, sorted by name: NO_PROXY is completed by subnet, service and pod
 * subnets, node names and the cluster's domains. Nothing without proxies (CN-111). */
bool proxy_for_nodes(const struct kv_list *env, const char *subnet,
		     const struct cluster_config *config, struct kv_list *ret_env);
