#include "controller/cluster/subnet.h"

#include "shared/base/parse.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CANDIDATE 0xc0a83100u /* 192.168.49.0 */
#define CANDIDATE_STEP  9
#define CANDIDATES      20
#define CANDIDATE_BITS  24

static uint32_t mask_of(int bits)
{
	return bits == 0 ? 0 : 0xffffffffu << (32 - bits);
}

static bool address_parse(const char *s, uint32_t *ret)
{
	struct in_addr address;

	if (inet_pton(AF_INET, s, &address) != 1)
		return false;
	*ret = ntohl(address.s_addr);
	return true;
}

bool subnet_parse(const char *cidr, struct subnet *ret)
{
	const char *slash = strchr(cidr, '/');
	char address[INET_ADDRSTRLEN];
	struct subnet subnet;
	int64_t bits;

	if (!slash || (size_t)(slash - cidr) >= sizeof(address))
		return false;
	memcpy(address, cidr, (size_t)(slash - cidr));
	address[slash - cidr] = '\0';
	if (!address_parse(address, &subnet.base) || !parse_int(slash + 1, 0, 32, &bits))
		return false;
	subnet.bits = (int)bits;
	subnet.base &= mask_of(subnet.bits);
	*ret = subnet;
	return true;
}

bool subnet_overlaps(struct subnet a, struct subnet b)
{
	uint32_t mask = mask_of(a.bits < b.bits ? a.bits : b.bits);

	return (a.base & mask) == (b.base & mask);
}

bool subnet_contains(struct subnet subnet, const char *address)
{
	uint32_t value;

	return address_parse(address, &value) && (value & mask_of(subnet.bits)) == subnet.base;
}

static void to_text(uint32_t address, char *ret, size_t size)
{
	struct in_addr in = { .s_addr = htonl(address) };
	char text[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &in, text, sizeof(text));
	snprintf(ret, size, "%s", text);
}

static bool overlaps_text(struct subnet candidate, const char *cidr)
{
	struct subnet other;

	return subnet_parse(cidr, &other) && subnet_overlaps(candidate, other);
}

static bool is_free(const struct cluster_found *found, struct subnet candidate)
{
	for (size_t i = 0; i < found->networks.count; i++) {
		if (overlaps_text(candidate, found->networks.items[i].subnet))
			return false;
	}
	for (size_t i = 0; i < found->bad_subnets.count; i++) {
		if (overlaps_text(candidate, found->bad_subnets.items[i]))
			return false;
	}
	for (size_t i = 0; i < found->host_addresses.count; i++) {
		if (subnet_contains(candidate, found->host_addresses.items[i]))
			return false;
	}
	return true;
}

int subnet_choose(const struct cluster_found *found, char *ret_cidr, size_t size, struct err *err)
{
	for (uint32_t i = 0; i < CANDIDATES; i++) {
		struct subnet candidate = { FIRST_CANDIDATE + (i * CANDIDATE_STEP << 8),
					    CANDIDATE_BITS };
		char base[INET_ADDRSTRLEN];

		if (!is_free(found, candidate))
			continue;
		to_text(candidate.base, base, sizeof(base));
		snprintf(ret_cidr, size, "%s/%d", base, CANDIDATE_BITS);
		return 0;
	}
	err_set(err, ERR_RESOURCE_EXHAUSTED, 0,
		"none of %d subnets from 192.168.49.0/24 on is free", CANDIDATES);
	return err_explain(err, "SUBNETS_EXHAUSTED",
			   "delete clusters or networks that are no longer used");
}

bool subnet_node_ip(struct subnet subnet, int index, char *ret_ip, size_t size)
{
	uint32_t hosts = ~mask_of(subnet.bits);

	/* Gateway below, broadcast above. */
	if (index < 1 || (uint32_t)index + 1 >= hosts)
		return false;
	to_text(subnet.base + 1 + (uint32_t)index, ret_ip, size);
	return true;
}
