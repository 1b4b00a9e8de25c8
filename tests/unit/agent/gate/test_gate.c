/*
 * The gate between a client and a listener that plays nng's part, all on one loop: the test moves
 * both ends by hand and turns the loop until it has nothing left to do.
 */
#include "agent/gate/gate.h"

#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

static const uint8_t req[8] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
static const uint8_t rep[8] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };

struct rig {
	char dir[32];
	char public_path[64];
	char private_path[64];
	sd_event *loop;
	struct gate *gate;
	struct gate_config config;
	struct gate_counters seen;
	int nng; /* the private listener */
};

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
	assert_return_code(listen(fd, 128), errno);
	return fd;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	snprintf(rig->dir, sizeof(rig->dir), "/tmp/berth-gate-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->public_path, sizeof(rig->public_path), "%s/public/agent.sock", rig->dir);
	snprintf(rig->private_path, sizeof(rig->private_path), "%s/nng.sock", rig->dir);
	rig->nng = listen_at(rig->private_path);
	assert_return_code(sd_event_new(&rig->loop), 0);
	gate_config_init(&rig->config);
	rig->config.public_path = rig->public_path;
	rig->config.private_path = rig->private_path;
	assert_int_equal(gate_open(&rig->config, rig->loop, &rig->gate, &err), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	char dir[64];

	gate_close(rig->gate);
	sd_event_unref(rig->loop);
	close(rig->nng);
	unlink(rig->private_path);
	snprintf(dir, sizeof(dir), "%s/public", rig->dir);
	rmdir(dir);
	assert_return_code(rmdir(rig->dir), errno);
	free(rig);
	return 0;
}

/* Until the loop has nothing to do. It must come to rest: a gate that spins fails here. */
static void turn(struct rig *rig)
{
	int rc, turns = 0;

	while ((rc = sd_event_run(rig->loop, 0)) > 0)
		assert_true(++turns < 10000);
	assert_return_code(rc, -rc);
	gate_get_counters(rig->gate, &rig->seen);
}

static int dial(const struct rig *rig)
{
	struct sockaddr_un address = address_of(rig->public_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof(address)), errno);
	return fd;
}

