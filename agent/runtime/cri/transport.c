#include "agent/runtime/cri/transport.h"

#include "agent/runtime/cri/conn.h"
#include "shared/base/cleanup.h"

#include <systemd/sd-event.h>
#include <utlist.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define RECONNECT_MS         50
#define TIMER_ACCURACY_US    1000
#define HTTP2_REFUSED_STREAM 0x7
#define LARGE_REPLY_BYTES    (256u << 10)

struct call {
	struct conn_stream stream; /* first: a stream's pointer is its call's */
	struct call *prev;
	struct call *next;
	struct conn *conn; /* NULL: queued, or finished */
	const struct transport_method *method;
	struct deadline by;
	transport_reply_fn *fn;
	void *arg;
	uint8_t *payload;
	bool alpha;   /* asked of v1alpha2 */
	bool retried; /* its connection died under it once */
	struct err err;
};

struct transport {
	struct sd_event *loop;
	char *path;
	struct conn *conns; /* the first one that is not draining takes new calls */
	struct call *queued;
	struct call *running;
	struct call *finished;
	sd_event_source *soon;  /* work that must not happen within transport_call() */
	sd_event_source *timer; /* one for all deadlines */
	int64_t timer_at_ms;    /* INT64_MAX: off */
	int64_t retry_at_ms;    /* INT64_MAX: no connection is waited for */
	bool alpha;             /* the runtime knows v1alpha2 only */
};

static void call_free(struct call *call)
{
	if (!call)
		return;
	grpc_reply_release(&call->stream.reply);
	free(call->payload);
	free(call);
}

DEFINE_CLEANUP(call, struct call *, call_free)
DEFINE_CLEANUP(transport, struct transport *, transport_close)

/* --- time ----------------------------------------------------------------------------------------- */

/* The timer is moved forward only: when it comes too early it is set anew, which is cheaper than
 * setting it for every call. */
static void wake_at(struct transport *t, int64_t at_ms)
{
	int64_t left_ms;

	if (at_ms >= t->timer_at_ms)
		return;
	t->timer_at_ms = at_ms;
	left_ms = deadline_left_ms((struct deadline){ .at_ms = at_ms });
	sd_event_source_set_time_relative(t->timer, (uint64_t)left_ms * 1000);
	sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
}

static void wake_soon(struct transport *t)
{
	sd_event_source_set_enabled(t->soon, SD_EVENT_ONESHOT);
}

static void wake_for_rest(struct transport *t)
{
	int64_t at_ms = t->retry_at_ms;
	struct call *call;

	DL_FOREACH (t->queued, call)
		at_ms = call->by.at_ms < at_ms ? call->by.at_ms : at_ms;
	DL_FOREACH (t->running, call)
		at_ms = call->by.at_ms < at_ms ? call->by.at_ms : at_ms;
	wake_at(t, at_ms);
}

/* --- ends of calls -------------------------------------------------------------------------------- */

/* 'call' is in none of the lists. */
static void finish(struct transport *t, struct call *call)
{
	call->conn = NULL;
	DL_APPEND(t->finished, call);
}

static void finish_failed(struct transport *t, struct call *call, enum err_code code, int sys,
			  const char *reason, const char *what)
{
	err_set(&call->err, code, sys, "runtime: %s: %s", call->method->name, what);
	err_explain(&call->err, reason, NULL);
	finish(t, call);
}

static void finish_late(struct transport *t, struct call *call)
{
	finish_failed(t, call, ERR_DEADLINE_EXCEEDED, 0, "RUNTIME_DEADLINE", "no answer in time");
	err_explain(&call->err, NULL,
		    "the runtime may be hung or busy: look at its journal on the node");
}

static void queue_again(struct transport *t, struct call *call)
{
	grpc_reply_release(&call->stream.reply);
	grpc_reply_init(&call->stream.reply);
	call->err = (struct err){ 0 };
	call->conn = NULL;
	DL_APPEND(t->queued, call);
}

