/* Plans are pure: what is wanted and what was found in, steps out. The fake provider's words are short. */
#include "controller/cluster/cluster.h"
#include "tests/support/control.h"
#include "tests/support/plan_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* CN-270: every node as soon as network, image and directory are there, and each waits for itself. */
static void create_is_as_parallel_as_can_be(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	plan_rig_expect(&plan, "image\n"
			       "network\n"
			       "directory/c-control-plane <- network\n"
			       "create/c-control-plane <- directory/c-control-plane image network\n"
			       "ready/c-control-plane <- create/c-control-plane\n"
			       "directory/c-worker <- network\n"
			       "create/c-worker <- directory/c-worker image network\n"
			       "ready/c-worker <- create/c-worker\n");
	control_assert_argv(plan_find(&plan, "network"),
			    "fake | network-create | c | --subnet=192.168.49.0/24 | --cluster=c");
	control_assert_argv(plan_find(&plan, "create/c-worker"),
			    "fake | create | c-worker | --cluster=c | --role=worker | --index=2 | "
			    "--image=img | --ip=192.168.49.3 | --run-dir=/s/nodes/c-worker");
	assert_string_equal(plan_find(&plan, "ready/c-worker")->run_dir, "/s/nodes/c-worker");
	assert_int_equal(plan_find(&plan, "ready/c-worker")->argv.count, 0);
}

static void without_wait_nothing_waits(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	rig->options.wait = false;
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	assert_null(plan_find(&plan, "ready/c-worker"));
}

static void each_image_is_checked_once(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	assert_non_null(cluster_config_add_node(rig->config, NODE_WORKER));
	assert_int_equal(cluster_spec_check("c", NULL, rig->config, NULL, &err), 0);
	assert_string_equal(rig->config->nodes[0].image, "img");
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	control_assert_argv(plan_find(&plan, "image"), "fake | image-check | img");
	control_assert_argv(plan_find(&plan, "image-2"),
			    "fake | image-check | " CLUSTER_DEFAULT_IMAGE);
	assert_null(plan_find(&plan, "image-3"));
}

static void the_same_input_gives_the_same_plan(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan one = { 0 };
	cleanup_with(plan) struct plan two = { 0 };
	struct err err;

	assert_int_equal(plan_rig_plan(rig, &one, &err), 0);
	assert_int_equal(plan_rig_plan(rig, &two, &err), 0);
	assert_int_equal(one.count, two.count);
	for (size_t i = 0; i < one.count; i++) {
		char *words = control_argv(&two.steps[i]->argv);

		control_assert_argv(one.steps[i], words);
		free(words);
	}
}

static void existing_cluster_is_a_conflict(void **state)
{
	struct plan_rig *rig = *state;
	struct plan plan = { 0 };
	struct err err;

	plan_rig_node(rig, "c-old", "c", NODE_WORKER, NODE_STOPPED, 1);
	assert_int_equal(plan_rig_plan(rig, &plan, &err), -1);
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_string_equal(err.reason, "CLUSTER_EXISTS");
	assert_int_equal(plan.count, 0);
}

/* CN-140 CN-142: exact names, ours of another cluster or a stranger's. */
static void taken_names_are_conflicts(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	strv_add(&rig->found.foreign, "c-worker2");
	strv_add(&rig->found.foreign, "xc-worker");
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	strv_add(&rig->found.foreign, "c-worker");
	assert_int_equal(plan_rig_plan(rig, &plan, &err), -1);
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_string_equal(err.reason, "NAME_IN_USE");
	assert_string_equal(err.msg,
			    "a container that is not Berth's is called 'c-worker' already");
	plan_rig_node(rig, "c-control-plane", "other", NODE_WORKER, NODE_RUNNING, 1);
	assert_int_equal(plan_rig_plan(rig, &plan, &err), -1);
	assert_string_equal(err.msg,
			    "a node of cluster 'other' is called 'c-control-plane' already");
}

