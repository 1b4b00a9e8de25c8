#pragma once
/*
 * From -N and --name to nodes, and calls to their agents.
 *
 * A node that the state directory remembers needs no engine: its socket is tried at once. Only when
 * nothing is remembered, or nobody answers, is the engine asked, to say precisely what is wrong.
 */
#include "controller/cli/invocation.h"
#include "controller/client/client.h"
#include "controller/node/node.h"

#include <json-c/json.h>

enum nodes_default {
	NODES_ALL, /* without -N: every running node; those that are not get a note */
	NODES_ONE, /* without -N: the cluster's only node, else a usage error */
};

/*
 * The nodes a command acts on. Caller releases. A word of -N is a node's name, the name without
 * "<cluster>-", or a glob over both. ERR_NOT_FOUND: reason NODE_NOT_FOUND or CLUSTER_NOT_FOUND;
 * ERR_UNAVAILABLE: the engine does not answer, or NODE_NOT_RUNNING for a glob that meets only stopped
 * nodes.
 */
int nodes_select(struct invocation *inv, enum nodes_default fallback, struct node_list *ret_list,
		 struct err *err);

/* The same for words that stand elsewhere than behind -N. */
int nodes_select_words(struct invocation *inv, const struct strv *words,
		       enum nodes_default fallback, struct node_list *ret_list, struct err *err);

/* Nodes of the cluster as the engine has them, by one spawn. 'names' (may be empty: all) as above; one
 * that fits no node is ERR_NOT_FOUND. No node at all and 'must_exist': ERR_NOT_FOUND. */
int nodes_list(struct invocation *inv, const struct strv *names, bool must_exist,
	       struct node_list *ret_list, struct err *err);

/* The agent of a node, borrowed. ERR_UNAVAILABLE reason NODE_NOT_RUNNING when the engine has said so
 * already. */
int nodes_client(struct node *node, struct client **ret_client, struct err *err);

/* The calls of one service of its agent: nodes_client() and rpc_to(). */
int nodes_rpc(struct node *node, const ProtobufCServiceDescriptor *service, struct deadline by,
	      struct rpc *ret_rpc, struct err *err);

/* Asks one node and appends to 'rows', a JSON array of its own. */
typedef int node_fn(struct node *node, void *arg, struct json_object *rows, struct err *err);

/* Asks all, in parallel. '*ret_rows' has the rows in the order of the nodes, also those of nodes that
 * failed later; each failure is told by invocation_fail(), with the engine's opinion where the agent
 * did not answer. Caller puts the rows. Fails only for want of memory. */
int nodes_ask(struct invocation *inv, const struct node_list *list, node_fn *fn, void *arg,
	      struct json_object **ret_rows, struct err *err);

/* Both: what most commands do. */
int nodes_select_and_ask(struct invocation *inv, enum nodes_default fallback, node_fn *fn,
			 void *arg, struct json_object **ret_rows, struct err *err);
