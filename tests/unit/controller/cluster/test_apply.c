/* Carrying plans out with the fake provider: order, failure, interrupt, deadline, undo. */
#include "controller/cluster/cluster.h"
#include "controller/cluster/store.h"
#include "controller/provider/provider_impl.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rig {
	char *dir;
	char *engine; /* the fake's directory */
	char *state;  /* the state directory */
	struct provider *fake;
	struct cluster_ctx ctx;
	struct cluster_config *config;
	struct create_options options;
	struct interrupt interrupt;
	int interrupt_ends[2];
	struct progress progress;
	struct text told;    /* progress events, one a line */
	size_t interrupt_at; /* interrupt when so many steps have begun; 0: never */
	size_t begun;
};

static void hear(void *arg, const struct progress_event *event)
{
	static const char *const kinds[] = { "begin", "done", "failed", "note" };
	struct rig *rig = arg;

	text_addf(&rig->told, "%s %s %s\n", kinds[event->kind], event->step ? event->step->id : "-",
		  event->text);
	if (event->kind == PROGRESS_BEGIN && ++rig->begun == rig->interrupt_at)
		assert_int_equal(write(rig->interrupt_ends[1], "x", 1), 1);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->dir = control_scratch();
	rig->engine = text_format("%s/engine", rig->dir);
	rig->state = text_format("%s/state", rig->dir);
	setenv("BERTH_FAKE_DIR", rig->engine, 1);
	unsetenv("BERTH_FAKE_AGENTS");
	assert_int_equal(provider_open("fake", &control_plain_host, &rig->fake, &err), 0);
	assert_int_equal(pipe(rig->interrupt_ends), 0);
	rig->interrupt.fd = rig->interrupt_ends[0];
	rig->progress = (struct progress){ hear, rig };
	rig->ctx = (struct cluster_ctx){ .provider = rig->fake,
					 .state_dir = rig->state,
					 .name = "c",
					 .interrupt = &rig->interrupt,
					 .progress = &rig->progress,
					 .by = control_soon() };
	rig->options.wait = true;
	rig->config = cluster_config_new();
	assert_non_null(rig->config);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	close(rig->interrupt_ends[0]);
	close(rig->interrupt_ends[1]);
	cluster_config_free(rig->config);
	provider_close(rig->fake);
	text_release(&rig->told);
	control_scratch_remove(rig->dir);
	free(rig->engine);
	free(rig->state);
	free(rig);
	return 0;
}

static void add_worker(struct rig *rig, const char *name)
{
	struct node_config *node = cluster_config_add_node(rig->config, NODE_WORKER);

	assert_non_null(node);
	free(node->name);
	node->name = strdup(name);
}

static int create(struct rig *rig, struct err *err)
{
	assert_int_equal(cluster_spec_check(rig->ctx.name, NULL, rig->config, NULL, err), 0);
	return cluster_create(&rig->ctx, rig->config, &rig->options, err);
}

static size_t count_nodes(struct rig *rig)
{
	struct node_list list;
	struct err err;
	size_t count;

	provider_set_interrupt(rig->fake, NULL);
	assert_int_equal(provider_list(rig->fake, NULL, control_soon(), &list, &err), 0);
	count = list.count;
	node_list_release(&list);
	return count;
}

/* CN-271 CN-272 CN-275: no node, network, directory or record is left. */
static void assert_nothing_left(struct rig *rig)
{
	struct network_list networks;
	struct err err;

	assert_int_equal(count_nodes(rig), 0);
	assert_int_equal(provider_networks(rig->fake, control_soon(), &networks, &err), 0);
	assert_int_equal(networks.count, 0);
	network_list_release(&networks);
	for (size_t i = 0; i < rig->config->node_count; i++) {
		cleanup_free char *dir = text_format("nodes/%s", rig->config->nodes[i].name);
		cleanup_free char *record =
			text_format("nodes/%s.json", rig->config->nodes[i].name);

		assert_false(control_exists(rig->state, dir));
		assert_false(control_exists(rig->state, record));
	}
	assert_false(control_exists(rig->state, "locks/c"));
}

static void create_makes_nodes_network_and_records(void **state)
{
	struct rig *rig = *state;
	struct node *node;
	struct err err;

	add_worker(rig, "c-x");
	assert_int_equal(create(rig, &err), 0);
	assert_int_equal(count_nodes(rig), 2);
	assert_true(control_exists(rig->engine, "c.network"));
	assert_true(control_exists(rig->state, "nodes/c-x"));
	assert_int_equal(store_node_load(rig->state, "c-control-plane", &node, &err), 0);
	assert_string_equal(node->cluster, "c");
	assert_int_equal(node->role, NODE_CONTROL_PLANE);
	assert_string_equal(node->provider, "fake");
	node_free(node);
	assert_non_null(strstr(text_str(&rig->told), "done ready/c-x"));
}

