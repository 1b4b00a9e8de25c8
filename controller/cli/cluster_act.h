#pragma once
/* What start, stop, restart, kill and delete share, for whole clusters and for nodes. */
#include "controller/cli/invocation.h"

#include <json-c/json.h>

/* Plans 'action' for 'nodes' of the cluster 'name' and, unless --dry-run, carries the plan out.
 * --dry-run prints the plan. '*ret_done' says which. */
int cluster_act(struct invocation *inv, const char *name, enum cluster_action action,
		const struct node_list *nodes, bool whole, bool *ret_done, struct err *err);

/* "started", "stopped", "restarted", "killed", "deleted". */
const char *cluster_action_result(enum cluster_action action);
