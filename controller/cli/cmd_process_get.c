#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/rows.h"
#include "shared/base/parse.h"

#include "node/v1/processes.pb-c.h"

#include <string.h>

struct request {
	struct invocation *inv;
	const struct node *node;
	struct json_object *rows;
};

/* A pid, or a glob over the command. */
static bool is_wanted(const struct strv *words, const Berth__Node__V1__ProcessInfo *info)
{
	int64_t pid;

	for (size_t i = 0; i < words->count; i++) {
		if (parse_int(words->items[i], 1, UINT32_MAX, &pid)
			    ? pid == info->pid
			    : name_matches(words->items[i], info->command))
			return true;
	}
	return words->count == 0;
}

static void add_row(const struct request *request, const Berth__Node__V1__ProcessInfo *info)
{
	struct json_object *row = row_add(request->rows);
	struct json_object *args;

	field_text(row, "node", request->node->name);
	field_int(row, "pid", info->pid);
	field_int(row, "parentPid", info->parent_pid);
	field_text(row, "state", info->state);
	field_int(row, "threads", info->threads);
	field_int(row, "cpuMillis", (int64_t)info->cpu_millis);
	field_int(row, "virtualBytes", (int64_t)info->virtual_bytes);
	field_int(row, "residentBytes", (int64_t)info->resident_bytes);
	field_int(row, "startTicks", (int64_t)info->start_ticks);
	field_text(row, "command", info->command);
	field_text(row, "executable", info->executable);
	args = field_array(row, "args");
	for (size_t i = 0; i < info->n_args; i++)
		json_object_array_add(args, json_object_new_string(info->args[i]));
	field_text(row, "label", info->label);
	field_bool(row, "kernel", info->kernel);
}

static void on_processes(const Berth__Node__V1__ProcessListReply *rep, void *arg)
{
	const struct request *request = arg;

	for (size_t i = 0; i < rep->n_processes; i++) {
		if (is_wanted(request->inv->args, rep->processes[i]))
			add_row(request, rep->processes[i]);
	}
}

static int ask(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	Berth__Node__V1__ProcessListRequest req = BERTH__NODE__V1__PROCESS_LIST_REQUEST__INIT;
	struct invocation *inv = arg;
	struct request request = { .inv = inv, .node = node, .rows = rows };
	struct rpc rpc;

	if (nodes_rpc(node, &berth__node__v1__processes__descriptor, inv->by, &rpc, err) < 0)
		return -1;
	req.kernel = inv->opt->kernel;
	berth__node__v1__processes__list(&rpc.base, &req, on_processes, &request);
	return rpc.result;
}

static void render_bytes(struct text *cell, int64_t bytes)
{
	static const char units[] = "KMGT";
	double value = (double)bytes / 1024;
	size_t unit = 0;

	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	text_addf(cell, value < 10 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

static void render_virtual(struct json_object *row, struct text *cell)
{
	render_bytes(cell, json_object_get_int64(field_get(row, "virtualBytes")));
}

static void render_resident(struct json_object *row, struct text *cell)
{
	render_bytes(cell, json_object_get_int64(field_get(row, "residentBytes")));
}

/* What it was called with says most; without, what it is. */
static void render_args(struct json_object *row, struct text *cell)
{
	struct json_object *args = field_get(row, "args");
	size_t count = json_object_array_length(args);

	for (size_t i = 0; i < count; i++)
		text_addf(cell, "%s%s", i ? " " : "",
			  json_object_get_string(json_object_array_get_idx(args, i)));
	if (count == 0)
		text_addf(cell, "[%s]", field_str(row, "command"));
}

static const struct column columns[] = {
	{ .title = "NODE", .path = "node" },
	{ .title = "PID", .path = "pid" },
	{ .title = "PPID", .path = "parentPid" },
	{ .title = "STATE", .path = "state" },
	{ .title = "THREADS", .path = "threads" },
	{ .title = "CPU", .path = "cpuMillis", .kind = COLUMN_MILLIS },
	{ .title = "VIRT", .kind = COLUMN_CUSTOM, .render = render_virtual },
	{ .title = "RES", .kind = COLUMN_CUSTOM, .render = render_resident },
	{ .title = "COMMAND", .path = "command" },
	{ .title = "LABEL", .path = "label", .wide = true },
	{ .title = "EXECUTABLE", .path = "executable", .wide = true },
	{ .title = "ARGS", .kind = COLUMN_CUSTOM, .render = render_args, .wide = true },
	{ 0 },
};

static const struct listing listing = { .noun = "process", .name_path = "pid", .columns = columns };

static int get_processes(struct invocation *inv, struct err *err)
{
	cleanup_json struct json_object *rows = NULL;

	if (nodes_select_and_ask(inv, NODES_ALL, ask, inv, &rows, err) < 0)
		return -1;
	return rows_print(inv, rows, &listing, NULL, false, err);
}

static const struct option_spec get_options[] = {
	OPTION_ROW_NODE,
	{ .name = "kernel",
	  .type = OPTION_SWITCH,
	  OPTION_AT(kernel),
	  .help = "threads of the kernel too" },
	{ 0 },
};

const struct command cmd_process_get = {
	.name = "get processes",
	.args = "[PID|COMMAND...]",
	.summary = "list the processes of nodes",
	.details =
		"Without --node: every running node of the cluster. Pids and globs over commands "
		"pick\n"
		"some. Arguments come with -o wide, json and yaml.",
	.example = "berth get processes 'kube*' -N berth-control-plane",
	.max_args = -1,
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 15000,
	.options = get_options,
	.run = get_processes,
};
