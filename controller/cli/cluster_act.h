#pragma once
/* What start, stop, restart, kill and delete share, for whole clusters and for nodes. */
#include "controller/cli/invocation.h"

#include <json-c/json.h>

/* Plans 'action' for 'nodes' of the cluster 'name' ('others': all of it, or NULL) and, unless --dry-run, carries the plan out.
 * --dry-run prints the plan. '*ret_done' says which. Nodes that failed are told by invocation_fail()
 * and named in '*ret_failed' (caller releases); fails only when nothing could be begun, or when it was
 * broken off. */
int cluster_act(struct invocation *inv, const char *name, enum cluster_action action,
		const struct node_list *nodes, const struct node_list *others, bool whole,
		bool *ret_done, struct strv *ret_failed, struct err *err);

/* "started", "stopped", "restarted", "killed", "deleted", "paused", "unpaused". */
const char *cluster_action_result(enum cluster_action action);

/* What the help of pause says, for clusters and for nodes. */
#define PAUSE_DETAILS                                                                           \
	"Kubelet and pod sync rest and containers stand still; the nodes and their agents run " \
	"on.\n"                                                                                 \
	"Pausing again is no failure. Stopping or restarting a node ends its pause."

#define OPTION_ROW_PAUSED_NAMESPACES                                             \
	{                                                                        \
		.name = "namespaces", .value = "NS,...", .type = OPTION_LIST,    \
		OPTION_AT(namespaces),                                           \
		.help = "only containers of these pod namespaces (default: all)" \
	}
