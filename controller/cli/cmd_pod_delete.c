#include "controller/cli/cmd_pod.h"
#include "controller/cli/fields.h"
#include "controller/cli/manifests.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "shared/base/parse.h"
#include "shared/pod/pod.h"

#include "node/v1/pods.pb-c.h"

#include <string.h>

/* One pod to delete; borrowed. */
struct target {
	const char *namespace;
	const char *name;
};

struct request {
	struct invocation *inv;
	const struct target *targets;
	size_t count;
};

struct reply {
	const struct node *node;
	const struct target *target;
	struct json_object *rows;
	bool gone;
};

static void on_deleted(const Berth__Node__V1__PodDeleteReply *rep, void *arg)
{
	const struct reply *reply = arg;
	struct json_object *row = row_add(reply->rows);

	field_text(row, "node", reply->node->name);
	field_text(row, "name", reply->target->name);
	field_text(row, "namespace", reply->target->namespace);
	field_text(row, "uid", rep->uid);
	field_text(row, "result", "deleted");
}

static void on_gone(const Berth__Node__V1__PodWaitReply *rep, void *arg)
{
	struct reply *reply = arg;

	(void)rep;
	reply->gone = true;
}

int pod_failed(const char *name, struct err *err)
{
	return strstr(err->msg, name) ? -1 : err_wrap(err, "pod '%s'", name);
}

static int delete_pod(const struct invocation *inv, struct client *client, struct reply *reply,
		      struct err *err)
{
	Berth__Node__V1__PodDeleteRequest req = BERTH__NODE__V1__POD_DELETE_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__pods__descriptor, inv->by, err);

	req.namespace_ = (char *)reply->target->namespace;
	req.name = (char *)reply->target->name;
	req.grace_seconds = inv->opt->grace_ms < 0 ? -1 : (inv->opt->grace_ms + 999) / 1000;
	berth__node__v1__pods__delete(&rpc.base, &req, on_deleted, reply);
	return rpc.result;
}

static int wait_until_gone(const struct invocation *inv, struct client *client, struct reply *reply,
			   struct err *err)
{
	Berth__Node__V1__PodWaitRequest req = BERTH__NODE__V1__POD_WAIT_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__pods__descriptor, inv->by, err);

	req.namespace_ = (char *)reply->target->namespace;
	req.name = (char *)reply->target->name;
	req.gone = true;
	berth__node__v1__pods__wait(&rpc.base, &req, on_gone, reply);
	return rpc.result;
}

static int delete_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct request *request = arg;
	struct reply reply = { .node = node, .rows = rows };
	struct client *client;

	if (nodes_client(node, &client, err) < 0)
		return -1;
	for (size_t i = 0; i < request->count; i++) {
		reply.target = &request->targets[i];
		if (delete_pod(request->inv, client, &reply, err) < 0)
			return pod_failed(reply.target->name, err);
	}
	for (size_t i = 0; request->inv->opt->wait_gone && i < request->count; i++) {
		reply.target = &request->targets[i];
		if (wait_until_gone(request->inv, client, &reply, err) < 0)
			return pod_failed(reply.target->name, err);
	}
	return 0;
}

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "pod/%s %s", field_str(row, "name"), field_str(row, "result"));
}

static const struct listing listing = { .noun = "pod", .name_path = "name", .line = line };

static int delete_targets(struct invocation *inv, const struct target *targets, size_t count,
			  struct err *err)
{
	struct request request = { .inv = inv, .targets = targets, .count = count };
	cleanup_json struct json_object *rows = NULL;

	if (inv->opt->grace_ms > 0)
		invocation_set_deadline(inv, inv->opt->grace_ms + 30000);
	if (nodes_select_and_ask(inv, NODES_ONE, delete_on_node, &request, &rows, err) < 0)
		return -1;
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int check_name(const char *what, const char *name, struct err *err)
{
	if (name_is_subdomain(name))
		return 0;
	usage_error(err, "'%s' is no %s name", name, what);
	return err_explain(err, "BAD_NAME", NULL);
}

static int delete_named(struct invocation *inv, struct err *err)
{
	const char *namespace = inv->opt->namespace ? inv->opt->namespace : "default";
	cleanup_free struct target *targets = calloc(inv->args->count, sizeof(*targets));

	if (!targets)
		return err_oom(err);
	if (check_name("namespace", namespace, err) < 0)
		return -1;
	for (size_t i = 0; i < inv->args->count; i++) {
		if (check_name("pod", inv->args->items[i], err) < 0)
			return -1;
		targets[i] = (struct target){ .namespace = namespace, .name = inv->args->items[i] };
	}
	return delete_targets(inv, targets, inv->args->count, err);
}

static int delete_files(struct invocation *inv, struct err *err)
{
	cleanup_with(manifests) struct manifests manifests = { 0 };
	cleanup_free struct target *targets = NULL;

	if (manifests_read(inv, false, &manifests, err) < 0)
		return -1;
	targets = calloc(manifests.count + 1, sizeof(*targets));
	if (!targets)
		return err_oom(err);
	for (size_t i = 0; i < manifests.count; i++) {
		const char *namespace = pod_namespace(manifests.pods[i]);

		targets[i].name = pod_name(manifests.pods[i]);
		targets[i].namespace = *namespace ? namespace : "default";
		if (check_name("pod", targets[i].name, err) < 0)
			return -1;
	}
	return delete_targets(inv, targets, manifests.count, err);
}

static int pod_delete(struct invocation *inv, struct err *err)
{
	if (inv->opt->files.count && inv->args->count)
		return usage_error(err, "either names or -f FILE, not both");
	if (inv->opt->files.count)
		return delete_files(inv, err);
	if (!inv->args->count)
		return usage_error(err, "delete which pod? A NAME, or -f FILE");
	return delete_named(inv, err);
}

static int file_delete(struct invocation *inv, struct err *err)
{
	if (!inv->opt->files.count)
		return usage_error(err, "delete what? cluster, node, pod, container, or -f FILE");
	return delete_files(inv, err);
}

static const struct option_spec delete_options[] = {
	OPTION_ROW_FILE,
	OPTION_ROW_NODE,
	OPTION_ROW_NAMESPACE,
	OPTION_ROW_GRACE("how long its containers may take (default: as the pod says)"),
	{ .name = "wait",
	  .type = OPTION_SWITCH,
	  OPTION_AT(wait_gone),
	  .help = "until no trace of the pod is left (default: true; --wait=false: do not)" },
	{ 0 },
};

#define COMMON .outputs = OUTPUTS_RESULT, .timeout_ms = 120000, .options = delete_options

const struct command cmd_pod_delete = {
	COMMON,
	.name = "delete pod",
	.args = "[NAME...]",
	.summary = "make pods unwanted and wait until they are gone",
	.example = "berth delete pod hello -N berth-worker",
	.max_args = -1,
	.run = pod_delete,
};

const struct command cmd_file_delete = {
	COMMON,
	.name = "delete",
	.args = "-f FILE",
	.summary = "delete the pods that manifests name",
	.run = file_delete,
};
