/*
 * One step after the other, each within its share of the deadline: a step that hangs costs its share
 * and no more, so that the last step is reached and the report is always given.
 */
#include "agent/pods/quiesce.h"

#include "agent/pods/helper.h"
#include "agent/pods/pods.h"
#include "agent/runtime/runtime.h"
#include "agent/units/processes.h"
#include "agent/units/timer.h"
#include "agent/units/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_GRACE_S  10
#define KUBELET_GRACE_MS 5000
#define LIST_MS          5000
#define MAX_IN_FLIGHT    64

struct quiesce;

/* Stopping one container. */
struct stop_call {
	struct quiesce *q;
	size_t index;
};

struct quiesce {
	struct quiesce_config config;
	char *proc_root;
	struct deadline by;
	int64_t started_ms;
	int64_t step_started_ms;
	struct quiesce_report report;
	size_t next_container;
	size_t in_flight;
	bool killing; /* the second round, with no grace */
	bool closing; /* the agent is: nothing more is begun */
	struct deadline round_by;
	struct err first_err; /* of the running step */
	quiesce_fn *done;
	void *arg;
};

/* --- report --------------------------------------------------------------------------------------- */

static void quiesce_free(struct quiesce *q)
{
	for (size_t i = 0; i < q->report.container_count; i++) {
		free(q->report.containers[i].id);
		free(q->report.containers[i].name);
		free(q->report.containers[i].pod);
		free(q->report.containers[i].namespace);
	}
	free(q->report.containers);
	strv_release(&q->config.namespaces);
	free(q->proc_root);
	free(q);
}

static void step_begin(struct quiesce *q)
{
	q->step_started_ms = clock_now_ms();
	q->first_err = (struct err){ 0 };
}

static void step_end(struct quiesce *q, const char *name, bool ok, const char *detail)
{
	struct quiesce_step *s = &q->report.steps[q->report.step_count++];

	*s = (struct quiesce_step){
		.name = name,
		.ok = ok,
		.millis = (uint32_t)(clock_now_ms() - q->step_started_ms),
	};
	snprintf(s->detail, sizeof(s->detail), "%s", detail);
	q->report.ok &= ok;
}

static void finish(struct quiesce *q)
{
	q->report.millis = (uint32_t)(clock_now_ms() - q->started_ms);
	q->done(q->arg, &q->report);
	quiesce_free(q);
}

/* The share of a step: 'ms' at most, and at most this part of what is left. */
static struct deadline share(const struct quiesce *q, int64_t ms, int64_t percent)
{
	int64_t left_ms = deadline_left_ms(q->by);

	if (left_ms > INT64_MAX / 100)
		return deadline_in_ms(ms);
	return deadline_min(deadline_in_ms(ms), deadline_in_ms(left_ms * percent / 100));
}

/* --- sync: the last step -------------------------------------------------------------------------- */

static void on_synced(void *arg, const struct err *err)
{
	struct quiesce *q = arg;

	step_end(q, "sync", !err, err ? err->msg : "file systems are synced");
	finish(q);
}

/* Who was cancelled must not begin anything more on what is being closed. */
static bool note_closing(struct quiesce *q, const struct err *err)
{
	q->closing |= err && err->code == ERR_CANCELLED;
	return q->closing;
}

static void sync_begin(struct quiesce *q)
{
	static const char *const argv[] = { "sync", NULL };

	if (q->closing) {
		finish(q);
		return;
	}
	step_begin(q);
	if (!helper_start(q->config.loop, argv, q->by, on_synced, q)) {
		step_end(q, "sync", false, "out of memory");
		finish(q);
	}
}

/* --- kube-apiserver ------------------------------------------------------------------------------- */

