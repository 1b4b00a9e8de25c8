#include "agent/agent.h"
#include "agent/events/events.h"
#include "agent/pods/freeze.h"
#include "agent/pods/quiesce.h"
#include "agent/service/call.h"
#include "agent/units/unit.h"
#include "shared/base/cleanup.h"

#include "node/v1/lifecycle.pb-c.h"

#include <stdlib.h>

/* What a call keeps until its answer, 'size' bytes for the caller to fill and free, and the namespaces it is
 * about. NULL: no memory, and told. */
static void *begin(void *call, size_t size, char *const *namespaces, size_t count, struct strv *ret)
{
	void *kept = malloc(size);
	struct err err;

	for (size_t i = 0; i < count; i++)
		strv_add(ret, namespaces[i]);
	if (kept && !strv_failed(ret))
		return kept;
	free(kept);
	err_oom(&err);
	call_fail(call, &err);
	return NULL;
}

struct quiesce_call {
	Berth__Node__V1__QuiesceReply_Closure reply;
	void *call;
};

static void wire_step(const struct quiesce_step *s, Berth__Node__V1__QuiesceStep *ret)
{
	berth__node__v1__quiesce_step__init(ret);
	ret->name = (char *)s->name;
	ret->ok = s->ok;
	ret->millis = s->millis;
	ret->detail = (char *)s->detail;
}

static void wire_container(const struct quiesce_container *c,
			   Berth__Node__V1__QuiescedContainer *ret)
{
	berth__node__v1__quiesced_container__init(ret);
	ret->id = c->id;
	ret->result = (char *)c->result;
	ret->name = c->name;
	ret->pod = c->pod;
	ret->namespace_ = c->namespace;
}

/* The node's journal tells what was done to it after the controller is gone. */
static void note(void *call, const struct quiesce_report *report)
{
	events_note(call_agent(call)->events, report->ok ? EVENT_NORMAL : EVENT_WARNING, "node",
		    "node", report->ok ? "Quiesced" : "QuiesceFailed", "%zu containers, %u ms",
		    report->container_count, report->millis);
	for (size_t i = 0; i < report->container_count; i++) {
		const struct quiesce_container *c = &report->containers[i];

		call_note(call, "%s container %s of pod %s/%s", c->result, c->name, c->namespace,
			  c->pod);
	}
	for (size_t i = 0; i < report->step_count; i++) {
		const struct quiesce_step *s = &report->steps[i];

		call_note(call, "%s %s in %u ms: %s", s->name, s->ok ? "ok" : "failed", s->millis,
			  s->detail);
	}
}

static void on_quiesced(void *arg, const struct quiesce_report *report)
{
	Berth__Node__V1__QuiesceReply rep = BERTH__NODE__V1__QUIESCE_REPLY__INIT;
	Berth__Node__V1__QuiesceStep steps[ARRAY_LEN(report->steps)],
		*step_pointers[ARRAY_LEN(steps)];
	size_t count = report->container_count;
	cleanup_free Berth__Node__V1__QuiescedContainer *containers =
		calloc(count + 1, sizeof(*containers));
	cleanup_free Berth__Node__V1__QuiescedContainer **pointers =
		calloc(count + 1, sizeof(*pointers));
	struct quiesce_call *c = arg;
	struct err err;

	note(c->call, report);
	if (!containers || !pointers) {
		err_oom(&err);
		call_fail(c->call, &err);
		free(c);
		return;
	}
	for (size_t i = 0; i < report->step_count; i++) {
		wire_step(&report->steps[i], &steps[i]);
		step_pointers[i] = &steps[i];
	}
	for (size_t i = 0; i < count; i++) {
		wire_container(&report->containers[i], &containers[i]);
		pointers[i] = &containers[i];
	}
	rep.ok = report->ok;
	rep.millis = report->millis;
	rep.n_steps = report->step_count;
	rep.steps = step_pointers;
	rep.n_containers = count;
	rep.containers = pointers;
	c->reply(&rep, c->call);
	free(c);
}

