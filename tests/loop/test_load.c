/*
 * A real agent with its hands full: as many long operations as it takes, a thousand calls that wait, and as
 * many clients as may come.
 */
#include "agent/streams/stream.h"
#include "controller/client/client.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/exec.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/streams.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/base/cleanup.h"
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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEALTH  "berth.node.v1.Health"
#define UNITS   "berth.node.v1.Units"
#define EXEC    "berth.node.v1.Exec"
#define STREAMS "berth.node.v1.Streams"

#define LONG_ONES 64
#define PARKED    1000
#define CHECKS    1000
#define PEERS     8 /* connections of each kind */
#define LONG_MS   6000
#define CLIENTS   256
#define CALLS     20 /* of each client */

/* A sanitizer makes everything some times slower, and keeps what is freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_MAX_US 100000
#define RESIDENT_MAX (256 * 1024 * 1024)
#else
#define CHECK_MAX_US 5000
#define RESIDENT_MAX (32 * 1024 * 1024)
#endif

static struct agent_process agent;

/* No runtime: the node does not get ready, and who waits for it goes on waiting. */
static int start(void **state)
{
	const char *const args[] = { "--runtime", "cri:unix:///nowhere", NULL };

	(void)state;
	agent_process_start_with(&agent, args, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	agent_process_stop(&agent);
	return 0;
}

static const uint8_t *new_id(void)
{
	static uint8_t id[WIRE_CALL_ID_BYTES];
	static unsigned n;

	n++;
	memcpy(id, &n, sizeof(n));
	return id;
}

static void ask_restart(int fd, uint32_t request, const char *unit, uint32_t timeout_ms)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;

	req.name = (char *)unit;
	frames_ask(fd, request, new_id(), UNITS, "Restart", &req.base, timeout_ms);
}

static enum err_code answer_code(int fd, int timeout_ms)
{
	struct frames_reply *r = frames_answer(fd, timeout_ms);
	enum err_code code;

	assert_non_null(r);
	code = (enum err_code)r->reply->status->code;
	frames_free(r);
	return code;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Whether a further change is refused. This one ends in its handler, and so takes nobody's place. */
static bool is_full(int fd)
{
	Berth__Node__V1__ContainerActionRequest nothing =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	enum err_code code;

	frames_ask(fd, 1, new_id(), "berth.node.v1.Containers", "Stop", &nothing.base, 5000);
	code = answer_code(fd, 5000);
	assert_true(code == ERR_OK || code == ERR_RESOURCE_EXHAUSTED);
	return code == ERR_RESOURCE_EXHAUSTED;
}

static void wait_full(int fd)
{
	struct deadline by = deadline_in_ms(LONG_MS);

	while (!is_full(fd))
		assert_false(deadline_is_over(by));
}

/* --- sessions that say nothing ---------------------------------------------------------------------- */

static void open_session(int fd, uint8_t ret_id[STREAM_ID_BYTES])
{
	char *argv[] = { (char *)"sleep", (char *)"60" };
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	Berth__Node__V1__StreamOpened *opened;
	struct frames_reply *r;

	req.argv = argv;
	req.n_argv = ARRAY_LEN(argv);
	frames_ask(fd, 1, new_id(), EXEC, "Start", &req.base, 5000);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, ERR_OK);
	opened = berth__node__v1__stream_opened__unpack(NULL, r->reply->payload.len,
							r->reply->payload.data);
	assert_non_null(opened);
	assert_int_equal(opened->stream_id.len, STREAM_ID_BYTES);
	memcpy(ret_id, opened->stream_id.data, STREAM_ID_BYTES);
	berth__node__v1__stream_opened__free_unpacked(opened, NULL);
	frames_free(r);
}

