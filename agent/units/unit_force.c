/*
 * Forced stop (NS-028, NS-029): a stop job, so that systemd does not start the unit again; when the
 * grace is over SIGKILL, to the main process first, then to all of the unit's, again and again
 * because a unit may start more on its way down; at last the failed state and the start counter are
 * reset. Nothing is asked of a backend but its ops.
 */
#include "agent/units/op_impl.h"
#include "agent/units/timer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_DEFAULT_MS 5000
#define KILL_WAIT_MS     5000 /* NS-028 (3) */
#define KILL_AGAIN_MS    500
#define STOP_AGAIN_MS    200
#define CLEAN_UP_MS      2000 /* of the caller's time, kept back from the grace */

struct force {
	struct unit_op op;
	char name[256];
	struct deadline by;
	struct deadline stop_by;
	int64_t started_ms;
	sd_event_source *kill_timer;
	sd_event_source *stop_timer;
	struct unit_outcome outcome;
	bool has_before;
	bool main_was_killed;
	unsigned awaited; /* calls of the backend that will still come back here */
	bool is_over;
	unit_action_fn *done;
	void *arg;
};

static void force_leave(struct force *f)
{
	if (f->is_over && f->awaited == 0)
		free(f);
}

/* One 'done', whatever comes first; the storage waits for the backend's calls to come back. */
static void force_finish(struct force *f, const struct unit_outcome *outcome, const struct err *err)
{
	unit_action_fn *done = f->done;
	void *arg = f->arg;

	f->is_over = true;
	unit_op_retire(&f->op);
	timer_stop(&f->kill_timer);
	timer_stop(&f->stop_timer);
	f->awaited++;
	done(arg, outcome, err);
	f->awaited--;
	force_leave(f);
}

static void force_end(struct unit_op *op, const struct err *err)
{
	struct force *f = (struct force *)op;
	struct err late = *err;

	if (err->code == ERR_DEADLINE_EXCEEDED) {
		err_set(&late, ERR_DEADLINE_EXCEEDED, 0, "unit '%s' is not down in time%s", f->name,
			f->outcome.killed ? ", though SIGKILL was sent" : "");
		err_explain(&late, "UNIT_STILL_RUNNING", NULL);
	}
	force_finish(f, NULL, &late);
}

/* A call of the backend came back: true when there is still somebody to care. */
static bool force_returned(struct force *f)
{
	f->awaited--;
	if (!f->is_over)
		return true;
	force_leave(f);
	return false;
}

static void on_after(void *arg, const struct unit_status *list, size_t count, const struct err *err)
{
	struct force *f = arg;
	struct err back;

	if (!force_returned(f))
		return;
	if (err) {
		force_finish(f, NULL, err);
		return;
	}
	if (count)
		f->outcome.after = list[0];
	f->outcome.millis = (uint32_t)(clock_now_ms() - f->started_ms);
	if (strcmp(f->outcome.after.active, "inactive") == 0) {
		force_finish(f, &f->outcome, NULL);
		return;
	}
	err_set(&back, ERR_ABORTED, 0, "unit '%s' is %s again after it was stopped", f->name,
		f->outcome.after.active);
	err_explain(&back, "UNIT_CAME_BACK", "stop what starts it: a socket, timer or other unit");
	force_finish(f, NULL, &back);
}

static void on_reset(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct force *f = arg;
	const char *name = f->name;

	(void)outcome;
	if (!force_returned(f))
		return;
	if (err) {
		force_finish(f, NULL, err);
		return;
	}
	f->awaited++;
	units_status(f->op.units, &name, 1, f->by, on_after, f);
}

static void on_stopped(void *arg, const struct unit_outcome *outcome, const struct err *err);

static void force_send_stop(struct force *f)
{
	struct units *units = f->op.units;

	f->awaited++;
	units->ops->act(units, UNIT_STOP, f->name, f->stop_by, on_stopped, f);
}

static int on_stop_timer(sd_event_source *timer, uint64_t usec, void *arg)
{
	(void)timer;
	(void)usec;
	force_send_stop(arg);
	return 0;
}

/* Somebody else's job replaced ours, PID 1 was executing itself anew, or systemd gave the unit up
 * and left a process: a stop once more is the answer to each. */
static bool is_worth_another_stop(const struct err *err)
{
	return err->code == ERR_ABORTED || err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_FAILED_PRECONDITION;
}

static void on_stopped(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct force *f = arg;
	struct units *units = f->op.units;

	if (!force_returned(f))
		return;
	if (err && is_worth_another_stop(err) && !deadline_is_over(f->stop_by)) {
		timer_move(f->stop_timer, deadline_in_ms(STOP_AGAIN_MS));
		return;
	}
	if (err) {
		force_end(&f->op, err);
		return;
	}
	timer_stop(&f->kill_timer);
	if (!f->has_before)
		f->outcome.before = outcome->before;
	f->has_before = true;
	memcpy(f->outcome.job_result, outcome->job_result, sizeof(outcome->job_result));
	f->awaited++;
	units->ops->reset_failed(units, f->name, f->by, on_reset, f);
}

static void on_killed(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct force *f = arg;

	(void)outcome;
	if (force_returned(f))
		f->outcome.killed |= !err;
}

static int on_kill_timer(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct force *f = arg;
	struct units *units = f->op.units;
	bool main_only = !f->main_was_killed;

	(void)usec;
	f->main_was_killed = true;
	timer_move(timer, deadline_in_ms(KILL_AGAIN_MS));
	f->awaited++;
	units->ops->kill(units, f->name, main_only, SIGKILL, f->stop_by, on_killed, f);
	return 0;
}

/* The unit's own time: what was asked for, less when the caller's deadline would leave none for the
 * killing. */
static int64_t fit_grace(int64_t grace_ms, struct deadline by)
{
	int64_t left = deadline_left_ms(by);
	int64_t most = left / 2;

	if (left - CLEAN_UP_MS > most)
		most = left - CLEAN_UP_MS;
	if (grace_ms <= 0)
		grace_ms = GRACE_DEFAULT_MS;
	return grace_ms < most ? grace_ms : most;
}

static int force_arm(struct force *f, int64_t grace_ms)
{
	struct sd_event *loop = f->op.units->loop;

	grace_ms = fit_grace(grace_ms, f->by);
	f->stop_by = deadline_min(f->by, deadline_in_ms(grace_ms + KILL_WAIT_MS));
	if (timer_start(loop, deadline_in_ms(grace_ms), on_kill_timer, f, &f->kill_timer) < 0)
		return -1;
	return timer_start(loop, DEADLINE_NEVER, on_stop_timer, f, &f->stop_timer);
}

void unit_force_stop(struct units *units, const char *name, int64_t grace_ms, struct deadline by,
		     unit_action_fn *done, void *arg)
{
	struct force *f = unit_op_new(units, sizeof(*f), by, force_end);
	struct err err;

	if (!f) {
		err_oom(&err);
		done(arg, NULL, &err);
		return;
	}
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->by = by;
	f->started_ms = clock_now_ms();
	f->done = done;
	f->arg = arg;
	if (force_arm(f, grace_ms) < 0) {
		err_oom(&err);
		unit_op_refuse(&f->op, &err);
		return;
	}
	force_send_stop(f);
}
