#include "controller/client/bridge.h"

#include "controller/client/bridge_impl.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* nng gives a new connection 10 s until it has the agent's SP header. */
#define OPEN_MS 9000

/* How long nobody need notice that a connection has failed. */
#define LINGER_MS 5000

#define BUFFER_BYTES    ((size_t)64 * 1024)
#define CONNECTIONS_MAX 16

struct bridge {
	const struct bridge_ops *ops;
	void *arg;
	char *dir;
	char *path;
	int listen_fd;
	int stop_fds[2]; /* [0] becomes readable, for all threads, when the bridge closes */
	pthread_t acceptor;
	bool accepting;

	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t idle;
	unsigned connections;
	unsigned failures;
	struct err failure;
};

/* Bytes on their way in one direction. */
struct flow {
	size_t at, len;
	uint8_t bytes[BUFFER_BYTES];
};

/* One connection of nng's. */
struct crossing {
	struct bridge *bridge;
	int local_fd;
	struct bridge_pipe pipe;
	bool agent_spoke;
	bool pipe_ended;
	struct flow to_agent;
	struct flow to_local;
};

/* --- what was found out ----------------------------------------------------------------------- */

static void record_failure(struct bridge *bridge, const struct err *err)
{
	pthread_mutex_lock(&bridge->lock);
	bridge->failure = *err;
	bridge->failures++;
	pthread_mutex_unlock(&bridge->lock);
}

bool bridge_failed(struct bridge *bridge, unsigned *seen, struct err *err)
{
	bool failed;

	pthread_mutex_lock(&bridge->lock);
	failed = bridge->failures != *seen;
	*seen = bridge->failures;
	if (failed)
		*err = bridge->failure;
	pthread_mutex_unlock(&bridge->lock);
	return failed;
}

const char *bridge_path(const struct bridge *bridge)
{
	return bridge->path;
}

const char *bridge_name(const struct bridge *bridge)
{
	return bridge->ops->name;
}

/* --- one connection --------------------------------------------------------------------------- */

