#include "agent/ask/probe.h"

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

/* Most replies are a handful of sentences. */
#define REPLY_FIRST_BYTES 4096
#define REPLY_MAX_BYTES   (PREFIX_BYTES + (size_t)WIRE_MAX_BYTES)

static const uint8_t sp_req[SP_HEADER_BYTES] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
static const uint8_t sp_rep[SP_HEADER_BYTES] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };

struct probe {
	sd_event *loop;
	struct sockaddr_un address;
	int fd; /* -1: not connected */
	sd_event_source *io;
	sd_event_source *timer;
	probe_fn *done; /* NULL: no call is under way */
	void *arg;
	bool greeted; /* the peer's SP header has come */
	bool asked;
	uint8_t request[512];
	size_t request_len;
	const ProtobufCMethodDescriptor *method;
	uint8_t *reply; /* grows with what comes */
	size_t reply_len;
	size_t reply_size;
};

static void disconnect(struct probe *probe)
{
	probe->io = sd_event_source_disable_unref(probe->io);
	if (probe->fd >= 0)
		close(probe->fd);
	probe->fd = -1;
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	disconnect(probe);
	sd_event_source_disable_unref(probe->timer);
	sd_event_unref(probe->loop);
	free(probe->reply);
	free(probe);
}

/* The last thing to do with the probe: 'done' may free it. */
static void finish(struct probe *probe, const ProtobufCMessage *reply, const struct err *err)
{
	probe_fn *done = probe->done;

	sd_event_source_set_enabled(probe->timer, SD_EVENT_OFF);
	probe->done = NULL;
	if (err)
		disconnect(probe);
	if (done)
		done(probe->arg, reply, err);
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

static void make_request(struct probe *probe, const ProtobufCServiceDescriptor *service,
			 struct deadline by)
{
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
	uint8_t id[WIRE_CALL_ID_BYTES];
	uint8_t *at = probe->request;
	size_t len;

	if (getrandom(id, sizeof(id), GRND_NONBLOCK) != sizeof(id)) /* early boot: any will do */
		put_be(id, (uint64_t)clock_now_us(), sizeof(id));
	req.call_id = (ProtobufCBinaryData){ sizeof(id), id };
	req.service = (char *)service->name;
	req.method = (char *)probe->method->name;
	req.protocol = WIRE_PROTOCOL;
	req.timeout_ms = (uint32_t)deadline_left_ms(by);
	len = berth__node__v1__request__get_packed_size(&req); /* some 60 bytes, always */

	at[0] = 1;
	put_be(at + 1, len + 4, 8);
	put_be(at + FRAME_BYTES, REQUEST_ID, 4);
	berth__node__v1__request__pack(&req, at + PREFIX_BYTES);
	probe->request_len = PREFIX_BYTES + len;
}

/* Length of the whole answer once it can be told, else 0; negative when it is none. */
static ssize_t expected(const struct probe *probe)
{
	uint64_t body;

	if (probe->reply_len < FRAME_BYTES)
		return 0;
	body = get_be(probe->reply + 1, 8);
	if (probe->reply[0] != 1 || body < 4 || body > REPLY_MAX_BYTES - FRAME_BYTES)
		return -1;
	return (ssize_t)(FRAME_BYTES + body);
}

static int unpack_output(const struct probe *probe, const Berth__Node__V1__Reply *reply,
			 ProtobufCMessage **ret, struct err *err)
{
	if (!reply->status || reply->status->code != BERTH__NODE__V1__CODE__OK)
		return status_to_err(reply->status, err);
	return wire_unpack(probe->method->output, reply->payload.data, reply->payload.len, ret,
			   err);
}

static void parse(struct probe *probe, size_t len)
{
	ProtobufCMessage *reply = NULL, *output = NULL;
	struct err err;

	if (wire_unpack(&berth__node__v1__reply__descriptor, probe->reply + PREFIX_BYTES,
			len - PREFIX_BYTES, &reply, &err) < 0 ||
	    unpack_output(probe, (Berth__Node__V1__Reply *)reply, &output, &err) < 0)
		finish(probe, NULL, &err);
	else
		finish(probe, output, NULL);
	protobuf_c_message_free_unpacked(reply, NULL);
	protobuf_c_message_free_unpacked(output, NULL);
}

/* Takes the peer's SP header off what has come. False when it is another. */
static bool greet(struct probe *probe)
{
	if (probe->greeted || probe->reply_len < SP_HEADER_BYTES)
		return true;
	probe->greeted = true;
	probe->reply_len -= SP_HEADER_BYTES;
	if (memcmp(probe->reply, sp_rep, SP_HEADER_BYTES) != 0)
		return false;
	memmove(probe->reply, probe->reply + SP_HEADER_BYTES, probe->reply_len);
	return true;
}

/* Only after the peer has sent its header: until then a connection that is turned away shows as
 * one. */
static bool ask(struct probe *probe)
{
	ssize_t n;

	if (probe->asked || !probe->greeted)
		return true;
	probe->asked = true;
	n = send(probe->fd, probe->request, probe->request_len, MSG_NOSIGNAL);
	return n == (ssize_t)probe->request_len;
}

/* What is there, appended to the reply; as recv(2). */
static ssize_t take(struct probe *probe, int fd)
{
	size_t size = probe->reply_size ? probe->reply_size * 2 : REPLY_FIRST_BYTES;

	if (probe->reply_len == probe->reply_size && size < 2 * REPLY_MAX_BYTES) {
		uint8_t *reply = realloc(probe->reply, size);

		if (!reply)
			return -1;
		probe->reply = reply;
		probe->reply_size = size;
	}
	return recv(fd, probe->reply + probe->reply_len, probe->reply_size - probe->reply_len, 0);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct probe *probe = arg;
	struct err err;
	ssize_t n = take(probe, fd);
	ssize_t len = 0;

	(void)source;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0)
		probe->reply_len += (size_t)n;
	if (n > 0 && greet(probe) && ask(probe))
		len = probe->greeted ? expected(probe) : 0;
	else
		len = -1;
	if (len < 0 || !probe->done) {
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

int probe_new(struct sd_event *loop, const char *socket_path, struct probe **ret_probe,
	      struct err *err)
{
	cleanup_with(probe) struct probe *probe = NULL;
	int rc;

	if (strlen(socket_path) >= sizeof(probe->address.sun_path))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "socket path '%s' is too long",
			       socket_path);
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return err_oom(err);
	probe->loop = sd_event_ref(loop);
	probe->fd = -1;
	probe->address.sun_family = AF_UNIX;
	memcpy(probe->address.sun_path, socket_path, strlen(socket_path) + 1);
	rc = sd_event_add_time(loop, &probe->timer, CLOCK_MONOTONIC, 0, 50000, on_timer, probe);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(probe->timer, SD_EVENT_OFF);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "probe: serve the loop");
	*ret_probe = TAKE(probe);
	return 0;
}

