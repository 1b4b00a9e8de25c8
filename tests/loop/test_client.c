/*
 * The real client and a real agent: lost connections, agents that are not there, that die, that lie.
 */
#include "controller/client/client.h"
#include "node/v1/envelope.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/wire/wire.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct agent_process agent;

static int start(void **state)
{
	(void)state;
	agent_process_start(&agent);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	agent_process_stop(&agent);
	return 0;
}

static int discard(void **state)
{
	(void)state;
	agent_process_discard(&agent);
	return 0;
}

static void count_health(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	++*(int *)arg;
}

static int check(struct client *client, int64_t ms, struct err *err)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(ms), err);
	int count = 0;

	berth__node__v1__health__check(&rpc.base, &req, count_health, &count);
	assert_int_equal(count, rpc.result == 0); /* once, and only on success */
	return rpc.result;
}

static void count_unit(const Berth__Node__V1__UnitActionReply *reply, void *arg)
{
	(void)reply;
	++*(int *)arg;
}

enum verb { RESTART /* once */, START /* repeatable */ };

static int act(struct client *client, enum verb verb, const char *unit, int64_t ms, struct err *err)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__units__descriptor, deadline_in_ms(ms), err);
	int count = 0;

	req.name = (char *)unit;
	if (verb == RESTART)
		berth__node__v1__units__restart(&rpc.base, &req, count_unit, &count);
	else
		berth__node__v1__units__start(&rpc.base, &req, count_unit, &count);
	assert_int_equal(count, rpc.result == 0);
	return rpc.result;
}

static int restart(struct client *client, const char *unit, int64_t ms, struct err *err)
{
	return act(client, RESTART, unit, ms, err);
}

/* A call on a thread of its own. */
struct background {
	pthread_t thread;
	enum verb verb;
	const char *unit;
	int64_t ms;
	bool patient;
	atomic_bool connected;
	int result;
	int64_t took_ms;
	struct err err;
};

static void *run_background(void *arg)
{
	struct background *b = arg;
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	int64_t begin_ms;

	client_set_patient(client, b->patient);
	if (!b->patient)
		b->connected = check(client, 2000, &b->err) == 0;
	begin_ms = clock_now_ms();
	b->result = act(client, b->verb, b->unit, b->ms, &b->err);
	b->took_ms = clock_now_ms() - begin_ms;
	return NULL;
}

static void begin(struct background *b, enum verb verb, const char *unit, int64_t ms, bool patient)
{
	memset(b, 0, sizeof(*b));
	b->verb = verb;
	b->unit = unit;
	b->ms = ms;
	b->patient = patient;
	assert_int_equal(pthread_create(&b->thread, NULL, run_background, b), 0);
}

static void end(struct background *b)
{
	assert_int_equal(pthread_join(b->thread, NULL), 0);
}

/* Until the call of 'b' is in the agent's hands: it is connected, and what it sent next has had the
 * time of many other calls to arrive. */
static void wait_asked(struct background *b)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	struct deadline by = deadline_in_ms(5000);
	struct err err;

	while (!b->connected) {
		assert_false(deadline_is_over(by));
		sched_yield();
	}
	for (int i = 0; i < 60; i++)
		assert_int_equal(check(client, 2000, &err), 0);
}

/* The restarted agent is asked by the same id, and answers. */
static void a_call_survives_the_death_of_the_agent(void **state)
{
	struct background b;

	(void)state;
	for (int i = 0; i < 5; i++) {
		begin(&b, START, "slow", 10000, false);
		wait_asked(&b);
		agent_process_kill(&agent);
		agent_process_respawn(&agent);
		end(&b);
		if (b.result < 0)
			fail_msg("%s", b.err.msg);
		assert_in_range(b.took_ms, 0, 5000);
		agent_process_wait_answer(&agent);
	}
}

/* S8: asked again, the agent knows that it began, and nobody knows the rest */
static void a_call_that_must_not_happen_twice_is_not_repeated(void **state)
{
	struct background b;

	(void)state;
	begin(&b, RESTART, "slow", 10000, false);
	wait_asked(&b);
	agent_process_kill(&agent);
	agent_process_respawn(&agent);
	end(&b);
	assert_int_equal(b.result, -1);
	assert_int_equal(b.err.code, ERR_ABORTED);
	assert_string_equal(b.err.reason, "OUTCOME_UNKNOWN");
	assert_in_range(b.took_ms, 0, 5000);
	agent_process_wait_answer(&agent);
}