static bool is_transient(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

static bool is_stopping(const struct bridge *bridge)
{
	struct pollfd p = { .fd = bridge->stop_fds[0], .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static ssize_t pipe_read(struct crossing *c, struct flow *flow)
{
	const struct bridge_ops *ops = c->bridge->ops;

	if (ops->read)
		return ops->read(&c->pipe, flow->bytes, sizeof(flow->bytes));
	return read(c->pipe.read_fd, flow->bytes, sizeof(flow->bytes));
}

static ssize_t pipe_write(struct crossing *c, const uint8_t *bytes, size_t len)
{
	if (c->bridge->ops->write)
		return c->bridge->ops->write(&c->pipe, bytes, len);
	return write(c->pipe.write_fd, bytes, len);
}

static bool pipe_has_pending(struct crossing *c)
{
	return c->bridge->ops->has_pending && c->bridge->ops->has_pending(&c->pipe);
}

static bool flow_is_empty(const struct flow *flow)
{
	return flow->at == flow->len;
}

/* Both return false when that side is of no more use. */
static bool fill(struct flow *flow, ssize_t n)
{
	if (n <= 0)
		return is_transient(n);
	flow->at = 0;
	flow->len = (size_t)n;
	return true;
}

static bool drain(struct flow *flow, ssize_t n)
{
	if (n < 0)
		return is_transient(n);
	flow->at += (size_t)n;
	return true;
}

static bool from_local(struct crossing *c)
{
	struct flow *flow = &c->to_agent;

	if (flow_is_empty(flow) &&
	    !fill(flow, recv(c->local_fd, flow->bytes, sizeof(flow->bytes), 0)))
		return false;
	if (flow_is_empty(flow) ||
	    drain(flow, pipe_write(c, flow->bytes + flow->at, flow->len - flow->at)))
		return true;
	c->pipe_ended = true;
	return false;
}

static bool from_pipe(struct crossing *c)
{
	struct flow *flow = &c->to_local;

	if (flow_is_empty(flow)) {
		if (!fill(flow, pipe_read(c, flow))) {
			c->pipe_ended = true;
			return false;
		}
		c->agent_spoke |= !flow_is_empty(flow);
	}
	return flow_is_empty(flow) ||
	       drain(flow, send(c->local_fd, flow->bytes + flow->at, flow->len - flow->at, 0));
}

/* Waits until one of both directions can go on. False: the bridge closes. */
static bool wait_ready(struct crossing *c)
{
	bool hold_agent = !flow_is_empty(&c->to_agent), hold_local = !flow_is_empty(&c->to_local);
	struct pollfd p[] = {
		{ .fd = c->bridge->stop_fds[0], .events = POLLIN },
		{ .fd = c->local_fd,
		  .events = (hold_agent ? 0 : POLLIN) | (hold_local ? POLLOUT : 0) },
		{ .fd = c->pipe.read_fd, .events = hold_local ? 0 : POLLIN },
		{ .fd = c->pipe.write_fd, .events = hold_agent ? POLLOUT : 0 },
	};

	/* A side that is not waited for must not report its hang-up again and again. */
	for (size_t i = 1; i < ARRAY_LEN(p); i++) {
		if (!p[i].events)
			p[i].fd = -1;
	}
	if (!hold_local && pipe_has_pending(c))
		return true;
	while (poll(p, ARRAY_LEN(p), -1) < 0 && errno == EINTR)
		;
	return !p[0].revents;
}

static void explain(struct crossing *c, struct err *err)
{
	if (c->bridge->ops->explain) {
		c->bridge->ops->explain(&c->pipe, err);
		return;
	}
	err_set(err, ERR_UNAVAILABLE, 0, "the connection was closed before the agent answered");
	err_explain(err, "AGENT_NOT_ANSWERING", NULL);
}

/* A connection that failed stays open until nng lets go of it, as the one who waits for it makes it do: a
 * dialer that is hung up on tries again at once, and the way with it. */
static void fail(struct crossing *c, const struct err *err)
{
	struct pollfd p[] = {
		{ .fd = c->bridge->stop_fds[0], .events = POLLIN },
		{ .fd = c->local_fd, .events = 0 },
	};

	record_failure(c->bridge, err);
	while (poll(p, 2, LINGER_MS) < 0 && errno == EINTR)
		;
}

static void carry(struct crossing *c)
{
	struct err err;

	while (from_local(c) && from_pipe(c) && wait_ready(c))
		;
	if (c->agent_spoke || !c->pipe_ended || is_stopping(c->bridge))
		return;
	explain(c, &err);
	fail(c, &err);
}

/* Nothing is opened for one who only looks whether somebody listens. */
static bool wait_first_byte(struct crossing *c)
{
	struct pollfd p[] = {
		{ .fd = c->bridge->stop_fds[0], .events = POLLIN },
		{ .fd = c->local_fd, .events = POLLIN },
	};
	char byte;

	while (poll(p, 2, OPEN_MS) < 0 && errno == EINTR)
		;
	return !p[0].revents && p[1].revents && recv(c->local_fd, &byte, 1, MSG_PEEK) == 1;
}

static void cross(struct crossing *c)
{
	struct bridge *bridge = c->bridge;
	struct err err;

	if (!wait_first_byte(c))
		return;
	if (bridge->ops->open(bridge->arg, bridge->stop_fds[0], deadline_in_ms(OPEN_MS), &c->pipe,
			      &err) < 0) {
		fail(c, &err);
		return;
	}
	carry(c);
	bridge->ops->close(&c->pipe);
}

static void *run_crossing(void *arg)
{
	struct crossing *c = arg;
	struct bridge *bridge = c->bridge;

	cross(c);
	close(c->local_fd);
	free(c);
	pthread_mutex_lock(&bridge->lock);
	bridge->connections--;
	pthread_cond_broadcast(&bridge->idle);
	pthread_mutex_unlock(&bridge->lock);
	return NULL;
}

/* --- accepting ------------------------------------------------------------------------------------ */

static void set_flags(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* The directory keeps other users out; this keeps out their programs that run as us. */
static bool is_own_process(int fd)
{
#ifdef __linux__
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == getpid();
#else
	(void)fd;
	return true;
#endif
}

static bool count_in(struct bridge *bridge)
{
	bool room;

	pthread_mutex_lock(&bridge->lock);
	room = bridge->connections < CONNECTIONS_MAX;
	bridge->connections += room;
	pthread_mutex_unlock(&bridge->lock);
	return room;
}

static void start_crossing(struct bridge *bridge, int fd)
{
	struct crossing *c = is_own_process(fd) ? malloc(sizeof(*c)) : NULL;
	pthread_t thread;

	if (!c || !count_in(bridge)) {
		close(fd);
		free(c);
		return;
	}
	memset(c, 0, offsetof(struct crossing, to_agent));
	c->bridge = bridge;
	c->local_fd = fd;
	c->to_agent.at = c->to_agent.len = 0;
	c->to_local.at = c->to_local.len = 0;
	if (pthread_create(&thread, NULL, run_crossing, c) == 0)
		pthread_detach(thread);
	else
		run_crossing(c);
}

/* One more than there may be waits its turn: hung up on in the middle of its negotiation, nng's dialer would be
 * of no more use. */
static void wait_room(struct bridge *bridge)
{
	pthread_mutex_lock(&bridge->lock);
	while (bridge->connections >= CONNECTIONS_MAX) /* all end when the bridge closes */
		pthread_cond_wait(&bridge->idle, &bridge->lock);
	pthread_mutex_unlock(&bridge->lock);
}

static void *run_acceptor(void *arg)
{
	struct bridge *bridge = arg;
	struct pollfd p[] = {
		{ .fd = bridge->stop_fds[0], .events = POLLIN },
		{ .fd = bridge->listen_fd, .events = POLLIN },
	};

	for (;;) {
		int fd;

		while (poll(p, 2, -1) < 0 && errno == EINTR)
			;
		if (p[0].revents)
			return NULL;
		wait_room(bridge);
		fd = accept(bridge->listen_fd, NULL, NULL);
		if (fd < 0)
			continue;
		set_flags(fd);
		start_crossing(bridge, fd);
	}
}

/* No signal is for the bridge's threads: they inherit this mask. */
static int start_acceptor(struct bridge *bridge, struct err *err)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&bridge->acceptor, NULL, run_acceptor, bridge);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, rc, "start a thread");
	bridge->accepting = true;
	return 0;
}

/* --- life ----------------------------------------------------------------------------------------- */

static int make_directory(struct bridge *bridge, struct err *err)
{
	const char *tmp = getenv("TMPDIR");

	bridge->dir = text_format("%s/berth-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	if (!bridge->dir)
		return err_oom(err);
	if (!mkdtemp(bridge->dir)) {
		err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot make the directory '%s'",
			bridge->dir);
		free(TAKE(bridge->dir));
		return err_explain(err, NULL, "set TMPDIR to a directory that you may write");
	}
	bridge->path = text_format("%s/agent.sock", bridge->dir);
	return bridge->path ? 0 : err_oom(err);
}

static int listen_local(struct bridge *bridge, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(bridge->path) >= sizeof(address.sun_path))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "the socket path '%s' is too long",
			       bridge->path);
	memcpy(address.sun_path, bridge->path, strlen(bridge->path) + 1);
	bridge->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bridge->listen_fd < 0 || pipe(bridge->stop_fds) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	set_flags(bridge->listen_fd);
	set_flags(bridge->stop_fds[0]);
	set_flags(bridge->stop_fds[1]);
	if (bind(bridge->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(bridge->listen_fd, CONNECTIONS_MAX) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "listen on '%s'", bridge->path);
	return 0;
}

