#include "controller/cli/plan_json.h"

#include "controller/config/manifest.h"
#include "shared/pod/hash.h"
#include "tests/support/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char pod_yaml[] = "apiVersion: v1\n"
			       "kind: Pod\n"
			       "metadata: {name: p}\n"
			       "spec: {containers: [{name: c1, image: i}, {name: c2, image: i}]}\n";

struct rig {
	struct manifest manifest;
	struct pod_observed seen;
	struct strv warnings;
	struct err err;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_int_equal(
		manifest_read("p.yaml", pod_yaml, strlen(pod_yaml), &rig->manifest, &rig->err), 0);
	assert_int_equal(pod_default(rig->manifest.pods[0], &rig->err), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	manifest_release(&rig->manifest);
	pod_observed_release(&rig->seen);
	strv_release(&rig->warnings);
	free(rig);
	return 0;
}

static int parse(struct rig *rig, const char *json)
{
	return plan_json_read("seen.json", json, strlen(json), rig->manifest.pods[0], &rig->seen,
			      &rig->warnings, &rig->err);
}

static void every_field_is_read(void **state)
{
	struct rig *rig = *state;
	const struct seen_container *c;

	assert_int_equal(
		parse(rig,
		      "{\"sandboxes\":[{\"id\":\"sb1\",\"state\":\"notready\",\"attempt\":3,"
		      "\"ip\":\"10.0.0.1\",\"network\":\"node\"}],"
		      "\"containers\":[{\"id\":\"x\",\"name\":\"c1\",\"state\":\"exited\","
		      "\"exitCode\":-1,\"hash\":\"match\",\"finishedAt\":\"2026-11-01T10:00:00Z\","
		      "\"liveness\":\"failure\",\"startup\":\"success\"}],\"deleted\":true}"),
		0);
	assert_int_equal(rig->seen.sandbox_count, 1);
	assert_string_equal(rig->seen.sandboxes[0].id, "sb1");
	assert_int_equal(rig->seen.sandboxes[0].state, SEEN_SANDBOX_NOT_READY);
	assert_int_equal(rig->seen.sandboxes[0].attempt, 3);
	assert_string_equal(rig->seen.sandboxes[0].ip, "10.0.0.1");
	assert_true(rig->seen.sandboxes[0].host_network);
	assert_true(rig->seen.sandboxes[0].has_network);
	c = &rig->seen.containers[0];
	assert_int_equal(c->state, SEEN_EXITED);
	assert_int_equal(c->exit_code, -1);
	assert_int_equal(c->hash, container_hash(pod_container(rig->manifest.pods[0], "c1", NULL)));
	assert_int_equal(c->finished_ns, 1793527200LL * 1000000000);
	assert_int_equal(c->liveness, PROBE_FAILURE);
	assert_int_equal(c->startup, PROBE_SUCCESS);
	assert_true(rig->seen.deleted);
	assert_int_equal(rig->warnings.count, 0);
}

static void hashes_are_words_or_hexadecimal(void **state)
{
	struct rig *rig = *state;
	uint32_t own = container_hash(pod_container(rig->manifest.pods[0], "c1", NULL));

	assert_int_equal(parse(rig, "{\"containers\":["
				    "{\"id\":\"a\",\"name\":\"c1\",\"hash\":\"mismatch\"},"
				    "{\"id\":\"b\",\"name\":\"c1\",\"hash\":\"zero\"},"
				    "{\"id\":\"c\",\"name\":\"c1\",\"hash\":\"ff\"},"
				    "{\"id\":\"d\",\"name\":\"stray\",\"hash\":\"match\"},"
				    "{\"id\":\"e\",\"name\":\"c1\"}]}"),
			 0);
	assert_int_not_equal(rig->seen.containers[0].hash, own);
	assert_int_not_equal(rig->seen.containers[0].hash, 0);
	assert_int_equal(rig->seen.containers[1].hash, 0);
	assert_int_equal(rig->seen.containers[2].hash, 255);
	assert_int_not_equal(rig->seen.containers[3].hash, 0);
	assert_int_equal(rig->seen.containers[4].hash, 0);
}

static void nothing_observed_is_nothing_seen(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(parse(rig, "{}"), 0);
	assert_int_equal(rig->seen.sandbox_count, 0);
	assert_int_equal(rig->seen.container_count, 0);
	assert_false(rig->seen.deleted);
}

/* PS-053: a network that nobody observed does not count as another one. */
static void network_that_was_not_observed_does_not_count(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(parse(rig, "{\"sandboxes\":[{\"id\":\"s\",\"state\":\"ready\"}]}"), 0);
	assert_false(rig->seen.sandboxes[0].has_network);
	assert_false(rig->seen.sandboxes[0].host_network);
}

static void expect_fault(struct rig *rig, const char *json, const char *message)
{
	assert_int_equal(parse(rig, json), -1);
	assert_int_equal(rig->err.code, ERR_INVALID_ARGUMENT);
	if (!strstr(rig->err.msg, message))
		fail_msg("%s: wanted \"%s\", got \"%s\"", json, message, rig->err.msg);
}

static void faults_are_told_with_their_place(void **state)
{
	struct rig *rig = *state;

	expect_fault(rig, "", "seen.json:1:1");
	expect_fault(rig, "[]", "seen.json:1:1");
	expect_fault(rig, "{\"sandboxes\": {}}", "seen.json:1:15: sandboxes must be a list");
	expect_fault(rig, "{\"sandboxes\":[{\"id\":\"s\",\"state\":\"redy\"}]}",
		     "sandboxes[0].state must be one of unknown, ready, notready");
	expect_fault(rig, "{\"containers\":[{\"id\":\"s\"}]}", "containers[0] has no name");
	expect_fault(rig, "{\"containers\":[{\"id\":\"s\",\"name\":\"c\",\"exitCode\":\"1\"}]}",
		     "containers[0].exitCode must be");
	expect_fault(rig, "{\"containers\":[{\"id\":\"s\",\"name\":\"c\",\"hash\":\"-1\"}]}",
		     "containers[0].hash must be");
	expect_fault(rig, "{\"containers\":[{\"id\":\"s\",\"name\":\"c\",\"liveness\":\"\"}]}",
		     "containers[0].liveness must be one of");
	expect_fault(rig, "{\"deleted\":\"no\"}", "deleted must be");
	expect_fault(rig, "{\"deleted\":true", "missing comma");
}

static void unknown_field_is_a_warning(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(parse(rig, "{\"containers\":[{\"id\":\"s\",\"name\":\"c\","
				    "\"exitcode\":1}]}"),
			 0);
	assert_int_equal(rig->warnings.count, 1);
	assert_non_null(strstr(rig->warnings.items[0], "seen.json:1:37: 'exitcode'"));
}

static void write_file(const char *dir, const char *name, const char *text, char ret_path[128])
{
	FILE *file;

	snprintf(ret_path, 128, "%s/%s", dir, name);
	file = fopen(ret_path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* cli.md section 4's own example. */
static void example_of_the_contract_gives_its_answer(void **state)
{
	char *dir = cli_temp_dir(), pod[128], seen[128];
	struct cli_output output;

	(void)state;
	write_file(dir, "p.yaml", pod_yaml, pod);
	write_file(
		dir, "seen.json",
		"{\"sandboxes\":[{\"id\":\"sb1\",\"state\":\"ready\",\"attempt\":0,"
		"\"ip\":\"10.0.0.1\",\"network\":\"pod\"}],\n"
		" \"containers\":[{\"id\":\"id-c1\",\"name\":\"c1\",\"state\":\"exited\","
		"\"exitCode\":1,\"hash\":\"match\",\"finishedAt\":\"2026-11-01T10:00:00Z\"},\n"
		"  {\"id\":\"id-c2\",\"name\":\"c2\",\"state\":\"running\",\"hash\":\"mismatch\","
		"\"liveness\":\"failure\"}],\n \"deleted\":false}\n",
		seen);
	output = cli_run("plan", "pod", "-f", pod, "--observed", seen, "-o", "json", NULL);
	assert_int_equal(output.exit_code, 0);
	assert_string_equal(output.errs, "");
	cli_golden("tests/unit/controller/cli/golden/plan-pod.json", output.out);
	cli_release(&output);
	cli_expect(0, "kill container c2 (id-c2)\nstart container c1\nstart container c2\n", "",
		   "plan", "pod", "-f", pod, "--observed", seen, NULL);
	cli_expect(2, "", "needs -f FILE and --observed FILE", "plan", "pod", "-f", pod, NULL);
	cli_remove_dir(dir);
}

#define WITH_POD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_POD(every_field_is_read),
		WITH_POD(hashes_are_words_or_hexadecimal),
		WITH_POD(nothing_observed_is_nothing_seen),
		WITH_POD(network_that_was_not_observed_does_not_count),
		WITH_POD(faults_are_told_with_their_place),
		WITH_POD(unknown_field_is_a_warning),
		cmocka_unit_test(example_of_the_contract_gives_its_answer),
	};

	return cmocka_run_group_tests_name("plan json", tests, NULL, NULL);
}
