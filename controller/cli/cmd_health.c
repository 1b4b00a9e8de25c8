#include "controller/cli/cmd_health.h"

#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "controller/cli/rows.h"

#include "node/v1/health.pb-c.h"

#include <string.h>

#define AGENT_PATIENCE_MS 5000

const char *health_part_state(int state)
{
	static const char *const names[] = { "unknown", "ok", "degraded", "failed", "absent" };

	return (size_t)state < ARRAY_LEN(names) ? names[state] : names[0];
}

static void on_health(const Berth__Node__V1__HealthReply *rep, void *row)
{
	struct json_object *parts = field_get(row, "parts");

	field_bool(row, "healthy", rep->healthy);
	field_bool(row, "ready", rep->ready);
	for (size_t i = 0; i < rep->n_parts; i++) {
		struct json_object *part = row_add(parts);

		field_text(part, "name", rep->parts[i]->name);
		field_text(part, "state", health_part_state(rep->parts[i]->state));
		field_text(part, "message", rep->parts[i]->message);
		field_int(part, "ageMillis", (int64_t)rep->parts[i]->age_millis);
	}
}

static int check(struct node *node, struct deadline by, struct json_object *row, struct err *err)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	int64_t began = clock_now_us();
	struct rpc rpc;

	if (nodes_rpc(node, &berth__node__v1__health__descriptor, by, &rpc, err) < 0)
		return -1;
	berth__node__v1__health__check(&rpc.base, &req, on_health, row);
	field_int(row, "latencyMicros", clock_now_us() - began);
	return rpc.result;
}

/* A node that cannot be asked has a row too: it is not healthy. */
int health_rows(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct rows_request *asked = arg;
	struct json_object *row = row_add(rows);
	int result;

	field_text(row, "node", node->name);
	field_bool(row, "healthy", false);
	field_bool(row, "ready", false);
	field_int(row, "latencyMicros", 0);
	field_array(row, "parts");
	result = check(node, deadline_min(asked->inv->by, deadline_in_ms(AGENT_PATIENCE_MS)), row,
		       err);
	field_text(row, "message", result < 0 ? err->msg : "");
	return result;
}

/* "runtime failed: ...; disk degraded: ..." */
static void render_detail(struct json_object *row, struct text *cell)
{
	struct json_object *parts = field_get(row, "parts");

	text_add(cell, field_str(row, "message"));
	for (size_t i = 0; i < json_object_array_length(parts); i++) {
		struct json_object *part = json_object_array_get_idx(parts, i);
		const char *state = field_str(part, "state");
		const char *message = field_str(part, "message");

		if (strcmp(state, "ok") == 0 || strcmp(state, "absent") == 0)
			continue;
		text_addf(cell, "%s%s %s%s%s", cell->len ? "; " : "", field_str(part, "name"),
			  state, *message ? ": " : "", message);
	}
}

static void render_parts(struct json_object *row, struct text *cell)
{
	struct json_object *parts = field_get(row, "parts");

	for (size_t i = 0; i < json_object_array_length(parts); i++) {
		struct json_object *part = json_object_array_get_idx(parts, i);

		text_addf(cell, "%s%s=%s", i ? "," : "", field_str(part, "name"),
			  field_str(part, "state"));
	}
}

static void render_latency(struct json_object *row, struct text *cell)
{
	text_addf(cell, "%sus", field_str(row, "latencyMicros"));
}

static const struct column columns[] = {
	{ .title = "NODE", .path = "node" },
	{ .title = "HEALTHY", .path = "healthy", .kind = COLUMN_YESNO },
	{ .title = "READY", .path = "ready", .kind = COLUMN_YESNO },
	{ .title = "LATENCY", .kind = COLUMN_CUSTOM, .render = render_latency },
	{ .title = "PARTS", .kind = COLUMN_CUSTOM, .render = render_parts, .wide = true },
	{ .title = "DETAIL", .kind = COLUMN_CUSTOM, .render = render_detail },
	{ 0 },
};

static const struct listing listing = { .noun = "node", .name_path = "node", .columns = columns };

static bool all_healthy(struct json_object *rows)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (!json_object_get_boolean(field_get(row, "healthy")))
			return false;
	}
	return true;
}

/* Unlike a list of pods, health wants every node, the stopped ones above all. */
static int select_nodes(struct invocation *inv, struct node_list *list, struct err *err)
{
	if (inv->opt->nodes.count)
		return nodes_select(inv, NODES_ONE, list, err);
	return nodes_list(inv, NULL, true, list, err);
}

static int health(struct invocation *inv, struct err *err)
{
	struct rows_request request = { .inv = inv };
	cleanup_json struct json_object *rows = NULL;
	struct node_list list = { 0 };
	int result;

	if (select_nodes(inv, &list, err) < 0)
		return -1;
	result = nodes_ask(inv, &list, health_rows, &request, &rows, err);
	node_list_release(&list);
	if (result < 0 || print_rows(inv->out, invocation_format(inv), rows, &listing, err) < 0)
		return -1;
	if (!inv->exit_code && !all_healthy(rows))
		inv->exit_code = 1;
	return 0;
}

static const struct option_spec health_options[] = { OPTION_ROW_NODE, { 0 } };

const struct command cmd_health = {
	.name = "health",
	.args = "",
	.summary = "ask every agent how its node is; exit code 0 only when all are healthy",
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 30000,
	.options = health_options,
	.run = health,
};
