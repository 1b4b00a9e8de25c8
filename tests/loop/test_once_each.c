/*
 * Every call that changes something, sent a thousand times over new connections while the agent is killed in
 * the middle of it, has its side effect once. Which calls those are is read from the table that the .proto
 * files make: a new one without a case (tests/support/once_cases.h) fails by its name. $BERTH_ONCE: another
 * number than a thousand.
 */
#include "shared/base/cleanup.h"
#include "tests/support/once_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* A sanitized agent takes its time to start. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SENDS 160
#else
#define SENDS 1000
#endif
/* Each over a TLS handshake, or a process. */
#define SENDS_TLS   24
#define SENDS_RELAY 24

/* This program again: `count FILE NAME` writes "NAME ready" and "NAME SIGNAL" for each signal; the
 * real-time signals are not merged by the kernel, so each is seen. */
static int count_signals(const char *file, const char *name)
{
	sigset_t all;
	int signal;

	prctl(PR_SET_NAME, strncmp(name, "api", 3) == 0 ? "kube-apiserver" : "counter");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	once_note(file, "%s ready", name);
	while (sigwait(&all, &signal) == 0) {
		once_note(file, "%s %d", name, signal);
		if (signal == SIGTERM)
			return 0;
	}
	return 1;
}

/* --- tests ---------------------------------------------------------------------------------------- */

static struct once_case cases[64];
static size_t case_count;

static void add_cases(const struct once_case *list)
{
	for (; list->service; list++) {
		assert_true(case_count < ARRAY_LEN(cases));
		cases[case_count++] = *list;
	}
}

static const struct once_case *find_case(const char *service, const char *method)
{
	for (size_t i = 0; i < case_count; i++) {
		if (strcmp(cases[i].service, service) == 0 && strcmp(cases[i].method, method) == 0)
			return &cases[i];
	}
	return NULL;
}

/* S8, F20, G8: the generated table is the list of what has to be tried */
static void every_call_that_changes_something_has_a_case(void **state)
{
	static const struct {
		const char *service, *method;
		enum method_effect effect;
	} methods[] = {
#define METHOD(service, method, effect, role) { service, method, effect },
#include "methods.inc"
#undef METHOD
	};
	const size_t package = strlen("berth.node.v1.");
	size_t changing = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		const struct once_case *c =
			find_case(methods[i].service + package, methods[i].method);

		changing += methods[i].effect != METHOD_READS;
		if ((methods[i].effect != METHOD_READS) != (c != NULL))
			fail_msg("%s.%s %s", methods[i].service, methods[i].method,
				 c ? "changes nothing, but has a case here"
				   : "changes something, and has no case here");
		if (c && !c->count && !c->opens)
			fail_msg("%s.%s: its effect is not counted", c->service, c->method);
		if (c && c->per_life && methods[i].effect == METHOD_ONCE)
			fail_msg("%s.%s must not happen twice", c->service, c->method);
	}
	assert_int_equal(changing, case_count);
}

static struct once_rig rig;
static bool joins;

static void open_house(enum once_way way, int house)
{
	static const char *const no_runtime[] = { "--runtime", "none:-", NULL };
	char text[256];

	once_setup(&rig);
	if (house == HOUSE_BALANCER) {
		snprintf(text, sizeof(text),
			 "sed -n 's/^ *bind .*:\\([0-9]*\\)$/checked \\1/p' \"$4\" >>%s", rig.log);
		once_script(&rig, "haproxy", text);
		setenv("BERTH_ROLE", "external-load-balancer", 1);
	}
	once_start(&rig, way, house == HOUSE_BALANCER ? no_runtime : NULL);
	if (house == HOUSE_PLAIN)
		once_joins_start(&rig);
	joins = house == HOUSE_PLAIN;
}

static void close_house(void)
{
	if (joins)
		once_joins_stop();
	joins = false;
	once_states_end(&rig);
	if (rig.dir[0])
		once_stop(&rig);
}

/* cmocka's: what a failure has left. */
static int tear_down(void **state)
{
	(void)state;
	close_house();
	return 0;
}

static void try_houses(enum once_way way, unsigned sends)
{
	unsigned all = 0, kills = 0, unknown = 0;

	for (int house = 0; house < HOUSES; house++) {
		open_house(way, house);
		once_run(&rig, cases, case_count, house, sends);
		all += rig.sends;
		kills += rig.life;
		unknown += rig.unknown;
		close_house();
	}
	print_message("%u sends, the agent killed %u times, %u outcomes unknown\n", all, kills,
		      unknown);
}

static unsigned scaled(unsigned sends)
{
	const char *words = getenv("BERTH_ONCE");
	unsigned wanted = words ? (unsigned)strtoul(words, NULL, 10) : 0;

	return wanted ? (sends * wanted + SENDS - 1) / SENDS : sends;
}

/* S8, F1, F20, G8 */
static void sent_a_thousand_times_each_is_done_once(void **state)
{
	(void)state;
	try_houses(ONCE_IPC, scaled(SENDS));
}

/* S8, F20, D7 */
static void over_tls_each_is_done_once(void **state)
{
	(void)state;
	try_houses(ONCE_TLS, scaled(SENDS_TLS));
}

/* S8, F20, D7 */
static void over_a_relay_each_is_done_once(void **state)
{
	(void)state;
	try_houses(ONCE_RELAY, scaled(SENDS_RELAY));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_that_changes_something_has_a_case),
		cmocka_unit_test_teardown(sent_a_thousand_times_each_is_done_once, tear_down),
		cmocka_unit_test_teardown(over_tls_each_is_done_once, tear_down),
		cmocka_unit_test_teardown(over_a_relay_each_is_done_once, tear_down),
	};

	if (argc == 4 && strcmp(argv[1], "count") == 0)
		return count_signals(argv[2], argv[3]);
	add_cases(once_states);
	add_cases(once_sessions);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
