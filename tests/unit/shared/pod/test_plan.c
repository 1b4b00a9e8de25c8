#include "tests/support/pods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct row {
	const char *name; /* of the spec */
	const char *pod;
	const char *sandboxes;
	const char *seen;
	const char *decision; /* '*': started again afterwards */
};

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		podtest_expect(rows[i].name, rows[i].pod, rows[i].sandboxes, rows[i].seen,
			       rows[i].decision);
}

#define CHECK(rows) check(rows, ARRAY_LEN(rows))
#define UP          "ready 0 10.0.0.1"

/* PS-050, PS-051, PS-052, PS-053, PS-054, PS-055, PS-057 */
static void sandbox_changes_are_told_in_order(void **state)
{
	static const struct row rows[] = {
		{ "PS-050", "c1", "", "", "kill create - 0 app=c1" },
		{ "PS-051", "c1", "ready 1 10.0.0.2; ready 0 10.0.0.1", "c1 running",
		  "kill create sb0 2 app=c1" },
		{ "PS-052", "c1", "notready 0", "c1 exited 1", "kill create sb0 1 app=c1" },
		{ "PS-052", "c1", "unknown 3", "", "kill create sb0 4 app=c1" },
		{ "PS-053", "c1", "ready 0 node", "c1 running", "kill create - 1 app=c1" },
		{ "PS-053", "host c1", UP, "c1 running", "kill create - 1 app=c1" },
		{ "PS-053", "host c1", "ready 0 node", "c1 running", "sb0 0" },
		{ "PS-054", "c1", "ready 0 -", "c1 running", "kill create sb0 1 app=c1" },
		{ "PS-054", "c1", "ready 0", "c1 running", "sb0 0" },
		{ "PS-055", "c1", "ready 4 10.0.0.1; notready 3", "c1 running", "sb0 4" },
		{ "PS-057", "c1", "notready 1; notready 7", "", "kill create sb0 8 app=c1" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-060, PS-061, PS-062, PS-063, PS-064, PS-089 */
static void a_new_sandbox_starts_what_should_run_again(void **state)
{
	static const struct row rows[] = {
		{ "PS-060", "c1 c2", "notready 0", "", "kill create sb0 1 app=c1,c2" },
		{ "PS-061", "Never c1", "notready 0", "c1 exited 0", "kill sb0 1" },
		{ "PS-061", "Never c1", "notready 0", "c1 running", "kill sb0 1" },
		{ "PS-061", "Never c1", "notready 0", "", "kill create sb0 1 app=c1" },
		{ "PS-061", "Never c1", "", "c1 exited 0", "kill create - 0 app=c1" },
		{ "PS-062", "OnFailure c1 c2 c3", "notready 0",
		  "c1 exited 0; c2 exited 1; c3 running", "kill create sb0 1 app=c2,c3" },
		{ "PS-062", "OnFailure c1", "notready 0", "c1 exited 0; c1 exited 1",
		  "kill sb0 1" },
		{ "PS-062", "c1", "notready 0", "c1 exited 0", "kill create sb0 1 app=c1" },
		{ "PS-063", "OnFailure c1 c2", "notready 0", "c1 exited 0; c2 exited 0",
		  "kill sb0 1" },
		{ "PS-063", "OnFailure a:init c1", "notready 0", "c1 exited 0; a exited 0",
		  "kill sb0 1" },
		{ "PS-064", "a:init b:init c1", "notready 0", "c1 running; b exited 0; a exited 0",
		  "kill create sb0 1 init=a" },
		{ "PS-089", "s:sidecar c1", "notready 0", "c1 exited 0; s exited 0",
		  "kill create sb0 1 init=s" },
		/* Killed by us for a restart: an exit code of 0 does not complete it. */
		{ "PS-074", "OnFailure c1", "notready 0", "c1 exited 0 restart",
		  "kill create sb0 1 app=c1" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-070 */
static void ephemeral_containers_start_once(void **state)
{
	static const struct row rows[] = {
		{ "PS-070", "c1 e:ephemeral", UP, "c1 running", "sb0 0 eph=e" },
		{ "PS-070", "c1 e:ephemeral", UP, "c1 running; e running", "sb0 0" },
		{ "PS-070", "c1 e:ephemeral", UP, "c1 running; e exited 1", "sb0 0" },
		{ "PS-070", "c1 e:ephemeral", UP, "c1 running; e unknown", "sb0 0" },
		{ "PS-035", "c1 e:ephemeral", UP, "c1 running; e running changed", "sb0 0" },
		{ "PS-070", "a:init c1 e:ephemeral", UP, "a running", "sb0 0 eph=e" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-071, PS-072, PS-073 */
static void init_containers_run_one_after_another(void **state)
{
	static const struct row rows[] = {
		{ "PS-072", "a:init b:init c1", UP, "", "sb0 0 init=a" },
		{ "PS-072", "a:init b:init c1", UP, "a created", "sb0 0 init=a" },
		{ "PS-071", "a:init b:init c1", UP, "a running", "sb0 0" },
		{ "PS-072", "a:init b:init c1", UP, "a exited 0", "sb0 0 init=b" },
		{ "PS-072", "a:init b:init c1", UP, "b created; a exited 0", "sb0 0 init=b" },
		{ "PS-072", "a:init b:init c1", UP, "b running; a exited 0", "sb0 0" },
		{ "PS-072", "a:init b:init c1", UP, "b exited 0; a exited 0", "sb0 0 app=c1" },
		{ "PS-072", "a:init b:init c1", UP, "b exited 0", "sb0 0 app=c1" },
		{ "PS-072", "a:init b:init c1", UP, "c1 running", "sb0 0" },
		{ "PS-072", "a:init b:init c1", UP, "a exited 1", "sb0 0 init=a" },
		{ "PS-072", "a:init b:init c1", UP, "b exited 2; a exited 0", "sb0 0 init=b" },
		{ "PS-072", "a:init b:init c1", UP, "b exited 1; a exited 1", "sb0 0 init=b" },
		{ "PS-073", "OnFailure a:init c1", UP, "a exited 1", "sb0 0 init=a" },
		{ "PS-073", "Never a:init c1", UP, "a exited 1", "kill sb0 0" },
		{ "PS-073", "Never a:init c1", UP, "a unknown", "kill sb0 0" },
		{ "PS-073", "a:init c1", UP, "a unknown", "sb0 0 init=a stop=a.0*" },
		{ "PS-310", "a:init c1", UP, "a exited 0; a exited 1", "sb0 0 app=c1" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-074 */
static void app_containers_follow_the_table(void **state)
{
	static const struct row rows[] = {
		{ "absent", "c1 c2", UP, "", "sb0 0 app=c1,c2" },
		{ "absent, deleted", "c1 c2", UP, "deleted;c1 running", "sb0 0" },
		{ "created", "c1", UP, "c1 created", "sb0 0 app=c1" },
		{ "created, Never", "Never c1", UP, "c1 created", "sb0 0 app=c1" },
		{ "created, deleted", "c1 c2", UP, "deleted;c1 created; c2 running", "sb0 0" },
		{ "unknown", "c1", UP, "c1 unknown", "sb0 0 app=c1 stop=c1.0*" },
		{ "unknown, Never", "Never c1", UP, "c1 unknown", "sb0 0 app=c1 stop=c1.0*" },
		{ "unknown, deleted", "c1 c2", UP, "deleted;c1 unknown; c2 running", "sb0 0" },
		{ "exited, Always", "c1", UP, "c1 exited 0", "sb0 0 app=c1" },
		{ "exited, Always", "c1", UP, "c1 exited 3", "sb0 0 app=c1" },
		{ "exited, OnFailure", "OnFailure c1", UP, "c1 exited 3", "sb0 0 app=c1" },
		{ "exited, OnFailure", "OnFailure c1 c2", UP, "c1 exited 0; c2 running", "sb0 0" },
		{ "exited, Never", "Never c1 c2", UP, "c1 exited 3; c2 running", "sb0 0" },
		{ "exited, deleted", "c1 c2", UP, "deleted;c1 exited 1; c2 running", "sb0 0" },
		{ "changed", "c1", UP, "c1 running changed", "sb0 0 app=c1 stop=c1.0*" },
		{ "changed, Never", "Never c1", UP, "c1 running changed",
		  "sb0 0 app=c1 stop=c1.0*" },
		{ "PS-033", "c1", UP, "c1 running zero", "sb0 0 app=c1 stop=c1.0*" },
		{ "liveness", "c1", UP, "c1 running live-", "sb0 0 app=c1 stop=c1.0*" },
		{ "liveness, OnFailure", "OnFailure c1", UP, "c1 running live-",
		  "sb0 0 app=c1 stop=c1.0*" },
		{ "liveness, Never", "Never c1 c2", UP, "c1 running live-; c2 running",
		  "sb0 0 stop=c1.0" },
		{ "startup", "c1", UP, "c1 running start-", "sb0 0 app=c1 stop=c1.0*" },
		{ "startup, Never", "Never c1 c2", UP, "c1 running start-; c2 running",
		  "sb0 0 stop=c1.0" },
		{ "kept", "c1", UP, "c1 running", "sb0 0" },
		{ "kept", "c1", UP, "c1 running live+ start+", "sb0 0" },
		{ "kept", "c1", UP, "c1 running live? start?", "sb0 0" },
		{ "stopped by us", "Never c1", UP, "c1 exited 0 restart", "sb0 0 app=c1" },
		{ "PS-040", "Never c1 c2", UP, "c2 running; c1 exited 0; c1 running restart",
		  "sb0 0 stop=c1.1" },
		{ "spec order", "c3 c1 c2", UP, "", "sb0 0 app=c3,c1,c2" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-075 */
static void a_pod_with_nothing_left_is_killed(void **state)
{
	static const struct row rows[] = {
		{ "PS-075", "Never c1 c2", UP, "c1 exited 0; c2 exited 1", "kill sb0 0" },
		{ "PS-075", "OnFailure c1", UP, "c1 exited 0", "kill sb0 0" },
		{ "PS-075", "Never c1", UP, "c1 running live-", "kill sb0 0 stop=c1.0" },
		{ "PS-075", "c1", UP, "deleted;c1 exited 0", "kill sb0 0" },
		{ "PS-312", "Never a:init c1", UP, "a exited 7", "kill sb0 0" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-080, PS-081, PS-082, PS-083, PS-084, PS-086, PS-087, PS-088 */
static void sidecars_start_in_order_and_restart_always(void **state)
{
	static const struct row rows[] = {
		{ "PS-086", "s:sidecar b:init c1", UP, "", "sb0 0 init=s" },
		{ "PS-083", "s:sidecar b:init c1", UP, "s created", "sb0 0 init=s" },
		{ "PS-085", "s:sidecar b:init c1", UP, "s running", "sb0 0 init=b" },
		{ "PS-085", "s:sidecar c1", UP, "s running", "sb0 0 app=c1" },
		{ "PS-083", "s:sidecar b:init c1", UP, "b exited 0; s running", "sb0 0 app=c1" },
		{ "PS-083", "a:init s:sidecar c1", UP, "a exited 0", "sb0 0 init=s" },
		{ "PS-083", "a:init s:sidecar c1", UP, "a exited 1", "sb0 0 init=a" },
		{ "PS-083", "Never s:sidecar b:init c1", UP, "b exited 1; s running",
		  "kill sb0 0" },
		{ "PS-083", "Never s:sidecar b:init c1", UP, "b exited 1; s exited 1",
		  "kill sb0 0" },
		{ "PS-085", "a:init s:sidecar c1", UP, "a running", "sb0 0" },
		{ "PS-081", "s:sidecar b:init c1", UP, "b running; s exited 1", "sb0 0 init=s" },
		{ "PS-082", "s:sidecar b:init c1", UP, "b running", "sb0 0 init=s" },
		{ "PS-082", "a:init s:sidecar c1", UP, "c1 running", "sb0 0 init=s" },
		{ "PS-082", "a:init s:sidecar c1", UP, "c1 running; s running; a exited 1",
		  "sb0 0" },
		{ "PS-080", "s:sidecar c1", UP, "c1 exited 0", "sb0 0 init=s" },
		{ "PS-080", "s:sidecar c1", UP, "c1 created; s running", "sb0 0 app=c1" },
		{ "PS-088", "s:sidecar c1", UP, "c1 running; s exited 0", "sb0 0 init=s" },
		{ "PS-088", "Never s:sidecar c1", UP, "c1 running; s exited 0", "sb0 0 init=s" },
		{ "PS-088", "OnFailure s:sidecar c1", UP, "c1 running; s exited 0",
		  "sb0 0 init=s" },
		{ "PS-084", "Never a:init s:sidecar c1", UP, "a unknown", "kill sb0 0" },
		{ "PS-084", "a:init s:sidecar c1", UP, "a unknown", "sb0 0 init=a stop=a.0*" },
		{ "PS-084", "Never s:sidecar c1", UP, "c1 running; s unknown",
		  "sb0 0 init=s stop=s.0*" },
		{ "PS-086", "s:sidecar t:sidecar c1", UP, "c1 running; t exited 0; s exited 0",
		  "sb0 0 init=s,t" },
		{ "PS-087", "Never s:sidecar c1", UP, "c1 exited 0; s running", "kill sb0 0" },
		{ "PS-087", "Never s:sidecar t:sidecar c1", UP,
		  "c1 exited 0; t running; s exited 0", "kill sb0 0" },
		{ "PS-087", "s:sidecar c1", UP, "s created", "sb0 0 init=s" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-085 */
static void running_sidecars_are_watched(void **state)
{
	static const struct row rows[] = {
		{ "no result", "s:sidecar+startup c1", UP, "s running", "sb0 0" },
		{ "unknown", "s:sidecar+startup c1", UP, "s running start?", "sb0 0" },
		{ "success", "s:sidecar+startup c1", UP, "s running start+", "sb0 0 app=c1" },
		{ "failure", "s:sidecar+startup c1", UP, "s running start-",
		  "sb0 0 init=s stop=s.0*" },
		{ "next", "s:sidecar t:sidecar c1", UP, "s running", "sb0 0 init=t" },
		{ "changed", "s:sidecar c1", UP, "c1 running; s running changed",
		  "sb0 0 init=s stop=s.0*" },
		{ "liveness", "s:sidecar c1", UP, "c1 running; s running live-",
		  "sb0 0 init=s stop=s.0*" },
		{ "liveness unknown", "s:sidecar c1", UP, "c1 running; s running live?", "sb0 0" },
		{ "liveness, last", "s:sidecar c1", UP, "s running live-",
		  "sb0 0 init=s app=c1 stop=s.0*" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-093, PS-127, PS-317 */
static void running_strays_and_duplicates_are_killed(void **state)
{
	static const struct row rows[] = {
		{ "duplicate", "c1", UP, "c1 running; c1 running", "sb0 0 stop=c1.1" },
		{ "duplicate under exited", "Never c1 c2", UP,
		  "c2 running; c1 exited 0; c1 running", "sb0 0 stop=c1.1" },
		{ "stray", "c1", UP, "x running; c1 running", "sb0 0 stop=x.0" },
		{ "dead stray", "c1", UP, "x exited 0; c1 running", "sb0 0" },
		{ "while init runs", "a:init c1", UP, "x running; a running", "sb0 0 stop=x.0" },
		{ "killed with the pod", "Never c1", UP, "x running; c1 exited 0", "kill sb0 0" },
	};

	(void)state;
	CHECK(rows);
}

/* PS-320 */
static void reasons_are_given_for_every_container(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("OnFailure c1 c2 c3");
	cleanup_with(pod_observed) struct pod_observed o =
		podtest_observed(pod, UP,
				 "x running; c1 running changed; c2 exited 0; c3 exited 1");
	cleanup_with(pod_decision) struct pod_decision d = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(pod_plan(pod, &o, &d, &err), 0);
	assert_string_equal(kv_get(&d.reasons, "c1"), "has changed and restarts");
	assert_string_equal(kv_get(&d.reasons, "c2"), "has completed");
	assert_string_equal(kv_get(&d.reasons, "c3"), "failed and restarts");
	assert_string_equal(kv_get(&d.reasons, "x"), "is not in the spec any more");
	assert_int_equal(d.reasons.count, 4);
	assert_int_equal(d.kills[0].cause, KILL_CHANGED);
	assert_int_equal(d.kills[1].cause, KILL_STRAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sandbox_changes_are_told_in_order),
		cmocka_unit_test(a_new_sandbox_starts_what_should_run_again),
		cmocka_unit_test(ephemeral_containers_start_once),
		cmocka_unit_test(init_containers_run_one_after_another),
		cmocka_unit_test(app_containers_follow_the_table),
		cmocka_unit_test(a_pod_with_nothing_left_is_killed),
		cmocka_unit_test(sidecars_start_in_order_and_restart_always),
		cmocka_unit_test(running_sidecars_are_watched),
		cmocka_unit_test(running_strays_and_duplicates_are_killed),
		cmocka_unit_test(reasons_are_given_for_every_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
