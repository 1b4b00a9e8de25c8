/* What findings mean: one row each. */
#include "controller/cluster/doctor_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void assert_check(const struct doctor_check *check, enum doctor_state state)
{
	bool is_bad = state == DOCTOR_WARN || state == DOCTOR_FAIL;

	if (check->state != state)
		fail_msg("is %s: %s", doctor_state_name(check->state), check->message);
	assert_int_not_equal(check->message[0], '\0');
	assert_int_equal(check->cause[0] != '\0', is_bad);
	assert_int_equal(check->fix[0] != '\0', is_bad);
}

/* CN-042 */
static void engines_that_are_too_old_are_told(void **state)
{
	static const struct {
		const char *engine, *version;
		enum doctor_state state;
	} cases[] = {
		{ "podman", "3.4.4", DOCTOR_FAIL },   { "podman", "4.0.0", DOCTOR_WARN },
		{ "podman", "4.3.1", DOCTOR_OK },     { "podman", "5.6.0-dev", DOCTOR_OK },
		{ "docker", "18.06.3", DOCTOR_FAIL }, { "docker", "19.03.1", DOCTOR_WARN },
		{ "docker", "20.10.24", DOCTOR_OK },  { "fake", "1", DOCTOR_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct doctor_check check = { .id = cases[i].version };

		judge_engine_version(cases[i].engine, cases[i].version, &check);
		assert_check(&check, cases[i].state);
	}
}

/* security-faults.md 1.6 */
static void runtimes_with_known_holes_are_told(void **state)
{
	static const struct {
		const char *line;
		enum doctor_state state;
	} cases[] = {
		{ "runc version 1.1.5+ds1", DOCTOR_WARN },   { "runc version 1.2.7", DOCTOR_WARN },
		{ "runc version 1.2.8", DOCTOR_OK },         { "runc version 1.3.2", DOCTOR_WARN },
		{ "runc version 1.3.3\ncommit", DOCTOR_OK }, { "runc version 1.4.0", DOCTOR_OK },
		{ "crun version 1.8.1", DOCTOR_WARN },       { "crun version 1.28", DOCTOR_OK },
		{ "youki version 0.5.0", DOCTOR_OK },        { "", DOCTOR_SKIP },
		{ "no such program", DOCTOR_SKIP },          { "runc version x", DOCTOR_SKIP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct doctor_check check = { .id = cases[i].line };

		judge_runtime_version(cases[i].line, &check);
		assert_check(&check, cases[i].state);
	}
}

/* Each release has holes of its own: 1.8.1 reads exec's user right. */
static void holes_of_crun_are_those_of_its_release(void **state)
{
	static const struct {
		const char *line;
		bool user, device; /* CVE-2026-30892, CVE-2026-47766 */
	} cases[] = {
		{ "crun version 1.8.1", false, true },  { "crun version 1.18.2", false, true },
		{ "crun version 1.19", true, true },    { "crun version 1.26", true, true },
		{ "crun version 1.27.1", false, true }, { "crun version 1.28", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct doctor_check check = { .id = cases[i].line };

		judge_runtime_version(cases[i].line, &check);
		assert_int_equal(strstr(check.message, "30892") != NULL, cases[i].user);
		assert_int_equal(strstr(check.message, "47766") != NULL, cases[i].device);
	}
}

static void scores_clocks_and_swap_are_judged(void **state)
{
	struct doctor_check check = { .id = "x" };

	(void)state;
	judge_oom_score(0, &check);
	assert_check(&check, DOCTOR_OK);
	judge_oom_score(-500, &check);
	assert_check(&check, DOCTOR_OK);
	judge_oom_score(200, &check);
	assert_check(&check, DOCTOR_WARN);
	judge_clock(0, &check);
	assert_check(&check, DOCTOR_FAIL);
	judge_clock(1800000000, &check);
	assert_check(&check, DOCTOR_OK);
	judge_swap(0, &check);
	assert_check(&check, DOCTOR_OK);
	judge_swap(2097152, &check);
	assert_check(&check, DOCTOR_WARN);
	assert_string_equal(check.message, "2.0 GiB of swap are on");
}

static void ports_and_firewalls_are_judged(void **state)
{
	struct doctor_check check = { .id = "x" };

	(void)state;
	judge_ports(32768, 60999, true, &check);
	assert_check(&check, DOCTOR_OK);
	judge_ports(32768, 32900, true, &check);
	assert_check(&check, DOCTOR_WARN);
	judge_ports(32768, 60999, false, &check);
	assert_check(&check, DOCTOR_FAIL);
	judge_firewall(true, false, &check);
	assert_check(&check, DOCTOR_OK);
	judge_firewall(false, true, &check);
	assert_check(&check, DOCTOR_WARN);
	judge_firewall(false, false, &check);
	assert_check(&check, DOCTOR_FAIL);
}

/* CN-025 CN-091 CN-240 */
static void where_the_engine_runs_is_judged(void **state)
{
	struct doctor_check check = { .id = "x" };

	(void)state;
	judge_engine_host(&(struct engine_info){ .os_type = "linux" }, &check);
	assert_check(&check, DOCTOR_OK);
	judge_engine_host(&(struct engine_info){ .os_type = "windows" }, &check);
	assert_check(&check, DOCTOR_FAIL);
	judge_engine_host(&(struct engine_info){ .remote = true, .host = "far" }, &check);
	assert_check(&check, DOCTOR_WARN);
	assert_string_equal(check.message, "the engine runs on far");
	judge_engine_host(&(struct engine_info){ .userns_remap = true }, &check);
	assert_check(&check, DOCTOR_WARN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engines_that_are_too_old_are_told),
		cmocka_unit_test(runtimes_with_known_holes_are_told),
		cmocka_unit_test(holes_of_crun_are_those_of_its_release),
		cmocka_unit_test(scores_clocks_and_swap_are_judged),
		cmocka_unit_test(ports_and_firewalls_are_judged),
		cmocka_unit_test(where_the_engine_runs_is_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
