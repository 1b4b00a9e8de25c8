/* What is remembered of podman's containers is true whatever is done to them by hand, on real podman. */
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *cluster;
static char node[64], kept[160];

static int create_cluster(void **state)
{
	(void)state;
	cluster = e2e_cluster_name("memory");
	snprintf(node, sizeof(node), "%s-control-plane", cluster);
	snprintf(kept, sizeof(kept), "%s/engine/podman-containers", e2e_state_dir());
	e2e_ok("create", "cluster", "--name", cluster, (char *)NULL);
	return 0;
}

static int remove_cluster(void **state)
{
	(void)state;
	e2e_clean(cluster);
	return 0;
}

static void assert_state(const char *expected)
{
	json_object *rows = e2e_json("get", "nodes", "--name", cluster, (char *)NULL);
	json_object *row = e2e_find(rows, "name", node);

	assert_string_equal(row ? e2e_text(row, "state") : "none", expected);
	json_object_put(rows);
}

/* Others may be changing podman's containers all the time; then the next one is. */
static bool is_kept(void *expected)
{
	assert_state(expected);
	return access(kept, F_OK) == 0;
}

static void by_hand(const char *verb, const char *option)
{
	free(e2e_stdout_of("podman", verb, option, node, (char *)NULL));
}

/* Each is told by the very next call. */
static void what_is_done_by_hand_is_seen_at_once(void **state)
{
	static const struct {
		const char *verb, *option, *then;
	} rows[] = {
		{ "pause", "--log-level=error", "paused" },
		{ "unpause", "--log-level=error", "running" },
		{ "stop", "--time=0", "stopped" },
		{ "start", "--log-level=error", "running" },
		{ "rm", "--force", "none" },
	};

	(void)state;
	e2e_eventually(is_kept, (char *)"running", 60000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		by_hand(rows[i].verb, rows[i].option);
		assert_state(rows[i].then);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_done_by_hand_is_seen_at_once),
	};

	return cmocka_run_group_tests_name("memory", tests, create_cluster, remove_cluster);
}
