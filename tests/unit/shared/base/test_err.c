#include "shared/base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void set_fills_all_and_returns_minus_one(void **state)
{
	struct err err;

	(void)state;
	memset(&err, 'x', sizeof(err));
	assert_int_equal(err_set(&err, ERR_NOT_FOUND, 0, "no node '%s'", "a"), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.reason, "NOT_FOUND");
	assert_string_equal(err.msg, "no node 'a'");
	assert_string_equal(err.advice, "");
	assert_string_equal(err.node, "");
	assert_string_equal(err.call_id, "");
}

static void sys_adds_the_systems_words(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_UNAVAILABLE, ENOENT, "open it");
	assert_int_equal(err.sys, ENOENT);
	assert_string_equal(err.msg, "open it: No such file or directory");
}

static void wrap_puts_context_in_front_and_keeps_the_rest(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_ABORTED, EIO, "read");
	err_explain(&err, "DISK_BROKEN", "replace it");
	assert_int_equal(err_wrap(&err, "node '%s'", "a"), -1);
	assert_string_equal(err.msg, "node 'a': read: Input/output error");
	assert_int_equal(err.code, ERR_ABORTED);
	assert_int_equal(err.sys, EIO);
	assert_string_equal(err.reason, "DISK_BROKEN");
	assert_string_equal(err.advice, "replace it");
}

static void explain_leaves_what_is_null(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_ABORTED, 0, "x");
	assert_int_equal(err_explain(&err, NULL, "do this"), -1);
	assert_string_equal(err.reason, "ABORTED");
	err_explain(&err, "FINER", NULL);
	assert_string_equal(err.reason, "FINER");
	assert_string_equal(err.advice, "do this");
}

static void a_message_is_one_line(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_INTERNAL, 0, "a\nb\tc\x1b[0m\x7f");
	assert_string_equal(err.msg, "a b c [0m ");
	err_wrap(&err, "x\r\ny");
	assert_string_equal(err.msg, "x  y: a b c [0m ");
}

static void long_messages_are_cut_not_overrun(void **state)
{
	struct err err;
	char big[2000];

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	err_set(&err, ERR_INTERNAL, ENOENT, "%s", big);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	err_wrap(&err, "%s", big);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	err_explain(&err, big, big);
	assert_int_equal(strlen(err.reason), sizeof(err.reason) - 1);
	assert_int_equal(strlen(err.advice), sizeof(err.advice) - 1);
}

static void codes_have_their_names(void **state)
{
	struct err err;

	(void)state;
	assert_string_equal(err_code_name(ERR_OK), "OK");
	assert_string_equal(err_code_name(ERR_UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_string_equal(err_code_name((enum err_code)17), "UNKNOWN");
	assert_string_equal(err_code_name((enum err_code) - 1), "UNKNOWN");
	for (int code = 0; code <= ERR_UNAUTHENTICATED; code++)
		assert_non_null(err_code_name((enum err_code)code));
	assert_int_equal(err_oom(&err), -1);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(err.msg, "out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_all_and_returns_minus_one),
		cmocka_unit_test(sys_adds_the_systems_words),
		cmocka_unit_test(wrap_puts_context_in_front_and_keeps_the_rest),
		cmocka_unit_test(explain_leaves_what_is_null),
		cmocka_unit_test(a_message_is_one_line),
		cmocka_unit_test(long_messages_are_cut_not_overrun),
		cmocka_unit_test(codes_have_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
