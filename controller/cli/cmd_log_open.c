#include "controller/cli/cmd_log_open.h"

#include "controller/cli/fields.h"

#include "node/v1/logs.pb-c.h"

#include <stdio.h>
#include <string.h>

/* Until a log is open. */
#define START_MS 15000

static void ask_container(struct rpc *rpc, const struct log_wanted *wanted,
			  Berth__Node__V1__LogsRange *range, struct client_stream_id *ret)
{
	Berth__Node__V1__LogsContainerRequest req = BERTH__NODE__V1__LOGS_CONTAINER_REQUEST__INIT;
	Berth__Node__V1__ContainerTarget target = BERTH__NODE__V1__CONTAINER_TARGET__INIT;

	target.namespace_ = (char *)wanted->namespace;
	target.pod = (char *)wanted->pod;
	target.container = (char *)wanted->container;
	req.target = &target;
	req.range = range;
	req.previous = wanted->previous;
	berth__node__v1__logs__container(&rpc->base, &req, client_stream_take_id, ret);
}

static void ask_journal(struct rpc *rpc, const struct log_wanted *wanted,
			Berth__Node__V1__LogsRange *range, struct client_stream_id *ret)
{
	Berth__Node__V1__LogsJournalRequest req = BERTH__NODE__V1__LOGS_JOURNAL_REQUEST__INIT;

	req.range = range;
	req.units = (char **)wanted->units;
	while (wanted->units && wanted->units[req.n_units])
		req.n_units++;
	berth__node__v1__logs__journal(&rpc->base, &req, client_stream_take_id, ret);
}

static void ask_dmesg(struct rpc *rpc, Berth__Node__V1__LogsRange *range,
		      struct client_stream_id *ret)
{
	Berth__Node__V1__LogsDmesgRequest req = BERTH__NODE__V1__LOGS_DMESG_REQUEST__INIT;

	req.range = range;
	berth__node__v1__logs__dmesg(&rpc->base, &req, client_stream_take_id, ret);
}

int log_open(struct node *node, const struct log_wanted *wanted, const struct log_range *range,
	     struct deadline by, struct client_stream **ret_stream, struct err *err)
{
	Berth__Node__V1__LogsRange asked = BERTH__NODE__V1__LOGS_RANGE__INIT;
	struct client_stream_id id = { .len = 0 };
	struct client *client;
	struct rpc rpc;

	if (nodes_client(node, &client, err) < 0)
		return -1;
	asked.follow = range->follow;
	asked.tail_lines = range->tail;
	asked.since_nanos = range->since_ns;
	rpc = rpc_to(client, &berth__node__v1__logs__descriptor, by, err);
	if (wanted->kind == LOG_CONTAINER)
		ask_container(&rpc, wanted, &asked, &id);
	else if (wanted->kind == LOG_JOURNAL)
		ask_journal(&rpc, wanted, &asked, &id);
	else
		ask_dmesg(&rpc, &asked, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, ret_stream, err);
}

/* --- of several nodes ------------------------------------------------------------------------------- */

struct opening {
	struct invocation *inv;
	const struct node_list *nodes;
	const struct log_wanted *wanted;
	struct log_range range;
	struct log_source **sources; /* one a node */
};

/* node_fn */
static int open_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct opening *o = arg;
	struct deadline by = deadline_min(o->inv->by, deadline_in_ms(START_MS));
	size_t i = 0;

	(void)rows;
	while (strcmp(o->nodes->items[i]->name, node->name) != 0)
		i++;
	return log_open(node, o->wanted, &o->range, by, &o->sources[i]->stream, err);
}

static int add_source(struct log_sources *sources, const struct node *node,
		      const struct log_wanted *wanted, struct err *err)
{
	struct log_source *source = log_sources_add(sources);

	if (!source)
		return err_oom(err);
	snprintf(source->node, sizeof(source->node), "%s", node->name);
	if (wanted->kind != LOG_CONTAINER)
		return 0;
	snprintf(source->pod, sizeof(source->pod), "%s", wanted->pod);
	snprintf(source->container, sizeof(source->container), "%s", wanted->container);
	return 0;
}

int log_open_all(struct invocation *inv, const struct node_list *nodes,
		 const struct log_wanted *wanted, struct log_sources *sources, struct err *err)
{
	struct opening opening = {
		.inv = inv, .nodes = nodes, .wanted = wanted, .range = log_range_of(inv->opt)
	};
	cleanup_json struct json_object *rows = NULL;
	size_t before = sources->count;

	for (size_t i = 0; i < nodes->count; i++) {
		if (add_source(sources, nodes->items[i], wanted, err) < 0)
			return -1;
	}
	opening.sources = sources->items + before;
	return nodes_ask(inv, nodes, open_on_node, &opening, &rows, err);
}
