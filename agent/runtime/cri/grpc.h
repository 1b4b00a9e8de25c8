#pragma once
/*
 * gRPC's own part of a unary call: what is in the headers, the five bytes before a message, and the
 * status at the end (NS-100). Pure: bytes in, verdict out. What comes from the runtime is hostile
 * until proved otherwise.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRPC_PREFIX_BYTES    5
#define GRPC_MAX_REPLY_BYTES ((size_t)16 << 20) /* NS-105 */

/* An answer while it comes in. Begin with grpc_reply_init(), end with grpc_reply_release(). */
struct grpc_reply {
	int http_status; /* 0: not seen */
	int status;      /* -1: not seen */
	struct text message;
	uint8_t prefix[GRPC_PREFIX_BYTES];
	size_t prefix_len;
	uint8_t *body;
	size_t body_len;
	size_t body_cap;
	size_t body_want;
	enum err_code broken; /* why the rest does not count */
	const char *why;      /* static */
};

void grpc_reply_init(struct grpc_reply *r);
void grpc_reply_release(struct grpc_reply *r);

/* One header or trailer. */
void grpc_reply_header(struct grpc_reply *r, const uint8_t *name, size_t name_len,
		       const uint8_t *value, size_t value_len);

/* Some bytes of the body, however they were cut. False: no more of it is wanted. */
bool grpc_reply_data(struct grpc_reply *r, const uint8_t *data, size_t len);

/* The verdict once the stream has ended with 'http2_error' (RFC 9113 section 7; 0: properly). On
 * success the message is body[0..body_len). The err holds the runtime's own text. */
int grpc_reply_end(struct grpc_reply *r, uint32_t http2_error, struct err *err);

/* Writes the prefix of a message of 'len' bytes. */
void grpc_prefix(uint8_t ret[GRPC_PREFIX_BYTES], uint32_t len);
