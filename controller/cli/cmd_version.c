#include "controller/cli/cell.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "shared/base/version.h"
#include "shared/wire/wire.h"

#include "node/v1/health.pb-c.h"

#include <libfyaml.h>
#include <nng/nng.h>

#define AGENT_PATIENCE_MS 2000

static struct json_object *client_version(void)
{
	struct json_object *client = json_object_new_object(), *libraries;

	field_text(client, "version", version_number());
	field_text(client, "commit", version_commit());
	field_int(client, "protocol", WIRE_PROTOCOL);
	field_text(client, "compiler", __VERSION__);
	libraries = field_object(client, "libraries");
	field_text(libraries, "nng", nng_version());
	field_text(libraries, "protobuf-c", protobuf_c_version());
	field_text(libraries, "json-c", json_c_version());
	field_text(libraries, "libfyaml", fy_library_version());
	return client;
}

static void on_version(const Berth__Node__V1__HealthVersionReply *rep, void *row)
{
	field_text(row, "version", rep->agent);
	field_int(row, "protocol", rep->protocol);
	field_text(row, "os", rep->os);
	field_text(row, "kernel", rep->kernel);
	field_text(row, "arch", rep->arch);
	field_text(row, "runtimeName", rep->runtime_name);
	field_text(row, "runtimeVersion", rep->runtime_version);
	field_int(row, "cgroupVersion", rep->cgroup_version);
	field_text(row, "init", rep->init);
}

/* One that cannot be reached is left out: this is not the command that says why. */
static int ask(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	struct invocation *inv = arg;
	Berth__Node__V1__HealthVersionRequest req = BERTH__NODE__V1__HEALTH_VERSION_REQUEST__INIT;
	cleanup_json struct json_object *row = json_object_new_object();
	struct client *client;
	struct err ignored;
	struct rpc rpc;

	(void)err;
	field_text(row, "node", node->name);
	if (nodes_client(node, &client, &ignored) < 0)
		return 0;
	rpc = rpc_to(client, &berth__node__v1__health__descriptor,
		     deadline_min(inv->by,
				  deadline_in_ms(node_patience_ms(node, AGENT_PATIENCE_MS))),
		     &ignored);
	berth__node__v1__health__version(&rpc.base, &req, on_version, row);
	if (rpc.result == 0)
		json_object_array_add(rows, TAKE(row));
	return 0;
}

static struct json_object *agent_versions(struct invocation *inv)
{
	struct json_object *rows = NULL;
	struct node_list list = { 0 };
	struct err ignored;

	if (inv->opt->nodes.count ? nodes_select(inv, NODES_ONE, &list, &ignored) < 0
				  : nodes_list(inv, NULL, false, &list, &ignored) < 0)
		return json_object_new_array();
	if (nodes_ask(inv, &list, ask, inv, &rows, &ignored) < 0)
		rows = json_object_new_array();
	node_list_release(&list);
	return rows;
}

static const struct column columns[] = {
	{ .title = "NODE", .path = "node" },
	{ .title = "AGENT", .path = "version" },
	{ .title = "PROTOCOL", .path = "protocol" },
	{ .title = "RUNTIME", .path = "runtimeName" },
	{ .title = "VERSION", .path = "runtimeVersion" },
	{ .title = "OS", .path = "os" },
	{ 0 },
};

static const struct listing listing = { .noun = "node", .name_path = "node", .columns = columns };

static int print_text(struct invocation *inv, struct json_object *agents, struct err *err)
{
	fprintf(inv->out, "berth %s (%s), protocol %d\n", version_number(), version_commit(),
		WIRE_PROTOCOL);
	fprintf(inv->out, "nng %s, protobuf-c %s, json-c %s, libfyaml %s\n", nng_version(),
		protobuf_c_version(), json_c_version(), fy_library_version());
	if (!agents || json_object_array_length(agents) == 0)
		return 0;
	fputc('\n', inv->out);
	return print_rows(inv->out, OUTPUT_TABLE, agents, &listing, err);
}

static int version(struct invocation *inv, struct err *err)
{
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *agents = NULL;

	json_object_object_add(object, "client", client_version());
	if (!inv->opt->client) {
		agents = agent_versions(inv);
		json_object_object_add(object, "agents", agents);
	}
	if (invocation_format(inv) == OUTPUT_TABLE)
		return print_text(inv, agents, err);
	return print_value(inv->out, invocation_format(inv), object, err);
}

static const struct option_spec version_options[] = {
	OPTION_ROW_NODE,
	{ .name = "client",
	  .type = OPTION_SWITCH,
	  OPTION_AT(client),
	  .help = "only this program: no engine and no agent is asked" },
	{ 0 },
};

const struct command cmd_version = {
	.name = "version",
	.args = "",
	.summary = "print the versions of berth and of the reachable agents",
	.outputs = OUTPUTS_DATA,
	.timeout_ms = 10000,
	.options = version_options,
	.run = version,
};
