#include "controller/cluster/subnet.h"

#include "shared/base/parse.h"
#include "shared/base/text.h"

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

bool subnet_is_private(struct subnet subnet)
{
	static const struct subnet private[] = {
		{ 0x0a000000, 8 },
		{ 0xac100000, 12 },
		{ 0xc0a80000, 16 },
	};

	for (size_t i = 0; i < ARRAY_LEN(private); i++) {
		if (subnet.bits >= private[i].bits && subnet_overlaps(subnet, private[i]))
			return true;
	}
	return false;
}

/* Class A and B networks are stepped in the second octet, others in the third. */
static uint32_t step_of(uint32_t base)
{
	return base < 0xc0000000u ? CANDIDATE_STEP << 16 : CANDIDATE_STEP << 8;
}

static int exhausted(struct subnet first, struct err *err)
{
	char base[INET_ADDRSTRLEN];

	to_text(first.base, base, sizeof(base));
	err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "none of %d subnets from %s/%d on is free",
		CANDIDATES, base, first.bits);
	return err_explain(err, "SUBNETS_EXHAUSTED",
			   "delete clusters or networks that are no longer used, or choose "
			   "another --subnet");
}

int subnet_choose(const struct cluster_found *found, const char *first, char *ret_cidr, size_t size,
		  struct err *err)
{
	struct subnet start = { FIRST_CANDIDATE, CANDIDATE_BITS }, candidate;

	if (*first && !subnet_parse(first, &start))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is not a subnet", first);
	candidate = start;
	for (int i = 0; i < CANDIDATES; i++, candidate.base += step_of(start.base)) {
		char base[INET_ADDRSTRLEN];

		candidate.base &= mask_of(candidate.bits);
		if (!subnet_is_private(candidate) || !is_free(found, candidate))
			continue;
		to_text(candidate.base, base, sizeof(base));
		snprintf(ret_cidr, size, "%s/%d", base, candidate.bits);
		return 0;
	}
	return exhausted(start, err);
}

bool subnet_node_ip(struct subnet subnet, const char *gateway, int index, char *ret_ip, size_t size)
{
	uint32_t hosts = ~mask_of(subnet.bits), door = subnet.base + 1, address;

	if (subnet_contains(subnet, gateway))
		address_parse(gateway, &door);
	/* Network below, broadcast above, the gateway between. */
	if (index < 1 || (uint32_t)index + 1 >= hosts)
		return false;
	address = subnet.base + (uint32_t)index;
	if (address >= door)
		address++;
	if ((address & 0xff) == 254 && subnet.bits <= 24)
		return false;
	to_text(address, ret_ip, size);
	return true;
}

bool subnet_of_address(const char *address, char *ret_cidr, size_t size)
{
	char base[INET_ADDRSTRLEN];
	uint32_t value;

	if (!address_parse(address, &value))
		return false;
	to_text(value & mask_of(CANDIDATE_BITS), base, sizeof(base));
	snprintf(ret_cidr, size, "%s/%d", base, CANDIDATE_BITS);
	return true;
}

bool subnet_address_is_static(const char *address)
{
	uint32_t value;

	return address_parse(address, &value) && (value & 0xff) >= 2 && (value & 0xff) <= 254 &&
	       subnet_is_private((struct subnet){ value, 32 });
}
