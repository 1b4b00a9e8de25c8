#pragma once
/*
 * A client made by hand: what nng's REQ would put on the socket, and what it would not. What fails
 * here fails the test.
 */
#include "node/v1/envelope.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const uint8_t frames_header_req[8];
extern const uint8_t frames_header_rep[8];

/* A plain connection, nothing said yet. -1: refused. */
int frames_connect(const char *socket_path);
/* Connected and both SP headers exchanged. Caller closes. */
int frames_open(const char *socket_path);
/* The same where nobody may be there, or go away meanwhile: then -1. */
int frames_try_open(const char *socket_path);

/* One framed message with a REQ request id (its top bit is added). */
void frames_send(int fd, uint32_t request_id, const uint8_t *bytes, size_t len);
/* A request envelope. 'msg' may be NULL; 'id' has 16 bytes. */
void frames_ask(int fd, uint32_t request_id, const uint8_t *id, const char *service,
		const char *method, const ProtobufCMessage *msg, uint32_t timeout_ms);
/* The same with a message that is packed already. */
void frames_ask_packed(int fd, uint32_t request_id, const uint8_t *id, const char *service,
		       const char *method, const uint8_t *payload, size_t payload_len,
		       uint32_t timeout_ms);

/* The next reply within 'timeout_ms', NULL when none came or the peer closed. Caller frees with
 * frames_free(). */
struct frames_reply {
	Berth__Node__V1__Reply *reply;
	uint8_t *bytes; /* as they came */
	size_t len;
	uint32_t request_id;
};
struct frames_reply *frames_answer(int fd, int timeout_ms);
void frames_free(struct frames_reply *r);

/* Whether the peer closes within 'timeout_ms'. What it says until then is thrown away. */
bool frames_closed(int fd, int timeout_ms);
