#include "controller/cli/failure.h"

#include "controller/cli/exit_code.h"

#include "tests/support/cli.h"

#include <json-c/json.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *printed(const struct err *err, bool json)
{
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	failure_print(out, err, json);
	fclose(out);
	return text;
}

static struct err sample(void)
{
	struct err err;

	err_set(&err, ERR_NOT_FOUND, 0, "no node 'x' in cluster 'berth'");
	err_explain(&err, "NODE_NOT_FOUND", "'berth get nodes' lists what there is");
	snprintf(err.node, sizeof(err.node), "x");
	return err;
}

static void text_is_one_line_and_advice(void **state)
{
	struct err err = sample();
	char *text = printed(&err, false);

	(void)state;
	assert_string_equal(text, "berth: no node 'x' in cluster 'berth'\n"
				  "  'berth get nodes' lists what there is\n");
	free(text);
}

static void failed_call_says_where_the_other_half_is(void **state)
{
	struct err err;
	char *text;

	(void)state;
	err_set(&err, ERR_UNAVAILABLE, 0, "the runtime does not answer");
	snprintf(err.node, sizeof(err.node), "w1");
	snprintf(err.call_id, sizeof(err.call_id), "00ff");
	text = printed(&err, false);
	assert_string_equal(text, "berth: w1: the runtime does not answer\n"
				  "  (call id 00ff; on the node: journalctl CALL_ID=00ff)\n");
	free(text);
}

/* I19 */
static void message_from_a_node_is_escaped(void **state)
{
	struct err err = sample();
	char *text;

	(void)state;
	snprintf(err.msg, sizeof(err.msg), "bad \033[31m \xc2\x9b x");
	err.advice[0] = '\0';
	text = printed(&err, false);
	assert_string_equal(text, "berth: bad \\x1b[31m \\x9b x\n");
	free(text);
}

static const char *field(struct json_object *error, const char *key)
{
	return json_object_get_string(json_object_object_get(error, key));
}

static void json_has_every_field(void **state)
{
	struct err err = sample();
	char *text = printed(&err, true);
	struct json_object *object = json_tokener_parse(text);
	struct json_object *error = json_object_object_get(object, "error");

	(void)state;
	assert_non_null(error);
	assert_string_equal(field(error, "code"), "NOT_FOUND");
	assert_string_equal(field(error, "reason"), "NODE_NOT_FOUND");
	assert_string_equal(field(error, "message"), err.msg);
	assert_string_equal(field(error, "advice"), err.advice);
	assert_string_equal(field(error, "node"), "x");
	assert_string_equal(field(error, "callId"), "");
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	json_object_put(object);
	free(text);
}

static void exit_codes_are_the_contract(void **state)
{
	static const struct {
		enum err_code code;
		int exit;
	} cases[] = {
		{ ERR_INVALID_ARGUMENT, 2 },
		{ ERR_NOT_FOUND, 3 },
		{ ERR_ALREADY_EXISTS, 4 },
		{ ERR_ABORTED, 4 },
		{ ERR_FAILED_PRECONDITION, 4 },
		{ ERR_DEADLINE_EXCEEDED, 5 },
		{ ERR_UNAVAILABLE, 6 },
		{ ERR_PERMISSION_DENIED, 7 },
		{ ERR_UNAUTHENTICATED, 7 },
		{ ERR_UNIMPLEMENTED, 8 },
		{ ERR_CANCELLED, 130 },
		{ ERR_INTERNAL, 1 },
		{ ERR_UNKNOWN, 1 },
		{ ERR_RESOURCE_EXHAUSTED, 1 },
		{ ERR_DATA_LOSS, 1 },
		{ ERR_OUT_OF_RANGE, 1 },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err_set(&err, cases[i].code, 0, "x");
		assert_int_equal(exit_code_of(&err), cases[i].exit);
	}
}

static void some_reasons_say_more_than_the_code(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_NOT_FOUND, 0, "no podman");
	err_explain(&err, "ENGINE_NOT_INSTALLED", NULL);
	assert_int_equal(exit_code_of(&err), EXIT_CODE_UNREACHABLE);
	err_set(&err, ERR_NOT_FOUND, 0, "no vfkit in this build");
	err_explain(&err, "PROVIDER_UNKNOWN", NULL);
	assert_int_equal(exit_code_of(&err), EXIT_CODE_NOT_SUPPORTED);
}

static void every_exit_code_is_documented(void **state)
{
	static const int codes[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 125, 126, 127, 130 };
	size_t rows = 0;

	(void)state;
	for (; exit_code_table[rows].meaning; rows++)
		assert_int_equal(exit_code_table[rows].code, codes[rows]);
	assert_int_equal(rows, sizeof(codes) / sizeof(codes[0]));
}

static void print_sample(FILE *out, void *err)
{
	failure_print(out, err, false);
}

static void red_is_for_terminals_that_want_it(void **state)
{
	struct err err = sample();
	char *text;

	(void)state;
	unsetenv("NO_COLOR");
	text = cli_on_terminal("xterm", print_sample, &err);
	assert_non_null(strstr(text, "\033[31mberth: no node 'x'"));
	free(text);
	text = cli_on_terminal("dumb", print_sample, &err);
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "berth: no node 'x'"));
	free(text);
	setenv("NO_COLOR", "1", 1);
	text = cli_on_terminal("xterm", print_sample, &err);
	assert_null(strchr(text, '\033'));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_one_line_and_advice),
		cmocka_unit_test(failed_call_says_where_the_other_half_is),
		cmocka_unit_test(message_from_a_node_is_escaped),
		cmocka_unit_test(json_has_every_field),
		cmocka_unit_test(red_is_for_terminals_that_want_it),
		cmocka_unit_test(exit_codes_are_the_contract),
		cmocka_unit_test(some_reasons_say_more_than_the_code),
		cmocka_unit_test(every_exit_code_is_documented),
	};

	return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
