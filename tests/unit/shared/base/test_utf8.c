#include "shared/base/err.h"
#include "shared/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static size_t length_of(const char *s)
{
	return utf8_length(s, strlen(s));
}

/* I4: RFC 3629, no overlong form, no surrogate, nothing beyond U+10FFFF, nothing cut off */
static void only_shortest_forms_are_characters(void **state)
{
	(void)state;
	assert_int_equal(length_of("a"), 1);
	assert_int_equal(length_of("\xc3\xa9"), 2);
	assert_int_equal(length_of("\xe2\x82\xac"), 3);
	assert_int_equal(length_of("\xf0\x9f\x9a\xa2"), 4);
	assert_int_equal(utf8_length("", 1), 1);
	assert_int_equal(length_of("\xc0\xaf"), 0);
	assert_int_equal(length_of("\xe0\x80\xaf"), 0);
	assert_int_equal(length_of("\xed\xa0\x80"), 0);
	assert_int_equal(length_of("\xf4\x90\x80\x80"), 0);
	assert_int_equal(length_of("\xe2\x82"), 0);
	assert_int_equal(length_of("\x80"), 0);
}

static void copy_cleans_and_keeps_characters_whole(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(utf8_copy(out, sizeof(out), "a\tb\xff"), 4);
	assert_string_equal(out, "a b?");
	assert_int_equal(utf8_copy(out, sizeof(out), "12345\xe2\x82\xac"), 5);
	assert_string_equal(out, "12345");
}

/* What a message is cut to must still pass the other side's check. */
static void cut_error_message_is_still_utf8(void **state)
{
	char euros[3 * 200 + 2];
	struct err err;

	(void)state;
	euros[0] = 'x';
	for (size_t i = 0; i < 200; i++)
		memcpy(euros + 1 + i * 3, "\xe2\x82\xac", 3);
	euros[sizeof(euros) - 1] = '\0';
	err_set(&err, ERR_UNKNOWN, 0, "%s", euros);
	for (const char *p = err.msg; *p; p += utf8_length(p, strlen(p)))
		assert_int_not_equal(utf8_length(p, strlen(p)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_shortest_forms_are_characters),
		cmocka_unit_test(copy_cleans_and_keeps_characters_whole),
		cmocka_unit_test(cut_error_message_is_still_utf8),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
