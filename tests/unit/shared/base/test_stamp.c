#include "shared/base/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int64_t parse(const char *s)
{
	int64_t ns = -1;

	return stamp_parse(s, strlen(s), &ns, NULL) ? ns : -1;
}

static void what_runtimes_write_is_understood(void **state)
{
	size_t used = 0;
	int64_t ns;

	(void)state;
	assert_int_equal(parse("1970-01-01T00:00:00Z"), 0);
	assert_int_equal(parse("1970-01-01T00:00:00.5Z"), 500000000);
	assert_int_equal(parse("1970-01-01T01:00:00.000000001+01:00"), 1);
	assert_int_equal(parse("2024-02-29T12:34:56.123456789Z"), INT64_C(1709210096123456789));
	assert_int_equal(parse("2024-02-29T07:04:56.123456789-05:30"),
			 INT64_C(1709210096123456789));
	assert_true(stamp_parse("2024-02-29T12:34:56.1Z stdout F x", 33, &ns, &used));
	assert_int_equal(used, 22);
}

static void anything_else_is_refused(void **state)
{
	static const char *const wrong[] = { "",
					     "x",
					     "2024-02-29T12:34:56",
					     "2024-02-29T12:34:56.",
					     "2024-13-29T12:34:56Z",
					     "2024-02-32T12:34:56Z",
					     "2024-02-29T24:34:56Z",
					     "2024/02/29T12:34:56Z",
					     "2024-02-29T12:34:56+1",
					     "{\"log\":\"2024-02-29\"}....." };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(parse(wrong[i]), -1);
}

/* The engines write year 1 for "never", and a container what it likes. */
static void times_beyond_64_bits_are_refused(void **state)
{
	(void)state;
	assert_int_equal(parse("2262-04-11T23:47:16.854775807Z"), INT64_MAX);
	assert_int_equal(parse("2262-04-11T23:47:16.854775808Z"), -1);
	assert_int_equal(parse("1677-09-21T00:12:44Z"), INT64_C(-9223372036000000000));
	assert_int_equal(parse("1677-09-21T00:12:43Z"), -1);
	assert_int_equal(parse("0001-01-01T00:00:00Z"), -1);
	assert_int_equal(parse("9999-12-31T23:59:59.999999999-99:59"), -1);
}

/* The C library's calendar is the judge. */
static void every_day_from_1900_to_2260_goes_there_and_back(void **state)
{
	char text[STAMP_BYTES], wanted[32];

	(void)state;
	for (int64_t day = -25567; day < 106000; day++) {
		time_t seconds = (time_t)(day * 86400 + 86399);
		struct tm tm;

		assert_int_equal(stamp_format((int64_t)seconds * 1000000000 + 7, text),
				 STAMP_BYTES - 1);
		assert_non_null(gmtime_r(&seconds, &tm));
		strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S.000000007Z", &tm);
		assert_string_equal(text, wanted);
		assert_int_equal(parse(text), (int64_t)seconds * 1000000000 + 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_runtimes_write_is_understood),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(times_beyond_64_bits_are_refused),
		cmocka_unit_test(every_day_from_1900_to_2260_goes_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
