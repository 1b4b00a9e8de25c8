/*
 * A hundred thousand hostile connections and messages from several processes at once, while an honest client
 * is served. BERTH_HOSTILE=1000000 makes it a million (security-faults.md G3).
 */
#include "node/v1/health.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/parse.h"
#include "shared/wire/wire.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"
#include "tests/support/hostile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLERS    2 /* processes that only connect */
#define WRITERS    2 /* processes that send messages */
#define CHECKS_MAX 200000
#define PLACES     256 /* of one peer at the gate */

/* A sanitizer keeps what is freed, and is slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNT      20000
#define GROWTH_MAX (256 * 1024 * 1024)
#define CHECK_US   500000
#else
#define COUNT      100000
#define GROWTH_MAX (1024 * 1024)
#define CHECK_US   50000
#endif

static struct agent_process agent;

static int start(void **state)
{
	(void)state;
	agent_process_start(&agent);
	return 0;
}

static int discard(void **state)
{
	(void)state;
	agent_process_discard(&agent);
	return 0;
}

static unsigned wanted(void)
{
	const char *given = getenv("BERTH_HOSTILE");
	int64_t count = COUNT;

	if (given)
		assert_true(parse_int(given, 1000, 100 * 1000 * 1000, &count));
	return (unsigned)count;
}

/* --- the hostile: processes of their own, which only tell by their exit code --------------------- */

static int connect_again_and_again(unsigned count, unsigned first)
{
	for (unsigned i = 0; i < count; i++) {
		int fd = frames_connect(agent.socket);

		if (fd < 0)
			return 1; /* nobody listens any more */
		hostile_act(fd, first + i);
		close(fd);
	}
	return 0;
}

/* -1 when it was turned away: the hostile take each other's places. */
static int join_in(void)
{
	int fd = frames_connect(agent.socket);
	uint8_t header[8];

	if (fd < 0)
		_exit(1);
	hostile_say(fd, frames_header_req, sizeof(frames_header_req));
	if (recv(fd, header, sizeof(header), MSG_WAITALL) == sizeof(header))
		return fd;
	close(fd);
	return -1;
}

