/* describe node, pod, container: everything about each, as text that is YAML. */
#include "controller/cli/cmd_node_get.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "controller/cli/rows.h"

#include <string.h>

/* One after the other for people, an array for programs. */
static int print_all(struct invocation *inv, struct json_object *rows, struct err *err)
{
	enum output_format format = invocation_format(inv);

	if (format != OUTPUT_TABLE)
		return print_value(inv->out, format, rows, err);
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		if (i)
			fputs("---\n", inv->out);
		if (print_value(inv->out, OUTPUT_YAML, json_object_array_get_idx(rows, i), err) < 0)
			return -1;
	}
	return 0;
}

/* --- node ------------------------------------------------------------------------------------------- */

static void drop_node(struct json_object *rows)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		json_object_object_del(json_object_array_get_idx(rows, i), "node");
}

static struct json_object *find_node_row(struct json_object *rows, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (strcmp(field_str(row, "name"), name) == 0)
			return row;
	}
	return NULL;
}

/* Parts that do not answer are left out: the node's own row tells why. */
static int add_parts(struct node *node, void *request, struct json_object *rows, struct err *err)
{
	static const struct {
		const char *key;
		node_fn *rows;
	} parts[] = {
		{ "health", health_rows },
		{ "units", unit_rows },
		{ "pods", pod_rows },
		{ "containers", container_rows },
	};
	struct json_object *all = row_add(rows);

	(void)err;
	field_text(all, "name", node->name);
	for (size_t i = 0; node->state == NODE_RUNNING && i < ARRAY_LEN(parts); i++) {
		struct json_object *part = json_object_new_array();
		struct err ignored;

		if (parts[i].rows(node, request, part, &ignored) < 0) {
			json_object_put(part);
			continue;
		}
		drop_node(part);
		json_object_object_add(all, parts[i].key, part);
	}
	return 0;
}

static void move_parts(struct json_object *from, struct json_object *to)
{
	json_object_object_foreach(from, key, value)
	{
		if (strcmp(key, "name") != 0)
			json_object_object_add(to, key, json_object_get(value));
	}
}

static int describe_node(struct invocation *inv, struct err *err)
{
	cleanup_with(node_list) struct node_list list = { 0 };
	cleanup_json struct json_object *rows = NULL, *parts = NULL;
	struct rows_request request = { .inv = inv, .sandboxes = true, .details = true };

	if (nodes_list(inv, inv->args, true, &list, err) < 0 ||
	    node_rows(inv, &list, &rows, err) < 0 ||
	    nodes_ask(inv, &list, add_parts, &request, &parts, err) < 0)
		return -1;
	for (size_t i = 0; i < json_object_array_length(parts); i++) {
		struct json_object *from = json_object_array_get_idx(parts, i);
		struct json_object *to = find_node_row(rows, field_str(from, "name"));

		if (to)
			move_parts(from, to);
	}
	return print_all(inv, rows, err);
}

/* --- pod and container ---------------------------------------------------------------------------- */

static int describe(struct invocation *inv, const char *noun, node_fn *fn,
		    struct rows_request *request, struct err *err)
{
	cleanup_json struct json_object *rows = NULL;

	if (nodes_select_and_ask(inv, NODES_ALL, fn, request, &rows, err) < 0)
		return -1;
	if (json_object_array_length(rows) == 0)
		return inv->exit_code ? 0 : rows_not_found(inv, noun, request->namespace, err);
	return print_all(inv, rows, err);
}

static int describe_pod(struct invocation *inv, struct err *err)
{
	const char *namespace = inv->opt->namespace ? inv->opt->namespace : "default";
	struct rows_request request = {
		.inv = inv,
		.names = inv->args,
		.namespace = inv->opt->all_namespaces ? NULL : namespace,
	};

	return describe(inv, "pod", pod_rows, &request, err);
}

static int describe_container(struct invocation *inv, struct err *err)
{
	struct rows_request request = {
		.inv = inv,
		.names = inv->args,
		.sandboxes = true,
		.details = true,
	};

	return describe(inv, "container", container_rows, &request, err);
}

static const struct option_spec pod_options[] = {
	OPTION_ROW_NODE,
	OPTION_ROW_NAMESPACE,
	OPTION_ROW_ALL_NAMESPACES,
	{ 0 },
};

static const struct option_spec container_options[] = { OPTION_ROW_NODE, { 0 } };

#define COMMON .min_args = 1, .max_args = -1, .outputs = OUTPUTS_DATA, .timeout_ms = 30000

const struct command cmd_node_describe = {
	COMMON,
	.name = "describe node",
	.args = "NAME...",
	.summary = "show everything about nodes: health, units, pods, containers",
	.run = describe_node,
};

const struct command cmd_pod_describe = {
	COMMON,
	.name = "describe pod",
	.args = "NAME...",
	.summary = "show everything about pods",
	.options = pod_options,
	.run = describe_pod,
};

const struct command cmd_container_describe = {
	COMMON,
	.name = "describe container",
	.args = "ID|NAME...",
	.summary = "show everything about containers of a node's runtime",
	.options = container_options,
	.run = describe_container,
};
