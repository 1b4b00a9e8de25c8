#pragma once
/*
 * Time and deadlines. All waiting takes a 'struct deadline', never a bare number. The clock is
 * CLOCK_MONOTONIC; tests put a clock of their own in its place.
 */
#include <stdbool.h>
#include <stdint.h>

/* A point on the monotonic clock. Pass by value. */
struct deadline {
	int64_t at_ms; /* INT64_MAX: never */
};

#define DEADLINE_NEVER ((struct deadline){ .at_ms = INT64_MAX })

/* Monotonic milliseconds and microseconds. */
int64_t clock_now_ms(void);
int64_t clock_now_us(void);

/* Wall-clock nanoseconds since the epoch, for time stamps that people and CRI see. */
int64_t clock_wall_ns(void);

/* Replaces the monotonic clock by 'now_us' (NULL: the real one). For tests. */
void clock_set_source(int64_t (*now_us)(void));

/* 'ms' from now; negative counts as 0. */
struct deadline deadline_in_ms(int64_t ms);

/* The earlier of two. */
struct deadline deadline_min(struct deadline a, struct deadline b);

bool deadline_is_over(struct deadline by);

/* Milliseconds left, at least 0, at most INT64_MAX for DEADLINE_NEVER. */
int64_t deadline_left_ms(struct deadline by);

/* The same as a poll(2) timeout: -1 for never, rounded so that 0 means over. */
int deadline_poll_ms(struct deadline by);
