#include "agent/service/monitor.h"

#include "agent/agent.h"
#include "agent/runtime/runtime.h"
#include "agent/service/monitor_parts.h"
#include "agent/units/timer.h"
#include "agent/units/unit.h"
#include "shared/base/cleanup.h"
#include "shared/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define PROBE_MS        2000  /* a part that takes longer hangs */
#define ROUND_MS        10000 /* between probes of a ready node */
#define ROUND_SLACK_MS  2000
#define ROUND_FIRST_MS  20  /* while the node comes up */
#define ROUND_WAITED_MS 250 /* the most while a caller waits for ready */

enum part {
	PART_SYSTEMD,
	PART_RUNTIME,
	PART_KUBELET,
	PART_DISK,
	PART_MEMORY,
	PART_CLOCK,
	PART_PRELOAD, /* the last: few nodes have it */
	PART_COUNT
};

static const char *const part_names[PART_COUNT] = { "systemd", "runtime", "kubelet", "disk",
						    "memory",  "clock",   "preload" };

struct waiter {
	struct waiter *prev, *next;
	struct monitor *monitor;
	sd_event_source *timer;
	monitor_ready_fn *done;
	void *arg;
};

struct monitor {
	struct agent *agent;
	sd_event_source *timer;
	struct part_health parts[PART_COUNT];
	struct node_health health;
	char runtime_name[64];
	char runtime_version[64];
	bool system_up;
	bool runtime_up;
	bool is_busy[PART_COUNT]; /* a probe is under way */
	unsigned awaited;         /* how many are */
	int64_t unready_since_ms;
	int64_t runtime_asked_us;
	int64_t local_at_ms; /* last look at disk, memory, clock */
	struct clock_watch watch;
	struct waiter *waiters;
	bool is_closed;
};

/* --- waiters ---------------------------------------------------------------------------------- */

static void waiter_end(struct waiter *w, const struct err *err)
{
	monitor_ready_fn *done = w->done;
	void *arg = w->arg;

	DL_DELETE(w->monitor->waiters, w);
	timer_stop(&w->timer);
	free(w);
	done(arg, err);
}

static void name_what_is_missing(const struct monitor *m, struct err *ret)
{
	static const char *const unknown = "not probed yet";
	const struct part_health *system = &m->parts[PART_SYSTEMD];
	const struct part_health *runtime = &m->parts[PART_RUNTIME];
	const struct part_health *preload = &m->parts[PART_PRELOAD];
	char missing[400];
	int len = 0;

	if (preload->state == PART_STATE_FAILED) {
		err_set(ret, ERR_RESOURCE_EXHAUSTED, 0, "%s", preload->message);
		err_explain(ret, "NO_SPACE",
			    "free disk space where the engine keeps its volumes, or preload less");
		return;
	}

	if (!m->system_up)
		len = snprintf(missing, sizeof(missing), "systemd: %s",
			       *system->message ? system->message : unknown);
	if (!m->runtime_up)
		snprintf(missing + len, sizeof(missing) - (size_t)len, "%sruntime: %s",
			 len ? "; " : "", *runtime->message ? runtime->message : unknown);
	if (preload->state == PART_STATE_DEGRADED)
		err_set(ret, ERR_DEADLINE_EXCEEDED, 0, "the node is not ready: %s; %s",
			preload->message, missing);
	else
		err_set(ret, ERR_DEADLINE_EXCEEDED, 0, "the node is not ready: %s", missing);
	err_explain(ret, "NODE_NOT_READY", NULL);
}

static int on_waiter_timer(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct waiter *w = arg;
	struct err err;

	(void)timer;
	(void)usec;
	if (w->monitor->health.ready) {
		waiter_end(w, NULL);
		return 0;
	}
	name_what_is_missing(w->monitor, &err);
	waiter_end(w, &err);
	return 0;
}

static void wake_waiters(struct monitor *m, const struct err *err)
{
	while (m->waiters)
		waiter_end(m->waiters, err);
}

