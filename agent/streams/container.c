#include "agent/streams/container.h"

#include "agent/streams/handshake.h"
#include "agent/streams/streams_impl.h"
#include "agent/streams/ws.h"
#include "agent/units/timer.h"
#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* Channels: the first byte of each message. */
enum { CHANNEL_IN, CHANNEL_OUT, CHANNEL_ERR, CHANNEL_STATUS, CHANNEL_RESIZE, CHANNEL_CLOSE = 255 };

#define READ_BYTES (32 * 1024)
#define SEND_BYTES (32 * 1024)

/* After the input's end, before it is said that the command cannot be told. */
#define EOF_NOTE_MS 2000
#define EOF_NOTE                                                                       \
	"berth: this runtime has no way to tell a command that its input has ended;\n" \
	"berth: it goes on until it ends by itself\n"

enum state { STATE_CONNECT, STATE_ANSWER, STATE_OPEN, STATE_OVER };

struct container {
	struct streams *streams;
	struct stream *stream;
	enum state state;
	bool tty;
	bool tells_eof; /* v5 */
	int fd;
	sd_event_source *source;
	sd_event_source *timer;  /* of connecting, then of the note */
	container_done_fn *done; /* NULL once it has been told */
	void *arg;
	unsigned rows, columns;
	bool reads; /* the session has room */

	uint8_t in[READ_BYTES]; /* in[in_at..in_len) has not been looked at */
	size_t in_at, in_len;
	struct ws_frame frame;
	uint64_t frame_left;
	int channel; /* of the message under way; -1: not known yet */
	char status[4096];
	size_t status_len;

	uint8_t out[SEND_BYTES + 64]; /* out[out_at..out_len) waits for the socket */
	size_t out_at, out_len;
};

/* --- sending --------------------------------------------------------------------------------------- */

static void watch(struct container *c)
{
	bool writes = c->out_at < c->out_len || c->state == STATE_CONNECT;
	uint32_t events = (c->reads ? EPOLLIN : 0U) | (writes ? EPOLLOUT : 0U);

	if (!c->source)
		return;
	if (events)
		sd_event_source_set_io_events(c->source, events);
	sd_event_source_set_enabled(c->source, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* True when all has left. A broken connection shows when it is read. */
static bool flush(struct container *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			c->out_at = c->out_len;
		else
			c->out_at += (size_t)n;
	}
	if (c->out_at < c->out_len)
		return false;
	c->out_at = c->out_len = 0;
	return true;
}

static bool fits(const struct container *c, size_t len)
{
	return c->out_len + WS_HEADER_MAX + 1 + len <= sizeof(c->out);
}

/* One message; the caller has made sure that it fits. 'channel' -1: none, for control frames. */
static void send_message(struct container *c, enum ws_opcode opcode, int channel, const void *bytes,
			 size_t len)
{
	uint8_t mask[4] = { 0x5a, 0xc3, 0x17, 0x88 }, *body;
	size_t lead = channel >= 0;

	if (getrandom(mask, sizeof(mask), GRND_NONBLOCK) < 0)
		mask[0] ^= (uint8_t)c->out_len;
	c->out_len += ws_header(c->out + c->out_len, opcode, len + lead, mask);
	body = c->out + c->out_len;
	if (lead)
		body[0] = (uint8_t)channel;
	memcpy(body + lead, bytes, len);
	ws_mask(body, len + lead, 0, mask);
	c->out_len += len + lead;
	flush(c);
	watch(c);
}

static void send_resize(struct container *c, unsigned rows, unsigned columns)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "{\"Width\":%u,\"Height\":%u}", columns, rows);

	if (fits(c, (size_t)len))
		send_message(c, WS_BINARY, CHANNEL_RESIZE, text, (size_t)len);
}

/* --- the end --------------------------------------------------------------------------------------- */

static void tell(struct container *c, const struct err *err)
{
	container_done_fn *done = c->done;

	c->done = NULL;
	timer_stop(&c->timer);
	if (done)
		done(c->arg, err ? NULL : c->stream, err);
}

/* Before it was open: there is no session then. Frees 'c'. */
static void fail(struct container *c, const struct err *err)
{
	tell(c, err);
	stream_close(c->stream);
}

static void finish(struct container *c)
{
	struct stream_end end;

	c->state = STATE_OVER;
	c->source = sd_event_source_disable_unref(c->source);
	timer_stop(&c->timer);
	container_read_status(c->status, &end);
	stream_finish(c->stream, &end);
}

/* --- receiving ------------------------------------------------------------------------------------- */

static void keep_status(struct container *c, const uint8_t *bytes, size_t len)
{
	size_t room = sizeof(c->status) - 1 - c->status_len;

	len = len < room ? len : room;
	memcpy(c->status + c->status_len, bytes, len);
	c->status_len += len;
}

