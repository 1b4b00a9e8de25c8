#include "agent/units/timer.h"

#include <time.h>

static uint64_t deadline_us(struct deadline by)
{
	if (by.at_ms == INT64_MAX)
		return UINT64_MAX;
	return by.at_ms > 0 ? (uint64_t)by.at_ms * 1000 : 1;
}

int timer_start(struct sd_event *loop, struct deadline by, sd_event_time_handler_t fn, void *arg,
		sd_event_source **ret_timer)
{
	return timer_start_lazy(loop, by, 1, fn, arg, ret_timer);
}

int timer_start_lazy(struct sd_event *loop, struct deadline by, int64_t slack_ms,
		     sd_event_time_handler_t fn, void *arg, sd_event_source **ret_timer)
{
	/* 0 would be libsystemd's default of 250 ms. */
	uint64_t accuracy_us = slack_ms > 0 ? (uint64_t)slack_ms * 1000 : 1;

	return sd_event_add_time(loop, ret_timer, CLOCK_MONOTONIC, deadline_us(by), accuracy_us, fn,
				 arg);
}

void timer_move(sd_event_source *timer, struct deadline by)
{
	sd_event_source_set_time(timer, deadline_us(by));
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

void timer_stop(sd_event_source **timer)
{
	*timer = sd_event_source_disable_unref(*timer);
}
