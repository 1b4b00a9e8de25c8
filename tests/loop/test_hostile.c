/*
 * A hundred thousand hostile connections and messages at the agent's own socket, while honest clients are
 * served; BERTH_HOSTILE=1000000 makes it a million (security-faults.md G3). The other channels are
 * test_hostile_tls.c and test_hostile_relay.c.
 */
#include "controller/client/client.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/wire/wire.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"
#include "tests/support/hostile.h"
#include "tests/support/siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

/* A sanitizer keeps what is freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWTH_MAX (256 * 1024 * 1024)
#else
#define GROWTH_MAX (1024 * 1024)
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

/* --- the agent's own socket ------------------------------------------------------------------------- */

static int connect_again_and_again(void *arg, unsigned count, unsigned seed)
{
	(void)arg;
	for (unsigned i = 0; i < count; i++) {
		int fd = frames_connect(agent.socket);

		if (fd < 0)
			return 1; /* nobody listens any more */
		hostile_act(fd, seed + i);
		close(fd);
	}
	return 0;
}

static int write_again_and_again(void *arg, unsigned count, unsigned seed)
{
	struct hostile_ipc ipc = hostile_ipc(agent.socket);

	(void)arg;
	return hostile_write(&ipc.way, count, seed);
}

static int take_all_places(void *arg)
{
	(void)arg;
	return hostile_take_places(agent.socket);
}

static struct client *open_client(void *arg)
{
	(void)arg;
	return agent_process_client(&agent);
}

/* F13, F14, F15, G3 */
static void a_hundred_thousand_hostile_ones_change_nothing(void **state)
{
	static const struct siege_part parts[] = {
		{ "connecting", 25, connect_again_and_again },
		{ "connecting", 25, connect_again_and_again },
		{ "writing", 25, write_again_and_again },
		{ "writing", 25, write_again_and_again },
	};
	const struct siege siege = {
		.channel = "ipc",
		.agent = &agent,
		.parts = parts,
		.n_parts = ARRAY_LEN(parts),
		.open_client = open_client,
		.fill = take_all_places,
	};

	(void)state;
	siege_run(&siege);
	agent_process_stop(&agent);
}

/* --- lengths ---------------------------------------------------------------------------------------- */

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
