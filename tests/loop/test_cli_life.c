/* Pause, describe and the support bundle from the command line, against a real agent with fake backends. */
#include "shared/base/cleanup.h"
#include "shared/base/text.h"
#include "tests/support/cli.h"
#include "tests/support/cli_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char pod_yaml[] = "apiVersion: v1\n"
			       "kind: Pod\n"
			       "metadata: {name: web}\n"
			       "spec: {containers: [{name: c, image: i}]}\n";

static int set_up(void **state)
{
	const struct cli_rig *rig;
	char logs[96];

	if (cli_rig_setup(state) < 0)
		return -1;
	rig = *state;
	setenv("BERTH_FAKE_AGENTS", "1", 1);
	setenv("BERTH_PROVIDER", "fake", 1);
	/* The agent is on this host, whose own logs are no business of the tests. */
	snprintf(logs, sizeof(logs), "%s/varlog", rig->dir);
	setenv("BERTH_TEST_VAR_LOG", logs, 1);
	cli_rig_engine_has(rig, "loop-w1", rig->run_dir, "running");
	return 0;
}

static int tear_down(void **state)
{
	unsetenv("BERTH_FAKE_AGENTS");
	unsetenv("BERTH_PROVIDER");
	unsetenv("BERTH_TEST_VAR_LOG");
	return cli_rig_teardown(state);
}

static void apply_pod(const struct cli_rig *rig)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/pod.yaml", rig->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(pod_yaml, file) >= 0);
	assert_int_equal(fclose(file), 0);
	cli_expect(0, "", "", "stop", "unit", "kubelet", "-N", "loop-w1", NULL);
	cli_expect(0, "pod/web created\n", "", "apply", "-f", path, "-N", "loop-w1", "--wait",
		   NULL);
}

/* NS-170 NS-172 NS-058 NS-195: and what cannot be changed meanwhile says how to go on. */
static void a_paused_node_says_so_everywhere(void **state)
{
	apply_pod(*state);
	cli_expect(0, "node/loop-w1 paused\n", "", "pause", "node", "loop-w1", NULL);
	cli_expect(0, "paused", "", "get", "nodes", "loop-w1", NULL);
	cli_expect(0, "paused", "", "get", "containers", "-N", "loop-w1", NULL);
	cli_expect(0, "node/loop-w1 paused\n", "", "pause", "node", "loop-w1", NULL);
	cli_expect(4, "", "berth unpause node", "delete", "pod", "web", "-N", "loop-w1", NULL);
	cli_expect(0, "cluster/loop unpaused\n", "", "unpause", "cluster", "loop", NULL);
	cli_expect(0, "running", "", "get", "containers", "-N", "loop-w1", NULL);
	cli_expect(0, "cluster/loop unpaused\n", "", "unpause", "cluster", "loop", NULL);
}

/* NS-065 */
static void single_containers_are_paused_by_id(void **state)
{
	struct json_object *rows;
	char id[80];

	apply_pod(*state);
	rows = cli_rows(cli_run("get", "containers", "-N", "loop-w1", "-o", "json", NULL));
	snprintf(id, sizeof(id), "%s", cli_text(cli_find(rows, "name", "c"), "id"));
	json_object_put(rows);
	id[12] = '\0';
	cli_expect(0, " paused on loop-w1\n", "", "pause", "container", id, "-N", "loop-w1", NULL);
	cli_expect(0, "paused", "", "get", "containers", "-N", "loop-w1", NULL);
	cli_expect(0, " unpaused on loop-w1\n", "", "unpause", "container", id, "-N", "loop-w1",
		   NULL);
	cli_expect(0, "absent", "", "pause", "container", "feed", "-N", "loop-w1", NULL);
}

static void a_pause_that_fails_is_exit_code_1_or_worse(void **state)
{
	struct cli_output output;

	cli_rig_touch(*state, "down");
	output = cli_run("pause", "node", "loop-w1", NULL);
	assert_int_not_equal(output.exit_code, 0);
	assert_non_null(strstr(output.errs, "loop-w1"));
	assert_null(strstr(output.out, "paused"));
	cli_release(&output);
}

static void describe_tells_everything_about_one(void **state)
{
	struct json_object *rows, *row;

	apply_pod(*state);
	cli_expect(0, "phase: Running", "", "describe", "pod", "web", "-N", "loop-w1", NULL);
	cli_expect(0, "pod: web", "", "describe", "container", "c", "-N", "loop-w1", NULL);
	cli_expect(3, "", "no pod 'nope'", "describe", "pod", "nope", "-N", "loop-w1", NULL);
	rows = cli_rows(cli_run("describe", "node", "loop-w1", "-o", "json", NULL));
	row = cli_find(rows, "name", "loop-w1");
	assert_int_equal(json_object_array_length(json_object_object_get(row, "pods")), 1);
	assert_true(json_object_array_length(json_object_object_get(row, "units")) > 0);
	cli_find(json_object_object_get(row, "containers"), "kind", "sandbox");
	json_object_put(rows);
}

