#include "agent/server/probe.h"

#include "node/v1/health.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/wire/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

/* What travels, as nng's ipc transport frames it: each side's 8-byte SP header, then per message a
 * byte 1, the body's length in 8 bytes big-endian, and the body; REQ's body begins with a request
 * id of 4 bytes whose top bit is set. */
#define SP_HEADER_BYTES 8
#define FRAME_BYTES     9
#define REQUEST_ID      0x80000001u
#define PREFIX_BYTES    (FRAME_BYTES + 4)

static const uint8_t sp_req[SP_HEADER_BYTES] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
static const uint8_t sp_rep[SP_HEADER_BYTES] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };

struct probe {
	int fd;
	sd_event_source *io;
	sd_event_source *timer;
	probe_fn *done;
	void *arg;
	uint8_t request[512];
	size_t request_len;
	bool asked;
	uint8_t reply[8192]; /* a Health.Check reply has a handful of sentences */
	size_t reply_len;
};

void probe_cancel(struct probe *probe)
{
	if (!probe)
		return;
	sd_event_source_disable_unref(probe->io);
	sd_event_source_disable_unref(probe->timer);
	if (probe->fd >= 0)
		close(probe->fd);
	free(probe);
}
DEFINE_CLEANUP(probe, struct probe *, probe_cancel)

static void finish(struct probe *probe, const struct Berth__Node__V1__HealthReply *reply,
		   const struct err *err)
{
	probe_fn *done = probe->done;
	void *arg = probe->arg;

	probe_cancel(probe);
	done(arg, reply, err);
}

static void put_be(uint8_t *at, uint64_t value, size_t bytes)
{
	while (bytes > 0) {
		at[--bytes] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get_be(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

static void make_request(struct probe *probe, struct deadline by)
{
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
	uint8_t id[WIRE_CALL_ID_BYTES];
	uint8_t *at = probe->request;
	size_t len;

	if (getrandom(id, sizeof(id), GRND_NONBLOCK) != sizeof(id)) /* early boot: any will do */
		put_be(id, (uint64_t)clock_now_us(), sizeof(id));
	req.call_id = (ProtobufCBinaryData){ sizeof(id), id };
	req.service = (char *)berth__node__v1__health__descriptor.name;
	req.method = (char *)"Check";
	req.protocol = WIRE_PROTOCOL;
	req.timeout_ms = (uint32_t)deadline_left_ms(by);
	len = berth__node__v1__request__get_packed_size(&req); /* some 60 bytes, always */

	memcpy(at, sp_req, SP_HEADER_BYTES);
	at += SP_HEADER_BYTES;
	at[0] = 1;
	put_be(at + 1, len + 4, 8);
	put_be(at + FRAME_BYTES, REQUEST_ID, 4);
	berth__node__v1__request__pack(&req, at + PREFIX_BYTES);
	probe->request_len = SP_HEADER_BYTES + PREFIX_BYTES + len;
}

/* Length of the whole answer once it can be told, else 0; negative when it is none. */
static ssize_t expected(const struct probe *probe)
{
	const uint8_t *frame = probe->reply + SP_HEADER_BYTES;
	uint64_t body;

	if (probe->reply_len < SP_HEADER_BYTES + FRAME_BYTES)
		return 0;
	body = get_be(frame + 1, 8);
	if (memcmp(probe->reply, sp_rep, SP_HEADER_BYTES) != 0 || frame[0] != 1 || body < 4 ||
	    body > sizeof(probe->reply) - SP_HEADER_BYTES - FRAME_BYTES)
		return -1;
	return (ssize_t)(SP_HEADER_BYTES + FRAME_BYTES + body);
}

static int unpack_health(const Berth__Node__V1__Reply *reply, ProtobufCMessage **ret,
			 struct err *err)
{
	if (!reply->status || reply->status->code != BERTH__NODE__V1__CODE__OK)
		return status_to_err(reply->status, err);
	return wire_unpack(&berth__node__v1__health_reply__descriptor, reply->payload.data,
			   reply->payload.len, ret, err);
}

static void parse(struct probe *probe, size_t len)
{
	const size_t skip = SP_HEADER_BYTES + PREFIX_BYTES;
	ProtobufCMessage *reply = NULL, *health = NULL;
	struct err err;

	if (wire_unpack(&berth__node__v1__reply__descriptor, probe->reply + skip, len - skip,
			&reply, &err) < 0 ||
	    unpack_health((Berth__Node__V1__Reply *)reply, &health, &err) < 0)
		finish(probe, NULL, &err);
	else
		finish(probe, (Berth__Node__V1__HealthReply *)health, NULL);
	protobuf_c_message_free_unpacked(reply, NULL);
	protobuf_c_message_free_unpacked(health, NULL);
}

/* The request leaves in one piece, and only after the peer has sent its header: until then a
 * connection that is turned away shows as one. */
static bool ask(struct probe *probe)
{
	const uint8_t *rest = probe->request + SP_HEADER_BYTES;
	size_t len = probe->request_len - SP_HEADER_BYTES;

	if (probe->asked || probe->reply_len < SP_HEADER_BYTES)
		return true;
	probe->asked = true;
	return send(probe->fd, rest, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct probe *probe = arg;
	struct err err;
	ssize_t n = recv(fd, probe->reply + probe->reply_len,
			 sizeof(probe->reply) - probe->reply_len, 0);
	ssize_t len;

	(void)source;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0)
		probe->reply_len += (size_t)n;
	len = expected(probe);
	if (n <= 0 || len < 0 || !ask(probe)) {
		err_set(&err, ERR_UNAVAILABLE, n < 0 ? errno : 0,
			n > 0 ? "what answers is not an agent" : "the agent closed the connection");
		finish(probe, NULL, &err);
	} else if (len > 0 && probe->reply_len >= (size_t)len) {
		parse(probe, (size_t)len);
	}
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct err err;

	(void)source;
	(void)usec;
	err_set(&err, ERR_DEADLINE_EXCEEDED, 0, "the agent did not answer in time");
	finish(arg, NULL, &err);
	return 0;
}

static int probe_connect(struct probe *probe, const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "socket path '%s' is too long", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	probe->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe->fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	if (connect(probe->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    send(probe->fd, sp_req, SP_HEADER_BYTES, MSG_NOSIGNAL) != SP_HEADER_BYTES) {
		int sys = errno;

		err_set(err, ERR_UNAVAILABLE, sys, "no agent answers at '%s'", path);
		return err_explain(err, "AGENT_NOT_ANSWERING", NULL);
	}
	return 0;
}

int probe_start(struct sd_event *loop, const char *socket_path, struct deadline by, probe_fn *done,
		void *arg, struct probe **ret_probe, struct err *err)
{
	cleanup_with(probe) struct probe *probe = malloc(sizeof(*probe));
	int rc;

	if (!probe)
		return err_oom(err);
	memset(probe, 0, offsetof(struct probe, request));
	probe->request_len = probe->reply_len = 0;
	probe->asked = false;
	probe->fd = -1;
	probe->done = done;
	probe->arg = arg;
	make_request(probe, by);
	if (probe_connect(probe, socket_path, err) < 0)
		return -1;
	rc = sd_event_add_io(loop, &probe->io, probe->fd, EPOLLIN, on_io, probe);
	if (rc >= 0)
		rc = sd_event_add_time(loop, &probe->timer, CLOCK_MONOTONIC,
				       (uint64_t)by.at_ms * 1000, 50000, on_timer, probe);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "probe: serve the loop");
	*ret_probe = TAKE(probe);
	return 0;
}
