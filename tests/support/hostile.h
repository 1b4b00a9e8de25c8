#pragma once
/*
 * Everybody who should not reach the agent: what they do to a connection, and what they send where a message
 * is expected. Nothing here asserts, so a forked child may use it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOSTILE_ACTS  11
#define HOSTILE_BYTES (32 * 1024)

/* One way to misuse a new connection, by 'kind' modulo HOSTILE_ACTS; the caller closes it. */
void hostile_act(int fd, unsigned kind);

/* Sends what it can. */
void hostile_say(int fd, const void *bytes, size_t len);
/* Closing it will be a reset. */
void hostile_reset(int fd);

/* A message that is garbage, cut off, too deep, too full, or nearly right. Returns its length. '*state' is
 * the random numbers'. */
size_t hostile_message(uint32_t *state, uint8_t bytes[HOSTILE_BYTES]);
uint32_t hostile_random(uint32_t *state);

/* How to get where messages are read: a channel. What it needs besides follows in a struct of its own. */
struct hostile_way {
	/* False: turned away, which may go better next time. */
	bool (*open)(struct hostile_way *way);
	/* As write(2) and read(2); they wait. */
	ssize_t (*say)(struct hostile_way *way, const void *bytes, size_t len);
	ssize_t (*hear)(struct hostile_way *way, void *bytes, size_t len);
	void (*close)(struct hostile_way *way);
};

/* The agent's own socket. */
struct hostile_ipc {
	struct hostile_way way;
	const char *socket;
	int fd;
};
struct hostile_ipc hostile_ipc(const char *socket);

/* All of them; false when the way ends first. */
bool hostile_say_all(struct hostile_way *way, const void *bytes, size_t len);
bool hostile_hear_all(struct hostile_way *way, void *bytes, size_t len);
/* Opened, and both SP headers exchanged, however often it takes; false when it cannot be had. */
bool hostile_join(struct hostile_way *way);
/* Joins the agent at 'socket' as often as one peer may, and stays. 0, or 1 when it cannot. */
int hostile_take_places(const char *socket);

/* Sends 'count' messages, a thousand a connection. An answer must come to each, whatever it is. 0, or what
 * did not happen: for the exit code of a process. */
int hostile_write(struct hostile_way *way, unsigned count, uint32_t random);
/* Breaks off at one of several points after the SP headers or before; by 'kind' modulo HOSTILE_BREAKS. 0, or as
 * above. */
#define HOSTILE_BREAKS 6
int hostile_break(struct hostile_way *way, unsigned kind);
