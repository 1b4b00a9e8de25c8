#include "controller/cli/cell.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "shared/base/parse.h"

#include "node/v1/lifecycle.pb-c.h"

struct request {
	const struct node *node;
	struct json_object *rows;
};

static void on_reply(const Berth__Node__V1__QuiesceReply *rep, void *arg)
{
	const struct request *request = arg;
	struct json_object *row = row_add(request->rows), *list;

	field_text(row, "node", request->node->name);
	field_bool(row, "ok", rep->ok);
	field_int(row, "millis", rep->millis);
	list = field_array(row, "steps");
	for (size_t i = 0; i < rep->n_steps; i++) {
		struct json_object *step = row_add(list);

		field_text(step, "name", rep->steps[i]->name);
		field_bool(step, "ok", rep->steps[i]->ok);
		field_int(step, "millis", rep->steps[i]->millis);
		field_text(step, "detail", rep->steps[i]->detail);
	}
	list = field_array(row, "containers");
	for (size_t i = 0; i < rep->n_containers; i++) {
		struct json_object *container = row_add(list);

		field_text(container, "id", rep->containers[i]->id);
		field_text(container, "result", rep->containers[i]->result);
		field_text(container, "name", rep->containers[i]->name);
		field_text(container, "pod", rep->containers[i]->pod);
		field_text(container, "namespace", rep->containers[i]->namespace_);
	}
}

static int quiesce_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	struct invocation *inv = arg;
	struct request request = { .node = node, .rows = rows };
	Berth__Node__V1__QuiesceRequest req = BERTH__NODE__V1__QUIESCE_REQUEST__INIT;
	struct rpc rpc;

	if (nodes_rpc(node, &berth__node__v1__lifecycle__descriptor, inv->by, &rpc, err) < 0)
		return -1;
	req.namespaces = inv->opt->namespaces.items;
	req.n_namespaces = inv->opt->namespaces.count;
	if (inv->opt->grace_ms >= 0)
		req.grace_seconds = (uint32_t)((inv->opt->grace_ms + 999) / 1000);
	if (inv->opt->grace_ms == 0)
		req.grace_seconds = 1; /* 0 means the default */
	berth__node__v1__lifecycle__quiesce(&rpc.base, &req, on_reply, &request);
	return rpc.result;
}

static const struct column columns[] = {
	{ .title = "NODE", .path = "node" },
	{ .title = "STEP", .path = "name" },
	{ .title = "OK", .path = "ok", .kind = COLUMN_YESNO },
	{ .title = "TIME", .path = "millis", .kind = COLUMN_MILLIS },
	{ .title = "DETAIL", .path = "detail" },
	{ 0 },
};

static const struct listing listing = { .noun = "node", .name_path = "node", .columns = columns };

/* The table has a line a step, the data an object a node. */
static struct json_object *step_rows(struct json_object *reports)
{
	struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(reports); i++) {
		struct json_object *report = json_object_array_get_idx(reports, i);
		struct json_object *steps = field_get(report, "steps");

		for (size_t j = 0; j < json_object_array_length(steps); j++) {
			struct json_object *step = json_object_array_get_idx(steps, j);
			struct json_object *row = row_add(rows);

			field_text(row, "node", field_str(report, "node"));
			field_text(row, "name", field_str(step, "name"));
			json_object_object_add(row, "ok", json_object_get(field_get(step, "ok")));
			json_object_object_add(row, "millis",
					       json_object_get(field_get(step, "millis")));
			field_text(row, "detail", field_str(step, "detail"));
		}
	}
	return rows;
}

static int print_reports(struct invocation *inv, struct json_object *reports, struct err *err)
{
	enum output_format format = invocation_format(inv);
	cleanup_json struct json_object *steps = NULL;

	if (format != OUTPUT_TABLE)
		return print_rows(inv->out, format, reports, &listing, err);
	steps = step_rows(reports);
	return print_rows(inv->out, format, steps, &listing, err);
}

static void check_reports(struct invocation *inv, struct json_object *reports)
{
	for (size_t i = 0; i < json_object_array_length(reports); i++) {
		struct json_object *report = json_object_array_get_idx(reports, i);
		struct err err;

		if (json_object_get_boolean(field_get(report, "ok")))
			continue;
		err_set(&err, ERR_UNKNOWN, 0, "node '%s' is not wholly at rest: see its steps",
			field_str(report, "node"));
		err_explain(&err, "QUIESCE_PARTIAL", NULL);
		snprintf(err.node, sizeof(err.node), "%s", field_str(report, "node"));
		invocation_fail(inv, &err);
	}
}

static int check_namespaces(const struct strv *namespaces, struct err *err)
{
	for (size_t i = 0; i < namespaces->count; i++) {
		if (!name_is_label(namespaces->items[i])) {
			usage_error(err, "'%s' is no namespace", namespaces->items[i]);
			return err_explain(err, "BAD_NAME", NULL);
		}
	}
	return 0;
}

static int quiesce(struct invocation *inv, struct err *err)
{
	cleanup_json struct json_object *reports = NULL;

	if (check_namespaces(&inv->opt->namespaces, err) < 0)
		return -1;
	if (inv->opt->grace_ms > 0)
		invocation_set_deadline(inv, inv->opt->grace_ms + 60000);
	if (nodes_select_and_ask(inv, NODES_ONE, quiesce_node, inv, &reports, err) < 0 ||
	    print_reports(inv, reports, err) < 0)
		return -1;
	check_reports(inv, reports);
	return 0;
}

static const struct option_spec quiesce_options[] = {
	OPTION_ROW_NODE,
	{ .name = "namespaces",
	  .value = "NS,...",
	  .type = OPTION_LIST,
	  OPTION_AT(namespaces),
	  .help = "only containers of these pod namespaces (default: all)" },
	OPTION_ROW_GRACE("how long each container may take (default: 10s)"),
	{ 0 },
};

const struct command cmd_quiesce = {
	.name = "quiesce",
	.args = "",
	.summary = "bring a node to rest without stopping it, and report each step",
	.details =
		"Kubelet stops (by force if need be), containers stop in parallel, what is left "
		"is\n"
		"killed, a stray kube-apiserver ends, file systems are synced. The first half of\n"
		"'berth stop node'. Exit code 1 when a step failed.",
	.outputs = OUTPUTS_RESULT,
	.timeout_ms = 120000,
	.options = quiesce_options,
	.run = quiesce,
};