/* --- what the probes say ---------------------------------------------------------------------- */

static void schedule(struct monitor *m, int64_t in_ms)
{
	timer_move(m->timer, deadline_in_ms(in_ms));
}

static void probe_preload(struct monitor *m)
{
	bool given = part_probe_preload(&m->parts[PART_PRELOAD], m->agent->config.preload_state);
	struct err err;

	m->health.count = given ? PART_COUNT : PART_PRELOAD;
	if (m->parts[PART_PRELOAD].state != PART_STATE_FAILED || !m->waiters)
		return;
	name_what_is_missing(m, &err);
	wake_waiters(m, &err);
}

/* Looked at once more before the node is called ready: what came later than the last look must not be
 * missed. */
static bool has_preload(struct monitor *m)
{
	if (!m->health.ready)
		probe_preload(m);
	return m->parts[PART_PRELOAD].state != PART_STATE_FAILED;
}

static void judge_ready(struct monitor *m)
{
	bool was_ready = m->health.ready;

	m->health.ready = m->system_up && m->runtime_up && has_preload(m);
	if (was_ready == m->health.ready)
		return;
	if (was_ready) {
		m->unready_since_ms = clock_now_ms();
		schedule(m, ROUND_FIRST_MS);
		return;
	}
	/* What was looked at while the node came up is out of date now. */
	m->local_at_ms = 0;
	schedule(m, 0);
	wake_waiters(m, NULL);
}

static void judge_health(struct monitor *m)
{
	m->health.healthy = true;
	for (size_t i = 0; i < PART_COUNT; i++) {
		if (m->parts[i].state == PART_STATE_FAILED)
			m->health.healthy = false;
	}
	judge_ready(m);
}

static void monitor_leave(struct monitor *m)
{
	if (m->is_closed && m->awaited == 0)
		free(m);
}

static void probe_starts(struct monitor *m, enum part part)
{
	m->is_busy[part] = true;
	m->awaited++;
}

/* True when the monitor is still there to be told. */
static bool probe_ends(struct monitor *m, enum part part)
{
	m->is_busy[part] = false;
	m->awaited--;
	if (!m->is_closed)
		return true;
	monitor_leave(m);
	return false;
}

static void on_system_state(void *arg, const char *state, const struct err *err)
{
	struct monitor *m = arg;

	if (!probe_ends(m, PART_SYSTEMD))
		return;
	m->system_up = !err && system_is_up(state);
	if (err)
		part_set_error(&m->parts[PART_SYSTEMD], err);
	else
		part_judge_systemd(&m->parts[PART_SYSTEMD], state);
	judge_health(m);
}

static void on_kubelet(void *arg, const struct unit_status *list, size_t count,
		       const struct err *err)
{
	struct monitor *m = arg;

	if (!probe_ends(m, PART_KUBELET))
		return;
	if (err)
		part_set_error(&m->parts[PART_KUBELET], err);
	else if (count)
		part_judge_kubelet(&m->parts[PART_KUBELET], &list[0]);
	judge_health(m);
}

static void on_runtime(void *arg, const struct runtime_info *info, const struct err *err)
{
	struct monitor *m = arg;

	if (!probe_ends(m, PART_RUNTIME))
		return;
	m->runtime_up = !err && info->runtime_ready;
	if (err) {
		part_set_error(&m->parts[PART_RUNTIME], err);
	} else {
		part_judge_runtime(&m->parts[PART_RUNTIME], info);
		m->health.runtime_us = clock_now_us() - m->runtime_asked_us;
		utf8_copy(m->runtime_name, sizeof(m->runtime_name),
			  m->parts[PART_RUNTIME].state == PART_STATE_ABSENT ? "" : info->name);
		utf8_copy(m->runtime_version, sizeof(m->runtime_version), info->version);
	}
	judge_health(m);
}

/* --- rounds ----------------------------------------------------------------------------------- */