static void on_apiserver(void *arg, const struct process_result *list, size_t count,
			 const struct err *err)
{
	struct quiesce *q = arg;
	size_t failed = 0;
	char detail[128];

	for (size_t i = 0; i < count; i++)
		failed += strcmp(list[i].result, "failed") == 0;
	if (err)
		step_end(q, "kill-apiserver", false, err->msg);
	else if (count == 0)
		step_end(q, "kill-apiserver", true, "no kube-apiserver is running");
	else {
		snprintf(detail, sizeof(detail), "%zu of %zu processes ended", count - failed,
			 count);
		step_end(q, "kill-apiserver", failed == 0, detail);
	}
	sync_begin(q);
}

static void apiserver_begin(struct quiesce *q)
{
	if (q->closing) {
		finish(q);
		return;
	}
	step_begin(q);
	processes_end(q->config.loop, q->proc_root, "kube-apiserver", 0, share(q, 6000, 60),
		      on_apiserver, q);
}

/* --- containers ----------------------------------------------------------------------------------- */

static void round_begin(struct quiesce *q);
static void stop_more(struct quiesce *q);

static size_t count_result(const struct quiesce *q, const char *result)
{
	size_t n = 0;

	for (size_t i = 0; i < q->report.container_count; i++)
		n += strcmp(q->report.containers[i].result, result) == 0;
	return n;
}

static void round_end(struct quiesce *q)
{
	size_t failed = count_result(q, "failed");
	char detail[256];

	if (!q->killing) {
		snprintf(detail, sizeof(detail), "%zu stopped, %zu left to be killed%s%.160s",
			 count_result(q, "stopped") + count_result(q, "absent"), failed,
			 failed ? ": " : "", failed ? q->first_err.msg : "");
		/* What would not go in peace is no failure yet: the next step sees to it. */
		step_end(q, "stop-containers", true, detail);
		q->killing = true;
		if (q->closing)
			finish(q);
		else
			round_begin(q);
		return;
	}
	snprintf(detail, sizeof(detail), "%zu killed, %zu failed%s%.160s",
		 count_result(q, "killed"), failed, failed ? ": " : "",
		 failed ? q->first_err.msg : "");
	step_end(q, "kill-containers", failed == 0, detail);
	apiserver_begin(q);
}

static void on_stopped(void *arg, const struct err *err)
{
	struct stop_call *call = arg;
	struct quiesce *q = call->q;
	struct quiesce_container *c = &q->report.containers[call->index];

	free(call);
	q->in_flight--;
	note_closing(q, err);
	if (!err)
		c->result = q->killing ? "killed" : "stopped";
	else if (err->code == ERR_NOT_FOUND)
		c->result = "absent";
	else if (!q->first_err.code)
		q->first_err = *err;
	stop_more(q);
}

/* Keeps up to MAX_IN_FLIGHT under way; the round ends when none is left. */
static void stop_more(struct quiesce *q)
{
	while (!q->closing && q->next_container < q->report.container_count &&
	       q->in_flight < MAX_IN_FLIGHT) {
		size_t i = q->next_container++;
		struct stop_call *call;

		if (strcmp(q->report.containers[i].result, "failed") != 0)
			continue;
		call = malloc(sizeof(*call));
		if (!call)
			continue;
		*call = (struct stop_call){ .q = q, .index = i };
		q->in_flight++;
		runtime_stop_container(q->config.runtime, q->report.containers[i].id,
				       q->killing ? 0 : q->config.grace_s, q->round_by, on_stopped,
				       call);
	}
	if (!q->in_flight)
		round_end(q);
}

/* The first round leaves a third of what is left to the steps behind it, the second one half. */
static void round_begin(struct quiesce *q)
{
	step_begin(q);
	q->next_container = 0;
	q->round_by =
		q->killing ? share(q, 10 * 1000, 50) : share(q, (q->config.grace_s + 5) * 1000, 66);
	stop_more(q);
}

/* --- list ----------------------------------------------------------------------------------------- */

static bool is_asked_for(const struct quiesce *q, const struct runtime_container *c)
{
	if (c->state != RUNTIME_RUNNING && c->state != RUNTIME_PAUSED &&
	    c->state != RUNTIME_UNKNOWN)
		return false;
	return q->config.namespaces.count == 0 || strv_has(&q->config.namespaces, c->namespace);
}

