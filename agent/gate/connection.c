/*
 * One connection. Its life: HEADER, NEGOTIATE, RELAY.
 *
 * In NEGOTIATE the rule is that nng's 8 bytes are read whatever happens. nng 1.5.2 stops listening
 * for ever when a peer is gone before it has sent its header (security-faults.md P1), so not even
 * the client's end nor the gate's own deadline may close that socket early.
 */
#include "agent/gate/gate_impl.h"

#include "shared/base/deadline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

/* SP over a stream: zero, "SP", version 0, protocol number big-endian, reserved. */
static const uint8_t header_req[SP_HEADER_BYTES] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
static const uint8_t header_rep[SP_HEADER_BYTES] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };

static void end_release(struct end *end)
{
	end->source = sd_event_source_disable_unref(end->source);
	if (end->fd >= 0)
		close(end->fd);
	end->fd = -1;
	free(end->pending);
	end->pending = NULL;
}

/* Gives the buffer's pages back that only bulk has touched: an idle agent is small. */
static void buffer_shrink(struct gate *gate)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = ((uintptr_t)gate->buffer + GATE_KEEP_BYTES + page - 1) / page * page;
	uintptr_t end = ((uintptr_t)gate->buffer + sizeof(gate->buffer)) / page * page;

	if (gate->bulk && start < end)
		madvise((void *)start, end - start, MADV_DONTNEED);
	gate->bulk = false;
}

void connection_close(struct connection *c)
{
	buffer_shrink(c->gate);
	end_release(&c->client);
	end_release(&c->nng);
	DL_DELETE(c->gate->connections, c);
	c->gate->counters.open--;
	free(c);
}

/* No interest means no source at all: the kernel would still report a hang-up, again and again. */
static void end_want(struct end *end, uint32_t events)
{
	if (events == end->events || !end->source)
		return;
	if (events)
		sd_event_source_set_io_events(end->source, events);
	if (!events || !end->events)
		sd_event_source_set_enabled(end->source, events ? SD_EVENT_ON : SD_EVENT_OFF);
	end->events = events;
}

static void connection_want(struct connection *c)
{
	bool read_client = !c->client.ended && !c->nng.pending;
	bool read_nng = !c->nng.ended && !c->client.pending;

	end_want(&c->client, (read_client ? EPOLLIN : 0) | (c->client.pending ? EPOLLOUT : 0));
	end_want(&c->nng, (read_nng ? EPOLLIN : 0) | (c->nng.pending ? EPOLLOUT : 0));
}

static bool is_transient(int sys)
{
	return sys == EAGAIN || sys == EINTR;
}

/* Keeps what the socket did not take. False when there is no memory for it. */
static bool end_keep(struct end *end, const uint8_t *bytes, size_t len)
{
	end->pending = malloc(len);
	if (!end->pending)
		return false;
	memcpy(end->pending, bytes, len);
	end->pending_len = len;
	end->pending_at = 0;
	return true;
}

static bool end_send(struct end *end, const uint8_t *bytes, size_t len)
{
	ssize_t n = send(end->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n == (ssize_t)len)
		return true;
	if (n < 0) {
		if (!is_transient(errno))
			return false;
		n = 0;
	}
	return end_keep(end, bytes + n, len - (size_t)n);
}

static bool end_flush(struct end *end)
{
	size_t left = end->pending_len - end->pending_at;
	ssize_t n = send(end->fd, end->pending + end->pending_at, left, MSG_NOSIGNAL);

	if (n < 0)
		return is_transient(errno);
	end->pending_at += (size_t)n;
	if (end->pending_at == end->pending_len) {
		free(end->pending);
		end->pending = NULL;
	}
	return true;
}

static void frames_pass(struct frames *f, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t n = f->left < len ? (size_t)f->left : len;

		if (n == 0) {
			f->head[f->head_len++] = *bytes;
			n = 1;
		} else {
			f->left -= n;
			f->count += f->left == 0;
		}
		bytes += n;
		len -= n;
		if (f->head_len < sizeof(f->head))
			continue;
		f->head_len = 0;
		for (size_t i = 1; i < sizeof(f->head); i++)
			f->left = f->left << 8 | f->head[i];
		f->count += f->left == 0;
	}
}

/* It takes nothing more; what nng still has to say is read all the same. */
static void give_up_client(struct connection *c)
{
	end_release(&c->client);
	c->client.ended = true;
}

/* Moves what 'from' has to say to 'to'. False when the connection is of no more use. */
static bool relay(struct connection *c, struct end *from, struct end *to)
{
	ssize_t n = recv(from->fd, c->gate->buffer, sizeof(c->gate->buffer), MSG_DONTWAIT);

	if (n < 0 && is_transient(errno))
		return true;
	if (n < 0 && from == &c->nng)
		return false;
	if (n <= 0) {
		from->ended = true;
		return true;
	}
	c->active_ms = clock_now_ms();
	c->gate->bulk |= (size_t)n > GATE_KEEP_BYTES;
	frames_pass(from == &c->client ? &c->asked : &c->answered, c->gate->buffer, (size_t)n);
	if (to->fd < 0 || end_send(to, c->gate->buffer, (size_t)n))
		return true;
	if (to == &c->client)
		give_up_client(c);
	return c->client.fd < 0;
}

