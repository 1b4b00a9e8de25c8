#include "tests/support/hostile.h"

#include "shared/wire/wire.h"
#include "tests/support/frames.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* --- connections ---------------------------------------------------------------------------------- */

void hostile_say(int fd, const void *bytes, size_t len)
{
	/* The gate may have closed already; that is its right. */
	(void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

static void reset(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Header, waits for nng's, then breaks off in the middle of a message. */
static void partial_message(int fd)
{
	static const uint8_t partial[] = { 1, 0, 0, 0, 0, 0, 0, 0, 100, 0x80, 0, 0, 1, 7 };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	hostile_say(fd, frames_header_req, 8);
	poll(&p, 1, 1000);
	hostile_say(fd, partial, sizeof(partial));
}

void hostile_act(int fd, unsigned kind)
{
	static const uint8_t garbage[24] = "\x16\x03\x01\x02garbage garbage!";
	static const uint8_t huge[] = { 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	switch (kind % HOSTILE_ACTS) {
	case 0: /* connect and close */
		break;
	case 1:
		reset(fd);
		break;
	case 2: /* half a header */
		hostile_say(fd, frames_header_req, 4);
		break;
	case 3:
		hostile_say(fd, garbage, sizeof(garbage));
		break;
	case 4: /* a header, gone before nng answers */
		hostile_say(fd, frames_header_req, 8);
		break;
	case 5:
		hostile_say(fd, frames_header_req, 8);
		reset(fd);
		break;
	case 6:
		partial_message(fd);
		break;
	case 7:
		hostile_say(fd, frames_header_req, 8);
		shutdown(fd, SHUT_WR);
		break;
	case 8:
		shutdown(fd, SHUT_RD);
		hostile_say(fd, frames_header_req, 8);
		break;
	case 9: /* header and a length of 2^64-1 in one go */
		hostile_say(fd, frames_header_req, 8);
		hostile_say(fd, huge, sizeof(huge));
		break;
	default:
		shutdown(fd, SHUT_RDWR);
		break;
	}
}

/* --- messages ------------------------------------------------------------------------------------- */

uint32_t hostile_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* A request that would be served. */
static size_t good_request(uint32_t *state, uint8_t *bytes)
{
	static const char *const methods[][2] = {
		{ "berth.node.v1.Health", "Check" },    { "berth.node.v1.Units", "Status" },
		{ "berth.node.v1.Containers", "List" }, { "berth.node.v1.Pods", "List" },
		{ "berth.node.v1.Streams", "Read" },    { "berth.node.v1.Units", "Stop" },
	};
	const char *const *method = methods[hostile_random(state) % 6];
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
	uint8_t id[WIRE_CALL_ID_BYTES], payload[64];

	for (size_t i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)hostile_random(state);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)hostile_random(state);
	req.call_id = (ProtobufCBinaryData){ sizeof(id), id };
	req.service = (char *)method[0];
	req.method = (char *)method[1];
	req.protocol = WIRE_PROTOCOL;
	req.timeout_ms = 20;
	req.payload = (ProtobufCBinaryData){ hostile_random(state) % sizeof(payload), payload };
	return berth__node__v1__request__pack(&req, bytes);
}

/* So many times the same bytes. */
static size_t repeat(uint8_t *bytes, const char *what, size_t len, size_t times)
{
	for (size_t i = 0; i < times; i++)
		memcpy(bytes + i * len, what, len);
	return len * times;
}

size_t hostile_message(uint32_t *state, uint8_t bytes[HOSTILE_BYTES])
{
	uint32_t kind = hostile_random(state) % 8;
	size_t len = good_request(state, bytes);

	switch (kind) {
	case 0: /* cut off */
		return hostile_random(state) % len;
	case 1: /* something behind it */
		return len + repeat(bytes + len, "\xff\x00\x12", 3, hostile_random(state) % 20);
	case 2: /* one bit is wrong, maybe of a tag */
		bytes[hostile_random(state) % len] ^= (uint8_t)(1u << hostile_random(state) % 8);
		return len;
	case 3: /* unknown fields, one more than are allowed */
		return repeat(bytes, "\xf8\x3e\x01", 3, WIRE_MAX_FIELDS + 1);
	case 4: /* groups in groups, which nobody sends any more */
		return repeat(bytes, "\x0b", 1, 10000);
	case 5: /* fields in fields in fields */
		return repeat(bytes, "\x12\xff\x7f", 3, 3000);
	case 6: /* a length that is not there */
		return len + repeat(bytes + len, "\x32\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, 1);
	default:
		len = hostile_random(state) % 200;
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)hostile_random(state);
		return len;
	}
}