/* A provider whose creates each wait until all of them run. */
static pthread_barrier_t all_running;

static int meeting_run(struct provider *p, const struct step *step, struct deadline by,
		       struct err *err)
{
	if (step->action == STEP_CONTAINER_CREATE)
		pthread_barrier_wait(&all_running);
	return fake_ops.run(p, step, by, err);
}

/* CN-270 */
static void nodes_are_created_at_the_same_time(void **state)
{
	struct rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct err err;

	add_worker(rig, "c-1");
	add_worker(rig, "c-2");
	add_worker(rig, "c-3");
	pthread_barrier_init(&all_running, NULL, 4);
	ops.run = meeting_run;
	rig->fake->ops = &ops;
	assert_int_equal(create(rig, &err), 0);
	rig->fake->ops = &fake_ops;
	pthread_barrier_destroy(&all_running);
	assert_int_equal(count_nodes(rig), 4);
}

/* CN-271 CN-272 */
static void one_failure_undoes_all(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_worker(rig, "c-1");
	add_worker(rig, "c-fail-create");
	add_worker(rig, "c-2");
	assert_int_equal(create(rig, &err), -1);
	assert_string_equal(err.reason, "ENGINE_FAILED");
	assert_string_equal(err.node, "c-fail-create");
	assert_string_equal(err.msg, "fake: container-create 'c-fail-create': told to fail");
	assert_nothing_left(rig);
}

/* CN-272 */
static void retain_keeps_what_was_made(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_worker(rig, "c-fail-create");
	rig->options.retain = true;
	assert_int_equal(create(rig, &err), -1);
	assert_true(control_exists(rig->engine, "c.network"));
	assert_true(control_exists(rig->state, "nodes/c-fail-create"));
}

/* CN-271: what hangs when another fails is ended, waited for, and removed. */
static void failure_ends_what_hangs(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	add_worker(rig, "c-hang-create");
	add_worker(rig, "c-fail-create");
	rig->ctx.by = deadline_in_ms(60000);
	assert_int_equal(create(rig, &err), -1);
	assert_string_equal(err.reason, "ENGINE_FAILED");
	assert_true(clock_now_ms() - begun < 10000);
	assert_nothing_left(rig);
}

