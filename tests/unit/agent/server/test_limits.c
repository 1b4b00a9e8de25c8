#include "agent/server/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void fill(struct limits *limits, enum limit_class class, unsigned count)
{
	struct err err;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(limits_enter(limits, class, &err), 0);
}

/* I15 */
static void each_class_has_its_own_limit(void **state)
{
	struct limits limits = { 0 };
	struct err err;

	(void)state;
	fill(&limits, LIMIT_CHANGE, 64);
	assert_int_equal(limits_enter(&limits, LIMIT_CHANGE, &err), -1);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(err.reason, "AGENT_BUSY");
	assert_string_equal(err.msg, "the agent is busy with 64 changes");
	fill(&limits, LIMIT_LOOK, 32);
	assert_int_equal(limits_enter(&limits, LIMIT_LOOK, &err), -1);
	limits_leave(&limits, LIMIT_CHANGE);
	assert_int_equal(limits_enter(&limits, LIMIT_CHANGE, &err), 0);
}

static void health_is_never_refused(void **state)
{
	struct limits limits = { 0 };

	(void)state;
	fill(&limits, LIMIT_HEALTH, 5000);
}

static void parked_calls_give_their_place_back(void **state)
{
	struct limits limits = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1024; i++) {
		fill(&limits, LIMIT_LOOK, 1);
		assert_int_equal(limits_park(&limits, LIMIT_LOOK), LIMIT_PARKED);
		assert_int_equal(limits.count[LIMIT_LOOK], 0);
	}
	fill(&limits, LIMIT_LOOK, 1);
	assert_int_equal(limits_park(&limits, LIMIT_LOOK), LIMIT_LOOK);
	assert_int_equal(limits_park(&limits, LIMIT_PARKED), LIMIT_PARKED);
	assert_int_equal(limits.count[LIMIT_PARKED], 1024);
}

static void the_class_follows_from_service_and_effect(void **state)
{
	(void)state;
	assert_int_equal(limits_class("berth.node.v1.Health", METHOD_READS), LIMIT_HEALTH);
	assert_int_equal(limits_class("berth.node.v1.Units", METHOD_READS), LIMIT_LOOK);
	assert_int_equal(limits_class("berth.node.v1.Units", METHOD_ONCE), LIMIT_CHANGE);
	assert_int_equal(limits_class("berth.node.v1.Units", METHOD_REPEATABLE), LIMIT_CHANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_class_has_its_own_limit),
		cmocka_unit_test(health_is_never_refused),
		cmocka_unit_test(parked_calls_give_their_place_back),
		cmocka_unit_test(the_class_follows_from_service_and_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
