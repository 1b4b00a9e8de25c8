#include "controller/node/node.h"

#include "controller/client/bridge.h"
#include "controller/client/channel_relay.h"
#include "controller/client/channel_tls.h"
#include "controller/client/client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const role_names[] = {
	[NODE_CONTROL_PLANE] = "control-plane",
	[NODE_WORKER] = "worker",
	[NODE_LOAD_BALANCER] = "external-load-balancer",
};

static const char *const state_names[] = {
	[NODE_UNKNOWN] = "unknown", [NODE_CREATING] = "creating", [NODE_RUNNING] = "running",
	[NODE_PAUSED] = "paused",   [NODE_STOPPING] = "stopping", [NODE_STOPPED] = "stopped",
	[NODE_ERROR] = "error",
};

static const char *const channel_names[] = {
	[NODE_CHANNEL_AUTO] = "auto",
	[NODE_CHANNEL_IPC] = "ipc",
	[NODE_CHANNEL_TLS] = "tls",
	[NODE_CHANNEL_RELAY] = "relay",
};

bool node_channel_parse(const char *name, enum node_channel *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(channel_names); i++) {
		if (strcmp(name, channel_names[i]) == 0) {
			*ret = (enum node_channel)i;
			return true;
		}
	}
	return false;
}

const char *node_role_name(enum node_role role)
{
	return role_names[(size_t)role < ARRAY_LEN(role_names) ? role : NODE_WORKER];
}

bool node_role_parse(const char *s, enum node_role *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++) {
		if (strcmp(s, role_names[i]) == 0) {
			*ret = (enum node_role)i;
			return true;
		}
	}
	return false;
}

const char *node_state_name(enum node_state state)
{
	if ((size_t)state >= ARRAY_LEN(state_names))
		return state_names[NODE_UNKNOWN];
	return state_names[state];
}

struct node *node_new(const char *name, const char *cluster, enum node_role role,
		      const char *provider, const char *run_dir)
{
	cleanup_with(node) struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->role = role;
	node->name = strdup(name);
	node->cluster = strdup(cluster);
	node->provider = strdup(provider);
	node->run_dir = strdup(run_dir);
	node->engine_id = strdup("");
	node->image = strdup("");
	node->ip = strdup("");
	node->ip6 = strdup("");
	node->state_text = strdup("");
	if (!node->name || !node->cluster || !node->provider || !node->run_dir ||
	    !node->engine_id || !node->image || !node->ip || !node->ip6 || !node->state_text)
		return NULL;
	return TAKE(node);
}

int node_set(char **field, const char *value, struct err *err)
{
	char *copy = strdup(value);

	if (!copy)
		return err_oom(err);
	free(*field);
	*field = copy;
	return 0;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	client_close(node->client);
	for (size_t i = 0; i < node->port_count; i++)
		free(node->ports[i].host);
	free(node->ports);
	free(node->name);
	free(node->cluster);
	free(node->provider);
	free(node->engine_id);
	free(node->image);
	free(node->ip);
	free(node->ip6);
	free(node->state_text);
	free(node->run_dir);
	strv_release(&node->relay);
	free(node);
}

int node_list_add(struct node_list *list, struct node *node, struct err *err)
{
	struct node **items = realloc(list->items, (list->count + 1) * sizeof(*items));

	if (!items) {
		node_free(node);
		return err_oom(err);
	}
	list->items = items;
	list->items[list->count++] = node;
	return 0;
}

void node_list_release(struct node_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		node_free(list->items[i]);
	free(list->items);
	*list = (struct node_list){ 0 };
}

static int by_name(const void *a, const void *b)
{
	const struct node *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void node_list_sort(struct node_list *list)
{
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), by_name);
}

struct node *node_list_find(const struct node_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i]->name, name) == 0)
			return list->items[i];
	}
	return NULL;
}

const struct node_port *node_tls_port(const struct node *node)
{
	for (size_t i = 0; i < node->port_count; i++) {
		const struct node_port *port = &node->ports[i];

		if (port->container_port == NODE_TLS_PORT && port->protocol == PORT_TCP)
			return port;
	}
	return NULL;
}

int node_socket_path(const struct node *node, char *ret, size_t size, struct err *err)
{
	struct sockaddr_un address;
	int len = snprintf(NULL, 0, "%s/agent.sock", node->run_dir);

	if (len < 0 || (size_t)len >= size || (size_t)len >= sizeof(address.sun_path)) {
		err_set(err, ERR_INVALID_ARGUMENT, 0,
			"the path of the agent's socket, '%s/agent.sock', is too long: %d bytes of "
			"at most %zu",
			node->run_dir, len, sizeof(address.sun_path) - 1);
		return err_explain(err, "STATE_DIR_TOO_LONG",
				   "choose a shorter --state-dir, node name or cluster name");
	}
	snprintf(ret, size, "%s/agent.sock", node->run_dir);
	return 0;
}

/* Where the certificates of the node's cluster are: beside the directory of its nodes. */
static char *keys_dir(const struct node *node)
{
	return text_format("%s/../../clusters/%s/tls", node->run_dir, node->cluster);
}

static bool has_keys(const struct node *node)
{
	cleanup_free char *dir = keys_dir(node);
	cleanup_free char *key = dir ? text_format("%s/admin.key", dir) : NULL;

	return key && access(key, R_OK) == 0;
}

