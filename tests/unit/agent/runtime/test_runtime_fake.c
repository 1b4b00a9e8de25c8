#include "tests/support/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static int open_rig(void **state)
{
	*state = rt_open("fake", NULL);
	return 0;
}

static int close_rig(void **state)
{
	rt_close(*state);
	return 0;
}

static void make_running(struct rt_rig *rig, const char *image, char ret_id[80])
{
	char sandbox[80];

	assert_int_equal(rt_run_sandbox(rig, "u1", 0, sandbox), ERR_OK);
	assert_int_equal(rt_create(rig, sandbox, "u1", "app", image, ret_id), ERR_OK);
	assert_int_equal(rt_start(rig, ret_id), ERR_OK);
}

static void a_pod_lives_and_goes(void **state)
{
	struct rt_rig *rig = *state;
	char sandbox[80];
	char id[80];

	assert_int_equal(rt_run_sandbox(rig, "u1", 2, sandbox), ERR_OK);
	assert_int_equal(rt_sandbox_status(rig, sandbox), ERR_OK);
	assert_string_equal(rig->answer.items[0].ip, "10.88.0.2");
	assert_string_equal(rig->answer.items[0].pod, "pod-u1");
	assert_int_equal(rig->answer.items[0].attempt, 2);
	assert_true(rig->answer.items[0].ready);

	assert_int_equal(rt_create(rig, sandbox, "u1", "app", "demo:1", id), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_CREATED);
	assert_int_equal(rt_start(rig, id), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_RUNNING);
	assert_true(rig->answer.items[0].started_ns > 0);
	assert_int_equal(rt_stop(rig, id, 5, 2000), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_EXITED);
	assert_string_equal(rig->answer.items[0].reason, "Completed");

	assert_int_equal(rt_remove(rig, id), ERR_OK);
	assert_int_equal(rt_stop_sandbox(rig, sandbox), ERR_OK);
	assert_int_equal(rt_remove_sandbox(rig, sandbox), ERR_OK);
	assert_int_equal(rt_list_sandboxes(rig, NULL, NULL), ERR_OK);
	assert_int_equal(rig->answer.item_count, 0);
}

static void what_it_has_outlives_the_agent(void **state)
{
	struct rt_rig *rig = *state;
	char id[80];

	make_running(rig, "demo:1", id);
	rt_reopen(rig, "fake");
	assert_int_equal(rt_list(rig, NULL, "u1"), ERR_OK);
	assert_int_equal(rig->answer.item_count, 1);
	assert_string_equal(rig->answer.items[0].id, id);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_RUNNING);
	assert_string_equal(rig->answer.items[0].annotation_note, "a=b c");
	assert_int_equal(rt_list_sandboxes(rig, NULL, NULL), ERR_OK);
	assert_string_equal(rig->answer.items[0].label_app, "two words % = x");
	assert_string_equal(rig->answer.items[0].annotation_note, "line 1\nline 2");
}

static void every_side_effect_is_told_once(void **state)
{
	struct rt_rig *rig = *state;
	char line[128];
	char id[80];

	make_running(rig, "demo:1", id);
	assert_int_equal(rt_stop(rig, id, 3, 2000), ERR_OK);
	assert_int_equal(rt_stop(rig, id, 3, 2000), ERR_OK);
	assert_int_equal(rt_remove(rig, id), ERR_OK);
	assert_int_equal(rt_remove(rig, id), ERR_OK);
	assert_int_equal(rt_count_effects(rig, "run-sandbox u1 0 "), 1);
	assert_int_equal(rt_count_effects(rig, "create-container u1 app 0 "), 1);
	snprintf(line, sizeof(line), "start %s ", id);
	assert_int_equal(rt_count_effects(rig, line), 1);
	snprintf(line, sizeof(line), "stop %s 3 ", id);
	assert_int_equal(rt_count_effects(rig, line), 1);
	snprintf(line, sizeof(line), "remove %s ", id);
	assert_int_equal(rt_count_effects(rig, line), 1);
	assert_int_equal(rt_count_effects(rig, ""), 5);
}

