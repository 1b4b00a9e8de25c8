#include "controller/cli/cmd_pod.h"
#include "controller/cli/fields.h"
#include "controller/cli/manifests.h"
#include "controller/cli/nodes.h"
#include "controller/cli/print.h"
#include "shared/pod/pod.h"

#include "node/v1/pods.pb-c.h"

struct request {
	struct invocation *inv;
	const struct manifests *manifests;
};

struct reply {
	const struct node *node;
	const K8s__Core__V1__Pod *pod;
	struct json_object *rows;
	struct json_object *row; /* the last one added */
};

static void on_applied(const Berth__Node__V1__PodApplyReply *rep, void *arg)
{
	struct reply *reply = arg;

	reply->row = row_add(reply->rows);
	field_text(reply->row, "node", reply->node->name);
	field_text(reply->row, "name", pod_name(reply->pod));
	field_text(reply->row, "namespace", pod_namespace(reply->pod));
	field_text(reply->row, "uid", rep->uid);
	field_text(reply->row, "result", rep->result);
}

static void on_ready(const Berth__Node__V1__PodWaitReply *rep, void *arg)
{
	struct reply *reply = arg;

	field_text(reply->row, "phase", rep->pod ? rep->pod->phase : "");
	field_bool(reply->row, "ready", rep->pod && rep->pod->ready);
	field_text(reply->row, "ip", rep->pod ? rep->pod->ip : "");
}

static int apply_pod(const struct invocation *inv, struct client *client, struct reply *reply,
		     struct err *err)
{
	Berth__Node__V1__PodApplyRequest req = BERTH__NODE__V1__POD_APPLY_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__pods__descriptor, inv->by, err);

	req.pod = (K8s__Core__V1__Pod *)reply->pod;
	berth__node__v1__pods__apply(&rpc.base, &req, on_applied, reply);
	return rpc.result;
}

static int wait_for_pod(const struct invocation *inv, struct client *client, struct reply *reply,
			struct err *err)
{
	Berth__Node__V1__PodWaitRequest req = BERTH__NODE__V1__POD_WAIT_REQUEST__INIT;
	struct rpc rpc = rpc_to(client, &berth__node__v1__pods__descriptor, inv->by, err);

	req.namespace_ = (char *)pod_namespace(reply->pod);
	req.name = (char *)pod_name(reply->pod);
	berth__node__v1__pods__wait(&rpc.base, &req, on_ready, reply);
	return rpc.result;
}

/* All are wanted before the first is waited for: they start side by side. */
static int apply_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct request *request = arg;
	const struct manifests *m = request->manifests;
	struct reply reply = { .node = node, .rows = rows };
	struct client *client;

	if (nodes_client(node, &client, err) < 0)
		return -1;
	for (size_t i = 0; i < m->count; i++) {
		reply.pod = m->pods[i];
		if (apply_pod(request->inv, client, &reply, err) < 0)
			return pod_failed(pod_name(reply.pod), err);
	}
	for (size_t i = 0; request->inv->opt->wait && i < m->count; i++) {
		reply.pod = m->pods[i];
		reply.row = json_object_array_get_idx(rows, i);
		if (wait_for_pod(request->inv, client, &reply, err) < 0)
			return pod_failed(pod_name(reply.pod), err);
	}
	return 0;
}

static void line(struct json_object *row, struct text *text)
{
	text_addf(text, "pod/%s %s", field_str(row, "name"), field_str(row, "result"));
}

static const struct listing listing = { .noun = "pod", .name_path = "name", .line = line };

static int apply_manifests(struct invocation *inv, const struct manifests *manifests,
			   struct err *err)
{
	struct request request = { .inv = inv, .manifests = manifests };
	cleanup_json struct json_object *rows = NULL;

	if (nodes_select_and_ask(inv, NODES_ONE, apply_on_node, &request, &rows, err) < 0)
		return -1;
	return print_rows(inv->out, invocation_format(inv), rows, &listing, err);
}

static int apply(struct invocation *inv, struct err *err)
{
	cleanup_with(manifests) struct manifests manifests = { 0 };

	if (inv->opt->files.count == 0)
		return usage_error(err, "apply what? 'apply' needs -f FILE");
	if (manifests_read(inv, true, &manifests, err) < 0)
		return -1;
	return apply_manifests(inv, &manifests, err);
}

static const struct option_spec apply_options[] = {
	OPTION_ROW_FILE,
	OPTION_ROW_NODE,
	OPTION_ROW_NAMESPACE,
	{ .name = "wait",
	  .type = OPTION_SWITCH,
	  OPTION_AT(wait),
	  .help = "until the pods are ready, or have succeeded" },
	{ 0 },
};

const struct command cmd_apply = {
	.name = "apply",
	.args = "",
	.summary = "make v1 Pods wanted on a node; the agent keeps them in sync",
	.details = "YAML or JSON, one document or several, also Lists. All manifests are checked "
		   "before\n"
		   "the first is sent. Without --node: the cluster's only node.",
	.example = "berth apply -f pod.yaml -N berth-worker --wait",
	.outputs = OUTPUTS_RESULT,
	.timeout_ms = 120000,
	.options = apply_options,
	.run = apply,
};
