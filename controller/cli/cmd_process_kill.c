#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "shared/base/parse.h"

#include "node/v1/processes.pb-c.h"

#define SIGNAL_TERM 15 /* on the node, which is Linux */

struct request {
	struct invocation *inv;
	const struct node *node;
	struct json_object *rows;
	int64_t pid;
};

static int64_t signal_of(const struct invocation *inv)
{
	return inv->opt->signal > 0 ? inv->opt->signal : SIGNAL_TERM;
}

static void on_reply(const Berth__Node__V1__ProcessKillReply *rep, void *arg)
{
	const struct request *request = arg;
	struct json_object *row = row_add(request->rows);

	field_text(row, "node", request->node->name);
	field_int(row, "pid", request->pid);
	field_text(row, "command", rep->command);
	field_int(row, "signal", signal_of(request->inv));
	field_text(row, "result", "signalled");
}

static int kill_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	Berth__Node__V1__ProcessKillRequest req = BERTH__NODE__V1__PROCESS_KILL_REQUEST__INIT;
	struct invocation *inv = arg;
	struct request request = { .inv = inv, .node = node, .rows = rows };
	struct client *client;
	struct rpc rpc;

	if (nodes_client(node, &client, err) < 0)
		return -1;
	for (size_t i = 0; i < inv->args->count; i++) {
		parse_int(inv->args->items[i], 1, INT32_MAX, &request.pid);
		req.pid = (uint32_t)request.pid;
		req.signal = (uint32_t)signal_of(inv);
		rpc = rpc_to(client, &berth__node__v1__processes__descriptor, inv->by, err);
		berth__node__v1__processes__kill(&rpc.base, &req, on_reply, &request);
		if (rpc.result < 0)
			return -1;
	}
	return 0;
}

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "process/%s (%s) signalled on %s", field_str(row, "pid"),
		  field_str(row, "command"), field_str(row, "node"));
}

static const struct listing listing = { .noun = "process", .name_path = "pid", .line = line };

static int kill_process(struct invocation *inv, struct err *err)
{
	cleanup_json struct json_object *rows = NULL;
	int64_t pid;

	for (size_t i = 0; i < inv->args->count; i++) {
		if (parse_int(inv->args->items[i], 1, INT32_MAX, &pid))
			continue;
		usage_error(err, "'%s' is no process id", inv->args->items[i]);
		return err_explain(err, "BAD_NAME", NULL);
	}
	if (nodes_select_and_ask(inv, NODES_ONE, kill_on_node, inv, &rows, err) < 0)
		return -1;
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static const struct option_spec kill_options[] = {
	OPTION_ROW_NODE,
	OPTION_ROW_SIGNAL("signal to send: a name or a number (default: TERM)"),
	{ 0 },
};

const struct command cmd_process_kill = {
	.name = "kill process",
	.args = "PID...",
	.summary = "send a signal to processes of a node",
	.details = "Pids are the node's own, as 'berth get processes' lists them.",
	.example = "berth kill process 4711 --signal KILL -N berth-worker",
	.min_args = 1,
	.max_args = -1,
	.outputs = OUTPUTS_RESULT,
	.timeout_ms = 15000,
	.options = kill_options,
	.run = kill_process,
};
