/*
 * A node's units without a node: `berthd serve --units fake`, and tests. A unit's name says how it
 * behaves; nothing else steers it, and time passes by the loop's timers alone.
 *
 *	kubelet, containerd, berthd   active
 *	haproxy                       inactive
 *	slow                          inactive; its jobs take 300 ms
 *	broken                        inactive; its start job fails
 *	stubborn                      active; ignores stop until it is killed
 *	hang                          no call about it is ever answered
 *
 * Every other unit is not found. The system is "running". With BERTH_FAKE_KUBELET=inactive in the
 * environment kubelet is inactive at first: a node whose pods are the agent's. With
 * BERTH_FAKE_EFFECTS=FILE side effects are appended there, and the units are again what it says. With
 * BERTH_FAKE_PROC=DIR the node's processes are those that DIR shows as /proc would; else it has none.
 */
#include "agent/units/fake_log.h"
#include "agent/units/op_impl.h"
#include "agent/units/timer.h"
#include "shared/base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum habit { HABIT_NONE, HABIT_SLOW, HABIT_BROKEN, HABIT_STUBBORN, HABIT_HANG };

#define SLOW_JOB_MS 300

struct fake_unit {
	const char *name;
	const char *description;
	enum habit habit;
	const char *active;
	uint32_t main_pid; /* 0 while inactive */
	uint64_t since_us;
};

static const struct fake_unit known[] = {
	{ "kubelet.service", "kubelet: The Kubernetes Node Agent", HABIT_NONE, "active", 101, 1 },
	{ "containerd.service", "containerd container runtime", HABIT_NONE, "active", 102, 1 },
	{ "berthd.service", "Berth node agent", HABIT_NONE, "active", 103, 1 },
	{ "haproxy.service", "HAProxy Load Balancer", HABIT_NONE, "inactive", 0, 0 },
	{ "slow.service", "Takes its time", HABIT_SLOW, "inactive", 0, 0 },
	{ "broken.service", "Does not start", HABIT_BROKEN, "inactive", 0, 0 },
	{ "stubborn.service", "Does not stop", HABIT_STUBBORN, "active", 104, 1 },
	{ "hang.service", "Does not answer", HABIT_HANG, "active", 105, 1 },
};

struct fake {
	struct units base;
	struct fake_unit units[ARRAY_LEN(known)];
	uint32_t next_pid;
	int log; /* fake_log.h; -1: none */
};

/* One pending call of any kind; 'answer' runs when its time has come. */
struct fake_call {
	struct unit_op op;
	sd_event_source *answer_timer;
	void (*answer)(struct fake_call *call);
	struct fake_unit *unit; /* NULL: not found */
	enum unit_action action;
	int64_t started_ms;
	struct unit_outcome outcome;
	unit_action_fn *done;
	unit_status_fn *status_done;
	unit_system_state_fn *state_done;
	void *arg;
	size_t count;
	struct unit_status list[];
};

static struct fake_unit *find(struct units *units, const char *name)
{
	struct fake *fake = (struct fake *)units;

	for (size_t i = 0; i < ARRAY_LEN(fake->units); i++) {
		if (strcmp(fake->units[i].name, name) == 0)
			return &fake->units[i];
	}
	return NULL;
}

static void set_down(struct fake_unit *unit, const char *active)
{
	unit->active = active;
	unit->main_pid = 0;
}

static void set_up(struct fake *fake, struct fake_unit *unit)
{
	unit->active = "active";
	unit->main_pid = fake->next_pid++;
	unit->since_us = (uint64_t)(clock_wall_ns() / 1000);
}

/* fake_log_each_fn: what a life before this one did. */
static void recall(void *arg, const char *verb, const char *name)
{
	struct fake_unit *unit = find(arg, name);

	if (!unit)
		return;
	if (strcmp(verb, "start") == 0 || strcmp(verb, "restart") == 0)
		set_up(arg, unit);
	else
		set_down(unit, strcmp(verb, "kill") == 0 ? "failed" : "inactive");
}

static int fake_open(struct sd_event *loop, struct units **ret_units, struct err *err)
{
	const char *kubelet = getenv("BERTH_FAKE_KUBELET");
	const char *effects = getenv("BERTH_FAKE_EFFECTS");
	struct fake *fake = calloc(1, sizeof(*fake));

	if (!fake)
		return err_oom(err);
	fake->base.ops = &unit_fake_ops;
	fake->base.loop = loop;
	fake->base.proc_root = getenv("BERTH_FAKE_PROC");
	fake->next_pid = 1000;
	memcpy(fake->units, known, sizeof(known));
	if (kubelet && strcmp(kubelet, "inactive") == 0) {
		fake->units[0].active = "inactive";
		fake->units[0].main_pid = 0;
	}
	fake->log = effects ? fake_log_open(effects, recall, fake) : -1;
	*ret_units = &fake->base;
	return 0;
}

static void fake_close(struct units *units)
{
	struct fake *fake = (struct fake *)units;

	unit_ops_cancel(units);
	if (fake->log >= 0)
		close(fake->log);
	free(fake);
}

