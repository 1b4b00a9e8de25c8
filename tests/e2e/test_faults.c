/*
 * What goes wrong on a user's machine: a reason, advice, the right exit code, and whatever was half
 * made is gone. Each test has a cluster of its own.
 */
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void expect(struct e2e_output *output, int exit_code, const char *words)
{
	if (output->exit_code != exit_code || !strstr(output->errs, words))
		fail_msg("wanted exit %d and \"%s\", got exit %d\nstdout: %s\nstderr: %s",
			 exit_code, words, output->exit_code, output->out, output->errs);
	e2e_release(output);
}

static void missing_image_is_not_found_and_leaves_nothing(void **state)
{
	const char *cluster = e2e_cluster_name("noimage");
	struct e2e_output output = e2e_run(60, "create", "cluster", "--name", cluster, "--image",
					   "localhost/no-such-image:1", (char *)NULL);

	(void)state;
	expect(&output, 3, "localhost/no-such-image:1");
	e2e_assert_nothing_left(cluster);
}

/* CN-142: a container that is not ours is never touched. */
static void foreign_container_of_the_name_is_a_conflict(void **state)
{
	const char *cluster = e2e_cluster_name("foreign");
	char name[80];
	struct e2e_output output;
	char *id;

	(void)state;
	snprintf(name, sizeof(name), "%s-control-plane", cluster);
	id = e2e_stdout_of("podman", "create", "--name", name, e2e_image(), (char *)NULL);
	output = e2e_run(60, "create", "cluster", "--name", cluster, (char *)NULL);
	expect(&output, 4, name);
	output = e2e_program(30, "podman", "rm", id, (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
	free(id);
	e2e_assert_nothing_left(cluster);
}

static void missing_engine_says_so(void **state)
{
	struct e2e_output output =
		e2e_program(10, "env", "PATH=/nowhere", e2e_berth(), "--state-dir", e2e_state_dir(),
			    "get", "clusters", "--provider", "podman", (char *)NULL);

	(void)state;
	expect(&output, 6, "podman");
}

/* CN-295 */
static void failing_engine_is_reported_with_its_own_words(void **state)
{
	char dir[96], path[160], script[128];
	struct e2e_output output;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/bin", e2e_state_dir());
	output = e2e_program(5, "mkdir", "-p", dir, (char *)NULL);
	e2e_release(&output);
	snprintf(script, sizeof(script),
		 "#!/bin/sh\necho 'Error: the disk is on fire' >&2\nexit 125\n");
	e2e_file("bin/podman", script);
	snprintf(path, sizeof(path), "%s/podman", dir);
	output = e2e_program(5, "chmod", "0755", path, (char *)NULL);
	e2e_release(&output);
	snprintf(path, sizeof(path), "PATH=%s:/usr/bin:/bin", dir);
	output = e2e_program(10, "env", path, e2e_berth(), "--state-dir", e2e_state_dir(), "create",
			     "cluster", "--name", e2e_cluster_name("fire"), (char *)NULL);
	expect(&output, 1, "the disk is on fire");
}

/* F27: Ctrl-C at several moments of a create leaves nothing behind. On a fast machine the last moments may
 * come too late: then the cluster is there, whole. */
static void interrupted_create_leaves_nothing(void **state)
{
	static const char *const moments[] = { "0.03", "0.1", "0.2", "0.3", "0.4", "0.6", "0.9" };
	int interrupted = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		const char *cluster = e2e_cluster_name("ctrlc");
		struct e2e_output output =
			e2e_program(60, "timeout", "--preserve-status", "-s", "INT", moments[i],
				    e2e_berth(), "--state-dir", e2e_state_dir(), "create",
				    "cluster", "--name", cluster, "--workers", "1", (char *)NULL);

		if (output.exit_code == 0) {
			e2e_release(&output);
			assert_int_equal(e2e_containers(cluster), 2);
			e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
		} else {
			expect(&output, 130, "interrupted");
			interrupted++;
		}
		e2e_assert_nothing_left(cluster);
	}
	assert_in_range(interrupted, 3, 7);
}

static void unknown_node_is_not_found(void **state)
{
	struct e2e_output output = e2e_run(20, "get", "units", "-N", "nobody", "--name",
					   "no-such-cluster", (char *)NULL);

	(void)state;
	expect(&output, 3, "nobody");
}

static void bad_manifest_is_refused_with_its_place(void **state)
{
	const char *file = e2e_file("bad.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  nam: x\n");
	struct e2e_output output = e2e_run(10, "apply", "-f", file, "-N", "nobody", (char *)NULL);

	(void)state;
	expect(&output, 2, "bad.yaml:4:3");
}

static void stopped_and_crippled_nodes_say_what_is_wrong(void **state)
{
	const char *cluster = e2e_cluster_name("broken");
	char node[80];
	struct e2e_output output;

	(void)state;
	snprintf(node, sizeof(node), "%s-control-plane", cluster);
	e2e_ok("create", "cluster", "--name", cluster, (char *)NULL);

	/* Runtime down: health says so, and so does a container list; units still answer. */
	e2e_ok("stop", "unit", "containerd", "-N", node, "--name", cluster, (char *)NULL);
	output = e2e_run(20, "get", "containers", "-N", node, "--name", cluster, (char *)NULL);
	expect(&output, 6, "runtime");
	output = e2e_run(20, "get", "units", "-N", node, "--name", cluster, (char *)NULL);
	expect(&output, 0, "");
	e2e_ok("start", "unit", "containerd", "-N", node, "--name", cluster, (char *)NULL);

	/* Agent stopped: systemd will not bring it back by itself after a stop job. */
	output = e2e_program(20, "podman", "exec", node, "systemctl", "stop", "berthd",
			     (char *)NULL);
	expect(&output, 0, "");
	output = e2e_run(20, "get", "units", "-N", node, "--name", cluster, (char *)NULL);
	expect(&output, 6, "agent");

	/* Killed: it is not running, and the advice is to start it; start brings all back. */
	e2e_ok("kill", "node", node, "--name", cluster, (char *)NULL);
	e2e_ok("kill", "node", node, "--name", cluster, (char *)NULL);
	output = e2e_run(20, "get", "units", "-N", node, "--name", cluster, (char *)NULL);
	expect(&output, 6, "berth start node");
	e2e_ok("start", "node", node, "--name", cluster, (char *)NULL);
	e2e_ok("health", "-N", node, "--name", cluster, (char *)NULL);

	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	e2e_assert_nothing_left(cluster);
}

static int clean(void **state)
{
	(void)state;
	e2e_clean(e2e_cluster_name("broken"));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_image_is_not_found_and_leaves_nothing),
		cmocka_unit_test(foreign_container_of_the_name_is_a_conflict),
		cmocka_unit_test(missing_engine_says_so),
		cmocka_unit_test(failing_engine_is_reported_with_its_own_words),
		cmocka_unit_test(interrupted_create_leaves_nothing),
		cmocka_unit_test(unknown_node_is_not_found),
		cmocka_unit_test(bad_manifest_is_refused_with_its_place),
		cmocka_unit_test(stopped_and_crippled_nodes_say_what_is_wrong),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, clean);
}