static char *read_file(const char *dir, const char *name)
{
	char path[192], *text = calloc(1, 65536);
	FILE *file;

	assert_non_null(text);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("no '%s'", path);
	assert_true(fread(text, 1, 65535, file) > 0);
	fclose(file);
	return text;
}

/* CN-250 CN-252: what cannot be had (the fake engine tells nothing) is told and keeps nothing else. */
static void a_bundle_holds_what_can_be_had(void **state)
{
	const struct cli_rig *rig = *state;
	char dir[96], *text;
	struct stat st;

	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	apply_pod(rig);
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	text = read_file(dir, "errors.txt");
	assert_non_null(strstr(text, "loop-w1/inspect.json"));
	free(text);
	text = read_file(dir, "loop-w1/pods.json");
	assert_non_null(strstr(text, "\"web\""));
	free(text);
	text = read_file(dir, "loop-w1/health.json");
	assert_non_null(strstr(text, "\"parts\""));
	free(text);
	free(read_file(dir, "loop-w1/units.json"));
	free(read_file(dir, "loop-w1/containers.json"));
	free(read_file(dir, "berth-version.txt"));
	snprintf(dir, sizeof(dir), "%s/bundle/errors.txt", rig->dir);
	cli_expect(4, "", "errors.txt' is there and no directory", "export", "logs", dir, "--name",
		   "loop", NULL);
}