/* CN-051 */
static void network_of_the_name_is_used_as_it_is(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	assert_int_equal(network_list_add(&rig->found.networks, "c", "10.9.0.0/16", "", &err), 0);
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	assert_null(plan_find(&plan, "network"));
	control_assert_argv(plan_find(&plan, "create/c-worker"),
			    "fake | create | c-worker | --cluster=c | --role=worker | --index=2 | "
			    "--image=img | --ip=10.9.0.3 | --run-dir=/s/nodes/c-worker");
}

/* CN-292: without a network to be made its name cannot tell two apart who create the same cluster. */
static void first_name_decides_where_a_network_is_left(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	const struct step *worker, *first;
	struct err err;

	assert_int_equal(network_list_add(&rig->found.networks, "c", "10.9.0.0/16", "c", &err), 0);
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	worker = plan_find(&plan, "create/c-worker");
	first = plan_find(&plan, "create/c-control-plane");
	assert_true(strv_has(&worker->after, "create/c-control-plane"));
	assert_false(strv_has(&first->after, "create/c-worker"));
	assert_false(strv_has(&first->after, "create/c-control-plane"));
	plan_release(&plan);
	network_list_release(&rig->found.networks);
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	worker = plan_find(&plan, "create/c-worker");
	assert_false(strv_has(&worker->after, "create/c-control-plane"));
}

/* CN-050 */
static void engines_own_network_has_no_addresses_of_ours(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	rig->ctx.name = "podman";
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	assert_null(plan_find(&plan, "network"));
	control_assert_argv(plan_find(&plan, "create/c-worker"),
			    "fake | create | c-worker | --cluster=podman | --role=worker | "
			    "--index=2 | --image=img | --ip= | --run-dir=/s/nodes/c-worker");
}

static void state_directory_must_suit_sockets(void **state)
{
	struct plan_rig *rig = *state;
	struct plan plan = { 0 };
	struct err err;

	rig->ctx.state_dir = "/tmp/012345678901234567890123456789012345678901234567890123456789"
			     "0123456789";
	assert_int_equal(plan_rig_plan(rig, &plan, &err), -1);
	assert_string_equal(err.reason, "STATE_DIR_TOO_LONG");
	rig->ctx.state_dir = "/a:b";
	assert_int_equal(plan_rig_plan(rig, &plan, &err), -1);
	assert_string_equal(err.reason, "STATE_DIR_INVALID");
	rig->ctx.state_dir = "relative";
	assert_int_equal(plan_rig_plan(rig, &plan, &err), -1);
	assert_string_equal(err.reason, "STATE_DIR_INVALID");
}

/* CN-081: the lowest free index, whatever the names. */
static void added_node_gets_the_lowest_free_index(void **state)
{
	struct plan_rig *rig = *state;
	struct node_config node = { .role = NODE_WORKER,
				    .name = (char *)"c-m99",
				    .image = (char *)"i" };
	cleanup_with(plan) struct plan plan = { 0 };
	cleanup_with(plan) struct plan next = { 0 };
	struct err err;

	plan_rig_node(rig, "c-a", "c", NODE_CONTROL_PLANE, NODE_RUNNING, 1);
	plan_rig_node(rig, "c-b", "c", NODE_WORKER, NODE_RUNNING, 3);
	plan_rig_node(rig, "d-a", "d", NODE_WORKER, NODE_RUNNING, 2);
	assert_int_equal(network_list_add(&rig->found.networks, "c", "192.168.58.0/24", "c", &err),
			 0);
	assert_int_equal(cluster_plan_add_node(&rig->ctx, &node, &rig->options, &rig->found, &plan,
					       &err),
			 0);
	control_assert_argv(plan_find(&plan, "create/c-m99"),
			    "fake | create | c-m99 | --cluster=c | --role=worker | --index=2 | "
			    "--image=i | --ip=192.168.58.3 | --run-dir=/s/nodes/c-m99");

	/* Past an address that the engine refused. */
	strv_add(&rig->found.bad_ips, "192.168.58.3");
	assert_int_equal(cluster_plan_add_node(&rig->ctx, &node, &rig->options, &rig->found, &next,
					       &err),
			 0);
	control_assert_argv(plan_find(&next, "create/c-m99"),
			    "fake | create | c-m99 | --cluster=c | --role=worker | --index=4 | "
			    "--image=i | --ip=192.168.58.5 | --run-dir=/s/nodes/c-m99");
}

