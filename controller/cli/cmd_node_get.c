#include "controller/cli/cmd_node_get.h"

#include "controller/cli/cmd_health.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"

#include "node/v1/health.pb-c.h"
#include "node/v1/units.pb-c.h"

#include <string.h>

#define AGENT_PATIENCE_MS 2000

/* --- what the engine says --------------------------------------------------------------------- */

static void add_ports(struct json_object *row, const struct node *node)
{
	static const char *const protocols[] = { "TCP", "UDP", "SCTP" };
	struct json_object *ports = field_array(row, "ports");

	for (size_t i = 0; i < node->port_count; i++) {
		struct json_object *port = row_add(ports);

		field_text(port, "host", node->ports[i].host);
		field_int(port, "hostPort", node->ports[i].host_port);
		field_int(port, "containerPort", node->ports[i].container_port);
		field_text(port, "protocol", protocols[node->ports[i].protocol]);
	}
}

/* Every field is there from the start; the agent's answers replace theirs. */
static struct json_object *engine_row(struct json_object *rows, const struct node *node)
{
	struct json_object *row = row_add(rows), *part;

	field_text(row, "name", node->name);
	field_text(row, "cluster", node->cluster);
	field_text(row, "role", node_role_name(node->role));
	field_text(row, "provider", node->provider);
	field_text(row, "state", node_state_name(node->state));
	field_text(row, "ip", node->ip);
	field_text(row, "image", node->image);
	field_time_ns(row, "created", node->created_ns);
	field_bool(row, "ready", false);
	part = field_object(row, "agent");
	field_text(part, "state", "not running");
	field_text(part, "version", "");
	field_int(part, "protocol", 0);
	field_text(part, "channel", "ipc");
	field_int(part, "rttMicros", 0);
	part = field_object(row, "kubelet");
	field_text(part, "state", "");
	part = field_object(row, "runtime");
	field_text(part, "name", "");
	field_text(part, "version", "");
	field_text(part, "state", "");
	add_ports(row, node);
	return row;
}

/* --- what the agent says ------------------------------------------------------------------------- */

static void on_version(const Berth__Node__V1__HealthVersionReply *rep, void *row)
{
	struct json_object *agent = field_get(row, "agent");
	struct json_object *runtime = field_get(row, "runtime");

	field_text(agent, "state", "ok");
	field_text(agent, "version", rep->agent);
	field_int(agent, "protocol", rep->protocol);
	field_text(runtime, "name", rep->runtime_name);
	field_text(runtime, "version", rep->runtime_version);
}

static void on_health(const Berth__Node__V1__HealthReply *rep, void *row)
{
	field_bool(row, "ready", rep->ready);
	if (rep->paused)
		field_text(row, "state", "paused");
	for (size_t i = 0; i < rep->n_parts; i++) {
		if (strcmp(rep->parts[i]->name, "runtime") == 0)
			field_text(field_get(row, "runtime"), "state",
				   health_part_state(rep->parts[i]->state));
	}
}

static void on_kubelet(const Berth__Node__V1__UnitStatusReply *rep, void *row)
{
	const char *state = "absent";

	if (rep->n_units && strcmp(rep->units[0]->load, "not-found") != 0)
		state = rep->units[0]->active;
	field_text(field_get(row, "kubelet"), "state", state);
}

static int ask_version(struct client *client, struct deadline by, struct json_object *row,
		       struct err *err)
{
	Berth__Node__V1__HealthVersionRequest req = BERTH__NODE__V1__HEALTH_VERSION_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__health__descriptor, by, err);
	int64_t began = clock_now_us();

	berth__node__v1__health__version(&rpc.base, &req, on_version, row);
	if (rpc.result == 0)
		field_int(field_get(row, "agent"), "rttMicros", clock_now_us() - began);
	return rpc.result;
}

static int ask_health(struct client *client, struct deadline by, struct json_object *row,
		      struct err *err)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__health__descriptor, by, err);

	berth__node__v1__health__check(&rpc.base, &req, on_health, row);
	return rpc.result;
}

static int ask_kubelet(struct client *client, struct deadline by, struct json_object *row,
		       struct err *err)
{
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__units__descriptor, by, err);
	char *names[] = { "kubelet" };

	req.names = names;
	req.n_names = 1;
	berth__node__v1__units__status(&rpc.base, &req, on_kubelet, row);
	return rpc.result;
}

static int ask(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	struct invocation *inv = arg;
	struct deadline by = deadline_min(inv->by, deadline_in_ms(AGENT_PATIENCE_MS));
	struct json_object *row = engine_row(rows, node);
	struct client *client = NULL;
	struct err why;
	bool answers;

	(void)err;
	if (node->state != NODE_RUNNING)
		return 0;
	answers = node_client(node, &client, &why) == 0 && ask_version(client, by, row, &why) == 0;
	if (client)
		field_text(field_get(row, "agent"), "channel", client_channel_name(client));
	if (!answers) {
		field_text(field_get(row, "agent"), "state", "not answering");
		field_text(field_get(row, "agent"), "message", why.msg);
		return 0;
	}
	/* Parts of an agent that answers: what they cannot tell stays empty. */
	ask_health(client, by, row, &why);
	ask_kubelet(client, by, row, &why);
	return 0;
}

int node_rows(struct invocation *inv, const struct node_list *list, struct json_object **ret_rows,
	      struct err *err)
{
	return nodes_ask(inv, list, ask, inv, ret_rows, err);
}

/* --- the table --------------------------------------------------------------------------------------- */

