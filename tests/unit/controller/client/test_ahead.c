/* The thread that does one thing at a time beside its owner. */
#include "controller/client/ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

static void add_one(void *arg)
{
	++*(int *)arg;
}

struct noted {
	pthread_t thread;
};

static void note_thread(void *arg)
{
	((struct noted *)arg)->thread = pthread_self();
}

static void each_job_is_over_when_it_was_waited_for(void **state)
{
	struct ahead *ahead;
	struct err err;
	int count = 0;

	(void)state;
	assert_int_equal(ahead_open(&ahead, &err), 0);
	for (int i = 0; i < 1000; i++) {
		ahead_begin(ahead, add_one, &count);
		assert_true(ahead_wait(ahead));
		assert_int_equal(count, i + 1);
	}
	ahead_close(ahead);
}

static void a_job_runs_beside_its_owner(void **state)
{
	struct noted noted = { .thread = pthread_self() };
	struct ahead *ahead;
	struct err err;

	(void)state;
	assert_int_equal(ahead_open(&ahead, &err), 0);
	ahead_begin(ahead, note_thread, &noted);
	assert_true(ahead_wait(ahead));
	assert_false(pthread_equal(noted.thread, pthread_self()));
	ahead_close(ahead);
}

static void waiting_for_nothing_says_so(void **state)
{
	struct ahead *ahead;
	struct err err;
	int count = 0;

	(void)state;
	assert_int_equal(ahead_open(&ahead, &err), 0);
	assert_false(ahead_wait(ahead));
	ahead_begin(ahead, add_one, &count);
	assert_true(ahead_wait(ahead));
	assert_false(ahead_wait(ahead));
	ahead_close(ahead);
	ahead_close(NULL);
}

static void a_close_waits_for_what_is_under_way(void **state)
{
	int count = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct ahead *ahead;
		struct err err;

		assert_int_equal(ahead_open(&ahead, &err), 0);
		ahead_begin(ahead, add_one, &count);
		ahead_close(ahead);
		assert_int_equal(count, i + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_job_is_over_when_it_was_waited_for),
		cmocka_unit_test(a_job_runs_beside_its_owner),
		cmocka_unit_test(waiting_for_nothing_says_so),
		cmocka_unit_test(a_close_waits_for_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