/* Hands on up to 'len' bytes of the message under way; returns how many there was room for. */
static size_t take_payload(struct container *c, const uint8_t *bytes, size_t len)
{
	size_t room;

	if (c->channel < 0) {
		c->channel = bytes[0];
		return 1;
	}
	if (c->channel == CHANNEL_STATUS)
		keep_status(c, bytes, len);
	if (c->channel != CHANNEL_OUT && c->channel != CHANNEL_ERR)
		return len;
	room = stream_room(c->stream);
	len = len < room ? len : room;
	stream_put(c->stream, c->channel == CHANNEL_OUT ? STREAM_OUT : STREAM_ERR, bytes, len);
	return len;
}

/* The header is complete. False: the connection is of no more use. */
static bool begin_frame(struct container *c)
{
	enum ws_opcode opcode = c->frame.opcode;

	if (c->frame.broken || opcode == WS_CLOSE)
		return false;
	c->frame_left = c->frame.len;
	if (opcode == WS_TEXT || opcode == WS_BINARY)
		c->channel = -1;
	if (opcode == WS_PING && fits(c, 0))
		send_message(c, WS_PONG, -1, "", 0);
	return true;
}

static void end_frame(struct container *c)
{
	if (c->frame_left == 0)
		c->frame = (struct ws_frame){ 0 };
}

/* Looks at what has been received, as far as there is room for it. False as begin_frame(). */
static bool look(struct container *c)
{
	while (c->in_at < c->in_len) {
		const uint8_t *bytes = c->in + c->in_at;
		size_t len = c->in_len - c->in_at, taken;

		if (!c->frame.complete) {
			c->in_at += ws_frame_take(&c->frame, bytes, len);
			if (c->frame.complete && !begin_frame(c))
				return false;
			if (c->frame.complete)
				end_frame(c);
			continue;
		}
		len = len < c->frame_left ? len : (size_t)c->frame_left;
		taken = c->frame.opcode >= WS_CLOSE ? len : take_payload(c, bytes, len);
		if (taken == 0) {
			c->reads = false;
			return true;
		}
		c->in_at += taken;
		c->frame_left -= taken;
		end_frame(c);
	}
	c->in_at = c->in_len = 0;
	return true;
}

/* 1: something came, 0: nothing at present, -1: the end. */
static int receive(struct container *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	c->in_len += (size_t)n;
	return 1;
}

static void go_on(struct container *c)
{
	bool alive = look(c);

	if (alive && c->reads && c->in_len == 0)
		alive = receive(c) >= 0 && look(c);
	if (!alive)
		finish(c);
}

/* --- the handshake --------------------------------------------------------------------------------- */

static void read_answer(struct container *c)
{
	int got = receive(c);
	struct err err;
	char *end;

	if (got == 0)
		return;
	c->in[c->in_len < sizeof(c->in) ? c->in_len : sizeof(c->in) - 1] = '\0';
	end = strstr((char *)c->in, "\r\n\r\n");
	if (!end && got > 0 && c->in_len < sizeof(c->in) - 1)
		return;
	if (!end) {
		err_set(&err, ERR_UNAVAILABLE, 0,
			"the runtime's streaming server broke off the connection");
		fail(c, &err);
		return;
	}
	end[2] = '\0';
	if (handshake_check((char *)c->in, &c->tells_eof, &err) < 0) {
		fail(c, &err);
		return;
	}
	c->in_at = (size_t)(end + 4 - (char *)c->in);
	c->state = STATE_OPEN;
	if (c->tty && c->rows && c->columns)
		send_resize(c, c->rows, c->columns);
	tell(c, NULL);
	go_on(c);
}

static void connected(struct container *c)
{
	socklen_t len = sizeof(int);
	int on = 1, sys = 0;
	struct err err;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0)
		sys = errno;
	if (sys) {
		err_set(&err, ERR_UNAVAILABLE, sys, "connect to the runtime's streaming server");
		fail(c, &err);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->state = STATE_ANSWER;
	c->reads = true;
	flush(c);
	watch(c);
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct container *c = arg;

	(void)source;
	(void)fd;
	(void)events;
	switch (c->state) {
	case STATE_CONNECT:
		connected(c);
		return 0;
	case STATE_ANSWER:
		flush(c);
		watch(c);
		read_answer(c);
		return 0;
	default:
		break;
	}
	if (c->out_len > 0 && flush(c))
		stream_want_input(c->stream);
	if (c->reads)
		go_on(c);
	watch(c);
	return 0;
}

/* --- ops ------------------------------------------------------------------------------------------- */

static void container_pump(void *source)
{
	struct container *c = source;

	if (c->state != STATE_OPEN)
		return;
	c->reads = true;
	go_on(c);
	watch(c);
}

static size_t container_input(void *source, const uint8_t *bytes, size_t len)
{
	struct container *c = source;

	if (c->state == STATE_OVER)
		return len;
	if (c->out_len > 0)
		return 0;
	len = len < SEND_BYTES ? len : SEND_BYTES;
	send_message(c, WS_BINARY, CHANNEL_IN, bytes, len);
	return len;
}

