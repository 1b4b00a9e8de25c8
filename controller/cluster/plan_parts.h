#pragma once
/* What the parts of planning a create share. All pure. */
#include "controller/cluster/cluster.h"
#include "controller/cluster/subnet6.h"

/* One planning: what all its nodes share. */
struct planning {
	const struct cluster_ctx *ctx;
	const struct create_options *options;
	const struct cluster_found *found;
	const struct cluster_config *config; /* NULL for one more node */
	struct plan *plan;
	enum ip_family ip_family;
	const struct strv *dns_search; /* NULL: as the host */
	char subnet[32];               /* "" when the nodes get no addresses of ours */
	char subnet6[SUBNET6_TEXT_MAX];
	char gateway[16];    /* of a network that exists; "": the subnet's first address */
	const char *network; /* "" for the engine's own */
	bool new_network;
	int mtu;
	int last_index;
	struct strv addresses; /* given to nodes of this plan */
	struct strv backends;  /* control planes, as a balancer's step names them */
	struct kv_list env;
};

struct node_address {
	char ip[16]; /* "": the engine's choice */
	char ip6[46];
};

/* Which network a new cluster uses, and whether it is to be made (CN-050, CN-051, CN-058). */
int planning_choose_network(struct planning *p, struct err *err);

/* The network that the cluster's nodes are in. */
int planning_find_network(struct planning *p, struct err *err);

/* The next free place in the cluster and its addresses: 'static_ip', else by index (CN-080). Places and
 * addresses that nodes have or the engine has refused are passed over. ERR_RESOURCE_EXHAUSTED, reason
 * SUBNET_FULL; ERR_INVALID_ARGUMENT, reason IP_OUTSIDE_SUBNET; ERR_ALREADY_EXISTS, reason IP_IN_USE. */
int planning_address(struct planning *p, const char *static_ip, int *ret_index,
		     struct node_address *ret, struct err *err);
