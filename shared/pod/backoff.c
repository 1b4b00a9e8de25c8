#include "shared/pod/backoff.h"

#include <inttypes.h>
#include <stdio.h>

const struct backoff_limits backoff_default = { .initial_ms = 10 * 1000, .max_ms = 300 * 1000 };

static int64_t ns(int64_t ms)
{
	return ms * 1000000;
}

/* It lived long enough past the last start to be forgiven (PS-172, PS-174). */
static bool is_forgiven(const struct backoff *b, const struct backoff_limits *limits,
			int64_t end_ns)
{
	return end_ns - b->updated_ns > 2 * ns(limits->max_ms);
}

int64_t backoff_left_ms(const struct backoff *b, const struct backoff_limits *limits,
			int64_t finished_ns, int64_t now_ns)
{
	int64_t left_ns;

	if (b->delay_ms == 0 || is_forgiven(b, limits, finished_ns))
		return 0;
	left_ns = finished_ns + ns(b->delay_ms) - now_ns;
	if (left_ns <= 0)
		return 0;
	/* A clock set back must not stretch the delay. */
	if (left_ns > ns(b->delay_ms))
		return b->delay_ms;
	return (left_ns + 999999) / 1000000;
}

void backoff_next(struct backoff *b, const struct backoff_limits *limits, int64_t finished_ns,
		  int64_t now_ns)
{
	if (b->delay_ms == 0 || is_forgiven(b, limits, finished_ns))
		b->delay_ms = limits->initial_ms;
	else if (b->delay_ms > limits->max_ms / 2)
		b->delay_ms = limits->max_ms;
	else
		b->delay_ms *= 2;
	b->updated_ns = now_ns;
}

bool backoff_is_stale(const struct backoff *b, const struct backoff_limits *limits, int64_t now_ns)
{
	return now_ns - b->updated_ns > 2 * ns(limits->max_ms);
}

void backoff_print(int64_t delay_ms, char ret[32])
{
	int64_t seconds = delay_ms / 1000, hours = seconds / 3600, minutes = seconds / 60 % 60;

	if (delay_ms < 1000)
		snprintf(ret, 32, "%" PRId64 "ms", delay_ms);
	else if (hours)
		snprintf(ret, 32, "%" PRId64 "h%" PRId64 "m%" PRId64 "s", hours, minutes,
			 seconds % 60);
	else if (minutes)
		snprintf(ret, 32, "%" PRId64 "m%" PRId64 "s", minutes, seconds % 60);
	else
		snprintf(ret, 32, "%" PRId64 "s", seconds);
}