/* An end of stream is handed on once everything before it has been taken. nng hears of the client's when
 * it owes no more answers: a pipe that closes while several replies are on their way to it can stop nng
 * 1.5.2's reaper for ever, and with it every other connection. */
static void hand_on_ends(struct connection *c)
{
	if (c->nng.ended && !c->client.pending && c->client.fd >= 0)
		shutdown(c->client.fd, SHUT_WR);
	if (c->client.ended && !c->nng.pending && c->answered.count >= c->asked.count)
		shutdown(c->nng.fd, SHUT_WR);
}

static void relay_event(struct connection *c, struct end *end, struct end *other, uint32_t events)
{
	bool alive = true;

	if (end->pending && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) && !end_flush(end)) {
		alive = end == &c->client;
		if (alive)
			give_up_client(c);
	}
	if (alive && end->fd >= 0 && !end->ended && !other->pending &&
	    (events & ~(uint32_t)EPOLLOUT))
		alive = relay(c, end, other);

	if (!alive || (end->ended && other->ended && !end->pending && !other->pending)) {
		connection_close(c);
		return;
	}
	hand_on_ends(c);
	connection_want(c);
}

/* Reads more of an SP header. 1: complete, 0: not yet, -1: there will be none. */
static int read_header(struct connection *c, int fd)
{
	ssize_t n =
		recv(fd, c->header + c->header_len, SP_HEADER_BYTES - c->header_len, MSG_DONTWAIT);

	if (n < 0)
		return is_transient(errno) ? 0 : -1;
	if (n == 0)
		return -1;
	c->header_len += (size_t)n;
	return c->header_len == SP_HEADER_BYTES;
}

static void nng_has_header(struct connection *c)
{
	int rc = read_header(c, c->nng.fd);

	if (rc == 0)
		return;
	if (rc < 0 || memcmp(c->header, header_rep, SP_HEADER_BYTES) != 0 || c->client.fd < 0 ||
	    !end_send(&c->client, header_rep, SP_HEADER_BYTES)) {
		connection_close(c);
		return;
	}
	c->state = CONNECTION_RELAY;
	c->active_ms = clock_now_ms();
	connection_want(c);
}

static int on_nng(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct connection *c = arg;

	(void)source;
	(void)fd;
	if (c->state == CONNECTION_NEGOTIATE)
		nng_has_header(c);
	else
		relay_event(c, &c->nng, &c->client, events);
	return 0;
}

static bool connect_nng(struct connection *c)
{
	const struct sockaddr_un *address = &c->gate->private_address;

	c->nng.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->nng.fd < 0)
		return false;
	c->nng.events = EPOLLIN;
	if (sd_event_add_io(c->gate->loop, &c->nng.source, c->nng.fd, c->nng.events, on_nng, c) < 0)
		return false;
	if (connect(c->nng.fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return false;
	return send(c->nng.fd, header_req, SP_HEADER_BYTES, MSG_NOSIGNAL) == SP_HEADER_BYTES;
}

static void client_has_header(struct connection *c)
{
	int rc = read_header(c, c->client.fd);

	if (rc == 0)
		return;
	if (rc < 0 || memcmp(c->header, header_req, SP_HEADER_BYTES) != 0) {
		c->gate->counters.refused_header++;
		connection_close(c);
		return;
	}
	if (!connect_nng(c)) {
		connection_close(c);
		return;
	}
	c->state = CONNECTION_NEGOTIATE;
	c->header_len = 0;
	end_want(&c->client, 0);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct connection *c = arg;

	(void)source;
	(void)fd;
	if (c->state == CONNECTION_HEADER)
		client_has_header(c);
	else if (c->state == CONNECTION_RELAY)
		relay_event(c, &c->client, &c->nng, events);
	return 0;
}

/* Room for a whole step towards the client; where the kernel's own limit is lower, for a part of it. */
static void widen(int fd)
{
	int bytes = (int)GATE_STEP_BYTES;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

int connection_open(struct gate *gate, int fd, pid_t pid, struct err *err)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return err_oom(err);
	}
	widen(fd);
	c->gate = gate;
	c->pid = pid;
	c->active_ms = clock_now_ms();
	c->nng.fd = -1;
	c->client.fd = fd;
	c->client.events = EPOLLIN;
	DL_APPEND(gate->connections, c);
	gate->counters.open++;
	if (sd_event_add_io(gate->loop, &c->client.source, fd, EPOLLIN, on_client, c) < 0) {
		connection_close(c);
		return err_oom(err);
	}
	client_has_header(c); /* it is there already, as a rule */
	return 0;
}

int64_t connection_expires_ms(const struct connection *c)
{
	switch (c->state) {
	case CONNECTION_HEADER:
		return c->active_ms + c->gate->config.handshake_ms;
	case CONNECTION_NEGOTIATE:
		return c->client.fd < 0 ? INT64_MAX : c->active_ms + c->gate->config.handshake_ms;
	default:
		return c->active_ms + c->gate->config.idle_ms;
	}
}

void connection_expire(struct connection *c)
{
	if (c->state == CONNECTION_HEADER)
		c->gate->counters.refused_header++;
	if (c->state == CONNECTION_NEGOTIATE)
		end_release(&c->client);
	else
		connection_close(c);
}