/* The ways there are, in the order in which they are tried. Returns how many; at least one. */
static size_t list_ways(const struct node *node, enum node_channel ret_ways[3])
{
	size_t count = 0;

	if (node->channel != NODE_CHANNEL_AUTO) {
		ret_ways[0] = node->channel;
		return 1;
	}
	if (access(node->run_dir, X_OK) == 0)
		ret_ways[count++] = NODE_CHANNEL_IPC;
	if (node_tls_port(node) && has_keys(node))
		ret_ways[count++] = NODE_CHANNEL_TLS;
	if (node->relay.count)
		ret_ways[count++] = NODE_CHANNEL_RELAY;
	if (count == 0)
		ret_ways[count++] = NODE_CHANNEL_IPC;
	return count;
}

/* What it is published on may be all addresses; the engine's own loopback is one of them. */
static const char *dial_address(const struct node_port *port)
{
	if (!*port->host || strcmp(port->host, "0.0.0.0") == 0)
		return "127.0.0.1";
	return strcmp(port->host, "::") == 0 ? "::1" : port->host;
}

static int open_tls(const struct node *node, struct bridge **ret_bridge, struct err *err)
{
	const struct node_port *port = node_tls_port(node);
	cleanup_free char *dir = keys_dir(node);
	cleanup_free char *name = text_format("%s.%s.agent", node->name, node->cluster);
	struct tls_target target = { .name = name, .dir = dir, .role = "admin" };

	if (!dir || !name)
		return err_oom(err);
	if (!port) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "the agent of node '%s' is not published",
			node->name);
		return err_explain(err, "TLS_NOT_SET_UP",
				   "'berth create cluster --agent-tls' makes nodes that are");
	}
	target.host = dial_address(port);
	target.port = port->host_port;
	return channel_tls_open(&target, ret_bridge, err);
}

static int open_relay(const struct node *node, struct bridge **ret_bridge, struct err *err)
{
	if (node->relay.count == 0) {
		err_set(err, ERR_UNIMPLEMENTED, 0, "%s has no relay to node '%s'", node->provider,
			node->name);
		return err_explain(err, "NO_RELAY", "leave --channel out");
	}
	return channel_relay_open(&node->relay, ret_bridge, err);
}

static int open_bridge(const struct node *node, enum node_channel channel,
		       struct bridge **ret_bridge, struct err *err)
{
	if (channel == NODE_CHANNEL_TLS)
		return open_tls(node, ret_bridge, err);
	return open_relay(node, ret_bridge, err);
}

/* client_way_fn: those after the first. */
static bool open_other_way(void *arg, unsigned n, struct bridge **ret_bridge)
{
	const struct node *node = arg;
	enum node_channel ways[3];
	struct err err;

	if (n + 1 >= list_ways(node, ways))
		return false;
	if (open_bridge(node, ways[n + 1], ret_bridge, &err) < 0)
		*ret_bridge = NULL;
	return true;
}

static int open_socket(const struct node *node, struct client **ret_client, struct err *err)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (node_socket_path(node, path, sizeof(path), err) < 0)
		return -1;
	return client_open(path, node->name, ret_client, err);
}

static int open_channel(struct node *node, struct client **ret_client, struct err *err)
{
	enum node_channel ways[3];
	size_t count = list_ways(node, ways);
	struct bridge *bridge;

	if (ways[0] == NODE_CHANNEL_IPC) {
		if (open_socket(node, ret_client, err) < 0)
			return -1;
	} else {
		if (open_bridge(node, ways[0], &bridge, err) < 0 ||
		    client_open_bridge(bridge, node->name, ret_client, err) < 0)
			return -1;
	}
	if (count > 1)
		client_set_ways(*ret_client, open_other_way, node);
	return 0;
}

int node_client(struct node *node, struct client **ret_client, struct err *err)
{
	cleanup_with(client) struct client *client = NULL;

	if (!node->client) {
		if (open_channel(node, &client, err) < 0 ||
		    client_set_cluster(client, node->cluster, err) < 0)
			return -1;
		node->client = TAKE(client);
	}
	*ret_client = node->client;
	return 0;
}

/* One node's share of node_each(). */
struct share {
	struct node *node;
	int (*fn)(struct node *node, void *arg, struct err *err);
	void *arg;
	struct err *err;
	pthread_t thread;
	bool threaded;
	bool failed;
};

static void *do_share(void *arg)
{
	struct share *s = arg;

	*s->err = (struct err){ 0 };
	s->failed = s->fn(s->node, s->arg, s->err) < 0;
	if (!s->failed)
		*s->err = (struct err){ 0 };
	else if (!s->err->node[0])
		snprintf(s->err->node, sizeof(s->err->node), "%s", s->node->name);
	return NULL;
}

size_t node_each(const struct node_list *list,
		 int (*fn)(struct node *node, void *arg, struct err *err), void *arg,
		 struct err *errs)
{
	struct share *shares = list->count ? calloc(list->count, sizeof(*shares)) : NULL;
	size_t failed = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct share alone = {
			.node = list->items[i], .fn = fn, .arg = arg, .err = &errs[i]
		};
		struct share *s = shares ? &shares[i] : &alone;

		*s = alone;
		s->threaded = shares && pthread_create(&s->thread, NULL, do_share, s) == 0;
		if (!s->threaded)
			do_share(s);
		if (!shares)
			failed += s->failed;
	}
	for (size_t i = 0; shares && i < list->count; i++) {
		if (shares[i].threaded)
			pthread_join(shares[i].thread, NULL);
		failed += shares[i].failed;
	}
	free(shares);
	return failed;
}
