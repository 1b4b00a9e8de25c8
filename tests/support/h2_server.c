#include "tests/support/h2_server.h"

#include "agent/runtime/cri/grpc.h"
#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include <nghttp2/nghttp2.h>
#include <utlist.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MAX_PLAN 16

struct request {
	struct request *prev;
	struct request *next;
	struct h2_conn *conn;
	int32_t id;
	char path[128];
	struct text headers;
	struct text body;
	struct text out; /* the answer's DATA */
	size_t out_sent;
	bool trailers;
	enum h2_act act;
};

struct h2_conn {
	struct h2_conn *prev;
	struct h2_conn *next;
	struct h2_server *server;
	int fd;
	nghttp2_session *session;
	sd_event_source *io;
	struct request *requests;
	struct text out;
	size_t out_sent;
	size_t chunk; /* bytes a write; 0: all */
	bool close_when_sent;
	bool close_midway;
};

struct h2_server {
	sd_event *loop;
	char path[108];
	int fd;
	sd_event_source *io;
	struct h2_conn *conns;
	h2_answer_fn *answer;
	void *arg;
	enum h2_act plan[MAX_PLAN];
	size_t plan_len;
	size_t plan_at;
	const char *error_text;
	unsigned connections;
	unsigned requests;
	unsigned resets;
	char last_path[128];
	struct text last_headers;
};

static void request_free(struct request *r)
{
	DL_DELETE(r->conn->requests, r);
	text_release(&r->headers);
	text_release(&r->body);
	text_release(&r->out);
	free(r);
}

static void conn_free(struct h2_conn *c)
{
	DL_DELETE(c->server->conns, c);
	sd_event_source_disable_unref(c->io);
	nghttp2_session_del(c->session);
	while (c->requests)
		request_free(c->requests);
	text_release(&c->out);
	close(c->fd);
	free(c);
}

/* --- answers -------------------------------------------------------------------------------------- */

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0 };
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
			uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct request *r = source->ptr;
	const char *status = r->act == H2_ERROR ? "2" : r->act == H2_BAD_STATUS ? "many" : "0";
	nghttp2_nv trailers[] = { nv("grpc-status", status),
				  nv("grpc-message", r->conn->server->error_text) };

	(void)user;
	if (len > r->out.len - r->out_sent)
		len = r->out.len - r->out_sent;
	if (len)
		memcpy(buf, r->out.data + r->out_sent, len);
	r->out_sent += len;
	if (r->out_sent < r->out.len)
		return (ssize_t)len;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (r->trailers) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(session, id, trailers, r->act == H2_ERROR ? 2 : 1);
	}
	return (ssize_t)len;
}

static void add_message(struct request *r, bool empty)
{
	struct h2_server *s = r->conn->server;
	uint8_t prefix[GRPC_PREFIX_BYTES];
	cleanup_free uint8_t *made = NULL;
	const uint8_t *data = (const uint8_t *)r->body.data + GRPC_PREFIX_BYTES;
	size_t len = r->body.len - GRPC_PREFIX_BYTES;

	if (s->answer)
		data = made = s->answer(s->arg, r->path, data, len, &len);
	if (empty)
		len = 0;
	grpc_prefix(prefix, (uint32_t)len);
	if (r->act == H2_COMPRESSED)
		prefix[0] = 1;
	if (r->act == H2_TOO_LARGE)
		grpc_prefix(prefix, 17u << 20);
	if (r->act == H2_SHORT)
		grpc_prefix(prefix, (uint32_t)len + 1);
	text_add_bytes(&r->out, prefix, sizeof(prefix));
	text_add_bytes(&r->out, data, len);
}

