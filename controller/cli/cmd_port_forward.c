/*
 * port-forward: listeners here, on the loopback unless told otherwise; each connection is a session of
 * its own, with two threads, until either side is done.
 */
#include "controller/cli/cmd_transfer.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/rows.h"
#include "shared/base/inet.h"
#include "shared/base/parse.h"

#include "node/v1/forward.pb-c.h"
#include "node/v1/health.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LISTENERS_MAX 64
#define BACKLOG       64

struct listener {
	int fd;
	uint16_t remote;
};

struct forwarding {
	struct invocation *inv;
	struct client *client; /* borrowed from the node */
	char node[256];
	char pod[256];
	struct listener listeners[LISTENERS_MAX];
	size_t count;

	pthread_mutex_t lock; /* of what follows, and of stderr */
	pthread_cond_t changed;
	size_t connections;
};

struct connection {
	struct forwarding *forwarding;
	int fd;
	uint16_t remote;
};

/* --- words ----------------------------------------------------------------------------------------- */

static bool parse_port(const char *s, int64_t min, uint16_t *ret)
{
	int64_t port;

	if (!parse_int(s, min, 65535, &port))
		return false;
	*ret = (uint16_t)port;
	return true;
}

/* "LOCAL:REMOTE", ":REMOTE" (any free port here), "PORT" (the same on both sides). */
static int parse_pair(const char *word, uint16_t *ret_local, uint16_t *ret_remote, struct err *err)
{
	const char *colon = strchr(word, ':');
	char local[8] = "0";

	if (colon && colon > word)
		snprintf(local, sizeof(local), "%.*s", (int)(colon - word), word);
	if (colon && colon - word < (long)sizeof(local) && parse_port(local, 0, ret_local) &&
	    parse_port(colon + 1, 1, ret_remote))
		return 0;
	if (!colon && parse_port(word, 1, ret_remote)) {
		*ret_local = *ret_remote;
		return 0;
	}
	usage_error(err, "'%s' is no LOCAL:REMOTE", word);
	return err_explain(err, "BAD_VALUE",
			   "ports are 1 to 65535; an empty LOCAL is any free one");
}

static int parse_target(struct forwarding *f, const char *word, struct err *err)
{
	const char *slash = strchr(word, '/');
	size_t len = slash ? (size_t)(slash - word) : strlen(word);

	if (len == 0 || len >= sizeof(f->node) || (slash && strlen(slash + 1) >= sizeof(f->pod)))
		return usage_error(err, "'%.60s' is no NODE or NODE/POD", word);
	snprintf(f->node, sizeof(f->node), "%.*s", (int)len, word);
	snprintf(f->pod, sizeof(f->pod), "%s", slash ? slash + 1 : "");
	if (slash && !name_is_subdomain(f->pod)) {
		usage_error(err, "'%s' is no pod name", f->pod);
		return err_explain(err, "BAD_NAME", NULL);
	}
	return 0;
}

/* --- listening ------------------------------------------------------------------------------------- */

/* -1 with errno. */
static int listen_at(const union inet_address *address, socklen_t len)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &address->any, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	on = errno;
	close(fd);
	errno = on;
	return -1;
}

/* '*port' 0 becomes the one that was found. 'must': failing is an error. */
static int add_listener(struct forwarding *f, const char *text, uint16_t *port, uint16_t remote,
			bool must, struct err *err)
{
	union inet_address address;
	socklen_t len = inet_parse(text, *port, &address);
	int fd;

	if (!len) {
		usage_error(err, "'%s' is no IP address", text);
		return err_explain(err, "BAD_VALUE", NULL);
	}
	if (f->count == LISTENERS_MAX)
		return usage_error(err, "too many ports, %d at most", LISTENERS_MAX / 2);
	fd = listen_at(&address, len);
	if (fd < 0 && !must)
		return 0;
	if (fd < 0) {
		err_set(err, errno == EADDRINUSE ? ERR_ALREADY_EXISTS : ERR_FAILED_PRECONDITION,
			errno, "listen on %s port %u", text, *port);
		return err_explain(err, "PORT_IN_USE", "an empty LOCAL takes any free port");
	}
	f->listeners[f->count++] = (struct listener){ .fd = fd, .remote = remote };
	*port = inet_bound_port(fd);
	fprintf(f->inv->out,
		strchr(text, ':') ? "Forwarding from [%s]:%u -> %u\n"
				  : "Forwarding from %s:%u -> %u\n",
		text, *port, remote);
	fflush(f->inv->out);
	return 0;
}

