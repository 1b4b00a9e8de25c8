/* logs: the journal of nodes and the logs of their pods. */
#include "controller/cli/log_output.h"
#include "controller/cli/log_range.h"
#include "controller/cli/nodes.h"

#include "node/v1/logs.pb-c.h"

#include <stdio.h>
#include <string.h>

/* Until a log is open. */
#define START_MS 15000

/* One word of the command line, "NODE" or "NODE/POD". */
struct target {
	struct invocation *inv;
	char node[256];
	char pod[256]; /* "" for the journal */
	struct node_list list;
	struct log_source **sources; /* one a node */
};

static void fill_range(const struct options *opt, Berth__Node__V1__LogsRange *ret)
{
	berth__node__v1__logs_range__init(ret);
	ret->follow = opt->follow;
	ret->tail_lines = opt->tail;
	ret->since_nanos = log_since_ns(opt);
}

static void ask_container(struct rpc *rpc, const struct target *target,
			  Berth__Node__V1__LogsRange *range, struct client_stream_id *ret)
{
	Berth__Node__V1__LogsContainerRequest req = BERTH__NODE__V1__LOGS_CONTAINER_REQUEST__INIT;
	Berth__Node__V1__ContainerTarget container = BERTH__NODE__V1__CONTAINER_TARGET__INIT;
	const struct options *opt = target->inv->opt;

	container.namespace_ = (char *)(opt->namespace ? opt->namespace : "default");
	container.pod = (char *)target->pod;
	container.container = (char *)(opt->container ? opt->container : "");
	req.target = &container;
	req.range = range;
	req.previous = opt->previous;
	berth__node__v1__logs__container(&rpc->base, &req, client_stream_take_id, ret);
}

static void ask_journal(struct rpc *rpc, const struct target *target,
			Berth__Node__V1__LogsRange *range, struct client_stream_id *ret)
{
	Berth__Node__V1__LogsJournalRequest req = BERTH__NODE__V1__LOGS_JOURNAL_REQUEST__INIT;

	req.range = range;
	req.units = target->inv->opt->units.items;
	req.n_units = target->inv->opt->units.count;
	berth__node__v1__logs__journal(&rpc->base, &req, client_stream_take_id, ret);
}

/* node_fn: opens the log of one node. */
static int open_on_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	struct target *target = arg;
	struct deadline by = deadline_min(target->inv->by, deadline_in_ms(START_MS));
	struct client_stream_id id = { .len = 0 };
	Berth__Node__V1__LogsRange range;
	struct client *client;
	struct rpc rpc;
	size_t i = 0;

	(void)rows;
	while (strcmp(target->list.items[i]->name, node->name) != 0)
		i++;
	if (nodes_client(node, &client, err) < 0)
		return -1;
	rpc = rpc_to(client, &berth__node__v1__logs__descriptor, by, err);
	fill_range(target->inv->opt, &range);
	if (target->pod[0])
		ask_container(&rpc, target, &range, &id);
	else
		ask_journal(&rpc, target, &range, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, &target->sources[i]->stream, err);
}

/* --- the words ------------------------------------------------------------------------------------------ */

/* "node/w1" is how -o name prints a node. */
static int split_word(const char *word, struct target *ret, struct err *err)
{
	const char *name = strncmp(word, "node/", 5) == 0 ? word + 5 : word;
	const char *slash = strchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : strlen(name);

	if (len == 0 || len >= sizeof(ret->node) || (slash && !slash[1]) ||
	    (slash && strlen(slash + 1) >= sizeof(ret->pod))) {
		usage_error(err, "'%s' is neither NODE nor NODE/POD", word);
		return err_explain(err, "BAD_NAME", NULL);
	}
	memcpy(ret->node, name, len);
	ret->node[len] = '\0';
	snprintf(ret->pod, sizeof(ret->pod), "%s", slash ? slash + 1 : "");
	return 0;
}

static int check_flags(const struct target *target, struct err *err)
{
	const struct options *opt = target->inv->opt;

	if (target->pod[0] && opt->units.count)
		return usage_error(err, "--unit goes with NODE, not with NODE/POD");
	if (!target->pod[0] && (opt->container || opt->previous || opt->namespace))
		return usage_error(err, "--container, --previous and --namespace go with NODE/POD");
	return 0;
}

