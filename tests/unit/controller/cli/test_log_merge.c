#include "controller/cli/log_merge.h"

#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	struct log_merge *merge;
	struct text text; /* "0:a 1:b " */
	int64_t last_ns;
	const char *last_stream;
	unsigned unordered;
};

static int keep(void *arg, size_t source, const struct log_line *line, struct err *err)
{
	struct rig *rig = arg;

	(void)err;
	assert_int_equal(strlen(line->text), line->len);
	text_addf(&rig->text, "%zu:%s ", source, line->text);
	rig->unordered += line->time_ns < rig->last_ns;
	rig->last_ns = line->time_ns;
	rig->last_stream = line->stream;
	return 0;
}

static void open_rig(struct rig *rig, size_t sources, int64_t window_ms)
{
	*rig = (struct rig){ 0 };
	rig->merge = log_merge_new(sources, window_ms, keep, rig);
	assert_non_null(rig->merge);
}

static void close_rig(struct rig *rig)
{
	log_merge_free(rig->merge);
	text_release(&rig->text);
}

static void put(struct rig *rig, size_t source, const char *text, int64_t now_ms)
{
	struct err err;

	assert_int_equal(log_merge_put(rig->merge, source, text, strlen(text), now_ms, &err), 0);
}

static void end(struct rig *rig, size_t source)
{
	struct err err;

	assert_int_equal(log_merge_end(rig->merge, source, &err), 0);
}

static void expect(struct rig *rig, const char *wanted)
{
	assert_string_equal(text_str(&rig->text), wanted);
}

#define AT(s) "2026-01-01T00:00:0" #s ".000000000Z stdout F "

static void one_source_goes_straight_through(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 1, -1);
	put(&rig, 0, AT(2) "b\n" AT(1) "a\n" AT(3), 0);
	expect(&rig, "0:b 0:a ");
	put(&rig, 0, "c\n", 0);
	expect(&rig, "0:b 0:a 0:c ");
	assert_string_equal(rig.last_stream, "stdout");
	close_rig(&rig);
}

static void several_come_in_the_order_of_their_times(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 3, -1);
	put(&rig, 0, AT(1) "a\n" AT(4) "d\n", 0);
	put(&rig, 2, AT(3) "c\n", 0);
	expect(&rig, ""); /* 1 may yet be the earliest */
	put(&rig, 1, AT(2) "b\n" AT(5) "e\n", 1000000);
	expect(&rig, "0:a 1:b 2:c ");
	end(&rig, 2);
	expect(&rig, "0:a 1:b 2:c 0:d ");
	end(&rig, 0);
	expect(&rig, "0:a 1:b 2:c 0:d 1:e ");
	close_rig(&rig);
}

static void followed_lines_wait_no_longer_than_the_window(void **state)
{
	struct rig rig;
	struct err err;

	(void)state;
	open_rig(&rig, 2, 250);
	put(&rig, 0, AT(3) "c\n", 1000);
	put(&rig, 1, AT(1) "a\n", 1100);
	expect(&rig, "1:a ");
	assert_int_equal(log_merge_tick(rig.merge, 1249, &err), 0);
	expect(&rig, "1:a ");
	put(&rig, 1, AT(2) "b\n", 1249);
	expect(&rig, "1:a 1:b ");
	assert_int_equal(log_merge_tick(rig.merge, 1250, &err), 0);
	expect(&rig, "1:a 1:b 0:c ");
	close_rig(&rig);
}

/* CRI's parts of a long line, of two streams at a time. */
static void parts_of_a_line_are_put_together(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 1, -1);
	put(&rig, 0,
	    "2026-01-01T00:00:01Z stdout P one \n"
	    "2026-01-01T00:00:02Z stderr P two \n"
	    "2026-01-01T00:00:03Z stdout P and \n"
	    "2026-01-01T00:00:04Z stdout F half\n"
	    "2026-01-01T00:00:05Z stderr F more\n"
	    "2026-01-01T00:00:06Z stdout P left",
	    0);
	expect(&rig, "0:one and half 0:two more ");
	assert_string_equal(rig.last_stream, "stderr");
	end(&rig, 0);
	expect(&rig, "0:one and half 0:two more 0:left ");
	close_rig(&rig);
}

