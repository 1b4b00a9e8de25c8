#pragma once
/*
 * systemd's watchdog, fed by complete calls through the public socket (security-faults.md 1.5): what
 * it is told is that a client would be served, not that a timer fires.
 *
 * An nng 1.5.2 listener that has died goes on serving the connections it has (P1), so a ping needs a
 * connection of its own. It costs four times as many wake-ups, though, and a listener that nobody
 * has touched does not die: a ping that follows another with no new connection in between goes over
 * the old one, except for every WATCHDOG_FRESH_EVERYth.
 */
#include "shared/base/err.h"

#include <stdint.h>

struct sd_event;
struct watchdog;

/* Tells whoever wants to know that the agent lives; notify() but in tests. */
typedef void watchdog_alive_fn(void *arg);

#define WATCHDOG_FRESH_EVERY 16

struct watchdog_config {
	const char *socket_path; /* copied */
	int64_t interval_ms;     /* of the one who watches: an answer is due before it is over */
	watchdog_alive_fn *alive;
	/* Connections accepted so far, of all clients; NULL: every ping is a new connection. */
	uint64_t (*accepted)(void *arg);
	void *arg; /* of both */
};

/* Milliseconds between signs of life that systemd asks for, 0: none (sd_watchdog_enabled(3)). */
int64_t watchdog_interval_ms(void);

/* watchdog_alive_fn: tells systemd. */
void watchdog_tell_systemd(void *arg);

int watchdog_open(struct sd_event *loop, const struct watchdog_config *config,
		  struct watchdog **ret_watchdog, struct err *err);
void watchdog_close(struct watchdog *watchdog);
