#pragma once
/*
 * Crash-loop back-off (pod-sync.md section 12) and pull back-off (PS-182): arithmetic only. Times are
 * wall-clock nanoseconds since the epoch, handed in.
 */
#include <stdbool.h>
#include <stdint.h>

struct backoff_limits {
	int64_t initial_ms;
	int64_t max_ms;
};

/* 10 s doubling to 300 s (PS-170). */
extern const struct backoff_limits backoff_default;

/* One entry: of a container (key PS-175) or of an image. Zero: never failed. */
struct backoff {
	int64_t delay_ms;
	int64_t updated_ns;
};

/* Milliseconds until a restart is permitted, 0 when it is now. 'finished_ns' is when the newest
 * exited instance ended (PS-171); for images it is backoff.updated_ns (PS-182). */
int64_t backoff_left_ms(const struct backoff *b, const struct backoff_limits *limits,
			int64_t finished_ns, int64_t now_ns);

/* Notes a permitted start (or a failed pull) (PS-173). 'finished_ns' as above. */
void backoff_next(struct backoff *b, const struct backoff_limits *limits, int64_t finished_ns,
		  int64_t now_ns);

/* Idle for more than twice the maximum: may be dropped (PS-177). */
bool backoff_is_stale(const struct backoff *b, const struct backoff_limits *limits, int64_t now_ns);

/* "10s", "1m20s", "5m0s" (PS-176). 'ret' holds 32 bytes. */
void backoff_print(int64_t delay_ms, char ret[32]);