static void ask_read(int fd, uint32_t request, uint8_t id[STREAM_ID_BYTES])
{
	Berth__Node__V1__StreamReadRequest req = BERTH__NODE__V1__STREAM_READ_REQUEST__INIT;

	req.stream_id = (ProtobufCBinaryData){ .data = id, .len = STREAM_ID_BYTES };
	req.wait_millis = STREAM_WAIT_MS;
	frames_ask(fd, request, new_id(), STREAMS, "Read", &req.base, 30000);
}

static void close_session(int fd, uint8_t id[STREAM_ID_BYTES])
{
	Berth__Node__V1__StreamCloseRequest req = BERTH__NODE__V1__STREAM_CLOSE_REQUEST__INIT;

	req.stream_id = (ProtobufCBinaryData){ .data = id, .len = STREAM_ID_BYTES };
	frames_ask(fd, 1, new_id(), STREAMS, "Close", &req.base, 5000);
	assert_int_equal(answer_code(fd, 5000), ERR_OK);
}

static int64_t p99_of_checks(int fd)
{
	static int64_t times_us[CHECKS];

	for (size_t i = 0; i < CHECKS; i++) {
		int64_t begin = clock_now_us();

		frames_ask(fd, (uint32_t)i, new_id(), HEALTH, "Check", NULL, 5000);
		assert_int_equal(answer_code(fd, 5000), ERR_OK);
		times_us[i] = clock_now_us() - begin;
	}
	qsort(times_us, CHECKS, sizeof(times_us[0]), compare);
	print_message(
		"health beside %d long calls and %d waiting reads: p50 %lld us, p99 %lld us\n",
		LONG_ONES, PARKED, (long long)times_us[CHECKS / 2],
		(long long)times_us[CHECKS * 99 / 100]);
	return times_us[CHECKS * 99 / 100];
}

/* NS-004, I15, G10: nothing that goes on holds health up, and a waiting read costs little */
static void health_answers_beside_all_that_may_go_on(void **state)
{
	int longs[PEERS], parked[PEERS / 2], fd = frames_open(agent.socket);
	uint8_t sessions[STREAMS_MAX][STREAM_ID_BYTES];
	int64_t p99;

	(void)state;
	for (size_t i = 0; i < STREAMS_MAX; i++)
		open_session(fd, sessions[i]);
	for (size_t i = 0; i < ARRAY_LEN(parked); i++)
		parked[i] = frames_open(agent.socket);
	for (uint32_t i = 0; i < PARKED; i++)
		ask_read(parked[i % ARRAY_LEN(parked)], i, sessions[i % STREAMS_MAX]);
	for (size_t i = 0; i < ARRAY_LEN(longs); i++)
		longs[i] = frames_open(agent.socket);
	for (uint32_t i = 0; i < LONG_ONES; i++)
		ask_restart(longs[i % ARRAY_LEN(longs)], i, "hang", LONG_MS);
	wait_full(fd);

	p99 = p99_of_checks(fd);
	assert_true(is_full(fd)); /* all of them go on still */
	print_message("resident: %zu KiB\n", agent_process_resident(&agent) / 1024);
	assert_true(agent_process_resident(&agent) < RESIDENT_MAX);
	/* None of the reads was refused or done: each is told now that its session has been closed. */
	for (size_t i = 0; i < STREAMS_MAX; i++)
		close_session(fd, sessions[i]);
	for (uint32_t i = 0; i < PARKED; i++)
		assert_int_equal(answer_code(parked[i % ARRAY_LEN(parked)], 5000), ERR_UNAVAILABLE);
	for (uint32_t i = 0; i < LONG_ONES; i++)
		assert_int_equal(answer_code(longs[i % ARRAY_LEN(longs)], 2 * LONG_MS),
				 ERR_DEADLINE_EXCEEDED);
	for (size_t i = 0; i < ARRAY_LEN(longs); i++)
		close(longs[i]);
	for (size_t i = 0; i < ARRAY_LEN(parked); i++)
		close(parked[i]);
	close(fd);
	assert_in_range(p99, 0, CHECK_MAX_US);
}

