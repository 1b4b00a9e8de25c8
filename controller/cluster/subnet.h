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

/* Within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16? */
bool subnet_is_private(struct subnet subnet);

/* The first of 'first' ("": 192.168.49.0/24) and its followers that is private, that no network of the
 * engine overlaps, that holds no address of this host, and that the engine has not refused. A follower
 * is 9 higher in the third octet, in the second where the address is of class A or B. 20 candidates,
 * then ERR_RESOURCE_EXHAUSTED, reason SUBNETS_EXHAUSTED. */
int subnet_choose(const struct cluster_found *found, const char *first, char *ret_cidr, size_t size,
		  struct err *err);

/* Address of the node with that index: the index-th of the subnet that is not the gateway's, which is
 * the gateway plus index where the gateway ("": so supposed) stands first. A last octet of 254 is
 * nobody's: it is kept for an address that several control planes share. False when the subnet is too
 * small. */
bool subnet_node_ip(struct subnet subnet, const char *gateway, int index, char *ret_ip,
		    size_t size);

/* "192.168.7.0/24" for "192.168.7.20": the subnet that a static address asks for. */
bool subnet_of_address(const char *address, char *ret_cidr, size_t size);
/* May a user choose it: private IPv4, last octet 2 to 254 (CN-060)? */
bool subnet_address_is_static(const char *address);
