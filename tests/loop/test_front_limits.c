/*
 * The limits of a front as it is shipped, and those of the agent where they are met by TLS (security-faults.md
 * I15): who is over one is told so, everybody else goes on.
 */
#include "agent/streams/stream.h"
#include "controller/client/bridge.h"
#include "controller/client/client.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/wire/wire.h"
#include "tests/support/frames.h"
#include "tests/support/front.h"
#include "tests/support/hostile_tls.h"
#include "tests/support/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACES   256 /* of one address; agent/front/front.c */
#define FLOODERS 4
#define HONEST   16
#define SILENT   600

static int setup(void **state)
{
	struct front_rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	front_rig_start(rig, NULL);
	return 0;
}

static int teardown(void **state)
{
	front_rig_stop(*state);
	free(*state);
	return 0;
}

static void ignore(const Berth__Node__V1__HealthVersionReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

/* By a connection of its own. */
static int call_once(const struct front_rig *rig, struct err *err)
{
	Berth__Node__V1__HealthVersionRequest req = BERTH__NODE__V1__HEALTH_VERSION_REQUEST__INIT;
	cleanup_with(client) struct client *client = NULL;
	struct rpc rpc;

	assert_int_equal(
		client_open_bridge(front_rig_bridge(rig, NULL, "read"), "n1", &client, err), 0);
	client_set_patient(client, true); /* who is pushed out comes again */
	rpc = rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(30000), err);
	berth__node__v1__health__version(&rpc.base, &req, ignore, NULL);
	return rpc.result;
}

static void assert_answers(const struct front_rig *rig)
{
	struct err err = { 0 };

	if (call_once(rig, &err) < 0)
		fail_msg("%s (%s)", err.msg, err.reason);
}

/* --- connections ------------------------------------------------------------------------------------ */

struct crowd {
	SSL_CTX *context;
	struct hostile_tls members[PLACES];
};

/* So many who have proved themselves. */
static void crowd_join(struct crowd *crowd, const struct front_rig *rig, size_t count)
{
	crowd->context = hostile_tls_context(front_rig_keys(rig), "read");
	assert_non_null(crowd->context);
	for (size_t i = 0; i < count; i++) {
		crowd->members[i] = hostile_tls(rig->tls_port, crowd->context);
		assert_true(hostile_join(&crowd->members[i].way));
	}
}

static void crowd_leave(struct crowd *crowd, size_t count)
{
	for (size_t i = 0; i < count; i++)
		crowd->members[i].way.close(&crowd->members[i].way);
	SSL_CTX_free(crowd->context);
}

static void assert_told_that_it_is_full(const struct front_rig *rig)
{
	struct err err = { 0 };

	assert_int_equal(call_once(rig, &err), -1);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(err.reason, "TOO_MANY_CONNECTIONS");
	assert_non_null(strstr(err.msg, "as many connections as it takes"));
}

/* What has been closed is free again once the front has seen it. */
static void wait_answer(const struct front_rig *rig)
{
	struct deadline by = deadline_in_ms(30000);
	struct err err = { 0 };

	while (call_once(rig, &err) < 0) {
		assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
		assert_false(deadline_is_over(by));
	}
}

/* I15 */
static void one_address_has_256_places_and_is_told_when_they_are_taken(void **state)
{
	struct front_rig *rig = *state;
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	struct hostile_tls other;

	crowd_join(crowd, rig, PLACES);
	assert_told_that_it_is_full(rig);
	other = hostile_tls(rig->tls_port, crowd->context);
	other.from = "127.0.0.2";
	assert_true(hostile_join(&other.way));
	other.way.close(&other.way);
	/* The agent's own socket has places of its own. */
	agent_process_wait_answer(&rig->agent);
	crowd_leave(crowd, PLACES);
	wait_answer(rig);
	free(crowd);
}

/* F17: where there are fewer descriptors there are fewer places, and the front does not run out of them */
static void few_descriptors_are_few_places(void **state)
{
	enum { FEW = 20 };
	struct front_rig *rig = *state;
	struct crowd *crowd = calloc(1, sizeof(*crowd));

	front_rig_kill(rig);
	rig->files = 64 + 2 * FEW;
	front_rig_spawn(rig);
	crowd_join(crowd, rig, FEW);
	for (int i = 0; i < 100; i++)
		assert_told_that_it_is_full(rig);
	crowd_leave(crowd, FEW);
	wait_answer(rig);
	free(crowd);
}

