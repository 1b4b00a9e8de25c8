#include "tests/support/hostile.h"

#include "shared/wire/wire.h"
#include "tests/support/frames.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of one peer at the gate. */
#define PLACES 256
/* Messages of one connection. */
#define WRITES 1000
/* Times that one is turned away before that is a fault of the agent's, and the pause between them. */
#define JOINS   2000
#define JOIN_MS 10

/* --- connections ---------------------------------------------------------------------------------- */

void hostile_say(int fd, const void *bytes, size_t len)
{
	/* The gate may have closed already; that is its right. */
	(void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

void hostile_reset(int fd)
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
		hostile_reset(fd);
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
		hostile_reset(fd);
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
		{ "berth.node.v1.Health", "Nothing" },  { "nobody.knows.This", "Check" },
	};
	const char *const *method = methods[hostile_random(state) % 8];
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

/* --- ways ----------------------------------------------------------------------------------------- */

bool hostile_say_all(struct hostile_way *way, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = way->say(way, at, len);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool hostile_hear_all(struct hostile_way *way, void *bytes, size_t len)
{
	uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = way->hear(way, at, len);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* The hostile take each other's places. */
bool hostile_join(struct hostile_way *way)
{
	uint8_t header[8];

	for (int i = 0; i < JOINS; i++) {
		if (way->open(way)) {
			if (hostile_say_all(way, frames_header_req, 8) &&
			    hostile_hear_all(way, header, 8))
				return true;
			way->close(way);
		}
		poll(NULL, 0, JOIN_MS);
	}
	return false;
}

static bool write_one(struct hostile_way *way, uint32_t id, const uint8_t *bytes, size_t len)
{
	uint8_t head[13] = { 1 };

	for (int i = 0; i < 4; i++) {
		head[8 - i] = (uint8_t)((len + 4) >> 8 * i);
		head[12 - i] = (uint8_t)((id | 0x80000000u) >> 8 * i);
	}
	return hostile_say_all(way, head, sizeof(head)) && hostile_say_all(way, bytes, len);
}

static bool read_one(struct hostile_way *way)
{
	static uint8_t answer[64 * 1024];
	uint8_t head[9];

	return hostile_hear_all(way, head, sizeof(head)) &&
	       hostile_hear_all(way, answer, (size_t)head[7] << 8 | head[8]);
}

int hostile_write(struct hostile_way *way, unsigned count, uint32_t random)
{
	static uint8_t bytes[HOSTILE_BYTES];
	bool joined = false;

	for (unsigned i = 0; i < count; i++) {
		if (!joined && !hostile_join(way))
			return 1;
		joined = true;
		if (!write_one(way, i, bytes, hostile_message(&random, bytes)))
			return 2;
		if (!read_one(way))
			return 3;
		if (i % WRITES == WRITES - 1) {
			way->close(way);
			joined = false;
		}
	}
	if (joined)
		way->close(way);
	return 0;
}

int hostile_break(struct hostile_way *way, unsigned kind)
{
	static const uint8_t lengths[][9] = {
		{ 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		{ 1, 0x80 },
		{ 1, 0, 0, 1 },
		{ 1, 0, 0, 0, 0, 0, 0, 0, 100 }, /* of which nothing comes */
	};
	bool joined = kind % HOSTILE_BREAKS < 4;

	if (joined ? !hostile_join(way) : !way->open(way))
		return joined ? 4 : 0;
	switch (kind % HOSTILE_BREAKS) {
	case 4: /* half a header */
		hostile_say_all(way, frames_header_req, 5);
		break;
	case 5: /* another protocol's */
		hostile_say_all(way, frames_header_rep, 8);
		break;
	default:
		hostile_say_all(way, lengths[kind % HOSTILE_BREAKS], 9);
		break;
	}
	way->close(way);
	return 0;
}

/* --- the agent's own socket ------------------------------------------------------------------------ */

static bool ipc_open(struct hostile_way *way)
{
	struct hostile_ipc *ipc = (struct hostile_ipc *)way;

	ipc->fd = frames_connect(ipc->socket);
	return ipc->fd >= 0;
}

static ssize_t ipc_say(struct hostile_way *way, const void *bytes, size_t len)
{
	return send(((struct hostile_ipc *)way)->fd, bytes, len, MSG_NOSIGNAL);
}

static ssize_t ipc_hear(struct hostile_way *way, void *bytes, size_t len)
{
	return recv(((struct hostile_ipc *)way)->fd, bytes, len, 0);
}

static void ipc_close(struct hostile_way *way)
{
	close(((struct hostile_ipc *)way)->fd);
}

struct hostile_ipc hostile_ipc(const char *socket)
{
	return (struct hostile_ipc){
		.way = { ipc_open, ipc_say, ipc_hear, ipc_close },
		.socket = socket,
		.fd = -1,
	};
}

int hostile_take_places(const char *socket)
{
	static struct hostile_ipc ipc[PLACES];

	for (size_t i = 0; i < PLACES; i++) {
		ipc[i] = hostile_ipc(socket);
		if (!hostile_join(&ipc[i].way))
			return 1;
	}
	return 0;
}
