#include "tests/support/podrig.h"

#include "agent/events/events.h"
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
	struct podrig *pods;
	struct events *events;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->pods = podrig_open();
	assert_int_equal(events_open(rig->pods->rt->loop, &rig->events, &err), 0);
	pods_set_events(rig->pods->pods, rig->events);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	struct events *events = rig->events;

	podrig_close(rig->pods);
	events_close(events);
	free(rig);
	return 0;
}

static void tell(void *arg, const struct events_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		assert_string_equal(answer->list[i]->kind, "pod");
		text_addf(arg, "%s%s", i ? " " : "", answer->list[i]->reason);
	}
}

static void assert_story(struct rig *rig, const char *wanted)
{
	cleanup_with(text) struct text story = { 0 };
	struct events_query query = { .max = EVENTS_MAX };

	events_read(rig->events, &query, tell, &story);
	assert_string_equal(text_str(&story), wanted);
}

/* NS-206 */
static void life_of_a_pod_is_told_in_kubernetes_words(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(podrig_apply(rig->pods, "c1 c2"), ERR_OK);
	assert_int_equal(podrig_wait(rig->pods, false, 5000), ERR_OK);
	assert_int_equal(podrig_delete(rig->pods, 1), ERR_OK);
	assert_int_equal(podrig_wait(rig->pods, true, 5000), ERR_OK);
	assert_story(rig, "Created Started Created Started Killing Killing Deleted");
}

/* PS-171: the back-off is told once a round, not at every look. */
static void container_that_ends_again_and_again_is_backed_off(void **state)
{
	cleanup_with(text) struct text story = { 0 };
	struct events_query query = { .max = 5 };
	struct rig *rig = *state;

	assert_int_equal(podrig_apply(rig->pods, "c1=exit1:1"), ERR_OK);
	podrig_until_effects(rig->pods, "start", 3);
	events_read(rig->events, &query, tell, &story);
	assert_string_equal(text_str(&story), "Created Started Created Started BackOff");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(life_of_a_pod_is_told_in_kubernetes_words),
		test(container_that_ends_again_and_again_is_backed_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
