/* start, stop, restart, kill, pause, unpause, delete cluster. */
#include "controller/cli/cluster_act.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"

#include <string.h>

/* For an engine that nobody asked for to say what it has (CN-216). */
#define ELSEWHERE_MS 5000

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "cluster/%s %s", field_str(row, "cluster"), field_str(row, "result"));
}

static const struct listing listing = { .noun = "cluster", .name_path = "cluster", .line = line };

static void add_result(struct json_object *rows, const char *cluster, const char *result,
		       const struct node_list *list)
{
	struct json_object *row = row_add(rows), *nodes;

	field_text(row, "cluster", cluster);
	field_text(row, "result", result);
	nodes = field_array(row, "nodes");
	for (size_t i = 0; i < list->count; i++)
		json_object_array_add(nodes, json_object_new_string(list->items[i]->name));
}

/* One cluster; its nodes may be none when it is to be deleted: what is left of it goes. */
static int act_on(struct invocation *inv, const char *cluster, enum cluster_action action,
		  const struct node_list *list, struct json_object *rows, struct err *err)
{
	cleanup_with(strv) struct strv failed = { 0 };
	const char *result = cluster_action_result(action);
	bool done;

	if (cluster_act(inv, cluster, action, list, NULL, true, &done, &failed, err) < 0)
		return -1;
	if (done && failed.count == 0)
		add_result(rows, cluster, list->count ? result : "absent", list);
	return 0;
}

/* The nodes of the cluster that an engine has; none when it is not there or does not answer. */
static void list_elsewhere(const char *engine, const char *cluster, struct deadline by,
			   struct node_list *ret_list)
{
	cleanup_with(provider) struct provider *provider = NULL;
	struct err ignored;

	if (provider_open(engine, NULL, &provider, &ignored) == 0 && provider_has_agents(provider))
		provider_list(provider, cluster, deadline_min(by, deadline_in_ms(ELSEWHERE_MS)),
			      ret_list, &ignored);
}

/* CN-216: nobody said which engine, and the first one knows nothing of the cluster: another may have it. Moves
 * the invocation there. */
static int look_elsewhere(struct invocation *inv, const char *cluster, struct node_list *list,
			  struct err *err)
{
	const char *name, *first;
	struct provider *provider;

	if (invocation_provider(inv, &provider, err) < 0)
		return -1;
	first = provider_name(provider);
	for (size_t i = 0; list->count == 0 && (name = provider_known(i)); i++) {
		if (strcmp(name, first) == 0)
			continue;
		list_elsewhere(name, cluster, inv->by, list);
		if (list->count == 0)
			continue;
		invocation_note(inv, "cluster '%s' is on %s", cluster, name);
		return invocation_use_provider(inv, name, err);
	}
	return 0;
}

static int act(struct invocation *inv, enum cluster_action action, struct err *err)
{
	cleanup_with(node_list) struct node_list list = { 0 };
	cleanup_json struct json_object *rows = json_object_new_array();
	const char *cluster = invocation_cluster(inv);

	if (nodes_list(inv, NULL, action != CLUSTER_DELETE, &list, err) < 0)
		return -1;
	if (action == CLUSTER_DELETE && list.count == 0 && !invocation_has_provider(inv) &&
	    look_elsewhere(inv, cluster, &list, err) < 0)
		return -1;
	if (act_on(inv, cluster, action, &list, rows, err) < 0)
		return -1;
	if (inv->opt->dry_run)
		return 0;
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int cluster_start(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_START, err);
}

static int cluster_stop(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_STOP, err);
}

static int cluster_restart(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_RESTART, err);
}

static int cluster_pause(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_PAUSE, err);
}

static int cluster_unpause(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_UNPAUSE, err);
}

static int cluster_kill(struct invocation *inv, struct err *err)
{
	return act(inv, CLUSTER_KILL, err);
}

