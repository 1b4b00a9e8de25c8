#include "shared/base/deadline.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static int64_t fake_us;

static int64_t fake_clock(void)
{
	return fake_us;
}

static int start_fake_clock(void **state)
{
	(void)state;
	fake_us = 5000000;
	clock_set_source(fake_clock);
	return 0;
}

static int stop_fake_clock(void **state)
{
	(void)state;
	clock_set_source(NULL);
	return 0;
}

static void time_left_shrinks_to_zero(void **state)
{
	struct deadline by = deadline_in_ms(100);

	(void)state;
	assert_int_equal(clock_now_ms(), 5000);
	assert_int_equal(by.at_ms, 5100);
	assert_int_equal(deadline_left_ms(by), 100);
	assert_int_equal(deadline_poll_ms(by), 100);
	assert_false(deadline_is_over(by));
	fake_us += 99 * 1000;
	assert_int_equal(deadline_left_ms(by), 1);
	fake_us += 1000;
	assert_true(deadline_is_over(by));
	fake_us += 1000 * 1000;
	assert_int_equal(deadline_left_ms(by), 0);
	assert_int_equal(deadline_poll_ms(by), 0);
}

static void never_is_never(void **state)
{
	(void)state;
	assert_true(deadline_left_ms(DEADLINE_NEVER) == INT64_MAX);
	assert_int_equal(deadline_poll_ms(DEADLINE_NEVER), -1);
	assert_false(deadline_is_over(DEADLINE_NEVER));
	fake_us = INT64_MAX;
	assert_false(deadline_is_over(DEADLINE_NEVER));
}

static void odd_spans_are_clamped(void **state)
{
	(void)state;
	assert_true(deadline_is_over(deadline_in_ms(-5)));
	assert_true(deadline_is_over(deadline_in_ms(0)));
	assert_true(deadline_in_ms(INT64_MAX).at_ms == INT64_MAX);
	assert_int_equal(deadline_poll_ms(deadline_in_ms((int64_t)INT_MAX + 10)), INT_MAX);
}

static void the_earlier_one_wins(void **state)
{
	struct deadline soon = deadline_in_ms(1), late = deadline_in_ms(2);

	(void)state;
	assert_int_equal(deadline_min(soon, late).at_ms, soon.at_ms);
	assert_int_equal(deadline_min(late, soon).at_ms, soon.at_ms);
	assert_int_equal(deadline_min(DEADLINE_NEVER, late).at_ms, late.at_ms);
}

static void the_real_clock_is_monotonic(void **state)
{
	struct timespec ts;
	int64_t before, wall = clock_wall_ns();

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	before = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	assert_true(clock_now_us() >= before);
	assert_true(clock_now_us() - before < 10 * 1000000);
	clock_gettime(CLOCK_REALTIME, &ts);
	assert_true((int64_t)ts.tv_sec - wall / 1000000000 <= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(time_left_shrinks_to_zero, start_fake_clock,
						stop_fake_clock),
		cmocka_unit_test_setup_teardown(never_is_never, start_fake_clock, stop_fake_clock),
		cmocka_unit_test_setup_teardown(odd_spans_are_clamped, start_fake_clock,
						stop_fake_clock),
		cmocka_unit_test_setup_teardown(the_earlier_one_wins, start_fake_clock,
						stop_fake_clock),
		cmocka_unit_test(the_real_clock_is_monotonic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
