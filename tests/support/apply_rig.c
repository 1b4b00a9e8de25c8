#include "tests/support/apply_rig.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void hear(void *arg, const struct progress_event *event)
{
	static const char *const kinds[] = { "begin", "done", "failed", "note" };
	struct apply_rig *rig = arg;

	text_addf(&rig->told, "%s %s %s\n", kinds[event->kind], event->step ? event->step->id : "-",
		  event->text);
	if (event->kind == PROGRESS_BEGIN && ++rig->begun == rig->interrupt_at)
		assert_int_equal(write(rig->interrupt_ends[1], "x", 1), 1);
}

int apply_rig_setup(void **state)
{
	struct apply_rig *rig = calloc(1, sizeof(*rig));
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

int apply_rig_teardown(void **state)
{
	struct apply_rig *rig = *state;

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

void apply_add_worker(struct apply_rig *rig, const char *name)
{
	struct node_config *node = cluster_config_add_node(rig->config, NODE_WORKER);

	assert_non_null(node);
	free(node->name);
	node->name = strdup(name);
}

int apply_create(struct apply_rig *rig, struct err *err)
{
	assert_int_equal(cluster_spec_check(rig->ctx.name, NULL, rig->config, NULL, err), 0);
	return cluster_create(&rig->ctx, rig->config, &rig->options, err);
}

size_t apply_count_nodes(struct apply_rig *rig)
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
void apply_assert_nothing_left(struct apply_rig *rig)
{
	struct network_list networks;
	struct err err;

	assert_int_equal(apply_count_nodes(rig), 0);
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

int apply_act(struct apply_rig *rig, enum cluster_action action, struct err *err)
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

enum node_state apply_state_of(struct apply_rig *rig, const char *name)
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
