/*
 * The handlers of Units, Processes and Health: wire in, wire out. The fake backends are behind them,
 * and a call_stub stands in for the server.
 */
#include "agent/agent.h"
#include "agent/runtime/runtime.h"
#include "agent/service/monitor.h"
#include "agent/service/services.h"
#include "agent/units/unit.h"
#include "shared/base/version.h"
#include "shared/wire/wire.h"
#include "tests/support/call_stub.h"
#include "tests/support/units.h"

#include "node/v1/health.pb-c.h"
#include "node/v1/processes.pb-c.h"
#include "node/v1/units.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
	struct agent agent;
	struct call_stub call;
	char dir[64];
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	make_dir(rig->dir);
	rig->agent.config.cluster = "kind";
	rig->agent.started_ms = clock_now_ms();
	assert_true(sd_event_new(&rig->agent.loop) >= 0);
	assert_int_equal(units_open("fake", rig->agent.loop, &rig->agent.units, &err), 0);
	assert_int_equal(runtime_open("fake", rig->dir, rig->agent.loop, &rig->agent.runtime, &err),
			 0);
	assert_int_equal(monitor_open(&rig->agent, &rig->agent.monitor, &err), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	monitor_close(rig->agent.monitor);
	runtime_close(rig->agent.runtime);
	units_close(rig->agent.units);
	sd_event_unref(rig->agent.loop);
	remove_dir(rig->dir);
	free(rig);
	return 0;
}

static bool is_ended(void *arg)
{
	return ((struct call_stub *)arg)->ends > 0;
}

/* Runs one method as the dispatcher does and waits for its end. */
static void run(struct rig *rig, const char *service, const char *method,
		const ProtobufCMessage *req, int64_t by_ms)
{
	ProtobufCService *found = NULL;
	const ProtobufCMethodDescriptor *m;

	for (size_t i = 0; i < services_count; i++) {
		if (strcmp(services[i]->descriptor->name, service) == 0)
			found = services[i];
	}
	assert_non_null(found);
	m = protobuf_c_service_descriptor_get_method_by_name(found->descriptor, method);
	assert_non_null(m);
	call_stub_init(&rig->call, &rig->agent, by_ms);
	found->invoke(found, (unsigned)(m - found->descriptor->methods), req, call_stub_reply,
		      &rig->call);
	loop_until(rig->agent.loop, is_ended, &rig->call, by_ms + 500);
	assert_int_equal(rig->call.ends, 1);
}

/* The reply as a client would read it; the server's own check must like it. */
static ProtobufCMessage *reply(struct rig *rig, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = NULL;
	struct err err;

	if (rig->call.failed)
		fail_msg("%s", rig->call.err.msg);
	assert_int_equal(wire_unpack(type, rig->call.bytes, rig->call.len, &message, &err), 0);
	return message;
}

static void unit_action(struct rig *rig, const char *method, const char *name, bool force,
			uint32_t grace_ms, int64_t by_ms)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;

	req.name = (char *)name;
	req.force = force;
	req.grace_millis = grace_ms;
	run(rig, "berth.node.v1.Units", method, &req.base, by_ms);
}

static Berth__Node__V1__UnitActionReply *action_reply(struct rig *rig)
{
	return (Berth__Node__V1__UnitActionReply *)reply(
		rig, &berth__node__v1__unit_action_reply__descriptor);
}

/* NS-034, NS-253 */
static void status_of_nothing_is_the_usual_units(void **state)
{
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	Berth__Node__V1__UnitStatusReply *rep;
	struct rig *rig = *state;

	run(rig, "berth.node.v1.Units", "Status", &req.base, 1000);
	rep = (Berth__Node__V1__UnitStatusReply *)reply(
		rig, &berth__node__v1__unit_status_reply__descriptor);
	assert_int_equal(rep->n_units, 6);
	assert_string_equal(rep->units[0]->name, "kubelet.service");
	assert_string_equal(rep->units[0]->active, "active");
	assert_string_equal(rep->units[2]->name, "docker.service");
	assert_string_equal(rep->units[2]->load, "not-found");
	assert_string_equal(rep->units[5]->name, "berthd.service");
	protobuf_c_message_free_unpacked(&rep->base, NULL);
}

