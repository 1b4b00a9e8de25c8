#pragma once
/*
 * The gate: no stranger touches an nng listener (DESIGN.md D4, security-faults.md section 0). The
 * agent owns accept() on its public socket, checks the peer's uid, reads the client's 8-byte SP
 * header against a deadline, connects to nng's private listener, completes that negotiation itself
 * whatever the client does meanwhile, and from there relays bytes both ways.
 */
#include "shared/base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gate;
struct sd_event;

#define GATE_LAG_MAX 256

struct gate_config {
	const char *public_path;  /* unix socket to listen on; replaced if it exists */
	const char *private_path; /* nng's listener */
	int listen_fd;            /* a listening socket to serve instead of public_path, or -1 */
	uid_t peer_uid;           /* who may come in besides our own user; 0: root */
	gid_t peer_gid;           /* who may reach the socket besides its owner; 0: nobody */
	unsigned max_connections; /* further ones are closed at accept */
	unsigned max_per_peer;    /* of one pid */
	int64_t handshake_ms;     /* for the SP header */
	int64_t idle_ms;          /* without a byte either way */
	/* Connections that nng still holds though they are over, of all gates to private_path; may be NULL.
	 * Its reaper is slower than somebody who connects and goes in a hurry, and would be left with
	 * thousands: while there are more than GATE_LAG_MAX, the next ones wait to be accepted. */
	unsigned (*lag)(void *arg);
	void *arg;
};

/* What the gate has seen; for health, metrics and tests. */
struct gate_counters {
	uint64_t accepted;
	uint64_t refused_peer;   /* wrong uid */
	uint64_t refused_limit;  /* too many */
	uint64_t refused_header; /* no or another protocol's header, or too slow */
	uint64_t open;           /* now */
};

/* Fills in Berth's limits (security-faults.md I15), no listen_fd, and leaves the paths alone. */
void gate_config_init(struct gate_config *config);

/* Listens (mode 0600, parent 0700 made if absent; with peer_gid 0660 and 0710, theirs) and serves the loop. Strings are copied; a
 * listen_fd is the gate's from here on, also on failure. ERR_FAILED_PRECONDITION when public_path
 * exists and is no socket; ERR_INVALID_ARGUMENT when a path is too long for sun_path. */
int gate_open(const struct gate_config *config, struct sd_event *loop, struct gate **ret_gate,
	      struct err *err);
/* Ends all connections and removes the socket that gate_open made. NULL is fine. */
void gate_close(struct gate *gate);
void gate_get_counters(const struct gate *gate, struct gate_counters *ret);
