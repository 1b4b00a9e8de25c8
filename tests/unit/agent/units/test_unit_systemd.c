/*
 * The backend "systemd" against a real PID 1.
 *
 *	test_unit_systemd [PID [bus]]
 *
 * PID is the host's number of a node's first process: the tests then reach into that node, as root.
 * Without it they talk to the PID 1 of where they run, a node. "bus": over the message bus of that
 * node instead of PID 1's own socket.
 */
#include "agent/units/systemd_impl.h"
#include "shared/base/cleanup.h"
#include "shared/base/parse.h"
#include "tests/support/units.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct place {
	char root[64]; /* of the node, as seen from here; "" */
	char address[128];
	bool is_bus;
	struct bus_address addresses[1];
	struct systemd_config config;
} place;

struct rig {
	struct sd_event *loop;
	struct units *units;
};

/* --- the node's units ------------------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *text;
} test_units[] = {
	{ "berth-test-good.service", "[Service]\nExecStart=sleep infinity\n" },
	{ "berth-test-broken.service", "[Service]\nType=oneshot\n"
				       "ExecStart=sh -c 'echo the reason of it all; exit 3'\n" },
	/* NS-241; started once their trap is set */
	{ "berth-test-stubborn.service",
	  "[Service]\nType=notify\nNotifyAccess=all\n"
	  "ExecStart=bash -c 'trap \"\" TERM; systemd-notify --ready; while :; do sleep 1; done'\n"
	  "TimeoutStopSec=infinity\n" },
	{ "berth-test-family.service",
	  "[Service]\nType=notify\nNotifyAccess=all\n"
	  "ExecStart=bash -c 'bash -c \"trap \\\\\"\\\\\" TERM; systemd-notify --ready; "
	  "while :; do sleep 1; done\" & wait'\nTimeoutStopSec=infinity\n" },
	{ "berth-test-slowstop.service",
	  "[Service]\nExecStart=sleep infinity\nExecStopPost=sleep infinity\n"
	  "TimeoutStopSec=infinity\n" },
	/* NS-242 */
	{ "berth-test-loop.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=false\n"
				     "Restart=always\nRestartSec=1s\n" },
	{ "berth-test-slow.service",
	  "[Service]\nType=oneshot\nExecStart=sleep 30\nTimeoutStartSec=infinity\n" },
};

static void write_unit(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/run/systemd/system/%s", place.root, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void remove_unit(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/run/systemd/system/%s", place.root, name);
	unlink(path);
}

/* A manager's method without arguments, waited for; it may cut the connection. */
static void call_manager(const char *method)
{
	sd_bus *bus = NULL;

	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_address(bus, place.address) >= 0);
	assert_true(sd_bus_set_bus_client(bus, place.is_bus) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	sd_bus_call_method(bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, method, NULL, NULL,
			   NULL);
	sd_bus_flush_close_unref(bus);
}

static int add_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(test_units); i++)
		write_unit(test_units[i].name, test_units[i].text);
	call_manager("Reload");
	return 0;
}

static int remove_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(test_units); i++)
		remove_unit(test_units[i].name);
	call_manager("ResetFailed"); /* the node is as healthy as it was */
	call_manager("Reload");
	return 0;
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	assert_true(sd_event_new(&rig->loop) >= 0);
	assert_int_equal(unit_systemd_open(&place.config, rig->loop, &rig->units, &err), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	units_close(rig->units);
	sd_event_unref(rig->loop);
	free(rig);
	return 0;
}

/* --- status ----------------------------------------------------------------------------------- */

/* NS-020, NS-021, NS-025, NS-240 */
static void running_unit_is_described(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_status(rig->loop, rig->units, "systemd-journald", 5000, &answer);
	assert_false(answer.failed);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.list[0].name, "systemd-journald.service");
	assert_string_equal(answer.list[0].load, "loaded");
	assert_string_equal(answer.list[0].active, "active");
	assert_string_equal(answer.list[0].sub, "running");
	assert_string_equal(answer.list[0].enabled, "static");
	assert_string_equal(answer.list[0].description, "Journal Service");
	assert_true(answer.list[0].main_pid > 1);
	assert_true(answer.list[0].since_us > 1600000000000000ULL);
}

/* NS-034 */
static void many_units_are_asked_in_one_go(void **state)
{
	static const char *const names[] = { "systemd-journald", "berth-nope", "basic.target",
					     "berth-test-good", "systemd-journald" };
	struct rig *rig = *state;

	/* The second time the absent one is known to be absent. */
	for (int i = 0; i < 2; i++) {
		struct units_answer answer = { 0 };

		units_status(rig->units, names, 5, deadline_in_ms(5000), answer_status, &answer);
		loop_until_answered(rig->loop, &answer, 5000);
		assert_false(answer.failed);
		assert_int_equal(answer.count, 5);
		assert_string_equal(answer.list[0].active, "active");
		assert_string_equal(answer.list[1].load, "not-found");
		assert_string_equal(answer.list[1].active, "inactive");
		assert_string_equal(answer.list[2].active, "active");
		assert_int_equal(answer.list[2].main_pid, 0);
		assert_string_equal(answer.list[3].load, "loaded");
		assert_int_equal(answer.list[4].main_pid, answer.list[0].main_pid);
	}
}