static void respond(struct request *r)
{
	const char *http = r->act == H2_HTTP_503 ? "503" : "200";
	nghttp2_nv headers[] = { nv(":status", http), nv("content-type", "application/grpc") };
	nghttp2_data_provider body = { .source = { .ptr = r }, .read_callback = read_out };

	r->trailers = r->act != H2_NO_STATUS && r->act != H2_HTTP_503;
	if (r->act != H2_ERROR && r->act != H2_HTTP_503)
		add_message(r, r->act == H2_EMPTY);
	if (r->act == H2_TWICE)
		add_message(r, false);
	nghttp2_submit_response(r->conn->session, r->id, headers, 2, &body);
}

static void respond_in_headers(struct request *r, const char *status)
{
	nghttp2_nv headers[] = { nv(":status", "200"), nv("content-type", "application/grpc"),
				 nv("grpc-status", status),
				 nv("grpc-message", r->conn->server->error_text) };

	nghttp2_submit_response(r->conn->session, r->id, headers, 4, NULL);
}

/* HEADERS by hand: ":status: 200" from HPACK's static table, on stream 4711. */
static void add_stray_answer(struct h2_conn *c)
{
	static const uint8_t frame[] = { 0, 0, 1, 1, 4, 0, 0, 0x12, 0x67, 0x88 };

	text_add_bytes(&c->out, frame, sizeof(frame));
}

static void act(struct request *r)
{
	struct h2_conn *c = r->conn;

	switch (r->act) {
	case H2_HANG:
		return;
	case H2_CLOSE:
		c->close_when_sent = true;
		return;
	case H2_GARBAGE:
		text_add(&c->out, "HTTP/1.1 400 Bad Request\r\n\r\nThis is no HTTP/2 at all.");
		return;
	case H2_WRONG_STREAM:
		add_stray_answer(c);
		return;
	case H2_REFUSE:
		nghttp2_submit_rst_stream(c->session, 0, r->id, NGHTTP2_REFUSED_STREAM);
		return;
	case H2_RESET:
		nghttp2_submit_rst_stream(c->session, 0, r->id, NGHTTP2_INTERNAL_ERROR);
		return;
	case H2_NOT_FOUND:
		respond_in_headers(r, "5");
		return;
	case H2_UNIMPLEMENTED:
		respond_in_headers(r, "12");
		return;
	case H2_V1ALPHA2_ONLY:
		if (strncmp(r->path, "/runtime.v1alpha2.", 18) == 0)
			respond(r);
		else
			respond_in_headers(r, "12");
		return;
	case H2_GOAWAY:
		nghttp2_submit_goaway(c->session, 0, r->id, NGHTTP2_NO_ERROR, NULL, 0);
		respond(r);
		return;
	case H2_PIECES:
		c->chunk = 1;
		respond(r);
		return;
	case H2_CLOSE_MIDWAY:
		c->close_midway = true;
		respond(r);
		return;
	default:
		respond(r);
		return;
	}
}

static void dispatch(struct request *r)
{
	struct h2_server *s = r->conn->server;

	s->requests++;
	snprintf(s->last_path, sizeof(s->last_path), "%s", r->path);
	text_release(&s->last_headers);
	text_add(&s->last_headers, text_str(&r->headers));
	r->act = s->plan_len ? s->plan[s->plan_at] : H2_ANSWER;
	if (s->plan_at + 1 < s->plan_len)
		s->plan_at++;
	act(r);
}

/* --- what nghttp2 tells --------------------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_conn *c = user;
	struct request *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->conn = c;
	r->id = frame->hd.stream_id;
	DL_APPEND(c->requests, r);
	nghttp2_session_set_stream_user_data(session, r->id, r);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	(void)user;
	if (!r)
		return 0;
	if (name_len == 5 && memcmp(name, ":path", 5) == 0)
		snprintf(r->path, sizeof(r->path), "%.*s", (int)value_len, (const char *)value);
	text_addf(&r->headers, "%.*s: %.*s\n", (int)name_len, (const char *)name, (int)value_len,
		  (const char *)value);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t len, void *user)
{
	struct request *r = nghttp2_session_get_stream_user_data(session, id);

	(void)flags;
	(void)user;
	if (r)
		text_add_bytes(&r->body, data, len);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	struct h2_conn *c = user;

	if (frame->hd.type == NGHTTP2_RST_STREAM)
		c->server->resets++;
	if (r && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		dispatch(r);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
	struct request *r = nghttp2_session_get_stream_user_data(session, id);

	(void)error;
	(void)user;
	if (r)
		request_free(r);
	return 0;
}

/* --- bytes ---------------------------------------------------------------------------------------- */

