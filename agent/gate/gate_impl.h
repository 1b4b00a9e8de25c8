#pragma once
/* Inside the gate: gate.c accepts and keeps limits, connection.c carries one connection. */
#include "agent/gate/gate.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

/* Length of the SP header that each side of an nng connection begins with. */
#define SP_HEADER_BYTES 8

/* What one step of a relay moves at most: a session's message in one or two. */
#define GATE_STEP_BYTES ((size_t)256 * 1024)
/* What a connection's end leaves of it in memory. */
#define GATE_KEEP_BYTES ((size_t)64 * 1024)

enum connection_state {
	CONNECTION_HEADER,    /* waiting for the client's SP header */
	CONNECTION_NEGOTIATE, /* waiting for nng's; ends only when nng has spoken */
	CONNECTION_RELAY,
};

/* One of the two sockets of a connection. */
struct end {
	int fd; /* -1: none (yet), or given up */
	sd_event_source *source;
	uint32_t events;  /* what the source waits for */
	bool ended;       /* it sends no more */
	uint8_t *pending; /* what it has not taken yet; only under back-pressure */
	size_t pending_len;
	size_t pending_at;
};

/* Messages that have gone by on a stream: a byte, a length in network order, and so many bytes. */
struct frames {
	uint8_t head[9];
	uint8_t head_len;
	uint64_t left; /* of the present one's bytes */
	uint64_t count;
};

struct connection {
	struct gate *gate;
	struct connection *prev, *next;
	enum connection_state state;
	struct end client;
	struct end nng;
	uint8_t header[SP_HEADER_BYTES]; /* of the side that is being read */
	size_t header_len;
	struct frames asked, answered;
	pid_t pid;         /* 0: not of our pid namespace */
	int64_t active_ms; /* monotonic: accepted, or last byte seen */
};

struct gate {
	struct gate_config config;
	struct gate_counters counters;
	char *public_path; /* NULL when the listener was handed in */
	struct sockaddr_un private_address;
	sd_event *loop;
	int listen_fd;
	int reserve_fd; /* given up for a moment when descriptors run out */
	sd_event_source *listen_source;
	sd_event_source *reaper;
	sd_event_source *pause; /* until it fires nobody is accepted */
	struct connection *connections;
	bool bulk;                       /* more than a little of 'buffer' has been used */
	uint8_t buffer[GATE_STEP_BYTES]; /* every relay goes through it */
};

/* Takes over 'fd' and begins; it goes on by itself from the loop. On failure the fd is closed. */
int connection_open(struct gate *gate, int fd, pid_t pid, struct err *err);
/* At once, whatever the state. */
void connection_close(struct connection *c);
/* Monotonic ms at which it has been silent for too long. */
int64_t connection_expires_ms(const struct connection *c);
/* Ends what is silent for too long; a negotiation with nng still runs to its end. */
void connection_expire(struct connection *c);
