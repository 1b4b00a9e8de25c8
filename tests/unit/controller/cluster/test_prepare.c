/* From a config to a cluster, against a podman program that answers what each test tells it to. */
#include "controller/cluster/cluster.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rig {
	char *dir;
	char *state;
	struct provider *podman;
	struct cluster_ctx ctx;
	struct cluster_config *config;
	struct create_options options; /* no wait: no agent is there */
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->dir = control_scratch();
	rig->state = text_format("%s/state", rig->dir);
	control_fake_podman(rig->dir);
	control_write(rig->dir, "ps.out", "[]");
	control_write(rig->dir, "network-ls.out", "[]");
	assert_int_equal(provider_open("podman", &control_hybrid_host, &rig->podman, &err), 0);
	rig->ctx = (struct cluster_ctx){
		.provider = rig->podman, .state_dir = rig->state, .name = "c", .by = control_soon()
	};
	rig->config = cluster_config_new();
	assert_non_null(rig->config);
	assert_int_equal(cluster_spec_check("c", NULL, rig->config, NULL, &err), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	cluster_config_free(rig->config);
	provider_close(rig->podman);
	control_fake_podman(NULL);
	control_scratch_remove(rig->dir);
	free(rig->state);
	free(rig);
	return 0;
}

static void add_port(struct rig *rig, int host_port)
{
	struct port_mapping *port = node_config_add_port(&rig->config->nodes[0]);

	assert_non_null(port);
	port->container_port = 80;
	port->host_port = host_port;
}

static char *log_of(struct rig *rig)
{
	return control_read(rig->dir, "log");
}

/* How often 'words' stand in the log. */
static int count(struct rig *rig, const char *words)
{
	cleanup_free char *log = log_of(rig);
	int found = 0;

	for (const char *s = log; (s = strstr(s, words)); s++)
		found++;
	return found;
}

/* DESIGN.md section 5: as few engine calls as possible. */
static void preparing_takes_three_calls_and_creating_three_more(void **state)
{
	struct rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	unsigned before = exec_count();
	struct err err;

	assert_int_equal(cluster_prepare_create(&rig->ctx, rig->config, &rig->options, &plan, &err),
			 0);
	assert_int_equal(exec_count(), before + 3);
	assert_false(control_exists(rig->state, "nodes"));
	assert_int_equal(cluster_apply(&rig->ctx, &plan, true, &err), 0);
	assert_int_equal(exec_count(), before + 6);
	assert_true(control_exists(rig->state, "nodes/c-control-plane.json"));
}

static void what_runs_is_what_was_planned(void **state)
{
	struct rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	assert_int_equal(cluster_prepare_create(&rig->ctx, rig->config, &rig->options, &plan, &err),
			 0);
	assert_int_equal(cluster_apply(&rig->ctx, &plan, true, &err), 0);
	for (size_t i = 0; i < plan.count; i++) {
		cleanup_free char *words = control_argv(&plan.steps[i]->argv);

		if (*words)
			assert_int_equal(count(rig, words + strlen("podman | ")), 1);
	}
}

/* CN-295 F26 */
static void engine_that_fails_fails_the_preparing(void **state)
{
	static const char *const calls[] = { "ps", "network-ls" };
	struct rig *rig = *state;
	struct plan plan = { 0 };
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		cleanup_free char *rc = text_format("%s.1.rc", calls[i]);
		cleanup_free char *errs = text_format("%s.1.err", calls[i]);
		cleanup_free char *made = text_format("%s/%s.calls", rig->dir, calls[i]);

		remove(made);
		control_write(rig->dir, rc, "125");
		control_write(rig->dir, errs, "Cannot connect to Podman");
		assert_int_equal(cluster_prepare_create(&rig->ctx, rig->config, &rig->options,
							&plan, &err),
				 -1);
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		assert_string_equal(err.reason, "ENGINE_NOT_ANSWERING");
		assert_int_equal(plan.count, 0);
	}
	assert_int_equal(count(rig, "run | "), 0);
}

