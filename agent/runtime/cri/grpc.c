#include "agent/runtime/cri/grpc.h"

#include <stdlib.h>
#include <string.h>

/* Longer texts of a runtime are cut: they end in one 'struct err'. */
#define MAX_MESSAGE_BYTES 2048

void grpc_prefix(uint8_t ret[GRPC_PREFIX_BYTES], uint32_t len)
{
	ret[0] = 0;
	ret[1] = (uint8_t)(len >> 24);
	ret[2] = (uint8_t)(len >> 16);
	ret[3] = (uint8_t)(len >> 8);
	ret[4] = (uint8_t)len;
}

void grpc_reply_init(struct grpc_reply *r)
{
	*r = (struct grpc_reply){ .status = -1 };
}

void grpc_reply_release(struct grpc_reply *r)
{
	text_release(&r->message);
	free(r->body);
	r->body = NULL;
}

static bool break_off(struct grpc_reply *r, enum err_code code, const char *why)
{
	if (!r->broken) {
		r->broken = code;
		r->why = why;
	}
	return false;
}

/* --- headers -------------------------------------------------------------------------------------- */

static bool is_named(const char *want, const uint8_t *name, size_t len)
{
	return len == strlen(want) && memcmp(want, name, len) == 0;
}

/* A small decimal number, or -1. */
static int small_number(const uint8_t *value, size_t len)
{
	int n = 0;

	if (len == 0 || len > 3)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		n = n * 10 + (value[i] - '0');
	}
	return n;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding as gRPC has it: what is not a valid escape stands for itself. */
static void take_message(struct grpc_reply *r, const uint8_t *value, size_t len)
{
	text_release(&r->message);
	if (len > MAX_MESSAGE_BYTES)
		len = MAX_MESSAGE_BYTES;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = value[i];

		if (c == '%' && i + 2 < len && hex_value(value[i + 1]) >= 0 &&
		    hex_value(value[i + 2]) >= 0) {
			c = (uint8_t)(hex_value(value[i + 1]) * 16 + hex_value(value[i + 2]));
			i += 2;
		}
		text_add_bytes(&r->message, c ? &c : (const uint8_t *)" ", 1);
	}
}

void grpc_reply_header(struct grpc_reply *r, const uint8_t *name, size_t name_len,
		       const uint8_t *value, size_t value_len)
{
	if (is_named(":status", name, name_len)) {
		r->http_status = small_number(value, value_len);
	} else if (is_named("grpc-status", name, name_len)) {
		r->status = small_number(value, value_len);
		if (r->status < 0)
			break_off(r, ERR_INTERNAL, "its grpc-status is no number");
	} else if (is_named("grpc-message", name, name_len)) {
		take_message(r, value, value_len);
	}
}

/* --- body ----------------------------------------------------------------------------------------- */

static bool take_prefix(struct grpc_reply *r)
{
	size_t want = (size_t)r->prefix[1] << 24 | (size_t)r->prefix[2] << 16 |
		      (size_t)r->prefix[3] << 8 | r->prefix[4];

	if (r->prefix[0] != 0)
		return break_off(r, ERR_INTERNAL, "its answer is compressed, unasked");
	if (want > GRPC_MAX_REPLY_BYTES)
		return break_off(r, ERR_RESOURCE_EXHAUSTED, "its answer is larger than 16 MiB");
	r->body_want = want;
	return true;
}

/* Grows by what has come, not by what was promised. */
static bool reserve(struct grpc_reply *r, size_t more)
{
	size_t cap = r->body_cap ? r->body_cap : 512;
	uint8_t *body;

	while (cap < r->body_len + more)
		cap *= 2;
	if (cap > r->body_want)
		cap = r->body_want;
	if (cap <= r->body_cap)
		return true;
	body = realloc(r->body, cap);
	if (!body)
		return break_off(r, ERR_RESOURCE_EXHAUSTED, "no memory for its answer");
	r->body = body;
	r->body_cap = cap;
	return true;
}

bool grpc_reply_data(struct grpc_reply *r, const uint8_t *data, size_t len)
{
	if (r->broken)
		return false;
	while (len && r->prefix_len < GRPC_PREFIX_BYTES) {
		r->prefix[r->prefix_len++] = *data++;
		len--;
		if (r->prefix_len == GRPC_PREFIX_BYTES && !take_prefix(r))
			return false;
	}
	if (len == 0)
		return true;
	if (len > r->body_want - r->body_len)
		return break_off(r, ERR_INTERNAL, "it answered more than once");
	if (!reserve(r, len))
		return false;
	memcpy(r->body + r->body_len, data, len);
	r->body_len += len;
	return true;
}

/* --- verdict -------------------------------------------------------------------------------------- */

/* gRPC's table for answers that did not come from a gRPC server. */
static enum err_code code_of_http(int http_status)
{
	switch (http_status) {
	case 401:
		return ERR_UNAUTHENTICATED;
	case 403:
		return ERR_PERMISSION_DENIED;
	case 404:
		return ERR_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return ERR_UNAVAILABLE;
	default:
		return ERR_INTERNAL;
	}
}

/* And for streams that ended without a status. */
static enum err_code code_of_http2(uint32_t http2_error)
{
	switch (http2_error) {
	case 0x7: /* REFUSED_STREAM */
		return ERR_UNAVAILABLE;
	case 0x8: /* CANCEL */
		return ERR_CANCELLED;
	case 0xb: /* ENHANCE_YOUR_CALM */
		return ERR_RESOURCE_EXHAUSTED;
	case 0xc: /* INADEQUATE_SECURITY */
		return ERR_PERMISSION_DENIED;
	default:
		return ERR_INTERNAL;
	}
}

static enum err_code code_of_status(int status)
{
	return status > ERR_UNAUTHENTICATED ? ERR_UNKNOWN : (enum err_code)status;
}

int grpc_reply_end(struct grpc_reply *r, uint32_t http2_error, struct err *err)
{
	if (r->broken)
		return err_set(err, r->broken, 0, "%s", r->why);
	if (r->status > 0)
		return err_set(err, code_of_status(r->status), 0, "%s",
			       r->message.len ? text_str(&r->message)
					      : "the runtime gives no reason");
	if (r->http_status > 0 && r->http_status != 200)
		return err_set(err, code_of_http(r->http_status), 0, "it answered with HTTP %d",
			       r->http_status);
	if (r->status < 0)
		return err_set(err, code_of_http2(http2_error), 0,
			       "it ended the call without a status (HTTP/2 error %u)", http2_error);
	if (r->prefix_len < GRPC_PREFIX_BYTES || r->body_len < r->body_want)
		return err_set(err, ERR_INTERNAL, 0, "its answer is cut short");
	return 0;
}
