#pragma once
/*
 * A gRPC server on a unix socket, on the test's own loop, that can be told to misbehave: request by
 * request it does what the next word of its plan says, the last word for ever.
 */
#include <systemd/sd-event.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum h2_act {
	H2_ANSWER,        /* well, with what 'answer' gives */
	H2_PIECES,        /* the same, one byte a write */
	H2_EMPTY,         /* well, with a message of no bytes */
	H2_ERROR,         /* headers, then grpc-status 2 and 'error_text' in the trailers */
	H2_NOT_FOUND,     /* grpc-status 5 in the headers, no body */
	H2_UNIMPLEMENTED, /* grpc-status 12 in the headers */
	H2_V1ALPHA2_ONLY, /* UNIMPLEMENTED for v1, well for v1alpha2 */
	H2_HANG,          /* nothing, for ever */
	H2_CLOSE,         /* closes the connection */
	H2_CLOSE_MIDWAY,  /* half of the answer's bytes, then closes */
	H2_GARBAGE,       /* bytes that are no HTTP/2 */
	H2_TWICE,         /* two messages */
	H2_COMPRESSED,    /* a message that says it is compressed */
	H2_TOO_LARGE,     /* a prefix of 17 MiB */
	H2_SHORT,         /* a prefix that promises more than comes */
	H2_NO_STATUS,     /* no trailers */
	H2_BAD_STATUS,    /* a grpc-status that is no number */
	H2_HTTP_503,      /* a proxy's answer */
	H2_REFUSE,        /* RST_STREAM, REFUSED_STREAM */
	H2_RESET,         /* RST_STREAM, INTERNAL_ERROR */
	H2_WRONG_STREAM,  /* an answer to a stream that nobody opened */
	H2_GOAWAY,        /* says that it goes away, then answers well */
};

struct h2_server;

/* Gives the answer's message to 'path' (malloc'd); 'ret_len' is its length. */
typedef uint8_t *h2_answer_fn(void *arg, const char *path, const uint8_t *body, size_t len,
			      size_t *ret_len);

/* Listens on 'path'. Without 'answer' it sends the request's message back. */
struct h2_server *h2_server_open(sd_event *loop, const char *path, h2_answer_fn *answer, void *arg);
/* Closes its connections too, and removes the socket. */
void h2_server_close(struct h2_server *s);

void h2_server_plan(struct h2_server *s, const enum h2_act *plan, size_t count);
void h2_server_error_text(struct h2_server *s, const char *percent_encoded);

unsigned h2_server_connections(const struct h2_server *s);
unsigned h2_server_requests(const struct h2_server *s);
/* Streams that the client has reset. */
unsigned h2_server_resets(const struct h2_server *s);
/* Of the last request: ":path", and "name: value" of every header, one a line. */
const char *h2_server_path(const struct h2_server *s);
const char *h2_server_headers(const struct h2_server *s);
