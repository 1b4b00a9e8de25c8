#include "controller/cli/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const char *nearest(const char *typed)
{
	static struct suggest suggest;
	static const char *const known[] = { "create", "delete", "start", "stop",  "restart",
					     "get",    "status", "apply", "health" };

	suggest_init(&suggest, typed, strlen(typed));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		suggest_try(&suggest, known[i]);
	return suggest.best;
}

static void slip_of_the_finger_is_seen_through(void **state)
{
	(void)state;
	assert_string_equal(nearest("craete"), "create");
	assert_string_equal(nearest("delte"), "delete");
	assert_string_equal(nearest("stauts"), "status");
	assert_string_equal(nearest("gte"), "get");
	assert_string_equal(nearest("heal"), "health");
}

static void something_else_is_not_guessed(void **state)
{
	(void)state;
	assert_string_equal(nearest("logs"), "");
	assert_string_equal(nearest("x"), "");
	assert_string_equal(nearest(""), "");
	assert_string_equal(nearest("port-forward"), "");
}

static void overlong_words_are_ignored(void **state)
{
	struct suggest suggest;
	char word[200];

	(void)state;
	memset(word, 'a', sizeof(word));
	suggest_init(&suggest, word, sizeof(word));
	suggest_try(&suggest, "aaaa");
	assert_string_equal(suggest.best, "");
}

static void distance_counts_edits(void **state)
{
	(void)state;
	assert_int_equal(edit_distance("", ""), 0);
	assert_int_equal(edit_distance("abc", ""), 3);
	assert_int_equal(edit_distance("abc", "abd"), 1);
	assert_int_equal(edit_distance("abc", "acb"), 1);
	assert_int_equal(edit_distance("kitten", "sitting"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slip_of_the_finger_is_seen_through),
		cmocka_unit_test(something_else_is_not_guessed),
		cmocka_unit_test(overlong_words_are_ignored),
		cmocka_unit_test(distance_counts_edits),
	};

	return cmocka_run_group_tests_name("suggest", tests, NULL, NULL);
}