/* <state>/logs/default_web_<uid>/c/0.log, as the runtime writes it: where the agent has its pod. */
static void write_pod_run(const struct cli_rig *rig, int run, const char *text)
{
	char path[300];
	glob_t found;
	FILE *file;

	snprintf(path, sizeof(path), "%s/logs/default_web_*", rig->agent.state_dir);
	assert_int_equal(glob(path, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	snprintf(path, sizeof(path), "%s/c", found.gl_pathv[0]);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/c/%d.log", found.gl_pathv[0], run);
	globfree(&found);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void write_pod_log(const struct cli_rig *rig, const char *text)
{
	write_pod_run(rig, 0, text);
}

/* CN-252: the logs of pods as they are, but for passwords. */
static void a_bundle_holds_the_logs_of_pods(void **state)
{
	const struct cli_rig *rig = *state;
	char dir[96], *text;

	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	apply_pod(rig);
	write_pod_log(rig, "2026-01-31T12:00:00.000000001Z stdout F one\n"
			   "2026-01-31T12:00:01.000000001Z stderr F to http://me:word@host/x\n");
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	text = read_file(dir, "loop-w1/pods/default_web/c.log");
	assert_non_null(strstr(text, "12:00:00.000000001Z stdout F one\n"));
	assert_non_null(strstr(text, "@host/x\n"));
	assert_null(strstr(text, "me:word"));
	free(text);
}

/* CN-252: a container that has written nothing yet costs nothing else. */
static void a_bundle_without_a_pods_log_says_so(void **state)
{
	const struct cli_rig *rig = *state;
	static const char *const logs[] = { "journal.log", "kubelet.log", "containerd.log",
					    "dmesg.log" };
	char dir[96], path[300], *text;
	struct stat st;

	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	apply_pod(rig);
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	text = read_file(dir, "errors.txt");
	assert_non_null(strstr(text, "loop-w1/pods/default_web/c.log: "));
	for (size_t i = 0; i < sizeof(logs) / sizeof(*logs); i++) {
		/* This host's, or none: then it is told why. */
		snprintf(path, sizeof(path), "%s/loop-w1/%s", dir, logs[i]);
		if (stat(path, &st) == 0)
			assert_int_equal(st.st_mode & 0777, 0600);
		else
			assert_non_null(strstr(text, logs[i]));
	}
	free(text);
}

/* CN-252: why it was started again is in the log of the run before. */
static void a_bundle_holds_the_run_before(void **state)
{
	const struct cli_rig *rig = *state;
	char dir[96], *text;

	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	apply_pod(rig);
	write_pod_run(rig, 0, "2026-01-31T12:00:00.000000001Z stdout F why\n");
	write_pod_run(rig, 1, "2026-01-31T12:00:01.000000001Z stdout F now\n");
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	text = read_file(dir, "loop-w1/pods/default_web/c.log");
	assert_non_null(strstr(text, "F now\n"));
	free(text);
	text = read_file(dir, "loop-w1/pods/default_web/c.previous.log");
	assert_non_null(strstr(text, "F why\n"));
	assert_null(strstr(text, "F now\n"));
	free(text);
	text = read_file(dir, "errors.txt");
	assert_null(strstr(text, "c.previous.log"));
	free(text);
}

/* CN-252 */
static void a_bundle_holds_the_list_of_images(void **state)
{
	const struct cli_rig *rig = *state;
	char dir[96], *text;

	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	text = read_file(dir, "loop-w1/images.log");
	assert_ptr_equal(strstr(text, "IMAGE ID SIZE\n"), text);
	free(text);
	free(read_file(dir, "loop-w1/images.json"));
}

/* <dir>/varlog/NAME, what the tests' agents have as /var/log. */
static void write_var_log(const struct cli_rig *rig, const char *name, const void *text, size_t len)
{
	cleanup_free char *path = text_format("%s/varlog/%s", rig->dir, name);
	FILE *file;

	for (char *s = path + strlen(rig->dir) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(path, 0755);
		*s = '/';
	}
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static bool bundle_has(const char *dir, const char *name)
{
	cleanup_free char *path = text_format("%s/loop-w1/var/log/%s", dir, name);

	return access(path, F_OK) == 0;
}

/* CN-252: as text, without passwords, and nothing that only looks like a log. */
static void a_bundle_holds_the_tree_of_logs(void **state)
{
	const struct cli_rig *rig = *state;
	cleanup_free char *link = text_format("%s/varlog/link.log", rig->dir);
	char dir[96], *text;

	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	write_var_log(rig, "app.log", "to http://me:word@host/x\n", 25);
	write_var_log(rig, "a/b/deep.log", "deep\n", 5);
	write_var_log(rig, "journal/1/system.journal", "binary\n", 7);
	write_var_log(rig, "wtmp", "a\0b", 3);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	text = read_file(dir, "loop-w1/var/log/app.log");
	assert_non_null(strstr(text, "@host/x\n"));
	assert_null(strstr(text, "me:word"));
	free(text);
	text = read_file(dir, "loop-w1/var/log/a/b/deep.log");
	assert_string_equal(text, "deep\n");
	free(text);
	assert_false(bundle_has(dir, "journal") || bundle_has(dir, "wtmp") ||
		     bundle_has(dir, "link.log"));
	text = read_file(dir, "errors.txt");
	assert_non_null(strstr(text, "loop-w1/var/log/wtmp: no text"));
	assert_null(strstr(text, "journal/1"));
	free(text);
}

/* CN-252: of a long one the end comes, from the beginning of a line. */
static void a_bundle_is_bounded(void **state)
{
	const struct cli_rig *rig = *state;
	cleanup_free char *path = NULL, *big = malloc(9 << 20);
	char dir[96], first[16];
	struct stat st;
	FILE *file;

	assert_non_null(big);
	for (size_t i = 0; i < (9 << 20) / 8; i++) {
		snprintf(first, sizeof(first), "%07zu\n", i);
		memcpy(big + 8 * i, first, 8);
	}
	write_var_log(rig, "big.log", big, 9 << 20);
	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	path = text_format("%s/loop-w1/var/log/big.log", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, (4 << 20) - 8, 4 << 20);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(first, sizeof(first), file));
	assert_int_equal(strlen(first), 8);
	assert_int_equal(fseek(file, -8, SEEK_END), 0);
	assert_non_null(fgets(first, sizeof(first), file));
	assert_string_equal(first, "1179647\n");
	fclose(file);
}

/* CN-252: a node that has written more files than anybody reads; that there are more is told. */
static void a_bundle_ends_after_two_thousand_files(void **state)
{
	const struct cli_rig *rig = *state;
	char dir[96], name[32], *text;

	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	for (int i = 0; i < 2001; i++) {
		snprintf(name, sizeof(name), "%d.log", i);
		write_var_log(rig, name, "x\n", 2);
	}
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	text = read_file(dir, "errors.txt");
	assert_non_null(strstr(text, "loop-w1/var/log: more than 2000 files or 64 MiB of logs"));
	free(text);
}

/* CN-250, CN-252 */
static void a_bundle_without_a_tree_says_so(void **state)
{
	const struct cli_rig *rig = *state;
	char dir[96], *text;

	snprintf(dir, sizeof(dir), "%s/bundle", rig->dir);
	cli_expect(0, dir, "errors.txt", "export", "logs", dir, "--name", "loop", NULL);
	text = read_file(dir, "errors.txt");
	assert_non_null(strstr(text, "loop-w1/var/log: "));
	free(text);
	free(read_file(dir, "loop-w1/health.json"));
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_paused_node_says_so_everywhere),
		T(single_containers_are_paused_by_id),
		T(a_pause_that_fails_is_exit_code_1_or_worse),
		T(describe_tells_everything_about_one),
		T(a_bundle_holds_what_can_be_had),
		T(a_bundle_holds_the_logs_of_pods),
		T(a_bundle_without_a_pods_log_says_so),
		T(a_bundle_holds_the_run_before),
		T(a_bundle_holds_the_list_of_images),
		T(a_bundle_holds_the_tree_of_logs),
		T(a_bundle_is_bounded),
		T(a_bundle_ends_after_two_thousand_files),
		T(a_bundle_without_a_tree_says_so),
	};

	return cmocka_run_group_tests_name("cli life", tests, NULL, NULL);
}
