#include "agent/gate/relay.h"

#include "shared/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FLOW_BYTES (64 * 1024)

/* Bytes on their way in one direction. */
struct flow {
	int from;
	int to;
	bool ended;  /* 'from' has no more */
	bool closed; /* and 'to' knows, or is gone */
	size_t at;
	size_t len;
	uint8_t bytes[FLOW_BYTES];
};

static bool is_transient(int sys)
{
	return sys == EAGAIN || sys == EWOULDBLOCK || sys == EINTR;
}

static void flow_read(struct flow *flow)
{
	ssize_t n = read(flow->from, flow->bytes, sizeof(flow->bytes));

	if (n > 0) {
		flow->at = 0;
		flow->len = (size_t)n;
	} else if (n == 0 || !is_transient(errno)) {
		flow->ended = true;
	}
}

static void flow_write(struct flow *flow)
{
	ssize_t n = write(flow->to, flow->bytes + flow->at, flow->len - flow->at);

	if (n >= 0)
		flow->at += (size_t)n;
	else if (!is_transient(errno))
		flow->closed = true;
}

static bool has_bytes(const struct flow *flow)
{
	return flow->at < flow->len;
}

/* One step of both; a descriptor of -1 is not waited for. */
static int step(struct flow *in, struct flow *out, struct err *err)
{
	struct pollfd fds[] = {
		{ .fd = in->ended || has_bytes(in) ? -1 : in->from, .events = POLLIN },
		{ .fd = has_bytes(in) && !in->closed ? in->to : -1, .events = POLLOUT },
		{ .fd = out->ended || has_bytes(out) ? -1 : out->from, .events = POLLIN },
		{ .fd = out->to, .events = has_bytes(out) ? POLLOUT : 0 },
	};

	if (poll(fds, ARRAY_LEN(fds), -1) < 0)
		return errno == EINTR ? 0 : err_set(err, ERR_INTERNAL, errno, "relay: poll");
	if (fds[0].revents)
		flow_read(in);
	if (fds[1].revents)
		flow_write(in);
	if (fds[2].revents)
		flow_read(out);
	if (fds[3].revents & POLLOUT)
		flow_write(out);
	else if (fds[3].revents) /* nobody reads what we would say */
		out->closed = true;
	return 0;
}

static int carry(int socket_fd, struct flow *in, struct flow *out, struct err *err)
{
	while (!out->closed && (!out->ended || has_bytes(out))) {
		if (step(in, out, err) < 0)
			return -1;
		if (in->ended && !in->closed && !has_bytes(in)) {
			shutdown(socket_fd, SHUT_WR);
			in->closed = true;
		}
	}
	return 0;
}

static int open_socket(const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "the path '%s' is too long", path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		err_set(err, ERR_UNAVAILABLE, errno, "the agent does not answer at '%s'", path);
		close(fd);
		return -1;
	}
	return fd;
}

static void set_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int relay_run(const char *socket_path, int in_fd, int out_fd, struct err *err)
{
	cleanup_fd int fd = open_socket(socket_path, err);
	cleanup_free struct flow *in = malloc(sizeof(*in));
	cleanup_free struct flow *out = malloc(sizeof(*out));

	if (fd < 0)
		return -1;
	if (!in || !out)
		return err_oom(err);
	memset(in, 0, offsetof(struct flow, bytes));
	memset(out, 0, offsetof(struct flow, bytes));
	in->from = in_fd;
	in->to = out->from = fd;
	out->to = out_fd;
	set_nonblocking(fd);
	set_nonblocking(in_fd);
	set_nonblocking(out_fd);
	return carry(fd, in, out, err);
}
