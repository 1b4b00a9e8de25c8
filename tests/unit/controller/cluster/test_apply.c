/* Carrying plans out with the fake provider: order, failure, interrupt, deadline, undo. */
#include "controller/cluster/cluster.h"
#include "controller/cluster/store.h"
#include "controller/provider/provider_impl.h"
#include "tests/support/apply_rig.h"
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

static void create_makes_nodes_network_and_records(void **state)
{
	struct apply_rig *rig = *state;
	struct node *node;
	struct err err;

	apply_add_worker(rig, "c-x");
	assert_int_equal(apply_create(rig, &err), 0);
	assert_int_equal(apply_count_nodes(rig), 2);
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
	struct apply_rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct err err;

	apply_add_worker(rig, "c-1");
	apply_add_worker(rig, "c-2");
	apply_add_worker(rig, "c-3");
	pthread_barrier_init(&all_running, NULL, 4);
	ops.run = meeting_run;
	rig->fake->ops = &ops;
	assert_int_equal(apply_create(rig, &err), 0);
	rig->fake->ops = &fake_ops;
	pthread_barrier_destroy(&all_running);
	assert_int_equal(apply_count_nodes(rig), 4);
}

/* CN-271 CN-272 */
static void one_failure_undoes_all(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	apply_add_worker(rig, "c-1");
	apply_add_worker(rig, "c-fail-create");
	apply_add_worker(rig, "c-2");
	assert_int_equal(apply_create(rig, &err), -1);
	assert_string_equal(err.reason, "ENGINE_FAILED");
	assert_string_equal(err.node, "c-fail-create");
	assert_string_equal(err.msg, "fake: container-create 'c-fail-create': told to fail");
	apply_assert_nothing_left(rig);
}

/* CN-272 */
static void retain_keeps_what_was_made(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	apply_add_worker(rig, "c-fail-create");
	rig->options.retain = true;
	assert_int_equal(apply_create(rig, &err), -1);
	assert_true(control_exists(rig->engine, "c.network"));
	assert_true(control_exists(rig->state, "nodes/c-fail-create"));
}

/* CN-271: what hangs when another fails is ended, waited for, and removed. */
static void failure_ends_what_hangs(void **state)
{
	struct apply_rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	apply_add_worker(rig, "c-hang-create");
	apply_add_worker(rig, "c-fail-create");
	rig->ctx.by = deadline_in_ms(60000);
	assert_int_equal(apply_create(rig, &err), -1);
	assert_string_equal(err.reason, "ENGINE_FAILED");
	assert_true(clock_now_ms() - begun < 10000);
	apply_assert_nothing_left(rig);
}

/* CN-273 F27 */
static void interrupt_undoes_and_says_so(void **state)
{
	struct apply_rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	apply_add_worker(rig, "c-hang-create");
	rig->ctx.by = deadline_in_ms(60000);
	rig->interrupt_at = 5;
	assert_int_equal(apply_create(rig, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_true(clock_now_ms() - begun < 10000);
	apply_assert_nothing_left(rig);
}

/* F27: at every step of a create. */
static void interrupt_at_any_step_leaves_nothing(void **state)
{
	struct apply_rig *rig = *state;

	apply_add_worker(rig, "c-1");
	for (size_t at = 1; at <= 8; at++) {
		char byte;
		struct err err;

		rig->begun = 0;
		rig->interrupt_at = at;
		if (apply_create(rig, &err) < 0) {
			assert_int_equal(err.code, ERR_CANCELLED);
			apply_assert_nothing_left(rig);
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
			apply_assert_nothing_left(rig);
		}
		assert_int_equal(read(rig->interrupt_ends[0], &byte, 1), 1);
	}
}

/* F26 */
static void deadline_undoes_and_says_so(void **state)
{
	struct apply_rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	apply_add_worker(rig, "c-hang-create");
	rig->ctx.by = deadline_in_ms(300);
	assert_int_equal(apply_create(rig, &err), -1);
	assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(err.node, "c-hang-create");
	assert_true(clock_now_ms() - begun < 5000);
	apply_assert_nothing_left(rig);
}

static void missing_image_makes_no_node(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	assert_int_equal(cluster_spec_check("c", "missing", rig->config, NULL, &err), 0);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "IMAGE_NOT_FOUND");
	assert_null(strstr(text_str(&rig->told), "begin create/"));
	apply_assert_nothing_left(rig);
}

/* CN-130: once for both nodes; what is built here is in no registry. */
static void image_that_is_elsewhere_is_pulled(void **state)
{
	struct apply_rig *rig = *state;
	const char *first;
	struct err err;

	apply_add_worker(rig, "c-worker");
	assert_int_equal(cluster_spec_check("c", "elsewhere/node:1", rig->config, NULL, &err), 0);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), 0);
	first = strstr(text_str(&rig->told), "note - image 'elsewhere/node:1' is not on this host");
	assert_non_null(first);
	assert_null(strstr(strchr(first, '\n'), "note - image"));
}