/* All of them before anybody is asked. */
static int check_pairs(const struct strv *words, struct err *err)
{
	uint16_t local, remote;

	for (size_t i = 1; i < words->count; i++) {
		if (parse_pair(words->items[i], &local, &remote, err) < 0)
			return -1;
	}
	return 0;
}

static int listen_for(struct forwarding *f, const char *word, struct err *err)
{
	const char *address = f->inv->opt->address;
	uint16_t local = 0, remote = 0;

	if (parse_pair(word, &local, &remote, err) < 0)
		return -1;
	if (address)
		return add_listener(f, address, &local, remote, true, err);
	/* A host without IPv6 has no ::1. */
	if (add_listener(f, "127.0.0.1", &local, remote, true, err) < 0)
		return -1;
	return add_listener(f, "::1", &local, remote, false, err);
}

/* --- one connection -------------------------------------------------------------------------------- */

static int to_socket(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	int fd = *(int *)arg;

	(void)channel;
	while (len) {
		ssize_t n = send(fd, bytes, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_CANCELLED, errno, "the connection here");
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int open_session(const struct connection *c, struct client *client,
			struct client_stream **ret_stream, struct err *err)
{
	const struct forwarding *f = c->forwarding;
	struct rpc rpc = rpc_to(client, &berth__node__v1__forward__descriptor,
				deadline_in_ms(TRANSFER_CALL_MS), err);
	Berth__Node__V1__ForwardOpenRequest req = BERTH__NODE__V1__FORWARD_OPEN_REQUEST__INIT;
	struct client_stream_id id = { 0 };

	req.port = c->remote;
	req.pod = (char *)f->pod;
	req.namespace_ = (char *)(f->inv->opt->namespace ? f->inv->opt->namespace : "");
	berth__node__v1__forward__open(&rpc.base, &req, client_stream_take_id, &id);
	if (rpc.result < 0)
		return -1;
	return client_stream_open(client, id.bytes, id.len, ret_stream, err);
}

static int serve(struct connection *c, struct err *err)
{
	cleanup_with(client) struct client *client = NULL;
	cleanup_with(client_stream) struct client_stream *stream = NULL;
	const struct interrupt *interrupt = c->forwarding->inv->interrupt;
	struct client_stream_io io = { .in_fd = c->fd,
				       .stop_fd = interrupt ? interrupt->fd : -1,
				       .data = to_socket,
				       .arg = &c->fd };
	struct client_stream_end end;

	if (client_open_beside(c->forwarding->client, &client, err) < 0 ||
	    open_session(c, client, &stream, err) < 0 ||
	    client_stream_run(stream, &io, DEADLINE_NEVER, &end, err) < 0)
		return -1;
	if (!end.err.code)
		return 0;
	*err = end.err;
	return -1;
}

static void *connection_thread(void *arg)
{
	struct connection *c = arg;
	struct forwarding *f = c->forwarding;
	struct err err = { 0 };
	int result = serve(c, &err);

	close(c->fd);
	pthread_mutex_lock(&f->lock);
	if (result < 0 && err.code != ERR_CANCELLED)
		invocation_note(f->inv, "a connection to port %u ended: %s", c->remote, err.msg);
	f->connections--;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	free(c);
	return NULL;
}

static void accept_one(struct forwarding *f, const struct listener *listener)
{
	struct connection *c = malloc(sizeof(*c));
	int fd = accept(listener->fd, NULL, NULL);
	pthread_t thread;

	if (c && fd >= 0) {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, 0);
		*c = (struct connection){ .forwarding = f, .fd = fd, .remote = listener->remote };
		pthread_mutex_lock(&f->lock);
		f->connections++;
		pthread_mutex_unlock(&f->lock);
		if (pthread_create(&thread, NULL, connection_thread, c) == 0) {
			pthread_detach(thread);
			return;
		}
		pthread_mutex_lock(&f->lock);
		f->connections--;
		pthread_mutex_unlock(&f->lock);
	}
	free(c);
	if (fd >= 0)
		close(fd);
}

/* --- the whole ------------------------------------------------------------------------------------- */

/* Until it is interrupted or its time is over. */
static void accept_all(struct forwarding *f)
{
	struct pollfd fds[LISTENERS_MAX + 1];
	const struct interrupt *interrupt = f->inv->interrupt;

	for (size_t i = 0; i < f->count; i++)
		fds[i] = (struct pollfd){ .fd = f->listeners[i].fd, .events = POLLIN };
	fds[f->count] = (struct pollfd){ .fd = interrupt ? interrupt->fd : -1, .events = POLLIN };
	while (!deadline_is_over(f->inv->by)) {
		if (poll(fds, (nfds_t)f->count + 1, deadline_poll_ms(f->inv->by)) < 0)
			continue;
		if (fds[f->count].revents)
			return;
		for (size_t i = 0; i < f->count; i++) {
			if (fds[i].revents)
				accept_one(f, &f->listeners[i]);
		}
	}
}

/* They watch the interrupt themselves. */
static void wait_for_connections(struct forwarding *f)
{
	pthread_mutex_lock(&f->lock);
	while (f->connections > 0)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static int listen_and_serve(struct forwarding *f, struct err *err)
{
	for (size_t i = 1; i < f->inv->args->count; i++) {
		if (listen_for(f, f->inv->args->items[i], err) < 0)
			return -1;
	}
	accept_all(f);
	return 0;
}

static void take_health(const Berth__Node__V1__HealthReply *rep, void *arg)
{
	(void)rep;
	(void)arg;
}

/* node_fn: whether anybody is there. */
static int ask_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct deadline by = deadline_in_ms(TRANSFER_CALL_MS);
	struct rpc rpc;

	(void)arg;
	(void)rows;
	if (nodes_rpc(node, &berth__node__v1__health__descriptor, by, &rpc, err) < 0)
		return -1;
	berth__node__v1__health__check(&rpc.base, &req, take_health, NULL);
	return rpc.result;
}

/* node_fn: whether the pod is there. */
static int ask_pod(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	const struct forwarding *f = arg;
	char *words[] = { (char *)f->pod, NULL };
	const struct strv names = { .items = words, .count = 1 };
	const char *namespace = f->inv->opt->namespace;
	struct rows_request request = { .inv = f->inv,
					.names = &names,
					.namespace = namespace ? namespace : "default" };

	if (pod_rows(node, &request, rows, err) < 0)
		return -1;
	if (json_object_array_length(rows) > 0)
		return 0;
	err_set(err, ERR_NOT_FOUND, 0, "no pod '%s' in namespace '%s' on this node", f->pod,
		request.namespace);
	return err_explain(err, "POD_NOT_FOUND",
			   "'berth get pods -A' lists what there is, and where");
}

/* Before there is a port that leads nowhere. False: it has been told why. */
static bool is_there(struct forwarding *f, const struct node_list *nodes, struct err *err)
{
	cleanup_json struct json_object *rows = NULL;

	return nodes_ask(f->inv, nodes, f->pod[0] ? ask_pod : ask_node, f, &rows, err) == 0 &&
	       !f->inv->exit_code;
}

static int port_forward(struct invocation *inv, struct err *err)
{
	cleanup_with(node_list) struct node_list nodes = { 0 };
	struct forwarding f = { .inv = inv,
				.lock = PTHREAD_MUTEX_INITIALIZER,
				.changed = PTHREAD_COND_INITIALIZER };
	char *words[] = { f.node, NULL };
	struct strv names = { .items = words, .count = 1 };
	int result;

	if (parse_target(&f, inv->args->items[0], err) < 0 || check_pairs(inv->args, err) < 0 ||
	    nodes_select_words(inv, &names, NODES_ONE, &nodes, err) < 0 ||
	    nodes_client(nodes.items[0], &f.client, err) < 0)
		return -1;
	if (!is_there(&f, &nodes, err))
		return inv->exit_code ? 0 : -1;
	result = listen_and_serve(&f, err);
	for (size_t i = 0; i < f.count; i++)
		close(f.listeners[i].fd);
	wait_for_connections(&f);
	return result;
}

static const struct option_spec forward_options[] = {
	OPTION_ROW_NAMESPACE,
	{ .name = "address",
	  .value = "IP",
	  .type = OPTION_TEXT,
	  OPTION_AT(address),
	  .help = "listen on this address (default: the loopback, 127.0.0.1 and ::1)" },
	{ 0 },
};

const struct command cmd_port_forward = {
	.name = "port-forward",
	.args = "NODE[/POD] [LOCAL:]REMOTE...",
	.summary = "forward ports here to ports of a node or of a pod, until interrupted",
	.details = "The other end is the loopback of the node, or of the pod. An empty LOCAL is "
		   "any free port.",
	.example = "berth port-forward worker/web 8080:80",
	.min_args = 2,
	.max_args = -1,
	.flags = CMD_PLANS,
	.outputs = 1U << OUTPUT_TABLE,
	.options = forward_options,
	.run = port_forward,
};