static bool pump_out(struct h2_conn *c)
{
	const uint8_t *data;
	size_t want;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->session, &data)) > 0)
		text_add_bytes(&c->out, data, (size_t)n);
	if (c->close_midway) {
		c->out.len /= 2;
		c->close_when_sent = true;
		c->close_midway = false;
	}
	want = c->out.len - c->out_sent;
	if (c->chunk && want > c->chunk)
		want = c->chunk;
	n = want ? send(c->fd, c->out.data + c->out_sent, want, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	if (n < 0 && errno != EAGAIN)
		return false;
	c->out_sent += n > 0 ? (size_t)n : 0;
	if (c->out_sent == c->out.len) {
		c->out.len = 0;
		c->out_sent = 0;
	}
	sd_event_source_set_io_events(c->io, c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return !(c->close_when_sent && c->out.len == 0);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct h2_conn *c = userdata;
	uint8_t buf[16384];
	ssize_t n;

	(void)source;
	if (events & (EPOLLIN | EPOLLHUP)) {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN) ||
		    (n > 0 && nghttp2_session_mem_recv(c->session, buf, (size_t)n) < 0)) {
			conn_free(c);
			return 0;
		}
	}
	if (!pump_out(c))
		conn_free(c);
	return 0;
}

static void make_session(struct h2_conn *c)
{
	nghttp2_session_callbacks *callbacks;

	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	assert_int_equal(nghttp2_session_server_new(&c->session, callbacks, c), 0);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct h2_server *s = userdata;
	struct h2_conn *c = calloc(1, sizeof(*c));

	(void)source;
	(void)events;
	assert_non_null(c);
	c->server = s;
	c->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(c->fd >= 0);
	make_session(c);
	assert_true(sd_event_add_io(s->loop, &c->io, c->fd, EPOLLIN, on_io, c) >= 0);
	DL_APPEND(s->conns, c);
	s->connections++;
	return 0;
}

/* --- life ----------------------------------------------------------------------------------------- */

struct h2_server *h2_server_open(sd_event *loop, const char *path, h2_answer_fn *answer, void *arg)
{
	struct h2_server *s = calloc(1, sizeof(*s));
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	assert_non_null(s);
	s->loop = sd_event_ref(loop);
	s->answer = answer;
	s->arg = arg;
	s->error_text = "";
	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_true(sd_event_add_io(loop, &s->io, s->fd, EPOLLIN, on_accept, s) >= 0);
	return s;
}

void h2_server_close(struct h2_server *s)
{
	while (s->conns)
		conn_free(s->conns);
	sd_event_source_disable_unref(s->io);
	close(s->fd);
	unlink(s->path);
	text_release(&s->last_headers);
	sd_event_unref(s->loop);
	free(s);
}

void h2_server_plan(struct h2_server *s, const enum h2_act *plan, size_t count)
{
	assert_in_range(count, 1, MAX_PLAN);
	memcpy(s->plan, plan, count * sizeof(*plan));
	s->plan_len = count;
	s->plan_at = 0;
}

void h2_server_error_text(struct h2_server *s, const char *percent_encoded)
{
	s->error_text = percent_encoded;
}

unsigned h2_server_connections(const struct h2_server *s)
{
	return s->connections;
}

unsigned h2_server_requests(const struct h2_server *s)
{
	return s->requests;
}

unsigned h2_server_resets(const struct h2_server *s)
{
	return s->resets;
}

const char *h2_server_path(const struct h2_server *s)
{
	return s->last_path;
}

const char *h2_server_headers(const struct h2_server *s)
{
	return text_str(&s->last_headers);
}
