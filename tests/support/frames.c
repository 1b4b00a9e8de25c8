#include "tests/support/frames.h"

#include "shared/base/deadline.h"
#include "shared/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const uint8_t frames_header_req[8] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
const uint8_t frames_header_rep[8] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };

int frames_connect(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* False when the peer closes or time is up first. */
static bool read_all(int fd, uint8_t *bytes, size_t len, struct deadline by)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (len > 0) {
		ssize_t n;

		if (poll(&p, 1, deadline_poll_ms(by)) <= 0)
			return false;
		n = recv(fd, bytes, len, 0);
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

int frames_open(const char *socket_path)
{
	int fd = frames_connect(socket_path);
	uint8_t header[8];

	assert_true(fd >= 0);
	assert_int_equal(send(fd, frames_header_req, 8, MSG_NOSIGNAL), 8);
	assert_true(read_all(fd, header, 8, deadline_in_ms(30000)));
	assert_memory_equal(header, frames_header_rep, 8);
	return fd;
}

int frames_try_open(const char *socket_path)
{
	int fd = frames_connect(socket_path);
	uint8_t header[8];

	if (fd >= 0 && send(fd, frames_header_req, 8, MSG_NOSIGNAL) == 8 &&
	    read_all(fd, header, 8, deadline_in_ms(5000)) &&
	    memcmp(header, frames_header_rep, 8) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void send_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* turned away: the answer, or that there is none, will tell */
		bytes += n;
		len -= (size_t)n;
	}
}

static void put_be(uint8_t *at, uint64_t value, size_t bytes)
{
	for (; bytes > 0; value >>= 8)
		at[--bytes] = (uint8_t)value;
}

void frames_send(int fd, uint32_t request_id, const uint8_t *bytes, size_t len)
{
	uint8_t *frame = malloc(13 + len);

	frame[0] = 1;
	put_be(frame + 1, len + 4, 8);
	put_be(frame + 9, request_id | 0x80000000u, 4);
	if (len)
		memcpy(frame + 13, bytes, len);
	send_all(fd, frame, 13 + len);
	free(frame);
}

void frames_ask_packed(int fd, uint32_t request_id, const uint8_t *id, const char *service,
		       const char *method, const uint8_t *payload, size_t payload_len,
		       uint32_t timeout_ms)
{
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
	uint8_t *bytes;
	size_t len;

	req.call_id = (ProtobufCBinaryData){ WIRE_CALL_ID_BYTES, (uint8_t *)id };
	req.service = (char *)service;
	req.method = (char *)method;
	req.protocol = WIRE_PROTOCOL;
	req.timeout_ms = timeout_ms;
	req.payload = (ProtobufCBinaryData){ payload_len, (uint8_t *)payload };
	len = berth__node__v1__request__get_packed_size(&req);
	bytes = malloc(len);
	berth__node__v1__request__pack(&req, bytes);
	frames_send(fd, request_id, bytes, len);
	free(bytes);
}

void frames_ask(int fd, uint32_t request_id, const uint8_t *id, const char *service,
		const char *method, const ProtobufCMessage *msg, uint32_t timeout_ms)
{
	size_t len = msg ? protobuf_c_message_get_packed_size(msg) : 0;
	uint8_t *payload = malloc(len + 1);

	if (msg)
		protobuf_c_message_pack(msg, payload);
	frames_ask_packed(fd, request_id, id, service, method, payload, len, timeout_ms);
	free(payload);
}

struct frames_reply *frames_answer(int fd, int timeout_ms)
{
	struct deadline by = deadline_in_ms(timeout_ms);
	struct frames_reply *r = calloc(1, sizeof(*r));
	ProtobufCMessage *msg;
	uint64_t body = 0;
	uint8_t head[13];
	struct err err;

	if (!read_all(fd, head, sizeof(head), by)) {
		free(r);
		return NULL;
	}
	assert_int_equal(head[0], 1);
	for (int i = 1; i < 9; i++)
		body = body << 8 | head[i];
	assert_in_range(body, 4, WIRE_MAX_BYTES + 4);
	for (int i = 9; i < 13; i++)
		r->request_id = r->request_id << 8 | head[i];
	r->request_id &= 0x7fffffff;
	r->len = body - 4;
	r->bytes = malloc(r->len + 1);
	assert_true(read_all(fd, r->bytes, r->len, by));
	assert_int_equal(
		wire_unpack(&berth__node__v1__reply__descriptor, r->bytes, r->len, &msg, &err), 0);
	r->reply = (Berth__Node__V1__Reply *)msg;
	assert_non_null(r->reply->status);
	return r;
}

void frames_free(struct frames_reply *r)
{
	if (!r)
		return;
	berth__node__v1__reply__free_unpacked(r->reply, NULL);
	free(r->bytes);
	free(r);
}

bool frames_closed(int fd, int timeout_ms)
{
	struct deadline by = deadline_in_ms(timeout_ms);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char bytes[256];

	while (poll(&p, 1, deadline_poll_ms(by)) > 0) {
		if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
			return true;
	}
	return false;
}
