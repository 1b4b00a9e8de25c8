#pragma once
/* The log files below a directory of a node, each as its last bytes: for the support bundle. */
#include "controller/cli/cmd_transfer.h"
#include "controller/node/node.h"

/* Of one node: files, and bytes kept of them together. */
#define LOG_TREE_FILES ((size_t)2000)
#define LOG_TREE_BYTES ((size_t)64 * 1024 * 1024)

/* Takes one: 'name' is clean (shared/copy/path.h) and below the directory; 'skipped' says why there is no
 * text, else NULL. All borrowed. */
typedef void log_tree_fn(void *arg, const char *name, const char *text, size_t len,
			 const char *skipped);

/* What is to be had of "/var/log" and how much of each file; 'by' bounds all of it. */
struct log_tree {
	struct invocation *inv;
	const char *path;
	size_t max; /* bytes kept of each: its end */
	struct deadline by;
	log_tree_fn *file;
	void *arg;
};

/* As one archive, in which only regular files are looked at; the journal's own are left out, and what is no text
 * is skipped. After a failure what came before it has been told: ERR_RESOURCE_EXHAUSTED, reason
 * TOO_MANY_LOGS, past the bounds above; ERR_DATA_LOSS; or what else the agent says. */
int log_tree_read(const struct log_tree *tree, struct node *node, struct err *err);
