/*
 * The command line against real agents with fake backends. What a node is asked must not cost an
 * engine call: PATH holds no engine, and the programs started are counted.
 */
#include "tests/support/agent_process.h"
#include "tests/support/cli.h"

#include "controller/cluster/store.h"
#include "controller/exec/exec.h"
#include "shared/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct rig {
	struct agent_process agent;
	char *dir;
	char state[64];
	char fake[64];
};

/* What `create` leaves behind for a node whose agent serves in 'run_dir'. */
static void remember(const struct rig *rig, const char *name, const char *run_dir)
{
	struct node *node = node_new(name, "loop", NODE_WORKER, "fake", run_dir);
	struct err err;

	assert_non_null(node);
	assert_int_equal(store_node_save(rig->state, node, &err), 0);
	node_free(node);
}

/* What the engine says about a node. */
static void engine_has(const struct rig *rig, const char *name, const char *run_dir,
		       const char *state)
{
	char path[160];
	FILE *file;

	mkdir(rig->fake, 0700);
	snprintf(path, sizeof(path), "%s/%s.node", rig->fake, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"cluster=loop\nrole=worker\nindex=1\nimage=i\nip=10.0.0.2\nrun-dir=%s\n"
		"state=%s\n",
		run_dir, state);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char run_dir[96];

	assert_non_null(rig);
	agent_process_start(&rig->agent);
	rig->dir = cli_temp_dir();
	snprintf(rig->state, sizeof(rig->state), "%s/state", rig->dir);
	snprintf(rig->fake, sizeof(rig->fake), "%s/fake", rig->dir);
	setenv("BERTH_STATE_DIR", rig->state, 1);
	setenv("BERTH_FAKE_DIR", rig->fake, 1);
	setenv("PATH", "/nowhere", 1);
	unsetenv("BERTH_PROVIDER");
	unsetenv("BERTH_CLUSTER");
	snprintf(run_dir, sizeof(run_dir), "%s/run", rig->agent.dir);
	remember(rig, "loop-w1", run_dir);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	agent_process_discard(&rig->agent);
	cli_remove_dir(rig->dir);
	free(rig);
	return 0;
}

static struct json_object *rows_of(struct cli_output output)
{
	struct json_object *rows = json_tokener_parse(output.out);

	if (output.exit_code != 0 || !json_object_is_type(rows, json_type_array))
		fail_msg("exit %d, stdout: %s, stderr: %s", output.exit_code, output.out,
			 output.errs);
	cli_release(&output);
	return rows;
}

static struct json_object *find(struct json_object *rows, const char *key, const char *value)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (strcmp(json_object_get_string(json_object_object_get(row, key)), value) == 0)
			return row;
	}
	fail_msg("no row with %s=%s in %s", key, value, json_object_to_json_string(rows));
	return NULL;
}

static const char *text(struct json_object *row, const char *key)
{
	return json_object_get_string(json_object_object_get(row, key));
}