/* Moves the nodes of the first one's cluster from 'all' to 'ret'. */
static int take_cluster(struct node_list *all, struct node_list *ret, struct err *err)
{
	const char *cluster = all->items[0]->cluster; /* lives on in 'ret' */
	size_t kept = 0;
	int result = 0;

	for (size_t i = 0; i < all->count; i++) {
		struct node *node = all->items[i];

		if (strcmp(node->cluster, cluster) != 0)
			all->items[kept++] = node;
		else if (node_list_add(ret, node, err) < 0)
			result = -1;
	}
	all->count = kept;
	return result;
}

/* One cluster that cannot be deleted does not keep the others. */
static int delete_all(struct invocation *inv, struct json_object *rows, struct err *err)
{
	cleanup_with(node_list) struct node_list all = { 0 };

	if (nodes_list(inv, NULL, false, &all, err) < 0)
		return -1;
	while (all.count) {
		cleanup_with(node_list) struct node_list list = { 0 };
		struct err failure;

		if (take_cluster(&all, &list, err) < 0)
			return -1;
		if (act_on(inv, list.items[0]->cluster, CLUSTER_DELETE, &list, rows, &failure) < 0)
			invocation_fail(inv, &failure);
	}
	return 0;
}

static int delete_cluster(struct invocation *inv, struct err *err)
{
	cleanup_json struct json_object *rows = NULL;

	if (!inv->opt->all)
		return act(inv, CLUSTER_DELETE, err);
	if (inv->cluster)
		return usage_error(err, "either --all or one cluster, not both");
	rows = json_object_new_array();
	if (delete_all(inv, rows, err) < 0)
		return -1;
	if (inv->opt->dry_run)
		return 0;
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static const struct option_spec options[] = { OPTION_ROW_DRY_RUN, { 0 } };

static const struct option_spec pause_options[] = {
	OPTION_ROW_PAUSED_NAMESPACES,
	OPTION_ROW_DRY_RUN,
	{ 0 },
};

static const struct option_spec delete_options[] = {
	{ .name = "all", .type = OPTION_SWITCH, OPTION_AT(all), .help = "all clusters" },
	OPTION_ROW_DRY_RUN,
	{ 0 },
};

#define COMMON .args = "[NAME]", .max_args = 1, .flags = CMD_PLANS, .outputs = OUTPUTS_RESULT

const struct command cmd_cluster_start = {
	COMMON,
	.name = "start cluster",
	.summary = "start all nodes and wait until they are ready",
	.timeout_ms = 180000,
	.options = options,
	.run = cluster_start,
};

const struct command cmd_cluster_stop = {
	COMMON,
	.name = "stop cluster",
	.summary = "bring all nodes to rest, workers first, then stop them",
	.timeout_ms = 180000,
	.options = options,
	.run = cluster_stop,
};

const struct command cmd_cluster_restart = {
	COMMON,
	.name = "restart cluster",
	.summary = "stop all nodes and start them again",
	.timeout_ms = 360000,
	.options = options,
	.run = cluster_restart,
};

const struct command cmd_cluster_kill = {
	COMMON,
	.name = "kill cluster",
	.summary = "end all nodes at once, without bringing them to rest",
	.timeout_ms = 60000,
	.options = options,
	.run = cluster_kill,
};

const struct command cmd_cluster_pause = {
	COMMON,
	.name = "pause cluster",
	.summary = "freeze the workloads of all nodes; agents still answer",
	.details = PAUSE_DETAILS,
	.timeout_ms = 60000,
	.options = pause_options,
	.run = cluster_pause,
};

const struct command cmd_cluster_unpause = {
	COMMON,
	.name = "unpause cluster",
	.summary = "let paused workloads go on, and kubelet where it ran",
	.timeout_ms = 60000,
	.options = pause_options,
	.run = cluster_unpause,
};

const struct command cmd_cluster_delete = {
	COMMON,
	.name = "delete cluster",
	.summary = "remove a cluster with all that is its: nodes, volumes, network, files",
	.details = "Deleting what is not there is no failure. A cluster that the first engine does "
		   "not have is\n"
		   "looked for on the others, unless --provider names one.",
	.example = "berth delete cluster --name demo",
	.timeout_ms = 180000,
	.options = delete_options,
	.run = delete_cluster,
};
