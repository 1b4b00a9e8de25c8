#pragma once
/*
 * The front: what is heavy or parses strangers' formats, outside the root process (DESIGN.md section 4).
 * It runs as a user of its own without capabilities, started by systemd when somebody connects, and ends
 * by itself when nobody has for a while.
 *
 *	tls   mutual TLS; the client's certificate says its role, and after the handshake bytes are carried
 *	      both ways between it and that role's socket of the agent (S10)
 *	http  /healthz /readyz /metrics, each answered by asking the agent
 */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"

#include <stdint.h>

struct front;
struct sd_event;

/* Strings are borrowed while the front lives. */
struct front_config {
	const char *gate_dir; /* the agent's sockets for us, one a role: /run/berthd-front */
	const char *tls_dir;  /* node.key, node.crt, ca.crt: /run/berthd-front/tls */
	int tls_fd;           /* listening sockets, the front's from here on; -1: none */
	int http_fd;
	unsigned max_sessions; /* further ones push out one that has not proved itself yet */
	unsigned max_per_peer; /* of one address; the same */
	unsigned handshakes_per_second; /* of one address; more have to wait */
	unsigned handshakes_at_once;    /* of one that has been silent for a while */
	int64_t handshake_ms;
	int64_t idle_ms; /* of a session without a byte either way */
	int64_t exit_ms; /* without any connection; 0: never */
};

/* What the front has seen; for tests. */
struct front_counters {
	uint64_t accepted;
	uint64_t refused; /* pushed out, turned away, or its handshake failed */
	uint64_t carried; /* handshakes that went well */
	uint64_t open;    /* now */
};

/* Berth's limits (security-faults.md I15) and usual places, no sockets. */
void front_config_init(struct front_config *config);

/* Serves the loop, which is left (sd_event_exit) when there was nothing to do for exit_ms. Without usable
 * keys TLS connections are closed at once, until front_reload() finds some. Where this process may not open
 * as many files as max_sessions needs, there are fewer sessions. Who finds all places taken by those who
 * have proved themselves gets TLS's alert internal_error. */
int front_open(const struct front_config *config, struct sd_event *loop, struct front **ret_front,
	       struct err *err);
void front_close(struct front *front);
DEFINE_CLEANUP(front, struct front *, front_close)

/* Takes up new keys for connections to come; those that are open go on. On failure the old ones stay. */
int front_reload(struct front *front, struct err *err);

void front_get_counters(const struct front *front, struct front_counters *ret);