static bool is_active(const struct fake_unit *unit)
{
	return strcmp(unit->active, "active") == 0;
}

static const char *sub_state(const struct fake_unit *unit)
{
	if (is_active(unit))
		return "running";
	if (strcmp(unit->active, "deactivating") == 0)
		return "stop-sigterm";
	return strcmp(unit->active, "failed") == 0 ? "failed" : "dead";
}

static void describe(const struct fake_unit *unit, const char *name, struct unit_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	snprintf(ret->load, sizeof(ret->load), "%s", unit ? "loaded" : "not-found");
	snprintf(ret->active, sizeof(ret->active), "%s", unit ? unit->active : "inactive");
	snprintf(ret->sub, sizeof(ret->sub), "%s", unit ? sub_state(unit) : "dead");
	snprintf(ret->enabled, sizeof(ret->enabled), "%s", unit ? "enabled" : "");
	snprintf(ret->description, sizeof(ret->description), "%s", unit ? unit->description : name);
	ret->main_pid = unit ? unit->main_pid : 0;
	ret->since_us = unit ? unit->since_us : 0;
}

static void call_free(struct fake_call *call)
{
	timer_stop(&call->answer_timer);
	unit_op_free(&call->op);
}

static void call_end(struct unit_op *op, const struct err *err)
{
	struct fake_call *call = (struct fake_call *)op;
	struct fake_call was = *call;

	call_free(call);
	if (was.status_done)
		was.status_done(was.arg, NULL, 0, err);
	else if (was.state_done)
		was.state_done(was.arg, NULL, err);
	else
		was.done(was.arg, NULL, err);
}

static int on_answer(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct fake_call *call = arg;

	(void)timer;
	(void)usec;
	call->answer(call);
	return 0;
}

/* Answers 'delay_ms' from now; negative: never, so that the deadline ends it. */
static void answer_in(struct fake_call *call, int64_t delay_ms,
		      void (*answer)(struct fake_call *call))
{
	struct deadline at = delay_ms < 0 ? DEADLINE_NEVER : deadline_in_ms(delay_ms);
	struct err err;

	call->answer = answer;
	if (timer_start(call->op.units->loop, at, on_answer, call, &call->answer_timer) < 0) {
		err_oom(&err);
		unit_op_refuse(&call->op, &err);
	}
}

static void answer_status(struct fake_call *call)
{
	unit_status_fn *done = call->status_done;

	/* The list lives in the call: the caller may read it until 'done' returns. */
	unit_op_retire(&call->op);
	timer_stop(&call->answer_timer);
	done(call->arg, call->list, call->count, NULL);
	free(call);
}

static void fake_status(struct units *units, const char *const *names, size_t count,
			struct deadline by, unit_status_fn *done, void *arg)
{
	size_t size = sizeof(struct fake_call) + count * sizeof(struct unit_status);
	struct fake_call *call = unit_op_new(units, size, by, call_end);
	bool hangs = false;
	struct err err;

	if (!call) {
		err_oom(&err);
		done(arg, NULL, 0, &err);
		return;
	}
	call->status_done = done;
	call->arg = arg;
	call->count = count;
	for (size_t i = 0; i < count; i++) {
		struct fake_unit *unit = find(units, names[i]);

		describe(unit, names[i], &call->list[i]);
		hangs |= unit && unit->habit == HABIT_HANG;
	}
	answer_in(call, hangs ? -1 : 0, answer_status);
}

static void answer_action(struct fake_call *call)
{
	struct fake_call was = *call;

	if (was.unit)
		describe(was.unit, was.unit->name, &was.outcome.after);
	else
		was.outcome.after = was.outcome.before;
	was.outcome.millis = (uint32_t)(clock_now_ms() - was.started_ms);
	call_free(call);
	was.done(was.arg, &was.outcome, NULL);
}

static struct fake_call *new_action(struct units *units, const char *name, struct deadline by,
				    unit_action_fn *done, void *arg)
{
	struct fake_call *call = unit_op_new(units, sizeof(*call), by, call_end);
	struct err err;

	if (!call) {
		err_oom(&err);
		done(arg, NULL, &err);
		return NULL;
	}
	call->unit = find(units, name);
	call->done = done;
	call->arg = arg;
	call->started_ms = clock_now_ms();
	describe(call->unit, name, &call->outcome.before);
	snprintf(call->outcome.job_result, sizeof(call->outcome.job_result), "none");
	return call;
}

static void job_failed(struct fake_call *call)
{
	struct err err;

	set_down(call->unit, "failed");
	err_set(&err, ERR_FAILED_PRECONDITION, 0,
		"fake: start unit '%s': job failed: exec: no such file | Failed with result "
		"'exit-code'.",
		call->unit->name);
	err_explain(&err, "UNIT_JOB_FAILED", NULL);
	call_end(&call->op, &err);
}

static void add_effect(const struct fake_call *call, const char *verb)
{
	const struct fake *fake = (const struct fake *)call->op.units;

	fake_log_add(fake->log, verb, call->unit->name);
}