static void what_has_another_form_goes_through_as_it_is(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 1, -1);
	put(&rig, 0,
	    AT(1) "known\n"
		  "{\"log\":\"x\"}\n"
		  "2026-01-01T00:00:02Z\n"
		  "2026-01-01T00:00:02Z stdout\n"
		  "2026-01-01T00:00:02Z stdout F\n"
		  "2026-01-01T00:00:02Z other F x\n"
		  "\n",
	    0);
	expect(&rig, "0:known 0:{\"log\":\"x\"} 0:2026-01-01T00:00:02Z "
		     "0:2026-01-01T00:00:02Z stdout 0:2026-01-01T00:00:02Z stdout F "
		     "0:2026-01-01T00:00:02Z other F x 0: ");
	assert_int_equal(rig.unordered, 0);
	close_rig(&rig);
}

/* Cut anywhere by the way it came, a log is the same. */
static void pieces_make_no_difference(void **state)
{
	static const char log[] = AT(1) "a\n" AT(2) "b c\n2026-01-01T00:00:03Z stderr F d\n";

	(void)state;
	for (size_t size = 1; size < sizeof(log); size++) {
		struct rig rig;

		open_rig(&rig, 1, -1);
		for (size_t at = 0; at < sizeof(log) - 1; at += size) {
			cleanup_free char *piece = strndup(log + at, size);

			put(&rig, 0, piece, 0);
		}
		end(&rig, 0);
		expect(&rig, "0:a 0:b c 0:d ");
		close_rig(&rig);
	}
}

static void random_sources_come_out_in_order_and_whole(void **state)
{
	struct rig rig;
	unsigned lines = 0, seed = 1;
	int64_t second[4] = { 0 };

	(void)state;
	open_rig(&rig, 4, -1);
	for (int i = 0; i < 20000; i++) {
		size_t source = (seed = seed * 1103515245 + 12345) >> 16 & 3;
		char line[80];

		second[source] += (seed >> 20) & 7;
		snprintf(line, sizeof(line), "2026-01-01T%02d:%02d:%02dZ stdout F x\n",
			 (int)(second[source] / 3600 % 24), (int)(second[source] / 60 % 60),
			 (int)(second[source] % 60));
		put(&rig, source, line, 0);
		lines++;
	}
	for (size_t i = 0; i < 4; i++)
		end(&rig, i);
	assert_int_equal(rig.unordered, 0);
	assert_int_equal(rig.text.len, lines * strlen("0:x "));
	close_rig(&rig);
}

static void source_that_runs_ahead_is_full(void **state)
{
	struct rig rig;

	(void)state;
	open_rig(&rig, 2, -1);
	for (size_t i = 0; i <= LOG_MERGE_BYTES / 100; i++)
		put(&rig, 0,
		    AT(1) "0123456789012345678901234567890123456789012345678901234567890123456789"
			  "012345678901234567890123456789\n",
		    0);
	assert_true(log_merge_is_full(rig.merge, 0));
	end(&rig, 1);
	assert_false(log_merge_is_full(rig.merge, 0));
	close_rig(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_source_goes_straight_through),
		cmocka_unit_test(several_come_in_the_order_of_their_times),
		cmocka_unit_test(followed_lines_wait_no_longer_than_the_window),
		cmocka_unit_test(parts_of_a_line_are_put_together),
		cmocka_unit_test(what_has_another_form_goes_through_as_it_is),
		cmocka_unit_test(pieces_make_no_difference),
		cmocka_unit_test(random_sources_come_out_in_order_and_whole),
		cmocka_unit_test(source_that_runs_ahead_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
