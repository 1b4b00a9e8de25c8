/*
 * A hundred thousand hostile connections and messages down real `berthd relay` processes, as an engine's exec
 * would start them, while honest clients come the same way; BERTH_HOSTILE=1000000 makes it a million.
 */
#include "controller/client/channel_relay.h"
#include "controller/client/client.h"
#include "shared/base/cleanup.h"
#include "tests/support/agent_process.h"
#include "tests/support/hostile.h"
#include "tests/support/hostile_relay.h"
#include "tests/support/siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

static int take_all_places(void *arg)
{
	(void)arg;
	return hostile_take_places(agent.socket);
}

static int relays_that_break_off(void *arg, unsigned count, unsigned seed)
{
	struct hostile_relay relay = hostile_relay(agent_process_binary(), agent.socket);
	int rc = 0;

	(void)arg;
	for (unsigned i = 0; i < count && rc == 0; i++) {
		relay.murder = i % 3 == 0;
		rc = hostile_break(&relay.way, seed + i);
	}
	return rc;
}

static int write_through_relays(void *arg, unsigned count, unsigned seed)
{
	struct hostile_relay relay = hostile_relay(agent_process_binary(), agent.socket);

	(void)arg;
	return hostile_write(&relay.way, count, seed);
}

static struct client *open_relay_client(void *arg)
{
	cleanup_with(strv) struct strv argv = { 0 };
	struct bridge *bridge;
	struct client *client;
	struct err err;

	(void)arg;
	strv_add(&argv, agent_process_binary());
	strv_add(&argv, "relay");
	strv_add(&argv, "--socket");
	strv_add(&argv, agent.socket);
	assert_int_equal(channel_relay_open(&argv, &bridge, &err), 0);
	assert_int_equal(client_open_bridge(bridge, "n1", &client, &err), 0);
	return client;
}

/* F13, F14, F15, D7: what comes down a relay's standard input is what a stranger with the engine may send */
static void a_hundred_thousand_hostile_ones_down_the_relay_change_nothing(void **state)
{
	static const struct siege_part parts[] = {
		{ "breaking off", 1, relays_that_break_off },
		{ "writing", 50, write_through_relays },
		{ "writing", 49, write_through_relays },
	};
	const struct siege siege = {
		.channel = "relay",
		.agent = &agent,
		.parts = parts,
		.n_parts = ARRAY_LEN(parts),
		.open_client = open_relay_client,
		.fill = take_all_places,
	};

	(void)state;
	siege_run(&siege);
	agent_process_stop(&agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, discard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hundred_thousand_hostile_ones_down_the_relay_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