/* An answer must come to each, whatever it is. */
static int write_again_and_again(unsigned count, uint32_t random)
{
	static uint8_t bytes[HOSTILE_BYTES], answer[64 * 1024];
	int fd = -1;

	for (unsigned i = 0; i < count; i++) {
		while (fd < 0)
			fd = join_in();
		frames_send(fd, i, bytes, hostile_message(&random, bytes));
		if (recv(fd, answer, 9, MSG_WAITALL) != 9)
			return 2;
		if (recv(fd, answer, (size_t)answer[7] << 8 | answer[8], MSG_WAITALL) <= 0)
			return 3;
		if (i % 1000 == 999) {
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
	return 0;
}

static void begin(pid_t pids[CALLERS + WRITERS], unsigned count)
{
	unsigned each = count / (CALLERS + WRITERS);

	for (unsigned i = 0; i < CALLERS + WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(i < CALLERS ? connect_again_and_again(each, i)
					  : write_again_and_again(each, i));
	}
}

/* True when all have ended, each with 0. */
static bool all_ended(pid_t pids[CALLERS + WRITERS])
{
	bool all = true;

	for (unsigned i = 0; i < CALLERS + WRITERS; i++) {
		int status;

		if (pids[i] && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
			if (status)
				fail_msg("hostile process %u ended with %d", i, status >> 8);
			pids[i] = 0;
		}
		all &= pids[i] == 0;
	}
	return all;
}

/* --- the honest one ------------------------------------------------------------------------------- */

static int64_t check_us(int fd, uint32_t n)
{
	uint8_t id[WIRE_CALL_ID_BYTES] = { 0 };
	int64_t begun = clock_now_us();
	struct frames_reply *r;

	memcpy(id, &n, sizeof(n));
	frames_ask(fd, n, id, "berth.node.v1.Health", "Check", NULL, 5000);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, 0);
	frames_free(r);
	return clock_now_us() - begun;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void wait_fds(size_t fds)
{
	struct deadline by = deadline_in_ms(10000);

	while (agent_process_fds(&agent) > fds) /* nng closes its side in its own time */
		assert_false(deadline_is_over(by));
}

/* As many connections at once as one peer may have: the peak that the hostile may reach by chance. */
static void hold_all_places(void)
{
	int fds[PLACES];

	for (size_t i = 0; i < PLACES; i++) {
		fds[i] = frames_open(agent.socket);
		check_us(fds[i], (uint32_t)i);
	}
	for (size_t i = 0; i < PLACES; i++)
		close(fds[i]);
	agent_process_wait_connections(&agent, 0);
}

/* F13, F14, F15, G3 */
static void a_hundred_thousand_hostile_ones_change_nothing(void **state)
{
	int64_t *times_us = calloc(CHECKS_MAX, sizeof(*times_us)), began_ms;
	pid_t pids[CALLERS + WRITERS], warm[CALLERS + WRITERS];
	unsigned count = wanted();
	size_t resident, fds, n = 0;
	int fd;

	(void)state;
	hold_all_places();
	begin(warm, 2000); /* what the allocator keeps for good is there after this */
	while (!all_ended(warm))
		poll(NULL, 0, 5);
	agent_process_wait_connections(&agent, 0);
	fds = agent_process_fds(&agent);
	resident = agent_process_resident(&agent);
	began_ms = clock_now_ms();
	fd = frames_open(agent.socket);
	begin(pids, count);
	for (; !all_ended(pids); poll(NULL, 0, 2), n++)
		times_us[n % CHECKS_MAX] = check_us(fd, (uint32_t)n);
	close(fd);
	agent_process_wait_answer(&agent);
	wait_fds(fds);

	n = n < CHECKS_MAX ? n : CHECKS_MAX;
	qsort(times_us, n, sizeof(*times_us), compare);
	print_message("%u hostile in %lld ms; %zu honest: p50 %lld us, p99 %lld us; resident %zu "
		      "to %zu KiB\n",
		      count, (long long)(clock_now_ms() - began_ms), n, (long long)times_us[n / 2],
		      (long long)times_us[n * 99 / 100], resident / 1024,
		      agent_process_resident(&agent) / 1024);
	assert_in_range(times_us[n * 99 / 100], 0, CHECK_US);
	assert_true(agent_process_resident(&agent) < resident + GROWTH_MAX);
	free(times_us);
	agent_process_stop(&agent);
}

/* F14: what a length announces is not set aside before it comes */
static void announced_lengths_cost_nothing(void **state)
{
	static const uint64_t lengths[] = { UINT64_MAX,        UINT64_MAX - 64, 1ull << 63,
					    (1ull << 63) - 1,  1ull << 40,      1ull << 31,
					    WIRE_MAX_BYTES + 5 };
	size_t before, after;

	(void)state;
	agent_process_wait_answer(&agent);
	before = agent_process_resident(&agent);
	for (unsigned i = 0; i < 100 * ARRAY_LEN(lengths); i++) {
		uint8_t head[13] = { 1 };
		int fd = frames_open(agent.socket);
		int64_t begun = clock_now_ms();

		for (int b = 0; b < 8; b++)
			head[8 - b] = (uint8_t)(lengths[i % ARRAY_LEN(lengths)] >> 8 * b);
		hostile_say(fd, head, sizeof(head));
		assert_true(frames_closed(fd, 2000));
		assert_in_range(clock_now_ms() - begun, 0, 1000);
		close(fd);
	}
	agent_process_wait_answer(&agent);
	after = agent_process_resident(&agent);
	assert_true(after < before + GROWTH_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, discard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(announced_lengths_cost_nothing),
		TEST(a_hundred_thousand_hostile_ones_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
