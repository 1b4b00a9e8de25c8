#include "agent/pods/pods_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t of_pair(unsigned a, unsigned b, unsigned state)
{
	char id_a[32], id_b[32];

	snprintf(id_a, sizeof(id_a), "container-%u", a);
	snprintf(id_b, sizeof(id_b), "container-%u", b);
	return signature_add(signature_add(SIGNATURE_START, id_a, state), id_b, state);
}

/* Containers that stop together must not hide each other: a plain sum of hashes does that. */
static void containers_that_change_alike_are_noticed(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 200; a++) {
		for (unsigned b = 0; b < 200; b++)
			assert_true(of_pair(a, b, RUNTIME_RUNNING) !=
				    of_pair(a, b, RUNTIME_EXITED));
	}
}

static void order_makes_no_difference(void **state)
{
	(void)state;
	assert_true(of_pair(1, 2, RUNTIME_RUNNING) == of_pair(2, 1, RUNTIME_RUNNING));
	assert_true(of_pair(1, 2, RUNTIME_RUNNING) != of_pair(1, 3, RUNTIME_RUNNING));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(containers_that_change_alike_are_noticed),
		cmocka_unit_test(order_makes_no_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
