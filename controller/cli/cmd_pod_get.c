#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "controller/cli/rows.h"
#include "shared/base/parse.h"

#include "node/v1/pods.pb-c.h"

#include <string.h>

struct request {
	const struct rows_request *asked;
	const struct node *node;
	struct json_object *rows;
};

static const char *source_name(Berth__Node__V1__PodSource source)
{
	static const char *const names[] = { "unknown", "agent", "kubelet" };

	return (size_t)source < ARRAY_LEN(names) ? names[source] : names[0];
}

static bool is_wanted(const struct strv *names, const char *name)
{
	for (size_t i = 0; names && i < names->count; i++) {
		if (name_matches(names->items[i], name))
			return true;
	}
	return !names || names->count == 0;
}

static void add_containers(struct json_object *row, const Berth__Node__V1__PodStatus *pod)
{
	struct json_object *containers = field_array(row, "containers");

	for (size_t i = 0; i < pod->n_containers; i++) {
		const Berth__Node__V1__PodContainerStatus *status = pod->containers[i];
		struct json_object *container = row_add(containers);

		field_text(container, "name", status->name);
		field_text(container, "state", status->state);
		field_bool(container, "ready", status->ready);
		field_int(container, "restartCount", status->restart_count);
		field_text(container, "reason", status->reason);
		field_text(container, "message", status->message);
		field_text(container, "containerId", status->container_id);
		field_int(container, "exitCode", status->exit_code);
		field_bool(container, "init", status->init);
	}
}

static void add_row(const struct request *request, const Berth__Node__V1__PodStatus *pod)
{
	struct json_object *row = row_add(request->rows);

	field_text(row, "node", request->node->name);
	field_text(row, "name", pod->name);
	field_text(row, "namespace", pod->namespace_);
	field_text(row, "uid", pod->uid);
	field_text(row, "phase", pod->phase);
	field_bool(row, "ready", pod->ready);
	field_int(row, "restarts", pod->restarts);
	field_text(row, "ip", pod->ip);
	field_text(row, "source", source_name(pod->source));
	field_text(row, "message", pod->message);
	field_time_ns(row, "created", pod->created_nanos);
	add_containers(row, pod);
}

static void on_pods(const Berth__Node__V1__PodListReply *rep, void *arg)
{
	const struct request *request = arg;

	for (size_t i = 0; i < rep->n_pods; i++) {
		if (is_wanted(request->asked->names, rep->pods[i]->name))
			add_row(request, rep->pods[i]);
	}
}

int pod_rows(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct rows_request *asked = arg;
	struct request request = { .asked = asked, .node = node, .rows = rows };
	Berth__Node__V1__PodListRequest req = BERTH__NODE__V1__POD_LIST_REQUEST__INIT;
	struct rpc rpc;

	if (nodes_rpc(node, &berth__node__v1__pods__descriptor, asked->inv->by, &rpc, err) < 0)
		return -1;
	if (asked->namespace)
		req.namespace_ = (char *)asked->namespace;
	berth__node__v1__pods__list(&rpc.base, &req, on_pods, &request);
	return rpc.result;
}

/* "1/2", init containers aside, as kubectl counts. */
static void render_ready(struct json_object *row, struct text *cell)
{
	struct json_object *containers = field_get(row, "containers");
	int ready = 0, count = 0;

	for (size_t i = 0; i < json_object_array_length(containers); i++) {
		struct json_object *container = json_object_array_get_idx(containers, i);

		if (json_object_get_boolean(field_get(container, "init")))
			continue;
		count++;
		ready += json_object_get_boolean(field_get(container, "ready"));
	}
	text_addf(cell, "%d/%d", ready, count);
}

/* The first container that has something to say beats the phase: CrashLoopBackOff, Completed. */
static void render_status(struct json_object *row, struct text *cell)
{
	struct json_object *containers = field_get(row, "containers");
	const char *phase = field_str(row, "phase");

	for (size_t i = 0; i < json_object_array_length(containers); i++) {
		struct json_object *container = json_object_array_get_idx(containers, i);
		const char *reason = field_str(container, "reason");
		bool done_init = json_object_get_boolean(field_get(container, "init")) &&
				 strcmp(reason, "Completed") == 0;

		if (*reason && !done_init && strcmp(phase, "Terminating") != 0) {
			text_add(cell, reason);
			return;
		}
	}
	text_add(cell, phase);
}

static const struct column columns[] = {
	{ .title = "NAMESPACE", .path = "namespace" },
	{ .title = "NAME", .path = "name" },
	{ .title = "READY", .kind = COLUMN_CUSTOM, .render = render_ready },
	{ .title = "STATUS", .kind = COLUMN_CUSTOM, .render = render_status },
	{ .title = "RESTARTS", .path = "restarts" },
	{ .title = "AGE", .path = "created", .kind = COLUMN_AGE },
	{ .title = "IP", .path = "ip" },
	{ .title = "NODE", .path = "node" },
	{ .title = "SOURCE", .path = "source", .wide = true },
	{ .title = "PHASE", .path = "phase", .wide = true },
	{ .title = "UID", .path = "uid", .wide = true },
	{ .title = "MESSAGE", .path = "message", .wide = true },
	{ 0 },
};

static const struct listing listing = { .noun = "pod", .name_path = "name", .columns = columns };

static int get_pods(struct invocation *inv, struct err *err)
{
	const char *namespace = inv->opt->namespace ? inv->opt->namespace : "default";
	struct rows_request request = {
		.inv = inv,
		.names = inv->args,
		.namespace = inv->opt->all_namespaces ? NULL : namespace,
	};
	cleanup_json struct json_object *rows = NULL;

	if (inv->opt->namespace && !name_is_label(inv->opt->namespace)) {
		usage_error(err, "'%s' is no namespace", inv->opt->namespace);
		return err_explain(err, "BAD_NAME", NULL);
	}
	if (nodes_select_and_ask(inv, NODES_ALL, pod_rows, &request, &rows, err) < 0)
		return -1;
	return rows_print(inv, rows, &listing, request.namespace, true, err);
}

static const struct option_spec get_options[] = {
	OPTION_ROW_NODE,
	OPTION_ROW_NAMESPACE,
	OPTION_ROW_ALL_NAMESPACES,
	{ 0 },
};

const struct command cmd_pod_get = {
	.name = "get pods",
	.args = "[NAME...]",
	.summary = "list pods: those the agent keeps in sync and those only the runtime knows",
	.max_args = -1,
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 15000,
	.options = get_options,
	.run = get_pods,
};
