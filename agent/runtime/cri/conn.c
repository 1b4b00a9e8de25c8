#include "agent/runtime/cri/conn.h"

#include "shared/base/cleanup.h"

#include <nghttp2/nghttp2.h>
#include <systemd/sd-event.h>
#include <utlist.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READ_BYTES    16384
#define READS_AT_ONCE 32 /* then the loop's other sources have their turn */
#define OUT_KEEP      4096
#define OUT_AT_ONCE   65536
#define STUCK_ITEMS   512
#define WINDOW_BYTES  (4 << 20) /* answers are kept by us, not by windows (grpc.h bounds them) */

struct conn {
	struct conn *next;
	int fd;
	nghttp2_session *session;
	sd_event_source *io;
	conn_wake_fn *wake;
	void *arg;
	struct conn_stream *streams;
	struct conn_stream *finished;
	struct text out; /* serialised, not yet taken by the socket */
	size_t out_sent;
	bool want_write;
	bool draining;
	bool dead;
};

DEFINE_CLEANUP(conn, struct conn *, conn_close)

/* --- what nghttp2 tells --------------------------------------------------------------------------- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct conn_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	(void)user;
	if (s)
		grpc_reply_header(&s->reply, name, name_len, value, value_len);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
		   size_t len, void *user)
{
	struct conn_stream *s = nghttp2_session_get_stream_user_data(session, stream_id);

	(void)flags;
	(void)user;
	if (s && !grpc_reply_data(&s->reply, data, len))
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct conn *conn = user;

	(void)session;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		conn->draining = true;
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
			   void *user)
{
	struct conn_stream *s = nghttp2_session_get_stream_user_data(session, stream_id);
	struct conn *conn = user;

	if (!s)
		return 0;
	DL_DELETE(conn->streams, s);
	s->http2_error = error_code;
	DL_APPEND(conn->finished, s);
	return 0;
}

static ssize_t read_payload(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t len,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct conn_stream *s = nghttp2_session_get_stream_user_data(session, stream_id);

	(void)source;
	(void)user;
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (len > s->payload_len - s->sent)
		len = s->payload_len - s->sent;
	memcpy(buf, s->payload + s->sent, len);
	s->sent += len;
	if (s->sent == s->payload_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

static int make_session(struct conn *conn)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int result = -1;

	if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0) {
		nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
		nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
		nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
		nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
		nghttp2_option_set_no_closed_streams(option, 1);
		result = nghttp2_session_client_new2(&conn->session, callbacks, conn, option);
	}
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return result;
}

/* --- bytes ---------------------------------------------------------------------------------------- */

static void set_want_write(struct conn *conn, bool want)
{
	if (conn->want_write == want)
		return;
	conn->want_write = want;
	sd_event_source_set_io_events(conn->io, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Takes what nghttp2 has to say into 'out', several frames to one write. */
static bool fill_out(struct conn *conn)
{
	const uint8_t *data;
	ssize_t n = 0;

	while (conn->out.len < OUT_AT_ONCE &&
	       (n = nghttp2_session_mem_send(conn->session, &data)) > 0)
		text_add_bytes(&conn->out, data, (size_t)n);
	return n >= 0 && !text_failed(&conn->out);
}

/* True: all of 'out' is sent. */
static bool write_out(struct conn *conn)
{
	while (conn->out_sent < conn->out.len) {
		ssize_t n = send(conn->fd, conn->out.data + conn->out_sent,
				 conn->out.len - conn->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			conn->dead = true;
		if (n < 0)
			return false;
		conn->out_sent += (size_t)n;
	}
	conn->out.len = 0;
	conn->out_sent = 0;
	return true;
}

void conn_flush(struct conn *conn)
{
	bool more = true;

	while (!conn->dead && more) {
		if (conn->out.len == 0 && !fill_out(conn))
			conn->dead = true;
		more = conn->out.len > 0;
		if (!conn->dead && !write_out(conn))
			break;
	}
	if (!nghttp2_session_want_read(conn->session) && !nghttp2_session_want_write(conn->session))
		conn->dead = true;
	set_want_write(conn, !conn->dead && conn->out.len > 0);
	if (conn->out.len == 0 && conn->out.cap > OUT_KEEP)
		text_release(&conn->out);
}

static void read_some(struct conn *conn)
{
	uint8_t buf[READ_BYTES];
	ssize_t n;

	for (int i = 0; i < READS_AT_ONCE && !conn->dead; i++) {
		n = recv(conn->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0 || nghttp2_session_mem_recv(conn->session, buf, (size_t)n) != n) {
			conn->dead = true;
			return;
		}
		if ((size_t)n < sizeof(buf))
			return;
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct conn *conn = userdata;

	(void)source;
	(void)fd;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_some(conn);
	if (events & EPOLLOUT)
		conn_flush(conn);
	if (conn->dead)
		sd_event_source_set_enabled(conn->io, SD_EVENT_OFF);
	conn->wake(conn, conn->arg);
	return 0;
}

/* --- life ----------------------------------------------------------------------------------------- */

static int connect_socket(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "connect to '%s'", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int greet(struct conn *conn)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES },
	};

	if (nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings,
				    ARRAY_LEN(settings)) != 0)
		return -1;
	return nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0,
						     WINDOW_BYTES);
}