static void lifecycle_quiesce(Berth__Node__V1__Lifecycle_Service *self,
			      const Berth__Node__V1__QuiesceRequest *req,
			      Berth__Node__V1__QuiesceReply_Closure reply, void *call)
{
	const struct agent *agent = call_agent(call);
	cleanup_with(strv) struct strv namespaces = { 0 };
	struct quiesce_call *c =
		begin(call, sizeof(*c), req->namespaces, req->n_namespaces, &namespaces);
	struct quiesce_config config = {
		.loop = agent->loop,
		.units = agent->units,
		.runtime = agent->runtime,
		.pods = agent->pods,
		.proc_root = units_proc_root(agent->units),
		.grace_s = req->grace_seconds,
	};

	(void)self;
	if (!c)
		return;
	*c = (struct quiesce_call){ .reply = reply, .call = call };
	config.namespaces = namespaces;
	events_note(agent->events, EVENT_NORMAL, "node", "node", "Quiescing",
		    "kubelet and containers are being stopped");
	quiesce_start(&config, call_deadline(call), on_quiesced, c);
}

/* --- Pause and Unpause ---------------------------------------------------------------------------- */

struct pause_call {
	Berth__Node__V1__PauseReply_Closure reply;
	void *call;
};

static void note_pause(void *call, const struct freeze_report *report)
{
	for (size_t i = 0; i < report->container_count; i++)
		call_note(call, "%s container %s%s%s", report->containers[i].result,
			  report->containers[i].id, *report->containers[i].message ? ": " : "",
			  report->containers[i].message);
	if (*report->kubelet)
		call_note(call, "kubelet %s", report->kubelet);
}

static void on_frozen(void *arg, const struct freeze_report *report)
{
	Berth__Node__V1__PauseReply rep = BERTH__NODE__V1__PAUSE_REPLY__INIT;
	size_t count = report->container_count;
	cleanup_free Berth__Node__V1__PausedContainer *containers =
		calloc(count + 1, sizeof(*containers));
	cleanup_free Berth__Node__V1__PausedContainer **pointers =
		calloc(count + 1, sizeof(*pointers));
	cleanup_free struct pause_call *c = arg;
	struct err err;

	note_pause(c->call, report);
	if (!containers || !pointers) {
		err_oom(&err);
		call_fail(c->call, &err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		berth__node__v1__paused_container__init(&containers[i]);
		containers[i].id = report->containers[i].id;
		containers[i].result = (char *)report->containers[i].result;
		containers[i].message = (char *)report->containers[i].message;
		pointers[i] = &containers[i];
	}
	rep.ok = report->ok;
	rep.detail = (char *)report->detail;
	rep.paused = report->paused;
	rep.kubelet = (char *)report->kubelet;
	rep.millis = report->millis;
	rep.n_containers = count;
	rep.containers = pointers;
	c->reply(&rep, c->call);
}

typedef void freeze_start_fn(const struct freeze_config *config, struct deadline by,
			     freeze_fn *done, void *arg);

/* A second before the caller gives up, so that what was done can be taken back and told. */
static struct deadline freeze_deadline(void *call)
{
	struct deadline by = call_deadline(call);
	int64_t left_ms = deadline_left_ms(by);

	return (struct deadline){ .at_ms = by.at_ms - (left_ms / 4 < 1000 ? left_ms / 4 : 1000) };
}

static void begin_freeze(freeze_start_fn *start, const Berth__Node__V1__PauseRequest *req,
			 Berth__Node__V1__PauseReply_Closure reply, void *call)
{
	const struct agent *agent = call_agent(call);
	cleanup_with(strv) struct strv namespaces = { 0 };
	struct pause_call *c =
		begin(call, sizeof(*c), req->namespaces, req->n_namespaces, &namespaces);
	struct freeze_config config = {
		.units = agent->units,
		.runtime = agent->runtime,
		.pods = agent->pods,
		.marker_dir = agent->config.private_dir,
	};

	if (!c)
		return;
	*c = (struct pause_call){ .reply = reply, .call = call };
	config.namespaces = namespaces;
	start(&config, freeze_deadline(call), on_frozen, c);
}

static void lifecycle_pause(Berth__Node__V1__Lifecycle_Service *self,
			    const Berth__Node__V1__PauseRequest *req,
			    Berth__Node__V1__PauseReply_Closure reply, void *call)
{
	(void)self;
	begin_freeze(freeze_start, req, reply, call);
}

static void lifecycle_unpause(Berth__Node__V1__Lifecycle_Service *self,
			      const Berth__Node__V1__PauseRequest *req,
			      Berth__Node__V1__PauseReply_Closure reply, void *call)
{
	(void)self;
	begin_freeze(thaw_start, req, reply, call);
}

Berth__Node__V1__Lifecycle_Service lifecycle_service = BERTH__NODE__V1__LIFECYCLE__INIT(lifecycle_);