/* Finds the nodes of a word, and gives each a source. */
static int find_nodes(struct target *target, const char *word, struct log_sources *sources,
		      struct err *err)
{
	cleanup_with(strv) struct strv words = { 0 };

	if (split_word(word, target, err) < 0 || check_flags(target, err) < 0)
		return -1;
	strv_add(&words, target->node);
	if (strv_failed(&words))
		return err_oom(err);
	if (nodes_select_words(target->inv, &words, NODES_ALL, &target->list, err) < 0)
		return -1;
	target->sources = calloc(target->list.count + 1, sizeof(struct log_source *));
	for (size_t i = 0; target->sources && i < target->list.count; i++) {
		struct log_source *source = log_sources_add(sources);

		if (!source)
			return err_oom(err);
		target->sources[i] = source;
		snprintf(source->node, sizeof(source->node), "%s", target->list.items[i]->name);
		snprintf(source->pod, sizeof(source->pod), "%s", target->pod);
		if (target->inv->opt->container)
			snprintf(source->container, sizeof(source->container), "%s",
				 target->inv->opt->container);
	}
	return target->sources ? 0 : err_oom(err);
}

static int open_word(struct target *target, const char *word, struct log_sources *sources,
		     struct err *err)
{
	struct json_object *rows = NULL;

	if (find_nodes(target, word, sources, err) < 0 ||
	    nodes_ask(target->inv, &target->list, open_on_node, target, &rows, err) < 0)
		return -1;
	json_object_put(rows);
	return 0;
}

static int show(struct invocation *inv, struct target *targets, struct log_sources *sources,
		struct err *err)
{
	int stop_fd = -1, rc = 0;

	for (size_t i = 0; rc == 0 && i < inv->args->count; i++) {
		targets[i].inv = inv;
		rc = open_word(&targets[i], inv->args->items[i], sources, err);
	}
	log_sources_drop_unopened(sources);
	if (rc == 0)
		rc = log_output_divert(&stop_fd, err);
	if (rc == 0 && sources->count)
		rc = log_output_run(inv, sources, stop_fd, err);
	if (stop_fd >= 0)
		close(stop_fd);
	return rc;
}

static int logs(struct invocation *inv, struct err *err)
{
	cleanup_free struct target *targets = calloc(inv->args->count, sizeof(*targets));
	struct log_sources sources = { 0 };
	int rc;

	if (!targets)
		return err_oom(err);
	rc = show(inv, targets, &sources, err);
	/* Sessions go before the connections of their nodes. */
	log_sources_release(&sources);
	for (size_t i = 0; i < inv->args->count; i++) {
		free(targets[i].sources);
		cleanup_node_list(&targets[i].list);
	}
	return rc;
}

static const struct option_spec logs_options[] = {
	OPTION_ROWS_LOG_RANGE,
	{ .name = "unit",
	  .letter = 'u',
	  .value = "UNIT",
	  .type = OPTION_LIST,
	  OPTION_AT(units),
	  .help = "of NODE: only this systemd unit; repeatable" },
	{ .name = "container",
	  .letter = 'c',
	  .value = "NAME",
	  .type = OPTION_TEXT,
	  OPTION_AT(container),
	  .help = "of NODE/POD: which container, when it has several" },
	OPTION_ROW_NAMESPACE,
	{ .name = "previous",
	  .letter = 'p',
	  .type = OPTION_SWITCH,
	  OPTION_AT(previous),
	  .help = "of NODE/POD: the run before this one" },
	{ .name = "timestamps",
	  .type = OPTION_SWITCH,
	  OPTION_AT(timestamps),
	  .help = "of NODE/POD: when each line was written" },
	{ 0 },
};

const struct command cmd_logs = {
	.name = "logs",
	.args = "NODE[/POD]...",
	.summary = "show the journal of nodes, or the logs of pods",
	.details =
		"Several, or a glob over nodes, are merged by time, and each line then begins with "
		"where\n"
		"it is from. With -o json: one object a line. A followed pod ends with its "
		"container.",
	.example = "berth logs 'berth-*' --unit kubelet --since 5m -f",
	.min_args = 1,
	.max_args = 256,
	.outputs = 1U << OUTPUT_TABLE | 1U << OUTPUT_JSON,
	.options = logs_options,
	.run = logs,
};
