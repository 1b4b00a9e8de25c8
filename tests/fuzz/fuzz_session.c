/*
 * The runtime's streaming server, at the other end of a session in a container: its answer to the
 * handshake, its frames, its last word, in pieces. What comes out is what its frames held, every session
 * has one end, and nothing hangs when the server goes.
 *
 * Input: a byte of flags (begin with a good handshake; with a terminal; with input), then pieces: a length
 * byte and so many bytes.
 */
#include "agent/streams/container.h"
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

static const char handshake[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				"Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n";

struct session {
	struct stream *stream;
	unsigned opened, failed;
	uint64_t next;
	bool waits, ended, used;
	unsigned writes; /* under way */
};

static const uint8_t words[] = { 'w', 'o', 'r', 'd', 's' };

/* Looks at this process's cgroup, which is none of a session's business. */
int __wrap_children_open(struct streams *streams, struct err *err);
int __wrap_children_open(struct streams *streams, struct err *err)
{
	(void)streams;
	(void)err;
	return 0;
}

/* The server's door, and where it is. */
static int listen_once(char url[64])
{
	static struct sockaddr_in address = { .sin_family = AF_INET };
	static int fd = -1;
	socklen_t len = sizeof(address);

	if (fd < 0) {
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		PROMISE(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
			listen(fd, 8) == 0 &&
			getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	}
	snprintf(url, 64, "http://127.0.0.1:%d/exec/x", ntohs(address.sin_port));
	return fd;
}

/* container_done_fn */
static void on_open(void *arg, struct stream *stream, const struct err *err)
{
	struct session *s = arg;

	PROMISE(!stream != !err && s->opened + s->failed == 0);
	s->stream = stream;
	s->opened += stream != NULL;
	s->failed += err != NULL;
	if (err)
		PROMISE(err->code != ERR_OK && err->msg[0]);
}

/* stream_write_fn */
static void on_write(void *arg, uint64_t next_offset, const struct err *err)
{
	struct session *s = arg;

	PROMISE(s->writes-- == 1);
	PROMISE(err || next_offset <= sizeof(words));
}

/* What the client of the session does meanwhile: it writes, resizes its terminal, signals. */
static void use(struct session *s)
{
	struct err err;

	if (!s->stream || s->used)
		return;
	s->used = true;
	s->writes = 1;
	stream_write(s->stream, 0, words, sizeof(words), true, deadline_in_ms(60000), on_write, s);
	stream_resize(s->stream, 25, 80, &err);
	stream_signal(s->stream, 15, &err);
}

/* stream_read_fn */
static void on_read(void *arg, const struct stream_read *read, const struct err *err)
{
	struct session *s = arg;

	PROMISE(!read != !err && s->waits);
	s->waits = false;
	if (!read) {
		s->ended = true;
		return;
	}
	for (size_t i = 0; i < read->count; i++)
		PROMISE(read->pieces[i].len > 0);
	s->next = read->next_offset;
	s->ended = read->end != NULL;
	if (read->end)
		PROMISE(read->end->exit_code >= 0 && read->end->exit_code <= 255);
}

static void turn(struct session *s, sd_event *loop)
{
	do {
		if (s->stream && !s->waits && !s->ended) {
			s->waits = true;
			stream_read(s->stream, s->next, 0, deadline_in_ms(60000), on_read, s);
		}
		use(s);
	} while (sd_event_run(loop, 0) > 0);
}

/* What the server says, as it comes. */
static void serve(struct session *s, sd_event *loop, int fd, struct input *in)
{
	uint8_t sink[4096];

	while (in->left > 0) {
		size_t len;
		const uint8_t *at = input_bytes(in, input_byte(in), &len);

		if (send(fd, at, len, MSG_NOSIGNAL) < 0)
			break;
		turn(s, loop);
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
}

static void drop_connection(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* no port is left in TIME-WAIT */
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = { bytes, len };
	uint8_t flags = input_byte(&in);
	struct container_target target = {
		.tty = flags & 2, .rows = 24, .columns = 80, .input = flags & 4
	};
	struct session s = { 0 };
	struct streams *streams;
	sd_event *loop;
	char url[64];
	int listening = listen_once(url), fd;
	struct err err;

	target.url = url;
	PROMISE(sd_event_new(&loop) >= 0 && streams_open(loop, &streams, &err) == 0);
	container_stream_open(streams, &target, ROLE_ADMIN, deadline_in_ms(60000), on_open, &s);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	PROMISE(fd >= 0);
	turn(&s, loop);
	if (flags & 1)
		PROMISE(send(fd, handshake, sizeof(handshake) - 1, MSG_NOSIGNAL) > 0);
	turn(&s, loop);
	serve(&s, loop, fd, &in);
	shutdown(fd, SHUT_WR);
	for (turn(&s, loop); s.opened ? !s.ended : !s.failed; turn(&s, loop))
		PROMISE(sd_event_run(loop, 5000000) > 0); /* the server is gone: it ends */
	streams_close(streams);
	PROMISE(s.writes == 0);
	drop_connection(fd);
	sd_event_unref(loop);
	return 0;
}
