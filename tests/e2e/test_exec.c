/* Commands in a real node and in a real container of it. */
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *cluster;
static char node[96], pod[128];

static const char pod_yaml[] = "apiVersion: v1\n"
			       "kind: Pod\n"
			       "metadata:\n"
			       "  name: web\n"
			       "spec:\n"
			       "  containers:\n"
			       "  - name: app\n"
			       "    image: localhost/berth/demo:1\n"
			       "    args: [tick]\n"
			       "  - name: side\n"
			       "    image: localhost/berth/demo:1\n";

static int create_cluster(void **state)
{
	(void)state;
	cluster = e2e_cluster_name("exec");
	snprintf(node, sizeof(node), "%s-control-plane", cluster);
	snprintf(pod, sizeof(pod), "%s/web", node);
	e2e_ok("create", "cluster", "--name", cluster, "--image", e2e_image(), (char *)NULL);
	e2e_ok("apply", "-f", e2e_file("web.yaml", pod_yaml), "-N", node, "--wait", (char *)NULL);
	return 0;
}

static int remove_cluster(void **state)
{
	(void)state;
	e2e_clean(cluster);
	return 0;
}

/* Runs a shell command in the node; asserts its exit code and that its output holds 'wanted'. */
static void shell(const char *command, int exit_code, const char *wanted)
{
	struct e2e_output o = e2e_run(30, "exec", node, "--", "sh", "-c", command, (char *)NULL);

	if (o.exit_code != exit_code || !strstr(o.out, wanted))
		fail_msg("'%s': exit %d, stdout: %s, stderr: %s", command, o.exit_code, o.out,
			 o.errs);
	e2e_release(&o);
}

/* NS-271 */
static void command_runs_in_the_node(void **state)
{
	(void)state;
	shell("hostname; exit 6", 6, node);
	shell("id -u; pwd; echo $HOME", 0, "0\n/root\n/root\n");
}

/* NS-283, I16 */
static void command_has_a_cgroup_and_leaves_nothing(void **state)
{
	(void)state;
	shell("cat /proc/self/cgroup", 0, "/berth/exec-");
	shell("setsid sleep 987 >/dev/null 2>&1 & echo $!", 0, "\n");
	shell("for i in $(seq 100); do "
	      "  pgrep -f 'sleep [9]87' >/dev/null || { echo gone; exit; }; sleep 0.05; "
	      "done",
	      0, "gone");
	shell("for i in $(seq 200); do "
	      "  n=$(ls -d /sys/fs/cgroup/berth/exec-* /sys/fs/cgroup/systemd/berth/exec-* "
	      "      2>/dev/null | wc -l); "
	      "  [ $n -gt 1 ] || break; sleep 0.05; "
	      "done; echo $n",
	      0, "1\n");
}

/* The agent's own limits (64 tasks, 128 MiB, 4096 files, OOM score -900) are the agent's alone. */
static void agents_limits_bind_no_command(void **state)
{
	(void)state;
	shell("for i in $(seq 150); do sleep 60 & done; jobs -p | wc -l; kill $(jobs -p)", 0,
	      "150\n");
	shell("head -c 209715200 /dev/zero | tail | wc -c", 0, "209715200\n");
	shell("cat /proc/self/oom_score_adj; umask; grep -c 'Seccomp:.*0' /proc/self/status", 0,
	      "0\n0022\n1\n");
	shell("systemctl show berthd -p TasksMax -p MemoryMax", 0, "MemoryMax=134217728");
}

/* NS-283: also what an agent that was killed left running. */
static void next_life_ends_what_was_left(void **state)
{
	struct e2e_output o = e2e_run(30, "exec", node, "--", "sh", "-c",
				      "kill -9 $(systemctl show berthd -p MainPID --value); "
				      "exec sleep 654",
				      (char *)NULL);

	(void)state;
	assert_int_equal(o.exit_code, 125);
	assert_non_null(strstr(o.errs, "the session has ended on the node"));
	e2e_release(&o);
	shell("for i in $(seq 100); do "
	      "  pgrep -f 'sleep [6]54' >/dev/null || { echo gone; exit; }; sleep 0.05; "
	      "done",
	      0, "gone");
}

static void command_runs_in_a_container(void **state)
{
	struct e2e_output o =
		e2e_run(30, "exec", pod, "-c", "side", "--", "/demo", "exit", "7", (char *)NULL);

	(void)state;
	assert_int_equal(o.exit_code, 7);
	e2e_release(&o);
	o = e2e_run(30, "exec", pod, "-c", "side", "--", "/demo", "sleep", "0", (char *)NULL);
	assert_int_equal(o.exit_code, 0);
	assert_string_equal(o.out, "demo: sleep 0\n");
	e2e_release(&o);
	o = e2e_run(30, "exec", pod, "-c", "side", "--", "/no-such", (char *)NULL);
	assert_int_equal(o.exit_code, 127);
	e2e_release(&o);
}

static void container_has_to_be_told_among_several(void **state)
{
	struct e2e_output o = e2e_run(30, "exec", pod, "--", "/demo", (char *)NULL);

	(void)state;
	assert_int_equal(o.exit_code, 125);
	assert_non_null(strstr(o.errs, "several containers"));
	e2e_release(&o);
}

static void input_reaches_a_container(void **state)
{
	char command[512];
	char *out;

	(void)state;
	snprintf(command, sizeof(command),
		 "echo hello | '%s' --state-dir '%s' exec -i '%s' -c side -- /demo line",
		 e2e_berth(), e2e_state_dir(), pod);
	out = e2e_stdout_of("sh", "-c", command, (char *)NULL);
	assert_string_equal(out, "line: hello");
	free(out);
}

static void attach_shows_what_comes_from_now_on(void **state)
{
	char command[512];
	char *out;

	(void)state;
	snprintf(command, sizeof(command), "'%s' --state-dir '%s' attach '%s' -c app | head -3",
		 e2e_berth(), e2e_state_dir(), pod);
	out = e2e_stdout_of("sh", "-c", command, (char *)NULL);
	assert_string_equal(out, "tick\ntick\ntick");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_runs_in_the_node),
		cmocka_unit_test(command_has_a_cgroup_and_leaves_nothing),
		cmocka_unit_test(agents_limits_bind_no_command),
		cmocka_unit_test(next_life_ends_what_was_left),
		cmocka_unit_test(command_runs_in_a_container),
		cmocka_unit_test(container_has_to_be_told_among_several),
		cmocka_unit_test(input_reaches_a_container),
		cmocka_unit_test(attach_shows_what_comes_from_now_on),
	};

	return cmocka_run_group_tests(tests, create_cluster, remove_cluster);
}
