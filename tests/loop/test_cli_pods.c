/* Pods and quiesce from the command line, against a real agent with fake backends. */
#include "tests/support/cli.h"
#include "tests/support/cli_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static const char pods_yaml[] = "apiVersion: v1\n"
				"kind: Pod\n"
				"metadata: {name: web}\n"
				"spec: {containers: [{name: c, image: i}]}\n"
				"---\n"
				"apiVersion: v1\n"
				"kind: Pod\n"
				"metadata: {name: db}\n"
				"spec: {containers: [{name: c, image: i}]}\n";

static const char *manifest(const struct cli_rig *rig, const char *yaml)
{
	static char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/pods.yaml", rig->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(yaml, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path;
}

static void pods_are_applied_listed_and_deleted(void **state)
{
	const char *file = manifest(*state, pods_yaml);

	cli_expect(0, "", "", "stop", "unit", "kubelet", "-N", "loop-w1", NULL);
	cli_expect(0, "pod/web created\npod/db created\n", "", "apply", "-f", file, "-N", "loop-w1",
		   "--wait", NULL);
	cli_expect(0, "pod/web unchanged\npod/db unchanged\n", "", "apply", "-f", file, "-N",
		   "loop-w1", NULL);
	cli_expect(0, "\"source\": \"agent\"", "", "get", "pods", "web", "-N", "loop-w1", "-o",
		   "json", NULL);
	cli_expect(0, "pod/web\n", "", "get", "pods", "w*", "-N", "loop-w1", "-o", "name", NULL);
	cli_expect(0, "Running", "", "get", "po", "-N", "loop-w1", NULL);
	cli_expect(0, "", "no pods in namespace other", "get", "pods", "-n", "other", "-N",
		   "loop-w1", NULL);
	cli_expect(0, "running", "", "get", "containers", "c", "-N", "loop-w1", NULL);
	cli_expect(0, "pod/web deleted\n", "", "delete", "pod", "web", "-N", "loop-w1", NULL);
	cli_expect(3, "", "web", "delete", "pod", "web", "-N", "loop-w1", NULL);
	cli_expect(3, "",
		   "no pod 'web' in namespace 'default'\n"
		   "  'berth get pods -A' lists what there is\n",
		   "get", "pods", "web", "-N", "loop-w1", NULL);
	cli_expect(0, "", "no pods of that name in namespace default\n", "get", "pods", "w*", "-N",
		   "loop-w1", NULL);
	cli_expect(0, "pod/db deleted\n", "", "delete", "pod", "pod/db", "--grace", "1s", "-N",
		   "loop-w1", NULL);
	cli_expect(0, "[]\n", "", "get", "pods", "-A", "-N", "loop-w1", "-o", "json", NULL);
	cli_expect(0, "[]\n", "", "get", "containers", "--sandboxes", "-N", "loop-w1", "-o", "json",
		   NULL);
}

/* DESIGN.md D9 */
static void pods_beside_a_running_kubelet_are_a_conflict(void **state)
{
	cli_expect(4, "", "kubelet", "apply", "-f", manifest(*state, pods_yaml), "-N", "loop-w1",
		   NULL);
}

static void waiting_for_a_pod_ends_at_the_deadline(void **state)
{
	const char *file = manifest(*state, "apiVersion: v1\n"
					    "kind: Pod\n"
					    "metadata: {name: never}\n"
					    "spec: {containers: [{name: c, image: missing}]}\n");

	cli_expect(0, "", "", "stop", "unit", "kubelet", "-N", "loop-w1", NULL);
	cli_expect(5, "pod/never created\n", "never", "apply", "-f", file, "-N", "loop-w1",
		   "--wait", "--timeout", "1s", NULL);
}

/* NS-160 */
static void quiesce_reports_its_steps(void **state)
{
	const char *file = manifest(*state, pods_yaml);
	struct json_object *rows, *row;

	cli_expect(0, "", "", "stop", "unit", "kubelet", "-N", "loop-w1", NULL);
	cli_expect(0, "", "", "apply", "-f", file, "-N", "loop-w1", "--wait", NULL);
	rows = cli_rows(cli_run("quiesce", "-N", "loop-w1", "-o", "json", NULL));
	row = cli_find(rows, "node", "loop-w1");
	assert_true(json_object_get_boolean(json_object_object_get(row, "ok")));
	assert_int_equal(json_object_array_length(json_object_object_get(row, "containers")), 2);
	cli_find(json_object_object_get(row, "steps"), "name", "stop-kubelet");
	json_object_put(rows);
	cli_expect(0, "stop-containers", "", "quiesce", "-N", "loop-w1", NULL);
}

static void failed_quiesce_step_is_exit_code_1(void **state)
{
	cli_rig_touch(*state, "down");
	cli_expect(1, "list-containers", "not wholly at rest", "quiesce", "-N", "loop-w1", NULL);
}

#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, cli_rig_setup, cli_rig_teardown)

static const char two_yaml[] = "apiVersion: v1\n"
			       "kind: Pod\n"
			       "metadata: {name: two}\n"
			       "spec: {containers: [{name: b, image: i}, {name: a, image: i}]}\n";

/* What is meant is asked for in the same words by exec as by logs. */
static void containers_are_named_when_in_doubt(void **state)
{
	const char *file = manifest(*state, two_yaml);

	cli_expect(0, "", "", "stop", "unit", "kubelet", "-N", "loop-w1", NULL);
	cli_expect(0, "pod/two created\n", "", "apply", "-f", file, "-N", "loop-w1", "--wait",
		   NULL);
	cli_expect(125, "", "pod 'two' has several containers: a, b\n  name one with --container\n",
		   "exec", "loop-w1/two", "--", "x", NULL);
	cli_expect(125, "", "pod 'two' has no container 'c'; there is: a, b\n", "exec",
		   "loop-w1/two", "-c", "c", "--", "x", NULL);
	cli_expect(125, "", "no pod 'web' in namespace 'default' on this node\n", "exec",
		   "loop-w1/web", "--", "x", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_AGENT(pods_are_applied_listed_and_deleted),
		WITH_AGENT(pods_beside_a_running_kubelet_are_a_conflict),
		WITH_AGENT(waiting_for_a_pod_ends_at_the_deadline),
		WITH_AGENT(quiesce_reports_its_steps),
		WITH_AGENT(failed_quiesce_step_is_exit_code_1),
		WITH_AGENT(containers_are_named_when_in_doubt),
	};

	return cmocka_run_group_tests_name("cli pods", tests, NULL, NULL);
}