static void too_many_names_are_refused(void **state)
{
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	struct rig *rig = *state;
	char *names[257];

	for (size_t i = 0; i < 257; i++)
		names[i] = (char *)"kubelet";
	req.names = names;
	req.n_names = 257;
	run(rig, "berth.node.v1.Units", "Status", &req.base, 1000);
	assert_int_equal(rig->call.err.code, ERR_INVALID_ARGUMENT);
	req.n_names = 256;
	run(rig, "berth.node.v1.Units", "Status", &req.base, 1000);
	assert_false(rig->call.failed);
}

/* NS-252 */
static void stop_and_start_are_translated(void **state)
{
	Berth__Node__V1__UnitActionReply *rep;
	struct rig *rig = *state;

	unit_action(rig, "Stop", "kubelet", false, 0, 1000);
	rep = action_reply(rig);
	assert_string_equal(rep->before->active, "active");
	assert_string_equal(rep->after->active, "inactive");
	assert_string_equal(rep->job_result, "done");
	assert_false(rep->killed);
	protobuf_c_message_free_unpacked(&rep->base, NULL);
	unit_action(rig, "Start", "slow", false, 0, 1000);
	rep = action_reply(rig);
	assert_string_equal(rep->after->active, "active");
	assert_in_range(rep->millis, 299, 900);
	protobuf_c_message_free_unpacked(&rep->base, NULL);
	unit_action(rig, "Restart", "kubelet", false, 0, 1000);
	rep = action_reply(rig);
	assert_string_equal(rep->after->active, "active");
	protobuf_c_message_free_unpacked(&rep->base, NULL);
}

static void forced_stop_goes_its_own_way(void **state)
{
	Berth__Node__V1__UnitActionReply *rep;
	struct rig *rig = *state;

	unit_action(rig, "Stop", "stubborn", true, 50, 2000);
	rep = action_reply(rig);
	assert_true(rep->killed);
	assert_string_equal(rep->after->active, "inactive");
	protobuf_c_message_free_unpacked(&rep->base, NULL);
}

static void force_without_stop_is_refused(void **state)
{
	struct rig *rig = *state;

	unit_action(rig, "Start", "kubelet", true, 0, 1000);
	assert_int_equal(rig->call.err.code, ERR_INVALID_ARGUMENT);
	unit_action(rig, "Restart", "kubelet", false, 10, 1000);
	assert_int_equal(rig->call.err.code, ERR_INVALID_ARGUMENT);
	unit_action(rig, "Stop", "kubelet", false, 10, 1000);
	assert_int_equal(rig->call.err.code, ERR_INVALID_ARGUMENT);
}

static void errors_reach_the_caller(void **state)
{
	struct rig *rig = *state;

	unit_action(rig, "Start", "nope", false, 0, 1000);
	assert_int_equal(rig->call.err.code, ERR_NOT_FOUND);
	unit_action(rig, "Start", "broken", false, 0, 1000);
	assert_int_equal(rig->call.err.code, ERR_FAILED_PRECONDITION);
	unit_action(rig, "Start", "a/b", false, 0, 1000);
	assert_int_equal(rig->call.err.code, ERR_INVALID_ARGUMENT);
	unit_action(rig, "Stop", "hang", false, 0, 100);
	assert_int_equal(rig->call.err.code, ERR_DEADLINE_EXCEEDED);
}

static void kill_without_signal_is_sigterm(void **state)
{
	Berth__Node__V1__UnitKillRequest req = BERTH__NODE__V1__UNIT_KILL_REQUEST__INIT;
	Berth__Node__V1__UnitActionReply *rep;
	struct rig *rig = *state;

	req.name = (char *)"stubborn"; /* dies of SIGKILL alone */
	run(rig, "berth.node.v1.Units", "Kill", &req.base, 1000);
	rep = action_reply(rig);
	assert_string_equal(rep->after->active, "active");
	protobuf_c_message_free_unpacked(&rep->base, NULL);
	req.signal = 9;
	run(rig, "berth.node.v1.Units", "Kill", &req.base, 1000);
	rep = action_reply(rig);
	assert_string_equal(rep->after->active, "failed");
	protobuf_c_message_free_unpacked(&rep->base, NULL);
	req.signal = UINT32_MAX;
	run(rig, "berth.node.v1.Units", "Kill", &req.base, 1000);
	assert_int_equal(rig->call.err.code, ERR_INVALID_ARGUMENT);
}