static void node_cannot_be_added_to_nothing(void **state)
{
	struct plan_rig *rig = *state;
	struct node_config node = { .name = (char *)"c-x", .image = (char *)"i" };
	struct plan plan = { 0 };
	struct err err;

	assert_int_equal(cluster_plan_add_node(&rig->ctx, &node, &rig->options, &rig->found, &plan,
					       &err),
			 -1);
	assert_string_equal(err.reason, "CLUSTER_NOT_FOUND");
}

static void plan_act(struct plan_rig *rig, enum cluster_action action, bool whole,
		     const char *expected)
{
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	assert_int_equal(cluster_plan_act(&rig->ctx, action, &rig->found.nodes, whole, &plan, &err),
			 0);
	plan_rig_expect(&plan, expected);
}

/* CN-190 CN-193 CN-196: at rest, then stopped; workers before control planes. */
static void stop_is_quiesce_then_engine_workers_first(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	plan_rig_node(rig, "cp", "c", NODE_CONTROL_PLANE, NODE_RUNNING, 1);
	plan_rig_node(rig, "w1", "c", NODE_WORKER, NODE_RUNNING, 2);
	plan_rig_node(rig, "w2", "c", NODE_WORKER, NODE_RUNNING, 3);
	plan_act(rig, CLUSTER_STOP, true,
		 "quiesce/w1\n"
		 "stop/w1 <- quiesce/w1\n"
		 "quiesce/w2\n"
		 "stop/w2 <- quiesce/w2\n"
		 "quiesce/cp <- stop/w1 stop/w2\n"
		 "stop/cp <- quiesce/cp\n");
	assert_int_equal(
		cluster_plan_act(&rig->ctx, CLUSTER_STOP, &rig->found.nodes, true, &plan, &err), 0);
	assert_true(plan_find(&plan, "quiesce/w1")->best_effort);
	assert_false(plan_find(&plan, "stop/w1")->best_effort);
}

/* CN-196: who stands before the control planes stops when they have. */
static void the_balancer_stops_last(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_node(rig, "cp", "c", NODE_CONTROL_PLANE, NODE_RUNNING, 1);
	plan_rig_node(rig, "lb", "c", NODE_LOAD_BALANCER, NODE_RUNNING, 2);
	plan_act(rig, CLUSTER_STOP, true,
		 "quiesce/cp\n"
		 "stop/cp <- quiesce/cp\n"
		 "quiesce/lb <- stop/cp\n"
		 "stop/lb <- quiesce/lb\n");
}

/* CN-181 */
static void stopped_nodes_are_not_stopped_again(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_node(rig, "a", "c", NODE_WORKER, NODE_STOPPED, 1);
	plan_rig_node(rig, "b", "c", NODE_WORKER, NODE_ERROR, 2);
	plan_act(rig, CLUSTER_STOP, true, "stop/b\n");
	plan_act(rig, CLUSTER_KILL, true, "kill/b\n");
	plan_act(rig, CLUSTER_RESTART, true,
		 "stop/b\n"
		 "directory/a\n"
		 "start/a <- directory/a stop/b\n"
		 "ready/a <- start/a\n"
		 "directory/b\n"
		 "start/b <- directory/b stop/b\n"
		 "ready/b <- start/b\n");
}

