#pragma once
/* The logs of nodes as sessions: for `logs`, `dmesg` and the support bundle. */
#include "controller/cli/log_output.h"
#include "controller/cli/log_range.h"
#include "controller/cli/nodes.h"

/* Which one. Borrowed. */
struct log_wanted {
	enum { LOG_JOURNAL, LOG_DMESG, LOG_CONTAINER } kind;
	const char *const *units; /* of the journal, NULL-terminated; NULL: all of it */
	const char *namespace;    /* of a container, as its pod's list says */
	const char *pod;
	const char *container; /* "": the pod's only one */
	bool previous;         /* of a container: the run before this one */
};

/* The session of one log. Waits for the answer up to 'by'. Caller closes it, before the node.
 * ERR_NOT_FOUND for a container without a log, or what else the agent says. */
int log_open(struct node *node, const struct log_wanted *wanted, const struct log_range *range,
	     struct deadline by, struct client_stream **ret_stream, struct err *err);

/* That log of each node, in parallel, as new sources; a node that fails is told by invocation_fail() and
 * its source has no stream. Fails only for want of memory. */
int log_open_all(struct invocation *inv, const struct node_list *nodes,
		 const struct log_wanted *wanted, struct log_sources *sources, struct err *err);
