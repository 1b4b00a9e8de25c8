/* The runtime's streaming server, played by a process that follows a script of bytes. */
#include "agent/streams/container.h"
#include "agent/streams/ws.h"
#include "shared/base/cleanup.h"
#include "tests/support/streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER(protocol)                                             \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" \
	"Connection: Upgrade\r\nSec-WebSocket-Protocol: " protocol "\r\n\r\n"
#define V4 ANSWER("v4.channel.k8s.io")
#define V5 ANSWER("v5.channel.k8s.io")

#define SUCCESS "{\"metadata\":{},\"status\":\"Success\"}"
#define EXIT_7                                                                              \
	"{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated\","       \
	"\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\"," \
	"\"message\":\"7\"}]}}"

struct server {
	pid_t pid;
	char url[64];
};

struct opened {
	unsigned count;
	struct stream *stream;
	struct err err;
};

/* --- the server's side ----------------------------------------------------------------------------- */

static void say(int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n <= 0)
			_exit(1);
		at += n;
		len -= (size_t)n;
	}
}

static void hear(int fd, void *bytes, size_t len)
{
	uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = read(fd, at, len);

		if (n <= 0)
			_exit(0);
		at += n;
		len -= (size_t)n;
	}
}

/* One unmasked message on a channel. */
static void say_frame(int fd, uint8_t first, uint8_t channel, const char *bytes, size_t len)
{
	uint8_t head[5] = { first, 126, (uint8_t)((len + 1) >> 8), (uint8_t)(len + 1), channel };

	say(fd, head, sizeof(head));
	say(fd, bytes, len);
}

static void say_text(int fd, uint8_t channel, const char *text)
{
	say_frame(fd, 0x82, channel, text, strlen(text));
}

/* One masked message; returns its length, the channel byte is the first. */
static size_t hear_message(int fd, uint8_t *bytes, uint8_t *ret_opcode)
{
	uint8_t head[2], more[2], mask[4];
	size_t len;

	hear(fd, head, sizeof(head));
	len = head[1] & 0x7f;
	if (len == 126) {
		hear(fd, more, sizeof(more));
		len = (size_t)more[0] << 8 | more[1];
	}
	hear(fd, mask, sizeof(mask));
	hear(fd, bytes, len);
	ws_mask(bytes, len, 0, mask);
	*ret_opcode = head[0] & 0x0f;
	return len;
}

static void hear_request(int fd)
{
	char text[4096];
	size_t len = 0;

	do {
		hear(fd, text + len++, 1);
		text[len] = '\0';
	} while (!strstr(text, "\r\n\r\n"));
	if (strncmp(text, "GET /exec/token HTTP/1.1\r\n", 26) != 0 ||
	    !strstr(text, "Sec-WebSocket-Key: ") || !strstr(text, "Upgrade: websocket"))
		_exit(2);
}

typedef void script_fn(int fd);

static struct server start_server(script_fn *script)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(any);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct server server;

	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%d/exec/token",
		 ntohs(any.sin_port));
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0) {
		int peer = accept(fd, NULL, NULL);

		alarm(20);
		hear_request(peer);
		script(peer);
		_exit(0);
	}
	close(fd);
	return server;
}

