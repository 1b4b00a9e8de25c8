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

static struct cluster_config *five_nodes(const char *name)
{
	struct cluster_config *config = cluster_config_new();
	struct err err;

	assert_non_null(config);
	for (int i = 1; i < NODES; i++)
		assert_non_null(cluster_config_add_node(config, NODE_WORKER));
	assert_int_equal(cluster_spec_check(name, NULL, config, NULL, &err), 0);
	return config;
}

struct calls {
	unsigned first;
	unsigned second; /* of another cluster, when nothing has changed */
};

static unsigned calls_of_one(const char *engine, const char *state_dir, const char *name)
{
	const struct create_options options = { .wait = false };
	struct cluster_config *config = five_nodes(name);
	struct provider *provider = NULL;
	struct cluster_ctx ctx = { .state_dir = state_dir, .name = name, .by = control_soon() };
	unsigned before = exec_count();
	struct err err;

	assert_int_equal(provider_open(engine, &control_plain_host, &provider, &err), 0);
	ctx.provider = provider;
	if (cluster_create(&ctx, config, &options, &err) < 0)
		fail_msg("%s", err.msg);
	provider_close(provider);
	cluster_config_free(config);
	return exec_count() - before;
}

/* What creating takes on the engine of that name, whose lists print 'nothing'. */
static struct calls calls_of_creates(const char *engine, const char *nothing, const char *info)
{
	char *dir = control_scratch();
	cleanup_free char *state_dir = text_format("%s/state", dir);
	struct calls calls;

	control_fake_podman(dir);
	control_write(dir, "ps.out", nothing);
	control_write(dir, "network-ls.out", nothing);
	control_write(dir, "info.out", info);
	calls.first = calls_of_one(engine, state_dir, "c");
	calls.second = calls_of_one(engine, state_dir, "d");
	control_fake_podman(NULL);
	control_scratch_remove(dir);
	return calls;
}

/* The lists, the image, the network, the nodes, and, once, what the engine is like. docker looks whether
 * somebody else has made a network of that name meanwhile, and is asked each time. */
static void five_nodes_take_few_calls(void **state)
{
	struct calls podman = calls_of_creates(
		"podman", "[]",
		"{\"host\":{\"os\":\"linux\"},\"version\":{\"Version\":\"4.3.1\"}}");
	struct calls docker = calls_of_creates("docker", "", "{\"ServerVersion\":\"20.10.24\"}");

	(void)state;
	print_message("calls for %d nodes: podman %u, then %u, docker %u, then %u\n", NODES,
		      podman.first, podman.second, docker.first, docker.second);
	assert_int_equal(podman.first, NODES + 5);
	assert_int_equal(podman.second, NODES + 4);
	assert_int_equal(docker.first, NODES + 6);
	assert_int_equal(docker.second, NODES + 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(five_nodes_take_few_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