/* NS-067 NS-246: whatever was frozen, by the engine or inside, is thawed before it is ended. */
static void what_is_frozen_is_thawed_first(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_node(rig, "b", "c", NODE_WORKER, NODE_PAUSED, 1);
	plan_act(rig, CLUSTER_STOP, true,
		 "thaw/b\n"
		 "quiesce/b <- thaw/b\n"
		 "stop/b <- quiesce/b\n");
	plan_act(rig, CLUSTER_KILL, true,
		 "thaw/b\n"
		 "unpause/b <- thaw/b\n"
		 "kill/b <- unpause/b\n");
	plan_act(rig, CLUSTER_DELETE, false,
		 "thaw/b\n"
		 "unpause/b <- thaw/b\n"
		 "delete/b <- unpause/b\n"
		 "directory-delete/b <- delete/b\n");
	plan_act(rig, CLUSTER_START, true,
		 "thaw/b\n"
		 "directory/b <- thaw/b\n"
		 "start/b <- directory/b\n"
		 "ready/b <- start/b\n");
}

/* NS-171 CN-220 */
static void pause_and_unpause_take_what_runs(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_node(rig, "a", "c", NODE_WORKER, NODE_RUNNING, 1);
	plan_rig_node(rig, "b", "c", NODE_WORKER, NODE_PAUSED, 2);
	plan_rig_node(rig, "z", "c", NODE_WORKER, NODE_STOPPED, 3);
	plan_act(rig, CLUSTER_PAUSE, true, "pause/a\n");
	plan_act(rig, CLUSTER_UNPAUSE, true,
		 "unpause/a\n"
		 "thaw/b\n"
		 "unpause/b <- thaw/b\n");
}

/* CN-260: who passes calls on has no workloads; and who is gone gets none. */
static void the_balancer_is_not_paused_but_told_who_is_left(void **state)
{
	struct plan_rig *rig = *state;
	struct node_list gone = { 0 };
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	plan_rig_node(rig, "cp1", "c", NODE_CONTROL_PLANE, NODE_RUNNING, 1);
	plan_rig_node(rig, "cp2", "c", NODE_CONTROL_PLANE, NODE_RUNNING, 2);
	plan_rig_node(rig, "lb", "c", NODE_LOAD_BALANCER, NODE_RUNNING, 3);
	plan_act(rig, CLUSTER_PAUSE, true, "pause/cp1\npause/cp2\n");
	rig->ctx.others = &rig->found.nodes;
	gone.items = rig->found.nodes.items; /* cp1 alone */
	gone.count = 1;
	assert_int_equal(cluster_plan_act(&rig->ctx, CLUSTER_DELETE, &gone, false, &plan, &err), 0);
	assert_string_equal(plan.steps[0]->id, "balancer/lb");
	assert_true(plan.steps[0]->best_effort);
	assert_int_equal(plan.steps[0]->backends.count, 1);
	assert_int_equal(strncmp(plan.steps[0]->backends.items[0], "cp2=", 4), 0);
}

static void workers_are_not_left_without_a_control_plane(void **state)
{
	struct plan_rig *rig = *state;
	struct node_list gone = { 0 };
	struct plan plan;
	struct err err;

	plan_rig_node(rig, "cp", "c", NODE_CONTROL_PLANE, NODE_RUNNING, 1);
	plan_rig_node(rig, "w", "c", NODE_WORKER, NODE_RUNNING, 2);
	rig->ctx.others = &rig->found.nodes;
	gone.items = rig->found.nodes.items;
	gone.count = 1;
	assert_int_equal(cluster_plan_act(&rig->ctx, CLUSTER_DELETE, &gone, false, &plan, &err),
			 -1);
	assert_string_equal(err.reason, "LAST_CONTROL_PLANE");
	gone.count = 2;
	plan_act(rig, CLUSTER_DELETE, false,
		 "unpause/cp\n"
		 "delete/cp <- unpause/cp\n"
		 "directory-delete/cp <- delete/cp\n"
		 "unpause/w\n"
		 "delete/w <- unpause/w\n"
		 "directory-delete/w <- delete/w\n");
}