static void probe_local(struct monitor *m)
{
	int64_t now_ms = clock_now_ms();

	if (m->local_at_ms && now_ms - m->local_at_ms < ROUND_MS - ROUND_SLACK_MS)
		return;
	m->local_at_ms = now_ms;
	part_probe_disk(&m->parts[PART_DISK], "/var");
	part_probe_memory(&m->parts[PART_MEMORY], "/proc/meminfo");
	part_probe_clock(&m->parts[PART_CLOCK], &m->watch);
	probe_preload(m);
}

static void probe_others(struct monitor *m)
{
	static const char *const kubelet = "kubelet.service";
	struct deadline by = deadline_in_ms(PROBE_MS);

	if (!m->is_busy[PART_SYSTEMD]) {
		probe_starts(m, PART_SYSTEMD);
		units_system_state(m->agent->units, by, on_system_state, m);
	}
	if (!m->is_busy[PART_KUBELET]) {
		probe_starts(m, PART_KUBELET);
		units_status(m->agent->units, &kubelet, 1, by, on_kubelet, m);
	}
	if (!m->is_busy[PART_RUNTIME]) {
		probe_starts(m, PART_RUNTIME);
		m->runtime_asked_us = clock_now_us();
		runtime_get_info(m->agent->runtime, by, on_runtime, m);
	}
}

/* Often at first, then in steps of a twentieth of the time already spent: a node that never gets
 * ready does not keep a processor awake. */
static int64_t next_round_ms(const struct monitor *m)
{
	int64_t most = m->waiters ? ROUND_WAITED_MS : ROUND_MS;
	int64_t ms = (clock_now_ms() - m->unready_since_ms) / 20;

	if (m->health.ready)
		return ROUND_MS;
	if (ms < ROUND_FIRST_MS)
		return ROUND_FIRST_MS;
	return ms < most ? ms : most;
}

static int on_round(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct monitor *m = arg;

	(void)usec;
	sd_event_source_set_time_accuracy(timer, m->health.ready ? ROUND_SLACK_MS * 1000 : 1000);
	schedule(m, next_round_ms(m));
	probe_local(m);
	if (!m->health.ready)
		probe_preload(m);
	probe_others(m);
	judge_health(m);
	return 0;
}

/* --- for callers ------------------------------------------------------------------------------ */

int monitor_open(struct agent *agent, struct monitor **ret_monitor, struct err *err)
{
	cleanup_free struct monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_oom(err);
	m->agent = agent;
	m->unready_since_ms = clock_now_ms();
	m->health = (struct node_health){
		.healthy = true,
		.parts = m->parts,
		.count = PART_PRELOAD,
		.runtime_name = m->runtime_name,
		.runtime_version = m->runtime_version,
	};
	for (size_t i = 0; i < PART_COUNT; i++)
		m->parts[i].name = part_names[i];
	r = timer_start(agent->loop, deadline_in_ms(0), on_round, m, &m->timer);
	if (r < 0)
		return err_set(err, ERR_INTERNAL, -r, "health: cannot make a timer");
	*ret_monitor = TAKE(m);
	return 0;
}

void monitor_close(struct monitor *m)
{
	struct err err;

	if (!m)
		return;
	timer_stop(&m->timer);
	err_set(&err, ERR_CANCELLED, 0, "the agent is stopping");
	wake_waiters(m, &err);
	m->is_closed = true;
	monitor_leave(m);
}

const struct node_health *monitor_get(struct monitor *m)
{
	return &m->health;
}

void monitor_wait_ready(struct monitor *m, struct deadline by, monitor_ready_fn *done, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));
	struct err err;

	if (m->health.ready || m->parts[PART_PRELOAD].state == PART_STATE_FAILED)
		by = deadline_in_ms(0);
	if (!w || timer_start(m->agent->loop, by, on_waiter_timer, w, &w->timer) < 0) {
		free(w);
		err_oom(&err);
		done(arg, &err);
		return;
	}
	w->monitor = m;
	w->done = done;
	w->arg = arg;
	DL_APPEND(m->waiters, w);
	if (!m->health.ready)
		schedule(m, 0);
}
