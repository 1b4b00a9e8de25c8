/* The agents of nodes, asked: each by a thread, with the engine's opinion on those that do not answer. */
#include "controller/cli/fields.h"
#include "controller/cli/nodes_impl.h"
#include "controller/client/client_node.h"

#include <string.h>

/* For the question why an agent does not answer, whatever is left of the command's own time. */
#define ENGINE_PATIENCE_MS 10000
/* For an agent of a running node that does not answer: systemd may be just starting it again. */
#define AGENT_PATIENCE_MS 1500

static int not_running(const struct node *node, struct err *err)
{
	err_set(err, ERR_UNAVAILABLE, 0, "node '%s' is %s", node->name,
		node_state_name(node->state));
	err_explain(err, "NODE_NOT_RUNNING", NULL);
	snprintf(err->advice, sizeof(err->advice), "'berth start node %s --name %s' starts it",
		 node->name, node->cluster);
	snprintf(err->node, sizeof(err->node), "%s", node->name);
	return -1;
}

int nodes_client(struct node *node, struct client **ret_client, struct err *err)
{
	if (node->state != NODE_RUNNING && node->state != NODE_UNKNOWN)
		return not_running(node, err);
	return node_client(node, ret_client, err);
}

int nodes_rpc(struct node *node, const ProtobufCServiceDescriptor *service, struct deadline by,
	      struct rpc *ret_rpc, struct err *err)
{
	struct client *client;

	if (nodes_client(node, &client, err) < 0)
		return -1;
	*ret_rpc = rpc_to(client, service, by, err);
	return 0;
}

struct asking {
	const struct node_list *list;
	node_fn *fn;
	void *arg;
	struct json_object **rows; /* one array a node */
};

static int ask_one(struct node *node, void *arg, struct err *err)
{
	struct asking *asking = arg;
	size_t i = 0;

	while (asking->list->items[i] != node)
		i++;
	return asking->fn(node, asking->arg, asking->rows[i], err);
}

/* The engine says the node runs, and where: asked once more, with some patience. */
static void ask_again(struct asking *asking, size_t i, struct node *node, struct err *err)
{
	struct client *client;
	struct err ignored;

	if (node_client(node, &client, &ignored) < 0 ||
	    client_wait_answer(client, deadline_in_ms(AGENT_PATIENCE_MS), &ignored) < 0)
		return;
	json_object_put(asking->rows[i]);
	asking->rows[i] = json_object_new_array();
	memset(err, 0, sizeof(*err));
	asking->fn(node, asking->arg, asking->rows[i], err);
}

static bool is_silent(const struct err *err)
{
	return strcmp(err->reason, "AGENT_NOT_ANSWERING") == 0;
}

static void explain_silence(const struct node *node, struct err *err)
{
	snprintf(err->advice, sizeof(err->advice),
		 "the node runs, its agent does not: 'berth restart node %s --name %s' starts both "
		 "anew",
		 node->name, node->cluster);
}

static void explain_one(struct invocation *inv, struct asking *asking, size_t i,
			const struct node_list *now, struct err *err)
{
	const char *name = asking->list->items[i]->name;
	struct node *node = node_list_find(now, name);

	if (!node)
		nodes_not_found(inv, name, now, err);
	else if (node->state != NODE_RUNNING)
		not_running(node, err);
	else
		ask_again(asking, i, node, err);
	if (node && node->state == NODE_RUNNING && is_silent(err))
		explain_silence(node, err);
}

/* The agent did not answer: the engine knows whether that is because the node is not running. */
static void explain(struct invocation *inv, struct asking *asking, struct err *errs)
{
	cleanup_nodes struct node_list now = { 0 };
	struct provider *provider;
	bool asked = false;
	struct err ignored;

	for (size_t i = 0; i < asking->list->count; i++) {
		if (!is_silent(&errs[i]))
			continue;
		if (!asked && (invocation_provider(inv, &provider, &ignored) < 0 ||
			       provider_list(provider, NULL, deadline_in_ms(ENGINE_PATIENCE_MS),
					     &now, &ignored) < 0))
			return;
		if (!asked)
			nodes_remember(inv, &now);
		asked = true;
		explain_one(inv, asking, i, &now, &errs[i]);
	}
}

static void tell(struct invocation *inv, const struct err *errs, const struct node_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct err err = errs[i];

		if (err.code == ERR_OK)
			continue;
		if (!err.node[0])
			snprintf(err.node, sizeof(err.node), "%s", list->items[i]->name);
		invocation_fail(inv, &err);
	}
}

static struct json_object *merge(struct json_object **rows, size_t count)
{
	struct json_object *all = json_object_new_array();

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < json_object_array_length(rows[i]); j++)
			json_object_array_add(all, json_object_get(
							   json_object_array_get_idx(rows[i], j)));
		json_object_put(rows[i]);
	}
	return all;
}

int nodes_ask(struct invocation *inv, const struct node_list *list, node_fn *fn, void *arg,
	      struct json_object **ret_rows, struct err *err)
{
	cleanup_free struct err *errs = calloc(list->count + 1, sizeof(*errs));
	cleanup_free struct json_object **rows = calloc(list->count + 1, sizeof(*rows));
	struct asking asking = { .list = list, .fn = fn, .arg = arg, .rows = rows };

	if (!errs || !rows)
		return err_oom(err);
	for (size_t i = 0; i < list->count; i++)
		rows[i] = json_object_new_array();
	if (list->count == 1) /* no thread for one */
		ask_one(list->items[0], &asking, &errs[0]);
	else
		node_each(list, ask_one, &asking, errs);
	explain(inv, &asking, errs);
	tell(inv, errs, list);
	*ret_rows = merge(rows, list->count);
	return 0;
}

int nodes_select_and_ask(struct invocation *inv, enum nodes_default fallback, node_fn *fn,
			 void *arg, struct json_object **ret_rows, struct err *err)
{
	cleanup_with(node_list) struct node_list list = { 0 };

	if (nodes_select(inv, fallback, &list, err) < 0)
		return -1;
	return nodes_ask(inv, &list, fn, arg, ret_rows, err);
}
