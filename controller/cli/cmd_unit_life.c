/* start, stop, restart, kill unit: one call each, told apart by a row of a table. */
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"

#include "node/v1/units.pb-c.h"

#include <string.h>

enum verb { VERB_START, VERB_STOP, VERB_RESTART, VERB_KILL };

static const char *const results[] = {
	[VERB_START] = "started",
	[VERB_STOP] = "stopped",
	[VERB_RESTART] = "restarted",
	[VERB_KILL] = "signalled",
};

struct request {
	struct invocation *inv;
	enum verb verb;
	const char *unit;
	const struct node *node;
	struct json_object *rows;
};

static void add_state(struct json_object *row, const char *key,
		      const Berth__Node__V1__UnitInfo *unit)
{
	struct json_object *state = field_object(row, key);

	field_text(state, "load", unit ? unit->load : "");
	field_text(state, "active", unit ? unit->active : "");
	field_text(state, "sub", unit ? unit->sub : "");
	field_int(state, "mainPid", unit ? unit->main_pid : 0);
}

/* Nothing to stop is success, and said. */
static const char *result_of(const struct request *request,
			     const Berth__Node__V1__UnitActionReply *rep)
{
	const char *active = rep->before ? rep->before->active : "";

	if (request->verb == VERB_STOP && rep->before &&
	    strcmp(rep->before->load, "not-found") == 0)
		return "absent";
	if (request->verb == VERB_STOP && strcmp(active, "inactive") == 0)
		return "already stopped";
	if (request->verb == VERB_START && strcmp(active, "active") == 0)
		return "already running";
	return results[request->verb];
}

static void on_reply(const Berth__Node__V1__UnitActionReply *rep, void *arg)
{
	const struct request *request = arg;
	const Berth__Node__V1__UnitInfo *info = rep->after ? rep->after : rep->before;
	struct json_object *row = row_add(request->rows);

	field_text(row, "node", request->node->name);
	field_text(row, "name", info && *info->name ? info->name : request->unit);
	field_text(row, "result", result_of(request, rep));
	add_state(row, "before", rep->before);
	add_state(row, "after", rep->after);
	field_text(row, "jobResult", rep->job_result);
	field_bool(row, "killed", rep->killed);
	field_int(row, "millis", rep->millis);
}

static int call(struct request *request, struct client *client, struct err *err)
{
	const struct options *opt = request->inv->opt;
	struct rpc rpc = rpc_to(client, &berth__node__v1__units__descriptor, request->inv->by, err);
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	Berth__Node__V1__UnitKillRequest kill = BERTH__NODE__V1__UNIT_KILL_REQUEST__INIT;

	req.name = (char *)request->unit;
	req.force = opt->force;
	req.grace_millis = opt->grace_ms > 0 ? (uint32_t)opt->grace_ms : opt->grace_ms == 0;
	kill.name = req.name;
	kill.signal = opt->signal > 0 ? (uint32_t)opt->signal : 0;
	switch (request->verb) {
	case VERB_START:
		berth__node__v1__units__start(&rpc.base, &req, on_reply, request);
		break;
	case VERB_STOP:
		berth__node__v1__units__stop(&rpc.base, &req, on_reply, request);
		break;
	case VERB_RESTART:
		berth__node__v1__units__restart(&rpc.base, &req, on_reply, request);
		break;
	case VERB_KILL:
		berth__node__v1__units__kill(&rpc.base, &kill, on_reply, request);
		break;
	}
	return rpc.result;
}

static int act_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	struct request request = *(const struct request *)arg;
	const struct strv *units = request.inv->args;
	struct client *client;

	request.node = node;
	request.rows = rows;
	if (nodes_client(node, &client, err) < 0)
		return -1;
	for (size_t i = 0; i < units->count; i++) {
		request.unit = units->items[i];
		if (call(&request, client, err) < 0)
			return -1;
	}
	return 0;
}

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "unit/%s %s on %s%s", field_str(row, "name"), field_str(row, "result"),
		  field_str(row, "node"),
		  json_object_get_boolean(field_get(row, "killed")) ? " (by SIGKILL)" : "");
}

static const struct listing listing = { .noun = "unit", .name_path = "name", .line = line };

static int check(const struct invocation *inv, struct err *err)
{
	for (size_t i = 0; i < inv->args->count; i++) {
		const char *name = inv->args->items[i];
		size_t len = strlen(name);

		/* systemd's own rule for unit names. */
		if (len > 0 && len < 256 &&
		    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 ":-_.\\@") == len)
			continue;
		usage_error(err, "'%s' is no unit name", name);
		return err_explain(err, "BAD_NAME", NULL);
	}
	if (inv->opt->grace_ms >= 0 && !inv->opt->force)
		return usage_error(err, "--grace goes with --force: how long the unit may take "
					"before SIGKILL");
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
	if (nodes_select_and_ask(inv, NODES_ONE, act_on_node, &request, &rows, err) < 0)
		return -1;
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int unit_start(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_START, err);
}

static int unit_stop(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_STOP, err);
}

static int unit_restart(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_RESTART, err);
}

static int unit_kill(struct invocation *inv, struct err *err)
{
	return act(inv, VERB_KILL, err);
}

static const struct option_spec node_options[] = { OPTION_ROW_NODE, { 0 } };

static const struct option_spec stop_options[] = {
	OPTION_ROW_NODE,
	{ .name = "force",
	  .type = OPTION_SWITCH,
	  OPTION_AT(force),
	  .help = "end it whatever it takes: SIGKILL after the grace" },
	OPTION_ROW_GRACE("with --force: how long it may take by itself (default: 5s)"),
	{ 0 },
};

static const struct option_spec kill_options[] = {
	OPTION_ROW_NODE,
	OPTION_ROW_SIGNAL("signal to send: a name or a number (default: TERM)"),
	{ 0 },
};

#define COMMON .args = "NAME...", .min_args = 1, .max_args = -1, .outputs = OUTPUTS_RESULT

const struct command cmd_unit_start = {
	COMMON,
	.name = "start unit",
	.summary = "start a systemd unit on a node and wait for it",
	.example = "berth start unit kubelet -N berth-worker",
	.timeout_ms = 120000,
	.options = node_options,
	.run = unit_start,
};

const struct command cmd_unit_stop = {
	COMMON,
	.name = "stop unit",
	.summary = "stop a systemd unit on a node and wait for it",
	.details = "A unit that is not running, or not there, counts as stopped.",
	.example = "berth stop unit kubelet -N berth-worker --force --grace 2s",
	.timeout_ms = 120000,
	.options = stop_options,
	.run = unit_stop,
};

const struct command cmd_unit_restart = {
	COMMON,
	.name = "restart unit",
	.summary = "restart a systemd unit on a node; start it when it is not running",
	.timeout_ms = 120000,
	.options = node_options,
	.run = unit_restart,
};

const struct command cmd_unit_kill = {
	COMMON,
	.name = "kill unit",
	.summary = "send a signal to all processes of a systemd unit",
	.timeout_ms = 30000,
	.options = kill_options,
	.run = unit_kill,
};
