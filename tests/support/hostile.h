#pragma once
/*
 * Everybody who should not reach the agent: what they do to a connection, and what they send where a message
 * is expected. Nothing here asserts, so a forked child may use it.
 */
#include <stddef.h>
#include <stdint.h>

#define HOSTILE_ACTS  11
#define HOSTILE_BYTES (32 * 1024)

/* One way to misuse a new connection, by 'kind' modulo HOSTILE_ACTS; the caller closes it. */
void hostile_act(int fd, unsigned kind);

/* Sends what it can. */
void hostile_say(int fd, const void *bytes, size_t len);

/* A message that is garbage, cut off, too deep, too full, or nearly right. Returns its length. '*state' is
 * the random numbers'. */
size_t hostile_message(uint32_t *state, uint8_t bytes[HOSTILE_BYTES]);
uint32_t hostile_random(uint32_t *state);
