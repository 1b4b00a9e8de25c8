/*
 * A real agent behind a real front: what comes through, what does not, and what it costs. Hostile
 * certificates are tests/loop/test_front_certs.c.
 */
#include "controller/client/bridge.h"
#include "controller/client/client.h"
#include "controller/trust/trust.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/text.h"
#include "shared/wire/methods.h"
#include "tests/support/frames.h"
#include "tests/support/front.h"
#include "tests/support/hostile_tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CRASHES    40
#define GROWTH_MAX (64 * 1024 * 1024)
#else
#define CRASHES    200
#define GROWTH_MAX (2 * 1024 * 1024)
#endif
#define ROTATIONS 100
#define AT_ONCE   256 /* handshakes of one address; agent/front/front.c */

static const char *const fast[] = { "--handshakes", "1000000", NULL };

static int setup(void **state)
{
	struct front_rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	front_rig_start(rig, fast);
	return 0;
}

static int teardown(void **state)
{
	front_rig_stop(*state);
	free(*state);
	return 0;
}

/* --- calls ------------------------------------------------------------------------------------------ */

static struct client *client_of(const struct front_rig *rig, const char *role)
{
	struct client *client;
	struct err err;

	assert_int_equal(client_open_bridge(front_rig_bridge(rig, NULL, role), "n1", &client, &err),
			 0);
	return client;
}

static void take_version(const Berth__Node__V1__HealthVersionReply *reply, void *arg)
{
	(void)reply;
	*(bool *)arg = true;
}

static int ask_version(struct client *client, int64_t ms, struct err *err)
{
	Berth__Node__V1__HealthVersionRequest req = BERTH__NODE__V1__HEALTH_VERSION_REQUEST__INIT;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(ms), err);
	bool answered = false;

	berth__node__v1__health__version(&rpc.base, &req, take_version, &answered);
	assert_int_equal(answered, rpc.result == 0);
	return rpc.result;
}

static void assert_answers(const struct front_rig *rig, bool patient)
{
	cleanup_with(client) struct client *client = client_of(rig, "read");
	struct err err = { 0 };

	client_set_patient(client, patient);
	if (ask_version(client, 10000, &err) < 0)
		fail_msg("%s: %s", err.reason, err.msg);
}

/* S10 */
static void a_call_comes_through(void **state)
{
	cleanup_with(client) struct client *client = client_of(*state, "admin");
	struct err err;

	assert_int_equal(ask_version(client, 5000, &err), 0);
	assert_string_equal(client_channel_name(client), "tls");
}

static void an_agent_that_is_gone_is_told_from_a_node_that_is_gone(void **state)
{
	struct front_rig *rig = *state;
	cleanup_with(client) struct client *client = client_of(rig, "admin");
	struct err err = { 0 };

	agent_process_kill(&rig->agent);
	assert_int_equal(ask_version(client, 5000, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "the node is there, its agent does not answer"));
	agent_process_respawn(&rig->agent);
	assert_answers(rig, true);
}

/* S3, S4, G14: every RPC by every role, from the .proto files themselves */
static void each_role_may_call_what_its_proto_says(void **state)
{
	static const struct {
		const char *service, *method;
		enum method_role role;
	} rows[] = {
#define METHOD(service, method, effect, role) { service, method, role },
#include "methods.inc"
#undef METHOD
	};
	struct front_rig *rig = *state;
	uint8_t id[16] = { 1 };

	for (int role = ROLE_READ; role <= ROLE_ADMIN; role++) {
		const char *name = method_role_name((enum method_role)role);
		cleanup_with(bridge) struct bridge *bridge = front_rig_bridge(rig, NULL, name);
		int fd = frames_open(bridge_path(bridge));

		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			struct frames_reply *r;
			bool denied;

			id[1] = (uint8_t)role;
			id[2] = (uint8_t)i;
			frames_ask(fd, (uint32_t)i + 1, id, rows[i].service, rows[i].method, NULL,
				   100);
			r = frames_answer(fd, 20000);
			assert_non_null(r);
			denied = r->reply->status->code == BERTH__NODE__V1__CODE__PERMISSION_DENIED;
			if (r->reply->status->code != BERTH__NODE__V1__CODE__UNIMPLEMENTED &&
			    denied != (rows[i].role > (enum method_role)role))
				fail_msg("%s: %s/%s: code %d", name, rows[i].service,
					 rows[i].method, (int)r->reply->status->code);
			frames_free(r);
		}
		close(fd);
	}
}