/* Not CRI's: it has no other version, and no other path. */
static bool is_full_name(const char *service)
{
	return strchr(service, '.') != NULL;
}

/* A stream ended: the answer, or the question once more, where that is safe. */
static void settle(struct transport *t, struct call *call)
{
	bool failed = grpc_reply_end(&call->stream.reply, call->stream.http2_error, &call->err) < 0;
	bool answered = call->stream.reply.status >= 0;

	DL_DELETE(t->running, call);
	if (failed && call->err.code == ERR_UNIMPLEMENTED && !call->alpha &&
	    !is_full_name(call->method->service)) {
		call->alpha = true;
		queue_again(t, call);
		return;
	}
	/* Refused means: not looked at (RFC 9113, 8.7). */
	if (!answered && call->stream.http2_error == HTTP2_REFUSED_STREAM && !call->retried) {
		call->retried = true;
		queue_again(t, call);
		return;
	}
	if (call->alpha && answered && call->err.code != ERR_UNIMPLEMENTED)
		t->alpha = true;
	if (failed)
		err_wrap(&call->err, "runtime: %s", call->method->name);
	finish(t, call);
}

static void lose(struct transport *t, struct call *call)
{
	DL_DELETE(t->running, call);
	if (call->method->reads && !call->retried) {
		call->retried = true;
		call->alpha = false;
		queue_again(t, call);
		return;
	}
	finish_failed(t, call, ERR_UNAVAILABLE, 0, "RUNTIME_CONNECTION_LOST",
		      "the runtime closed the connection before it answered");
}

static void answer(struct call *call)
{
	const struct grpc_reply *reply = &call->stream.reply;

	if (call->err.code)
		call->fn(call->arg, NULL, 0, &call->err);
	else
		call->fn(call->arg, reply->body, reply->body_len, NULL);
}

/* Hands the answers out. A callback may make new calls: they are only queued. */
static void deliver(struct transport *t)
{
	bool large = false;
	struct call *call;

	while ((call = t->finished)) {
		DL_DELETE(t->finished, call);
		large |= call->stream.reply.body_len > LARGE_REPLY_BYTES;
		answer(call);
		call_free(call);
	}
	/* An idle agent does not keep what a full node's list once took. */
	if (large)
		malloc_trim(0);
}

/* --- connections ---------------------------------------------------------------------------------- */

/* Closes the connections that have nothing more to give. */
static void sweep(struct transport *t)
{
	struct conn *kept = NULL;
	struct conn *conn;
	struct conn *next;

	for (conn = t->conns; conn; conn = next) {
		struct conn_stream *s;

		next = conn_next(conn);
		while ((s = conn_take_finished(conn)))
			settle(t, (struct call *)s);
		while (conn_is_dead(conn) && (s = conn_take_orphan(conn)))
			lose(t, (struct call *)s);
		if (conn_is_dead(conn) || (conn_is_draining(conn) && !conn_has_streams(conn))) {
			conn_close(conn);
		} else {
			conn_set_next(conn, kept);
			kept = conn;
		}
	}
	t->conns = kept;
}

static void on_conn_wake(struct conn *conn, void *arg);

static struct conn *usable_conn(struct transport *t, struct err *err)
{
	struct conn *conn;

	for (conn = t->conns; conn; conn = conn_next(conn)) {
		if (!conn_has_streams(conn))
			conn_check(conn);
		if (!conn_is_dead(conn) && !conn_is_draining(conn))
			return conn;
	}
	if (conn_open(t->path, t->loop, on_conn_wake, t, &conn, err) < 0)
		return NULL;
	/* It may be another runtime by now. */
	t->alpha = false;
	conn_set_next(conn, t->conns);
	t->conns = conn;
	return conn;
}

static void refuse_queued(struct transport *t, const struct err *why)
{
	struct call *call;

	while ((call = t->queued)) {
		DL_DELETE(t->queued, call);
		call->err = *why;
		err_wrap(&call->err, "runtime: %s", call->method->name);
		err_explain(&call->err, "RUNTIME_UNAVAILABLE",
			    "is the container runtime running on the node?");
		finish(t, call);
	}
}

