#pragma once
/*
 * IPv4 subnets for clusters (CN-053 to CN-055, CN-060, CN-080, CN-081). Pure arithmetic.
 */
#include "controller/cluster/cluster.h"

#include <stdint.h>

struct subnet {
	uint32_t base; /* host byte order */
	int bits;
};

/* "192.168.49.0/24"; false for anything else. The base is masked. */
bool subnet_parse(const char *cidr, struct subnet *ret);
bool subnet_overlaps(struct subnet a, struct subnet b);
/* "a.b.c.d" inside? False for what is no IPv4 address. */
bool subnet_contains(struct subnet subnet, const char *address);

/* The first of 192.168.49.0/24, .58, .67 ... that no network of the engine overlaps, that holds no
 * address of this host, and that the engine has not refused; 20 candidates, then
 * ERR_RESOURCE_EXHAUSTED, reason SUBNETS_EXHAUSTED. */
int subnet_choose(const struct cluster_found *found, char *ret_cidr, size_t size, struct err *err);

/* Address of the node with that index: the subnet's first address (the gateway) plus index. False when
 * the subnet is too small. */
bool subnet_node_ip(struct subnet subnet, int index, char *ret_ip, size_t size);
