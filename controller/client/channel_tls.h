#pragma once
/*
 * To an agent that is published on a port: mutual TLS, one connection of it for each of nng's. The node
 * must show a certificate of the cluster's authority for exactly its own name; ours says the role.
 */
#include "controller/client/bridge.h"

struct tls_target {
	const char *host; /* a numeric address */
	int port;
	const char *name; /* the only name that counts: trust_node_name() */
	const char *dir;  /* ca.crt, <role>.crt, <role>.key; read anew for each connection */
	const char *role; /* "admin", "read" */
};

/* Strings are copied. No I/O yet. Errors come by bridge_failed() and so from the calls: ERR_UNAVAILABLE when
 * nobody answers there; ERR_UNAUTHENTICATED when the node's certificate is not good, reasons TLS_EXPIRED,
 * TLS_NOT_YET_VALID, TLS_WRONG_AUTHORITY, TLS_WRONG_NODE, TLS_WRONG_PURPOSE; ERR_PERMISSION_DENIED when the
 * node does not take ours, TLS_REFUSED_BY_NODE; ERR_RESOURCE_EXHAUSTED when it has no place for one more,
 * TOO_MANY_CONNECTIONS; ERR_FAILED_PRECONDITION otherwise: TLS_NOT_SPOKEN,
 * TLS_TOO_OLD, TLS_KEYS_UNREADABLE, TLS_FAILED. */
int channel_tls_open(const struct tls_target *target, struct bridge **ret_bridge, struct err *err);
