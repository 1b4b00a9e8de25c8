#pragma once
/* Inside the front: front.c accepts and keeps limits, session.c carries one TLS connection, http.c answers
 * the other door. */
#include "agent/front/front.h"
#include "agent/front/peers.h"
#include "shared/wire/methods.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#define FLOW_BYTES 16384 /* of a TLS record: nothing is left inside OpenSSL that epoll cannot see */

enum session_state {
	SESSION_SILENT,    /* connected, has said nothing */
	SESSION_HELD,      /* has spoken, waits for its turn to handshake */
	SESSION_HANDSHAKE, /* proves who it is */
	SESSION_CARRY,     /* is whom it says */
	SESSION_ENDING,    /* an alert is on its way: what still comes is thrown away */
};

/* Bytes on their way in one direction. */
struct flow {
	size_t at, len;
	uint8_t bytes[FLOW_BYTES];
};

/* One of the two sockets of a session. */
struct side {
	int fd;
	sd_event_source *source;
	uint32_t events; /* what the source waits for */
};

struct session {
	struct front *front;
	struct session *prev, *next;
	enum session_state state;
	struct peer *peer;
	SSL *ssl;
	struct side client;
	struct side gate;
	struct flow *to_gate; /* both only while carrying */
	struct flow *to_client;
	int64_t active_ms; /* accepted, or last byte seen, or the state's begin */
	int64_t held_until_ms;
};

struct http;

struct front {
	struct front_config config;
	struct front_counters counters;
	sd_event *loop;
	SSL_CTX *context; /* NULL: there are no usable keys */
	struct peers peers;
	sd_event_source *listen_source;
	sd_event_source *timer; /* for the first session that is due, or for the end of all */
	struct session *sessions;
	bool used;                   /* there have been sessions since memory was given back */
	struct http *http;           /* NULL: that door is closed */
	_Atomic int64_t quiet_at_ms; /* when the last connection ended */
};

/* Begins with an accepted socket, which is the session's from here on, also on failure. */
int session_open(struct front *front, int fd, struct peer *peer, struct err *err);
void session_close(struct session *s);
/* When something is to be done about it, monotonic ms; session_due() does it. */
int64_t session_due_ms(const struct session *s);
void session_due(struct session *s);
/* Something may be due sooner than it was: the timer is set to the first. What is due later than it was is
 * found out when the timer fires. */
void front_arm(struct front *front);

/* Serves a listening socket, which is taken, by a thread of its own. */
int http_open(struct front *front, int fd, struct http **ret_http, struct err *err);
void http_close(struct http *http);
/* Connections now. */
unsigned http_connections(const struct http *http);