static int on_note_due(sd_event_source *source, uint64_t usec, void *arg)
{
	struct container *c = arg;

	(void)source;
	(void)usec;
	timer_stop(&c->timer);
	if (stream_room(c->stream) > sizeof(EOF_NOTE))
		stream_put(c->stream, STREAM_ERR, EOF_NOTE, sizeof(EOF_NOTE) - 1);
	return 0;
}

static void container_input_end(void *source)
{
	static const uint8_t stdin_channel = CHANNEL_IN;
	struct container *c = source;

	if (c->state == STATE_OVER)
		return;
	if (c->tty && fits(c, 1))
		send_message(c, WS_BINARY, CHANNEL_IN, "\004", 1);
	else if (c->tells_eof && fits(c, 1))
		send_message(c, WS_BINARY, CHANNEL_CLOSE, &stdin_channel, 1);
	else
		timer_start(c->streams->loop, deadline_in_ms(EOF_NOTE_MS), on_note_due, c,
			    &c->timer);
}

static int container_resize(void *source, unsigned rows, unsigned columns, struct err *err)
{
	struct container *c = source;

	if (!c->tty)
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "the session has no terminal");
	if (c->state == STATE_OPEN)
		send_resize(c, rows, columns);
	return 0;
}

/* A runtime sends no signal to a command of its; a terminal's keys do. */
static int container_signal(void *source, int number, struct err *err)
{
	struct container *c = source;
	const char *key = number == SIGINT ? "\003" : number == SIGQUIT ? "\034" : NULL;

	if (!c->tty || !key || c->state != STATE_OPEN || !fits(c, 1))
		return err_set(err, ERR_FAILED_PRECONDITION, 0,
			       "the runtime passes no signal on to a command in a container");
	send_message(c, WS_BINARY, CHANNEL_IN, key, 1);
	return 0;
}

static void container_close(void *source)
{
	struct container *c = source;
	struct err err;

	c->source = sd_event_source_disable_unref(c->source);
	if (c->fd >= 0)
		close(c->fd);
	err_set(&err, ERR_UNAVAILABLE, 0, "the session was closed");
	tell(c, &err);
	free(c);
}

static const struct stream_ops container_ops = {
	.kind = "container",
	.pump = container_pump,
	.input = container_input,
	.input_end = container_input_end,
	.resize = container_resize,
	.signal = container_signal,
	.close = container_close,
};

static const struct stream_ops deaf_ops = {
	.kind = "container",
	.pump = container_pump,
	.resize = container_resize,
	.signal = container_signal,
	.close = container_close,
};

/* --- opening --------------------------------------------------------------------------------------- */

static int on_late(sd_event_source *source, uint64_t usec, void *arg)
{
	struct err err;

	(void)source;
	(void)usec;
	err_set(&err, ERR_DEADLINE_EXCEEDED, 0,
		"the runtime's streaming server did not answer in time");
	fail(arg, &err);
	return 0;
}

static int start(struct container *c, const struct handshake_place *place, struct deadline by,
		 struct err *err)
{
	int rc;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	if (connect(c->fd, (const struct sockaddr *)&place->v4, sizeof(place->v4)) < 0 &&
	    errno != EINPROGRESS)
		return err_set(err, ERR_UNAVAILABLE, errno,
			       "connect to the runtime's streaming server");
	rc = sd_event_add_io(c->streams->loop, &c->source, c->fd, EPOLLOUT, on_ready, c);
	if (rc >= 0)
		rc = timer_start(c->streams->loop, by, on_late, c, &c->timer);
	return rc < 0 ? err_set(err, ERR_INTERNAL, -rc, "watch a socket") : 0;
}

static int container_new(struct streams *streams, const struct container_target *target,
			 const struct handshake_place *place, enum method_role role,
			 struct container **ret, struct err *err)
{
	cleanup_free struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return err_oom(err);
	c->streams = streams;
	c->tty = target->tty;
	c->rows = target->rows;
	c->columns = target->columns;
	c->fd = c->channel = -1;
	if (handshake_request(place, (char *)c->out, sizeof(c->out), &c->out_len, err) < 0 ||
	    stream_new(streams, target->input ? &container_ops : &deaf_ops, c, role, &c->stream,
		       err) < 0)
		return -1;
	*ret = TAKE(c);
	return 0;
}

void container_stream_open(struct streams *streams, const struct container_target *target,
			   enum method_role role, struct deadline by, container_done_fn *done,
			   void *arg)
{
	struct container *c = NULL;
	struct handshake_place place;
	struct err err;

	if (handshake_parse_url(target->url, &place, &err) < 0 ||
	    container_new(streams, target, &place, role, &c, &err) < 0) {
		done(arg, NULL, &err);
		return;
	}
	c->done = done;
	c->arg = arg;
	if (start(c, &place, by, &err) < 0)
		fail(c, &err);
}
