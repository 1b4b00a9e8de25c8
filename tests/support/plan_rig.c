#include "tests/support/plan_rig.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

int plan_rig_set_up(void **state)
{
	struct plan_rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->dir = control_scratch();
	setenv("BERTH_FAKE_DIR", rig->dir, 1);
	assert_int_equal(provider_open("fake", &control_plain_host, &rig->fake, &err), 0);
	rig->ctx = (struct cluster_ctx){
		.provider = rig->fake, .state_dir = "/s", .name = "c", .by = control_soon()
	};
	rig->options.wait = true;
	rig->config = cluster_config_new();
	assert_non_null(cluster_config_add_node(rig->config, NODE_WORKER));
	assert_int_equal(cluster_spec_check("c", "img", rig->config, NULL, &err), 0);
	*state = rig;
	return 0;
}

int plan_rig_tear_down(void **state)
{
	struct plan_rig *rig = *state;

	cluster_found_release(&rig->found);
	cluster_config_free(rig->config);
	provider_close(rig->fake);
	control_scratch_remove(rig->dir);
	free(rig);
	return 0;
}

struct node *plan_rig_node(struct plan_rig *rig, const char *name, const char *cluster,
			   enum node_role role, enum node_state state, int index)
{
	struct node *node = node_new(name, cluster, role, "fake", "/s/nodes/x");
	struct err err;

	assert_non_null(node);
	node->state = state;
	node->index = index;
	assert_int_equal(node_list_add(&rig->found.nodes, node, &err), 0);
	return node;
}

void plan_rig_expect(const struct plan *plan, const char *expected)
{
	char *text = control_plan_text(plan);

	assert_string_equal(text, expected);
	free(text);
}

int plan_rig_plan(struct plan_rig *rig, struct plan *plan, struct err *err)
{
	return cluster_plan_create(&rig->ctx, rig->config, &rig->options, &rig->found, plan, err);
}

static char *create_words(struct plan_rig *rig, const char *id)
{
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	if (plan_rig_plan(rig, &plan, &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(plan_find(&plan, id));
	return control_argv(&plan_find(&plan, id)->argv);
}

void plan_rig_has(struct plan_rig *rig, const char *id, const char *words)
{
	cleanup_free char *all = create_words(rig, id);

	if (!strstr(all, words))
		fail_msg("no \"%s\" in: %s", words, all);
}

void plan_rig_lacks(struct plan_rig *rig, const char *id, const char *words)
{
	cleanup_free char *all = create_words(rig, id);

	if (strstr(all, words))
		fail_msg("\"%s\" in: %s", words, all);
}

/* A config that nobody has checked yet. */
void plan_rig_start_again(struct plan_rig *rig, size_t control_planes, size_t workers)
{
	cluster_config_free(rig->config);
	rig->config = cluster_config_new();
	assert_non_null(rig->config);
	for (size_t i = 1; i < control_planes; i++)
		assert_non_null(cluster_config_add_node(rig->config, NODE_CONTROL_PLANE));
	for (size_t i = 0; i < workers; i++)
		assert_non_null(cluster_config_add_node(rig->config, NODE_WORKER));
}

void plan_rig_complete(struct plan_rig *rig)
{
	struct err err;

	if (cluster_spec_check("c", "img", rig->config, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

void plan_rig_set(char **field, const char *value)
{
	struct err err;

	assert_int_equal(node_set(field, value, &err), 0);
}

void plan_rig_refused(struct plan_rig *rig, const char *reason)
{
	struct plan plan = { 0 };
	struct err err;

	assert_int_equal(plan_rig_plan(rig, &plan, &err), -1);
	assert_string_equal(err.reason, reason);
	assert_int_equal(plan.count, 0);
}

struct network *plan_rig_network(struct plan_rig *rig, const char *name, const char *subnet,
				 const char *cluster)
{
	struct network_list *list = &rig->found.networks;
	struct err err;

	assert_int_equal(network_list_add(list, name, subnet, cluster, &err), 0);
	return &list->items[list->count - 1];
}