static void end_server(struct server *server, int code)
{
	int status;

	assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

/* --- ours ------------------------------------------------------------------------------------------ */

static void on_open(void *arg, struct stream *stream, const struct err *err)
{
	struct opened *opened = arg;

	opened->count++;
	opened->stream = stream;
	if (err)
		opened->err = *err;
}

static struct opened open_at(struct st_rig *rig, const char *url, bool input, bool tty)
{
	struct container_target target = { .url = url, .input = input, .tty = tty };
	struct opened opened = { 0 };

	target.rows = target.columns = tty ? 33 : 0;
	container_stream_open(rig->streams, &target, ROLE_ADMIN, deadline_in_ms(3000), on_open,
			      &opened);
	st_until(rig, opened.count > 0);
	assert_int_equal(opened.count, 1);
	return opened;
}

static struct stream *must_open(struct st_rig *rig, const struct server *server, bool input,
				bool tty)
{
	struct opened opened = open_at(rig, server->url, input, tty);

	if (!opened.stream)
		fail_msg("%s", opened.err.msg);
	return opened.stream;
}

static void both_outputs(int fd)
{
	static const char answer[] = V4;

	/* In pieces that cut headers, lines and frames. */
	say(fd, answer, 20);
	usleep(2000);
	say(fd, answer + 20, sizeof(answer) - 1 - 20);
	say(fd, "\x82\x01\x01", 3); /* empty, as kubelet's server begins each channel */
	say_text(fd, 1, "out");
	say_text(fd, 2, "err");
	say(fd, "\x89\x00", 2);
	say_frame(fd, 0x02, 1, "one ", 4);
	say(fd,
	    "\x80\x05"
	    "whole",
	    7);
	say_text(fd, 3, EXIT_7);
	say(fd, "\x88\x00", 2);
}

static void output_and_exit_code_come_back(void **state)
{
	struct server server = start_server(both_outputs);
	struct stream *s = must_open(*state, &server, false, false);
	struct st_output out;

	st_read_all(*state, s, 0, &out);
	assert_string_equal(out.text, "outone whole");
	assert_string_equal(out.errors, "err");
	assert_int_equal(out.end.exit_code, 7);
	assert_int_equal(out.end.err.code, ERR_OK);
	stream_close(s);
	end_server(&server, 0);
}

static void echo_input(int fd)
{
	uint8_t bytes[70000], opcode;

	say(fd, V5, sizeof(V5) - 1);
	for (;;) {
		size_t len = hear_message(fd, bytes, &opcode);

		if (bytes[0] == 255) {
			say_text(fd, 3, len == 2 && bytes[1] == 0 ? SUCCESS : "bad");
			_exit(0);
		}
		if (bytes[0] != 0)
			_exit(3);
		say_frame(fd, 0x82, 1, (char *)bytes + 1, len - 1);
	}
}

static void input_goes_to_its_end_where_that_can_be_said(void **state)
{
	const size_t len = 600 * 1000;
	cleanup_free uint8_t *bytes = malloc(len);
	struct server server = start_server(echo_input);
	struct stream *s = must_open(*state, &server, true, false);
	struct st_output out;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 11);
	st_write_all(*state, s, bytes, len);
	st_read_all(*state, s, 0, &out);
	assert_int_equal(out.bytes, len);
	assert_true(out.sum == st_sum(ST_SUM_START, bytes, len));
	assert_int_equal(out.end.err.code, ERR_OK);
	stream_close(s);
	end_server(&server, 0);
}

static void deaf_to_the_end(int fd)
{
	uint8_t bytes[1000], opcode;

	say(fd, V4, sizeof(V4) - 1);
	hear_message(fd, bytes, &opcode);
	usleep(2600 * 1000);
	say_text(fd, 3, SUCCESS);
}

/* Better than a command that waits for ever without a word. */
static void end_of_input_that_cannot_be_said_is_told(void **state)
{
	struct server server = start_server(deaf_to_the_end);
	struct stream *s = must_open(*state, &server, true, false);
	struct st_output out;

	st_write_all(*state, s, "x", 1);
	st_read_all(*state, s, 0, &out);
	assert_non_null(strstr(out.errors, "no way to tell a command that its input has ended"));
	assert_int_equal(out.end.exit_code, 0);
	stream_close(s);
	end_server(&server, 0);
}

static void terminal(int fd)
{
	uint8_t bytes[1000], opcode;
	size_t len;

	say(fd, V4, sizeof(V4) - 1);
	for (int i = 0; i < 4; i++) {
		len = hear_message(fd, bytes, &opcode);
		bytes[len] = '\0';
		say_frame(fd, 0x82, 1, bytes[0] == 4 ? "resize " : "keys ", bytes[0] == 4 ? 7 : 5);
		say_text(fd, 1, (char *)bytes + 1);
	}
	say_text(fd, 3, SUCCESS);
}

