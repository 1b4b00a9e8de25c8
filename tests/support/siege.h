#pragma once
/*
 * Hostile processes at one channel of a real agent, by the ten thousand, while an honest client is served by
 * the same channel. What must not happen fails the test: a process that dies, a call that fails or takes
 * for ever, memory or descriptors that stay taken.
 */
#include "tests/support/agent_process.h"

struct client;

/* One process of them. It never asserts: its exit code is what 'run' returns, 0 when all went as it should. */
struct siege_part {
	const char *what;
	unsigned percent;
	int (*run)(void *arg, unsigned count, unsigned seed);
};

struct siege {
	const char *channel;
	const struct agent_process *agent;
	const struct agent_process *front; /* NULL: there is none on the way */
	const struct siege_part *parts;
	size_t n_parts; /* at most 8 */
	/* Another client of the channel; closed by the siege. */
	struct client *(*open_client)(void *arg);
	/* Takes all places there are, once, and leaves: what is allocated once is allocated then. In a
	 * process of its own, as a part. */
	int (*fill)(void *arg);
	void *arg;
};

/* A hundred thousand of them, fewer under a sanitizer; $BERTH_HOSTILE says another number, a million for a
 * release. Prints what the honest had to wait. */
void siege_run(const struct siege *siege);
