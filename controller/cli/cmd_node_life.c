/* start, stop, restart, kill, pause, unpause, delete node. */
#include "controller/cli/cluster_act.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"

#include <string.h>

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "node/%s %s", field_str(row, "node"), field_str(row, "result"));
}

static const struct listing listing = { .noun = "node", .name_path = "node", .line = line };

static int same_cluster(const struct node_list *list, struct err *err)
{
	for (size_t i = 1; i < list->count; i++) {
		if (strcmp(list->items[i]->cluster, list->items[0]->cluster) != 0)
			return usage_error(err,
					   "'%s' and '%s' are of different clusters: one at a "
					   "time",
					   list->items[0]->name, list->items[i]->name);
	}
	return 0;
}

/* A cluster whose last node goes takes its network along. */
static int is_whole(struct invocation *inv, const struct node_list *list, struct node_list *ret_all,
		    bool *ret_whole, struct err *err)
{
	if (provider_list(inv->provider, list->items[0]->cluster, inv->by, ret_all, err) < 0)
		return -1;
	*ret_whole = ret_all->count == list->count;
	return 0;
}

static int print_results(struct invocation *inv, enum cluster_action action,
			 const struct node_list *list, const struct strv *failed, struct err *err)
{
	cleanup_json struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < list->count; i++) {
		struct json_object *row;

		if (strv_has(failed, list->items[i]->name))
			continue;
		row = row_add(rows);
		field_text(row, "node", list->items[i]->name);
		field_text(row, "cluster", list->items[i]->cluster);
		field_text(row, "result", cluster_action_result(action));
	}
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int act(struct invocation *inv, enum cluster_action action, struct err *err)
{
	cleanup_with(node_list) struct node_list list = { 0 }, all = { 0 };
	cleanup_with(strv) struct strv failed = { 0 };
	bool whole = false, done;

	if (nodes_list(inv, inv->args, true, &list, err) < 0 || same_cluster(&list, err) < 0)
		return -1;
	if (action == CLUSTER_DELETE && is_whole(inv, &list, &all, &whole, err) < 0)
		return -1;
	if (cluster_act(inv, list.items[0]->cluster, action, &list, all.count ? &all : NULL, whole,
			&done, &failed, err) < 0)
		return -1;
	return done ? print_results(inv, action, &list, &failed, err) : 0;
}

static int node_start(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_START, err);
}

static int node_stop(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_STOP, err);
}

static int node_restart(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_RESTART, err);
}

static int node_kill(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_KILL, err);
}

static int node_pause(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_PAUSE, err);
}

static int node_unpause(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_UNPAUSE, err);
}

static int node_delete(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_DELETE, err);
}

static const struct option_spec options[] = { OPTION_ROW_DRY_RUN, { 0 } };

static const struct option_spec pause_options[] = {
	OPTION_ROW_PAUSED_NAMESPACES,
	OPTION_ROW_DRY_RUN,
	{ 0 },
};

#define COMMON_ARGS                                                           \
	.args = "NAME...", .min_args = 1, .max_args = -1, .flags = CMD_PLANS, \
	.outputs = OUTPUTS_RESULT
#define COMMON COMMON_ARGS, .options = options

const struct command cmd_node_start = {
	COMMON,
	.name = "start node",
	.summary = "start nodes and wait until they are ready",
	.timeout_ms = 120000,
	.run = node_start,
};

const struct command cmd_node_stop = {
	COMMON,
	.name = "stop node",
	.summary = "bring nodes to rest, then stop them",
	.details = "The agent stops kubelet and the containers (see 'berth quiesce'), then the "
		   "engine\n"
		   "stops the node. A node that does not come to rest is stopped all the same.",
	.example = "berth stop node berth-worker",
	.timeout_ms = 120000,
	.run = node_stop,
};

const struct command cmd_node_restart = {
	COMMON,
	.name = "restart node",
	.summary = "stop nodes and start them again",
	.timeout_ms = 240000,
	.run = node_restart,
};

const struct command cmd_node_kill = {
	COMMON,
	.name = "kill node",
	.summary = "end nodes at once, without bringing them to rest",
	.timeout_ms = 60000,
	.run = node_kill,
};

const struct command cmd_node_delete = {
	COMMON,
	.name = "delete node",
	.summary = "remove nodes with all that is theirs",
	.timeout_ms = 120000,
	.run = node_delete,
};

const struct command cmd_node_pause = {
	COMMON_ARGS,
	.name = "pause node",
	.summary = "freeze the workloads of nodes; their agents still answer",
	.details = PAUSE_DETAILS,
	.example = "berth pause node berth-worker",
	.timeout_ms = 60000,
	.options = pause_options,
	.run = node_pause,
};

const struct command cmd_node_unpause = {
	COMMON_ARGS,
	.name = "unpause node",
	.summary = "let paused workloads go on, and kubelet if it ran",
	.timeout_ms = 60000,
	.options = pause_options,
	.run = node_unpause,
};
