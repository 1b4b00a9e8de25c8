#include "agent/units/unit.h"

#include "agent/units/unit_impl.h"
#include "tests/support/units.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	struct sd_event *loop;
	struct units *units;
};

static int set_up(void **state)
{
	static struct rig rig;
	struct err err;

	memset(&rig, 0, sizeof(rig));
	assert_true(sd_event_new(&rig.loop) >= 0);
	assert_int_equal(units_open("fake", rig.loop, &rig.units, &err), 0);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	units_close(rig->units);
	sd_event_unref(rig->loop);
	return 0;
}

static void assert_full_name(const char *name, const char *want)
{
	char full[256];
	struct err err;

	assert_int_equal(unit_full_name(name, full, &err), 0);
	assert_string_equal(full, want);
}

/* NS-026 */
static void name_without_suffix_is_a_service(void **state)
{
	(void)state;
	assert_full_name("kubelet", "kubelet.service");
	assert_full_name("kubelet.service", "kubelet.service");
	assert_full_name("cri-docker.socket", "cri-docker.socket");
	assert_full_name("getty@tty1", "getty@tty1.service");
	assert_full_name("a.b", "a.b.service");
	assert_full_name("-.mount", "-.mount");
	assert_full_name("dev-disk-by\\x2duuid.device", "dev-disk-by\\x2duuid.device");
}

