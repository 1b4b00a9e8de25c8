#pragma once
/*
 * One-shot timers of the agent's loop that take a 'struct deadline'.
 */
#include "shared/base/deadline.h"

#include <systemd/sd-event.h>

/* Fires 'fn' once at 'by', at most 1 ms late; DEADLINE_NEVER makes one that waits for timer_move().
 * The caller gives it back with timer_stop(). 0 or a negative errno. */
int timer_start(struct sd_event *loop, struct deadline by, sd_event_time_handler_t fn, void *arg,
		sd_event_source **ret_timer);

/* The same, up to 'slack_ms' late, so that the loop wakes for several timers at once. */
int timer_start_lazy(struct sd_event *loop, struct deadline by, int64_t slack_ms,
		     sd_event_time_handler_t fn, void *arg, sd_event_source **ret_timer);

/* Fires (again) at 'by'. */
void timer_move(sd_event_source *timer, struct deadline by);

/* Gives '*timer' back and leaves NULL; takes NULL. */
void timer_stop(sd_event_source **timer);
