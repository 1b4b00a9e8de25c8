#include "shared/pod/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ll
#define START  (1700000000ll * SECOND)

/* PS-170, PS-172, PS-173, PS-323 */
static void crashing_at_once_waits_0_10_20_40_up_to_300(void **state)
{
	static const int64_t gaps[] = { 0, 10, 20, 40, 80, 160, 300, 300 };
	struct backoff b = { 0 };
	int64_t now = START;

	(void)state;
	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		int64_t finished = now;

		assert_int_equal(backoff_left_ms(&b, &backoff_default, finished, now),
				 gaps[i] * 1000);
		now += gaps[i] * SECOND;
		assert_int_equal(backoff_left_ms(&b, &backoff_default, finished, now), 0);
		backoff_next(&b, &backoff_default, finished, now);
	}
}

/* PS-172, PS-174 */
static void a_long_life_is_forgiven_and_a_long_death_is_not(void **state)
{
	struct backoff b = { .delay_ms = 160000, .updated_ns = START };
	struct backoff same = b;
	int64_t lived = START + 601 * SECOND, died_early = START + 5 * SECOND;

	(void)state;
	assert_int_equal(backoff_left_ms(&b, &backoff_default, lived, lived), 0);
	backoff_next(&b, &backoff_default, lived, lived);
	assert_int_equal(b.delay_ms, 10000);

	assert_int_equal(backoff_left_ms(&same, &backoff_default, died_early, died_early), 160000);
	backoff_next(&same, &backoff_default, died_early, START + 2000 * SECOND);
	assert_int_equal(same.delay_ms, 300000);
}

/* PS-171 */
static void the_delay_counts_from_the_end_not_from_now(void **state)
{
	struct backoff b = { .delay_ms = 10000, .updated_ns = START };

	(void)state;
	assert_int_equal(backoff_left_ms(&b, &backoff_default, START, START + 4 * SECOND), 6000);
	assert_int_equal(backoff_left_ms(&b, &backoff_default, START + 4 * SECOND, START), 10000);
}

/* PS-176 */
static void delays_print_as_go_does(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = { { 10000, "10s" },
		      { 80000, "1m20s" },
		      { 300000, "5m0s" },
		      { 3600000, "1h0m0s" },
		      { 50, "50ms" } };
	char out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		backoff_print(cases[i].ms, out);
		assert_string_equal(out, cases[i].text);
	}
}

/* PS-177 */
static void idle_entries_may_be_dropped_after_twice_the_maximum(void **state)
{
	struct backoff b = { .delay_ms = 10000, .updated_ns = START };

	(void)state;
	assert_false(backoff_is_stale(&b, &backoff_default, START + 600 * SECOND));
	assert_true(backoff_is_stale(&b, &backoff_default, START + 601 * SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crashing_at_once_waits_0_10_20_40_up_to_300),
		cmocka_unit_test(a_long_life_is_forgiven_and_a_long_death_is_not),
		cmocka_unit_test(the_delay_counts_from_the_end_not_from_now),
		cmocka_unit_test(delays_print_as_go_does),
		cmocka_unit_test(idle_entries_may_be_dropped_after_twice_the_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
