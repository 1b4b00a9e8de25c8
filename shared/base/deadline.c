#include "shared/base/deadline.h"

#include <limits.h>
#include <stddef.h>
#include <time.h>

static int64_t (*source_us)(void);

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
	return source_us ? source_us() : read_us(CLOCK_MONOTONIC);
}

int64_t clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

int64_t clock_wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void clock_set_source(int64_t (*now_us)(void))
{
	source_us = now_us;
}

struct deadline deadline_in_ms(int64_t ms)
{
	int64_t now = clock_now_ms();

	if (ms < 0)
		ms = 0;
	if (ms > INT64_MAX - now)
		return DEADLINE_NEVER;
	return (struct deadline){ .at_ms = now + ms };
}

struct deadline deadline_min(struct deadline a, struct deadline b)
{
	return a.at_ms < b.at_ms ? a : b;
}

int64_t deadline_left_ms(struct deadline by)
{
	int64_t left;

	if (by.at_ms == INT64_MAX)
		return INT64_MAX;
	left = by.at_ms - clock_now_ms();
	return left > 0 ? left : 0;
}

bool deadline_is_over(struct deadline by)
{
	return deadline_left_ms(by) == 0;
}

int deadline_poll_ms(struct deadline by)
{
	int64_t left = deadline_left_ms(by);

	if (left == INT64_MAX)
		return -1;
	return left > INT_MAX ? INT_MAX : (int)left;
}
