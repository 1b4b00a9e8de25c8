#pragma once
/*
 * Everybody who should not get past the front: what they do to a TCP connection, with their handshakes, and
 * through a sound session. Nothing here asserts, so a forked child may use it.
 */
#include "tests/support/hostile.h"

#include <openssl/ssl.h>

/* Ways to misuse a TCP connection that is at most a ClientHello, by 'kind' modulo HOSTILE_TCP_ACTS; the caller
 * closes it. */
#define HOSTILE_TCP_ACTS 14
void hostile_tcp_act(int fd, unsigned kind);
/* To a port of this machine's loopback, from an address there ("127.0.0.2") or, when it is NULL, the usual one;
 * -1: nobody listens. */
int hostile_tcp_connect(int port, const char *from);

/* Whole handshakes that must fail, each for a reason of its own. */
enum hostile_shake {
	HOSTILE_NO_CERTIFICATE,
	HOSTILE_OWN_CERTIFICATE, /* of an authority of its own making */
	HOSTILE_OLD_TLS,
	HOSTILE_LEAVES, /* after the node's part, before its own */
	HOSTILE_SHAKES,
};
/* True when the node let it in, which it must not. */
bool hostile_shake(int port, enum hostile_shake kind);

/* A sound session of a certificate that the node's cluster has made. */
struct hostile_tls {
	struct hostile_way way;
	const char *from; /* as above */
	int port, fd;
	SSL_CTX *context; /* the maker's */
	SSL *ssl;
};
struct hostile_tls hostile_tls(int port, SSL_CTX *context);
/* With <role>.crt and <role>.key of that directory, believing any node; NULL when they are not good. */
SSL_CTX *hostile_tls_context(const char *keys, const char *role);