static void a_megabyte_comes_back_whole(void **state)
{
	cleanup_with(bridge) struct bridge *bridge = front_rig_bridge(*state, NULL, "admin");
	int fd = frames_open(bridge_path(bridge));
	uint8_t *big = calloc(1, 1000000), id[16] = { 7 };
	struct frames_reply *r;

	/* No request envelope: it is refused, and what comes after it is answered all the same. */
	frames_send(fd, 1, big, 1000000);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, BERTH__NODE__V1__CODE__INVALID_ARGUMENT);
	frames_free(r);
	frames_ask(fd, 2, id, "berth.node.v1.Health", "Version", NULL, 1000);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, BERTH__NODE__V1__CODE__OK);
	frames_free(r);
	close(fd);
	free(big);
}

/* --- silent and hasty ones ----------------------------------------------------------------------- */

/* F16, I15: those who say nothing are gone after 5 s, and keep nobody out meanwhile */
static void a_hundred_silent_ones_are_freed_at_five_seconds(void **state)
{
	struct front_rig *rig = *state;
	int64_t begun = clock_now_ms();
	int fds[100];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = hostile_tcp_connect(rig->tls_port, NULL);
	assert_answers(rig, false);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		assert_true(frames_closed(fds[i], 30000));
	assert_in_range(clock_now_ms() - begun, 4000, 30000);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* I15: who has to wait for the turn of its address is served later, not refused */
static void handshakes_have_to_wait_for_their_turn(void **state)
{
	static const char *const slow[] = { "--handshakes", "20", NULL };
	struct front_rig *rig = *state;
	SSL_CTX *context = hostile_tls_context(front_rig_keys(rig), "read");
	struct hostile_tls tls = hostile_tls(rig->tls_port, context);
	int64_t begun;

	front_rig_kill(rig);
	rig->args = slow;
	front_rig_spawn(rig);
	begun = clock_now_ms();
	for (int i = 0; i < AT_ONCE + 30; i++) {
		assert_true(tls.way.open(&tls.way));
		tls.way.close(&tls.way);
	}
	assert_true(clock_now_ms() - begun >= 1400);
	SSL_CTX_free(context);
}

/* --- life ------------------------------------------------------------------------------------------- */

/* S10 */
static void a_front_that_crashes_again_and_again_leaves_the_agent_unharmed(void **state)
{
	struct front_rig *rig = *state;
	size_t fds, before, threads;

	assert_answers(rig, false);
	front_rig_kill(rig);
	agent_process_wait_connections(&rig->agent, 0);
	fds = agent_process_fds(&rig->agent);
	threads = agent_process_threads(&rig->agent);
	before = agent_process_resident(&rig->agent);
	for (int i = 0; i < CRASHES; i++) {
		front_rig_spawn(rig);
		if (i % 4 == 0) {
			assert_answers(rig, true);
		} else {
			int fd = hostile_tcp_connect(rig->tls_port, NULL);

			hostile_tcp_act(fd, (unsigned)i);
			close(fd);
		}
		front_rig_kill(rig);
	}
	agent_process_wait_connections(&rig->agent, 0);
	agent_process_wait_answer(&rig->agent);
	assert_true(agent_process_fds(&rig->agent) <= fds + 8); /* nng closes in its own time */
	assert_true(agent_process_threads(&rig->agent) == threads);
	assert_true(agent_process_resident(&rig->agent) < before + GROWTH_MAX);
	front_rig_spawn(rig);
	assert_answers(rig, true);
}

static void a_front_that_nobody_needs_ends(void **state)
{
	static const char *const args[] = { "--exit-ms", "300", NULL };
	struct front_rig *rig = *state;

	front_rig_kill(rig);
	rig->args = args;
	front_rig_spawn(rig);
	assert_answers(rig, true);
	assert_int_equal(front_rig_wait_exit(rig, 10000), 0);
	/* What comes meanwhile waits in the socket for the next one. */
	front_rig_spawn(rig);
	assert_answers(rig, true);
}

/* S6: the same connection goes on while keys change under it, and new ones come in by the new keys */
static void a_hundred_rotations_cost_no_call(void **state)
{
	struct front_rig *rig = *state;
	cleanup_with(client) struct client *steady = client_of(rig, "admin");
	cleanup_with(client) struct client *own = agent_process_client(&rig->agent);
	uint64_t accepted;
	struct err err;

	assert_int_equal(ask_version(steady, 5000, &err), 0);
	accepted = front_rig_accepted(own);
	for (int i = 0; i < ROTATIONS; i++) {
		cleanup_with(trust) struct trust *trust = NULL;

		assert_int_equal(trust_open(rig->state_dir, "c1", false, time(NULL), &trust, &err),
				 0);
		assert_int_equal(trust_renew(trust, TRUST_LEAVES, &err), 0);
		assert_int_equal(trust_renew_nodes(trust, TRUST_LEAVES, &err), 0);
		front_rig_share_keys(rig);
		assert_int_equal(kill(rig->pid, SIGHUP), 0);
		assert_int_equal(ask_version(steady, 5000, &err), 0);
		assert_answers(rig, false);
	}
	/* The steady one has not been lost and made again. */
	assert_int_equal(front_rig_accepted(own), accepted + ROTATIONS);
}

/* S6: both sides know the new authority before anybody shows its work */
static void a_change_of_authority_costs_no_call(void **state)
{
	struct front_rig *rig = *state;
	cleanup_with(client) struct client *steady = client_of(rig, "admin");
	struct err err;

	/* It serves: before that, a signal would end it. */
	assert_int_equal(ask_version(steady, 5000, &err), 0);
	for (int i = 0; i < 10; i++) {
		cleanup_with(trust) struct trust *trust = NULL;
		enum trust_renewal renewal = i % 2 ? TRUST_LEAVES : TRUST_NEW_AUTHORITY;

		assert_int_equal(
			trust_open(rig->state_dir, "c1", false, time(NULL) + i, &trust, &err), 0);
		assert_int_equal(trust_renew(trust, renewal, &err), 0);
		assert_int_equal(trust_renew_nodes(trust, renewal, &err), 0);
		front_rig_share_keys(rig);
		assert_int_equal(kill(rig->pid, SIGHUP), 0);
		if (ask_version(steady, 5000, &err) < 0)
			fail_msg("change %d: %s (%s)", i, err.msg, err.reason);
		assert_answers(rig, true);
	}
}

static void keys_that_do_not_fit_leave_the_old_ones_in_use(void **state)
{
	struct front_rig *rig = *state;
	cleanup_free char *key = text_format("%s/node.key", rig->tls_dir);

	assert_answers(rig, false);
	assert_int_equal(unlink(key), 0);
	assert_int_equal(kill(rig->pid, SIGHUP), 0);
	assert_answers(rig, false);
	assert_answers(rig, false);
}

/* S9: the front's own doors, too */
static void another_user_does_not_reach_the_agent_by_the_fronts_doors(void **state)
{
	struct front_rig *rig = *state;
	cleanup_free char *path = text_format("%s/admin.sock", rig->gate_dir);
	int status;
	pid_t pid;

	if (getuid() != 0) {
		print_message("skip: only root can become another user\n");
		skip();
	}
	assert_int_equal(chmod(rig->gate_dir, 0755), 0);
	assert_int_equal(chmod(path, 0666), 0);
	for (int i = 0; i < 20; i++) {
		pid = fork();
		if (pid == 0) {
			char byte;
			int fd = setuid(12345) < 0 ? -1 : frames_connect(path);

			if (fd < 0)
				_exit(3);
			hostile_say(fd, frames_header_req, 8);
			_exit(recv(fd, &byte, 1, 0) <= 0 ? 0 : 5);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_comes_through),
		TEST(an_agent_that_is_gone_is_told_from_a_node_that_is_gone),
		TEST(each_role_may_call_what_its_proto_says),
		TEST(a_megabyte_comes_back_whole),
		TEST(a_hundred_silent_ones_are_freed_at_five_seconds),
		TEST(handshakes_have_to_wait_for_their_turn),
		TEST(a_front_that_crashes_again_and_again_leaves_the_agent_unharmed),
		TEST(a_front_that_nobody_needs_ends),
		TEST(a_hundred_rotations_cost_no_call),
		TEST(a_change_of_authority_costs_no_call),
		TEST(keys_that_do_not_fit_leave_the_old_ones_in_use),
		TEST(another_user_does_not_reach_the_agent_by_the_fronts_doors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
