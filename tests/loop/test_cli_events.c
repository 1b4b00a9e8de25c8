/* `get events` and `get processes` against a real agent with fake backends. */
#include "tests/support/cli.h"
#include "tests/support/cli_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NS-206 */
static void what_was_done_is_listed_with_time_and_reason(void **state)
{
	struct json_object *rows, *event;

	(void)state;
	cli_expect(0, "stopped", "", "stop", "unit", "kubelet", "-N", "loop-w1", NULL);
	cli_expect(0, "started", "", "start", "unit", "kubelet", "-N", "loop-w1", NULL);
	rows = cli_rows(cli_run("get", "events", "-N", "loop-w1", "-o", "json", NULL));
	event = cli_find(rows, "reason", "Stopped");
	assert_string_equal(cli_text(event, "node"), "loop-w1");
	assert_string_equal(cli_text(event, "kind"), "unit");
	assert_string_equal(cli_text(event, "object"), "kubelet.service");
	assert_string_equal(cli_text(event, "type"), "Normal");
	assert_true(json_object_get_int64(json_object_object_get(event, "timeNanos")) > 0);
	event = cli_find(rows, "kind", "agent");
	assert_string_equal(cli_text(event, "reason"), "Started");
	json_object_put(rows);
}

static void tail_globs_and_warnings_pick_some(void **state)
{
	struct json_object *rows;

	(void)state;
	cli_expect(3, "", "", "start", "unit", "nosuch", "-N", "loop-w1", NULL);
	rows = cli_rows(
		cli_run("get", "events", "--tail", "1", "-N", "loop-w1", "-o", "json", NULL));
	assert_int_equal(json_object_array_length(rows), 1);
	json_object_put(rows);
	rows = cli_rows(
		cli_run("get", "events", "--warnings", "-N", "loop-w1", "-o", "json", NULL));
	assert_int_equal(json_object_array_length(rows), 1);
	assert_string_equal(cli_text(json_object_array_get_idx(rows, 0), "object"), "nosuch");
	json_object_put(rows);
	rows = cli_rows(cli_run("get", "events", "kubelet*", "-N", "loop-w1", "-o", "json", NULL));
	assert_string_equal(cli_text(json_object_array_get_idx(rows, 0), "object"),
			    "kubelet.service");
	json_object_put(rows);
}

/* NS-281: what is there comes at once, and a watch ends when it was told to. */
static void watch_goes_on_until_its_time_is_over(void **state)
{
	(void)state;
	cli_expect(0, "Started  berthd  loop-w1", "", "get", "events", "--watch", "--timeout",
		   "300ms", "-N", "loop-w1", NULL);
	cli_expect(0, "\"reason\":\"Started\"", "", "get", "events", "-w", "--timeout", "300ms",
		   "-o", "json", "-N", "loop-w1", NULL);
}

/* NS-203: an agent under test has no processes to show, nor to end. */
static void agent_under_test_touches_no_process(void **state)
{
	struct json_object *rows;

	(void)state;
	rows = cli_rows(cli_run("get", "processes", "-N", "loop-w1", "-o", "json", NULL));
	assert_int_equal(json_object_array_length(rows), 0);
	json_object_put(rows);
	cli_expect(3, "", "there is no process 4711", "kill", "process", "4711", "-N", "loop-w1",
		   NULL);
	cli_expect(2, "", "'web' is no process id", "kill", "process", "web", "-N", "loop-w1",
		   NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_done_is_listed_with_time_and_reason),
		cmocka_unit_test(tail_globs_and_warnings_pick_some),
		cmocka_unit_test(watch_goes_on_until_its_time_is_over),
		cmocka_unit_test(agent_under_test_touches_no_process),
	};

	return cmocka_run_group_tests(tests, cli_rig_setup, cli_rig_teardown);
}