static void say(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* What can be read now; 0: end of stream, -1: nothing yet, -2: reset. */
static ssize_t hear(int fd, void *bytes, size_t len)
{
	ssize_t n = recv(fd, bytes, len, MSG_DONTWAIT);

	return n >= 0 ? n : errno == EAGAIN ? -1 : -2;
}

static void heard(int fd, const void *bytes, size_t len)
{
	uint8_t got[64];

	assert_int_equal(hear(fd, got, sizeof(got)), len);
	assert_memory_equal(got, bytes, len);
}

static bool is_closed(int fd)
{
	char byte;
	ssize_t n = hear(fd, &byte, 1);

	return n == 0 || n == -2;
}

static int nng_accept(const struct rig *rig)
{
	return accept4(rig->nng, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* A client and nng's side of it, negotiated. */
static void connected(struct rig *rig, int *ret_client, int *ret_nng)
{
	int client = dial(rig), nng;

	say(client, req, 8);
	turn(rig);
	nng = nng_accept(rig);
	assert_true(nng >= 0);
	heard(nng, req, 8);
	assert_int_equal(hear(client, (uint8_t[1]){ 0 }, 1), -1); /* not before nng has spoken */
	say(nng, rep, 8);
	turn(rig);
	heard(client, rep, 8);
	*ret_client = client;
	*ret_nng = nng;
}

/* The gate again, with other limits. */
static void reopen(struct rig *rig, int64_t handshake_ms, int64_t idle_ms)
{
	struct gate_config config = rig->config;
	struct err err;

	gate_close(rig->gate);
	config.handshake_ms = handshake_ms;
	config.idle_ms = idle_ms;
	assert_int_equal(gate_open(&config, rig->loop, &rig->gate, &err), 0);
}

static void bytes_pass_both_ways(void **state)
{
	struct rig *rig = *state;
	int client, nng;

	connected(rig, &client, &nng);
	say(client, "hello", 5);
	turn(rig);
	heard(nng, "hello", 5);
	say(nng, "world!", 6);
	turn(rig);
	heard(client, "world!", 6);
	assert_int_equal(rig->seen.open, 1);
	close(client);
	turn(rig);
	assert_true(is_closed(nng));
	close(nng);
	turn(rig);
	assert_int_equal(rig->seen.open, 0);
}

static void a_message_right_behind_the_header_is_kept(void **state)
{
	struct rig *rig = *state;
	uint8_t both[11];
	int client = dial(rig), nng;

	memcpy(both, req, 8);
	memcpy(both + 8, "abc", 3);
	say(client, both, sizeof(both));
	turn(rig);
	nng = nng_accept(rig);
	heard(nng, req, 8);
	say(nng, rep, 8);
	turn(rig);
	heard(nng, "abc", 3);
	close(client);
	close(nng);
}

static void a_header_may_come_byte_by_byte(void **state)
{
	struct rig *rig = *state;
	int client = dial(rig), nng;

	for (size_t i = 0; i < 8; i++) {
		assert_true(nng_accept(rig) < 0);
		say(client, req + i, 1);
		turn(rig);
	}
	nng = nng_accept(rig);
	assert_true(nng >= 0);
	close(client);
	close(nng);
}

/* F15: nng 1.5.2 never listens again when its negotiation is aborted */
static void a_client_that_goes_does_not_abort_the_negotiation_with_nng(void **state)
{
	struct rig *rig = *state;
	int client = dial(rig), nng;

	say(client, req, 8);
	turn(rig);
	close(client);
	turn(rig);
	nng = nng_accept(rig);
	assert_true(nng >= 0);
	heard(nng, req, 8);
	turn(rig);
	assert_false(is_closed(nng));
	say(nng, rep, 8); /* EPIPE here would be the end of nng's listener */
	turn(rig);
	assert_true(is_closed(nng));
	assert_int_equal(rig->seen.open, 0);
	close(nng);
}

static void our_own_deadline_does_not_abort_it_either(void **state)
{
	struct rig *rig = *state;
	struct pollfd p = { .events = POLLIN };
	int nng;

	reopen(rig, 30, rig->config.idle_ms);
	p.fd = dial(rig);
	say(p.fd, req, 8);
	turn(rig);
	nng = nng_accept(rig);
	heard(nng, req, 8);
	while (poll(&p, 1, 0) == 0) /* ends by the reaper, or the run's time-out */
		assert_return_code(sd_event_run(rig->loop, UINT64_MAX), 0);
	assert_true(is_closed(p.fd));
	assert_false(is_closed(nng));
	say(nng, rep, 4);
	turn(rig);
	assert_false(is_closed(nng));
	say(nng, rep + 4, 4);
	turn(rig);
	assert_true(is_closed(nng));
	close(p.fd);
	close(nng);
}

/* F13, F15 */
static void anything_but_a_req_header_is_closed(void **state)
{
	static const char *const headers[] = { "\0SP\0\0\x31\0\0", "\0SP\0\0\x10\0\0",
					       "\0SP\1\0\x30\0\0", "\0SP\0\0\x30\0\1",
					       "GET / HT",         "\0\0\0\0\0\0\0\0" };
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		int client = dial(rig);

		say(client, headers[i], 8);
		turn(rig);
		assert_true(is_closed(client));
		assert_true(nng_accept(rig) < 0);
		close(client);
	}
	assert_int_equal(rig->seen.refused_header, ARRAY_LEN(headers));
	assert_int_equal(rig->seen.open, 0);
}

static void a_header_that_never_comes_is_given_up(void **state)
{
	struct rig *rig = *state;
	struct pollfd p = { .events = POLLIN };

	reopen(rig, 30, rig->config.idle_ms);
	p.fd = dial(rig);
	say(p.fd, req, 3);
	while (poll(&p, 1, 0) == 0) /* ends by the reaper, or the run's time-out */
		assert_return_code(sd_event_run(rig->loop, UINT64_MAX), 0);
	assert_true(is_closed(p.fd));
	turn(rig);
	assert_int_equal(rig->seen.refused_header, 1);
	close(p.fd);
}

static void a_silent_connection_is_ended(void **state)
{
	struct rig *rig = *state;
	int client, nng;

	reopen(rig, 40, 40);
	connected(rig, &client, &nng);
	do {
		assert_return_code(sd_event_run(rig->loop, UINT64_MAX), 0);
		gate_get_counters(rig->gate, &rig->seen);
	} while (rig->seen.open > 0);
	assert_true(is_closed(client));
	assert_true(is_closed(nng));
	close(client);
	close(nng);
}

/* I15 */
static void connections_are_limited_in_all_and_by_peer(void **state)
{
	struct rig *rig = *state;
	int fds[17];

	assert_int_equal(rig->config.max_per_peer, 256);
	assert_true(rig->config.max_connections >= 256 + 64);
	rig->config.max_per_peer = 16;
	reopen(rig, 5000, 5000);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = dial(rig);
	turn(rig);
	assert_int_equal(rig->seen.open, 16);
	assert_int_equal(rig->seen.refused_limit, 1);
	assert_true(is_closed(fds[16]));
	close(fds[0]);
	turn(rig);
	assert_int_equal(rig->seen.open, 15);
	close(fds[16]);
	fds[16] = dial(rig);
	turn(rig);
	assert_false(is_closed(fds[16]));
	for (size_t i = 1; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	rig->config.max_per_peer = 100;
	rig->config.max_connections = 16;
	reopen(rig, 5000, 5000);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = dial(rig);
	turn(rig);
	assert_int_equal(rig->seen.open, 16);
	assert_true(is_closed(fds[16]));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static unsigned lag_of(void *arg)
{
	return *(const unsigned *)arg;
}

/* F15, F17: nng frees connections in its own time, and is not given more than it can bury */
static void nobody_is_accepted_while_nng_lags_behind(void **state)
{
	struct rig *rig = *state;
	unsigned lag = GATE_LAG_MAX + 1;
	int fd;

	rig->config.lag = lag_of;
	rig->config.arg = &lag;
	reopen(rig, 5000, 5000);
	fd = dial(rig);
	for (int i = 0; i < 20; i++) {
		assert_return_code(sd_event_run(rig->loop, 5000), 0);
		gate_get_counters(rig->gate, &rig->seen);
		assert_int_equal(rig->seen.accepted, 0);
	}
	lag--;
	while (rig->seen.accepted == 0) {
		assert_true(sd_event_run(rig->loop, 1000000) > 0);
		gate_get_counters(rig->gate, &rig->seen);
	}
	assert_false(is_closed(fd));
	close(fd);
}

/* Neither side reads: the gate must hold what it has, wait, and lose nothing. */
static void back_pressure_holds_and_loses_nothing(void **state)
{
	enum { BLOCK = 32 * 1024, TOTAL = 8 * 1024 * 1024 };
	static uint8_t block[BLOCK], got[BLOCK];
	size_t sent = 0, received = 0;
	struct rig *rig = *state;
	int client, nng;

	connected(rig, &client, &nng);
	while (received < TOTAL) {
		ssize_t n;

		for (size_t i = 0; i < BLOCK; i++)
			block[i] = (uint8_t)((sent + i) / 251);
		n = sent < TOTAL ? send(client, block, BLOCK, MSG_NOSIGNAL) : -1;
		if (n > 0)
			sent += (size_t)n;
		turn(rig);
		if (n > 0)
			continue; /* read only when it is all jammed */
		n = hear(nng, got, BLOCK);
		assert_true(n > 0);
		for (size_t i = 0; i < (size_t)n; i += 97)
			assert_int_equal(got[i], (uint8_t)((received + i) / 251));
		received += (size_t)n;
	}
	assert_int_equal(received, sent);
	close(client);
	close(nng);
}

static void what_was_sent_before_a_half_close_arrives(void **state)
{
	static uint8_t block[512 * 1024], got[512 * 1024 + 1];
	struct rig *rig = *state;
	size_t sent = 0, received = 0;
	int client, nng;
	ssize_t n;

	connected(rig, &client, &nng);
	memset(block, 'x', sizeof(block));
	while ((n = send(client, block, sizeof(block), MSG_NOSIGNAL)) > 0) {
		sent += (size_t)n;
		turn(rig);
	}
	shutdown(client, SHUT_WR);
	turn(rig);
	while ((n = hear(nng, got, sizeof(got))) > 0) {
		received += (size_t)n;
		turn(rig);
	}
	assert_int_equal(n, 0);
	assert_int_equal(received, sent);
	say(nng, "answer", 6); /* the other way is still open */
	turn(rig);
	heard(client, "answer", 6);
	close(nng);
	turn(rig);
	assert_true(is_closed(client));
	assert_int_equal(rig->seen.open, 0);
	close(client);
}

/* A hang-up is reported by epoll whether one wants it or not: turn() fails when the gate spins. */
static void a_hang_up_under_back_pressure_does_not_spin(void **state)
{
	static uint8_t block[64 * 1024];
	struct rig *rig = *state;
	int client, nng;

	connected(rig, &client, &nng);
	while (send(client, block, sizeof(block), MSG_NOSIGNAL) > 0)
		turn(rig);
	close(client);
	turn(rig);
	assert_int_equal(rig->seen.open, 1); /* nng may still take it */
	close(nng);
	turn(rig);
	assert_int_equal(rig->seen.open, 0);
}

static void without_nng_the_client_is_let_go(void **state)
{
	struct rig *rig = *state;
	int client = dial(rig);

	close(rig->nng);
	unlink(rig->private_path);
	say(client, req, 8);
	turn(rig);
	assert_true(is_closed(client));
	assert_int_equal(rig->seen.open, 0);
	close(client);
	rig->nng = listen_at(rig->private_path);
}

/* F17 */
static void running_out_of_descriptors_turns_away_and_recovers(void **state)
{
	struct rig *rig = *state;
	struct rlimit old, low;
	int client = dial(rig), probe = dup(client);

	assert_return_code(getrlimit(RLIMIT_NOFILE, &old), errno);
	low = old;
	low.rlim_cur = (rlim_t)probe; /* 'probe' is the lowest free one: no more after it */
	close(probe);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &low), errno);
	turn(rig);
	assert_int_equal(rig->seen.refused_limit, 1);
	assert_true(is_closed(client));
	assert_return_code(setrlimit(RLIMIT_NOFILE, &old), errno);
	close(client);
	client = dial(rig);
	turn(rig);
	assert_int_equal(rig->seen.open, 1);
	close(client);
}

/* S9 */
static void the_socket_is_for_its_owner_only(void **state)
{
	struct rig *rig = *state;
	struct stat st;
	char dir[64];

	assert_return_code(stat(rig->public_path, &st), errno);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(dir, sizeof(dir), "%s/public", rig->dir);
	assert_return_code(stat(dir, &st), errno);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_stale_socket_is_replaced_and_a_file_is_not(void **state)
{
	struct rig *rig = *state;
	struct gate_config config = rig->config;
	char stale[64];
	struct gate *other;
	struct err err;
	int fd;

	snprintf(stale, sizeof(stale), "%s/stale", rig->dir);
	/* left by an agent that was killed: nobody listens, the file is there */
	close(listen_at(stale));
	config.public_path = stale;
	assert_int_equal(gate_open(&config, rig->loop, &other, &err), 0);
	gate_close(other);
	assert_int_equal(access(stale, F_OK), -1);

	fd = open(stale, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(gate_open(&config, rig->loop, &other, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	unlink(stale);
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
	struct rig *rig = *state;
	struct gate_config config = rig->config;
	char path[200];
	struct gate *other;
	struct err err;

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	config.public_path = path;
	assert_int_equal(gate_open(&config, rig->loop, &other, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
}

/* As systemd would: the gate serves it, and leaves its file alone. */
static void a_listener_can_be_handed_in(void **state)
{
	struct rig *rig = *state;
	struct gate_config config = rig->config;
	char path[64];
	struct err err;
	int client, nng;

	gate_close(rig->gate);
	snprintf(path, sizeof(path), "%s/handed", rig->dir);
	snprintf(rig->public_path, sizeof(rig->public_path), "%s", path);
	config.listen_fd = listen_at(path);
	assert_int_equal(gate_open(&config, rig->loop, &rig->gate, &err), 0);
	connected(rig, &client, &nng);
	close(client);
	close(nng);
	gate_close(rig->gate);
	rig->gate = NULL;
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_pass_both_ways),
		TEST(a_message_right_behind_the_header_is_kept),
		TEST(a_header_may_come_byte_by_byte),
		TEST(a_client_that_goes_does_not_abort_the_negotiation_with_nng),
		TEST(our_own_deadline_does_not_abort_it_either),
		TEST(anything_but_a_req_header_is_closed),
		TEST(a_header_that_never_comes_is_given_up),
		TEST(a_silent_connection_is_ended),
		TEST(connections_are_limited_in_all_and_by_peer),
		TEST(nobody_is_accepted_while_nng_lags_behind),
		TEST(back_pressure_holds_and_loses_nothing),
		TEST(what_was_sent_before_a_half_close_arrives),
		TEST(a_hang_up_under_back_pressure_does_not_spin),
		TEST(without_nng_the_client_is_let_go),
		TEST(running_out_of_descriptors_turns_away_and_recovers),
		TEST(the_socket_is_for_its_owner_only),
		TEST(a_stale_socket_is_replaced_and_a_file_is_not),
		TEST(a_path_that_does_not_fit_is_refused),
		TEST(a_listener_can_be_handed_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
