#pragma once
/*
 * IPv6 subnets for clusters (CN-072, CN-074): made of the name, so that everybody derives the same.
 * Pure arithmetic.
 */
#include "controller/cluster/cluster.h"

#include <stdint.h>

/* "fc00:f853:ccd:e793::/64" at most. */
#define SUBNET6_TEXT_MAX 48

/* The unique local subnet of a name: fc00::/8, then bytes 2 to 7 of SHA-1 over the name and the
 * attempt's number (4 bytes, little endian), /64. False only when there is no SHA-1. */
bool subnet6_derive(const char *name, uint32_t attempt, char *ret_cidr, size_t size);

/* The first of attempts 0 to 4 that no network of the engine has and the engine has not refused; then
 * ERR_RESOURCE_EXHAUSTED, reason SUBNETS_EXHAUSTED. */
int subnet6_choose(const char *name, const struct cluster_found *found, char *ret_cidr, size_t size,
		   struct err *err);

/* "fc00::/64" and the like, with or without bits set behind the prefix. */
bool subnet6_is_valid(const char *cidr);
/* Do the two share an address? False for what is no IPv6 subnet. */
bool subnet6_overlaps(const char *a, const char *b);

/* Address of the node with that index: the subnet's first address (the gateway) plus index, in the
 * last 64 bits. False for what is no IPv6 subnet, and when it is too small. */
bool subnet6_node_ip(const char *cidr, int index, char *ret_ip, size_t size);