int bridge_open(const struct bridge_ops *ops, void *arg, struct bridge **ret_bridge,
		struct err *err)
{
	cleanup_with(bridge) struct bridge *bridge = calloc(1, sizeof(*bridge));

	if (!bridge) {
		ops->release(arg);
		return err_oom(err);
	}
	bridge->ops = ops;
	bridge->arg = arg;
	bridge->listen_fd = bridge->stop_fds[0] = bridge->stop_fds[1] = -1;
	pthread_mutex_init(&bridge->lock, NULL);
	pthread_cond_init(&bridge->idle, NULL);
	if (make_directory(bridge, err) < 0 || listen_local(bridge, err) < 0 ||
	    start_acceptor(bridge, err) < 0)
		return -1;
	*ret_bridge = TAKE(bridge);
	return 0;
}

static void end_threads(struct bridge *bridge)
{
	if (bridge->stop_fds[1] >= 0) /* its end of stream is what the other end shows to all */
		close(bridge->stop_fds[1]);
	if (bridge->accepting)
		pthread_join(bridge->acceptor, NULL);
	pthread_mutex_lock(&bridge->lock);
	while (bridge->connections > 0)
		pthread_cond_wait(&bridge->idle, &bridge->lock);
	pthread_mutex_unlock(&bridge->lock);
}

void bridge_close(struct bridge *bridge)
{
	if (!bridge)
		return;
	end_threads(bridge);
	if (bridge->path)
		unlink(bridge->path);
	if (bridge->dir)
		rmdir(bridge->dir);
	if (bridge->listen_fd >= 0)
		close(bridge->listen_fd);
	if (bridge->stop_fds[0] >= 0)
		close(bridge->stop_fds[0]);
	bridge->ops->release(bridge->arg);
	pthread_cond_destroy(&bridge->idle);
	pthread_mutex_destroy(&bridge->lock);
	free(bridge->path);
	free(bridge->dir);
	free(bridge);
}
