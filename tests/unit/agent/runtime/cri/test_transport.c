#include "agent/runtime/cri/transport.h"

#include "shared/base/cleanup.h"
#include "tests/support/h2_server.h"

#include "cri/v1/runtime.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const struct transport_method read_method = { "RuntimeService", "Version", true };
static const struct transport_method write_method = { "RuntimeService", "RunPodSandbox", false };

struct answer {
	unsigned count;
	struct err err;
	char text[64];
	size_t len;
};

struct bench {
	sd_event *loop;
	char dir[64];
	char path[96];
	struct h2_server *server;
	struct transport *transport;
	struct answer answer;
	size_t large; /* bytes an answer of give_large() has */
};

static int open_bench(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct err err;

	assert_non_null(b);
	snprintf(b->dir, sizeof(b->dir), "/tmp/berth-cri-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/cri.sock", b->dir);
	assert_true(sd_event_new(&b->loop) >= 0);
	b->server = h2_server_open(b->loop, b->path, NULL, NULL);
	assert_int_equal(transport_open(b->path, b->loop, &b->transport, &err), 0);
	*state = b;
	return 0;
}

static int close_bench(void **state)
{
	struct bench *b = *state;

	transport_close(b->transport);
	if (b->server)
		h2_server_close(b->server);
	sd_event_unref(b->loop);
	rmdir(b->dir);
	free(b);
	return 0;
}

static void on_reply(void *arg, const uint8_t *reply, size_t len, const struct err *err)
{
	struct answer *a = arg;

	a->count++;
	a->len = len;
	if (err)
		a->err = *err;
	/* The message's one field: two bytes of tag and length, then the text. */
	else if (len > 2 && len < sizeof(a->text))
		memcpy(a->text, reply + 2, len - 2);
}

static void ask(struct bench *b, const struct transport_method *method, const char *text,
		int64_t limit_ms, struct answer *a)
{
	Runtime__V1__VersionRequest req = RUNTIME__V1__VERSION_REQUEST__INIT;

	memset(a, 0, sizeof(*a));
	req.version = (char *)text;
	transport_call(b->transport, method, &req.base, deadline_in_ms(limit_ms), on_reply, a);
	assert_int_equal(a->count, 0);
}

static void wait_for(struct bench *b, struct answer *a, int64_t limit_ms)
{
	struct deadline by = deadline_in_ms(limit_ms);

	while (!a->count && !deadline_is_over(by))
		assert_true(sd_event_run(b->loop, 10000) >= 0);
	assert_int_equal(a->count, 1);
}

static enum err_code call(struct bench *b, const struct transport_method *method)
{
	ask(b, method, "hello", 2000, &b->answer);
	wait_for(b, &b->answer, 2100);
	return b->answer.err.code;
}

static void plan(struct bench *b, enum h2_act first, enum h2_act then)
{
	const enum h2_act acts[] = { first, then };

	h2_server_plan(b->server, acts, 2);
}

/* Lets the loop run until there is nothing more to do. */
static void settle(struct bench *b)
{
	while (sd_event_run(b->loop, 20000) > 0)
		;
}

/* NS-100 */
static void a_call_is_a_grpc_call(void **state)
{
	struct bench *b = *state;
	const char *headers;

	assert_int_equal(call(b, &read_method), ERR_OK);
	assert_string_equal(b->answer.text, "hello");
	assert_string_equal(h2_server_path(b->server), "/runtime.v1.RuntimeService/Version");
	headers = h2_server_headers(b->server);
	assert_non_null(strstr(headers, ":authority: localhost\n"));
	assert_non_null(strstr(headers, ":method: POST\n"));
	assert_non_null(strstr(headers, "content-type: application/grpc\n"));
	assert_non_null(strstr(headers, "te: trailers\n"));
	assert_non_null(strstr(headers, "grpc-timeout: "));
}

