/*
 * A real node whose directory this host does not have, as with a remote engine: everything goes through the
 * engine's exec.
 */
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
static char node[80];

static int create(void **state)
{
	(void)state;
	cluster = e2e_cluster_name("relay");
	snprintf(node, sizeof(node), "%s-control-plane", cluster);
	e2e_ok("create", "cluster", "--name", cluster, "--image", e2e_image(), (char *)NULL);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	e2e_clean(cluster);
	return 0;
}

static void expect_channel(const char *asked, const char *want)
{
	json_object *rows =
		e2e_json("get", "nodes", "--name", cluster, "--channel", asked, (char *)NULL);
	json_object *row = e2e_find(rows, "name", node);

	assert_non_null(row);
	assert_string_equal(e2e_text(row, "agent.state"), "ok");
	assert_string_equal(e2e_text(row, "agent.channel"), want);
	json_object_put(rows);
}

/* D7 */
static void a_node_is_reached_through_its_engine(void **state)
{
	struct e2e_output output;

	(void)state;
	e2e_ok("health", "--name", cluster, "--channel", "relay", (char *)NULL);
	expect_channel("relay", "relay");
	expect_channel("auto", "ipc");
	output = e2e_run(30, "exec", "--name", cluster, "-N", node, "--channel", "relay", "--",
			 "sh", "-c", "head -c 1000000 /dev/zero | wc -c", (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	assert_string_equal(output.out, "1000000\n");
	e2e_release(&output);
}

/* D7: nothing but the engine knows the node */
static void a_lost_state_directory_strands_no_node(void **state)
{
	char nodes[160], away[160];
	struct e2e_output output;

	(void)state;
	snprintf(nodes, sizeof(nodes), "%s/nodes", e2e_state_dir());
	snprintf(away, sizeof(away), "%s/away", e2e_state_dir());
	assert_int_equal(rename(nodes, away), 0);
	output = e2e_run(30, "health", "--name", cluster, (char *)NULL);
	assert_int_equal(rename(away, nodes), 0);
	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_is_reached_through_its_engine),
		cmocka_unit_test(a_lost_state_directory_strands_no_node),
	};

	return cmocka_run_group_tests(tests, create, clean);
}
