#pragma once
/*
 * A TCP connection as the source of a session. When the other side closes its half the session's output
 * ends, and with it the session; when the session's input ends the other side sees the end of file and
 * may go on sending.
 */
#include "agent/streams/stream.h"

struct forward_target {
	uint32_t pid; /* whose network it is in; 0: the agent's own */
	/* In text; NULL: the loopback, 127.0.0.1 and then ::1. */
	const char *address;
	uint16_t port;
};

/* 'stream' is NULL when 'err' is not. */
typedef void forward_done_fn(void *arg, struct stream *stream, const struct err *err);

/* Connects by 'by'; 'done' comes once, maybe from within the call. ERR_UNAVAILABLE, reason
 * NOBODY_LISTENS. 'target' is borrowed for the call. */
void forward_stream_open(struct streams *streams, const struct forward_target *target,
			 enum method_role role, struct deadline by, forward_done_fn *done,
			 void *arg);
