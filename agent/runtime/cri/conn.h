#pragma once
/*
 * One HTTP/2 connection to a runtime's unix socket, client side, on the agent's loop. It knows
 * streams; calls, deadlines and reconnecting are transport.c's.
 *
 * 'wake' comes from the loop only, after bytes went in or out. The owner then takes the finished
 * streams with conn_take_finished(), asks conn_is_dead(), and may close the connection or else calls
 * conn_flush(), for what HTTP/2 itself has to answer.
 */
#include "agent/runtime/cri/grpc.h"
#include "shared/base/deadline.h"

struct conn;
struct sd_event;

/* One request and its answer. Storage, payload included, is the caller's while it is on a
 * connection: from conn_start() until it was taken, or conn_cancel(). */
struct conn_stream {
	struct conn_stream *prev;
	struct conn_stream *next;
	const uint8_t *payload; /* with gRPC's prefix */
	size_t payload_len;
	size_t sent;
	int32_t id;
	uint32_t http2_error; /* how it ended */
	struct grpc_reply reply;
};

typedef void conn_wake_fn(struct conn *conn, void *arg);

/* Connects, without waiting. ERR_UNAVAILABLE: 'sys' is EAGAIN when the runtime's queue of
 * connections is full, which is worth another try, and the reason of connect(2) otherwise. */
int conn_open(const char *path, struct sd_event *loop, conn_wake_fn *wake, void *arg,
	      struct conn **ret_conn, struct err *err);
/* Forgets the streams that are on it; whoever owns them has dealt with them. Takes NULL. */
void conn_close(struct conn *conn);

/* Puts the request on its way; conn_flush() sends it. '/SERVICE/METHOD', bounded by 'by' in the
 * runtime too. -1: this connection takes no new streams; nothing has happened. */
int conn_start(struct conn *conn, struct conn_stream *stream, const char *path, struct deadline by);
/* Gives a stream up; the runtime is told. */
void conn_cancel(struct conn *conn, struct conn_stream *stream);
/* Sends what the socket takes; the rest follows from the loop. */
void conn_flush(struct conn *conn);

/* The next finished stream, or NULL. */
struct conn_stream *conn_take_finished(struct conn *conn);
/* Of a dead connection: the next stream that will not finish, or NULL. */
struct conn_stream *conn_take_orphan(struct conn *conn);

/* Looks whether the runtime has closed it meanwhile: a request put on a closed connection is lost,
 * and a mutation must not be asked twice. */
void conn_check(struct conn *conn);
bool conn_is_dead(const struct conn *conn);
/* The runtime is going away: no new streams, those on it may finish. */
bool conn_is_draining(const struct conn *conn);
bool conn_has_streams(const struct conn *conn);
bool conn_has_finished(const struct conn *conn);
/* A lot of requests wait in it that it cannot send. */
bool conn_is_stuck(const struct conn *conn);

/* The owner's list. */
struct conn *conn_next(const struct conn *conn);
void conn_set_next(struct conn *conn, struct conn *next);
