#include "tests/support/e2e.h"

#include "controller/exec/exec.h"
#include "shared/base/deadline.h"
#include "tests/support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* build/tests/e2e/test_x: the programs under test are two folders up. */
const char *e2e_berth(void)
{
	static char path[4096];
	const char *given = getenv("BERTH");

	if (given)
		return given;
	if (!path[0])
		program_beside("berth", path, sizeof(path));
	return path;
}

const char *e2e_cluster_name(const char *what)
{
	static char names[8][48];
	static size_t next;
	char *name = names[next++ % 8];

	snprintf(name, sizeof(names[0]), "e2e-%d-%s", (int)getpid(), what);
	return name;
}

const char *e2e_state_dir(void)
{
	static char dir[64];

	if (!dir[0]) {
		snprintf(dir, sizeof(dir), "/run/berth-e2e-%d", (int)getpid());
		assert_true(mkdir(dir, 0700) == 0);
	}
	return dir;
}

static struct e2e_output run(struct strv *argv, int timeout_s)
{
	struct exec_options options = { .by = deadline_in_ms(timeout_s * 1000) };
	struct exec_result result = { 0 };
	struct e2e_output output;
	struct err err;

	assert_false(strv_failed(argv));
	if (exec_run(argv, &options, &result, &err) < 0)
		fail_msg("%s: %s", argv->items[0], err.msg);
	output = (struct e2e_output){ .exit_code = result.exit_code, .millis = result.millis };
	output.out = text_take(&result.out);
	output.errs = text_take(&result.errs);
	exec_result_release(&result);
	strv_release(argv);
	return output;
}

static void add_words(struct strv *argv, const char *word, va_list ap)
{
	for (; word; word = va_arg(ap, const char *))
		strv_add(argv, word);
}

#define COLLECT(argv, word)                    \
	do {                                   \
		va_list ap_;                   \
		va_start(ap_, word);           \
		add_words(&(argv), word, ap_); \
		va_end(ap_);                   \
	} while (0)

const char *e2e_image(void)
{
	const char *given = getenv("BERTH_TEST_IMAGE");

	return given ? given : "localhost/berth-node:latest";
}

/* $BERTH_TEST_IMAGE is what the test's nodes are made of. */
static bool makes_nodes(const char *word)
{
	return strcmp(word, "create") == 0 && getenv("BERTH_TEST_IMAGE");
}

static void add_image(struct strv *argv, const char *word)
{
	if (!makes_nodes(word) || strv_has(argv, "--image"))
		return;
	strv_add(argv, "--image");
	strv_add(argv, e2e_image());
}

static void begin_berth(struct strv *argv)
{
	strv_add(argv, e2e_berth());
	strv_add(argv, "--state-dir");
	strv_add(argv, e2e_state_dir());
}

struct e2e_output e2e_run(int timeout_s, const char *word, ...)
{
	struct strv argv = { 0 };

	begin_berth(&argv);
	COLLECT(argv, word);
	add_image(&argv, word);
	return run(&argv, timeout_s);
}

struct e2e_output e2e_program(int timeout_s, const char *word, ...)
{
	struct strv argv = { 0 };

	COLLECT(argv, word);
	return run(&argv, timeout_s);
}

void e2e_release(struct e2e_output *output)
{
	free(output->out);
	free(output->errs);
	*output = (struct e2e_output){ 0 };
}

static void assert_success(const struct e2e_output *output, const char *what)
{
	if (output->exit_code != 0)
		fail_msg("%s: exit code %d\nstdout: %s\nstderr: %s", what, output->exit_code,
			 output->out, output->errs);
}

void e2e_ok(const char *word, ...)
{
	struct strv argv = { 0 };
	struct e2e_output output;

	begin_berth(&argv);
	COLLECT(argv, word);
	add_image(&argv, word);
	output = run(&argv, 180);
	assert_success(&output, word);
	e2e_release(&output);
}

json_object *e2e_json(const char *word, ...)
{
	struct strv argv = { 0 };
	struct e2e_output output;
	json_object *json;

	begin_berth(&argv);
	COLLECT(argv, word);
	strv_add(&argv, "-o");
	strv_add(&argv, "json");
	output = run(&argv, 180);
	assert_success(&output, word);
	json = json_tokener_parse(output.out);
	if (!json)
		fail_msg("%s: not JSON: %s", word, output.out);
	e2e_release(&output);
	return json;
}

char *e2e_stdout_of(const char *word, ...)
{
	struct strv argv = { 0 };
	struct e2e_output output;
	char *out;
	size_t len;

	COLLECT(argv, word);
	output = run(&argv, 60);
	assert_success(&output, word);
	out = TAKE(output.out);
	e2e_release(&output);
	len = strlen(out);
	while (len && (out[len - 1] == '\n' || out[len - 1] == ' '))
		out[--len] = '\0';
	return out;
}

json_object *e2e_find(json_object *array, const char *key, const char *value)
{
	assert_true(json_object_is_type(array, json_type_array));
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		json_object *item = json_object_array_get_idx(array, i);

		if (strcmp(e2e_text(item, key), value) == 0)
			return item;
	}
	return NULL;
}

const char *e2e_text(json_object *object, const char *path)
{
	char key[64];

	while (object && *path) {
		size_t len = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)len, path);
		object = json_object_object_get(object, key);
		path += len + (path[len] == '.');
	}
	return object ? json_object_get_string(object) : "";
}

static int count_lines(char *text)
{
	int lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	lines += text[0] != '\0';
	free(text);
	return lines;
}

int e2e_containers(const char *cluster)
{
	char filter[128];

	snprintf(filter, sizeof(filter), "label=io.berth.cluster=%s", cluster);
	return count_lines(
		e2e_stdout_of("podman", "ps", "-a", "-q", "--filter", filter, (char *)NULL));
}

void e2e_assert_nothing_left(const char *cluster)
{
	char filter[128], nodes[128];
	struct stat st;

	assert_int_equal(e2e_containers(cluster), 0);
	snprintf(filter, sizeof(filter), "name=%s", cluster);
	assert_int_equal(count_lines(e2e_stdout_of("podman", "volume", "ls", "-q", "--filter",
						   filter, (char *)NULL)),
			 0);
	assert_int_equal(count_lines(e2e_stdout_of("podman", "network", "ls", "-q", "--filter",
						   filter, (char *)NULL)),
			 0);
	snprintf(nodes, sizeof(nodes), "%s/nodes/%s-control-plane", e2e_state_dir(), cluster);
	assert_int_equal(stat(nodes, &st), -1);
}

void e2e_clean(const char *cluster)
{
	struct e2e_output output;

	output = e2e_run(120, "delete", "cluster", "--name", cluster, (char *)NULL);
	e2e_release(&output);
	output = e2e_program(30, "rm", "-rf", e2e_state_dir(), (char *)NULL);
	e2e_release(&output);
}

const char *e2e_file(const char *name, const char *text)
{
	static char path[8][128];
	static size_t next;
	char *p = path[next++ % 8];
	FILE *f;

	snprintf(p, sizeof(path[0]), "%s/%s", e2e_state_dir(), name);
	f = fopen(p, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return p;
}

void e2e_eventually(bool (*check)(void *arg), void *arg, int timeout_ms)
{
	struct deadline by = deadline_in_ms(timeout_ms);

	while (!check(arg)) {
		if (deadline_is_over(by))
			fail_msg("not true after %d ms", timeout_ms);
		poll(NULL, 0, 50);
	}
}