static void assert_no_name(const char *name)
{
	char full[256] = "untouched";
	struct err err;

	assert_int_equal(unit_full_name(name, full, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(full, "untouched");
}

static void what_is_no_unit_name_is_refused(void **state)
{
	char longest[300];

	(void)state;
	assert_no_name("");
	assert_no_name("a/b");
	assert_no_name("../etc.service");
	assert_no_name("a b");
	assert_no_name("a\n.service");
	assert_no_name("a\x01");
	assert_no_name("k\xc3\xa4se");
	assert_no_name("a;b");
	assert_no_name("@x.service");
	assert_no_name("getty@.service");
	memset(longest, 'a', sizeof(longest));
	longest[256] = '\0';
	assert_no_name(longest);
	longest[255 - strlen(".service")] = '\0';
	assert_int_equal(unit_full_name(longest, (char[256]){ 0 }, &(struct err){ 0 }), 0);
	longest[255 - strlen(".service")] = 'a';
	longest[255 - strlen(".service") + 1] = '\0';
	assert_no_name(longest);
}

static void unknown_backend_is_refused(void **state)
{
	struct rig *rig = *state;
	struct units *units = NULL;
	struct err err;

	assert_int_equal(units_open("upstart", rig->loop, &units, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_null(units);
}

static void bad_name_fails_from_the_loop(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_status(rig->loop, rig->units, "a/b", 1000, &answer);
	assert_int_equal(answer.err.code, ERR_INVALID_ARGUMENT);
	ask_act(rig->loop, rig->units, UNIT_START, "", 1000, &answer);
	assert_int_equal(answer.err.code, ERR_INVALID_ARGUMENT);
	ask_force_stop(rig->loop, rig->units, "x y", 0, 1000, &answer);
	assert_int_equal(answer.err.code, ERR_INVALID_ARGUMENT);
	ask_kill(rig->loop, rig->units, "kubelet", false, 65, 1000, &answer);
	assert_int_equal(answer.err.code, ERR_INVALID_ARGUMENT);
}

/* NS-034 */
static void status_answers_in_the_order_asked(void **state)
{
	static const char *const names[] = { "containerd", "nope", "kubelet.service" };
	struct rig *rig = *state;
	struct units_answer answer = { 0 };

	units_status(rig->units, names, 3, deadline_in_ms(1000), answer_status, &answer);
	loop_until_answered(rig->loop, &answer, 1000);
	assert_false(answer.failed);
	assert_int_equal(answer.count, 3);
	assert_string_equal(answer.list[0].name, "containerd.service");
	assert_string_equal(answer.list[0].active, "active");
	assert_string_equal(answer.list[1].name, "nope.service");
	assert_string_equal(answer.list[1].load, "not-found");
	assert_string_equal(answer.list[2].name, "kubelet.service");
	assert_int_not_equal(answer.list[2].main_pid, 0);
}

static void start_and_stop_show_before_and_after(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_act(rig->loop, rig->units, UNIT_STOP, "kubelet", 1000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.before.active, "active");
	assert_string_equal(answer.outcome.after.active, "inactive");
	assert_string_equal(answer.outcome.job_result, "done");
	ask_act(rig->loop, rig->units, UNIT_START, "kubelet", 1000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.before.active, "inactive");
	assert_string_equal(answer.outcome.after.active, "active");
}

/* NS-031 */
static void restart_of_an_inactive_unit_starts_it(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_act(rig->loop, rig->units, UNIT_STOP, "kubelet", 1000, &answer);
	ask_act(rig->loop, rig->units, UNIT_RESTART, "kubelet", 1000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.after.active, "active");
}

/* NS-024, NS-027 */
static void stop_of_what_is_not_running_needs_no_job(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_act(rig->loop, rig->units, UNIT_STOP, "nope", 1000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.job_result, "none");
	assert_string_equal(answer.outcome.before.load, "not-found");
	ask_act(rig->loop, rig->units, UNIT_STOP, "slow", 1000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.job_result, "none");
	ask_act(rig->loop, rig->units, UNIT_START, "nope", 1000, &answer);
	assert_int_equal(answer.err.code, ERR_NOT_FOUND);
}

static void failed_job_is_a_failed_precondition(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_act(rig->loop, rig->units, UNIT_START, "broken", 1000, &answer);
	assert_int_equal(answer.err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(answer.err.reason, "UNIT_JOB_FAILED");
	ask_status(rig->loop, rig->units, "broken", 1000, &answer);
	assert_string_equal(answer.list[0].active, "failed");
}

static void slow_unit_takes_its_time(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	int64_t start_ms = clock_now_ms();

	ask_act(rig->loop, rig->units, UNIT_START, "slow", 2000, &answer);
	assert_false(answer.failed);
	assert_in_range(answer.at_ms - start_ms, 299, 5000);
}

static void unit_that_never_answers_ends_at_the_deadline(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	int64_t start_ms = clock_now_ms();

	ask_act(rig->loop, rig->units, UNIT_STOP, "hang", 150, &answer);
	assert_int_equal(answer.err.code, ERR_DEADLINE_EXCEEDED);
	ask_status(rig->loop, rig->units, "hang", 150, &answer);
	assert_int_equal(answer.err.code, ERR_DEADLINE_EXCEEDED);
	ask_force_stop(rig->loop, rig->units, "hang", 50, 150, &answer);
	assert_int_equal(answer.err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(answer.err.reason, "UNIT_STILL_RUNNING");
	assert_in_range(answer.at_ms - start_ms, 440, 6000);
}

/* NS-028, NS-029, F7 */
static void forced_stop_kills_what_ignores_the_stop(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	int64_t start_ms = clock_now_ms();

	ask_force_stop(rig->loop, rig->units, "stubborn", 200, 5000, &answer);
	assert_false(answer.failed);
	assert_true(answer.outcome.killed);
	assert_string_equal(answer.outcome.before.active, "active");
	assert_string_equal(answer.outcome.after.active, "inactive");
	assert_in_range(answer.at_ms - start_ms, 199, 5000);
}

static void forced_stop_of_a_willing_unit_kills_nothing(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_force_stop(rig->loop, rig->units, "kubelet", 0, 5000, &answer);
	assert_false(answer.failed);
	assert_false(answer.outcome.killed);
	assert_string_equal(answer.outcome.job_result, "done");
	assert_string_equal(answer.outcome.after.active, "inactive");
}

/* NS-015: where minikube fails */
static void forced_stop_of_an_absent_unit_is_success(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_force_stop(rig->loop, rig->units, "nope", 0, 5000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.job_result, "none");
	assert_string_equal(answer.outcome.after.load, "not-found");
}

static void forced_stop_leaves_itself_time_to_kill(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_force_stop(rig->loop, rig->units, "stubborn", 60000, 400, &answer);
	assert_false(answer.failed);
	assert_true(answer.outcome.killed);
}

static void forced_stop_resets_the_failed_state(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_act(rig->loop, rig->units, UNIT_START, "broken", 1000, &answer);
	ask_force_stop(rig->loop, rig->units, "broken", 0, 5000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.before.active, "failed");
	assert_string_equal(answer.outcome.after.active, "inactive");
}

static void kill_of_a_missing_unit_is_not_found(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_kill(rig->loop, rig->units, "nope", false, SIGTERM, 1000, &answer);
	assert_int_equal(answer.err.code, ERR_NOT_FOUND);
	ask_kill(rig->loop, rig->units, "slow", true, SIGTERM, 1000, &answer);
	assert_false(answer.failed);
}

static void close_cancels_what_is_pending(void **state)
{
	struct units_answer stop = { 0 }, status = { 0 }, force = { 0 };
	static const char *const hang = "hang";
	struct rig *rig = *state;
	struct err err;

	units_act(rig->units, UNIT_STOP, "hang", deadline_in_ms(5000), answer_action, &stop);
	units_status(rig->units, &hang, 1, deadline_in_ms(5000), answer_status, &status);
	units_force_stop(rig->units, "stubborn", 10, deadline_in_ms(5000), answer_action, &force);
	units_close(rig->units);
	assert_int_equal(stop.calls, 1);
	assert_int_equal(stop.err.code, ERR_CANCELLED);
	assert_int_equal(status.err.code, ERR_CANCELLED);
	assert_int_equal(force.calls, 1);
	assert_int_equal(force.err.code, ERR_CANCELLED);
	assert_int_equal(units_open("fake", rig->loop, &rig->units, &err), 0);
}

static void system_is_running(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer = { 0 };

	units_system_state(rig->units, deadline_in_ms(1000), answer_state, &answer);
	assert_int_equal(answer.calls, 0);
	loop_until_answered(rig->loop, &answer, 1000);
	assert_string_equal(answer.state, "running");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(name_without_suffix_is_a_service),
		test(what_is_no_unit_name_is_refused),
		test(unknown_backend_is_refused),
		test(bad_name_fails_from_the_loop),
		test(status_answers_in_the_order_asked),
		test(start_and_stop_show_before_and_after),
		test(restart_of_an_inactive_unit_starts_it),
		test(stop_of_what_is_not_running_needs_no_job),
		test(failed_job_is_a_failed_precondition),
		test(slow_unit_takes_its_time),
		test(unit_that_never_answers_ends_at_the_deadline),
		test(forced_stop_kills_what_ignores_the_stop),
		test(forced_stop_of_a_willing_unit_kills_nothing),
		test(forced_stop_of_an_absent_unit_is_success),
		test(forced_stop_leaves_itself_time_to_kill),
		test(forced_stop_resets_the_failed_state),
		test(kill_of_a_missing_unit_is_not_found),
		test(close_cancels_what_is_pending),
		test(system_is_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
