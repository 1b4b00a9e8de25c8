/* dmesg: the kernel's messages of nodes. */
#include "controller/cli/log_output.h"
#include "controller/cli/log_range.h"
#include "controller/cli/nodes.h"

#include "node/v1/logs.pb-c.h"

#include <stdio.h>
#include <string.h>

#define START_MS 15000

struct dmesg {
	struct invocation *inv;
	const struct node_list *list;
	struct log_sources *sources; /* one a node */
};

/* node_fn */
static int open_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	Berth__Node__V1__LogsDmesgRequest req = BERTH__NODE__V1__LOGS_DMESG_REQUEST__INIT;
	Berth__Node__V1__LogsRange range = BERTH__NODE__V1__LOGS_RANGE__INIT;
	struct dmesg *dmesg = arg;
	const struct options *opt = dmesg->inv->opt;
	struct deadline by = deadline_min(dmesg->inv->by, deadline_in_ms(START_MS));
	struct client_stream_id id = { .len = 0 };
	struct client *client;
	struct rpc rpc;
	size_t i = 0;

	(void)rows;
	while (strcmp(dmesg->list->items[i]->name, node->name) != 0)
		i++;
	if (nodes_client(node, &client, err) < 0)
		return -1;
	range.follow = opt->follow;
	range.tail_lines = opt->tail;
	range.since_nanos = log_since_ns(opt);
	req.range = &range;
	rpc = rpc_to(client, &berth__node__v1__logs__descriptor, by, err);
	berth__node__v1__logs__dmesg(&rpc.base, &req, client_stream_take_id, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, &dmesg->sources->items[i]->stream, err);
}

static int add_sources(const struct node_list *list, struct log_sources *sources, struct err *err)
{
	for (size_t i = 0; i < list->count; i++) {
		struct log_source *source = log_sources_add(sources);

		if (!source)
			return err_oom(err);
		snprintf(source->node, sizeof(source->node), "%s", list->items[i]->name);
	}
	return 0;
}

static int show(struct dmesg *dmesg, struct err *err)
{
	struct json_object *rows = NULL;
	int stop_fd = -1, rc;

	if (add_sources(dmesg->list, dmesg->sources, err) < 0 ||
	    nodes_ask(dmesg->inv, dmesg->list, open_on_node, dmesg, &rows, err) < 0)
		return -1;
	json_object_put(rows);
	log_sources_drop_unopened(dmesg->sources);
	if (!dmesg->sources->count)
		return 0;
	if (log_output_divert(&stop_fd, err) < 0)
		return -1;
	rc = log_output_run(dmesg->inv, dmesg->sources, stop_fd, err);
	close(stop_fd);
	return rc;
}

static int dmesg(struct invocation *inv, struct err *err)
{
	cleanup_with(node_list) struct node_list list = { 0 };
	cleanup_with(log_sources) struct log_sources sources = { 0 };
	struct dmesg dmesg = { .inv = inv, .list = &list, .sources = &sources };

	if (nodes_select_words(inv, inv->args, NODES_ALL, &list, err) < 0)
		return -1;
	return show(&dmesg, err);
}

static const struct option_spec dmesg_options[] = { OPTION_ROWS_LOG_RANGE, { 0 } };

const struct command cmd_dmesg = {
	.name = "dmesg",
	.args = "NODE...",
	.summary = "show the kernel's messages, as nodes see them",
	.details = "Nodes that are containers share the host's kernel, and its messages.",
	.example = "berth dmesg berth-worker --tail 20 -f",
	.min_args = 1,
	.max_args = 256,
	.outputs = 1U << OUTPUT_TABLE | 1U << OUTPUT_JSON,
	.options = dmesg_options,
	.run = dmesg,
};