static void start_call(struct transport *t, struct call *call, struct conn *conn)
{
	char path[96];

	call->alpha = call->alpha || t->alpha;
	if (is_full_name(call->method->service))
		snprintf(path, sizeof(path), "/%s/%s", call->method->service, call->method->name);
	else
		snprintf(path, sizeof(path), "/runtime.%s.%s/%s", call->alpha ? "v1alpha2" : "v1",
			 call->method->service, call->method->name);
	if (conn_start(conn, &call->stream, path, call->by) < 0)
		return;
	call->conn = conn;
	DL_DELETE(t->queued, call);
	DL_APPEND(t->running, call);
}

static void start_queued(struct transport *t)
{
	struct conn *conn;
	struct call *call;
	struct call *next;
	struct err err;

	t->retry_at_ms = INT64_MAX;
	if (!t->queued)
		return;
	conn = usable_conn(t, &err);
	if (!conn && err.sys == EAGAIN) {
		t->retry_at_ms = deadline_in_ms(RECONNECT_MS).at_ms;
		wake_at(t, t->retry_at_ms);
		return;
	}
	if (!conn) {
		refuse_queued(t, &err);
		return;
	}
	DL_FOREACH_SAFE(t->queued, call, next)
	start_call(t, call, conn);
	conn_flush(conn);
	/* Those that this connection did not take get the next one; an early answer can end a stream
	 * while its request is still being sent. */
	if (t->queued || conn_is_dead(conn) || conn_has_finished(conn))
		wake_soon(t);
}

/* Sending can show that a connection is dead, and an early answer can end a stream while its request
 * is still being sent. */
static void flush(struct transport *t)
{
	struct conn *conn;

	for (conn = t->conns; conn; conn = conn_next(conn)) {
		conn_flush(conn);
		if (conn_is_dead(conn) || conn_has_finished(conn))
			wake_soon(t);
	}
}

/* Answers that are here go out first: somebody waits for them. */
static void work(struct transport *t)
{
	sweep(t);
	deliver(t);
	start_queued(t);
	flush(t);
	deliver(t);
}

static void on_conn_wake(struct conn *conn, void *arg)
{
	(void)conn;
	work(arg);
}

static int on_soon(sd_event_source *source, void *userdata)
{
	(void)source;
	work(userdata);
	return 0;
}

/* --- deadlines ------------------------------------------------------------------------------------ */

static void give_up(struct transport *t, struct call *call)
{
	conn_cancel(call->conn, &call->stream);
	DL_DELETE(t->running, call);
	finish_late(t, call);
}

/* A connection whose last call got no answer, or that takes no more bytes, is not trusted with the
 * next one: what waits in it is dropped with it, so that a hung runtime costs no memory. */
static void drop_hung(struct transport *t)
{
	struct conn *kept = NULL;
	struct conn *conn;
	struct conn *next;

	for (conn = t->conns; conn; conn = next) {
		struct conn_stream *s;

		next = conn_next(conn);
		if (conn_has_streams(conn) && !conn_is_stuck(conn)) {
			conn_set_next(conn, kept);
			kept = conn;
			continue;
		}
		while ((s = conn_take_orphan(conn)))
			lose(t, (struct call *)s);
		conn_close(conn);
	}
	t->conns = kept;
}

/* True: some call was on its way to the runtime. */
static bool end_late_calls(struct transport *t)
{
	bool late = false;
	struct call *call;
	struct call *next;

	DL_FOREACH_SAFE(t->queued, call, next)
	{
		if (!deadline_is_over(call->by))
			continue;
		DL_DELETE(t->queued, call);
		finish_late(t, call);
	}
	DL_FOREACH_SAFE(t->running, call, next)
	{
		if (!deadline_is_over(call->by))
			continue;
		give_up(t, call);
		late = true;
	}
	return late;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct transport *t = userdata;

	(void)source;
	(void)usec;
	t->timer_at_ms = INT64_MAX;
	sweep(t);
	if (end_late_calls(t)) {
		flush(t);
		sweep(t);
		drop_hung(t);
	}
	work(t);
	wake_for_rest(t);
	return 0;
}