static void many_calls_share_one_connection(void **state)
{
	static struct answer answers[300];
	struct bench *b = *state;
	char text[16];

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		snprintf(text, sizeof(text), "n%zu", i);
		ask(b, &write_method, text, 5000, &answers[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		wait_for(b, &answers[i], 5000);
		snprintf(text, sizeof(text), "n%zu", i);
		assert_string_equal(answers[i].text, text);
	}
	assert_int_equal(h2_server_connections(b->server), 1);
	assert_int_equal(h2_server_requests(b->server), 300);
}

static void an_answer_may_come_in_pieces(void **state)
{
	struct bench *b = *state;

	plan(b, H2_PIECES, H2_PIECES);
	assert_int_equal(call(b, &read_method), ERR_OK);
	assert_string_equal(b->answer.text, "hello");
	assert_int_equal(call(b, &read_method), ERR_OK);
	assert_string_equal(b->answer.text, "hello");
}

static void an_empty_message_is_an_answer(void **state)
{
	struct bench *b = *state;

	plan(b, H2_EMPTY, H2_EMPTY);
	assert_int_equal(call(b, &write_method), ERR_OK);
	assert_int_equal(b->answer.len, 0);
}

/* NS-100 */
static void a_status_in_the_trailers_is_an_error_with_its_text(void **state)
{
	struct bench *b = *state;

	plan(b, H2_ERROR, H2_ERROR);
	h2_server_error_text(b->server, "caf%C3%A9 is 50%25 full%");
	assert_int_equal(call(b, &write_method), ERR_UNKNOWN);
	assert_string_equal(b->answer.err.msg, "runtime: RunPodSandbox: caf\xc3\xa9 is 50% full%");
}

/* NS-100 */
static void a_status_in_the_headers_is_one_too(void **state)
{
	struct bench *b = *state;

	plan(b, H2_NOT_FOUND, H2_NOT_FOUND);
	h2_server_error_text(b->server, "no%20such%20thing");
	assert_int_equal(call(b, &read_method), ERR_NOT_FOUND);
	assert_string_equal(b->answer.err.msg, "runtime: Version: no such thing");
}

/* NS-101 */
static void v1alpha2_is_spoken_where_v1_is_unknown(void **state)
{
	struct bench *b = *state;

	plan(b, H2_V1ALPHA2_ONLY, H2_V1ALPHA2_ONLY);
	assert_int_equal(call(b, &write_method), ERR_OK);
	assert_string_equal(h2_server_path(b->server),
			    "/runtime.v1alpha2.RuntimeService/RunPodSandbox");
	assert_int_equal(h2_server_requests(b->server), 2);
	assert_int_equal(call(b, &read_method), ERR_OK);
	assert_int_equal(h2_server_requests(b->server), 3);
}

/* NS-101 */
static void a_method_that_no_version_has_is_unimplemented(void **state)
{
	struct bench *b = *state;
	const enum h2_act acts[] = { H2_UNIMPLEMENTED, H2_UNIMPLEMENTED, H2_ANSWER };

	h2_server_plan(b->server, acts, 3);
	assert_int_equal(call(b, &read_method), ERR_UNIMPLEMENTED);
	assert_int_equal(h2_server_requests(b->server), 2);
	assert_int_equal(call(b, &read_method), ERR_OK);
	assert_string_equal(h2_server_path(b->server), "/runtime.v1.RuntimeService/Version");
}

/* F4 */
static void a_call_that_hangs_ends_at_its_deadline(void **state)
{
	struct bench *b = *state;
	int64_t start_ms = clock_now_ms();

	plan(b, H2_HANG, H2_ANSWER);
	ask(b, &write_method, "x", 150, &b->answer);
	wait_for(b, &b->answer, 20000);
	assert_int_equal(b->answer.err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(b->answer.err.reason, "RUNTIME_DEADLINE");
	assert_in_range(clock_now_ms() - start_ms, 150, 5000);
	assert_int_equal(call(b, &write_method), ERR_OK);
}

/* F5 */
static void calls_beside_a_hanging_one_go_on(void **state)
{
	struct bench *b = *state;
	struct answer hanging;

	plan(b, H2_HANG, H2_ANSWER);
	ask(b, &write_method, "x", 1500, &hanging);
	assert_int_equal(call(b, &write_method), ERR_OK);
	assert_int_equal(call(b, &read_method), ERR_OK);
	assert_int_equal(hanging.count, 0);
	ask(b, &write_method, "y", 20000, &b->answer);
	wait_for(b, &hanging, 20000);
	wait_for(b, &b->answer, 20000);
	assert_int_equal(hanging.err.code, ERR_DEADLINE_EXCEEDED);
	assert_int_equal(b->answer.err.code, ERR_OK);
	assert_int_equal(h2_server_connections(b->server), 1);
}

static void the_runtime_is_told_of_a_call_given_up(void **state)
{
	struct bench *b = *state;
	struct answer slow;

	plan(b, H2_HANG, H2_HANG);
	ask(b, &write_method, "x", 60, &b->answer);
	ask(b, &write_method, "y", 1500, &slow);
	wait_for(b, &b->answer, 20000);
	settle(b);
	assert_int_equal(h2_server_resets(b->server), 1);
	wait_for(b, &slow, 20000);
}

static void a_deadline_that_is_over_is_told_later_too(void **state)
{
	struct bench *b = *state;

	ask(b, &read_method, "x", 0, &b->answer);
	wait_for(b, &b->answer, 20000);
	assert_int_equal(b->answer.err.code, ERR_DEADLINE_EXCEEDED);
	settle(b);
	assert_int_equal(h2_server_requests(b->server), 0);
}

/* NS-107 */
static void a_read_is_asked_again_when_its_connection_dies(void **state)
{
	struct bench *b = *state;

	plan(b, H2_CLOSE, H2_ANSWER);
	assert_int_equal(call(b, &read_method), ERR_OK);
	assert_int_equal(h2_server_connections(b->server), 2);
	plan(b, H2_CLOSE, H2_CLOSE);
	assert_int_equal(call(b, &read_method), ERR_UNAVAILABLE);
	assert_int_equal(h2_server_requests(b->server), 4);
}

/* NS-107 */
static void a_mutation_is_never_asked_twice(void **state)
{
	struct bench *b = *state;

	plan(b, H2_CLOSE, H2_ANSWER);
	assert_int_equal(call(b, &write_method), ERR_UNAVAILABLE);
	assert_int_equal(h2_server_requests(b->server), 1);
	assert_int_equal(call(b, &write_method), ERR_OK);
	assert_int_equal(h2_server_connections(b->server), 2);
}

/* F3 */
static void a_restarted_runtime_is_found_again(void **state)
{
	struct bench *b = *state;
	int64_t start_ms;

	assert_int_equal(call(b, &write_method), ERR_OK);
	h2_server_close(b->server);
	b->server = NULL;
	start_ms = clock_now_ms();
	assert_int_equal(call(b, &write_method), ERR_UNAVAILABLE);
	assert_string_equal(b->answer.err.reason, "RUNTIME_UNAVAILABLE");
	assert_true(*b->answer.err.advice);
	assert_true(clock_now_ms() - start_ms < 5000);
	b->server = h2_server_open(b->loop, b->path, NULL, NULL);
	assert_int_equal(call(b, &write_method), ERR_OK);
}

static void a_refused_stream_is_safe_to_ask_again(void **state)
{
	struct bench *b = *state;

	plan(b, H2_REFUSE, H2_ANSWER);
	assert_int_equal(call(b, &write_method), ERR_OK);
	plan(b, H2_REFUSE, H2_REFUSE);
	assert_int_equal(call(b, &write_method), ERR_UNAVAILABLE);
}

static void a_runtime_that_goes_away_gets_no_new_calls(void **state)
{
	struct bench *b = *state;

	plan(b, H2_GOAWAY, H2_ANSWER);
	assert_int_equal(call(b, &write_method), ERR_OK);
	assert_int_equal(call(b, &write_method), ERR_OK);
	assert_int_equal(h2_server_connections(b->server), 2);
}

/* F6 */
static void broken_answers_are_errors_and_the_next_call_works(void **state)
{
	static const struct {
		enum h2_act act;
		enum err_code code;
		const char *words;
	} cases[] = {
		{ H2_CLOSE_MIDWAY, ERR_UNAVAILABLE, "closed the connection" },
		{ H2_GARBAGE, ERR_UNAVAILABLE, "closed the connection" },
		{ H2_WRONG_STREAM, ERR_UNAVAILABLE, "closed the connection" },
		{ H2_TWICE, ERR_INTERNAL, "more than once" },
		{ H2_COMPRESSED, ERR_INTERNAL, "compressed" },
		{ H2_TOO_LARGE, ERR_RESOURCE_EXHAUSTED, "larger than 16 MiB" },
		{ H2_SHORT, ERR_INTERNAL, "cut short" },
		{ H2_NO_STATUS, ERR_INTERNAL, "without a status" },
		{ H2_BAD_STATUS, ERR_INTERNAL, "no number" },
		{ H2_HTTP_503, ERR_UNAVAILABLE, "HTTP 503" },
		{ H2_RESET, ERR_INTERNAL, "HTTP/2 error 2" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		plan(b, cases[i].act, H2_ANSWER);
		assert_int_equal(call(b, &write_method), cases[i].code);
		assert_non_null(strstr(b->answer.err.msg, cases[i].words));
		assert_int_equal(call(b, &write_method), ERR_OK);
	}
}

static uint8_t *give_large(void *arg, const char *path, const uint8_t *body, size_t len,
			   size_t *ret_len)
{
	struct bench *b = arg;

	(void)path;
	(void)body;
	(void)len;
	*ret_len = b->large;
	return calloc(1, b->large);
}

/* NS-105 */
static void answers_up_to_16_mib_come_whole(void **state)
{
	struct bench *b = *state;

	h2_server_close(b->server);
	b->server = h2_server_open(b->loop, b->path, give_large, b);
	b->large = 16u << 20;
	ask(b, &read_method, "x", 20000, &b->answer);
	wait_for(b, &b->answer, 20000);
	assert_int_equal(b->answer.err.code, ERR_OK);
	assert_int_equal(b->answer.len, 16u << 20);
	b->large++;
	assert_int_equal(call(b, &read_method), ERR_RESOURCE_EXHAUSTED);
}

static int listen_only(const char *path, int backlog)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* NS-245: the socket is there, nobody serves it, and its queue is full at that. */
static void a_runtime_that_never_accepts_runs_into_the_deadline(void **state)
{
	struct bench *b = *state;
	int64_t start_ms;
	int fd;

	h2_server_close(b->server);
	b->server = NULL;
	fd = listen_only(b->path, 0);
	for (int i = 0; i < 3; i++) {
		start_ms = clock_now_ms();
		ask(b, &write_method, "x", 120, &b->answer);
		ask(b, &write_method, "y", 120, &(struct answer){ 0 });
		wait_for(b, &b->answer, 20000);
		assert_int_equal(b->answer.err.code, ERR_DEADLINE_EXCEEDED);
		assert_in_range(clock_now_ms() - start_ms, 110, 5000);
	}
	close(fd);
	unlink(b->path);
}

/* A runtime that accepts but does not read cannot make the agent grow without end. */
static void a_stuck_connection_is_given_up(void **state)
{
	static struct answer answers[3000];
	struct bench *b = *state;
	char text[2000];
	int fd;

	h2_server_close(b->server);
	b->server = NULL;
	fd = listen_only(b->path, 8);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ask(b, &write_method, text, 50, &answers[0]);
	for (size_t i = 1; i < ARRAY_LEN(answers); i++)
		ask(b, &write_method, text, 5000, &answers[i]);
	wait_for(b, &answers[0], 20000);
	assert_int_equal(answers[0].err.code, ERR_DEADLINE_EXCEEDED);
	for (size_t i = 1; i < ARRAY_LEN(answers); i++) {
		wait_for(b, &answers[i], 20000);
		assert_int_equal(answers[i].err.code, ERR_UNAVAILABLE);
	}
	close(fd);
	unlink(b->path);
}

static void closing_cancels_what_is_pending(void **state)
{
	struct bench *b = *state;
	struct answer sent;
	struct answer queued;
	struct err err;

	plan(b, H2_HANG, H2_HANG);
	ask(b, &write_method, "x", 5000, &sent);
	settle(b);
	ask(b, &write_method, "y", 5000, &queued);
	transport_close(b->transport);
	assert_int_equal(sent.count, 1);
	assert_int_equal(sent.err.code, ERR_CANCELLED);
	assert_int_equal(queued.count, 1);
	assert_int_equal(queued.err.code, ERR_CANCELLED);
	assert_int_equal(transport_open(b->path, b->loop, &b->transport, &err), 0);
}

static void only_a_socket_can_be_an_address(void **state)
{
	static const char *const bad[] = { "", "tcp://1.2.3.4:5", "unix://relative", "x" };
	struct transport *t = NULL;
	struct bench *b = *state;
	char address[160];
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(transport_open(bad[i], b->loop, &t, &err), -1);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_true(*err.advice);
	}
	memset(address, 'a', sizeof(address));
	address[0] = '/';
	address[sizeof(address) - 1] = '\0';
	assert_int_equal(transport_open(address, b->loop, &t, &err), -1);
	assert_null(t);
	snprintf(address, sizeof(address), "unix://%s", b->path);
	assert_int_equal(transport_open(address, b->loop, &t, &err), 0);
	transport_close(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_is_a_grpc_call),
		TEST(many_calls_share_one_connection),
		TEST(an_answer_may_come_in_pieces),
		TEST(an_empty_message_is_an_answer),
		TEST(a_status_in_the_trailers_is_an_error_with_its_text),
		TEST(a_status_in_the_headers_is_one_too),
		TEST(v1alpha2_is_spoken_where_v1_is_unknown),
		TEST(a_method_that_no_version_has_is_unimplemented),
		TEST(a_call_that_hangs_ends_at_its_deadline),
		TEST(calls_beside_a_hanging_one_go_on),
		TEST(the_runtime_is_told_of_a_call_given_up),
		TEST(a_deadline_that_is_over_is_told_later_too),
		TEST(a_read_is_asked_again_when_its_connection_dies),
		TEST(a_mutation_is_never_asked_twice),
		TEST(a_restarted_runtime_is_found_again),
		TEST(a_refused_stream_is_safe_to_ask_again),
		TEST(a_runtime_that_goes_away_gets_no_new_calls),
		TEST(broken_answers_are_errors_and_the_next_call_works),
		TEST(answers_up_to_16_mib_come_whole),
		TEST(a_runtime_that_never_accepts_runs_into_the_deadline),
		TEST(a_stuck_connection_is_given_up),
		TEST(closing_cancels_what_is_pending),
		TEST(only_a_socket_can_be_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