/* NS-260: and an agent under test ends nobody's processes. */
static void no_api_server_to_kill_is_ok(void **state)
{
	Berth__Node__V1__KillApiServerRequest req = BERTH__NODE__V1__KILL_API_SERVER_REQUEST__INIT;
	Berth__Node__V1__KillApiServerReply *rep;
	struct rig *rig = *state;

	assert_null(units_proc_root(rig->agent.units));
	run(rig, "berth.node.v1.Processes", "KillApiServer", &req.base, 1000);
	rep = (Berth__Node__V1__KillApiServerReply *)reply(
		rig, &berth__node__v1__kill_api_server_reply__descriptor);
	assert_int_equal(rep->n_processes, 0);
	protobuf_c_message_free_unpacked(&rep->base, NULL);
}

/* NS-231, NS-251 */
static void health_lists_every_part_with_its_age(void **state)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	Berth__Node__V1__HealthReply *rep;
	struct rig *rig = *state;

	loop_for(rig->agent.loop, 100);
	run(rig, "berth.node.v1.Health", "Check", &req.base, 1000);
	rep = (Berth__Node__V1__HealthReply *)reply(rig,
						    &berth__node__v1__health_reply__descriptor);
	assert_true(rep->ready);
	assert_int_equal(rep->n_parts, 6);
	assert_string_equal(rep->parts[0]->name, "systemd");
	assert_int_equal(rep->parts[0]->state, BERTH__NODE__V1__PART_STATE__PART_OK);
	assert_in_range(rep->parts[0]->age_millis, 0, 1000);
	protobuf_c_message_free_unpacked(&rep->base, NULL);
}

/* NS-232 */
static void health_answers_before_the_first_probe(void **state)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	Berth__Node__V1__HealthReply *rep;
	struct rig *rig = *state;

	run(rig, "berth.node.v1.Health", "Check", &req.base, 1000);
	rep = (Berth__Node__V1__HealthReply *)reply(rig,
						    &berth__node__v1__health_reply__descriptor);
	assert_false(rep->ready);
	assert_int_equal(rep->parts[0]->state, BERTH__NODE__V1__PART_STATE__PART_UNKNOWN);
	protobuf_c_message_free_unpacked(&rep->base, NULL);
}

static void wait_ready_replies_with_the_health(void **state)
{
	Berth__Node__V1__HealthWaitReadyRequest req =
		BERTH__NODE__V1__HEALTH_WAIT_READY_REQUEST__INIT;
	Berth__Node__V1__HealthReply *rep;
	struct rig *rig = *state;

	run(rig, "berth.node.v1.Health", "WaitReady", &req.base, 2000);
	rep = (Berth__Node__V1__HealthReply *)reply(rig,
						    &berth__node__v1__health_reply__descriptor);
	assert_true(rep->ready);
	protobuf_c_message_free_unpacked(&rep->base, NULL);
}

/* NS-230, NS-006 */
static void version_tells_who_answers(void **state)
{
	Berth__Node__V1__HealthVersionRequest req = BERTH__NODE__V1__HEALTH_VERSION_REQUEST__INIT;
	Berth__Node__V1__HealthVersionReply *rep;
	struct rig *rig = *state;

	loop_for(rig->agent.loop, 100);
	run(rig, "berth.node.v1.Health", "Version", &req.base, 1000);
	rep = (Berth__Node__V1__HealthVersionReply *)reply(
		rig, &berth__node__v1__health_version_reply__descriptor);
	assert_string_equal(rep->agent, version_number());
	assert_int_equal(rep->protocol, WIRE_PROTOCOL);
	assert_string_equal(rep->cluster, "kind");
	assert_true(*rep->node && *rep->os && *rep->kernel && *rep->arch && *rep->init);
	assert_int_equal(strlen(rep->boot_id), 36);
	assert_true(*rep->runtime_name);
	assert_in_range(rep->agent_uptime_millis, 90, 5000);
	protobuf_c_message_free_unpacked(&rep->base, NULL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(status_of_nothing_is_the_usual_units),
		test(too_many_names_are_refused),
		test(stop_and_start_are_translated),
		test(forced_stop_goes_its_own_way),
		test(force_without_stop_is_refused),
		test(errors_reach_the_caller),
		test(kill_without_signal_is_sigterm),
		test(no_api_server_to_kill_is_ok),
		test(health_lists_every_part_with_its_age),
		test(health_answers_before_the_first_probe),
		test(wait_ready_replies_with_the_health),
		test(version_tells_who_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
