/* Carrying plans out where agents have a say: the waits of a create, and what a stop asks first. */
#include "controller/provider/provider_impl.h"
#include "tests/support/apply_rig.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* DESIGN.md D10: ready is what the agent says, and silence is not yes. */
static void silent_agent_fails_at_the_deadline_and_is_undone(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	setenv("BERTH_FAKE_AGENTS", "1", 1);
	rig->ctx.by = deadline_in_ms(500);
	assert_int_equal(apply_create(rig, &err), -1);
	assert_ptr_equal(strstr(err.msg, "node 'c-control-plane' is not ready: "), err.msg);
	assert_string_equal(err.node, "c-control-plane");
	assert_true(strlen(err.advice) > 0);
	apply_assert_nothing_left(rig);
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
	struct apply_rig *rig = *state;
	struct provider_ops ops = fake_ops;
	int64_t begun = clock_now_ms();
	struct err err;

	setenv("BERTH_FAKE_AGENTS", "1", 1);
	ops.run = stillborn_run;
	rig->fake->ops = &ops;
	rig->ctx.by = deadline_in_ms(60000);
	assert_int_equal(apply_create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_string_equal(err.reason, "NODE_EXITED");
	assert_true(clock_now_ms() - begun < 10000);
	apply_assert_nothing_left(rig);
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
	struct apply_rig *rig = *state;
	struct provider_ops ops = fake_ops;
	struct err err;

	setenv("BERTH_FAKE_AGENTS", "1", 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		apply_add_worker(rig, names[i]);
	ops.list = counted_list;
	rig->fake->ops = &ops;
	rig->ctx.by = deadline_in_ms(3500);
	atomic_store(&lists, 0);
	assert_int_equal(apply_create(rig, &err), -1);
	rig->fake->ops = &fake_ops;
	assert_in_range(atomic_load(&lists), 2, 6);
	apply_assert_nothing_left(rig);
}

static void interrupt_ends_the_wait_for_an_agent(void **state)
{
	struct apply_rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct err err;

	setenv("BERTH_FAKE_AGENTS", "1", 1);
	rig->ctx.by = deadline_in_ms(60000);
	rig->interrupt_at = 5;
	assert_int_equal(apply_create(rig, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_true(clock_now_ms() - begun < 5000);
	apply_assert_nothing_left(rig);
}

/* CN-190 CN-191: what cannot be brought to rest is stopped all the same. */
static void failed_quiesce_is_told_and_does_not_keep_from_stopping(void **state)
{
	struct apply_rig *rig = *state;
	struct err err;

	assert_int_equal(apply_create(rig, &err), 0);
	setenv("BERTH_FAKE_AGENTS", "1", 1);
	assert_int_equal(apply_act(rig, CLUSTER_STOP, &err), 0);
	assert_int_equal(apply_state_of(rig, "c-control-plane"), NODE_STOPPED);
	assert_non_null(strstr(text_str(&rig->told), "failed quiesce/c-control-plane "));
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, apply_rig_setup, apply_rig_teardown)
	const struct CMUnitTest tests[] = {
		RIGGED(silent_agent_fails_at_the_deadline_and_is_undone),
		RIGGED(node_that_ends_while_booting_is_noticed),
		RIGGED(silent_nodes_are_looked_at_together),
		RIGGED(interrupt_ends_the_wait_for_an_agent),
		RIGGED(failed_quiesce_is_told_and_does_not_keep_from_stopping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
