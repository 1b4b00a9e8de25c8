/* logs: the journal of nodes and the logs of their pods. */
#include "controller/cli/cmd_log_open.h"

#include <stdio.h>
#include <string.h>

/* One word of the command line, "NODE" or "NODE/POD". */
struct target {
	char node[256];
	char pod[256]; /* "" for the journal */
	struct node_list list;
};

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

static int check_flags(const struct target *target, const struct options *opt, struct err *err)
{
	if (target->pod[0] && opt->units.count)
		return usage_error(err, "--unit goes with NODE, not with NODE/POD");
	if (!target->pod[0] && (opt->container || opt->previous || opt->namespace))
		return usage_error(err, "--container, --previous and --namespace go with NODE/POD");
	return 0;
}

static int find_nodes(struct invocation *inv, struct target *target, const char *word,
		      struct err *err)
{
	char *words[] = { target->node, NULL };
	struct strv names = { .items = words, .count = 1 };

	if (split_word(word, target, err) < 0 || check_flags(target, inv->opt, err) < 0)
		return -1;
	return nodes_select_words(inv, &names, NODES_ALL, &target->list, err);
}

static int open_word(struct invocation *inv, struct target *target, const char *word,
		     struct log_sources *sources, struct err *err)
{
	const struct options *opt = inv->opt;
	struct log_wanted wanted = {
		.units = (const char *const *)opt->units.items,
		.namespace = opt->namespace ? opt->namespace : "default",
		.pod = target->pod,
		.container = opt->container ? opt->container : "",
		.previous = opt->previous,
	};

	if (find_nodes(inv, target, word, err) < 0)
		return -1;
	wanted.kind = target->pod[0] ? LOG_CONTAINER : LOG_JOURNAL;
	return log_open_all(inv, &target->list, &wanted, sources, err);
}

static int show(struct invocation *inv, struct target *targets, struct log_sources *sources,
		struct err *err)
{
	for (size_t i = 0; i < inv->args->count; i++) {
		if (open_word(inv, &targets[i], inv->args->items[i], sources, err) < 0)
			return -1;
	}
	return log_output_run(inv, sources, err);
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
	for (size_t i = 0; i < inv->args->count; i++)
		cleanup_node_list(&targets[i].list);
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