static void the_deadline_says_when_the_outcome_is_unknown(void **state)
{
	struct background b;

	(void)state;
	begin(&b, RESTART, "hang", 900, false);
	wait_asked(&b);
	agent_process_kill(&agent);
	end(&b);
	assert_int_equal(b.result, -1);
	assert_int_equal(b.err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(b.err.reason, "OUTCOME_UNKNOWN");
	assert_non_null(strstr(b.err.msg, "unknown"));
	assert_in_range(b.took_ms, 800, 1000);
	agent_process_respawn(&agent);
	agent_process_wait_answer(&agent);
}

static void an_absent_agent_is_told_at_once(void **state)
{
	struct client *client;
	struct err err;
	int64_t begin_ms = clock_now_ms();

	(void)state;
	assert_int_equal(client_open("/tmp/berth-loop-nobody/agent.sock", "cp-1", &client, &err),
			 0);
	assert_int_equal(check(client, 5000, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.reason, "AGENT_NOT_ANSWERING");
	assert_string_equal(err.node, "cp-1");
	assert_int_equal(strlen(err.call_id), 32);
	assert_in_range(clock_now_ms() - begin_ms, 0, 300);
	client_close(client);
}

/* The socket file is there, nobody listens: an agent that was killed. */
static void a_dead_agent_is_told_at_once(void **state)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	int64_t begin_ms;
	struct err err;

	(void)state;
	agent_process_kill(&agent);
	assert_int_equal(access(agent.socket, F_OK), 0);
	begin_ms = clock_now_ms();
	assert_int_equal(check(client, 5000, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.reason, "AGENT_NOT_ANSWERING");
	assert_in_range(clock_now_ms() - begin_ms, 0, 300);
	agent_process_respawn(&agent);
	agent_process_wait_answer(&agent);
}

static void a_patient_client_waits_for_the_agent(void **state)
{
	struct background b;

	(void)state;
	agent_process_kill(&agent);
	unlink(agent.socket);
	begin(&b, RESTART, "kubelet", 10000, true);
	agent_process_respawn(&agent);
	end(&b);
	assert_int_equal(b.result, 0);
}

static void a_patient_client_gives_up_in_time(void **state)
{
	struct background b;

	(void)state;
	agent_process_kill(&agent);
	begin(&b, RESTART, "kubelet", 400, true);
	end(&b);
	assert_int_equal(b.result, -1);
	assert_int_equal(b.err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(b.err.reason, "AGENT_NOT_ANSWERING");
	assert_non_null(strstr(b.err.msg, "nothing was asked"));
	assert_in_range(b.took_ms, 300, 500);
	agent_process_respawn(&agent);
	agent_process_wait_answer(&agent);
}

/* F4, F19: the agent says so itself, before our own clock must */
static void deadlines_hold(void **state)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	static const int64_t deadlines_ms[] = { 150, 400, 1000 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(deadlines_ms); i++) {
		int64_t begin_ms = clock_now_ms(), took_ms;

		assert_int_equal(restart(client, "hang", deadlines_ms[i], &err), -1);
		took_ms = clock_now_ms() - begin_ms;
		assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
		assert_in_range(took_ms, deadlines_ms[i] - 100, deadlines_ms[i] + 100);
		assert_int_equal(check(client, 2000, &err), 0);
	}
}

static void an_error_of_the_node_arrives_whole(void **state)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	struct err err;

	(void)state;
	assert_int_equal(restart(client, "no-such-unit", 2000, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.node, "loop");
	assert_int_equal(strlen(err.call_id), 32);
	assert_non_null(strstr(err.msg, "no-such-unit"));
}

static void a_request_over_the_limit_is_not_sent(void **state)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	char *name = calloc(1, WIRE_MAX_BYTES + 1);
	struct err err;

	(void)state;
	memset(name, 'x', WIRE_MAX_BYTES);
	assert_int_equal(restart(client, name, 2000, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(err.msg, "over the limit"));
	assert_int_equal(check(client, 2000, &err), 0);
	free(name);
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
	struct client *client;
	char path[200];
	struct err err;

	(void)state;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(client_open(path, "n", &client, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(client_open("", "n", &client, &err), -1);
}

#define THREADS 14
#define CALLS   150

static void *many_calls(void *arg)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	int *good = arg;
	struct err err;

	for (int i = 0; i < CALLS; i++)
		*good += check(client, 10000, &err) == 0;
	return NULL;
}

/* G11 */
static void many_clients_at_once_are_all_served(void **state)
{
	pthread_t threads[THREADS];
	int good[THREADS] = { 0 };

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many_calls, &good[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(good[i], CALLS);
	}
}

static size_t own_fds(void)
{
	struct agent_process self = { .pid = getpid() };

	return agent_process_fds(&self);
}

static void clients_leave_nothing_behind(void **state)
{
	size_t theirs, ours;
	struct deadline by;
	struct err err;

	(void)state;
	agent_process_wait_connections(&agent, 0);
	ours = own_fds();
	theirs = agent_process_fds(&agent);
	for (int i = 0; i < 200; i++) {
		cleanup_with(client) struct client *client = agent_process_client(&agent);

		assert_int_equal(check(client, 5000, &err), 0);
	}
	by = deadline_in_ms(3000);
	while (agent_process_fds(&agent) > theirs || own_fds() > ours) {
		assert_false(deadline_is_over(by));
		sched_yield();
	}
}

/* --- an agent that lies (threat A5) --------------------------------------------------------------- */

struct liar {
	pthread_t thread;
	int fd;
	char path[64];
	const uint8_t *body;
	size_t len;
	uint64_t claimed_len;
};

/* The next connection that brings an SP header; others only look whether we listen. */
static int accept_client(int listener)
{
	uint8_t header[8];

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		send(fd, frames_header_rep, 8, MSG_NOSIGNAL);
		if (recv(fd, header, 8, MSG_WAITALL) == 8)
			return fd;
		close(fd);
	}
}

/* One connection, one request, one lie. */
static void *lie(void *arg)
{
	struct liar *liar = arg;
	uint8_t request[4096], head[9] = { 1 };
	int fd = accept_client(liar->fd);

	recv(fd, request, 13, MSG_WAITALL);
	for (int i = 0; i < 8; i++)
		head[8 - i] = (uint8_t)(liar->claimed_len >> (8 * i));
	send(fd, head, 9, MSG_NOSIGNAL);
	send(fd, request + 9, 4, MSG_NOSIGNAL);
	send(fd, liar->body, liar->len, MSG_NOSIGNAL);
	while (recv(fd, request, sizeof(request), 0) > 0)
		;
	close(fd);
	return NULL;
}

static bool rude;
static void *be_rude(void *arg);

static int ask_liar(const void *body, size_t len, uint64_t claimed_len, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct liar liar = { .body = body, .len = len, .claimed_len = claimed_len };
	struct client *client;
	int rc;

	snprintf(liar.path, sizeof(liar.path), "/tmp/berth-liar-%d.sock", (int)getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", liar.path);
	unlink(liar.path);
	liar.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(liar.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(liar.fd, 8), 0);
	assert_int_equal(pthread_create(&liar.thread, NULL, rude ? be_rude : lie, &liar), 0);
	assert_int_equal(client_open(liar.path, "liar", &client, err), 0);
	client_set_patient(client, true);
	rc = check(client, rude ? 20000 : 700, err);
	client_close(client);
	pthread_join(liar.thread, NULL);
	close(liar.fd);
	unlink(liar.path);
	return rc;
}

static void a_lying_agent_gets_an_error(void **state)
{
	Berth__Node__V1__Reply reply = BERTH__NODE__V1__REPLY__INIT;
	Berth__Node__V1__Status status = BERTH__NODE__V1__STATUS__INIT;
	uint8_t bytes[256], id[16] = { 0 };
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(ask_liar("\xff\xff\xff", 3, 7, &err), -1); /* no message */
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(err.msg, "answer to Check"));
	assert_int_equal(ask_liar("\x20\x01", 2, 6, &err), -1); /* no status */
	assert_int_equal(err.code, ERR_INTERNAL);

	reply.call_id = (ProtobufCBinaryData){ sizeof(id), id };
	reply.status = &status;
	reply.protocol = WIRE_PROTOCOL;
	len = berth__node__v1__reply__pack(&reply, bytes);
	assert_int_equal(ask_liar(bytes, len, len + 4, &err), -1); /* another call's answer */
	assert_int_equal(err.code, ERR_DATA_LOSS);
}

/* S7, NS-006: one sentence, and which side to update */
static void an_agent_that_is_too_old_is_told_so(void **state)
{
	Berth__Node__V1__Reply reply = BERTH__NODE__V1__REPLY__INIT;
	Berth__Node__V1__Status status = BERTH__NODE__V1__STATUS__INIT;
	uint8_t bytes[256];
	struct err err;
	size_t len;

	(void)state;
	reply.status = &status;
	len = berth__node__v1__reply__pack(&reply, bytes);
	assert_int_equal(ask_liar(bytes, len, len + 4, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(err.reason, "AGENT_TOO_OLD");
	assert_string_equal(err.msg, "the node's agent speaks protocol 0, this berth needs 1 or "
				     "newer");
	assert_string_equal(err.advice, "recreate the node from a newer image");
}

/* S7: the agent of these tests belongs to 'loop' */
static void a_node_of_another_cluster_is_not_touched(void **state)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	struct err err;

	(void)state;
	assert_int_equal(client_set_cluster(client, "other", &err), 0);
	assert_int_equal(restart(client, "kubelet", 2000, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(err.reason, "WRONG_CLUSTER");
	assert_string_equal(err.msg,
			    "this node belongs to cluster 'loop', the call is for one of 'other'");
	assert_int_equal(client_set_cluster(client, "loop", &err), 0);
	assert_int_equal(restart(client, "kubelet", 2000, &err), 0);
}

/* F37: an update of the agent ends it in order, with calls in its hands */
static void a_call_survives_a_restart_in_order(void **state)
{
	struct background b;

	(void)state;
	for (int i = 0; i < 5; i++) {
		begin(&b, START, "slow", 10000, false);
		wait_asked(&b);
		agent_process_end(&agent);
		agent_process_respawn(&agent);
		end(&b);
		if (b.result < 0)
			fail_msg("%s", b.err.msg);
		assert_in_range(b.took_ms, 0, 5000);
		agent_process_wait_answer(&agent);
	}
}

/* Goes away from so many connections before it answers one. */
#define RUDE_TIMES 30

static void *be_rude(void *arg)
{
	struct liar *liar = arg;

	for (int i = 0; i < RUDE_TIMES; i++)
		close(accept(liar->fd, NULL, NULL));
	return lie(arg);
}

/* An agent that is killed while clients connect: nng 1.5.2's dialer alone would never dial again. */
static void an_agent_that_goes_while_we_connect_is_dialled_again(void **state)
{
	struct err err;

	(void)state;
	rude = true;
	assert_int_equal(ask_liar("\x20\x01", 2, 6, &err), -1);
	rude = false;
	assert_int_equal(err.code, ERR_INTERNAL); /* it answered at last, be it a lie */
}

/* F14: it must not make us set memory aside; the connection is dropped instead */
static void a_huge_answer_is_not_read(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(ask_liar("abc", 3, UINT64_MAX, &err), -1);
	assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
	assert_int_equal(ask_liar("abc", 3, WIRE_MAX_BYTES + 5, &err), -1);
	assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, discard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_survives_the_death_of_the_agent),
		TEST(a_call_that_must_not_happen_twice_is_not_repeated),
		TEST(an_agent_that_is_too_old_is_told_so),
		TEST(a_node_of_another_cluster_is_not_touched),
		TEST(a_call_survives_a_restart_in_order),
		TEST(the_deadline_says_when_the_outcome_is_unknown),
		TEST(a_dead_agent_is_told_at_once),
		TEST(a_patient_client_waits_for_the_agent),
		TEST(a_patient_client_gives_up_in_time),
		cmocka_unit_test(an_absent_agent_is_told_at_once),
		cmocka_unit_test(a_path_that_does_not_fit_is_refused),
		cmocka_unit_test(a_lying_agent_gets_an_error),
		cmocka_unit_test(an_agent_that_goes_while_we_connect_is_dialled_again),
		cmocka_unit_test(a_huge_answer_is_not_read),
		cmocka_unit_test_setup_teardown(deadlines_hold, start, stop),
		cmocka_unit_test_setup_teardown(an_error_of_the_node_arrives_whole, start, stop),
		cmocka_unit_test_setup_teardown(a_request_over_the_limit_is_not_sent, start, stop),
		cmocka_unit_test_setup_teardown(many_clients_at_once_are_all_served, start, stop),
		cmocka_unit_test_setup_teardown(clients_leave_nothing_behind, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
