#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "controller/cli/rows.h"
#include "shared/base/parse.h"

#include "node/v1/containers.pb-c.h"

#include <string.h>

struct request {
	const struct rows_request *asked;
	const struct node *node;
	struct json_object *rows;
};

static const char *state_name(Berth__Node__V1__ContainerState state)
{
	static const char *const names[] = { "unknown", "created", "running", "paused", "exited" };

	return (size_t)state < ARRAY_LEN(names) ? names[state] : names[0];
}

static bool is_wanted(const struct strv *names, const Berth__Node__V1__ContainerInfo *info)
{
	for (size_t i = 0; names && i < names->count; i++) {
		const char *word = names->items[i];

		if (strncmp(info->id, word, strlen(word)) == 0 || name_matches(word, info->name))
			return true;
	}
	return !names || names->count == 0;
}

static void add_row(const struct request *request, const Berth__Node__V1__ContainerInfo *info)
{
	bool exited = info->state == BERTH__NODE__V1__CONTAINER_STATE__CONTAINER_EXITED;
	bool sandbox = info->kind == BERTH__NODE__V1__CONTAINER_KIND__SANDBOX;
	struct json_object *row = row_add(request->rows);

	field_text(row, "node", request->node->name);
	field_text(row, "id", info->id);
	field_text(row, "name", info->name);
	field_text(row, "kind", sandbox ? "sandbox" : "container");
	field_text(row, "state", state_name(info->state));
	field_text(row, "pod", info->pod);
	field_text(row, "namespace", info->namespace_);
	field_text(row, "podUid", info->pod_uid);
	field_text(row, "image", info->image);
	field_int(row, "attempt", info->attempt);
	field_int(row, "pid", info->pid);
	field_time_ns(row, "created", info->created_nanos);
	field_time_ns(row, "startedAt", info->started_nanos);
	field_time_ns(row, "finishedAt", info->finished_nanos);
	if (exited)
		field_int(row, "exitCode", info->exit_code);
	else
		json_object_object_add(row, "exitCode", NULL);
	field_text(row, "sandboxId", info->sandbox_id);
}

static void on_containers(const Berth__Node__V1__ContainerListReply *rep, void *arg)
{
	const struct request *request = arg;

	for (size_t i = 0; i < rep->n_containers; i++) {
		if (is_wanted(request->asked->names, rep->containers[i]))
			add_row(request, rep->containers[i]);
	}
}

int container_rows(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct rows_request *asked = arg;
	struct request request = { .asked = asked, .node = node, .rows = rows };
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	char *namespaces[] = { (char *)asked->namespace };
	struct rpc rpc;

	if (nodes_rpc(node, &berth__node__v1__containers__descriptor, asked->inv->by, &rpc, err) <
	    0)
		return -1;
	req.include_sandboxes = asked->sandboxes;
	req.details = asked->details;
	if (asked->namespace) {
		req.namespaces = namespaces;
		req.n_namespaces = 1;
	}
	berth__node__v1__containers__list(&rpc.base, &req, on_containers, &request);
	return rpc.result;
}

/* A name as it is; of an image known by its digest only, as much as tells it from others. */
static void render_image(struct json_object *row, struct text *cell)
{
	const char *image = json_object_get_string(json_object_object_get(row, "image"));
	static const char digest[] = "sha256:";

	if (image && strncmp(image, digest, strlen(digest)) == 0)
		text_addf(cell, "%.13s", image + strlen(digest));
	else
		text_add(cell, image ? image : "");
}

static const struct column columns[] = {
	{ .title = "NODE", .path = "node" },
	{ .title = "ID", .path = "id", .kind = COLUMN_ID },
	{ .title = "NAME", .path = "name" },
	{ .title = "STATE", .path = "state" },
	{ .title = "POD", .path = "pod" },
	{ .title = "NAMESPACE", .path = "namespace" },
	{ .title = "IMAGE", .kind = COLUMN_CUSTOM, .render = render_image },
	{ .title = "AGE", .path = "created", .kind = COLUMN_AGE },
	{ .title = "KIND", .path = "kind", .wide = true },
	{ .title = "ATTEMPT", .path = "attempt", .wide = true },
	{ .title = "PID", .path = "pid", .kind = COLUMN_NONZERO, .wide = true },
	{ .title = "EXIT", .path = "exitCode", .wide = true },
	{ .title = "POD-UID", .path = "podUid", .wide = true },
	{ 0 },
};

static const struct listing listing = {
	.noun = "container",
	.name_path = "id",
	.columns = columns,
};

static int get_containers(struct invocation *inv, struct err *err)
{
	enum output_format format = invocation_format(inv);
	struct rows_request request = {
		.inv = inv,
		.names = inv->args,
		.namespace = inv->opt->all_namespaces ? NULL : inv->opt->namespace,
		.sandboxes = inv->opt->sandboxes,
		.details = format != OUTPUT_TABLE && format != OUTPUT_NAME,
	};
	cleanup_json struct json_object *rows = NULL;

	if (nodes_select_and_ask(inv, NODES_ALL, container_rows, &request, &rows, err) < 0)
		return -1;
	return rows_print(inv, rows, &listing, NULL, true, err);
}

static const struct option_spec get_options[] = {
	OPTION_ROW_NODE,
	{ .name = "namespace",
	  .letter = 'n',
	  .value = "NS",
	  .type = OPTION_TEXT,
	  OPTION_AT(namespace),
	  .help = "only containers of pods of this namespace (default: all)" },
	OPTION_ROW_ALL_NAMESPACES,
	{ .name = "sandboxes",
	  .type = OPTION_SWITCH,
	  OPTION_AT(sandboxes),
	  .help = "pod sandboxes too" },
	{ 0 },
};

const struct command cmd_container_get = {
	.name = "get containers",
	.args = "[ID|NAME...]",
	.summary = "list the containers of the nodes' runtimes",
	.details = "Without --node: every running node of the cluster. Beginnings of ids and globs "
		   "over\n"
		   "names pick some. Start, end, exit code and pid are asked for with -o wide, "
		   "json and\n"
		   "yaml.",
	.max_args = -1,
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 15000,
	.options = get_options,
	.run = get_containers,
};
