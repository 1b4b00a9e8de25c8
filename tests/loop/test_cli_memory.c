/* `get nodes` of nodes that podman is remembered to have: their agents are asked, podman only when it must be. */
#include "controller/exec/exec.h"
#include "tests/support/cli_rig.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID "4f1d0c77a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c"

static char *podman_dir;

static void podman_says(const struct cli_rig *rig, const char *state)
{
	cleanup_free char *ps =
		text_format("[{\"Names\":[\"loop-w1\"],\"Id\":\"" ID
			    "\",\"State\":\"%s\",\"Labels\":{"
			    "\"io.berth.cluster\":\"loop\",\"io.berth.created-by\":\"berth\","
			    "\"io.berth.node\":\"loop-w1\",\"io.berth.role\":\"worker\","
			    "\"io.berth.ip\":\"10.0.0.2\",\"io.berth.run-dir\":\"%s\"}}]",
			    state, rig->run_dir);

	control_write(podman_dir, "ps.out", ps);
}

static int set_up(void **state)
{
	const struct cli_rig *rig;
	cleanup_free char *info = NULL;

	control_fake_podman(NULL);
	if (cli_rig_setup(state) < 0)
		return -1;
	rig = *state;
	podman_dir = control_scratch();
	info = text_format("{\"host\":{\"os\":\"linux\"},\"store\":{\"graphRoot\":\"%s/storage\"},"
			   "\"version\":{\"Version\":\"4.3.1\"}}",
			   podman_dir);
	control_fake_podman(podman_dir);
	setenv("BERTH_PROVIDER", "podman", 1);
	control_write(podman_dir, "info.out", info);
	control_write(podman_dir, "network-ls.out", "[]");
	control_write(podman_dir, "storage/libpod/bolt_state.db", ID);
	podman_says(rig, "running");
	return 0;
}

static int tear_down(void **state)
{
	unsetenv("BERTH_PROVIDER");
	control_fake_podman(NULL);
	control_scratch_remove(podman_dir);
	return cli_rig_teardown(state);
}

static unsigned get_nodes(const char *expected)
{
	unsigned before = exec_count();

	cli_expect(0, expected, "", "get", "nodes", "--name", "loop", NULL);
	return exec_count() - before;
}

/* A create has learned what podman is like; from then on its list of containers may be kept. A user's
 * podman is asked each time. */
static void remember(void)
{
	struct deadline by = control_soon();

	/* One that comes to nothing does, too. */
	cli_expect(4, "", "exists already", "create", "cluster", "--name", "loop", NULL);
	while (geteuid() == 0 && get_nodes("running") > 0) {
		assert_false(deadline_is_over(by));
		poll(NULL, 0, 10);
	}
}

static void running_nodes_are_told_without_an_engine(void **state)
{
	(void)state;
	remember();
	assert_int_equal(get_nodes("ok"), geteuid() == 0 ? 0 : 1);
}

/* podman's database still has the node as running: the agent's silence tells. */
static void node_that_has_ended_is_told_as_stopped(void **state)
{
	struct cli_rig *rig = *state;

	remember();
	agent_process_kill(&rig->agent);
	podman_says(rig, "exited");
	assert_in_range(get_nodes("stopped"), 1, 2);
	assert_in_range(get_nodes("stopped"), 1, 2);
}

static void agent_that_is_silent_in_a_running_node_is_told_so(void **state)
{
	struct cli_rig *rig = *state;

	remember();
	agent_process_kill(&rig->agent);
	assert_in_range(get_nodes("not answering"), 1, 2);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(running_nodes_are_told_without_an_engine),
		RIGGED(node_that_has_ended_is_told_as_stopped),
		RIGGED(agent_that_is_silent_in_a_running_node_is_told_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