static int connect_to(struct probe *probe, struct err *err)
{
	const struct sockaddr_un *to = &probe->address;
	int rc;

	probe->greeted = false;
	probe->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe->fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	if (connect(probe->fd, (const struct sockaddr *)to, sizeof(*to)) < 0 ||
	    send(probe->fd, sp_req, SP_HEADER_BYTES, MSG_NOSIGNAL) != SP_HEADER_BYTES) {
		err_set(err, ERR_UNAVAILABLE, errno, "no agent answers at '%s'", to->sun_path);
		return err_explain(err, "AGENT_NOT_ANSWERING", NULL);
	}
	rc = sd_event_add_io(probe->loop, &probe->io, probe->fd, EPOLLIN, on_io, probe);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "probe: serve the loop");
	return 0;
}

int probe_ask(struct probe *probe, const ProtobufCServiceDescriptor *service, const char *method,
	      struct deadline by, bool fresh, probe_fn *done, void *arg, struct err *err)
{
	probe->method = protobuf_c_service_descriptor_get_method_by_name(service, method);
	if (!probe->method)
		return err_set(err, ERR_UNIMPLEMENTED, 0, "there is no %s/%s", service->name,
			       method);
	if (fresh ||
	    probe->done) /* an answer that is still to come must not be taken for this one's */
		disconnect(probe);
	probe->done = NULL;
	probe->reply_len = 0;
	probe->asked = false;
	make_request(probe, service, by);
	if (probe->fd < 0 && connect_to(probe, err) < 0) {
		disconnect(probe);
		return -1;
	}
	if (!ask(probe)) {
		disconnect(probe);
		return err_set(err, ERR_UNAVAILABLE, 0, "the agent closed the connection");
	}
	probe->done = done;
	probe->arg = arg;
	sd_event_source_set_time(probe->timer, (uint64_t)by.at_ms * 1000);
	sd_event_source_set_enabled(probe->timer, SD_EVENT_ONESHOT);
	return 0;
}
