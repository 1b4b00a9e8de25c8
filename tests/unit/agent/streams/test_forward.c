/* Connections as sessions, to servers of the test's own, here and in a network of their own. */
#include "agent/streams/forward.h"
#include "tests/support/streams.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct opened {
	unsigned count;
	struct stream *stream;
	struct err err;
};

static void on_open(void *arg, struct stream *stream, const struct err *err)
{
	struct opened *opened = arg;

	opened->count++;
	opened->stream = stream;
	if (err)
		opened->err = *err;
}

static void open_target(struct st_rig *rig, const struct forward_target *target,
			struct opened *opened)
{
	*opened = (struct opened){ 0 };
	forward_stream_open(rig->streams, target, ROLE_ADMIN, deadline_in_ms(5000), on_open,
			    opened);
	st_until(rig, opened->count > 0);
	assert_int_equal(opened->count, 1);
}

static int listen_on(int family, uint16_t *ret_port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *address =
		family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, address, len) < 0 || listen(fd, 4) < 0 ||
	    getsockname(fd, address, &len) < 0)
		return -1;
	*ret_port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	return fd;
}

static void both_ways(struct st_rig *rig, int listener, uint16_t port)
{
	const struct forward_target target = { .port = port };
	struct st_output output;
	struct opened opened;
	char got[64] = "";
	int fd;

	open_target(rig, &target, &opened);
	assert_non_null(opened.stream);
	fd = accept(listener, NULL, NULL);
	st_write_all(rig, opened.stream, "question", 8);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_WAITALL), 8);
	assert_string_equal(got, "question");
	/* Its half is closed, and the answer still comes. */
	assert_int_equal(send(fd, "answer", 6, 0), 6);
	close(fd);
	st_read_all(rig, opened.stream, 0, &output);
	assert_string_equal(output.text, "answer");
	assert_int_equal(output.end.err.code, ERR_OK);
	stream_close(opened.stream);
}

static void bytes_go_both_ways_after_one_half_is_closed(void **state)
{
	uint16_t port;
	int listener = listen_on(AF_INET, &port);

	assert_true(listener >= 0);
	both_ways(*state, listener, port);
	close(listener);
}

static void a_server_on_the_other_loopback_is_found(void **state)
{
	uint16_t port;
	int listener = listen_on(AF_INET6, &port);

	if (listener < 0) {
		print_message("this host has no ::1\n");
		skip();
	}
	both_ways(*state, listener, port);
	close(listener);
}

static void nobody_who_listens_is_unavailable_and_leaves_no_session(void **state)
{
	struct st_rig *rig = *state;
	struct forward_target target = { 0 };
	struct opened opened;

	close(listen_on(AF_INET, &target.port));
	open_target(rig, &target, &opened);
	assert_null(opened.stream);
	assert_int_equal(opened.err.code, ERR_UNAVAILABLE);
	assert_string_equal(opened.err.reason, "NOBODY_LISTENS");
	assert_int_equal(streams_count(rig->streams), 0);
}

static void a_connection_that_is_reset_says_so(void **state)
{
	struct linger at_once = { .l_onoff = 1 };
	struct st_rig *rig = *state;
	struct forward_target target = { 0 };
	struct st_output output;
	struct opened opened;
	int listener = listen_on(AF_INET, &target.port);
	int fd;

	open_target(rig, &target, &opened);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fd);
	st_read_all(rig, opened.stream, 0, &output);
	assert_int_equal(output.end.err.code, ERR_UNAVAILABLE);
	assert_string_equal(output.end.err.reason, "CONNECTION_LOST");
	stream_close(opened.stream);
	close(listener);
}

/* --- another network --------------------------------------------------------------------------------- */

static bool loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

	close(fd);
	return up;
}

/* A process in a network of its own that answers one connection. 0: this host does not allow it. */
static pid_t start_elsewhere(uint16_t *ret_port)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		uint16_t port = 0;
		int listener = -1, fd;

		if (unshare(CLONE_NEWNET) == 0 && loopback_up())
			listener = listen_on(AF_INET, &port);
		if (write(fds[1], &port, sizeof(port)) != sizeof(port) || listener < 0)
			_exit(1);
		fd = accept(listener, NULL, NULL);
		_exit(send(fd, "elsewhere", 9, 0) == 9 ? 0 : 1);
	}
	assert_int_equal(read(fds[0], ret_port, sizeof(*ret_port)), sizeof(*ret_port));
	close(fds[0]);
	close(fds[1]);
	return *ret_port ? pid : 0;
}

static void a_server_in_another_network_is_reached(void **state)
{
	struct st_rig *rig = *state;
	struct forward_target target = { 0 };
	char before[64] = "", after[64] = "";
	struct st_output output;
	struct opened opened;
	pid_t pid = start_elsewhere(&target.port);

	if (!pid) {
		print_message("this host gives the test no network of its own\n");
		skip();
	}
	assert_true(readlink("/proc/self/ns/net", before, sizeof(before) - 1) > 0);
	target.pid = (uint32_t)pid;
	open_target(rig, &target, &opened);
	if (!opened.stream)
		fail_msg("%s", opened.err.msg);
	st_read_all(rig, opened.stream, 0, &output);
	assert_string_equal(output.text, "elsewhere");
	stream_close(opened.stream);
	assert_true(readlink("/proc/self/ns/net", after, sizeof(after) - 1) > 0);
	assert_string_equal(before, after);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_process_that_is_gone_is_not_found(void **state)
{
	struct forward_target target = { .port = 1 };
	struct opened opened;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	target.pid = (uint32_t)pid;
	open_target(*state, &target, &opened);
	assert_null(opened.stream);
	assert_int_equal(opened.err.code, ERR_NOT_FOUND);
	assert_int_equal(streams_count(((struct st_rig *)*state)->streams), 0);
}

/* The one who was sent for the socket goes with the session. */
static void a_session_closed_while_it_is_sent_for_leaves_no_child(void **state)
{
	struct forward_target target = { .port = 1, .pid = (uint32_t)getpid() };
	struct st_rig *rig = *state;
	struct opened opened = { 0 };

	forward_stream_open(rig->streams, &target, ROLE_ADMIN, deadline_in_ms(0), on_open, &opened);
	st_until(rig, opened.count > 0);
	assert_null(opened.stream);
	assert_int_equal(streams_count(rig->streams), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, st_setup, st_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_go_both_ways_after_one_half_is_closed),
		TEST(a_server_on_the_other_loopback_is_found),
		TEST(nobody_who_listens_is_unavailable_and_leaves_no_session),
		TEST(a_connection_that_is_reset_says_so),
		TEST(a_server_in_another_network_is_reached),
		TEST(a_process_that_is_gone_is_not_found),
		TEST(a_session_closed_while_it_is_sent_for_leaves_no_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