/* CN-273 F27 */
static void interrupt_undoes_and_says_so(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	add_worker(rig, "c-hang-create");
	rig->ctx.by = deadline_in_ms(60000);
	rig->interrupt_at = 5;
	assert_int_equal(create(rig, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_true(clock_now_ms() - begun < 10000);
	assert_nothing_left(rig);
}

/* F27: at every step of a create. */
static void interrupt_at_any_step_leaves_nothing(void **state)
{
	struct rig *rig = *state;

	add_worker(rig, "c-1");
	for (size_t at = 1; at <= 8; at++) {
		char byte;
		struct err err;

		rig->begun = 0;
		rig->interrupt_at = at;
		if (create(rig, &err) < 0) {
			assert_int_equal(err.code, ERR_CANCELLED);
			assert_nothing_left(rig);
		} else {
			struct node_list list;
			struct plan plan;

			/* It came too late to matter. */
			provider_set_interrupt(rig->fake, NULL);
			rig->ctx.interrupt = NULL;
			assert_int_equal(provider_list(rig->fake, "c", control_soon(), &list, &err),
					 0);
			assert_int_equal(cluster_plan_act(&rig->ctx, CLUSTER_DELETE, &list, true,
							  &plan, &err),
					 0);
			assert_int_equal(cluster_apply(&rig->ctx, &plan, false, &err), 0);
			plan_release(&plan);
			node_list_release(&list);
			rig->ctx.interrupt = &rig->interrupt;
			assert_nothing_left(rig);
		}
		assert_int_equal(read(rig->interrupt_ends[0], &byte, 1), 1);
	}
}

/* F26 */
static void deadline_undoes_and_says_so(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	add_worker(rig, "c-hang-create");
	rig->ctx.by = deadline_in_ms(300);
	assert_int_equal(create(rig, &err), -1);
	assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(err.node, "c-hang-create");
	assert_true(clock_now_ms() - begun < 5000);
	assert_nothing_left(rig);
}

static void missing_image_makes_no_node(void **state)
{
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(cluster_spec_check("c", "missing", rig->config, NULL, &err), 0);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "IMAGE_NOT_FOUND");
	assert_null(strstr(text_str(&rig->told), "begin create/"));
	assert_nothing_left(rig);
}

/* CN-055: the engine knows of a network that we were not told of. */
static int stingy_run(struct provider *p, const struct step *step, struct deadline by,
		      struct err *err)
{
	if (step->action == STEP_NETWORK_CREATE &&
	    !strv_has(&step->argv, "--subnet=192.168.67.0/24")) {
		err_set(err, ERR_ALREADY_EXISTS, 0, "the subnet is taken");
		return err_explain(err, "SUBNET_TAKEN", NULL);
	}
	return fake_ops.run(p, step, by, err);
}

static void taken_subnet_is_tried_again_with_the_next(void **state)
{
	struct rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct node_list list;
	struct err err;

	ops.run = stingy_run;
	rig->fake->ops = &ops;
	assert_int_equal(create(rig, &err), 0);
	rig->fake->ops = &fake_ops;
	assert_int_equal(provider_list(rig->fake, "c", control_soon(), &list, &err), 0);
	assert_string_equal(list.items[0]->ip, "192.168.67.2");
	node_list_release(&list);
}

static int miserly_run(struct provider *p, const struct step *step, struct deadline by,
		       struct err *err)
{
	if (step->action != STEP_NETWORK_CREATE)
		return fake_ops.run(p, step, by, err);
	err_set(err, ERR_ALREADY_EXISTS, 0, "the subnet is taken");
	return err_explain(err, "SUBNET_TAKEN", NULL);
}

/* CN-055 */
static void five_taken_subnets_are_enough(void **state)
{
	struct rig *rig = *state;
	struct provider_ops ops = fake_ops;
	const char *s;
	int tries = 0;
	struct err err;

	ops.run = miserly_run;
	rig->fake->ops = &ops;
	assert_int_equal(create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_string_equal(err.reason, "SUBNET_TAKEN");
	for (s = text_str(&rig->told); (s = strstr(s, "begin network ")); s++)
		tries++;
	assert_int_equal(tries, 5);
	assert_nothing_left(rig);
}

/* A stranger takes the name between our look and our create. */
static int slow_to_win(struct provider *p, const struct step *step, struct deadline by,
		       struct err *err)
{
	if (step->action == STEP_CONTAINER_CREATE && strcmp(step->node, "c-x") == 0)
		control_write(getenv("BERTH_FAKE_DIR"), "c-x.node", "state=running\n");
	return fake_ops.run(p, step, by, err);
}

/* CN-142: a stranger's container survives our undo. */
static void strangers_container_survives_the_undo(void **state)
{
	struct rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct err err;

	add_worker(rig, "c-x");
	ops.run = slow_to_win;
	rig->fake->ops = &ops;
	assert_int_equal(create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_string_equal(err.reason, "NAME_IN_USE");
	assert_true(control_exists(rig->engine, "c-x.node"));
	assert_false(control_exists(rig->engine, "c-control-plane.node"));
	assert_false(control_exists(rig->engine, "c.network"));
}

/* The winner's network and nodes appear between the loser's look and its first step. */
static int late_to_lose(struct provider *p, const struct step *step, struct deadline by,
			struct err *err)
{
	if (step->action == STEP_NETWORK_CREATE) {
		const char *dir = getenv("BERTH_FAKE_DIR");

		control_write(dir, "c.network", "subnet=192.168.49.0/24\ncluster=c\n");
		control_write(dir, "c-control-plane.node",
			      "cluster=c\nstate=running\nrun-dir=/x\n");
	}
	return fake_ops.run(p, step, by, err);
}

/* CN-292 F29: the loser of a race takes nothing of the winner's away. */
static void loser_of_a_race_touches_nothing_of_the_winner(void **state)
{
	struct rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct err err;

	control_write(rig->dir, "state/nodes/c-control-plane/agent.sock", "");
	ops.run = late_to_lose;
	rig->fake->ops = &ops;
	assert_int_equal(create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_true(control_exists(rig->engine, "c.network"));
	assert_true(control_exists(rig->engine, "c-control-plane.node"));
	assert_true(control_exists(rig->state, "nodes/c-control-plane/agent.sock"));
}

/* F29: one at a time; the other is told who. */
static void second_berth_is_told_who_is_first(void **state)
{
	struct rig *rig = *state;
	struct store_lock lock;
	char pid[32];
	struct err err;

	assert_int_equal(store_lock_take(rig->state, "c", &lock, &err), 0);
	assert_int_equal(create(rig, &err), -1);
	assert_int_equal(err.code, ERR_ABORTED);
	assert_string_equal(err.reason, "CLUSTER_BUSY");
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(err.msg, pid));
	store_lock_release(&lock);
	assert_int_equal(count_nodes(rig), 0);
	assert_int_equal(create(rig, &err), 0);
}

static int act(struct rig *rig, enum cluster_action action, struct err *err)
{
	struct node_list list;
	struct plan plan;
	int rc;

	assert_int_equal(provider_list(rig->fake, "c", control_soon(), &list, err), 0);
	assert_int_equal(cluster_plan_act(&rig->ctx, action, &list, true, &plan, err), 0);
	node_list_release(&list);
	rc = cluster_apply(&rig->ctx, &plan, false, err);
	plan_release(&plan);
	return rc;
}

static enum node_state state_of(struct rig *rig, const char *name)
{
	struct node_list list;
	enum node_state state;
	struct err err;

	assert_int_equal(provider_list(rig->fake, "c", control_soon(), &list, &err), 0);
	assert_non_null(node_list_find(&list, name));
	state = node_list_find(&list, name)->state;
	node_list_release(&list);
	return state;
}

static void life_cycle_goes_round(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_worker(rig, "c-x");
	assert_int_equal(create(rig, &err), 0);
	assert_int_equal(act(rig, CLUSTER_STOP, &err), 0);
	assert_int_equal(state_of(rig, "c-x"), NODE_STOPPED);
	assert_int_equal(act(rig, CLUSTER_START, &err), 0);
	assert_int_equal(state_of(rig, "c-x"), NODE_RUNNING);
	assert_int_equal(act(rig, CLUSTER_KILL, &err), 0);
	assert_int_equal(state_of(rig, "c-x"), NODE_STOPPED);
	assert_int_equal(act(rig, CLUSTER_RESTART, &err), 0);
	assert_int_equal(state_of(rig, "c-x"), NODE_RUNNING);
	assert_int_equal(act(rig, CLUSTER_DELETE, &err), 0);
	assert_nothing_left(rig);
	assert_int_equal(act(rig, CLUSTER_DELETE, &err), 0);
}

/* A reboot has emptied the state directory. */
static void start_makes_lost_directories_again(void **state)
{
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(create(rig, &err), 0);
	assert_int_equal(act(rig, CLUSTER_STOP, &err), 0);
	assert_int_equal(store_node_delete(rig->state, "c-control-plane", &err), 0);
	assert_int_equal(act(rig, CLUSTER_START, &err), 0);
	assert_true(control_exists(rig->state, "nodes/c-control-plane"));
	assert_true(control_exists(rig->state, "nodes/c-control-plane.json"));
}

/* A lost state directory never strands a node. */
static void delete_works_without_the_state_directory(void **state)
{
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(create(rig, &err), 0);
	free(rig->state);
	rig->state = text_format("%s/other", rig->dir);
	rig->ctx.state_dir = rig->state;
	assert_int_equal(act(rig, CLUSTER_DELETE, &err), 0);
	assert_int_equal(count_nodes(rig), 0);
}

/* Nodes that the engine has forgotten are still remembered by the state directory, until delete. */
static void delete_clears_what_only_the_state_directory_knows(void **state)
{
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(create(rig, &err), 0);
	{
		cleanup_free char *node = text_format("%s/c-control-plane.node", rig->engine);

		assert_int_equal(unlink(node), 0);
	}
	assert_int_equal(act(rig, CLUSTER_DELETE, &err), 0);
	assert_nothing_left(rig);
}

/* CN-196: each node that fails is told, nothing is undone, and the others stop all the same. */
static void failed_stops_are_all_told_and_hold_up_nobody(void **state)
{
	struct rig *rig = *state;
	cleanup_with(err_list) struct err_list failures = { 0 };
	struct err err;

	add_worker(rig, "c-a-fail-stop-fail-kill");
	add_worker(rig, "c-b-fail-stop-fail-kill");
	assert_int_equal(create(rig, &err), 0);
	rig->ctx.failures = &failures;
	assert_int_equal(act(rig, CLUSTER_STOP, &err), -1);
	assert_int_equal(failures.count, 2);
	assert_int_equal(strcmp(failures.items[0].node, failures.items[1].node) != 0, 1);
	assert_non_null(strstr(failures.items[1].node, "-fail-stop"));
	assert_int_equal(count_nodes(rig), 3);
	assert_int_equal(state_of(rig, "c-a-fail-stop-fail-kill"), NODE_RUNNING);
	assert_int_equal(state_of(rig, "c-control-plane"), NODE_STOPPED);
}

/* CN-193 */
static void a_node_that_does_not_stop_is_killed(void **state)
{
	struct rig *rig = *state;
	struct err err;

	add_worker(rig, "c-fail-stop");
	assert_int_equal(create(rig, &err), 0);
	assert_int_equal(act(rig, CLUSTER_STOP, &err), 0);
	assert_int_equal(state_of(rig, "c-fail-stop"), NODE_STOPPED);
	assert_non_null(strstr(text_str(&rig->told), "does not stop and is killed"));
}

/* CN-193: one deadline for both ways. */
static void a_stop_that_hangs_ends_in_time(void **state)
{
	struct rig *rig = *state;
	int64_t began_ms;
	struct err err;

	add_worker(rig, "c-hang-stop");
	assert_int_equal(create(rig, &err), 0);
	rig->ctx.by = deadline_in_ms(900);
	began_ms = clock_now_ms();
	assert_int_equal(act(rig, CLUSTER_STOP, &err), 0);
	assert_in_range(clock_now_ms() - began_ms, 500, 1500);
	assert_int_equal(state_of(rig, "c-hang-stop"), NODE_STOPPED);
}

/* CN-212: a delete that fails keeps what is remembered of its node, and the network; others go. */
static void a_failed_delete_keeps_only_its_own(void **state)
{
	struct rig *rig = *state;
	struct node *known = NULL;
	struct err err;

	add_worker(rig, "c-fail-delete");
	assert_int_equal(create(rig, &err), 0);
	assert_int_equal(act(rig, CLUSTER_DELETE, &err), -1);
	assert_string_equal(err.node, "c-fail-delete");
	assert_non_null(strstr(err.advice, "its container is left"));
	assert_int_equal(count_nodes(rig), 1);
	assert_int_equal(store_node_load(rig->state, "c-fail-delete", &known, &err), 0);
	node_free(known);
	assert_int_equal(store_node_load(rig->state, "c-control-plane", &known, &err), -1);
}

/* CN-291: what shows up behind the first look goes with the second. */
static void a_late_node_is_deleted_with_its_cluster(void **state)
{
	struct rig *rig = *state;
	struct node_list none = { 0 };
	struct err err;

	assert_int_equal(create(rig, &err), 0);
	assert_int_equal(cluster_delete(&rig->ctx, &none, true, &err), 0);
	assert_nothing_left(rig);
}

/* What would go wrong in the middle of others' work is waited for, and not for ever. */
static void a_killed_ones_lock_is_taken_over(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *path = text_format("%s/locks/c", rig->state);
	struct store_lock lock;
	struct err err;

	assert_int_equal(store_lock_take(rig->state, "c", &lock, &err), 0);
	assert_false(lock.abandoned);
	close(lock.fd); /* as if its process had been killed: the file stays */
	assert_int_equal(access(path, F_OK), 0);
	free(lock.path);
	assert_int_equal(store_lock_take(rig->state, "c", &lock, &err), 0);
	assert_true(lock.abandoned);
	store_lock_release(&lock);
	assert_int_equal(store_lock_take(rig->state, "c", &lock, &err), 0);
	assert_false(lock.abandoned);
	store_lock_release(&lock);
}

/* DESIGN.md D10: ready is what the agent says, and silence is not yes. */
static void silent_agent_fails_at_the_deadline_and_is_undone(void **state)
{
	struct rig *rig = *state;
	struct err err;

	setenv("BERTH_FAKE_AGENTS", "1", 1);
	rig->ctx.by = deadline_in_ms(500);
	assert_int_equal(create(rig, &err), -1);
	assert_ptr_equal(strstr(err.msg, "node 'c-control-plane' is not ready: "), err.msg);
	assert_string_equal(err.node, "c-control-plane");
	assert_true(strlen(err.advice) > 0);
	assert_nothing_left(rig);
}

static int stillborn_run(struct provider *p, const struct step *step, struct deadline by,
			 struct err *err)
{
	if (fake_ops.run(p, step, by, err) < 0)
		return -1;
	if (step->action == STEP_CONTAINER_CREATE)
		control_write(getenv("BERTH_FAKE_DIR"), "c-control-plane.node",
			      "cluster=c\nstate=exited\nrun-dir=/x\n");
	return 0;
}

/* CN-155: long before the deadline. */
static void node_that_ends_while_booting_is_noticed(void **state)
{
	struct rig *rig = *state;
	struct provider_ops ops = fake_ops;
	int64_t begun = clock_now_ms();
	struct err err;

	setenv("BERTH_FAKE_AGENTS", "1", 1);
	ops.run = stillborn_run;
	rig->fake->ops = &ops;
	rig->ctx.by = deadline_in_ms(60000);
	assert_int_equal(create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_string_equal(err.reason, "NODE_EXITED");
	assert_true(clock_now_ms() - begun < 10000);
	assert_nothing_left(rig);
}

static atomic_uint lists;

static int counted_list(struct provider *p, const char *cluster, struct deadline by,
			struct node_list *list, struct strv *foreign, struct err *err)
{
	atomic_fetch_add(&lists, 1);
	return fake_ops.list(p, cluster, by, list, foreign, err);
}

/* DESIGN.md section 5: each of nine is silent, and the engine is asked as for one. Before and after, once
 * each, it is asked what there is. */
static void silent_nodes_are_looked_at_together(void **state)
{
	static const char *const names[] = { "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8" };
	struct rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct err err;

	setenv("BERTH_FAKE_AGENTS", "1", 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		add_worker(rig, names[i]);
	ops.list = counted_list;
	rig->fake->ops = &ops;
	rig->ctx.by = deadline_in_ms(3500);
	atomic_store(&lists, 0);
	assert_int_equal(create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_in_range(atomic_load(&lists), 2, 6);
	assert_nothing_left(rig);
}

static void interrupt_ends_the_wait_for_an_agent(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	setenv("BERTH_FAKE_AGENTS", "1", 1);
	rig->ctx.by = deadline_in_ms(60000);
	rig->interrupt_at = 5;
	assert_int_equal(create(rig, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_true(clock_now_ms() - begun < 5000);
	assert_nothing_left(rig);
}

/* CN-190 CN-191: what cannot be brought to rest is stopped all the same. */
static void failed_quiesce_is_told_and_does_not_keep_from_stopping(void **state)
{
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(create(rig, &err), 0);
	setenv("BERTH_FAKE_AGENTS", "1", 1);
	assert_int_equal(act(rig, CLUSTER_STOP, &err), 0);
	assert_int_equal(state_of(rig, "c-control-plane"), NODE_STOPPED);
	assert_non_null(strstr(text_str(&rig->told), "failed quiesce/c-control-plane "));
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(create_makes_nodes_network_and_records),
		RIGGED(nodes_are_created_at_the_same_time),
		RIGGED(one_failure_undoes_all),
		RIGGED(retain_keeps_what_was_made),
		RIGGED(failure_ends_what_hangs),
		RIGGED(interrupt_undoes_and_says_so),
		RIGGED(interrupt_at_any_step_leaves_nothing),
		RIGGED(deadline_undoes_and_says_so),
		RIGGED(missing_image_makes_no_node),
		RIGGED(taken_subnet_is_tried_again_with_the_next),
		RIGGED(five_taken_subnets_are_enough),
		RIGGED(strangers_container_survives_the_undo),
		RIGGED(loser_of_a_race_touches_nothing_of_the_winner),
		RIGGED(second_berth_is_told_who_is_first),
		RIGGED(life_cycle_goes_round),
		RIGGED(start_makes_lost_directories_again),
		RIGGED(delete_works_without_the_state_directory),
		RIGGED(delete_clears_what_only_the_state_directory_knows),
		RIGGED(failed_stops_are_all_told_and_hold_up_nobody),
		RIGGED(a_node_that_does_not_stop_is_killed),
		RIGGED(a_stop_that_hangs_ends_in_time),
		RIGGED(a_failed_delete_keeps_only_its_own),
		RIGGED(a_late_node_is_deleted_with_its_cluster),
		RIGGED(a_killed_ones_lock_is_taken_over),
		RIGGED(silent_agent_fails_at_the_deadline_and_is_undone),
		RIGGED(node_that_ends_while_booting_is_noticed),
		RIGGED(silent_nodes_are_looked_at_together),
		RIGGED(interrupt_ends_the_wait_for_an_agent),
		RIGGED(failed_quiesce_is_told_and_does_not_keep_from_stopping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
