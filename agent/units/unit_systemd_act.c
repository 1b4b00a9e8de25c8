/*
 * What is done to a unit: start, stop, restart (jobs), kill, reset. One struct goes through
 *
 *	BEFORE (state) -> CALL (method) -> JOB (its end) -> AFTER (state) [-> JOURNAL]
 *
 * and skips what its kind does not need. A job's end is a signal; because signals get lost, the job
 * is also looked up every 2 s (F9).
 */
#include "agent/units/journal.h"
#include "agent/units/systemd_impl.h"
#include "agent/units/timer.h"
#include "shared/base/cleanup.h"

#include <stdio.h>
#include <string.h>

#define POLL_MS    2000
#define JOURNAL_MS 1000

enum kind {
	KIND_START = UNIT_START,
	KIND_STOP = UNIT_STOP,
	KIND_RESTART = UNIT_RESTART,
	KIND_RELOAD = UNIT_RELOAD,
	KIND_KILL,
	KIND_RESET
};

static const struct {
	const char *verb;
	const char *method;
} kinds[] = {
	[KIND_START] = { "start", "StartUnit" },
	[KIND_STOP] = { "stop", "StopUnit" },
	[KIND_RESTART] = { "restart", "RestartUnit" },
	[KIND_RELOAD] = { "reload", "ReloadOrRestartUnit" },
	[KIND_KILL] = { "kill", "KillUnit" },
	[KIND_RESET] = { "reset", "ResetFailedUnit" },
};

enum phase { PHASE_BEFORE, PHASE_CALL, PHASE_JOB, PHASE_AFTER, PHASE_JOURNAL };

struct act {
	struct unit_op op;
	struct bus_user user;
	enum kind kind;
	enum phase phase;
	int signal;
	bool main_only;
	char name[256];
	char what[300]; /* "start unit 'x'", for messages */
	char job[96];
	int64_t started_ms;
	int64_t started_wall_s;
	struct unit_query query;
	struct unit_status status; /* what the query fills */
	sd_bus_slot *slot;         /* of the call, or of the look-up of the job */
	sd_event_source *poll_timer;
	struct journal_tail *journal;
	struct deadline by;
	struct unit_outcome outcome;
	unit_action_fn *done;
	void *arg;
};

static struct systemd *act_systemd(const struct act *act)
{
	return (struct systemd *)act->op.units;
}

/* --- ends ------------------------------------------------------------------------------------- */

static void act_finish(struct act *act, const struct err *err)
{
	query_release(&act->query);
	sd_bus_slot_unref(act->slot);
	timer_stop(&act->poll_timer);
	journal_tail_stop(act->journal);
	bus_remove_user(act_systemd(act), &act->user);
	unit_op_retire(&act->op);
	act->outcome.millis = (uint32_t)(clock_now_ms() - act->started_ms);
	act->done(act->arg, err ? NULL : &act->outcome, err);
	free(act);
}

static void act_end(struct unit_op *op, const struct err *err)
{
	struct act *act = (struct act *)op;
	struct err late = *err;

	if (err->code == ERR_DEADLINE_EXCEEDED) {
		bus_suspect(act_systemd(act));
		err_set(&late, ERR_DEADLINE_EXCEEDED, 0, "systemd: %s: %s", act->what,
			act->phase == PHASE_JOB ? "the job is still running" : "no answer in time");
	}
	act_finish(act, &late);
}

static void act_user_fail(struct bus_user *user, const struct err *err)
{
	unit_op_refuse(&container_of(user, struct act, user)->op, err);
}

static void send_failed(struct act *act, const struct err *err)
{
	if (!bus_will_resume(err))
		unit_op_refuse(&act->op, err);
}

static bool is_state(const struct unit_status *status, const char *active)
{
	return strcmp(status->active, active) == 0;
}

static bool is_down(const struct unit_status *status)
{
	return is_state(status, "inactive") || is_state(status, "failed");
}

static void set_result(struct act *act, const char *result)
{
	snprintf(act->outcome.job_result, sizeof(act->outcome.job_result), "%s", result);
}

/* --- journal ---------------------------------------------------------------------------------- */

static void job_error(const struct act *act, struct err *ret)
{
	const char *result = act->outcome.job_result;
	char advice[sizeof(ret->advice)];

	if (strcmp(result, "canceled") == 0) {
		err_set(ret, ERR_ABORTED, 0, "systemd: %s: another job took its place", act->what);
		err_explain(ret, "UNIT_JOB_CANCELED", NULL);
		return;
	}
	err_set(ret, ERR_FAILED_PRECONDITION, 0, "systemd: %s: job result '%s', unit is %s (%s)",
		act->what, result, act->outcome.after.active, act->outcome.after.sub);
	snprintf(advice, sizeof(advice), "see 'journalctl --unit=%.180s' on the node", act->name);
	err_explain(ret, "UNIT_JOB_FAILED", advice);
}

