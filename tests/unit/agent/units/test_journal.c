#include "agent/units/journal.h"

#include "shared/base/utf8.h"
#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
	struct sd_event *loop;
	char dir[64];
	char program[96]; /* stands for journalctl */
	unsigned calls;
	int64_t at_ms;
	char text[JOURNAL_MAX_BYTES + 1];
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_true(sd_event_new(&rig->loop) >= 0);
	make_dir(rig->dir);
	snprintf(rig->program, sizeof(rig->program), "%s/journalctl", rig->dir);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	sd_event_unref(rig->loop);
	remove_dir(rig->dir);
	free(rig);
	return 0;
}

static void write_program(const struct rig *rig, const char *script)
{
	FILE *file = fopen(rig->program, "we");

	assert_non_null(file);
	assert_true(fprintf(file, "#!/bin/sh\n%s\n", script) > 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(rig->program, 0700), 0);
}

static void on_journal(void *arg, const char *text)
{
	struct rig *rig = arg;

	rig->calls++;
	rig->at_ms = clock_now_ms();
	snprintf(rig->text, sizeof(rig->text), "%s", text);
}

static bool is_done(void *arg)
{
	return ((struct rig *)arg)->calls > 0;
}

static bool no_child_left(void *arg)
{
	siginfo_t info;

	(void)arg;
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0;
}

static void read_tail(struct rig *rig, int64_t by_ms)
{
	assert_non_null(journal_tail_start(rig->loop, rig->program, "x.service", 1700000000,
					   deadline_in_ms(by_ms), on_journal, rig));
	assert_int_equal(rig->calls, 0);
	loop_until(rig->loop, is_done, rig, by_ms + 500);
	assert_int_equal(rig->calls, 1);
	loop_until(rig->loop, no_child_left, NULL, 2000);
}

/* NS-032 */
static void journalctl_is_asked_for_the_units_last_lines(void **state)
{
	struct rig *rig = *state;

	write_program(rig, "echo \"$@\"");
	read_tail(rig, 2000);
	assert_non_null(strstr(rig->text, "--unit=x.service"));
	assert_non_null(strstr(rig->text, "--lines=20"));
	assert_non_null(strstr(rig->text, "--since=@1700000000"));
}

/* NS-032: a journal that hangs costs its second, no more; nothing is left behind. */
static void journalctl_that_hangs_is_cut_off(void **state)
{
	struct rig *rig = *state;
	int64_t start_ms = clock_now_ms();

	write_program(rig, "echo first; exec sleep 60");
	read_tail(rig, 300);
	assert_string_equal(rig->text, "first\n");
	assert_in_range(rig->at_ms - start_ms, 299, 5000);
}

/* NS-032 */
static void endless_text_keeps_its_end(void **state)
{
	struct rig *rig = *state;

	write_program(rig, "i=0; while [ $i -lt 3000 ]; do echo \"line $i\"; i=$((i + 1)); done");
	read_tail(rig, 5000);
	assert_true(strlen(rig->text) <= JOURNAL_MAX_BYTES);
	assert_string_equal(rig->text + strlen(rig->text) - strlen("line 2999\n"), "line 2999\n");
}

static void missing_journalctl_is_told_at_once(void **state)
{
	struct rig *rig = *state;

	assert_null(journal_tail_start(rig->loop, rig->program, "x.service", 0,
				       deadline_in_ms(1000), on_journal, rig));
	assert_int_equal(rig->calls, 0);
}

static void stopped_tail_says_nothing(void **state)
{
	struct journal_tail *tail;
	struct rig *rig = *state;

	write_program(rig, "exec sleep 60");
	tail = journal_tail_start(rig->loop, rig->program, "x.service", 0, deadline_in_ms(5000),
				  on_journal, rig);
	assert_non_null(tail);
	loop_for(rig->loop, 50);
	journal_tail_stop(tail);
	loop_until(rig->loop, no_child_left, NULL, 2000);
	assert_int_equal(rig->calls, 0);
}

static void assert_flat(const char *text, size_t size, const char *want)
{
	char out[512];

	journal_flatten(text, out, size);
	assert_string_equal(out, want);
}

static void last_lines_that_fit_become_one(void **state)
{
	(void)state;
	assert_flat("", 100, "");
	assert_flat("one\n", 100, "one");
	assert_flat("one\ntwo\n\nthree\n", 100, "one | two | three");
	assert_flat("one\ntwo\nthree", 12, "two | three");
	assert_flat("one\ntwo\nthree", 11, "three");
	assert_flat("a very long line\n", 7, "a very");
	assert_flat("tab\there \xff\n", 100, "tab here ?");
}

static void assert_copy(const char *src, size_t size, const char *want)
{
	char out[64];

	assert_int_equal(utf8_copy(out, size, src), strlen(want));
	assert_string_equal(out, want);
}

/* I4 */
static void only_valid_utf8_is_copied(void **state)
{
	(void)state;
	assert_copy("plain", 64, "plain");
	assert_copy("plain", 3, "pl");
	assert_copy("plain", 1, "");
	assert_copy("k\xc3\xa4se \xe2\x82\xac \xf0\x9f\x98\x80", 64,
		    "k\xc3\xa4se \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_copy("k\xc3\xa4", 3, "k");
	assert_copy("\xc3", 64, "?");
	assert_copy("\xc0\x80", 64, "??");
	assert_copy("\xed\xa0\x80", 64, "???");
	assert_copy("\xf4\x90\x80\x80", 64, "????");
	assert_copy("\xe0\x80\x80", 64, "???");
	assert_copy("a\tb\x7f", 64, "a b ");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(journalctl_is_asked_for_the_units_last_lines),
		test(journalctl_that_hangs_is_cut_off),
		test(endless_text_keeps_its_end),
		test(missing_journalctl_is_told_at_once),
		test(stopped_tail_says_nothing),
		cmocka_unit_test(last_lines_that_fit_become_one),
		cmocka_unit_test(only_valid_utf8_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
