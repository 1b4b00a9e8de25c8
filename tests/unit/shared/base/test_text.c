#include "shared/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define auto_text __attribute__((cleanup(cleanup_text)))
#define auto_strv __attribute__((cleanup(cleanup_strv)))

static void text_grows_and_stays_terminated(void **state)
{
	auto_text struct text t = { 0 };

	(void)state;
	assert_string_equal(text_str(&t), "");
	for (int i = 0; i < 1000; i++) {
		text_addf(&t, "%d,", i % 10);
		assert_int_equal(t.data[t.len], '\0');
	}
	assert_int_equal(t.len, 2000);
	assert_int_equal(strncmp(text_str(&t), "0,1,2,3,4,5,6,7,8,9,0,", 22), 0);
	assert_false(text_failed(&t));
}

static void bytes_may_hold_nul(void **state)
{
	auto_text struct text t = { 0 };

	(void)state;
	text_add_bytes(&t, "a\0b", 3);
	text_add_bytes(&t, NULL, 0);
	text_add(&t, "");
	assert_int_equal(t.len, 3);
	assert_memory_equal(t.data, "a\0b", 4);
}

static void take_moves_the_text_out(void **state)
{
	struct text t = { 0 };
	cleanup_free char *empty = text_take(&t), *some = NULL;

	(void)state;
	assert_string_equal(empty, "");
	text_add(&t, "some");
	some = text_take(&t);
	assert_string_equal(some, "some");
	assert_null(t.data);
	assert_int_equal(t.len, 0);
}

/* A size that no memory has: the failure is remembered, and nothing more is written. */
static void failure_is_remembered_until_asked(void **state)
{
	struct text t = { 0 };

	(void)state;
	text_add(&t, "kept");
	text_add_bytes(&t, "x", (size_t)-1 / 2);
	assert_true(text_failed(&t));
	text_add(&t, "more");
	assert_string_equal(text_str(&t), "kept");
	assert_null(text_take(&t));
	assert_false(text_failed(&t)); /* empty again, and usable */
	text_release(&t);
}

static void format_is_printf(void **state)
{
	cleanup_free char *s = text_format("%s-%03d", "a", 7);

	(void)state;
	assert_string_equal(s, "a-007");
}

static void strv_is_what_execv_wants(void **state)
{
	auto_strv struct strv v = { 0 }, more = { 0 };

	(void)state;
	assert_false(strv_has(&v, "a"));
	for (int i = 0; i < 40; i++) {
		strv_addf(&v, "w%d", i);
		assert_null(v.items[v.count]);
	}
	strv_add(&more, "x");
	strv_add(&more, "");
	strv_add_all(&v, &more);
	assert_int_equal(v.count, 42);
	assert_string_equal(v.items[39], "w39");
	assert_true(strv_has(&v, "x"));
	assert_true(strv_has(&v, ""));
	assert_false(strv_has(&v, "w"));
	assert_false(strv_failed(&v));
}

static void strv_release_leaves_it_empty(void **state)
{
	struct strv v = { 0 };

	(void)state;
	strv_add(&v, "a");
	strv_release(&v);
	assert_int_equal(v.count, 0);
	assert_null(v.items);
	strv_add(&v, "b");
	assert_string_equal(v.items[0], "b");
	strv_release(&v);
}

static void quote_shows_what_a_shell_would_need(void **state)
{
	static const char *const words[] = { "podman", "--label=a=b", "", "two words",
					     "it's",   "$HOME",       "*" };
	auto_strv struct strv v = { 0 };
	cleanup_free char *quoted = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		strv_add(&v, words[i]);
	quoted = strv_quote(&v);
	assert_string_equal(quoted, "podman --label=a=b '' 'two words' 'it'\\''s' '$HOME' '*'");
}

static void quote_of_nothing_is_empty(void **state)
{
	struct strv v = { 0 };
	cleanup_free char *quoted = strv_quote(&v);

	(void)state;
	assert_string_equal(quoted, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_grows_and_stays_terminated),
		cmocka_unit_test(bytes_may_hold_nul),
		cmocka_unit_test(take_moves_the_text_out),
		cmocka_unit_test(failure_is_remembered_until_asked),
		cmocka_unit_test(format_is_printf),
		cmocka_unit_test(strv_is_what_execv_wants),
		cmocka_unit_test(strv_release_leaves_it_empty),
		cmocka_unit_test(quote_shows_what_a_shell_would_need),
		cmocka_unit_test(quote_of_nothing_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