static void render_runtime(struct json_object *row, struct text *cell)
{
	const char *version = field_str(row, "runtime.version");

	text_add(cell, field_str(row, "runtime.name"));
	if (*version)
		text_addf(cell, " %s", version);
	if (strcmp(field_str(row, "runtime.state"), "failed") == 0)
		text_add(cell, " (failed)");
}

static void render_rtt(struct json_object *row, struct text *cell)
{
	int64_t micros = json_object_get_int64(field_get(row, "agent.rttMicros"));

	if (micros)
		text_addf(cell, "%lldus", (long long)micros);
}

static void render_ports(struct json_object *row, struct text *cell)
{
	struct json_object *ports = field_get(row, "ports");

	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		struct json_object *port = json_object_array_get_idx(ports, i);

		text_addf(cell, "%s%s:%s->%s/%s", i ? "," : "", field_str(port, "host"),
			  field_str(port, "hostPort"), field_str(port, "containerPort"),
			  field_str(port, "protocol"));
	}
}

static const struct column node_columns[] = {
	{ .title = "NAME", .path = "name" },
	{ .title = "ROLE", .path = "role" },
	{ .title = "STATE", .path = "state" },
	{ .title = "READY", .path = "ready", .kind = COLUMN_YESNO },
	{ .title = "AGENT", .path = "agent.state" },
	{ .title = "KUBELET", .path = "kubelet.state" },
	{ .title = "RUNTIME", .kind = COLUMN_CUSTOM, .render = render_runtime },
	{ .title = "IP", .path = "ip" },
	{ .title = "AGE", .path = "created", .kind = COLUMN_AGE },
	{ .title = "CLUSTER", .path = "cluster", .wide = true },
	{ .title = "PROVIDER", .path = "provider", .wide = true },
	{ .title = "IMAGE", .path = "image", .wide = true },
	{ .title = "VERSION", .path = "agent.version", .wide = true },
	{ .title = "CHANNEL", .path = "agent.channel", .wide = true },
	{ .title = "RTT", .kind = COLUMN_CUSTOM, .render = render_rtt, .wide = true },
	{ .title = "PORTS", .kind = COLUMN_CUSTOM, .render = render_ports, .wide = true },
	{ 0 },
};

const struct listing node_listing = {
	.noun = "node",
	.name_path = "name",
	.columns = node_columns,
};

/* --- the command ------------------------------------------------------------------------------------- */

static bool is_silent(struct json_object *row)
{
	return strcmp(field_str(row, "agent.state"), "not answering") == 0;
}

/* Whether a node that should run and is silent does not run after all. */
static bool has_ended(struct json_object *rows, const struct node_list *now)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		const struct node *node = node_list_find(now, field_str(row, "name"));

		if (is_silent(row) && (!node || node->state != NODE_RUNNING))
			return true;
	}
	return false;
}

static bool has_silent(struct json_object *rows)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		if (is_silent(json_object_array_get_idx(rows, i)))
			return true;
	}
	return false;
}

/* An agent that answers proves that its node runs. Of one that does not the engine is asked itself: what
 * was remembered may be from before its end. */
static int look_again(struct invocation *inv, const struct strv *names, struct node_list *list,
		      struct json_object **rows, struct err *err)
{
	struct node_list now = { 0 };
	struct json_object *anew;

	provider_set_memory(inv->provider, NULL);
	if (!has_silent(*rows))
		return 0;
	if (nodes_list(inv, names, false, &now, err) < 0)
		return -1;
	node_list_release(list);
	*list = now;
	if (!has_ended(*rows, list))
		return 0;
	if (node_rows(inv, list, &anew, err) < 0)
		return -1;
	json_object_put(*rows);
	*rows = anew;
	return 0;
}

static int list_and_ask(struct invocation *inv, const struct strv *names, struct node_list *list,
			struct json_object **rows, struct err *err)
{
	const char *state_dir = invocation_state_dir(inv, err);
	struct provider *provider;

	if (!state_dir || invocation_provider(inv, &provider, err) < 0)
		return -1;
	provider_set_memory(provider, state_dir);
	if (nodes_list(inv, names, false, list, err) < 0 || node_rows(inv, list, rows, err) < 0)
		return -1;
	return look_again(inv, names, list, rows, err);
}

static int get_nodes(struct invocation *inv, struct err *err)
{
	const struct strv *names = inv->args->count ? inv->args : &inv->opt->nodes;
	cleanup_json struct json_object *rows = NULL;
	struct node_list list = { 0 };
	bool none;
	int result;

	result = list_and_ask(inv, names, &list, &rows, err);
	none = list.count == 0;
	node_list_release(&list);
	if (result < 0)
		return -1;
	if (none && invocation_format(inv) == OUTPUT_TABLE)
		invocation_note(inv, "no nodes in cluster '%s'", invocation_cluster(inv));
	return print_rows(inv->out, invocation_format(inv), rows, &node_listing, err);
}

static const struct option_spec get_options[] = {
	{ .name = "all-clusters",
	  .letter = 'A',
	  .type = OPTION_SWITCH,
	  OPTION_AT(all),
	  .help = "nodes of all clusters" },
	OPTION_ROW_NODE,
	{ 0 },
};

const struct command cmd_node_get = {
	.name = "get nodes",
	.args = "[NAME...]",
	.summary = "list nodes with their state, agent, kubelet and runtime",
	.example = "berth get nodes -o json",
	.max_args = -1,
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 30000,
	.options = get_options,
	.run = get_nodes,
};
