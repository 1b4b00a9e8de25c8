/* dmesg: the kernel's messages of nodes. */
#include "controller/cli/cmd_log_open.h"

static int dmesg(struct invocation *inv, struct err *err)
{
	/* Sessions go before the connections of their nodes. */
	cleanup_with(node_list) struct node_list list = { 0 };
	cleanup_with(log_sources) struct log_sources sources = { 0 };
	const struct log_wanted wanted = { .kind = LOG_DMESG };

	if (nodes_select_words(inv, inv->args, NODES_ALL, &list, err) < 0 ||
	    log_open_all(inv, &list, &wanted, &sources, err) < 0)
		return -1;
	return log_output_run(inv, &sources, err);
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
