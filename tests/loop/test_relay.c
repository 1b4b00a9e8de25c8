/*
 * The relay: the command line reaches a real agent through what an engine's exec would start. The engine is
 * a script that runs `berthd relay` at once and writes down how it was called.
 */
#include "shared/base/cleanup.h"
#include "tests/support/cli_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char calls[128]; /* the engine's log */

/* A program of that name, which ends in 'last'. */
static void make_engine(const struct cli_rig *rig, const char *last)
{
	char bin[96], path[128];
	FILE *f;

	snprintf(bin, sizeof(bin), "%s/bin", rig->dir);
	mkdir(bin, 0700);
	snprintf(path, sizeof(path), "%s/berth-fake-engine", bin);
	snprintf(calls, sizeof(calls), "%s/calls", bin);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\necho \"$*\" >>%s\n%s\n", calls, last);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0700), 0);
	setenv("PATH", bin, 1);
}

static void make_good_engine(const struct cli_rig *rig)
{
	char last[512];

	snprintf(last, sizeof(last), "exec %s relay --socket %s", agent_process_binary(),
		 rig->agent.socket);
	make_engine(rig, last);
}

static unsigned count_calls(const char *want)
{
	unsigned count = 0;
	char line[256];
	FILE *f = fopen(calls, "re");

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		assert_string_equal(line, want);
		count++;
	}
	if (f)
		fclose(f);
	return count;
}

#define RELAY_CALL "exec --interactive loop-w1 berthd relay"

/* D7 */
static void health_comes_through_the_relay(void **state)
{
	struct cli_rig *rig = *state;
	struct json_object *rows;

	make_good_engine(rig);
	rows = cli_rows(
		cli_run("health", "-N", "loop-w1", "--channel", "relay", "-o", "json", NULL));
	assert_true(json_object_get_boolean(
		json_object_object_get(cli_find(rows, "node", "loop-w1"), "healthy")));
	json_object_put(rows);
	assert_int_equal(count_calls(RELAY_CALL), 1);
}

/* D7: a host that does not have the node's directory, as with a remote engine */
static void the_relay_is_used_where_there_is_no_socket(void **state)
{
	struct cli_rig *rig = *state;

	make_good_engine(rig);
	cli_rig_remember(rig, "loop-w1", "/nowhere/run");
	cli_expect(0, "kubelet", "", "restart", "unit", "kubelet", "-N", "loop-w1", NULL);
	assert_true(count_calls(RELAY_CALL) >= 1);
	cli_expect(6, "", "/nowhere/run/agent.sock", "health", "-N", "loop-w1", "--channel", "ipc",
		   NULL);
}

static void a_socket_that_is_there_needs_no_relay(void **state)
{
	struct cli_rig *rig = *state;

	make_good_engine(rig);
	cli_expect(0, "", "", "health", "-N", "loop-w1", NULL);
	assert_int_equal(count_calls(RELAY_CALL), 0);
}

static void nodes_are_shown_with_their_channel(void **state)
{
	struct cli_rig *rig = *state;
	struct json_object *rows, *agent;

	make_good_engine(rig);
	cli_rig_engine_has(rig, "loop-w1", rig->run_dir, "running");
	setenv("BERTH_PROVIDER", "fake", 1);
	rows = cli_rows(cli_run("get", "nodes", "--name", "loop", "--channel", "relay", "-o",
				"json", NULL));
	agent = json_object_object_get(cli_find(rows, "name", "loop-w1"), "agent");
	assert_string_equal(cli_text(agent, "channel"), "relay");
	assert_string_equal(cli_text(agent, "state"), "ok");
	json_object_put(rows);
	rows = cli_rows(cli_run("get", "nodes", "--name", "loop", "-o", "json", NULL));
	agent = json_object_object_get(cli_find(rows, "name", "loop-w1"), "agent");
	assert_string_equal(cli_text(agent, "channel"), "ipc");
	json_object_put(rows);
	unsetenv("BERTH_PROVIDER");
}

/* The engine's own words reach the user, and at once. */
static void an_engine_that_fails_is_quoted(void **state)
{
	struct cli_rig *rig = *state;
	int64_t begin = clock_now_ms();

	make_engine(rig, "echo 'Error: no such container loop-w1' >&2\nexit 125");
	cli_expect(6, "", "relay to the agent: Error: no such container loop-w1", "health", "-N",
		   "loop-w1", "--channel", "relay", "--timeout", "20s", NULL);
	assert_in_range(clock_now_ms() - begin, 0, 10000);
}

static void an_engine_that_is_not_there_is_named(void **state)
{
	(void)state;
	cli_expect(6, "", "berth-fake-engine", "health", "-N", "loop-w1", "--channel", "relay",
		   "--timeout", "20s", NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cli_rig_setup, cli_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(health_comes_through_the_relay),
		TEST(the_relay_is_used_where_there_is_no_socket),
		TEST(a_socket_that_is_there_needs_no_relay),
		TEST(nodes_are_shown_with_their_channel),
		TEST(an_engine_that_fails_is_quoted),
		TEST(an_engine_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
