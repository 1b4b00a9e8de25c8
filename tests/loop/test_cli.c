/*
 * The command line against a real agent with fake backends. What a node is asked must not cost an
 * engine call: PATH holds no engine, and the programs started are counted.
 */
#include "tests/support/cli.h"
#include "tests/support/cli_rig.h"

#include "controller/exec/exec.h"
#include "shared/base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* NS-034 */
static void remembered_node_is_asked_without_an_engine(void **state)
{
	unsigned before = exec_count();
	struct json_object *rows =
		cli_rows(cli_run("get", "units", "-N", "loop-w1", "-o", "json", NULL));
	struct json_object *kubelet = cli_find(rows, "name", "kubelet.service");

	(void)state;
	assert_string_equal(cli_text(kubelet, "node"), "loop-w1");
	assert_string_equal(cli_text(kubelet, "active"), "active");
	assert_int_equal(json_object_get_int(json_object_object_get(kubelet, "mainPid")), 101);
	json_object_put(rows);
	assert_int_equal(exec_count(), before);
}

static void short_name_and_cluster_name_the_same_node(void **state)
{
	(void)state;
	cli_expect(0, "kubelet.service", "", "get", "units", "-N", "w1", "--name", "loop", NULL);
	cli_expect(0, "unit/kubelet.service\n", "", "get", "units", "kubelet", "-N", "w1", "--name",
		   "loop", "-o", "name", NULL);
}

/* Who is asked when nothing is remembered says plainly that there is no engine. */
static void unknown_node_needs_the_engine(void **state)
{
	(void)state;
	cli_expect(6, "", "podman", "get", "units", "-N", "other", NULL);
	cli_expect(6, "", "podman", "get", "units", "-N", "loop-*", NULL);
}

/* NS-024, NS-027, NS-028 */
static void units_stop_and_start(void **state)
{
	(void)state;
	cli_expect(0, "unit/kubelet.service stopped on loop-w1\n", "", "stop", "unit", "kubelet",
		   "-N", "loop-w1", NULL);
	cli_expect(0, "unit/kubelet.service already stopped on loop-w1\n", "", "stop", "unit",
		   "kubelet", "-N", "loop-w1", NULL);
	cli_expect(0, "unit/nosuch.service absent on loop-w1\n", "", "stop", "unit", "nosuch", "-N",
		   "loop-w1", NULL);
	cli_expect(0, "unit/kubelet.service started on loop-w1\n", "", "start", "unit", "kubelet",
		   "-N", "loop-w1", NULL);
	cli_expect(0, "restarted", "", "restart", "unit", "slow", "-N", "loop-w1", NULL);
	cli_expect(0, "unit/stubborn.service stopped on loop-w1 (by SIGKILL)\n", "", "stop", "unit",
		   "stubborn", "--force", "--grace", "100ms", "-N", "loop-w1", NULL);
	cli_expect(0, "signalled", "", "kill", "unit", "kubelet", "--signal", "HUP", "-N",
		   "loop-w1", NULL);
}

static void failed_call_has_code_node_and_call_id(void **state)
{
	struct cli_output output =
		cli_run("start", "unit", "nosuch", "-N", "loop-w1", "-o", "json", NULL);
	struct json_object *object = json_tokener_parse(output.errs);
	struct json_object *error = json_object_object_get(object, "error");

	(void)state;
	assert_int_equal(output.exit_code, 3);
	assert_string_equal(cli_text(error, "code"), "NOT_FOUND");
	assert_string_equal(cli_text(error, "node"), "loop-w1");
	assert_int_equal(strlen(cli_text(error, "callId")), 32);
	json_object_put(object);
	cli_release(&output);
	cli_expect(4, "", "journalctl CALL_ID=", "start", "unit", "broken", "-N", "loop-w1", NULL);
}

static void deadline_of_the_command_bounds_the_call(void **state)
{
	int64_t began = clock_now_ms();

	(void)state;
	cli_expect(5, "", "", "start", "unit", "hang", "-N", "loop-w1", "--timeout", "400ms", NULL);
	assert_true(clock_now_ms() - began < 3000);
}