static bool take_containers(struct quiesce *q, const struct runtime_container *list, size_t count)
{
	q->report.containers = calloc(count + 1, sizeof(*q->report.containers));
	if (!q->report.containers)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct quiesce_container *c = &q->report.containers[q->report.container_count];

		if (!is_asked_for(q, &list[i]))
			continue;
		q->report.container_count++;
		*c = (struct quiesce_container){
			.id = strdup(list[i].id),
			.name = strdup(list[i].name),
			.pod = strdup(list[i].pod),
			.namespace = strdup(list[i].namespace),
			.result = "failed", /* until it is known better */
		};
		if (!c->id || !c->name || !c->pod || !c->namespace)
			return false;
	}
	return true;
}

static void on_listed(void *arg, const struct runtime_container *list, size_t count,
		      const struct err *err)
{
	struct quiesce *q = arg;
	char detail[64];

	note_closing(q, err);
	if (err) {
		step_end(q, "list-containers", false, err->msg);
	} else if (!take_containers(q, list, count)) {
		q->report.container_count = 0;
		step_end(q, "list-containers", false, "out of memory");
	} else {
		snprintf(detail, sizeof(detail), "%zu containers are running",
			 q->report.container_count);
		step_end(q, "list-containers", true, detail);
	}
	round_begin(q);
}

static void list_begin(struct quiesce *q)
{
	if (q->closing) {
		finish(q);
		return;
	}
	step_begin(q);
	runtime_list_containers(q->config.runtime, NULL, share(q, LIST_MS, 30), on_listed, q);
}

/* --- kubelet -------------------------------------------------------------------------------------- */

static void on_kubelet_forced(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct quiesce *q = arg;

	(void)outcome;
	note_closing(q, err);
	step_end(q, "stop-kubelet", !err, err ? err->msg : "kubelet had to be killed");
	list_begin(q);
}

static void on_kubelet(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	struct quiesce *q = arg;

	if (err && note_closing(q, err)) {
		finish(q);
		return;
	}
	if (err) {
		units_force_stop(q->config.units, "kubelet", 1000, share(q, KUBELET_GRACE_MS, 25),
				 on_kubelet_forced, q);
		return;
	}
	step_end(q, "stop-kubelet", true,
		 strcmp(outcome->job_result, "none") == 0 ? "kubelet is not running"
							  : "kubelet is stopped");
	list_begin(q);
}

/* --- start ---------------------------------------------------------------------------------------- */

static struct quiesce *quiesce_new(const struct quiesce_config *config)
{
	struct quiesce *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->config = *config;
	q->config.namespaces = (struct strv){ 0 };
	strv_add_all(&q->config.namespaces, &config->namespaces);
	q->proc_root = config->proc_root ? strdup(config->proc_root) : NULL;
	if ((q->proc_root || !config->proc_root) && !strv_failed(&q->config.namespaces))
		return q;
	quiesce_free(q);
	return NULL;
}

void quiesce_start(const struct quiesce_config *config, struct deadline by, quiesce_fn *done,
		   void *arg)
{
	struct quiesce *q = quiesce_new(config);
	struct quiesce_report none = { 0 };

	if (!q) {
		none.step_count = 1;
		none.steps[0] =
			(struct quiesce_step){ .name = "pause-pods", .detail = "out of memory" };
		done(arg, &none);
		return;
	}
	if (!q->config.grace_s)
		q->config.grace_s = DEFAULT_GRACE_S;
	q->by = by;
	q->done = done;
	q->arg = arg;
	q->report.ok = true;
	q->started_ms = clock_now_ms();
	step_begin(q);
	if (q->config.pods)
		pods_pause(q->config.pods);
	step_end(q, "pause-pods", true,
		 q->config.pods ? "pod sync is paused until the agent starts again"
				: "there is no pod sync");
	step_begin(q);
	units_act(q->config.units, UNIT_STOP, "kubelet", share(q, KUBELET_GRACE_MS, 25), on_kubelet,
		  q);
}