/* CN-130 */
static void image_of_this_host_alone_is_not_pulled(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	assert_int_equal(cluster_spec_check("c", "localhost/elsewhere:1", rig->config, NULL, &err),
			 0);
	assert_int_equal(cluster_create(&rig->ctx, rig->config, &rig->options, &err), -1);
	assert_string_equal(err.reason, "IMAGE_NOT_FOUND");
	assert_null(strstr(text_str(&rig->told), "is pulled"));
	apply_assert_nothing_left(rig);
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
	struct apply_rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct node_list list;
	struct err err;

	ops.run = stingy_run;
	rig->fake->ops = &ops;
	assert_int_equal(apply_create(rig, &err), 0);
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
	struct apply_rig *rig = *state;
	struct provider_ops ops = fake_ops;
	const char *s;
	int tries = 0;
	struct err err;

	ops.run = miserly_run;
	rig->fake->ops = &ops;
	assert_int_equal(apply_create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_string_equal(err.reason, "SUBNET_TAKEN");
	for (s = text_str(&rig->told); (s = strstr(s, "begin network ")); s++)
		tries++;
	assert_int_equal(tries, 5);
	apply_assert_nothing_left(rig);
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
	struct apply_rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct err err;

	apply_add_worker(rig, "c-x");
	ops.run = slow_to_win;
	rig->fake->ops = &ops;
	assert_int_equal(apply_create(rig, &err), -1);
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
	struct apply_rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct err err;

	control_write(rig->dir, "state/nodes/c-control-plane/agent.sock", "");
	ops.run = late_to_lose;
	rig->fake->ops = &ops;
	assert_int_equal(apply_create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_true(control_exists(rig->engine, "c.network"));
	assert_true(control_exists(rig->engine, "c-control-plane.node"));
	assert_true(control_exists(rig->state, "nodes/c-control-plane/agent.sock"));
}

/* F29: one at a time; the other is told who. */
static void second_berth_is_told_who_is_first(void **state)
{
	struct apply_rig *rig = *state;
	struct store_lock lock;
	char pid[32];
	struct err err;

	assert_int_equal(store_lock_take(rig->state, "c", &lock, &err), 0);
	assert_int_equal(apply_create(rig, &err), -1);
	assert_int_equal(err.code, ERR_ABORTED);
	assert_string_equal(err.reason, "CLUSTER_BUSY");
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(err.msg, pid));
	store_lock_release(&lock);
	assert_int_equal(apply_count_nodes(rig), 0);
	assert_int_equal(apply_create(rig, &err), 0);
}

static void life_cycle_goes_round(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	apply_add_worker(rig, "c-x");
	assert_int_equal(apply_create(rig, &err), 0);
	assert_int_equal(apply_act(rig, CLUSTER_STOP, &err), 0);
	assert_int_equal(apply_state_of(rig, "c-x"), NODE_STOPPED);
	assert_int_equal(apply_act(rig, CLUSTER_START, &err), 0);
	assert_int_equal(apply_state_of(rig, "c-x"), NODE_RUNNING);
	assert_int_equal(apply_act(rig, CLUSTER_KILL, &err), 0);
	assert_int_equal(apply_state_of(rig, "c-x"), NODE_STOPPED);
	assert_int_equal(apply_act(rig, CLUSTER_RESTART, &err), 0);
	assert_int_equal(apply_state_of(rig, "c-x"), NODE_RUNNING);
	assert_int_equal(apply_act(rig, CLUSTER_DELETE, &err), 0);
	apply_assert_nothing_left(rig);
	assert_int_equal(apply_act(rig, CLUSTER_DELETE, &err), 0);
}

/* A reboot has emptied the state directory. */
static void start_makes_lost_directories_again(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	assert_int_equal(apply_create(rig, &err), 0);
	assert_int_equal(apply_act(rig, CLUSTER_STOP, &err), 0);
	assert_int_equal(store_node_delete(rig->state, "c-control-plane", &err), 0);
	assert_int_equal(apply_act(rig, CLUSTER_START, &err), 0);
	assert_true(control_exists(rig->state, "nodes/c-control-plane"));
	assert_true(control_exists(rig->state, "nodes/c-control-plane.json"));
}

/* A lost state directory never strands a node. */
static void delete_works_without_the_state_directory(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	assert_int_equal(apply_create(rig, &err), 0);
	free(rig->state);
	rig->state = text_format("%s/other", rig->dir);
	rig->ctx.state_dir = rig->state;
	assert_int_equal(apply_act(rig, CLUSTER_DELETE, &err), 0);
	assert_int_equal(apply_count_nodes(rig), 0);
}

/* Nodes that the engine has forgotten are still remembered by the state directory, until delete. */
static void delete_clears_what_only_the_state_directory_knows(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	assert_int_equal(apply_create(rig, &err), 0);
	{
		cleanup_free char *node = text_format("%s/c-control-plane.node", rig->engine);

		assert_int_equal(unlink(node), 0);
	}
	assert_int_equal(apply_act(rig, CLUSTER_DELETE, &err), 0);
	apply_assert_nothing_left(rig);
}

/* CN-196: each node that fails is told, nothing is undone, and the others stop all the same. */
static void failed_stops_are_all_told_and_hold_up_nobody(void **state)
{
	struct apply_rig *rig = *state;
	cleanup_with(err_list) struct err_list failures = { 0 };
	struct err err;

	apply_add_worker(rig, "c-a-fail-stop-fail-kill");
	apply_add_worker(rig, "c-b-fail-stop-fail-kill");
	assert_int_equal(apply_create(rig, &err), 0);
	rig->ctx.failures = &failures;
	assert_int_equal(apply_act(rig, CLUSTER_STOP, &err), -1);
	assert_int_equal(failures.count, 2);
	assert_int_equal(strcmp(failures.items[0].node, failures.items[1].node) != 0, 1);
	assert_non_null(strstr(failures.items[1].node, "-fail-stop"));
	assert_int_equal(apply_count_nodes(rig), 3);
	assert_int_equal(apply_state_of(rig, "c-a-fail-stop-fail-kill"), NODE_RUNNING);
	assert_int_equal(apply_state_of(rig, "c-control-plane"), NODE_STOPPED);
}

/* CN-193 */
static void a_node_that_does_not_stop_is_killed(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	apply_add_worker(rig, "c-fail-stop");
	assert_int_equal(apply_create(rig, &err), 0);
	assert_int_equal(apply_act(rig, CLUSTER_STOP, &err), 0);
	assert_int_equal(apply_state_of(rig, "c-fail-stop"), NODE_STOPPED);
	assert_non_null(strstr(text_str(&rig->told), "does not stop and is killed"));
}

/* CN-193: one deadline for both ways. */
static void a_stop_that_hangs_ends_in_time(void **state)
{
	struct apply_rig *rig = *state;
	int64_t began_ms;
	struct err err;

	apply_add_worker(rig, "c-hang-stop");
	assert_int_equal(apply_create(rig, &err), 0);
	rig->ctx.by = deadline_in_ms(900);
	began_ms = clock_now_ms();
	assert_int_equal(apply_act(rig, CLUSTER_STOP, &err), 0);
	assert_in_range(clock_now_ms() - began_ms, 500, 1500);
	assert_int_equal(apply_state_of(rig, "c-hang-stop"), NODE_STOPPED);
}

/* CN-212: a delete that fails keeps what is remembered of its node, and the network; others go. */
static void a_failed_delete_keeps_only_its_own(void **state)
{
	struct apply_rig *rig = *state;
	struct node *known = NULL;
	struct err err;

	apply_add_worker(rig, "c-fail-delete");
	assert_int_equal(apply_create(rig, &err), 0);
	assert_int_equal(apply_act(rig, CLUSTER_DELETE, &err), -1);
	assert_string_equal(err.node, "c-fail-delete");
	assert_non_null(strstr(err.advice, "its container is left"));
	assert_int_equal(apply_count_nodes(rig), 1);
	assert_int_equal(store_node_load(rig->state, "c-fail-delete", &known, &err), 0);
	node_free(known);
	assert_int_equal(store_node_load(rig->state, "c-control-plane", &known, &err), -1);
}

/* CN-291: what shows up behind the first look goes with the second. */
static void a_late_node_is_deleted_with_its_cluster(void **state)
{
	struct apply_rig *rig = *state;
	struct node_list none = { 0 };
	struct err err;

	assert_int_equal(apply_create(rig, &err), 0);
	assert_int_equal(cluster_delete(&rig->ctx, &none, true, &err), 0);
	apply_assert_nothing_left(rig);
}

/* What would go wrong in the middle of others' work is waited for, and not for ever. */
static void a_killed_ones_lock_is_taken_over(void **state)
{
	struct apply_rig *rig = *state;
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

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, apply_rig_setup, apply_rig_teardown)
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
		RIGGED(image_that_is_elsewhere_is_pulled),
		RIGGED(image_of_this_host_alone_is_not_pulled),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