static void unit_that_appears_is_seen(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_status(rig->loop, rig->units, "berth-test-new", 5000, &answer);
	assert_string_equal(answer.list[0].load, "not-found");
	write_unit("berth-test-new.service", "[Service]\nExecStart=sleep infinity\n");
	call_manager("Reload");
	ask_status(rig->loop, rig->units, "berth-test-new", 5000, &answer);
	assert_string_equal(answer.list[0].load, "loaded");
	assert_string_equal(answer.list[0].enabled, "static");
	remove_unit("berth-test-new.service");
	call_manager("Reload");
	ask_status(rig->loop, rig->units, "berth-test-new", 5000, &answer);
	assert_string_equal(answer.list[0].load, "not-found");
}

static void system_state_is_a_known_word(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer = { 0 };

	units_system_state(rig->units, deadline_in_ms(5000), answer_state, &answer);
	loop_until_answered(rig->loop, &answer, 5000);
	assert_false(answer.failed);
	assert_true(strcmp(answer.state, "running") == 0 || strcmp(answer.state, "degraded") == 0 ||
		    strcmp(answer.state, "starting") == 0);
}

/* --- start, stop, restart ---------------------------------------------------------------------- */

/* NS-022, NS-023, NS-027, NS-031 */
static void start_restart_and_stop_wait_for_the_job(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	uint32_t pid;

	ask_act(rig->loop, rig->units, UNIT_START, "berth-test-good", 5000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.job_result, "done");
	assert_string_equal(answer.outcome.before.active, "inactive");
	assert_string_equal(answer.outcome.after.active, "active");
	pid = answer.outcome.after.main_pid;
	ask_act(rig->loop, rig->units, UNIT_RESTART, "berth-test-good", 5000, &answer);
	assert_string_equal(answer.outcome.after.active, "active");
	assert_int_not_equal(answer.outcome.after.main_pid, pid);
	ask_act(rig->loop, rig->units, UNIT_STOP, "berth-test-good", 5000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.job_result, "done");
	assert_string_equal(answer.outcome.before.active, "active");
	assert_string_equal(answer.outcome.after.active, "inactive");
	ask_act(rig->loop, rig->units, UNIT_RESTART, "berth-test-good", 5000, &answer);
	assert_string_equal(answer.outcome.after.active, "active");
	ask_act(rig->loop, rig->units, UNIT_STOP, "berth-test-good", 5000, &answer);
}

/* NS-024 */
static void absent_unit_is_stopped_but_not_started(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_act(rig->loop, rig->units, UNIT_STOP, "berth-nope", 5000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.job_result, "none");
	ask_act(rig->loop, rig->units, UNIT_START, "berth-nope", 5000, &answer);
	assert_int_equal(answer.err.code, ERR_NOT_FOUND);
	ask_act(rig->loop, rig->units, UNIT_RESTART, "berth-nope", 5000, &answer);
	assert_int_equal(answer.err.code, ERR_NOT_FOUND);
	ask_force_stop(rig->loop, rig->units, "berth-nope", 0, 5000, &answer);
	assert_false(answer.failed);
	ask_kill(rig->loop, rig->units, "berth-nope", false, SIGTERM, 5000, &answer);
	assert_int_equal(answer.err.code, ERR_NOT_FOUND);
}

