#pragma once
/*
 * How many connections and handshakes one address has. Pure but for its memory: the caller says what time
 * it is. An address is an IPv4 address or an IPv6 /64, what one host can choose from.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Addresses that are told apart; past that those without a connection are forgotten, the longest silent
 * first. */
#define PEERS_MAX 256

struct peer {
	uint8_t key[8];
	bool used;
	unsigned sessions;
	unsigned held; /* of the sessions, those that wait for their turn; the caller's to count */
	double tokens; /* handshakes it may begin now */
	int64_t at_ms; /* when tokens were counted */
};

struct peers {
	struct peer items[PEERS_MAX];
	unsigned per_second;
	unsigned burst;
};

/* The caller's storage, zeroed by this. Who has been silent long enough may begin 'burst' handshakes at
 * once, and 'per_second' from then on. */
void peers_init(struct peers *peers, unsigned per_second, unsigned burst);

/* The entry of an address, made when it is new; NULL when all have connections. Lent until its sessions
 * are 0 again. */
struct peer *peers_get(struct peers *peers, const struct sockaddr *address, int64_t now_ms);

/* May it begin a handshake now? Else '*ret_wait_ms' says when to ask again. */
bool peer_take_token(const struct peers *peers, struct peer *peer, int64_t now_ms,
		     int64_t *ret_wait_ms);
