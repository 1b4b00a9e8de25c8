#pragma once
/*
 * A session in a container as the source of a session: the runtime's streaming server on the node's
 * loopback, over WebSocket, in the channels that kubelet's clients speak ("v4.channel.k8s.io", or v5).
 *
 * In v4 nobody can say that the input has ended; the session says so on standard error when that matters.
 */
#include "agent/streams/stream.h"

struct container_target {
	const char *url; /* of runtime_open_session() */
	bool input;
	bool tty;
	unsigned rows, columns; /* of the terminal; 0: the runtime's own idea */
};

/* 'stream' is NULL when 'err' is not. */
typedef void container_done_fn(void *arg, struct stream *stream, const struct err *err);

/* Connects by 'by'; 'done' comes once, maybe from within the call. 'target' is borrowed for the call.
 * ERR_UNIMPLEMENTED: a URL that leads elsewhere than to an address over http. */
void container_stream_open(struct streams *streams, const struct container_target *target,
			   enum method_role role, struct deadline by, container_done_fn *done,
			   void *arg);

/* Reads what channel 3 says at the end: the JSON of a Kubernetes Status. Pure. */
void container_read_status(const char *json, struct stream_end *ret);
