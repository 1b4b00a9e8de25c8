#include "controller/cluster/subnet6.h"

#include "shared/base/parse.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPTS 5
#define ULA_BITS 64

struct subnet6 {
	struct in6_addr base;
	int bits;
};

static bool parse(const char *cidr, struct subnet6 *ret)
{
	const char *slash = strchr(cidr, '/');
	char address[INET6_ADDRSTRLEN];
	int64_t bits;

	if (!slash || (size_t)(slash - cidr) >= sizeof(address))
		return false;
	memcpy(address, cidr, (size_t)(slash - cidr));
	address[slash - cidr] = '\0';
	if (inet_pton(AF_INET6, address, &ret->base) != 1 || !parse_int(slash + 1, 0, 128, &bits))
		return false;
	ret->bits = (int)bits;
	return true;
}

bool subnet6_is_valid(const char *cidr)
{
	struct subnet6 subnet;

	return parse(cidr, &subnet);
}

static bool same_prefix(const struct in6_addr *a, const struct in6_addr *b, int bits)
{
	int bytes = bits / 8, rest = bits % 8;

	if (memcmp(a->s6_addr, b->s6_addr, (size_t)bytes) != 0)
		return false;
	return !rest || (a->s6_addr[bytes] ^ b->s6_addr[bytes]) >> (8 - rest) == 0;
}

bool subnet6_overlaps(const char *a, const char *b)
{
	struct subnet6 x, y;

	if (!parse(a, &x) || !parse(b, &y))
		return false;
	return same_prefix(&x.base, &y.base, x.bits < y.bits ? x.bits : y.bits);
}

bool subnet6_derive(const char *name, uint32_t attempt, char *ret_cidr, size_t size)
{
	const unsigned char number[4] = { (unsigned char)attempt, (unsigned char)(attempt >> 8),
					  (unsigned char)(attempt >> 16),
					  (unsigned char)(attempt >> 24) };
	struct in6_addr base = { .s6_addr = { 0xfc } };
	unsigned char hash[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char text[INET6_ADDRSTRLEN];
	bool ok;

	ok = context && EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 &&
	     EVP_DigestUpdate(context, name, strlen(name)) == 1 &&
	     EVP_DigestUpdate(context, number, sizeof(number)) == 1 &&
	     EVP_DigestFinal_ex(context, hash, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (!ok)
		return false;
	memcpy(base.s6_addr + 2, hash + 2, 6);
	inet_ntop(AF_INET6, &base, text, sizeof(text));
	snprintf(ret_cidr, size, "%s/%d", text, ULA_BITS);
	return true;
}

static bool is_free(const struct cluster_found *found, const char *candidate)
{
	for (size_t i = 0; i < found->networks.count; i++) {
		if (subnet6_overlaps(candidate, found->networks.items[i].subnet6))
			return false;
	}
	for (size_t i = 0; i < found->bad_subnets.count; i++) {
		if (subnet6_overlaps(candidate, found->bad_subnets.items[i]))
			return false;
	}
	return true;
}

int subnet6_choose(const char *name, const struct cluster_found *found, char *ret_cidr, size_t size,
		   struct err *err)
{
	for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
		char candidate[SUBNET6_TEXT_MAX];

		if (!subnet6_derive(name, attempt, candidate, sizeof(candidate)))
			return err_set(err, ERR_INTERNAL, 0, "there is no SHA-1");
		if (!is_free(found, candidate))
			continue;
		snprintf(ret_cidr, size, "%s", candidate);
		return 0;
	}
	err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "none of %d IPv6 subnets for '%s' is free",
		ATTEMPTS, name);
	return err_explain(err, "SUBNETS_EXHAUSTED",
			   "delete clusters or networks that are no longer used");
}

bool subnet6_node_ip(const char *cidr, int index, char *ret_ip, size_t size)
{
	struct subnet6 subnet;
	char text[INET6_ADDRSTRLEN];
	uint32_t host = (uint32_t)index + 1;

	if (index < 1 || !parse(cidr, &subnet) || subnet.bits > 126 ||
	    (subnet.bits > 96 && host >= (uint32_t)1 << (128 - subnet.bits)))
		return false;
	for (int bit = subnet.bits; bit < 128; bit++)
		subnet.base.s6_addr[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
	for (int i = 0; i < 4; i++)
		subnet.base.s6_addr[15 - i] |= (unsigned char)(host >> 8 * i);
	inet_ntop(AF_INET6, &subnet.base, text, sizeof(text));
	snprintf(ret_ip, size, "%s", text);
	return true;
}
