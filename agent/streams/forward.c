#include "agent/streams/forward.h"

#include "agent/streams/netns.h"
#include "agent/streams/streams_impl.h"
#include "agent/units/timer.h"
#include "shared/base/cleanup.h"
#include "shared/base/inet.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads in a row before others get their turn. */
#define READS_MAX 4

static const char *const loopbacks[] = { "127.0.0.1", "::1" };

struct forward {
	struct streams *streams;
	struct stream *stream;
	uint32_t pid;
	char addresses[ARRAY_LEN(loopbacks)][INET6_ADDRSTRLEN];
	size_t count, next; /* of the addresses: the first that has not been tried */
	uint16_t port;
	struct netns_ask ask; /* for the socket of the address under way */
	struct err no_socket; /* why there was none */
	int fd;               /* -1: none */
	sd_event_source *source;
	sd_event_source *timer;
	forward_done_fn *done; /* NULL once it has been told */
	void *arg;
	bool reads;   /* the session has room */
	bool writes;  /* input waits for the socket */
	bool broken;  /* what is written goes nowhere */
	bool refused; /* one of the addresses is there, and nobody listens */
};

static void tell(struct forward *f, const struct err *err)
{
	forward_done_fn *done = f->done;

	f->done = NULL;
	timer_stop(&f->timer);
	if (done)
		done(f->arg, err ? NULL : f->stream, err);
}

/* --- the life of a connection ------------------------------------------------------------------------ */

static void watch(struct forward *f)
{
	uint32_t events = (f->reads ? EPOLLIN : 0U) | (f->writes ? EPOLLOUT : 0U);

	if (!f->source)
		return;
	if (events)
		sd_event_source_set_io_events(f->source, events);
	/* Without any, a hang-up would still be told, again and again. */
	sd_event_source_set_enabled(f->source, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void forward_hang_up(struct forward *f)
{
	f->source = sd_event_source_disable_unref(f->source);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->broken = true;
	stream_want_input(f->stream);
}

static void finish(struct forward *f, int sys)
{
	struct stream_end end = { 0 };

	if (sys) {
		err_set(&end.err, ERR_UNAVAILABLE, sys, "the connection to port %u", f->port);
		err_explain(&end.err, "CONNECTION_LOST", NULL);
	}
	forward_hang_up(f);
	stream_finish(f->stream, &end);
}

static void read_some(struct forward *f)
{
	for (int i = 0; i < READS_MAX; i++) {
		size_t len;
		uint8_t *to = stream_reserve(f->stream, STREAM_OUT, &len);
		ssize_t n;

		if (!to) {
			f->reads = false;
			return;
		}
		n = recv(f->fd, to, len, 0);
		if (n > 0)
			stream_commit(f->stream, (size_t)n);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			finish(f, n < 0 ? errno : 0);
			return;
		}
	}
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct forward *f = arg;

	(void)source;
	(void)fd;
	if (f->writes && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		f->writes = false;
		stream_want_input(f->stream);
	}
	if (f->reads && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		read_some(f);
	watch(f);
	return 0;
}

static void forward_pump(void *source)
{
	struct forward *f = source;

	if (f->fd < 0 || f->done)
		return;
	f->reads = true;
	watch(f);
}

static size_t forward_input(void *source, const uint8_t *bytes, size_t len)
{
	struct forward *f = source;
	ssize_t n;

	if (f->broken)
		return len;
	n = send(f->fd, bytes, len, MSG_NOSIGNAL);
	if (n >= 0)
		return (size_t)n;
	if (errno == EAGAIN || errno == EINTR) {
		f->writes = true;
		watch(f);
		return 0;
	}
	/* What it still has to say is read all the same. */
	f->broken = true;
	return len;
}

static void forward_input_end(void *source)
{
	struct forward *f = source;

	if (f->fd >= 0)
		shutdown(f->fd, SHUT_WR);
}

static void forward_close(void *source)
{
	struct forward *f = source;
	struct err err;

	f->source = sd_event_source_disable_unref(f->source);
	netns_cancel(&f->ask);
	if (f->fd >= 0)
		close(f->fd);
	err_set(&err, ERR_UNAVAILABLE, 0, "the session was closed");
	tell(f, &err);
	free(f);
}

static const struct stream_ops forward_ops = {
	.kind = "forward",
	.pump = forward_pump,
	.input = forward_input,
	.input_end = forward_input_end,
	.close = forward_close,
};

/* --- connecting -------------------------------------------------------------------------------------- */

static void fail(struct forward *f, const struct err *err)
{
	tell(f, err);
	stream_close(f->stream);
}

static void established(struct forward *f)
{
	int on = 1;

	setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	f->reads = true;
	f->writes = false;
	watch(f);
	tell(f, NULL);
}

static void try_next(struct forward *f, int sys);

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct forward *f = arg;
	socklen_t len = sizeof(int);
	int sys = 0;

	(void)source;
	(void)events;
	if (!f->done)
		return on_ready(source, fd, events, arg);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0)
		sys = errno;
	if (sys)
		try_next(f, sys);
	else
		established(f);
	return 0;
}