/* --- the calls ------------------------------------------------------------------------------------ */

static struct call *call_new(const struct transport_method *method, const ProtobufCMessage *request)
{
	cleanup_with(call) struct call *call = calloc(1, sizeof(*call));
	size_t len = protobuf_c_message_get_packed_size(request);

	if (!call || len > GRPC_MAX_REPLY_BYTES)
		return NULL;
	call->payload = malloc(GRPC_PREFIX_BYTES + len);
	if (!call->payload)
		return NULL;
	grpc_prefix(call->payload, (uint32_t)len);
	protobuf_c_message_pack(request, call->payload + GRPC_PREFIX_BYTES);
	call->method = method;
	call->stream.payload = call->payload;
	call->stream.payload_len = GRPC_PREFIX_BYTES + len;
	return TAKE(call);
}

void transport_call(struct transport *t, const struct transport_method *method,
		    const ProtobufCMessage *request, struct deadline by, transport_reply_fn *fn,
		    void *arg)
{
	struct call *call = call_new(method, request);
	struct err err;

	if (!call) {
		err_oom(&err);
		fn(arg, NULL, 0, &err);
		return;
	}
	call->by = by;
	call->fn = fn;
	call->arg = arg;
	if (deadline_is_over(by))
		finish_late(t, call);
	else
		DL_APPEND(t->queued, call);
	wake_at(t, by.at_ms);
	wake_soon(t);
}

/* --- life ----------------------------------------------------------------------------------------- */

static int take_address(struct transport *t, const char *address, struct err *err)
{
	const char *path = strncmp(address, "unix://", 7) == 0 ? address + 7 : address;

	if (*path != '/' || strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is no socket's address", address);
		return err_explain(err, "BAD_RUNTIME_ADDRESS",
				   "give unix:// and an absolute path of at most 107 bytes");
	}
	t->path = strdup(path);
	return t->path ? 0 : err_oom(err);
}

int transport_open(const char *address, struct sd_event *loop, struct transport **ret_transport,
		   struct err *err)
{
	cleanup_with(transport) struct transport *t = calloc(1, sizeof(*t));
	int result;

	if (!t)
		return err_oom(err);
	t->loop = sd_event_ref(loop);
	t->timer_at_ms = INT64_MAX;
	t->retry_at_ms = INT64_MAX;
	if (take_address(t, address, err) < 0)
		return -1;
	result = sd_event_add_defer(loop, &t->soon, on_soon, t);
	if (result >= 0)
		result = sd_event_source_set_enabled(t->soon, SD_EVENT_OFF);
	if (result >= 0)
		result = sd_event_add_time(loop, &t->timer, CLOCK_MONOTONIC, UINT64_MAX,
					   TIMER_ACCURACY_US, on_timer, t);
	if (result < 0)
		return err_set(err, ERR_INTERNAL, -result, "prepare the runtime's connection");
	*ret_transport = TAKE(t);
	return 0;
}

static void cancel_all(struct transport *t)
{
	struct call *call;

	while ((call = t->running)) {
		DL_DELETE(t->running, call);
		DL_APPEND(t->queued, call);
	}
	while ((call = t->queued)) {
		DL_DELETE(t->queued, call);
		finish_failed(t, call, ERR_CANCELLED, 0, "CANCELLED",
			      "the agent is closing its runtime connection");
	}
	deliver(t);
}

void transport_close(struct transport *t)
{
	struct conn *conn;

	if (!t)
		return;
	while ((conn = t->conns)) {
		t->conns = conn_next(conn);
		conn_close(conn);
	}
	cancel_all(t);
	sd_event_source_disable_unref(t->soon);
	sd_event_source_disable_unref(t->timer);
	sd_event_unref(t->loop);
	free(t->path);
	free(t);
}