static void job_done(struct fake_call *call)
{
	static const char *const verbs[] = { [UNIT_START] = "start",
					     [UNIT_STOP] = "stop",
					     [UNIT_RESTART] = "restart",
					     [UNIT_RELOAD] = "reload" };

	add_effect(call, verbs[call->action]);
	if (call->action == UNIT_STOP)
		set_down(call->unit, "inactive");
	else if (call->action != UNIT_RELOAD || !is_active(call->unit))
		set_up((struct fake *)call->op.units, call->unit);
	snprintf(call->outcome.job_result, sizeof(call->outcome.job_result), "done");
	answer_action(call);
}

static void run_job(struct fake_call *call)
{
	struct fake_unit *unit = call->unit;

	if (unit->habit == HABIT_HANG) {
		answer_in(call, -1, job_done);
	} else if (unit->habit == HABIT_BROKEN && call->action != UNIT_STOP) {
		answer_in(call, 0, job_failed);
	} else if (unit->habit == HABIT_STUBBORN && call->action != UNIT_START) {
		unit->active = "deactivating";
		answer_in(call, -1, job_done);
	} else {
		answer_in(call, unit->habit == HABIT_SLOW ? SLOW_JOB_MS : 0, job_done);
	}
}

static bool needs_no_job(const struct fake_unit *unit, enum unit_action action)
{
	if (unit->habit == HABIT_HANG || action == UNIT_RESTART || action == UNIT_RELOAD)
		return false;
	if (action == UNIT_START)
		return is_active(unit);
	return unit->main_pid == 0;
}

static void fake_act(struct units *units, enum unit_action action, const char *name,
		     struct deadline by, unit_action_fn *done, void *arg)
{
	struct fake_call *call = new_action(units, name, by, done, arg);
	struct err err;

	if (!call)
		return;
	call->action = action;
	if (!call->unit && action != UNIT_STOP) {
		err_set(&err, ERR_NOT_FOUND, 0, "fake: no unit '%s'", name);
		unit_op_refuse(&call->op, &err);
	} else if (!call->unit || needs_no_job(call->unit, action)) {
		answer_in(call, 0, answer_action);
	} else {
		run_job(call);
	}
}

/* Lets the stop or restart job that a stubborn unit held up come to its end. */
static void release_jobs(struct units *units, const struct fake_unit *unit)
{
	struct unit_op *op;

	for (op = units->pending; op; op = op->next) {
		struct fake_call *call = (struct fake_call *)op;

		if (op->end == call_end && call->unit == unit && call->answer == job_done)
			timer_move(call->answer_timer, deadline_in_ms(0));
	}
}

static void answer_kill(struct fake_call *call)
{
	struct fake_unit *unit = call->unit;

	add_effect(call, "kill");
	if (unit->habit == HABIT_STUBBORN) {
		set_down(unit, "failed");
		release_jobs(call->op.units, unit);
	} else if (unit->main_pid) {
		set_down(unit, "failed");
	}
	answer_action(call);
}

static void fake_kill(struct units *units, const char *name, bool main_only, int signal,
		      struct deadline by, unit_action_fn *done, void *arg)
{
	struct fake_call *call = new_action(units, name, by, done, arg);
	struct err err;

	(void)main_only;
	if (!call)
		return;
	if (!call->unit) {
		err_set(&err, ERR_NOT_FOUND, 0, "fake: no unit '%s'", name);
		unit_op_refuse(&call->op, &err);
	} else if (call->unit->habit == HABIT_HANG) {
		answer_in(call, -1, answer_kill);
	} else if (call->unit->habit == HABIT_STUBBORN && signal != 9) {
		answer_in(call, 0, answer_action);
	} else {
		answer_in(call, 0, answer_kill);
	}
}

static void answer_reset(struct fake_call *call)
{
	if (call->unit && strcmp(call->unit->active, "failed") == 0)
		call->unit->active = "inactive";
	answer_action(call);
}

static void fake_reset_failed(struct units *units, const char *name, struct deadline by,
			      unit_action_fn *done, void *arg)
{
	struct fake_call *call = new_action(units, name, by, done, arg);
	bool hangs;

	if (!call)
		return;
	hangs = call->unit && call->unit->habit == HABIT_HANG;
	answer_in(call, hangs ? -1 : 0, answer_reset);
}

static void answer_state(struct fake_call *call)
{
	struct fake_call was = *call;

	call_free(call);
	was.state_done(was.arg, "running", NULL);
}

static void fake_system_state(struct units *units, struct deadline by, unit_system_state_fn *done,
			      void *arg)
{
	struct fake_call *call = unit_op_new(units, sizeof(*call), by, call_end);
	struct err err;

	if (!call) {
		err_oom(&err);
		done(arg, NULL, &err);
		return;
	}
	call->state_done = done;
	call->arg = arg;
	answer_in(call, 0, answer_state);
}

const struct unit_ops unit_fake_ops = {
	.name = "fake",
	.open = fake_open,
	.close = fake_close,
	.status = fake_status,
	.act = fake_act,
	.kill = fake_kill,
	.reset_failed = fake_reset_failed,
	.system_state = fake_system_state,
};