static void on_journal(void *arg, const char *text)
{
	struct act *act = arg;
	struct err err;
	size_t len;

	act->journal = NULL;
	job_error(act, &err);
	len = strlen(err.msg);
	if (*text && len + 3 < sizeof(err.msg)) {
		memcpy(err.msg + len, ": ", 3);
		journal_flatten(text, err.msg + len + 2, sizeof(err.msg) - len - 2);
	}
	act_finish(act, &err);
}

static void fail_with_journal(struct act *act)
{
	struct deadline by = deadline_min(act->by, deadline_in_ms(JOURNAL_MS));
	struct systemd *s = act_systemd(act);

	act->phase = PHASE_JOURNAL;
	act->journal = journal_tail_start(s->base.loop, s->config->journalctl, act->name,
					  act->started_wall_s, by, on_journal, act);
	if (!act->journal)
		on_journal(act, "");
}

/* --- AFTER ------------------------------------------------------------------------------------ */

/* The job's end was not seen: the unit's state tells. */
static const char *guess_result(const struct act *act)
{
	const struct unit_status *after = &act->outcome.after;

	if (act->kind == KIND_STOP)
		return is_down(after) ? "done" : "canceled";
	return is_down(after) || is_state(after, "deactivating") ? "failed" : "done";
}

static void act_conclude(struct act *act)
{
	const char *result = act->outcome.job_result;
	struct err err;

	act->outcome.after = act->status;
	if (!*result)
		set_result(act, guess_result(act));
	if (strcmp(result, "done") == 0 || strcmp(result, "skipped") == 0 ||
	    strcmp(result, "none") == 0) {
		act_finish(act, NULL);
	} else if (act->kind == KIND_STOP || strcmp(result, "canceled") == 0) {
		job_error(act, &err);
		act_finish(act, &err);
	} else {
		fail_with_journal(act);
	}
}

static void act_query(struct act *act, enum phase phase)
{
	struct err err;

	act->phase = phase;
	if (query_send(&act->query, &err) < 0)
		send_failed(act, &err);
}

/* 'result' "": it is not known. */
static void job_ended(struct act *act, const char *result)
{
	act->slot = sd_bus_slot_unref(act->slot);
	timer_stop(&act->poll_timer);
	set_result(act, result);
	act_query(act, PHASE_AFTER);
}

/* --- JOB -------------------------------------------------------------------------------------- */

static void act_job_removed(struct bus_user *user, const char *job, const char *result)
{
	struct act *act = container_of(user, struct act, user);

	if (act->phase == PHASE_JOB && strcmp(act->job, job) == 0)
		job_ended(act, result);
}

/* The job's object lives as long as the job. */
static int on_job_looked_up(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct act *act = arg;

	(void)error;
	if (bus_is_lost(act_systemd(act), m))
		return 0;
	if (sd_bus_message_is_method_error(m, NULL))
		job_ended(act, "");
	else
		timer_move(act->poll_timer, deadline_in_ms(POLL_MS));
	return 0;
}

static void look_up_job(struct act *act)
{
	struct err err;

	act->slot = sd_bus_slot_unref(act->slot);
	if (bus_get(act_systemd(act), act->job, "org.freedesktop.systemd1.Job", "State",
		    on_job_looked_up, act, &act->slot, &err) < 0)
		send_failed(act, &err);
}

static int on_poll(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct act *act = arg;

	(void)timer;
	(void)usec;
	if (act_systemd(act)->bus)
		look_up_job(act);
	return 0;
}

static void wait_for_job(struct act *act)
{
	const char *result = bus_removed_job(act_systemd(act), act->job);
	struct err err;
	int r;

	act->phase = PHASE_JOB;
	if (result) {
		job_ended(act, result);
		return;
	}
	r = timer_start(act->op.units->loop, deadline_in_ms(POLL_MS), on_poll, act,
			&act->poll_timer);
	if (r < 0) {
		err_set(&err, ERR_INTERNAL, -r, "systemd: cannot make a timer");
		act_finish(act, &err);
	}
}

/* --- CALL ------------------------------------------------------------------------------------- */

/* The unit was unloaded, or has no process: there is nothing to kill or to reset. */
static bool is_nothing_to_do(const struct act *act, const struct err *err)
{
	return act->kind >= KIND_KILL && err->code == ERR_NOT_FOUND;
}

static int on_called(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct act *act = arg;
	const char *job;
	struct err err;

	(void)error;
	if (bus_is_lost(act_systemd(act), m))
		return 0;
	act->slot = sd_bus_slot_unref(act->slot);
	if (sd_bus_message_is_method_error(m, NULL)) {
		bus_error(m, act->what, &err);
		if (!is_nothing_to_do(act, &err)) {
			act_finish(act, &err);
			return 0;
		}
	}
	if (act->kind >= KIND_KILL) {
		act_query(act, PHASE_AFTER);
	} else if (sd_bus_message_read(m, "o", &job) < 0) {
		err_set(&err, ERR_INTERNAL, 0, "systemd: %s: unexpected reply", act->what);
		act_finish(act, &err);
	} else {
		snprintf(act->job, sizeof(act->job), "%s", job);
		wait_for_job(act);
	}
	return 0;
}

