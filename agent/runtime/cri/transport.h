#pragma once
/*
 * Unary gRPC calls to a runtime's unix socket: connects when it must, carries many calls on one
 * connection, ends each at its deadline, and gives an error of ours for whatever goes wrong.
 *
 * A dead connection fails its calls with ERR_UNAVAILABLE, except that reads are asked once more on a
 * new one (NS-107); the next call connects again. A service that v1 does not know is asked for in
 * v1alpha2 (NS-101).
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

struct sd_event;
struct transport;

struct transport_method {
	const char *service; /* CRI's "RuntimeService", or a full name with dots in it */
	const char *name;    /* "Version" */
	bool reads;          /* without side effects: may be asked twice */
};

/* 'reply' is the answer's bytes, borrowed until it returns; 'err' is NULL on success. Comes from the
 * loop, never from within transport_call(), unless there is no memory to wait with. */
typedef void transport_reply_fn(void *arg, const uint8_t *reply, size_t len, const struct err *err);

/* 'address' is "unix:///run/x.sock" or a path. No I/O. ERR_INVALID_ARGUMENT for anything else. */
int transport_open(const char *address, struct sd_event *loop, struct transport **ret_transport,
		   struct err *err);
/* Pending calls end with ERR_CANCELLED; they must not make new ones. Takes NULL. */
void transport_close(struct transport *t);

/* Both 'method' and its strings outlive the call; 'request' is packed before this returns. */
void transport_call(struct transport *t, const struct transport_method *method,
		    const ProtobufCMessage *request, struct deadline by, transport_reply_fn *fn,
		    void *arg);
