/*
 * What answers at an agent's socket, for those who ask without nng (the watchdog, `berthd check`, the
 * front): a greeting, a frame and a reply, in pieces, from whoever listens there. Input: pieces of one
 * length byte and that many bytes. Each question ends once, with a reply or a reason.
 */
#include "agent/ask/probe.h"
#include "node/v1/health.pb-c.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

static struct sockaddr_un address;

static int listen_once(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent.sock", fuzz_dir());
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	PROMISE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		listen(fd, 8) == 0);
	return fd;
}

/* probe_fn */
static void on_answer(void *arg, const ProtobufCMessage *reply, const struct err *err)
{
	PROMISE((*(unsigned *)arg)++ == 0);
	PROMISE(!reply != !err);
	if (reply)
		PROMISE(reply->descriptor == &berth__node__v1__health_reply__descriptor);
	else
		PROMISE(err->code != ERR_OK); /* the words are the other side's */
}

static void turn(sd_event *loop)
{
	while (sd_event_run(loop, 0) > 0)
		;
}

static unsigned ask(struct probe *probe, unsigned *answers)
{
	struct err err;

	*answers = 0;
	if (probe_ask(probe, &berth__node__v1__health__descriptor, "Check", deadline_in_ms(60000),
		      false, on_answer, answers, &err) < 0) {
		PROMISE(err.code != ERR_OK);
		return 0;
	}
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = { bytes, len };
	int listening = listen_once(), fd;
	unsigned answers, due;
	struct probe *probe;
	sd_event *loop;
	struct err err;

	PROMISE(sd_event_new(&loop) >= 0);
	PROMISE(probe_new(loop, address.sun_path, &probe, &err) == 0);
	due = ask(probe, &answers);
	fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	PROMISE(fd >= 0);
	while (in.left > 0) {
		size_t piece;
		const uint8_t *at = input_bytes(&in, input_byte(&in), &piece);

		if (send(fd, at, piece, MSG_NOSIGNAL) < 0)
			break;
		turn(loop);
		if (answers == due && piece % 2) /* over the same connection, if it is good */
			due = ask(probe, &answers);
	}
	shutdown(fd, SHUT_WR);
	turn(loop);
	PROMISE(answers <= due);
	probe_free(probe);
	close(fd);
	while ((fd = accept(listening, NULL, NULL)) >= 0)
		close(fd);
	sd_event_unref(loop);
	return 0;
}