static void the_same_attempt_is_made_once(void **state)
{
	struct rt_rig *rig = *state;
	char sandbox[80];
	char id[80];

	assert_int_equal(rt_run_sandbox(rig, "u1", 0, sandbox), ERR_OK);
	assert_int_equal(rt_run_sandbox(rig, "u1", 0, id), ERR_ALREADY_EXISTS);
	assert_int_equal(rt_run_sandbox(rig, "u1", 1, id), ERR_OK);
	assert_int_equal(rt_create(rig, sandbox, "u1", "app", "demo", id), ERR_OK);
	assert_int_equal(rt_create(rig, sandbox, "u1", "app", "demo", id), ERR_ALREADY_EXISTS);
}

/* PS-044 */
static void lists_are_newest_first_and_filtered(void **state)
{
	struct rt_rig *rig = *state;
	char first[80];
	char second[80];
	char other[80];

	assert_int_equal(rt_run_sandbox(rig, "u1", 0, first), ERR_OK);
	assert_int_equal(rt_run_sandbox(rig, "u1", 1, second), ERR_OK);
	assert_int_equal(rt_run_sandbox(rig, "u2", 0, other), ERR_OK);
	assert_int_equal(rt_list_sandboxes(rig, NULL, "u1"), ERR_OK);
	assert_int_equal(rig->answer.item_count, 2);
	assert_string_equal(rig->answer.items[0].id, second);
	assert_string_equal(rig->answer.items[1].id, first);

	other[12] = '\0';
	assert_int_equal(rt_list_sandboxes(rig, other, ""), ERR_OK);
	assert_int_equal(rig->answer.item_count, 1);
	assert_string_equal(rig->answer.items[0].uid, "u2");
	assert_string_equal(rig->answer.items[0].ip, "");
}

static void absent_things_are_told_as_promised(void **state)
{
	struct rt_rig *rig = *state;
	char id[80];

	assert_int_equal(rt_sandbox_status(rig, "nope"), ERR_NOT_FOUND);
	assert_int_equal(rt_status(rig, "nope"), ERR_NOT_FOUND);
	assert_int_equal(rt_start(rig, "nope"), ERR_NOT_FOUND);
	assert_int_equal(rt_stop(rig, "nope", 0, 500), ERR_NOT_FOUND);
	assert_int_equal(rt_create(rig, "nope", "u", "app", "demo", id), ERR_NOT_FOUND);
	assert_int_equal(rt_remove(rig, "nope"), ERR_OK);
	assert_int_equal(rt_stop_sandbox(rig, "nope"), ERR_OK);
	assert_int_equal(rt_remove_sandbox(rig, "nope"), ERR_OK);
	assert_int_equal(rt_count_effects(rig, ""), 0);
}

static void an_empty_name_is_refused_before_the_backend(void **state)
{
	struct rt_rig *rig = *state;

	assert_int_equal(rt_status(rig, ""), ERR_INVALID_ARGUMENT);
	assert_int_equal(rt_start(rig, ""), ERR_INVALID_ARGUMENT);
	assert_int_equal(rt_sandbox_status(rig, ""), ERR_INVALID_ARGUMENT);
	assert_int_equal(rt_image_status(rig, ""), ERR_INVALID_ARGUMENT);
}

static void a_running_container_is_not_removed(void **state)
{
	struct rt_rig *rig = *state;
	char id[80];

	make_running(rig, "demo", id);
	assert_int_equal(rt_remove(rig, id), ERR_FAILED_PRECONDITION);
	assert_int_equal(rt_stop(rig, id, 0, 500), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].exit_code, 137);
	assert_int_equal(rt_remove(rig, id), ERR_OK);
}

static void stopping_a_sandbox_ends_its_containers(void **state)
{
	struct rt_rig *rig = *state;
	char sandbox[80];
	char id[80];

	assert_int_equal(rt_run_sandbox(rig, "u1", 0, sandbox), ERR_OK);
	assert_int_equal(rt_create(rig, sandbox, "u1", "app", "demo", id), ERR_OK);
	assert_int_equal(rt_start(rig, id), ERR_OK);
	assert_int_equal(rt_stop_sandbox(rig, sandbox), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_EXITED);
	assert_int_equal(rt_remove_sandbox(rig, sandbox), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_NOT_FOUND);
}

