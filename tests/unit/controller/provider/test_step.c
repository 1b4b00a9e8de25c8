#include "controller/provider/step.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void ids_name_the_act_and_the_node_and_are_unique(void **state)
{
	cleanup_with(plan) struct plan plan = { 0 };

	(void)state;
	assert_string_equal(plan_add(&plan, STEP_CONTAINER_CREATE, "a")->id, "create/a");
	assert_string_equal(plan_add(&plan, STEP_CONTAINER_CREATE, "a")->id, "create/a-2");
	assert_string_equal(plan_add(&plan, STEP_CONTAINER_CREATE, "a-2")->id, "create/a-2-2");
	assert_string_equal(plan_add(&plan, STEP_NETWORK_CREATE, NULL)->id, "network");
	assert_string_equal(plan_last(&plan)->node, "");
	assert_ptr_equal(plan_find(&plan, "create/a-2"), plan.steps[1]);
	assert_null(plan_find(&plan, "create/b"));
	assert_int_equal(plan.count, 4);
}

/* cli.md section 3: these names are a contract. */
static void actions_have_their_names(void **state)
{
	static const char *const names[] = {
		"image-check",      "image-pull",         "network-create",   "network-delete",
		"volume-delete",    "directory-create",   "directory-delete", "container-create",
		"container-start",  "container-stop",     "container-kill",   "container-unpause",
		"container-delete", "wait-ready",         "quiesce",          "pause",
		"unpause",          "balancer-configure",
	};

	(void)state;
	for (int i = 0; i <= STEP_BALANCER_CONFIGURE; i++)
		assert_string_equal(step_action_name((enum step_action)i), names[i]);
	assert_string_equal(step_action_name((enum step_action)99), "unknown");
}

static void run_directory_is_copied(void **state)
{
	cleanup_with(plan) struct plan plan = { 0 };
	char dir[] = "/a";
	struct step *step = plan_add(&plan, STEP_WAIT_READY, "n");

	(void)state;
	assert_string_equal(step->run_dir, "");
	assert_true(step_set_run_dir(step, dir));
	dir[1] = 'b';
	assert_string_equal(step->run_dir, "/a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_name_the_act_and_the_node_and_are_unique),
		cmocka_unit_test(actions_have_their_names),
		cmocka_unit_test(run_directory_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
