#include "shared/pod/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void text_is_canonical(void **state)
{
	static const char *const cases[][2] = {
		{ "0", "0" },
		{ "0.5", "500m" },
		{ "1024Mi", "1Gi" },
		{ "1000m", "1" },
		{ "1.5Gi", "1536Mi" },
		{ "100Ki", "100Ki" },
		{ "1000", "1k" },
		{ "2e3", "2e3" },
		{ "0.5Ki", "512" },
		{ "1Ei", "1Ei" },
		{ "1E", "1E" },
		{ "0.1n", "1n" },
		{ "-1500m", "-1500m" },
		{ "123456789", "123456789" },
		{ "1.", "1" },
		{ ".5", "500m" },
		{ "9000P", "9E" },
		{ "12e6", "12e6" },
		{ "1.4Gi", "1503238553600m" },
		{ "20000000000.000000001", "20000000000000000001n" },
		{ "9223372036854775806.999999999", "9223372036854775806999999999n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quantity q;
		char out[48];

		assert_true(quantity_parse(cases[i][0], &q));
		quantity_print(&q, out);
		assert_string_equal(out, cases[i][1]);
	}
}

static void what_is_no_quantity_is_refused(void **state)
{
	static const char *const cases[] = { "",   "x",  "1kb", "1 Gi", "1Gi ", ".",   "--1",
					     "1e", "e3", "1K",  "0x10", "inf",  "99E", "1e40" };
	struct quantity q = { .nano = 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_false(quantity_parse(cases[i], &q));
	assert_true(q.nano == 7);
}

static void wholes_and_thousandths_round_up(void **state)
{
	struct quantity q;

	(void)state;
	assert_true(quantity_parse("1500u", &q));
	assert_int_equal(quantity_milli(&q), 2);
	assert_int_equal(quantity_value(&q), 1);
	assert_true(quantity_parse("64Mi", &q));
	assert_int_equal(quantity_value(&q), 64 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_canonical),
		cmocka_unit_test(what_is_no_quantity_is_refused),
		cmocka_unit_test(wholes_and_thousandths_round_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