/* NS-034 */
static void remembered_node_is_asked_without_an_engine(void **state)
{
	unsigned before = exec_count();
	struct json_object *rows =
		rows_of(cli_run("get", "units", "-N", "loop-w1", "-o", "json", NULL));
	struct json_object *kubelet = find(rows, "name", "kubelet.service");

	(void)state;
	assert_string_equal(text(kubelet, "node"), "loop-w1");
	assert_string_equal(text(kubelet, "active"), "active");
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
	assert_string_equal(text(error, "code"), "NOT_FOUND");
	assert_string_equal(text(error, "node"), "loop-w1");
	assert_int_equal(strlen(text(error, "callId")), 32);
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

static void touch(const struct rig *rig, const char *name)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", rig->agent.runtime_dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static void containers_are_a_list_even_when_there_are_none(void **state)
{
	cli_expect(0, "[]\n", "", "get", "containers", "-N", "loop-w1", "-o", "json", NULL);
	cli_expect(0, "[]\n", "", "get", "containers", "--sandboxes", "-A", "-N", "loop-w1", "-o",
		   "json", NULL);
	touch(*state, "down");
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
	struct json_object *rows = rows_of(cli_run("health", "-N", "loop-w1", "-o", "json", NULL));
	struct json_object *row = find(rows, "node", "loop-w1");
	struct json_object *parts = json_object_object_get(row, "parts");

	(void)state;
	assert_true(json_object_get_boolean(json_object_object_get(row, "healthy")));
	assert_true(json_object_get_int(json_object_object_get(row, "latencyMicros")) > 0);
	assert_true(json_object_array_length(parts) >= 4);
	assert_non_null(find(parts, "name", "runtime"));
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
	struct rig *rig = *state;
	char nowhere[96];

	snprintf(nowhere, sizeof(nowhere), "%s/gone", rig->dir);
	remember(rig, "loop-w2", nowhere);
	engine_has(rig, "loop-w2", nowhere, "running");
	cli_expect(6, "loop-w1   kubelet.service", "loop-w2", "get", "units", "-N",
		   "loop-w1,loop-w2", "--provider", "fake", NULL);
	engine_has(rig, "loop-w2", nowhere, "stopped");
	cli_expect(6, "loop-w1   kubelet.service", "'berth start node loop-w2 --name loop'", "get",
		   "units", "-N", "w1,w2", "--name", "loop", "--provider", "fake", NULL);
}

static void globs_meet_running_nodes_only(void **state)
{
	struct rig *rig = *state;
	char run_dir[96];

	snprintf(run_dir, sizeof(run_dir), "%s/run", rig->agent.dir);
	engine_has(rig, "loop-w1", run_dir, "running");
	engine_has(rig, "loop-w2", run_dir, "stopped");
	cli_expect(0, "loop-w1   kubelet.service", "node 'loop-w2' is stopped and left out", "get",
		   "units", "-N", "w*", "--name", "loop", "--provider", "fake", NULL);
	cli_expect(0, "loop-w1   kubelet.service", "node 'loop-w2' is stopped and left out", "get",
		   "units", "--name", "loop", "--provider", "fake", NULL);
	engine_has(rig, "loop-w1", run_dir, "stopped");
	cli_expect(6, "", "no node of cluster 'loop' is running", "get", "units", "--name", "loop",
		   "--provider", "fake", NULL);
}

static void health_of_a_stopped_node_is_bad(void **state)
{
	struct rig *rig = *state;
	char run_dir[96];

	snprintf(run_dir, sizeof(run_dir), "%s/run", rig->agent.dir);
	engine_has(rig, "loop-w1", run_dir, "running");
	engine_has(rig, "loop-w2", run_dir, "stopped");
	cli_expect(6, "node 'loop-w2' is stopped", "'berth start node loop-w2", "health", "--name",
		   "loop", "--provider", "fake", NULL);
}

static void killed_agent_is_told_from_a_stopped_node(void **state)
{
	struct rig *rig = *state;
	char run_dir[96];

	snprintf(run_dir, sizeof(run_dir), "%s/run", rig->agent.dir);
	engine_has(rig, "loop-w1", run_dir, "running");
	agent_process_kill(&rig->agent);
	cli_expect(6, "", "agent", "get", "units", "-N", "loop-w1", "--provider", "fake", NULL);
	cli_expect(6, "", "\"reason\":\"AGENT_NOT_ANSWERING\"", "get", "units", "-N", "loop-w1",
		   "--provider", "fake", "-o", "json", NULL);
	cli_expect(0, "not answering", "", "get", "nodes", "--name", "loop", "--provider", "fake",
		   NULL);
}

/* The engine's labels are the truth: a record that is out of date costs one question, no more. */
static void outdated_record_is_put_right(void **state)
{
	struct rig *rig = *state;
	char run_dir[96], nowhere[96];

	snprintf(run_dir, sizeof(run_dir), "%s/run", rig->agent.dir);
	snprintf(nowhere, sizeof(nowhere), "%s/gone", rig->dir);
	remember(rig, "loop-w1", nowhere);
	engine_has(rig, "loop-w1", run_dir, "running");
	cli_expect(0, "kubelet.service", "", "get", "units", "-N", "loop-w1", "--provider", "fake",
		   NULL);
	/* and from now on no engine is needed again */
	cli_expect(0, "kubelet.service", "", "get", "units", "-N", "loop-w1", NULL);
}

static void nodes_are_completed_by_their_agents(void **state)
{
	struct rig *rig = *state;
	struct json_object *rows, *row;
	char run_dir[96];

	snprintf(run_dir, sizeof(run_dir), "%s/run", rig->agent.dir);
	engine_has(rig, "loop-w1", run_dir, "running");
	rows = rows_of(cli_run("get", "nodes", "--name", "loop", "--provider", "fake", "-o", "json",
			       NULL));
	row = find(rows, "name", "loop-w1");
	assert_string_equal(text(json_object_object_get(row, "agent"), "state"), "ok");
	assert_string_equal(text(json_object_object_get(row, "kubelet"), "state"), "active");
	assert_string_equal(text(json_object_object_get(row, "agent"), "channel"), "ipc");
	json_object_put(rows);
	cli_expect(0, "1 running", "", "status", "--name", "loop", "--provider", "fake", NULL);
}

#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