/* CN-096 CN-098: a port that we chose and somebody took in the meantime. */
static void port_of_our_choice_is_chosen_again(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_port(rig, 0);
	control_write(rig->dir, "run.1.rc", "126");
	control_write(
		rig->dir, "run.1.err",
		"Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:1: bind: address "
		"already in use");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), 0);
	assert_int_equal(count(rig, " | run | "), 2);
	assert_int_equal(count(rig, "--publish=127.0.0.1::80/tcp"), 0);
}

/* CN-098 */
static void port_of_the_users_choice_fails_with_its_number(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_port(rig, 18080);
	control_write(rig->dir, "run.rc", "126");
	control_write(rig->dir, "run.err",
		      "Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:18080: bind: "
		      "address already in use");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "PORT_IN_USE");
	assert_non_null(strstr(err.msg, "18080"));
	assert_int_equal(count(rig, " | run | "), 1);
}

#define ONE_NODE                                                               \
	"[{\"Names\":[\"c-control-plane\"],\"State\":\"running\",\"Labels\":{" \
	"\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\",\"io.berth.index\":\"1\"}}]"
#define ITS_NETWORK                                                                    \
	"[{\"name\":\"c\",\"subnets\":[{\"subnet\":\"192.168.58.0/24\"}],\"labels\":{" \
	"\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\"}}]"

/* An address that podman never gave back (a create was killed) is passed over. */
static void address_in_use_makes_way_for_the_next(void **state)
{
	struct rig *rig = *state;
	struct node_config node = { .role = NODE_WORKER,
				    .name = (char *)"c-w",
				    .image = (char *)"i" };
	struct err err;

	control_write(rig->dir, "ps.out", ONE_NODE);
	control_write(rig->dir, "network-ls.out", ITS_NETWORK);
	control_write(rig->dir, "run.1.rc", "126");
	control_write(
		rig->dir, "run.1.err",
		"Error: IPAM error: requested ip address 192.168.58.3 is already allocated to "
		"container ID 376b");
	assert_int_equal(cluster_add_node(&rig->ctx, &node, &rig->options, &err), 0);
	assert_int_equal(count(rig, "--ip=192.168.58.3 |"), 1);
	assert_int_equal(count(rig, "--ip=192.168.58.4 |"), 1);
	assert_int_equal(count(rig, "--label=io.berth.index=3 |"), 1);
}

/* CN-271: what the engine lists is removed, and looked for once more. */
static void failed_create_removes_what_the_engine_lists(void **state)
{
	struct rig *rig = *state;
	struct err err;

	control_write(rig->dir, "ps.2.out", ONE_NODE);
	control_write(rig->dir, "run.rc", "125");
	control_write(rig->dir, "run.err", "Error: the disk is on fire");
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.msg, "podman: container-create 'c-control-plane': the disk is on "
				     "fire (exit code 125)");
	assert_int_equal(count(rig, "rm | --force | --volumes | --time=0 | -- | c-control-plane\n"),
			 1);
	assert_int_equal(count(rig, "ps | --all"), 3);
	assert_int_equal(
		count(rig, "network | prune | --force | --filter=label=io.berth.cluster=c"), 1);
	assert_false(control_exists(rig->state, "nodes/c-control-plane"));
}

/* A4: whatever is published is published on an address. */
static void nothing_is_published_without_an_address(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_port(rig, -1);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), 0);
	assert_int_equal(count(rig, "--publish="), 2);
	assert_int_equal(count(rig, "--publish=127.0.0.1:"), 2);
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(preparing_takes_three_calls_and_creating_three_more),
		RIGGED(what_runs_is_what_was_planned),
		RIGGED(engine_that_fails_fails_the_preparing),
		RIGGED(port_of_our_choice_is_chosen_again),
		RIGGED(port_of_the_users_choice_fails_with_its_number),
		RIGGED(address_in_use_makes_way_for_the_next),
		RIGGED(failed_create_removes_what_the_engine_lists),
		RIGGED(nothing_is_published_without_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
