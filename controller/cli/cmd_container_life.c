/* stop, kill, pause, unpause, delete container: one call each, told apart by a row of a table. */
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"

#include "node/v1/containers.pb-c.h"

#include <string.h>

enum verb { VERB_STOP, VERB_KILL, VERB_DELETE, VERB_PAUSE, VERB_UNPAUSE };

struct request {
	struct invocation *inv;
	enum verb verb;
	const struct node *node;
	struct json_object *rows;
};

static void on_reply(const Berth__Node__V1__ContainerActionReply *rep, void *arg)
{
	const struct request *request = arg;

	for (size_t i = 0; i < rep->n_results; i++) {
		struct json_object *row = row_add(request->rows);

		field_text(row, "node", request->node->name);
		field_text(row, "id", rep->results[i]->id);
		field_text(row, "result", rep->results[i]->result);
		field_text(row, "message", rep->results[i]->message);
		field_int(row, "millis", rep->results[i]->millis);
	}
}

/* The wire counts whole seconds: half a second of grace is one, not none. */
static uint32_t grace_seconds(const struct options *opt)
{
	if (opt->grace_ms < 0)
		return 0;
	return opt->grace_ms < 1000 ? 1 : (uint32_t)((opt->grace_ms + 999) / 1000);
}

typedef void call_fn(ProtobufCService *service,
		     const Berth__Node__V1__ContainerActionRequest *input,
		     Berth__Node__V1__ContainerActionReply_Closure closure, void *arg);

static call_fn *const calls[] = {
	[VERB_STOP] = berth__node__v1__containers__stop,
	[VERB_KILL] = berth__node__v1__containers__kill,
	[VERB_DELETE] = berth__node__v1__containers__delete,
	[VERB_PAUSE] = berth__node__v1__containers__pause,
	[VERB_UNPAUSE] = berth__node__v1__containers__unpause,
};

static int act_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	struct request request = *(const struct request *)arg;
	const struct invocation *inv = request.inv;
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct rpc rpc;

	request.node = node;
	request.rows = rows;
	if (nodes_rpc(node, &berth__node__v1__containers__descriptor, inv->by, &rpc, err) < 0)
		return -1;
	req.ids = inv->args->items;
	req.n_ids = inv->args->count;
	req.grace_seconds = grace_seconds(inv->opt);
	req.signal = inv->opt->signal > 0 ? (uint32_t)inv->opt->signal : 0;
	req.force = inv->opt->force;
	calls[request.verb](&rpc.base, &req, on_reply, &request);
	return rpc.result;
}

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "container/%s %s on %s", field_str(row, "id"), field_str(row, "result"),
		  field_str(row, "node"));
}

static const struct listing listing = { .noun = "container", .name_path = "id", .line = line };

/* What the agent could not do is a failure here too, one line each. */
static void tell_failures(struct invocation *inv, struct json_object *rows)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		struct err err;

		if (strcmp(field_str(row, "result"), "failed") != 0)
			continue;
		err_set(&err, ERR_UNKNOWN, 0, "container '%s' on node '%s': %s",
			field_str(row, "id"), field_str(row, "node"), field_str(row, "message"));
		err_explain(&err, "CONTAINER_ACTION_FAILED", NULL);
		snprintf(err.node, sizeof(err.node), "%s", field_str(row, "node"));
		invocation_fail(inv, &err);
	}
}

static int check(const struct invocation *inv, struct err *err)
{
	for (size_t i = 0; i < inv->args->count; i++) {
		const char *id = inv->args->items[i];
		size_t len = strlen(id);

		if (len > 0 && len <= 128 &&
		    strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			       "_.-") == len &&
		    id[0] != '-')
			continue;
		usage_error(err, "'%s' is no container id", id);
		return err_explain(err, "BAD_NAME", NULL);
	}
	return 0;
}

static int act(struct invocation *inv, enum verb verb, struct err *err)
{
	struct request request = { .inv = inv, .verb = verb };
	cleanup_json struct json_object *rows = NULL;

	if (check(inv, err) < 0)
		return -1;
	if (inv->opt->grace_ms > 0)
		invocation_set_deadline(inv, inv->opt->grace_ms + 30000);
	if (nodes_select_and_ask(inv, NODES_ONE, act_on_node, &request, &rows, err) < 0 ||
	    print_rows(inv->out, invocation_format(inv), rows, &listing, err) < 0)
		return -1;
	tell_failures(inv, rows);
	return 0;
}

static int container_stop(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_STOP, err);
}

static int container_kill(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_KILL, err);
}

static int container_delete(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_DELETE, err);
}

static int container_pause(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_PAUSE, err);
}

static int container_unpause(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_UNPAUSE, err);
}

static const struct option_spec pause_options[] = { OPTION_ROW_NODE, { 0 } };

static const struct option_spec stop_options[] = {
	OPTION_ROW_NODE,
	OPTION_ROW_GRACE("how long a container may take before SIGKILL (default: 10s)"),
	{ 0 },
};

static const struct option_spec kill_options[] = {
	OPTION_ROW_NODE,
	OPTION_ROW_SIGNAL("signal to send, where the runtime can (default: KILL)"),
	{ 0 },
};

static const struct option_spec delete_options[] = {
	OPTION_ROW_NODE,
	{ .name = "force",
	  .type = OPTION_SWITCH,
	  OPTION_AT(force),
	  .help = "also when it is running" },
	{ 0 },
};

#define COMMON .args = "ID...", .min_args = 1, .max_args = -1, .outputs = OUTPUTS_RESULT

const struct command cmd_container_stop = {
	COMMON,
	.name = "stop container",
	.summary = "stop containers of a node's runtime, in parallel",
	.details = "Ids may be short as long as they are unique. One that is not there is absent, "
		   "which\n"
		   "is no failure.",
	.timeout_ms = 60000,
	.options = stop_options,
	.run = container_stop,
};

const struct command cmd_container_kill = {
	COMMON,
	.name = "kill container",
	.summary = "end containers of a node's runtime at once",
	.timeout_ms = 30000,
	.options = kill_options,
	.run = container_kill,
};

const struct command cmd_container_delete = {
	COMMON,
	.name = "delete container",
	.summary = "remove containers of a node's runtime",
	.timeout_ms = 30000,
	.options = delete_options,
	.run = container_delete,
};

const struct command cmd_container_pause = {
	COMMON,
	.name = "pause container",
	.summary = "freeze containers of a node's runtime",
	.details =
		"All their processes stand still until 'berth unpause container', or until they "
		"are\n"
		"stopped. Pausing one that is paused is no failure. See also 'berth pause node'.",
	.timeout_ms = 30000,
	.options = pause_options,
	.run = container_pause,
};

const struct command cmd_container_unpause = {
	COMMON,
	.name = "unpause container",
	.summary = "let paused containers go on",
	.timeout_ms = 30000,
	.options = pause_options,
	.run = container_unpause,
};