static void images_are_there_missing_or_remote(void **state)
{
	struct rt_rig *rig = *state;

	assert_int_equal(rt_image_status(rig, "demo:1"), ERR_OK);
	assert_string_equal(rig->answer.text, "demo:1");
	assert_int_equal(rt_image_status(rig, "missing:1"), ERR_OK);
	assert_false(rig->answer.has_text);
	assert_int_equal(rt_pull(rig, "missing:1"), ERR_NOT_FOUND);
	assert_int_equal(rt_image_status(rig, "remote:1"), ERR_OK);
	assert_false(rig->answer.has_text);
	assert_int_equal(rt_pull(rig, "remote:1"), ERR_OK);
	assert_int_equal(rt_image_status(rig, "remote:1"), ERR_OK);
	assert_true(rig->answer.has_text);
}

static void images_named_for_it_exit_at_once(void **state)
{
	struct rt_rig *rig = *state;
	char sandbox[80];
	char id[80];

	assert_int_equal(rt_run_sandbox(rig, "u1", 0, sandbox), ERR_OK);
	assert_int_equal(rt_create(rig, sandbox, "u1", "a", "exit0:1", id), ERR_OK);
	assert_int_equal(rt_start(rig, id), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].exit_code, 0);
	assert_string_equal(rig->answer.items[0].reason, "Completed");
	assert_int_equal(rt_create(rig, sandbox, "u1", "b", "exit1:1", id), ERR_OK);
	assert_int_equal(rt_start(rig, id), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].exit_code, 1);
	assert_string_equal(rig->answer.items[0].reason, "Error");
	assert_int_equal(rt_create(rig, sandbox, "u1", "c", "nostart:1", id), ERR_OK);
	assert_int_equal(rt_start(rig, id), ERR_UNKNOWN);
}

static void a_hanging_start_ends_at_the_deadline_without_effect(void **state)
{
	struct rt_rig *rig = *state;
	struct rt_answer a = { 0 };
	char sandbox[80];
	char id[80];

	assert_int_equal(rt_run_sandbox(rig, "u1", 0, sandbox), ERR_OK);
	assert_int_equal(rt_create(rig, sandbox, "u1", "app", "hang:1", id), ERR_OK);
	runtime_start_container(rig->rt, id, deadline_in_ms(80), rt_done, &a);
	rt_wait(rig, &a, 20000);
	assert_int_equal(a.err.code, ERR_DEADLINE_EXCEEDED);
	assert_in_range(a.took_ms, 70, 5000);
	assert_int_equal(rt_count_effects(rig, "start "), 0);
}

static void a_slow_container_uses_its_whole_grace(void **state)
{
	struct rt_rig *rig = *state;
	char id[80];

	make_running(rig, "slow-stop:1", id);
	assert_int_equal(rt_stop(rig, id, 1, 2000), ERR_OK);
	assert_in_range(rig->answer.took_ms, 990, 6000);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].exit_code, 137);
	assert_int_equal(rt_count_effects(rig, "stop "), 1);
}

static void an_unstoppable_container_dies_by_kill_only(void **state)
{
	struct rt_rig *rig = *state;
	char id[80];

	make_running(rig, "unstoppable:1", id);
	assert_int_equal(rt_stop(rig, id, 1, 2000), ERR_DEADLINE_EXCEEDED);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_RUNNING);
	assert_int_equal(rt_stop(rig, id, 0, 2000), ERR_OK);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_EXITED);
}

static void a_runtime_that_is_down_is_unavailable(void **state)
{
	struct rt_rig *rig = *state;
	char id[80];

	rt_flag(rig, "down", true);
	assert_int_equal(rt_get_info(rig), ERR_UNAVAILABLE);
	assert_int_equal(rt_run_sandbox(rig, "u1", 0, id), ERR_UNAVAILABLE);
	rt_flag(rig, "down", false);
	assert_int_equal(rt_get_info(rig), ERR_OK);
	assert_string_equal(rig->answer.text, "fake 1.0.0 1 1");
	rt_flag(rig, "notready", true);
	assert_int_equal(rt_get_info(rig), ERR_OK);
	assert_string_equal(rig->answer.text, "fake 1.0.0 0 0");
}

static void a_hung_runtime_runs_into_the_deadline(void **state)
{
	struct rt_rig *rig = *state;
	struct rt_answer a = { 0 };

	rt_flag(rig, "hung", true);
	runtime_list_containers(rig->rt, NULL, deadline_in_ms(60), rt_containers, &a);
	rt_wait(rig, &a, 20000);
	assert_int_equal(a.err.code, ERR_DEADLINE_EXCEEDED);
	assert_in_range(a.took_ms, 50, 5000);
}

