#include "agent/agent.h"
#include "agent/pods/freeze.h"
#include "agent/service/call.h"
#include "agent/service/metrics.h"
#include "agent/service/monitor.h"
#include "agent/service/node_facts.h"
#include "shared/base/deadline.h"
#include "shared/base/version.h"
#include "shared/wire/wire.h"

#include "node/v1/health.pb-c.h"

#include <stdlib.h>

#define MAX_PARTS 16

/* --- Check and WaitReady ---------------------------------------------------------------------- */

static Berth__Node__V1__PartState wire_state(enum part_state state)
{
	switch (state) {
	case PART_STATE_OK:
		return BERTH__NODE__V1__PART_STATE__PART_OK;
	case PART_STATE_DEGRADED:
		return BERTH__NODE__V1__PART_STATE__PART_DEGRADED;
	case PART_STATE_FAILED:
		return BERTH__NODE__V1__PART_STATE__PART_FAILED;
	case PART_STATE_ABSENT:
		return BERTH__NODE__V1__PART_STATE__PART_ABSENT;
	case PART_STATE_UNKNOWN:
		break;
	}
	return BERTH__NODE__V1__PART_STATE__PART_UNKNOWN;
}

/* Borrows the strings. */
static void wire_part(const struct part_health *part, Berth__Node__V1__HealthPart *ret)
{
	berth__node__v1__health_part__init(ret);
	ret->name = (char *)part->name;
	ret->state = wire_state(part->state);
	ret->message = (char *)part->message;
	if (part->checked_ms)
		ret->age_millis = (uint64_t)(clock_now_ms() - part->checked_ms);
}

static void send_health(const struct node_health *health,
			Berth__Node__V1__HealthReply_Closure reply, void *call)
{
	Berth__Node__V1__HealthReply rep = BERTH__NODE__V1__HEALTH_REPLY__INIT;
	Berth__Node__V1__HealthPart parts[MAX_PARTS];
	Berth__Node__V1__HealthPart *items[MAX_PARTS];

	rep.healthy = health->healthy;
	rep.ready = health->ready;
	rep.paused = freeze_is_on(call_agent(call)->config.private_dir);
	rep.parts = items;
	for (; rep.n_parts < health->count && rep.n_parts < MAX_PARTS; rep.n_parts++) {
		wire_part(&health->parts[rep.n_parts], &parts[rep.n_parts]);
		items[rep.n_parts] = &parts[rep.n_parts];
	}
	reply(&rep, call);
}

static void health_check(Berth__Node__V1__Health_Service *self,
			 const Berth__Node__V1__HealthCheckRequest *req,
			 Berth__Node__V1__HealthReply_Closure reply, void *call)
{
	(void)self;
	(void)req;
	send_health(monitor_get(call_agent(call)->monitor), reply, call);
}

struct ready_call {
	Berth__Node__V1__HealthReply_Closure reply;
	void *call;
};

static void on_ready(void *arg, const struct err *err)
{
	struct ready_call ready = *(struct ready_call *)arg;

	free(arg);
	if (err)
		call_fail(ready.call, err);
	else
		send_health(monitor_get(call_agent(ready.call)->monitor), ready.reply, ready.call);
}

static void health_wait_ready(Berth__Node__V1__Health_Service *self,
			      const Berth__Node__V1__HealthWaitReadyRequest *req,
			      Berth__Node__V1__HealthReply_Closure reply, void *call)
{
	struct ready_call *ready = malloc(sizeof(*ready));
	struct err err;

	(void)self;
	(void)req;
	if (!ready) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	*ready = (struct ready_call){ .reply = reply, .call = call };
	call_park(call);
	monitor_wait_ready(call_agent(call)->monitor, call_deadline(call), on_ready, ready);
}

/* --- Version ---------------------------------------------------------------------------------- */

static void health_version(Berth__Node__V1__Health_Service *self,
			   const Berth__Node__V1__HealthVersionRequest *req,
			   Berth__Node__V1__HealthVersionReply_Closure reply, void *call)
{
	Berth__Node__V1__HealthVersionReply rep = BERTH__NODE__V1__HEALTH_VERSION_REPLY__INIT;
	struct agent *agent = call_agent(call);
	const struct node_health *health = monitor_get(agent->monitor);
	struct node_facts facts;

	(void)self;
	(void)req;
	node_facts_read("", &facts);
	rep.agent = (char *)version_number();
	rep.protocol = WIRE_PROTOCOL;
	rep.node = facts.host_name;
	rep.cluster = (char *)agent->config.cluster;
	rep.os = facts.os;
	rep.kernel = facts.kernel;
	rep.arch = facts.arch;
	rep.boot_id = facts.boot_id;
	rep.agent_uptime_millis = (uint64_t)(clock_now_ms() - agent->started_ms);
	rep.runtime_name = (char *)health->runtime_name;
	rep.runtime_version = (char *)health->runtime_version;
	rep.cgroup_version = facts.cgroup_version;
	rep.init = facts.init;
	reply(&rep, call);
}

/* --- Metrics ---------------------------------------------------------------------------------- */

static void health_metrics(Berth__Node__V1__Health_Service *self,
			   const Berth__Node__V1__HealthMetricsRequest *req,
			   Berth__Node__V1__HealthMetricsReply_Closure reply, void *call)
{
	Berth__Node__V1__HealthMetricsReply rep = BERTH__NODE__V1__HEALTH_METRICS_REPLY__INIT;
	cleanup_with(text) struct text text = { 0 };
	struct agent *agent = call_agent(call);
	struct err err;

	(void)self;
	(void)req;
	metrics_write(agent->metrics, agent, &text);
	if (text_failed(&text)) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	rep.text = (char *)text_str(&text);
	reply(&rep, call);
}

Berth__Node__V1__Health_Service health_service = BERTH__NODE__V1__HEALTH__INIT(health_);
