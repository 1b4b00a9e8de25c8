#include "agent/front/peers.h"

#include <netinet/in.h>
#include <string.h>

void peers_init(struct peers *peers, unsigned per_second, unsigned burst)
{
	memset(peers, 0, sizeof(*peers));
	peers->per_second = per_second ? per_second : 1;
	peers->burst = burst ? burst : 1;
}

/* An IPv4 address seen through an IPv6 socket is the same address. */
static void make_key(const struct sockaddr *address, uint8_t key[8])
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)address;

	memset(key, 0, 8);
	if (address->sa_family == AF_INET)
		memcpy(key + 4, &in4->sin_addr, 4);
	else if (address->sa_family != AF_INET6)
		return;
	else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		memcpy(key + 4, in6->sin6_addr.s6_addr + 12, 4);
	else
		memcpy(key, in6->sin6_addr.s6_addr, 8);
}

struct peer *peers_get(struct peers *peers, const struct sockaddr *address, int64_t now_ms)
{
	struct peer *oldest = NULL;
	uint8_t key[8];

	make_key(address, key);
	for (struct peer *p = peers->items; p < peers->items + PEERS_MAX; p++) {
		if (p->used && memcmp(p->key, key, sizeof(key)) == 0)
			return p;
		if (p->used && p->sessions)
			continue;
		if (!oldest || !p->used || (oldest->used && p->at_ms < oldest->at_ms))
			oldest = p;
	}
	if (!oldest)
		return NULL;
	*oldest = (struct peer){ .used = true, .tokens = peers->burst, .at_ms = now_ms };
	memcpy(oldest->key, key, sizeof(key));
	return oldest;
}

bool peer_take_token(const struct peers *peers, struct peer *peer, int64_t now_ms,
		     int64_t *ret_wait_ms)
{
	double rate = peers->per_second;

	peer->tokens += (double)(now_ms - peer->at_ms) * rate / 1000;
	if (peer->tokens > peers->burst)
		peer->tokens = peers->burst;
	peer->at_ms = now_ms;
	if (peer->tokens >= 1) {
		peer->tokens -= 1;
		return true;
	}
	*ret_wait_ms = (int64_t)((1 - peer->tokens) * 1000 / rate) + 1;
	return false;
}