/* NS-032, NS-016 */
static void failed_start_tells_the_last_journal_lines(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_act(rig->loop, rig->units, UNIT_START, "berth-test-broken", 5000, &answer);
	assert_int_equal(answer.err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(answer.err.reason, "UNIT_JOB_FAILED");
	assert_non_null(strstr(answer.err.msg, "start unit 'berth-test-broken.service'"));
	assert_non_null(strstr(answer.err.msg, "job result 'failed'"));
	assert_non_null(strstr(answer.err.msg, "the reason of it all"));
}

/* NS-023: the job stays with systemd, the caller does not. */
static void job_that_takes_longer_ends_at_the_deadline(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	int64_t start_ms = clock_now_ms();

	ask_act(rig->loop, rig->units, UNIT_START, "berth-test-slow", 300, &answer);
	assert_int_equal(answer.err.code, ERR_DEADLINE_EXCEEDED);
	assert_in_range(answer.at_ms - start_ms, 299, 5000);
	ask_act(rig->loop, rig->units, UNIT_STOP, "berth-test-slow", 5000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.before.active, "activating");
	assert_string_equal(answer.outcome.job_result, "done");
	assert_int_equal(answer.outcome.after.main_pid, 0);
}

static void start_that_a_stop_replaces_is_aborted(void **state)
{
	struct units_answer start = { 0 }, stop;
	struct rig *rig = *state;

	units_act(rig->units, UNIT_START, "berth-test-slow", deadline_in_ms(5000), answer_action,
		  &start);
	loop_for(rig->loop, 200);
	ask_act(rig->loop, rig->units, UNIT_STOP, "berth-test-slow", 5000, &stop);
	assert_false(stop.failed);
	loop_until_answered(rig->loop, &start, 5000);
	assert_int_equal(start.err.code, ERR_ABORTED);
}

/* --- force and kill --------------------------------------------------------------------------- */

static void assert_force_stops(struct rig *rig, const char *name, int64_t grace_ms,
			       int64_t limit_ms)
{
	struct units_answer answer;
	int64_t start_ms;

	ask_act(rig->loop, rig->units, UNIT_START, name, 20000, &answer);
	assert_false(answer.failed);
	start_ms = clock_now_ms();
	ask_force_stop(rig->loop, rig->units, name, grace_ms, 20000, &answer);
	if (answer.failed)
		fail_msg("%s", answer.err.msg);
	assert_true(answer.outcome.killed);
	assert_string_equal(answer.outcome.after.active, "inactive");
	assert_int_equal(answer.outcome.after.main_pid, 0);
	assert_in_range(answer.at_ms - start_ms, 0, limit_ms);
}

/* NS-028, NS-029, NS-241, F7 */
static void forced_stop_ends_a_unit_that_ignores_sigterm(void **state)
{
	assert_force_stops(*state, "berth-test-stubborn", 0, 20000);
	assert_force_stops(*state, "berth-test-stubborn", 500, 10000);
}

static void forced_stop_ends_children_and_stop_commands(void **state)
{
	assert_force_stops(*state, "berth-test-family", 300, 10000);
	assert_force_stops(*state, "berth-test-slowstop", 300, 10000);
}

static void plain_stop_of_a_stubborn_unit_ends_at_the_deadline(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	ask_act(rig->loop, rig->units, UNIT_START, "berth-test-stubborn", 20000, &answer);
	assert_false(answer.failed);
	ask_act(rig->loop, rig->units, UNIT_STOP, "berth-test-stubborn", 500, &answer);
	assert_int_equal(answer.err.code, ERR_DEADLINE_EXCEEDED);
	ask_force_stop(rig->loop, rig->units, "berth-test-stubborn", 100, 5000, &answer);
	assert_false(answer.failed);
}

/* Waits until the unit waits for its next start. */
static void start_loop(struct rig *rig)
{
	struct units_answer answer;
	struct deadline by = deadline_in_ms(10000);

	ask_act(rig->loop, rig->units, UNIT_START, "berth-test-loop", 5000, &answer);
	do {
		ask_status(rig->loop, rig->units, "berth-test-loop", 5000, &answer);
		assert_false(deadline_is_over(by));
	} while (strcmp(answer.list[0].sub, "auto-restart") != 0);
}

static void assert_stays_down(struct rig *rig, int64_t ms)
{
	struct deadline by = deadline_in_ms(ms);
	struct units_answer answer;

	while (!deadline_is_over(by)) {
		ask_status(rig->loop, rig->units, "berth-test-loop", 5000, &answer);
		assert_string_equal(answer.list[0].active, "inactive");
		loop_for(rig->loop, 100);
	}
}

/* NS-242 */
static void stop_beats_a_restart_loop(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	start_loop(rig);
	ask_act(rig->loop, rig->units, UNIT_STOP, "berth-test-loop", 5000, &answer);
	assert_false(answer.failed);
	assert_stays_down(rig, 10000);
}

/* NS-028 */
static void forced_stop_beats_a_restart_loop(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;

	start_loop(rig);
	ask_force_stop(rig->loop, rig->units, "berth-test-loop", 500, 5000, &answer);
	assert_false(answer.failed);
	assert_false(answer.outcome.killed);
	assert_stays_down(rig, 2500);
}

static void kill_reaches_the_main_process(void **state)
{
	struct rig *rig = *state;
	struct units_answer answer;
	struct deadline by;

	ask_act(rig->loop, rig->units, UNIT_START, "berth-test-good", 5000, &answer);
	ask_kill(rig->loop, rig->units, "berth-test-good", true, SIGKILL, 5000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.outcome.before.active, "active");
	by = deadline_in_ms(5000);
	do {
		ask_status(rig->loop, rig->units, "berth-test-good", 5000, &answer);
		assert_false(deadline_is_over(by));
	} while (strcmp(answer.list[0].active, "failed") != 0);
	ask_kill(rig->loop, rig->units, "berth-test-good", false, SIGKILL, 5000, &answer);
	assert_false(answer.failed); /* nothing left to kill */
	ask_force_stop(rig->loop, rig->units, "berth-test-good", 0, 5000, &answer);
	assert_string_equal(answer.outcome.after.active, "inactive");
}

/* --- the connection --------------------------------------------------------------------------- */

/* F9: PID 1 executes itself anew; calls before, during and after it. */
static void reexecution_of_systemd_is_survived(void **state)
{
	struct units_answer slow = { 0 }, answer;
	struct rig *rig = *state;

	units_act(rig->units, UNIT_START, "berth-test-slow", deadline_in_ms(20000), answer_action,
		  &slow);
	loop_for(rig->loop, 200);
	call_manager("Reexecute");
	ask_status(rig->loop, rig->units, "systemd-journald", 5000, &answer);
	assert_false(answer.failed);
	assert_string_equal(answer.list[0].active, "active");
	assert_int_equal(slow.calls, 0);
	ask_act(rig->loop, rig->units, UNIT_STOP, "berth-test-slow", 5000, &answer);
	assert_false(answer.failed);
	loop_until_answered(rig->loop, &slow, 5000);
	assert_int_equal(slow.err.code, ERR_ABORTED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		test(running_unit_is_described),
		test(many_units_are_asked_in_one_go),
		test(unit_that_appears_is_seen),
		test(system_state_is_a_known_word),
		test(start_restart_and_stop_wait_for_the_job),
		test(absent_unit_is_stopped_but_not_started),
		test(failed_start_tells_the_last_journal_lines),
		test(job_that_takes_longer_ends_at_the_deadline),
		test(start_that_a_stop_replaces_is_aborted),
		test(forced_stop_ends_a_unit_that_ignores_sigterm),
		test(forced_stop_ends_children_and_stop_commands),
		test(plain_stop_of_a_stubborn_unit_ends_at_the_deadline),
		test(stop_beats_a_restart_loop),
		test(forced_stop_beats_a_restart_loop),
		test(kill_reaches_the_main_process),
		test(reexecution_of_systemd_is_survived),
	};

	return cmocka_run_group_tests(tests, add_units, remove_units);
}

/* --- where to ---------------------------------------------------------------------------------- */

static void set_place(const char *root, const char *journalctl)
{
	snprintf(place.root, sizeof(place.root), "%s", root);
	snprintf(place.address, sizeof(place.address), "unix:path=%s/run/%s", root,
		 place.is_bus ? "dbus/system_bus_socket" : "systemd/private");
	place.addresses[0] = (struct bus_address){ place.address, place.is_bus };
	place.config = (struct systemd_config){ place.addresses, 1, journalctl };
}

/* The node's journalctl, run in its namespaces. */
static int write_journalctl(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -1;
	if (fputs("#!/bin/sh\nexec nsenter -t 1 -m journalctl \"$@\"\n", file) < 0 ||
	    fclose(file) != 0)
		return -1;
	return chmod(path, 0700);
}

static int run_inside(void)
{
	char path[] = "/tmp/berth-test-journalctl.XXXXXX";
	int fd = mkstemp(path);
	int r;

	if (fd < 0 || close(fd) < 0 || write_journalctl(path) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0) {
		perror("cannot look into the node");
		return 1;
	}
	set_place("/proc/1/root", path);
	r = run_all();
	unlink(path);
	return r;
}

/* PID 1 takes no caller whose pid it cannot see: a child born into the node's pid namespace asks. */
static int run_all_in(int64_t pid)
{
	char path[64];
	int fd, status;
	pid_t child;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWPID) < 0) {
		perror(path);
		return 1;
	}
	close(fd);
	child = fork();
	if (child == 0)
		exit(run_inside());
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void needs_a_node(void **state)
{
	(void)state;
	printf("# skip: no systemd here (/run/systemd/private); name a node's PID 1 as argument\n");
	skip();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest none[] = { cmocka_unit_test(needs_a_node) };
	int64_t pid;

	if (argc > 1) {
		if (!parse_int(argv[1], 1, INT32_MAX, &pid)) {
			fprintf(stderr, "usage: %s [PID [bus]]\n", argv[0]);
			return 2;
		}
		place.is_bus = argc > 2 && strcmp(argv[2], "bus") == 0;
		return run_all_in(pid);
	}
	if (access("/run/systemd/private", F_OK) < 0)
		return cmocka_run_group_tests(none, NULL, NULL);
	set_place("", "/usr/bin/journalctl");
	return run_all();
}
