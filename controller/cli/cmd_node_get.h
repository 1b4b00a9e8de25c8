#pragma once
/* Nodes as rows: what the engine and the agents say. For `get nodes` and `status`. */
#include "controller/cli/invocation.h"
#include "controller/cli/print.h"
#include "controller/node/node.h"

extern const struct listing node_listing;

/* Asks all agents, 2 seconds at most; one that does not answer is shown so and is no failure.
 * Caller puts the rows. */
int node_rows(struct invocation *inv, const struct node_list *list, struct json_object **ret_rows,
	      struct err *err);
