#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "controller/cli/rows.h"

#include "node/v1/units.pb-c.h"

struct request {
	const struct node *node;
	struct json_object *rows;
};

static void on_units(const Berth__Node__V1__UnitStatusReply *rep, void *arg)
{
	const struct request *request = arg;

	for (size_t i = 0; i < rep->n_units; i++) {
		const Berth__Node__V1__UnitInfo *unit = rep->units[i];
		struct json_object *row = row_add(request->rows);

		field_text(row, "node", request->node->name);
		field_text(row, "name", unit->name);
		field_text(row, "load", unit->load);
		field_text(row, "active", unit->active);
		field_text(row, "sub", unit->sub);
		field_int(row, "mainPid", unit->main_pid);
		field_text(row, "enabled", unit->enabled);
		field_time_ns(row, "since", (int64_t)unit->since_micros * 1000);
		field_text(row, "description", unit->description);
	}
}

int unit_rows(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct rows_request *asked = arg;
	struct request request = { .node = node, .rows = rows };
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	struct rpc rpc;

	if (nodes_rpc(node, &berth__node__v1__units__descriptor, asked->inv->by, &rpc, err) < 0)
		return -1;
	if (asked->names) {
		req.names = asked->names->items;
		req.n_names = asked->names->count;
	}
	berth__node__v1__units__status(&rpc.base, &req, on_units, &request);
	return rpc.result;
}

static const struct column columns[] = {
	{ .title = "NODE", .path = "node" },
	{ .title = "NAME", .path = "name" },
	{ .title = "LOAD", .path = "load" },
	{ .title = "ACTIVE", .path = "active" },
	{ .title = "SUB", .path = "sub" },
	{ .title = "PID", .path = "mainPid", .kind = COLUMN_NONZERO },
	{ .title = "ENABLED", .path = "enabled" },
	{ .title = "SINCE", .path = "since", .kind = COLUMN_AGE },
	{ .title = "DESCRIPTION", .path = "description", .wide = true },
	{ 0 },
};

static const struct listing listing = { .noun = "unit", .name_path = "name", .columns = columns };

static int get_units(struct invocation *inv, struct err *err)
{
	struct rows_request request = { .inv = inv, .names = inv->args };
	cleanup_json struct json_object *rows = NULL;

	if (nodes_select_and_ask(inv, NODES_ALL, unit_rows, &request, &rows, err) < 0)
		return -1;
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static const struct option_spec get_options[] = { OPTION_ROW_NODE, { 0 } };

const struct command cmd_unit_get = {
	.name = "get units",
	.args = "[NAME...]",
	.summary = "list systemd units of nodes",
	.details = "Without names: kubelet, the runtimes and the agent. A name without a suffix "
		   "means\n"
		   ".service. Without --node: every running node of the cluster.",
	.example = "berth get units kubelet containerd -N berth-worker",
	.max_args = -1,
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 10000,
	.options = get_options,
	.run = get_units,
};