int conn_open(const char *path, struct sd_event *loop, conn_wake_fn *wake, void *arg,
	      struct conn **ret_conn, struct err *err)
{
	cleanup_with(conn) struct conn *conn = calloc(1, sizeof(*conn));
	int result;

	if (!conn)
		return err_oom(err);
	conn->fd = -1;
	conn->wake = wake;
	conn->arg = arg;
	if (connect_socket(path, &conn->fd, err) < 0)
		return -1;
	if (make_session(conn) != 0 || greet(conn) != 0)
		return err_oom(err);
	result = sd_event_add_io(loop, &conn->io, conn->fd, EPOLLIN, on_io, conn);
	if (result < 0)
		return err_set(err, ERR_INTERNAL, -result, "watch the runtime's socket");
	*ret_conn = TAKE(conn);
	return 0;
}

void conn_close(struct conn *conn)
{
	if (!conn)
		return;
	sd_event_source_disable_unref(conn->io);
	nghttp2_session_del(conn->session);
	text_release(&conn->out);
	if (conn->fd >= 0)
		close(conn->fd);
	free(conn);
}

/* --- streams -------------------------------------------------------------------------------------- */

static nghttp2_nv header(const char *name, const char *value, uint8_t flags)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
			     flags };
}

int conn_start(struct conn *conn, struct conn_stream *stream, const char *path, struct deadline by)
{
	const nghttp2_data_provider body = { .read_callback = read_payload };
	int64_t left_ms = deadline_left_ms(by);
	nghttp2_nv headers[8];
	char timeout[16];
	size_t n = 0;

	if (conn->dead || conn->draining)
		return -1;
	headers[n++] = header(":method", "POST", 0);
	headers[n++] = header(":scheme", "http", 0);
	headers[n++] = header(":path", path, 0);
	headers[n++] = header(":authority", "localhost", 0);
	headers[n++] = header("te", "trailers", 0);
	headers[n++] = header("content-type", "application/grpc", 0);
	/* Where containerd keeps CRI's containers; for its own services, CRI's do not look at it. */
	headers[n++] = header("containerd-namespace", "k8s.io", 0);
	/* gRPC allows eight digits. Never the same twice, so not worth a place in HPACK's table. */
	if (left_ms <= 99999999) {
		snprintf(timeout, sizeof(timeout), "%dm", (int)left_ms);
		headers[n++] = header("grpc-timeout", timeout, NGHTTP2_NV_FLAG_NO_INDEX);
	}
	stream->sent = 0;
	stream->http2_error = 0;
	grpc_reply_init(&stream->reply);
	stream->id = nghttp2_submit_request(conn->session, NULL, headers, n, &body, stream);
	if (stream->id < 0) {
		/* Out of stream ids, or told to go: a new connection has neither. */
		conn->draining = true;
		return -1;
	}
	DL_APPEND(conn->streams, stream);
	return 0;
}

void conn_cancel(struct conn *conn, struct conn_stream *stream)
{
	nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
	nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
	DL_DELETE(conn->streams, stream);
}

struct conn_stream *conn_take_finished(struct conn *conn)
{
	struct conn_stream *s = conn->finished;

	if (s)
		DL_DELETE(conn->finished, s);
	return s;
}

struct conn_stream *conn_take_orphan(struct conn *conn)
{
	struct conn_stream *s = conn->streams;

	if (s)
		DL_DELETE(conn->streams, s);
	return s;
}

bool conn_is_dead(const struct conn *conn)
{
	return conn->dead;
}

void conn_check(struct conn *conn)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn->dead = true;
}

bool conn_is_draining(const struct conn *conn)
{
	return conn->draining;
}

bool conn_has_streams(const struct conn *conn)
{
	return conn->streams || conn->finished;
}

bool conn_has_finished(const struct conn *conn)
{
	return conn->finished != NULL;
}

bool conn_is_stuck(const struct conn *conn)
{
	return nghttp2_session_get_outbound_queue_size(conn->session) > STUCK_ITEMS;
}

struct conn *conn_next(const struct conn *conn)
{
	return conn->next;
}

void conn_set_next(struct conn *conn, struct conn *next)
{
	conn->next = next;
}
