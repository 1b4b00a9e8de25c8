#include "shared/pod/phase.h"

#include "tests/support/pods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* PS-284 */
static void phase_follows_the_containers(void **state)
{
	static const struct {
		const char *pod;
		const char *seen;
		const char *phase;
	} rows[] = {
		{ "c1", "", "Pending" },
		{ "a:init c1", "a running", "Pending" },
		{ "a:init c1", "a exited 1", "Pending" },
		{ "OnFailure a:init c1", "a exited 1", "Pending" },
		{ "Never a:init c1", "a exited 1", "Failed" },
		{ "s:sidecar c1", "", "Pending" },
		{ "s:sidecar+startup c1", "s running", "Pending" },
		{ "s:sidecar c1", "s running; c1 running", "Running" },
		{ "a:init c1", "c1 running", "Running" },
		{ "c1 c2", "c1 running", "Pending" },
		{ "c1 c2", "c1 running; c2 created", "Pending" },
		{ "c1 c2", "c1 running; c2 running", "Running" },
		{ "c1 c2", "c1 running; c2 exited 1", "Running" },
		{ "c1 c2", "c1 running; c2 unknown", "Pending" },
		{ "c1", "c1 exited 1", "Running" },
		{ "c1", "c1 exited 0", "Running" },
		{ "Never c1 c2", "c1 exited 0; c2 exited 0", "Succeeded" },
		{ "Never c1 c2", "c1 exited 0; c2 exited 1", "Failed" },
		{ "OnFailure c1", "c1 exited 0", "Succeeded" },
		{ "OnFailure c1", "c1 exited 1", "Running" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod(rows[i].pod);
		cleanup_with(pod_observed) struct pod_observed o =
			podtest_observed(pod, "ready 0", rows[i].seen);

		if (strcmp(pod_phase(pod, &o), rows[i].phase) != 0)
			print_error("pod '%s', seen '%s'\n", rows[i].pod, rows[i].seen);
		assert_string_equal(pod_phase(pod, &o), rows[i].phase);
	}
}

/* PS-280 */
static void exits_have_their_reason(void **state)
{
	(void)state;
	assert_string_equal(exit_reason(0), "Completed");
	assert_string_equal(exit_reason(137), "Error");
}

/* PS-282 */
static void what_waits_says_for_what(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("a:init c1");
	cleanup_with(pod_observed) struct pod_observed none = podtest_observed(pod, "", "");
	cleanup_with(pod_observed) struct pod_observed done =
		podtest_observed(pod, "ready 0", "a exited 0");

	(void)state;
	assert_string_equal(waiting_reason(pod, &none, "c1"), "PodInitializing");
	assert_string_equal(waiting_reason(pod, &none, "a"), "ContainerCreating");
	assert_string_equal(waiting_reason(pod, &done, "c1"), "ContainerCreating");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phase_follows_the_containers),
		cmocka_unit_test(exits_have_their_reason),
		cmocka_unit_test(what_waits_says_for_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