/* All that follow: 0: under way or there; else the errno. */
static int start_connect(struct forward *f)
{
	union inet_address address;
	socklen_t len = inet_parse(f->addresses[f->next - 1], f->port, &address);
	int rc;

	if (connect(f->fd, &address.any, len) < 0 && errno != EINPROGRESS)
		return errno;
	rc = sd_event_add_io(f->streams->loop, &f->source, f->fd, EPOLLOUT, on_connected, f);
	return rc < 0 ? -rc : 0;
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct forward *f = arg;
	int sys = EADDRNOTAVAIL;

	(void)source;
	(void)fd;
	(void)events;
	f->source = sd_event_source_disable_unref(f->source);
	if (netns_answer(&f->ask, f->pid, &f->fd, &f->no_socket) == 0)
		sys = start_connect(f);
	if (sys)
		try_next(f, sys);
	return 0;
}

/* From the network of process 'pid': it is sent for. */
static int start_there(struct forward *f, int family)
{
	int rc;

	if (netns_ask(f->pid, family, &f->ask, &f->no_socket) < 0)
		return EADDRNOTAVAIL;
	rc = sd_event_add_io(f->streams->loop, &f->source, f->ask.from, EPOLLIN, on_socket, f);
	return rc < 0 ? -rc : 0;
}

static int start(struct forward *f)
{
	union inet_address address;

	if (!inet_parse(f->addresses[f->next++], f->port, &address))
		return EADDRNOTAVAIL;
	if (f->pid)
		return start_there(f, address.any.sa_family);
	f->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return f->fd < 0 ? errno : start_connect(f);
}

/* 'sys': why the one before did not do. */
static void try_next(struct forward *f, int sys)
{
	struct err err;

	f->refused = f->refused || sys == ECONNREFUSED;
	while (f->next < f->count) {
		f->source = sd_event_source_disable_unref(f->source);
		netns_cancel(&f->ask);
		if (f->fd >= 0)
			close(f->fd);
		f->fd = -1;
		sys = start(f);
		if (sys == 0)
			return;
		f->refused = f->refused || sys == ECONNREFUSED;
	}
	err = f->no_socket;
	if (f->refused) {
		err_set(&err, ERR_UNAVAILABLE, 0, "nobody listens on port %u", f->port);
		err_explain(&err, "NOBODY_LISTENS", NULL);
	} else if (err.code == ERR_OK) {
		err_set(&err, ERR_UNAVAILABLE, sys, "connect to port %u", f->port);
	}
	fail(f, &err);
}

static int on_late(sd_event_source *source, uint64_t usec, void *arg)
{
	struct forward *f = arg;
	struct err err;

	(void)source;
	(void)usec;
	err_set(&err, ERR_DEADLINE_EXCEEDED, 0, "connect to port %u: no answer in time", f->port);
	fail(f, &err);
	return 0;
}

static void set_addresses(struct forward *f, const char *address)
{
	f->count = address ? 1 : ARRAY_LEN(loopbacks);
	for (size_t i = 0; i < f->count; i++)
		snprintf(f->addresses[i], sizeof(f->addresses[i]), "%s",
			 address ? address : loopbacks[i]);
}

void forward_stream_open(struct streams *streams, const struct forward_target *target,
			 enum method_role role, struct deadline by, forward_done_fn *done,
			 void *arg)
{
	cleanup_free struct forward *f = calloc(1, sizeof(*f));
	struct forward *open;
	struct err err;

	if (!f) {
		err_oom(&err);
		done(arg, NULL, &err);
		return;
	}
	f->streams = streams;
	f->pid = target->pid;
	f->port = target->port;
	f->fd = -1;
	set_addresses(f, target->address);
	if (stream_new(streams, &forward_ops, f, role, &f->stream, &err) < 0) {
		done(arg, NULL, &err);
		return;
	}
	open = TAKE(f);
	open->done = done;
	open->arg = arg;
	if (timer_start(streams->loop, by, on_late, open, &open->timer) < 0) {
		err_oom(&err);
		fail(open, &err);
		return;
	}
	try_next(open, 0);
}
