/*
 * A real agent with its hands full: as many long operations as it takes, and a thousand calls that wait.
 */
#include "node/v1/containers.pb-c.h"
#include "node/v1/health.pb-c.h"
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

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEALTH "berth.node.v1.Health"
#define UNITS  "berth.node.v1.Units"

#define LONG_ONES 64
#define PARKED    1000
#define CHECKS    1000
#define PEERS     8 /* connections of each kind */

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

/* Until a further change is refused: all that were asked for have arrived. This one ends in its handler,
 * and so takes nobody's place. */
static void wait_full(int fd)
{
	Berth__Node__V1__ContainerActionRequest nothing =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	enum err_code code;

	do {
		frames_ask(fd, 1, new_id(), "berth.node.v1.Containers", "Stop", &nothing.base,
			   5000);
		code = answer_code(fd, 5000);
	} while (code == ERR_OK);
	assert_int_equal(code, ERR_RESOURCE_EXHAUSTED);
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
	print_message("health beside %d long and %d waiting calls: p50 %lld us, p99 %lld us\n",
		      LONG_ONES, PARKED, (long long)times_us[CHECKS / 2],
		      (long long)times_us[CHECKS * 99 / 100]);
	return times_us[CHECKS * 99 / 100];
}

/* NS-004, I15, G10: nothing that goes on holds health up, and a waiting call costs little */
static void health_answers_beside_all_that_may_go_on(void **state)
{
	int longs[PEERS], parked[PEERS / 2], fd = frames_open(agent.socket);
	int64_t p99;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parked); i++)
		parked[i] = frames_open(agent.socket);
	for (uint32_t i = 0; i < PARKED; i++)
		frames_ask(parked[i % ARRAY_LEN(parked)], i, new_id(), HEALTH, "WaitReady", NULL,
			   30000);
	for (size_t i = 0; i < ARRAY_LEN(longs); i++)
		longs[i] = frames_open(agent.socket);
	for (uint32_t i = 0; i < LONG_ONES; i++)
		ask_restart(longs[i % ARRAY_LEN(longs)], i, "hang", 8000);
	wait_full(fd);

	p99 = p99_of_checks(fd);
	print_message("resident: %zu KiB\n", agent_process_resident(&agent) / 1024);
	assert_true(agent_process_resident(&agent) < RESIDENT_MAX);
	for (uint32_t i = 0; i < LONG_ONES; i++)
		assert_int_equal(answer_code(longs[i % ARRAY_LEN(longs)], 12000),
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_calls_do_not_count_as_work),
		cmocka_unit_test(health_answers_beside_all_that_may_go_on),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