static void containers_are_a_list_even_when_there_are_none(void **state)
{
	cli_expect(0, "[]\n", "", "get", "containers", "-N", "loop-w1", "-o", "json", NULL);
	cli_expect(0, "[]\n", "", "get", "containers", "--sandboxes", "-A", "-N", "loop-w1", "-o",
		   "json", NULL);
	cli_expect(0, "", "no containers\n", "get", "containers", "-N", "loop-w1", NULL);
	cli_expect(0, "", "no containers of that name\n", "get", "containers", "x*", "-N",
		   "loop-w1", NULL);
	cli_expect(3, "[]\n", "\"reason\":\"CONTAINER_NOT_FOUND\"", "get", "containers", "x", "-N",
		   "loop-w1", "-o", "json", NULL);
	cli_rig_touch(*state, "down");
	cli_expect(6, "", "", "get", "containers", "-N", "loop-w1", NULL);
}

/* NS-062: a container that is not there is no failure. */
static void missing_container_is_absent(void **state)
{
	(void)state;
	cli_expect(0, "container/abcdef absent on loop-w1\n", "", "stop", "container", "abcdef",
		   "-N", "loop-w1", NULL);
	cli_expect(0, "\"result\": \"absent\"", "", "delete", "container", "abcdef", "-N",
		   "loop-w1", "-o", "json", NULL);
}

static void health_has_every_field(void **state)
{
	struct json_object *rows = cli_rows(cli_run("health", "-N", "loop-w1", "-o", "json", NULL));
	struct json_object *row = cli_find(rows, "node", "loop-w1");
	struct json_object *parts = json_object_object_get(row, "parts");

	(void)state;
	assert_true(json_object_get_boolean(json_object_object_get(row, "healthy")));
	assert_true(json_object_get_int(json_object_object_get(row, "latencyMicros")) > 0);
	assert_true(json_object_array_length(parts) >= 4);
	assert_non_null(cli_find(parts, "name", "runtime"));
	assert_true(
		json_object_object_get_ex(json_object_array_get_idx(parts, 0), "ageMillis", NULL));
	json_object_put(rows);
}

static void version_names_the_agent(void **state)
{
	(void)state;
	cli_expect(0, "loop-w1", "", "version", "-N", "loop-w1", NULL);
}

/* What worked is printed, what did not is told, and the exit code is the first failure's. */
static void one_silent_node_does_not_hide_the_others(void **state)
{
	struct cli_rig *rig = *state;
	char nowhere[96];

	snprintf(nowhere, sizeof(nowhere), "%s/gone", rig->dir);
	cli_rig_remember(rig, "loop-w2", nowhere);
	cli_rig_engine_has(rig, "loop-w2", nowhere, "running");
	cli_expect(6, "loop-w1   kubelet.service", "loop-w2", "get", "units", "-N",
		   "loop-w1,loop-w2", "--provider", "fake", NULL);
	cli_rig_engine_has(rig, "loop-w2", nowhere, "stopped");
	cli_expect(6, "loop-w1   kubelet.service", "'berth start node loop-w2 --name loop'", "get",
		   "units", "-N", "w1,w2", "--name", "loop", "--provider", "fake", NULL);
}

static void globs_meet_running_nodes_only(void **state)
{
	struct cli_rig *rig = *state;

	cli_rig_engine_has(rig, "loop-w1", rig->run_dir, "running");
	cli_rig_engine_has(rig, "loop-w2", rig->run_dir, "stopped");
	cli_expect(0, "loop-w1   kubelet.service", "node 'loop-w2' is stopped and left out", "get",
		   "units", "-N", "w*", "--name", "loop", "--provider", "fake", NULL);
	cli_expect(0, "loop-w1   kubelet.service", "node 'loop-w2' is stopped and left out", "get",
		   "units", "--name", "loop", "--provider", "fake", NULL);
	cli_rig_engine_has(rig, "loop-w1", rig->run_dir, "stopped");
	cli_expect(6, "", "no node of cluster 'loop' is running", "get", "units", "--name", "loop",
		   "--provider", "fake", NULL);
}

