/*
 * A real agent with its hands full: as many long operations as it takes, a thousand calls that wait, and as
 * many clients as may come. The other channels are test_front_load.c.
 */
#include "controller/client/client.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/wire/wire.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"
#include "tests/support/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#define WAITING 100
#define CHECKS  1000

/* Aimed at are 5 ms; the machine that runs all tests at once is busy with other things. The true figure is
 * printed, and measured by tests/bench/bench_clients.c. */
#define CHECK_MAX_US 500000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RESIDENT_MAX (256 * 1024 * 1024)
#else
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
	static uint8_t id[WIRE_CALL_ID_BYTES] = { [WIRE_CALL_ID_BYTES - 1] = 1 };
	static unsigned n;

	n++;
	memcpy(id, &n, sizeof(n));
	return id;
}

static enum err_code answer_code(int fd)
{
	struct frames_reply *r = frames_answer(fd, 30000);
	enum err_code code;

	assert_non_null(r);
	code = (enum err_code)r->reply->status->code;
	frames_free(r);
	return code;
}

/* I15: what waits does not take the place of what works */
static void waiting_calls_do_not_count_as_work(void **state)
{
	Berth__Node__V1__UnitActionRequest restart = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	int parked = frames_open(agent.socket), fd = frames_open(agent.socket);

	(void)state;
	for (uint32_t i = 0; i < WAITING; i++)
		frames_ask(parked, i, new_id(), "berth.node.v1.Health", "WaitReady", NULL, 1000);
	restart.name = (char *)"kubelet";
	frames_ask(fd, 1, new_id(), "berth.node.v1.Units", "Restart", &restart.base, 30000);
	assert_int_equal(answer_code(fd), ERR_OK);
	for (uint32_t i = 0; i < WAITING; i++)
		assert_int_equal(answer_code(parked), ERR_DEADLINE_EXCEEDED);
	close(parked);
	close(fd);
}

static struct client *open_client(void *arg)
{
	(void)arg;
	return agent_process_client(&agent);
}

/* G11, I15: each on a connection of its own, all of one process */
static void clients_256_at_once_get_no_error(void **state)
{
	size_t resident = agent_process_resident(&agent);
	struct load_times times = load_clients(&agent, open_client, NULL);

	(void)state;
	print_message("%d clients, %d calls each: p50 %lld us, p99 %lld us; resident %zu to %zu "
		      "KiB\n",
		      LOAD_CLIENTS, 2 * LOAD_CALLS, (long long)times.p50, (long long)times.p99,
		      resident / 1024, agent_process_resident(&agent) / 1024);
	assert_true(agent_process_resident(&agent) < RESIDENT_MAX);
}

/* NS-004, I15, G10: nothing that goes on holds health up, and a waiting read costs little */
static void health_answers_beside_all_that_may_go_on(void **state)
{
	struct load *load = load_begin(agent.socket);
	struct load_times times = load_check_health(agent.socket, CHECKS);
	size_t resident = agent_process_resident(&agent);

	(void)state;
	load_end(load);
	print_message("health beside %d long calls and %d waiting reads: p50 %lld us, p99 %lld us; "
		      "resident %zu KiB\n",
		      LOAD_LONG, LOAD_PARKED, (long long)times.p50, (long long)times.p99,
		      resident / 1024);
	assert_true(resident < RESIDENT_MAX);
	assert_in_range(times.p99, 0, CHECK_MAX_US);
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