static void act_call(struct act *act)
{
	struct systemd *s = act_systemd(act);
	const char *method = kinds[act->kind].method;
	struct err err;
	int r;

	act->phase = PHASE_CALL;
	if (act->kind == KIND_KILL)
		r = bus_call(s, method, on_called, act, &act->slot, &err, "ssi", act->name,
			     act->main_only ? "main" : "all", (int32_t)act->signal);
	else if (act->kind == KIND_RESET)
		r = bus_call(s, method, on_called, act, &act->slot, &err, "s", act->name);
	else
		r = bus_call(s, method, on_called, act, &act->slot, &err, "ss", act->name,
			     "replace");
	if (r < 0)
		send_failed(act, &err);
}

/* --- BEFORE ----------------------------------------------------------------------------------- */

static bool is_absent(const struct unit_status *status)
{
	return strcmp(status->load, "not-found") == 0;
}

/* Down is down unless a job is about to change that. */
static bool needs_no_job(const struct act *act)
{
	const struct unit_status *before = &act->outcome.before;

	if (act->kind == KIND_STOP)
		return !act->query.has_job && (is_absent(before) || is_down(before));
	return act->kind == KIND_RESET && is_absent(before);
}

static void act_decide(struct act *act)
{
	struct err err;

	act->outcome.before = act->status;
	set_result(act, act->kind >= KIND_KILL ? "none" : "");
	if (needs_no_job(act)) {
		act->outcome.after = act->status;
		set_result(act, "none");
		act_finish(act, NULL);
	} else if (is_absent(&act->outcome.before)) {
		err_set(&err, ERR_NOT_FOUND, 0, "systemd: %s: no such unit", act->what);
		act_finish(act, &err);
	} else {
		act_call(act);
	}
}

/* --- all together ----------------------------------------------------------------------------- */

static void act_queried(struct unit_query *query, const struct err *err)
{
	struct act *act = container_of(query, struct act, query);

	if (err)
		act_finish(act, err);
	else if (act->phase == PHASE_BEFORE)
		act_decide(act);
	else
		act_conclude(act);
}

/* Reads are sent again. A call whose reply was lost may have been carried out: only the reset, which
 * may be done twice, is sent again. A job outlives the connection and even PID 1's re-execution. */
static void act_resume(struct bus_user *user)
{
	struct act *act = container_of(user, struct act, user);
	struct err err;

	act->slot = sd_bus_slot_unref(act->slot);
	switch (act->phase) {
	case PHASE_BEFORE:
	case PHASE_AFTER:
		act_query(act, act->phase);
		break;
	case PHASE_CALL:
		if (act->kind == KIND_RESET) {
			act_call(act);
			break;
		}
		err_set(&err, ERR_UNAVAILABLE, 0, "systemd: %s: PID 1 hung up during the call",
			act->what);
		unit_op_refuse(&act->op, &err);
		break;
	case PHASE_JOB:
		look_up_job(act);
		break;
	case PHASE_JOURNAL:
		break;
	}
}

static struct act *act_new(struct units *units, enum kind kind, const char *name,
			   struct deadline by, unit_action_fn *done, void *arg)
{
	struct act *act = unit_op_new(units, sizeof(*act), by, act_end);
	struct err err;

	if (!act) {
		err_oom(&err);
		done(arg, NULL, &err);
		return NULL;
	}
	act->kind = kind;
	act->by = by;
	act->started_ms = clock_now_ms();
	act->started_wall_s = clock_wall_ns() / 1000000000;
	act->done = done;
	act->arg = arg;
	snprintf(act->name, sizeof(act->name), "%s", name);
	snprintf(act->what, sizeof(act->what), "%s unit '%s'", kinds[kind].verb, name);
	snprintf(act->status.name, sizeof(act->status.name), "%s", name);
	act->query = (struct unit_query){
		.systemd = act_systemd(act), .list = &act->status, .count = 1, .done = act_queried
	};
	act->user.resume = act_resume;
	act->user.fail = act_user_fail;
	act->user.job_removed = act_job_removed;
	return act;
}

void systemd_act(struct units *units, enum unit_action action, const char *name, struct deadline by,
		 unit_action_fn *done, void *arg)
{
	struct act *act = act_new(units, (enum kind)action, name, by, done, arg);

	if (act)
		bus_add_user((struct systemd *)units, &act->user);
}

void systemd_kill(struct units *units, const char *name, bool main_only, int signal,
		  struct deadline by, unit_action_fn *done, void *arg)
{
	struct act *act = act_new(units, KIND_KILL, name, by, done, arg);

	if (!act)
		return;
	act->signal = signal;
	act->main_only = main_only;
	bus_add_user((struct systemd *)units, &act->user);
}

void systemd_reset_failed(struct units *units, const char *name, struct deadline by,
			  unit_action_fn *done, void *arg)
{
	struct act *act = act_new(units, KIND_RESET, name, by, done, arg);

	if (act)
		bus_add_user((struct systemd *)units, &act->user);
}