static void nothing_that_runs_cannot_be_paused(void **state)
{
	struct plan_rig *rig = *state;
	struct plan plan;
	struct err err;

	plan_rig_node(rig, "z", "c", NODE_WORKER, NODE_STOPPED, 1);
	assert_int_equal(cluster_plan_act(&rig->ctx, CLUSTER_PAUSE, &rig->found.nodes, true, &plan,
					  &err),
			 -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(err.reason, "NODE_NOT_RUNNING");
}

static void start_makes_the_run_directory_again(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	plan_rig_node(rig, "a", "c", NODE_CONTROL_PLANE, NODE_STOPPED, 1);
	plan_act(rig, CLUSTER_START, true,
		 "directory/a\n"
		 "start/a <- directory/a\n"
		 "ready/a <- start/a\n");
	assert_int_equal(cluster_plan_act(&rig->ctx, CLUSTER_START, &rig->found.nodes, true, &plan,
					  &err),
			 0);
	assert_string_equal(plan_find(&plan, "directory/a")->run_dir, "/s/nodes/x");
	assert_int_equal(plan_find(&plan, "directory/a")->role, NODE_CONTROL_PLANE);
}

/* CN-214 CN-237 */
static void delete_takes_everything_also_of_a_cluster_without_nodes(void **state)
{
	struct plan_rig *rig = *state;

	plan_act(rig, CLUSTER_DELETE, true, "network-delete\ndirectory-delete\n");
	plan_rig_node(rig, "a", "c", NODE_WORKER, NODE_RUNNING, 1);
	plan_act(rig, CLUSTER_DELETE, false,
		 "unpause/a\n"
		 "delete/a <- unpause/a\n"
		 "directory-delete/a <- delete/a\n");
	plan_act(rig, CLUSTER_DELETE, true,
		 "unpause/a\n"
		 "delete/a <- unpause/a\n"
		 "directory-delete/a <- delete/a\n"
		 "network-delete <- delete/a\n"
		 "directory-delete <- delete/a\n");
}

/* CN-004: as in kind, the API server of a control plane can be reached from the host. */
static void control_planes_publish_their_api_server(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_has(rig, "create/c-control-plane", " | --publish=/0:6443");
	plan_rig_lacks(rig, "create/c-worker", "--publish");
	plan_rig_start_again(rig, 1, 0);
	rig->config->api_server_port = 7443;
	assert_int_equal(node_set(&rig->config->api_server_address, "10.1.1.1", &(struct err){ 0 }),
			 0);
	plan_rig_complete(rig);
	plan_rig_has(rig, "create/c-control-plane", " | --publish=10.1.1.1/7443:6443");
	plan_rig_complete(rig);
	assert_int_equal(rig->config->nodes[0].port_count, 1);
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, plan_rig_set_up, plan_rig_tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(create_is_as_parallel_as_can_be),
		RIGGED(without_wait_nothing_waits),
		RIGGED(each_image_is_checked_once),
		RIGGED(the_same_input_gives_the_same_plan),
		RIGGED(existing_cluster_is_a_conflict),
		RIGGED(taken_names_are_conflicts),
		RIGGED(network_of_the_name_is_used_as_it_is),
		RIGGED(first_name_decides_where_a_network_is_left),
		RIGGED(engines_own_network_has_no_addresses_of_ours),
		RIGGED(state_directory_must_suit_sockets),
		RIGGED(added_node_gets_the_lowest_free_index),
		RIGGED(node_cannot_be_added_to_nothing),
		RIGGED(stop_is_quiesce_then_engine_workers_first),
		RIGGED(stopped_nodes_are_not_stopped_again),
		RIGGED(the_balancer_stops_last),
		RIGGED(what_is_frozen_is_thawed_first),
		RIGGED(pause_and_unpause_take_what_runs),
		RIGGED(nothing_that_runs_cannot_be_paused),
		RIGGED(the_balancer_is_not_paused_but_told_who_is_left),
		RIGGED(workers_are_not_left_without_a_control_plane),
		RIGGED(start_makes_the_run_directory_again),
		RIGGED(delete_takes_everything_also_of_a_cluster_without_nodes),
		RIGGED(control_planes_publish_their_api_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