/* F16, I15: who says nothing makes room for one who does */
static void silent_ones_keep_nobody_out(void **state)
{
	struct front_rig *rig = *state;
	static int fds[SILENT];

	for (size_t i = 0; i < SILENT; i++) {
		fds[i] = hostile_tcp_connect(rig->tls_port, NULL);
		assert_true(fds[i] >= 0);
		if (i % 100 == 99)
			assert_answers(rig);
	}
	for (size_t i = 0; i < SILENT; i++)
		close(fds[i]);
	assert_answers(rig);
}

/* --- handshakes -------------------------------------------------------------------------------------- */

/* As fast as one can, with or without waiting for what the front does about it. */
static void flood(const struct front_rig *rig, unsigned kind)
{
	for (unsigned i = 0;; i++) {
		if (kind % 2) {
			hostile_shake(rig->tls_port, HOSTILE_OWN_CERTIFICATE);
		} else {
			int fd = hostile_tcp_connect(rig->tls_port, NULL);

			hostile_tcp_act(fd, i % 2 ? 9 : 4);
			close(fd);
		}
	}
}

static void flood_begin(const struct front_rig *rig, pid_t pids[FLOODERS])
{
	for (unsigned i = 0; i < FLOODERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			signal(SIGPIPE, SIG_IGN);
			flood(rig, i);
		}
	}
}

static void flood_end(pid_t pids[FLOODERS])
{
	for (unsigned i = 0; i < FLOODERS; i++) {
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	}
}

/* The address has used up what it had saved: from here on turns are what all of them wait for. */
static void use_up_what_was_saved(const struct front_rig *rig)
{
	for (int i = 0; i < PLACES; i++)
		assert_false(hostile_shake(rig->tls_port, HOSTILE_LEAVES));
}

/* I15: not even those who come from the very address that the flood comes from */
static void a_flood_of_handshakes_does_not_starve_the_honest(void **state)
{
	struct front_rig *rig = *state;
	int64_t us[HONEST];
	pid_t pids[FLOODERS];
	struct load_times times;

	use_up_what_was_saved(rig);
	flood_begin(rig, pids);
	for (size_t i = 0; i < HONEST; i++) {
		int64_t begun_us = clock_now_us();

		assert_answers(rig);
		us[i] = clock_now_us() - begun_us;
	}
	flood_end(pids);
	times = load_times_of(us, HONEST);
	print_message("connections beside %d flooders of the same address: p50 %lld us, worst %lld "
		      "us\n",
		      FLOODERS, (long long)times.p50, (long long)times.worst);
	assert_in_range(times.worst, 0, 20 * 1000 * 1000);
}

/* --- what the agent takes in hand --------------------------------------------------------------------- */

/* I15: 64 sessions, told by TLS as anywhere */
static void a_session_too_many_is_refused_by_tls(void **state)
{
	cleanup_with(bridge) struct bridge *bridge = front_rig_bridge(*state, NULL, "admin");
	int fd = frames_open(bridge_path(bridge));

	for (int i = 0; i < STREAMS_MAX; i++)
		assert_int_equal(load_open_session(fd), ERR_OK);
	assert_int_equal(load_open_session(fd), ERR_RESOURCE_EXHAUSTED);
	close(fd);
	assert_answers(*state);
}

/* I15: 64 changes (load_begin() sees that the next is refused) and 1,024 calls that wait; one who may only
 * read has limits of its own, and health has none */
static void a_call_too_many_is_refused_by_tls(void **state)
{
	cleanup_with(bridge) struct bridge *bridge = front_rig_bridge(*state, NULL, "admin");
	struct load *load = load_begin(bridge_path(bridge));

	load_read_until_refused(load);
	assert_answers(*state);
	load_end(load);
	assert_answers(*state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_address_has_256_places_and_is_told_when_they_are_taken),
		TEST(few_descriptors_are_few_places),
		TEST(silent_ones_keep_nobody_out),
		TEST(a_flood_of_handshakes_does_not_starve_the_honest),
		TEST(a_session_too_many_is_refused_by_tls),
		TEST(a_call_too_many_is_refused_by_tls),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
