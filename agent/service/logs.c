#include "agent/streams/logs.h"
#include "agent/agent.h"
#include "agent/pods/pods.h"
#include "agent/service/call.h"
#include "agent/streams/child.h"
#include "agent/units/unit.h"
#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include "node/v1/logs.pb-c.h"

#include <inttypes.h>
#include <string.h>

#define UNITS_MAX 64

static void opened(void *call, Berth__Node__V1__StreamOpened_Closure reply, struct stream *s)
{
	Berth__Node__V1__StreamOpened rep = BERTH__NODE__V1__STREAM_OPENED__INIT;

	rep.stream_id.data = (uint8_t *)stream_id(s);
	rep.stream_id.len = STREAM_ID_BYTES;
	reply(&rep, call);
}

/* Without one: everything there is. */
static struct logs_range range_of(const Berth__Node__V1__LogsRange *range)
{
	if (!range)
		return (struct logs_range){ .tail_lines = -1 };
	return (struct logs_range){
		.follow = range->follow,
		.tail_lines = range->tail_lines < 0 ? -1 : range->tail_lines,
		.since_ns = range->since_nanos > 0 ? range->since_nanos : 0,
	};
}

/* --- Journal -------------------------------------------------------------------------------------------- */

static int journal_argv(const Berth__Node__V1__LogsJournalRequest *req, struct strv *argv,
			struct err *err)
{
	struct logs_range range = range_of(req->range);
	char unit[256];

	if (req->n_units > UNITS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "%zu units asked for, %d is the most",
			       req->n_units, UNITS_MAX);
	/* This very program: the one on the disk may be another by now. */
	strv_add(argv, "/proc/self/exe");
	strv_add(argv, "journal");
	strv_addf(argv, "--tail=%" PRId64, range.tail_lines);
	strv_addf(argv, "--since=%" PRId64, range.since_ns);
	if (range.follow)
		strv_add(argv, "--follow");
	for (size_t i = 0; i < req->n_units; i++) {
		if (unit_full_name(req->units[i], unit, err) < 0)
			return -1;
		strv_addf(argv, "--unit=%s", unit);
	}
	return strv_failed(argv) ? err_oom(err) : 0;
}

static void logs_journal(Berth__Node__V1__Logs_Service *self,
			 const Berth__Node__V1__LogsJournalRequest *req,
			 Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	struct child_spec spec = { .kind = "journal", .directory = "/", .helper = true };
	cleanup_with(strv) struct strv argv = { 0 };
	struct stream *s;
	struct err err;

	(void)self;
	if (journal_argv(req, &argv, &err) == 0) {
		spec.argv = (const char *const *)argv.items;
		if (child_stream_open(call_agent(call)->streams, &spec, ROLE_READ, &s, &err) == 0) {
			opened(call, reply, s);
			return;
		}
	}
	call_fail(call, &err);
}

/* --- Container ------------------------------------------------------------------------------------------ */

static void logs_container(Berth__Node__V1__Logs_Service *self,
			   const Berth__Node__V1__LogsContainerRequest *req,
			   Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	const struct agent *agent = call_agent(call);
	const Berth__Node__V1__ContainerTarget *target = req->target;
	struct container_logs_spec spec = {
		.root = agent->config.pod_logs,
		.previous = req->previous,
		.range = range_of(req->range),
		.runtime = agent->runtime,
	};
	struct stream *s;
	struct err err;

	(void)self;
	if (!target) {
		err_set(&err, ERR_INVALID_ARGUMENT, 0, "no pod was named");
		call_fail(call, &err);
		return;
	}
	spec.namespace = target->namespace_[0] ? target->namespace_ : "default";
	spec.pod = target->pod;
	spec.container = target->container;
	spec.uid = pods_uid(agent->pods, spec.namespace, spec.pod);
	if (container_logs_open(agent->streams, agent->loop, &spec, ROLE_READ, &s, &err) < 0)
		call_fail(call, &err);
	else
		opened(call, reply, s);
}

/* --- Dmesg ---------------------------------------------------------------------------------------------- */

static void logs_dmesg(Berth__Node__V1__Logs_Service *self,
		       const Berth__Node__V1__LogsDmesgRequest *req,
		       Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	struct logs_range range = range_of(req->range);
	struct agent *agent = call_agent(call);
	struct stream *s;
	struct err err;

	(void)self;
	if (kmsg_open(agent->streams, agent->loop, "/dev/kmsg", &range, ROLE_READ, &s, &err) < 0)
		call_fail(call, &err);
	else
		opened(call, reply, s);
}

Berth__Node__V1__Logs_Service logs_service = BERTH__NODE__V1__LOGS__INIT(logs_);
