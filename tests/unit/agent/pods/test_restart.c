/* Killing the agent at any instant, and every call of the runtime failing: nothing lost, nothing
 * doubled. A kill is a close in the middle: what was under way is never finished by the old agent. */
#include "tests/support/podrig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* More turns of the loop than a whole story takes. */
#define INSTANTS 60

static void assert_story(struct podrig *rig, const char *wanted, unsigned instant)
{
	cleanup_free char *story = podrig_story(rig);

	if (strcmp(story, wanted) != 0)
		print_error("killed after %u turns\n", instant);
	assert_string_equal(story, wanted);
}

/* PS-326 */
static void killed_while_a_pod_comes_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < INSTANTS; i++) {
		struct podrig *rig = podrig_open();

		assert_int_equal(podrig_apply(rig, "a:init=exit0:1 c1 c2"), ERR_OK);
		podrig_turns(rig, i);
		podrig_restart(rig);
		assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
		assert_story(rig,
			     "run-sandbox create:a start:a create:c1 start:c1 create:c2 start:c2",
			     i);
		podrig_close(rig);
	}
}

/* PS-326: the intent to start again survives, although the policy is Never. */
static void killed_while_a_container_changes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < INSTANTS; i += 2) {
		struct podrig *rig = podrig_open();

		assert_int_equal(podrig_apply(rig, "Never c1 c2"), ERR_OK);
		assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
		assert_int_equal(podrig_apply(rig, "Never c1=img:2 c2"), ERR_OK);
		podrig_turns(rig, i);
		podrig_restart(rig);
		podrig_until_effects(rig, "start", 3);
		assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
		assert_story(rig,
			     "run-sandbox create:c1 start:c1 create:c2 start:c2 stop:c1 "
			     "create:c1 start:c1",
			     i);
		podrig_close(rig);
	}
}

/* PS-326 */
static void killed_while_a_pod_goes_away(void **state)
{
	(void)state;
	for (unsigned i = 0; i < INSTANTS; i += 2) {
		struct podrig *rig = podrig_open();

		assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
		assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
		assert_int_equal(podrig_delete(rig, -1), ERR_OK);
		podrig_turns(rig, i);
		podrig_restart(rig);
		assert_int_equal(podrig_wait(rig, true, 5000), ERR_OK);
		assert_story(rig,
			     "run-sandbox create:c1 start:c1 stop:c1 stop-sandbox remove:c1 "
			     "remove-sandbox",
			     i);
		podrig_close(rig);
	}
}

/* PS-326: at every instant there is one pod of the name, and in the end it is the new one. */
static void killed_while_a_pod_is_replaced(void **state)
{
	(void)state;
	for (unsigned i = 0; i < INSTANTS; i += 3) {
		struct podrig *rig = podrig_open();
		cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("host c1");

		pod->metadata->uid[0] = '\0';
		assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
		assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
		assert_int_equal(podrig_apply_pod(rig, pod), ERR_OK);
		podrig_turns(rig, i);
		podrig_restart(rig);
		podrig_until_effects(rig, "start", 2);
		assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
		assert_story(rig,
			     "run-sandbox create:c1 start:c1 stop:c1 stop-sandbox remove:c1 "
			     "remove-sandbox run-sandbox create:c1 start:c1",
			     i);
		podrig_close(rig);
	}
}

static const char *const calls[] = { "list-sandboxes",   "list-containers",
				     "sandbox-status",   "container-status",
				     "run-sandbox",      "image-status",
				     "create-container", "start" };

/* PS-324 */
static void each_call_failing_for_a_while_delays_and_no_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		struct podrig *rig = podrig_open();
		char flag[64];

		snprintf(flag, sizeof(flag), "fail-%s", calls[i]);
		rt_flag(rig->rt, flag, true);
		assert_int_equal(podrig_apply(rig, "a:init=exit0:1 c1"), ERR_OK);
		assert_int_equal(podrig_wait(rig, false, 200), ERR_DEADLINE_EXCEEDED);
		rt_flag(rig->rt, flag, false);
		assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
		assert_story(rig, "run-sandbox create:a start:a create:c1 start:c1", 0);
		podrig_close(rig);
	}
}

/* PS-324 */
static void each_call_of_the_end_failing_leaves_nothing_behind(void **state)
{
	static const char *const ends[] = { "stop", "stop-sandbox", "remove-sandbox",
					    "list-containers" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct podrig *rig = podrig_open();
		char flag[64];

		assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
		assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
		snprintf(flag, sizeof(flag), "fail-%s", ends[i]);
		rt_flag(rig->rt, flag, true);
		assert_int_equal(podrig_delete(rig, -1), ERR_OK);
		/* A sandbox that stops takes along a container that would not (PS-120). */
		if (i > 0)
			assert_int_equal(podrig_wait(rig, true, 200), ERR_DEADLINE_EXCEEDED);
		rt_flag(rig->rt, flag, false);
		assert_int_equal(podrig_wait(rig, true, 5000), ERR_OK);
		assert_int_equal(podrig_count(rig, "run-sandbox"), 1);
		assert_int_equal(podrig_count(rig, "remove-sandbox"), 1);
		podrig_close(rig);
	}
}

/* NS-107 */
static void runtime_that_is_down_is_waited_for(void **state)
{
	struct podrig *rig = podrig_open();

	(void)state;
	rt_flag(rig->rt, "down", true);
	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_list(rig), ERR_OK);
	assert_string_equal(rig->answer.phase, "Pending");
	assert_non_null(strstr(rig->answer.message, "down"));
	rt_flag(rig->rt, "down", false);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_story(rig, "run-sandbox create:c1 start:c1", 0);
	podrig_close(rig);
}

/* Closing answers what is under way, and what the runtime still has to say finds nobody. */
static void closing_with_calls_under_way_is_clean(void **state)
{
	struct podrig *rig = podrig_open();

	(void)state;
	assert_int_equal(podrig_apply(rig, "c1=hang:1"), ERR_OK);
	podrig_until_effects(rig, "create-container", 1);
	podrig_turns(rig, 5);
	podrig_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_while_a_pod_comes_up),
		cmocka_unit_test(killed_while_a_container_changes),
		cmocka_unit_test(killed_while_a_pod_goes_away),
		cmocka_unit_test(killed_while_a_pod_is_replaced),
		cmocka_unit_test(each_call_failing_for_a_while_delays_and_no_more),
		cmocka_unit_test(each_call_of_the_end_failing_leaves_nothing_behind),
		cmocka_unit_test(runtime_that_is_down_is_waited_for),
		cmocka_unit_test(closing_with_calls_under_way_is_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
