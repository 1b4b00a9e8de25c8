/*
 * The gate between a stranger and nng: a greeting in pieces, bytes both ways, either end gone at any time.
 * What one side gets is what the other has said, in order, and nothing before both have greeted; however
 * a client behaves nng's side sees a whole greeting, and in the end nothing is left open.
 *
 * Input: steps of a byte that says what happens, and for what is said a length byte and the bytes.
 */
#include "agent/gate/gate.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#define SAID_MAX 16384

static const uint8_t sp_req[8] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
static const uint8_t sp_rep[8] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };

/* One end, ours: what was said into it and what came out of it. */
struct end {
	int fd;
	uint8_t said[SAID_MAX], heard[SAID_MAX];
	size_t said_len, heard_len;
};

static sd_event *loop;
static struct gate *gate;
static int nng_listening = -1;
static char public_path[80], private_path[80];
static struct end client, nng;

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static void open_once(void)
{
	struct sockaddr_un address;
	struct gate_config config;
	struct err err;

	if (gate)
		return;
	snprintf(public_path, sizeof(public_path), "%s/public/agent.sock", fuzz_dir());
	snprintf(private_path, sizeof(private_path), "%s/nng.sock", fuzz_dir());
	address = address_of(private_path);
	nng_listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	PROMISE(bind(nng_listening, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		listen(nng_listening, 8) == 0);
	PROMISE(sd_event_new(&loop) >= 0);
	gate_config_init(&config);
	config.public_path = public_path;
	config.private_path = private_path;
	PROMISE(gate_open(&config, loop, &gate, &err) == 0);
}

static void turn(void)
{
	unsigned turns = 0;

	while (sd_event_run(loop, 0) > 0)
		PROMISE(++turns < 10000); /* a gate that spins */
	if (nng.fd < 0)
		nng.fd = accept4(nng_listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void say(struct end *end, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	if (end->fd < 0 || end->said_len + len > SAID_MAX)
		return;
	n = send(end->fd, bytes, len, MSG_NOSIGNAL);
	if (n <= 0)
		return;
	memcpy(end->said + end->said_len, bytes, (size_t)n);
	end->said_len += (size_t)n;
}

static void hear(struct end *end)
{
	ssize_t n;

	while (end->fd >= 0 && end->heard_len < SAID_MAX &&
	       (n = recv(end->fd, end->heard + end->heard_len, SAID_MAX - end->heard_len, 0)) > 0)
		end->heard_len += (size_t)n;
}

static void leave(struct end *end)
{
	hear(end);
	if (end->fd >= 0)
		close(end->fd);
	end->fd = -2; /* gone, and nobody comes after it */
}

/* 'to' has heard 'greeting', then what 'from' said behind its own; nothing of 'from' if it has not greeted. */
static void look_at(const struct end *to, const struct end *from, const uint8_t *greeting,
		    const uint8_t *from_greeting)
{
	size_t head = to->heard_len < 8 ? to->heard_len : 8;

	PROMISE(memcmp(to->heard, greeting, head) == 0);
	if (to->heard_len <= 8)
		return;
	PROMISE(from->said_len >= to->heard_len);
	PROMISE(memcmp(from->said, from_greeting, 8) == 0);
	PROMISE(memcmp(from->said + 8, to->heard + 8, to->heard_len - 8) == 0);
}

static void step(struct input *in)
{
	uint8_t what = input_byte(in);
	struct end *end = what & 1 ? &nng : &client;
	size_t len;
	const uint8_t *bytes;

	switch (what >> 1 & 7) {
	case 0:
		say(end, end == &nng ? sp_rep : sp_req, 8);
		break;
	case 1:
	case 2:
	case 3:
		bytes = input_bytes(in, input_byte(in), &len);
		say(end, bytes, len);
		break;
	case 4:
		if (end->fd >= 0)
			shutdown(end->fd, SHUT_WR);
		break;
	case 5:
		leave(end);
		break;
	default:
		hear(end);
		break;
	}
	turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = { bytes, len };
	struct gate_counters counters;
	struct sockaddr_un address;

	open_once();
	client.said_len = client.heard_len = nng.said_len = nng.heard_len = 0;
	nng.fd = -1;
	address = address_of(public_path);
	client.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	PROMISE(connect(client.fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	turn();
	while (in.left > 0)
		step(&in);
	hear(&client);
	hear(&nng);
	/* nng 1.5.2 wants the whole of it from everybody who comes as far as there. */
	PROMISE(nng.fd == -2 || nng.fd == -1 || nng.heard_len >= 8);
	look_at(&nng, &client, sp_req, sp_req);
	look_at(&client, &nng, sp_rep, sp_rep);
	leave(&client);
	turn();
	leave(&nng);
	turn();
	gate_get_counters(gate, &counters);
	PROMISE(counters.open == 0);
	return 0;
}
