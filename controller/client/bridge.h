#pragma once
/*
 * A local socket that leads elsewhere. nng speaks ipc and nothing else (DESIGN.md D7): for an agent
 * that is reached over TLS or through an engine, nng dials a socket in a private directory of ours, and
 * for each connection the bridge opens one byte pipe to the agent and carries bytes both ways, in a
 * thread of its own. How a pipe is opened is a way's business: bridge_impl.h.
 */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"

#include <stdbool.h>

struct bridge;

/* Ends all connections, removes the socket and its directory. NULL is fine. */
void bridge_close(struct bridge *bridge);
DEFINE_CLEANUP(bridge, struct bridge *, bridge_close)

/* The socket for nng to dial. Borrowed. */
const char *bridge_path(const struct bridge *bridge);
/* The way's name: "tls", "relay". Static. */
const char *bridge_name(const struct bridge *bridge);

/* Whether a connection has failed, before the agent said anything on it, since '*seen' was written last
 * (0 at first). Then '*err' is the reason of the latest one, and '*seen' is brought up to date.
 * ERR_UNAVAILABLE: may go better next time; anything else will not (a wrong certificate). */
bool bridge_failed(struct bridge *bridge, unsigned *seen, struct err *err);