/* I15: what waits does not take the place of what works */
static void waiting_calls_do_not_count_as_work(void **state)
{
	int parked = frames_open(agent.socket), fd = frames_open(agent.socket);

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		frames_ask(parked, i, new_id(), HEALTH, "WaitReady", NULL, 1000);
	ask_restart(fd, 1, "kubelet", 5000);
	assert_int_equal(answer_code(fd, 5000), ERR_OK);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(answer_code(parked, 5000), ERR_DEADLINE_EXCEEDED);
	close(parked);
	close(fd);
}

/* --- clients ----------------------------------------------------------------------------------------- */

struct crowd {
	pthread_barrier_t *all_in, *seen; /* every client has called; they have been counted */
	int failed;
	struct err err; /* of the last failure */
};

static void on_health(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void on_unit(const Berth__Node__V1__UnitStatusReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void call_both(struct client *client, struct crowd *member)
{
	Berth__Node__V1__HealthCheckRequest check = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	Berth__Node__V1__UnitStatusRequest status = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	char *unit = (char *)"kubelet";
	struct deadline by = deadline_in_ms(20000);
	struct rpc rpc = rpc_to(client, &berth__node__v1__health__descriptor, by, &member->err);

	berth__node__v1__health__check(&rpc.base, &check, on_health, NULL);
	member->failed += rpc.result < 0;
	rpc = rpc_to(client, &berth__node__v1__units__descriptor, by, &member->err);
	status.names = &unit;
	status.n_names = 1;
	berth__node__v1__units__status(&rpc.base, &status, on_unit, NULL);
	member->failed += rpc.result < 0;
}

static void *be_a_client(void *arg)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	struct crowd *member = arg;

	call_both(client, member);
	pthread_barrier_wait(member->all_in);
	pthread_barrier_wait(member->seen);
	for (int i = 1; i < CALLS; i++)
		call_both(client, member);
	return NULL;
}

/* G11, I15: each on a connection of its own, all of one process */
static void clients_256_at_once_get_no_error(void **state)
{
	static struct crowd crowd[CLIENTS];
	static pthread_t threads[CLIENTS];
	pthread_barrier_t all_in, seen;
	size_t connections, resident;
	int64_t begin = clock_now_ms();

	(void)state;
	agent_process_wait_connections(&agent, 0);
	resident = agent_process_resident(&agent);
	assert_int_equal(pthread_barrier_init(&all_in, NULL, CLIENTS + 1), 0);
	assert_int_equal(pthread_barrier_init(&seen, NULL, CLIENTS + 1), 0);
	for (size_t i = 0; i < CLIENTS; i++) {
		crowd[i] = (struct crowd){ .all_in = &all_in, .seen = &seen };
		assert_int_equal(pthread_create(&threads[i], NULL, be_a_client, &crowd[i]), 0);
	}
	pthread_barrier_wait(&all_in);
	connections = agent_process_connections(&agent);
	pthread_barrier_wait(&seen);
	for (size_t i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	print_message("%d clients, %d calls each, in %lld ms; resident %zu to %zu KiB\n", CLIENTS,
		      2 * CALLS, (long long)(clock_now_ms() - begin), resident / 1024,
		      agent_process_resident(&agent) / 1024);
	for (size_t i = 0; i < CLIENTS; i++) {
		if (crowd[i].failed)
			fail_msg("client %zu: %d failed: %s", i, crowd[i].failed, crowd[i].err.msg);
	}
	assert_int_equal(connections, CLIENTS);
	assert_true(agent_process_resident(&agent) < RESIDENT_MAX);
	pthread_barrier_destroy(&all_in);
	pthread_barrier_destroy(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_calls_do_not_count_as_work),
		cmocka_unit_test(clients_256_at_once_get_no_error),
		cmocka_unit_test(health_answers_beside_all_that_may_go_on),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
