#include "shared/wire/methods.h"
#include "shared/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void an_error_survives_the_wire(void **state)
{
	Berth__Node__V1__Status status;
	struct err err, back;

	(void)state;
	err_set(&err, ERR_NOT_FOUND, 2, "no unit 'x'");
	err_explain(&err, "UNIT_NOT_FOUND", "List them.");
	status_from_err(&err, &status);
	assert_int_equal(status_to_err(&status, &back), -1);
	assert_int_equal(back.code, ERR_NOT_FOUND);
	assert_int_equal(back.sys, 2);
	assert_string_equal(back.msg, err.msg);
	assert_string_equal(back.reason, "UNIT_NOT_FOUND");
	assert_string_equal(back.advice, "List them.");
}

static void no_status_is_an_error_too(void **state)
{
	Berth__Node__V1__Status ok = BERTH__NODE__V1__STATUS__INIT;
	struct err err;

	(void)state;
	assert_int_equal(status_to_err(NULL, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_int_equal(status_to_err(&ok, &err), -1);
	assert_string_equal(err.msg, "no status");
}

static void a_code_from_the_future_is_unknown(void **state)
{
	Berth__Node__V1__Status status = BERTH__NODE__V1__STATUS__INIT;
	struct err err;

	(void)state;
	status.code = (Berth__Node__V1__Code)99;
	status_to_err(&status, &err);
	assert_int_equal(err.code, ERR_UNKNOWN);
	status.code = (Berth__Node__V1__Code)-1;
	status_to_err(&status, &err);
	assert_int_equal(err.code, ERR_UNKNOWN);
}

/* I19, threat A5: what a node says reaches a terminal */
static void control_characters_of_a_hostile_node_are_disarmed(void **state)
{
	Berth__Node__V1__Status status = BERTH__NODE__V1__STATUS__INIT;
	struct err err;

	(void)state;
	status.code = BERTH__NODE__V1__CODE__INTERNAL;
	status.message = (char *)"a\x1b[2Jb\xc2\x9bz \xc3\xa9";
	status.advice = (char *)"x\ny\x7f";
	status.reason = (char *)"\x1b[1mBAD";
	status_to_err(&status, &err);
	assert_string_equal(err.msg, "a [2Jb  z \xc3\xa9");
	assert_string_equal(err.advice, "x y ");
	assert_string_equal(err.reason, "INTERNAL");
}

static void reads_are_known_from_the_proto(void **state)
{
	(void)state;
	assert_true(method_reads("berth.node.v1.Health", "Check"));
	assert_true(method_reads("berth.node.v1.Pods", "List"));
	assert_false(method_reads("berth.node.v1.Pods", "Apply"));
	assert_false(method_reads("berth.node.v1.Units", "Start"));
	assert_false(method_reads("berth.node.v1.Nothing", "List"));
	assert_int_equal(method_effect("berth.node.v1.Units", "Stop"), METHOD_REPEATABLE);
	assert_int_equal(method_effect("berth.node.v1.Units", "Restart"), METHOD_ONCE);
	assert_int_equal(method_effect("berth.node.v1.Nothing", "List"), METHOD_ONCE);
}

/* S4 */
static void a_reader_may_look_and_nothing_else(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(method_check_role("berth.node.v1.Health", "Check", ROLE_READ, &err), 0);
	assert_int_equal(method_check_role("berth.node.v1.Units", "Stop", ROLE_READ, &err), -1);
	assert_int_equal(err.code, ERR_PERMISSION_DENIED);
	assert_string_equal(err.reason, "ROLE_TOO_LOW");
	assert_int_equal(method_check_role("berth.node.v1.Units", "Stop", ROLE_ADMIN, &err), 0);
	assert_int_equal(method_check_role("berth.node.v1.Nothing", "List", ROLE_READ, &err), -1);
}

static void role_names_go_both_ways(void **state)
{
	enum method_role role = ROLE_ADMIN;

	(void)state;
	assert_true(method_role_parse("read", &role));
	assert_int_equal(role, ROLE_READ);
	assert_string_equal(method_role_name(ROLE_ADMIN), "admin");
	assert_false(method_role_parse("operator", &role));
	assert_int_equal(role, ROLE_READ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_survives_the_wire),
		cmocka_unit_test(no_status_is_an_error_too),
		cmocka_unit_test(a_code_from_the_future_is_unknown),
		cmocka_unit_test(control_characters_of_a_hostile_node_are_disarmed),
		cmocka_unit_test(reads_are_known_from_the_proto),
		cmocka_unit_test(a_reader_may_look_and_nothing_else),
		cmocka_unit_test(role_names_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
