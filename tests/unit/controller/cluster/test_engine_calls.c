/* How often an engine is started for a cluster: DESIGN.md section 5, as few times as possible. */
#include "controller/cluster/cluster.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define NODES 5

static struct cluster_config *five_nodes(void)
{
	struct cluster_config *config = cluster_config_new();
	struct err err;

	assert_non_null(config);
	for (int i = 1; i < NODES; i++)
		assert_non_null(cluster_config_add_node(config, NODE_WORKER));
	assert_int_equal(cluster_spec_check("c", NULL, config, NULL, &err), 0);
	return config;
}

/* What creating takes on the engine of that name, whose lists print 'nothing'. */
static unsigned calls_of_a_create(const char *engine, const char *nothing)
{
	char *dir = control_scratch();
	cleanup_free char *state_dir = text_format("%s/state", dir);
	const struct create_options options = { .wait = false };
	struct cluster_config *config = five_nodes();
	struct provider *provider = NULL;
	struct cluster_ctx ctx = { .state_dir = state_dir, .name = "c", .by = control_soon() };
	unsigned before;
	struct err err;

	control_fake_podman(dir);
	control_write(dir, "ps.out", nothing);
	control_write(dir, "network-ls.out", nothing);
	assert_int_equal(provider_open(engine, &control_plain_host, &provider, &err), 0);
	ctx.provider = provider;
	before = exec_count();
	if (cluster_create(&ctx, config, &options, &err) < 0)
		fail_msg("%s", err.msg);
	before = exec_count() - before;
	provider_close(provider);
	cluster_config_free(config);
	control_fake_podman(NULL);
	control_scratch_remove(dir);
	return before;
}

/* The lists, the image, the network, the nodes, what the engine is like: at most three a node. */
static void five_nodes_take_few_calls(void **state)
{
	unsigned podman = calls_of_a_create("podman", "[]");
	unsigned docker = calls_of_a_create("docker", "");

	(void)state;
	print_message("calls for %d nodes: podman %u, docker %u\n", NODES, podman, docker);
	assert_in_range(podman, NODES, NODES + 5);
	assert_in_range(docker, NODES, NODES + 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(five_nodes_take_few_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