static void one_call_can_be_told_to_fail(void **state)
{
	struct rt_rig *rig = *state;
	char id[80];

	rt_flag(rig, "fail-run-sandbox", true);
	assert_int_equal(rt_run_sandbox(rig, "u1", 0, id), ERR_INTERNAL);
	assert_int_equal(rt_get_info(rig), ERR_OK);
	rt_flag(rig, "fail-run-sandbox", false);
	assert_int_equal(rt_run_sandbox(rig, "u1", 0, id), ERR_OK);
	assert_int_equal(rt_count_effects(rig, "run-sandbox"), 1);
}

static void a_container_can_die_by_itself(void **state)
{
	struct rt_rig *rig = *state;
	char line[128];
	char id[80];

	make_running(rig, "demo", id);
	snprintf(line, sizeof(line), "exit %s 42 7\n", id);
	rt_append_effect(rig, line);
	assert_int_equal(rt_status(rig, id), ERR_OK);
	assert_int_equal(rig->answer.items[0].state, RUNTIME_EXITED);
	assert_int_equal(rig->answer.items[0].exit_code, 42);
	assert_int_equal(rig->answer.items[0].finished_ns, 7);
}

static void a_torn_effect_never_happened(void **state)
{
	struct rt_rig *rig = *state;
	char id[80];

	make_running(rig, "demo", id);
	rt_append_effect(rig, "garbage\n\nstart\nremove ");
	rt_append_effect(rig, id);
	rt_reopen(rig, "fake");
	assert_int_equal(rt_list(rig, NULL, NULL), ERR_OK);
	assert_int_equal(rig->answer.item_count, 1);
	assert_int_equal(rt_stop(rig, id, 0, 500), ERR_OK);
	assert_int_equal(rt_count_effects(rig, "stop "), 1);
	assert_int_equal(rt_count_effects(rig, "remove "), 0);
}

static void closing_cancels_what_is_pending(void **state)
{
	struct rt_rig *rig = *state;
	struct rt_answer hung = { 0 };
	struct rt_answer refused = { 0 };

	rt_flag(rig, "hung", true);
	runtime_get_info(rig->rt, DEADLINE_NEVER, rt_info, &hung);
	runtime_start_container(rig->rt, "", DEADLINE_NEVER, rt_done, &refused);
	rt_reopen(rig, "fake");
	assert_int_equal(hung.count, 1);
	assert_int_equal(hung.err.code, ERR_CANCELLED);
	assert_int_equal(refused.count, 1);
	assert_int_equal(refused.err.code, ERR_CANCELLED);
}

static void an_unknown_backend_is_refused(void **state)
{
	struct runtime *rt = NULL;
	struct rt_rig *rig = *state;
	struct err err;

	assert_int_equal(runtime_open("nope", "x", rig->loop, &rt, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.reason, "UNKNOWN_RUNTIME_BACKEND");
	assert_int_equal(runtime_open("fake", "/dev/null/x", rig->loop, &rt, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_null(rt);
	assert_string_equal(runtime_backend(rig->rt), "fake");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pod_lives_and_goes),
		TEST(what_it_has_outlives_the_agent),
		TEST(every_side_effect_is_told_once),
		TEST(the_same_attempt_is_made_once),
		TEST(lists_are_newest_first_and_filtered),
		TEST(absent_things_are_told_as_promised),
		TEST(an_empty_name_is_refused_before_the_backend),
		TEST(a_running_container_is_not_removed),
		TEST(stopping_a_sandbox_ends_its_containers),
		TEST(images_are_there_missing_or_remote),
		TEST(images_named_for_it_exit_at_once),
		TEST(a_hanging_start_ends_at_the_deadline_without_effect),
		TEST(a_slow_container_uses_its_whole_grace),
		TEST(an_unstoppable_container_dies_by_kill_only),
		TEST(a_runtime_that_is_down_is_unavailable),
		TEST(a_hung_runtime_runs_into_the_deadline),
		TEST(one_call_can_be_told_to_fail),
		TEST(a_container_can_die_by_itself),
		TEST(a_torn_effect_never_happened),
		TEST(closing_cancels_what_is_pending),
		TEST(an_unknown_backend_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
