#pragma once
/* Between nodes.c, which finds nodes, and nodes_ask.c, which asks their agents. */
#include "controller/cli/nodes.h"

#define cleanup_nodes __attribute__((cleanup(cleanup_node_list)))

/* ERR_NOT_FOUND for a word, with the nearest of 'known' (may be NULL). Returns -1. */
int nodes_not_found(const struct invocation *inv, const char *word, const struct node_list *known,
		    struct err *err);

/* What the engine says, for the next command. A cache: failing is no matter. */
void nodes_remember(struct invocation *inv, const struct node_list *list);
