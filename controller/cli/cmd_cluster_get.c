#include "controller/cli/fields.h"
#include "controller/cli/invocation.h"
#include "controller/cli/print.h"
#include "shared/base/parse.h"

#include <string.h>

static struct json_object *cluster_row(struct json_object *rows, const struct node *node)
{
	struct json_object *row;

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		if (strcmp(field_str(row, "name"), node->cluster) == 0)
			return row;
	}
	row = row_add(rows);
	field_text(row, "name", node->cluster);
	field_text(row, "provider", node->provider);
	field_text(row, "state", "");
	field_int(row, "nodes", 0);
	field_int(row, "running", 0);
	field_time_ns(row, "created", node->created_ns);
	return row;
}

static void count_node(struct json_object *row, const struct node *node)
{
	int64_t nodes = json_object_get_int64(field_get(row, "nodes")) + 1;
	int64_t running = json_object_get_int64(field_get(row, "running")) +
			  (node->state == NODE_RUNNING ? 1 : 0);
	int64_t created = time_parse_ns(field_str(row, "created"));

	field_int(row, "nodes", nodes);
	field_int(row, "running", running);
	field_text(row, "state",
		   running == nodes ? "running"
		   : running        ? "partly running"
				    : node_state_name(node->state));
	if (node->created_ns && node->created_ns < created)
		field_time_ns(row, "created", node->created_ns);
}

/* Only the rows somebody named; each must be there. */
static int only_named(const struct strv *names, struct json_object *all, struct json_object *rows,
		      struct err *err)
{
	for (size_t i = 0; i < names->count; i++) {
		bool found = false;

		for (size_t j = 0; j < json_object_array_length(all); j++) {
			struct json_object *row = json_object_array_get_idx(all, j);

			if (strcmp(field_str(row, "name"), names->items[i]) != 0)
				continue;
			found = true;
			json_object_array_add(rows, json_object_get(row));
		}
		if (found)
			continue;
		err_set(err, ERR_NOT_FOUND, 0, "no cluster '%s'", names->items[i]);
		return err_explain(err, "CLUSTER_NOT_FOUND",
				   "'berth get clusters' lists what there is");
	}
	return 0;
}

static const struct column columns[] = {
	{ .title = "NAME", .path = "name" },
	{ .title = "PROVIDER", .path = "provider" },
	{ .title = "STATE", .path = "state" },
	{ .title = "NODES", .path = "nodes" },
	{ .title = "RUNNING", .path = "running" },
	{ .title = "AGE", .path = "created", .kind = COLUMN_AGE },
	{ 0 },
};

static const struct listing listing = {
	.noun = "cluster",
	.name_path = "name",
	.columns = columns,
};

static int get_clusters(struct invocation *inv, struct err *err)
{
	cleanup_json struct json_object *all = json_object_new_array();
	cleanup_json struct json_object *named = json_object_new_array();
	struct node_list list = { 0 };
	struct provider *provider;

	if (invocation_provider(inv, &provider, err) < 0 ||
	    provider_list(provider, NULL, inv->by, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.count; i++)
		count_node(cluster_row(all, list.items[i]), list.items[i]);
	node_list_release(&list);
	if (only_named(inv->args, all, named, err) < 0)
		return -1;
	if (json_object_array_length(all) == 0 && invocation_format(inv) == OUTPUT_TABLE)
		invocation_note(inv, "no clusters");
	return print_rows(inv->out, invocation_format(inv), inv->args->count ? named : all,
			  &listing, err);
}

const struct command cmd_cluster_get = {
	.name = "get clusters",
	.args = "[NAME...]",
	.summary = "list clusters",
	.max_args = -1,
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 30000,
	.run = get_clusters,
};
