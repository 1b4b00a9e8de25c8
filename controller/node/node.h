#pragma once
/*
 * A node as the controller knows it: plain data from the engine's labels, and the way to its agent,
 * opened when first needed.
 */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/pod/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum node_role { NODE_CONTROL_PLANE, NODE_WORKER, NODE_LOAD_BALANCER };

/* CN-220: the engine's words mapped to ours. */
enum node_state {
	NODE_UNKNOWN,
	NODE_CREATING,
	NODE_RUNNING,
	NODE_PAUSED,
	NODE_STOPPING,
	NODE_STOPPED,
	NODE_ERROR,
};

/* The way to the agent. NODE_CHANNEL_AUTO: its socket where this host has the node's directory, then TLS
 * where it is published and this host has certificates for it, then the relay; the first of them on which
 * there is an agent (client_set_ways() says how that is found out). */
enum node_channel {
	NODE_CHANNEL_AUTO,
	NODE_CHANNEL_IPC,
	NODE_CHANNEL_TLS,
	NODE_CHANNEL_RELAY,
};
bool node_channel_parse(const char *name, enum node_channel *ret); /* "auto" "ipc" "tls" "relay" */

struct node_port {
	char *host;
	int host_port;
	int container_port;
	enum port_protocol protocol;
};

struct node {
	char *name; /* container and host name */
	char *cluster;
	enum node_role role;
	char *provider;  /* "podman" */
	char *engine_id; /* the engine's id of the container, "" when not asked */
	char *image;
	char *ip;  /* IPv4; "" when it has none */
	char *ip6; /* "" when it has none */
	enum node_state state;
	char *state_text;   /* the engine's own word */
	int64_t created_ns; /* wall clock; 0: unknown */
	char *run_dir;      /* host side of the node's /run/berth */
	struct node_port *ports;
	size_t port_count;
	int index; /* place in the cluster, from 1; 0: unknown (CN-081) */
	enum node_channel channel;
	struct strv relay; /* how its engine starts a relay; empty: it cannot, or nobody asked it */
	struct client *client; /* lazily; use node_client() */
};

struct node_list {
	struct node **items;
	size_t count;
};

/* Strings are copied. NULL on allocation failure. */
struct node *node_new(const char *name, const char *cluster, enum node_role role,
		      const char *provider, const char *run_dir);
/* Replaces '*field' by a copy; for those who fill nodes. 0, or -1 with out of memory. */
int node_set(char **field, const char *value, struct err *err);
/* Closes the client too. Takes NULL. */
void node_free(struct node *node);
DEFINE_CLEANUP(node, struct node *, node_free)

/* Takes ownership of 'node' even on failure. */
int node_list_add(struct node_list *list, struct node *node, struct err *err);
void node_list_release(struct node_list *list);
/* By name. */
void node_list_sort(struct node_list *list);
static inline __attribute__((unused)) void cleanup_node_list(struct node_list *list)
{
	node_list_release(list);
}

/* Borrowed, or NULL. */
struct node *node_list_find(const struct node_list *list, const char *name);

/* The client of the node's agent, opened on first use; borrowed, lives as long as the node.
 * ERR_UNIMPLEMENTED, reason NO_RELAY: a relay is wanted and the engine has none; ERR_FAILED_PRECONDITION,
 * reason TLS_NOT_SET_UP: TLS is, and the agent is not published. */
int node_client(struct node *node, struct client **ret_client, struct err *err);

/* Where the agent's front is published; NULL: nowhere, or the engine was not asked. Borrowed. */
#define NODE_TLS_PORT 7443
const struct node_port *node_tls_port(const struct node *node);

/* "<run_dir>/agent.sock"; ERR_INVALID_ARGUMENT when it does not fit a sockaddr_un. */
int node_socket_path(const struct node *node, char *ret, size_t size, struct err *err);

const char *node_role_name(
	enum node_role role); /* "control-plane", "worker", "external-load-balancer" (CN-083) */
bool node_role_parse(const char *s, enum node_role *ret);
const char *node_state_name(enum node_state state); /* "running", ... */

/* Runs 'fn' for every node, each in a thread of its own, and waits for all. 'errs[i]' is the i-th
 * node's (caller's array of list->count; code ERR_OK where it went well; err.node filled). Returns
 * how many failed. */
size_t node_each(const struct node_list *list,
		 int (*fn)(struct node *node, void *arg, struct err *err), void *arg,
		 struct err *errs);