static void terminal_has_size_keys_and_signals(void **state)
{
	struct server server = start_server(terminal);
	struct stream *s = must_open(*state, &server, true, true);
	struct st_output out;
	struct err err;

	assert_int_equal(stream_resize(s, 44, 99, &err), 0);
	assert_int_equal(stream_signal(s, SIGINT, &err), 0);
	assert_int_equal(stream_signal(s, SIGTERM, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	st_write_all(*state, s, "", 0);
	st_read_all(*state, s, 0, &out);
	assert_string_equal(out.text, "resize {\"Width\":33,\"Height\":33}"
				      "resize {\"Width\":99,\"Height\":44}keys \003keys \004");
	stream_close(s);
	end_server(&server, 0);
}

static void flood(int fd)
{
	static char block[60000];

	say(fd, V4, sizeof(V4) - 1);
	for (int i = 0; i < 100; i++)
		say_frame(fd, 0x82, 1, block, sizeof(block));
	say_text(fd, 3, SUCCESS);
}

/* I12 */
static void output_waits_for_its_reader(void **state)
{
	struct server server = start_server(flood);
	struct stream *s = must_open(*state, &server, false, false);
	struct st_output out;

	st_until((struct st_rig *)*state, stream_room(s) == 0);
	st_settle(*state);
	assert_int_equal(stream_room(s), 0);
	st_read_all(*state, s, 0, &out);
	assert_int_equal(out.bytes, 6000000);
	stream_close(s);
	end_server(&server, 0);
}

static void refuse(int fd)
{
	say(fd, "HTTP/1.1 404 Not Found\r\n\r\n", 26);
}

static void hang_up(int fd)
{
	say(fd, "HTTP/1.1 101", 12);
}

static void stay_silent(int fd)
{
	char byte;

	hear(fd, &byte, 1);
}

static void server_that_does_not_play_along_is_an_error(void **state)
{
	struct server server = start_server(refuse);
	struct opened opened = open_at(*state, server.url, false, false);

	assert_int_equal(opened.err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(opened.err.msg, "404 Not Found"));
	end_server(&server, 0);
	server = start_server(hang_up);
	opened = open_at(*state, server.url, false, false);
	assert_int_equal(opened.err.code, ERR_UNAVAILABLE);
	end_server(&server, 0);
	server = start_server(stay_silent);
	opened = open_at(*state, server.url, false, false);
	assert_int_equal(opened.err.code, ERR_DEADLINE_EXCEEDED);
	end_server(&server, 0);
	opened = open_at(*state, server.url, false, false); /* nobody listens any more */
	assert_int_equal(opened.err.code, ERR_UNAVAILABLE);
	assert_int_equal(streams_count(((struct st_rig *)*state)->streams), 0);
}

static void half_a_frame(int fd)
{
	say(fd, V4, sizeof(V4) - 1);
	say(fd, "\x82\x10\x01half", 7);
}

static void broken_off_session_is_said(void **state)
{
	struct server server = start_server(half_a_frame);
	struct stream *s = must_open(*state, &server, false, false);
	struct st_output out;

	st_read_all(*state, s, 0, &out);
	assert_string_equal(out.text, "half");
	assert_int_equal(out.end.err.code, ERR_UNAVAILABLE);
	assert_string_equal(out.end.err.reason, "RUNTIME_GONE");
	stream_close(s);
	end_server(&server, 0);
}

static void urls_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const urls[] = {
		"https://127.0.0.1:1/x", "http://localhost:1/x",         "http://127.0.0.1/x",
		"http://127.0.0.1:0/x",  "http://127.0.0.1:1/x\r\ny: z", "/exec/x",
		"http://[::1]:1/x",
	};

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct opened opened = open_at(*state, urls[i], false, false);

		assert_int_equal(opened.err.code, ERR_UNIMPLEMENTED);
		assert_string_equal(opened.err.reason, "SESSIONS_UNSUPPORTED");
	}
}

static void status_is_read(void **state)
{
	struct stream_end end;

	(void)state;
	container_read_status(SUCCESS, &end);
	assert_int_equal(end.err.code, ERR_OK);
	container_read_status(EXIT_7, &end);
	assert_int_equal(end.exit_code, 7);
	container_read_status("{\"status\":\"Failure\",\"details\":{\"causes\":[{\"reason\":"
			      "\"ExitCode\",\"message\":\"137\"}]}}",
			      &end);
	assert_int_equal(end.exit_code, 137);
	assert_int_equal(end.signal, 9);
	container_read_status("{\"status\":\"Failure\",\"message\":\"exec: \\\"no\\\": executable "
			      "file not found in $PATH\"}",
			      &end);
	assert_string_equal(end.err.reason, "PROGRAM_NOT_FOUND");
	assert_string_equal(end.err.msg, "exec: \"no\": executable file not found in $PATH");
	container_read_status("{\"status\":\"Failure\",\"message\":\"task is gone\"}", &end);
	assert_int_equal(end.err.code, ERR_FAILED_PRECONDITION);
	container_read_status("not json", &end);
	assert_int_equal(end.err.code, ERR_FAILED_PRECONDITION);
	container_read_status("", &end);
	assert_int_equal(end.err.code, ERR_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, st_setup, st_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(output_and_exit_code_come_back),
		TEST(input_goes_to_its_end_where_that_can_be_said),
		TEST(end_of_input_that_cannot_be_said_is_told),
		TEST(terminal_has_size_keys_and_signals),
		TEST(output_waits_for_its_reader),
		TEST(server_that_does_not_play_along_is_an_error),
		TEST(broken_off_session_is_said),
		TEST(urls_that_lead_elsewhere_are_refused),
		cmocka_unit_test(status_is_read),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
