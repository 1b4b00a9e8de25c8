#include "tests/support/bench.h"

#include "controller/exec/exec.h"
#include "shared/base/deadline.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#define COMMANDS 20 /* in blocks */
#define BLOCK    5

/* A benchmark's command may take this long. */
#define COMMAND_MS (5 * 60 * 1000)

struct bench {
	const char *name;
	json_object *rows;
};

struct bench *bench_new(const char *name)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->name = name;
	b->rows = json_object_new_array();
	printf("%-64s %10s %10s\n", name, "berth", "other");
	return b;
}

int bench_finish(struct bench *b)
{
	char path[128];
	int rc;

	mkdir("build/bench", 0755);
	snprintf(path, sizeof(path), "build/bench/%s.json", b->name);
	rc = json_object_to_file_ext(path, b->rows, JSON_C_TO_STRING_PRETTY);
	json_object_put(b->rows);
	free(b);
	return rc;
}

void bench_row(struct bench *b, const char *what, double ours, double theirs, const char *unit,
	       const char *aim)
{
	json_object *item = json_object_new_object();

	printf("%-64s %10.2f %10.2f %-4s x%-8.2f %s\n", what, ours, theirs, unit,
	       ours > 0 ? theirs / ours : 0, aim);
	fflush(stdout);
	json_object_object_add(item, "what", json_object_new_string(what));
	json_object_object_add(item, "berth", json_object_new_double(ours));
	json_object_object_add(item, "other", json_object_new_double(theirs));
	json_object_object_add(item, "unit", json_object_new_string(unit));
	json_object_object_add(item, "aim", json_object_new_string(aim));
	json_object_array_add(b->rows, item);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

int64_t bench_quantile(int64_t *values, size_t count, double q)
{
	qsort(values, count, sizeof(values[0]), compare);
	return values[(size_t)((double)(count - 1) * q)];
}

int64_t bench_command_us(const struct strv *argv)
{
	struct exec_options options = { .by = deadline_in_ms(COMMAND_MS) };
	struct exec_result result = { 0 };
	int64_t start = clock_now_us(), us;
	struct err err;

	if (exec_run(argv, &options, &result, &err) < 0)
		fail_msg("%s: %s", argv->items[0], err.msg);
	us = clock_now_us() - start;
	if (result.exit_code != 0)
		fail_msg("%s: exit %d: %s", argv->items[0], result.exit_code,
			 text_str(&result.errs));
	exec_result_release(&result);
	return us;
}

void bench_words(struct strv *argv, const char *word, ...)
{
	va_list ap;

	va_start(ap, word);
	for (; word; word = va_arg(ap, const char *))
		strv_add(argv, word);
	va_end(ap);
}

void bench_pair_ms(const struct strv *ours, const struct strv *theirs, double *ret_ours,
		   double *ret_theirs)
{
	int64_t a[COMMANDS], b[COMMANDS];

	for (int i = 0; i < COMMANDS; i += BLOCK) {
		bench_command_us(ours);
		for (int j = i; j < i + BLOCK; j++)
			a[j] = bench_command_us(ours);
		bench_command_us(theirs);
		for (int j = i; j < i + BLOCK; j++)
			b[j] = bench_command_us(theirs);
	}
	*ret_ours = (double)bench_quantile(a, COMMANDS, 0.5) / 1000;
	*ret_theirs = (double)bench_quantile(b, COMMANDS, 0.5) / 1000;
}