static void health_of_a_stopped_node_is_bad(void **state)
{
	struct cli_rig *rig = *state;

	cli_rig_engine_has(rig, "loop-w1", rig->run_dir, "running");
	cli_rig_engine_has(rig, "loop-w2", rig->run_dir, "stopped");
	cli_expect(6, "node 'loop-w2' is stopped", "'berth start node loop-w2", "health", "--name",
		   "loop", "--provider", "fake", NULL);
}

static void killed_agent_is_told_from_a_stopped_node(void **state)
{
	struct cli_rig *rig = *state;

	cli_rig_engine_has(rig, "loop-w1", rig->run_dir, "running");
	agent_process_kill(&rig->agent);
	cli_expect(6, "", "'berth restart node loop-w1 --name loop' starts both anew", "get",
		   "units", "-N", "loop-w1", "--provider", "fake", NULL);
	cli_expect(6, "", "\"reason\":\"AGENT_NOT_ANSWERING\"", "get", "units", "-N", "loop-w1",
		   "--provider", "fake", "-o", "json", NULL);
	cli_expect(0, "not answering", "", "get", "nodes", "--name", "loop", "--provider", "fake",
		   NULL);
}

/* The engine's labels are the truth: a record that is out of date costs one question, no more. */
static void outdated_record_is_put_right(void **state)
{
	struct cli_rig *rig = *state;
	char nowhere[96];

	snprintf(nowhere, sizeof(nowhere), "%s/gone", rig->dir);
	cli_rig_remember(rig, "loop-w1", nowhere);
	cli_rig_engine_has(rig, "loop-w1", rig->run_dir, "running");
	cli_expect(0, "kubelet.service", "", "get", "units", "-N", "loop-w1", "--provider", "fake",
		   NULL);
	/* and from now on no engine is needed again */
	cli_expect(0, "kubelet.service", "", "get", "units", "-N", "loop-w1", NULL);
}

static void nodes_are_completed_by_their_agents(void **state)
{
	struct cli_rig *rig = *state;
	struct json_object *rows, *row;

	cli_rig_engine_has(rig, "loop-w1", rig->run_dir, "running");
	rows = cli_rows(cli_run("get", "nodes", "--name", "loop", "--provider", "fake", "-o",
				"json", NULL));
	row = cli_find(rows, "name", "loop-w1");
	assert_string_equal(cli_text(json_object_object_get(row, "agent"), "state"), "ok");
	assert_string_equal(cli_text(json_object_object_get(row, "kubelet"), "state"), "active");
	assert_string_equal(cli_text(json_object_object_get(row, "agent"), "channel"), "ipc");
	json_object_put(rows);
	cli_expect(0, "1 running", "", "status", "--name", "loop", "--provider", "fake", NULL);
}

#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, cli_rig_setup, cli_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_AGENT(remembered_node_is_asked_without_an_engine),
		WITH_AGENT(short_name_and_cluster_name_the_same_node),
		WITH_AGENT(unknown_node_needs_the_engine),
		WITH_AGENT(units_stop_and_start),
		WITH_AGENT(failed_call_has_code_node_and_call_id),
		WITH_AGENT(deadline_of_the_command_bounds_the_call),
		WITH_AGENT(containers_are_a_list_even_when_there_are_none),
		WITH_AGENT(missing_container_is_absent),
		WITH_AGENT(health_has_every_field),
		WITH_AGENT(version_names_the_agent),
		WITH_AGENT(one_silent_node_does_not_hide_the_others),
		WITH_AGENT(globs_meet_running_nodes_only),
		WITH_AGENT(health_of_a_stopped_node_is_bad),
		WITH_AGENT(killed_agent_is_told_from_a_stopped_node),
		WITH_AGENT(outdated_record_is_put_right),
		WITH_AGENT(nodes_are_completed_by_their_agents),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
