#include "controller/cli/cmd_node_get.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"

#include <string.h>

/* "cluster berth (podman): 2 nodes, 2 running, 1 ready" */
static void overview(struct invocation *inv, struct json_object *rows, const char *cluster)
{
	size_t count = 0, running = 0, ready = 0;
	const char *provider = "";

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (strcmp(field_str(row, "cluster"), cluster) != 0)
			continue;
		count++;
		running += strcmp(field_str(row, "state"), "running") == 0;
		ready += json_object_get_boolean(field_get(row, "ready"));
		provider = field_str(row, "provider");
	}
	fprintf(inv->out, "cluster %s (%s): %zu %s, %zu running, %zu ready\n", cluster, provider,
		count, count == 1 ? "node" : "nodes", running, ready);
}

static void overviews(struct invocation *inv, struct json_object *rows)
{
	cleanup_with(strv) struct strv seen = { 0 };

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		const char *cluster = field_str(json_object_array_get_idx(rows, i), "cluster");

		if (strv_has(&seen, cluster))
			continue;
		strv_add(&seen, cluster);
		overview(inv, rows, cluster);
	}
	fputc('\n', inv->out);
}

static int status(struct invocation *inv, struct err *err)
{
	enum output_format format = invocation_format(inv);
	cleanup_json struct json_object *rows = NULL;
	struct node_list list = { 0 };
	int result;

	if (nodes_list(inv, &inv->opt->nodes, !inv->opt->all, &list, err) < 0)
		return -1;
	result = node_rows(inv, &list, &rows, err);
	node_list_release(&list);
	if (result < 0)
		return -1;
	if (format == OUTPUT_TABLE || format == OUTPUT_WIDE)
		overviews(inv, rows);
	return print_rows(inv->out, format, rows, &node_listing, err);
}

static const struct option_spec status_options[] = {
	{ .name = "all-clusters",
	  .letter = 'A',
	  .type = OPTION_SWITCH,
	  OPTION_AT(all),
	  .help = "all clusters" },
	OPTION_ROW_NODE,
	{ 0 },
};

const struct command cmd_status = {
	.name = "status",
	.args = "",
	.summary = "show a cluster and its nodes at a glance",
	.details = "With -o json: an array of nodes, as 'get nodes' prints it.",
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 30000,
	.options = status_options,
	.run = status,
};
