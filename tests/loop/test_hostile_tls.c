/*
 * A hundred thousand hostile connections and messages at the front and through it, while honest clients come
 * the same way and from the same address; BERTH_HOSTILE=1000000 makes it a million.
 */
#include "controller/client/bridge.h"
#include "controller/client/client.h"
#include "shared/base/cleanup.h"
#include "tests/support/front.h"
#include "tests/support/hostile_tls.h"
#include "tests/support/siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#define PLACES 256 /* of one address at the front */

/* Their turns are what test_front.c is about. */
static const char *const fast[] = { "--handshakes", "1000000", NULL };

static struct front_rig rig;

static int start(void **state)
{
	(void)state;
	front_rig_start(&rig, fast);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	front_rig_stop(&rig);
	return 0;
}

static int connect_again_and_again(void *arg, unsigned count, unsigned seed)
{
	(void)arg;
	for (unsigned i = 0; i < count; i++) {
		int fd = hostile_tcp_connect(rig.tls_port, NULL);

		if (fd < 0)
			return 1; /* nobody listens any more */
		hostile_tcp_act(fd, seed + i);
		close(fd);
	}
	return 0;
}

static int shake_again_and_again(void *arg, unsigned count, unsigned seed)
{
	(void)arg;
	for (unsigned i = 0; i < count; i++) {
		if (hostile_shake(rig.tls_port, (seed + i) % HOSTILE_SHAKES))
			return 2; /* let in */
	}
	return 0;
}

/* Sound sessions of both roles, broken off at any point. */
static int break_again_and_again(void *arg, unsigned count, unsigned seed)
{
	struct hostile_tls tls =
		hostile_tls(rig.tls_port,
			    hostile_tls_context(front_rig_keys(&rig), seed % 2 ? "read" : "admin"));
	int rc = tls.context ? 0 : 3;

	(void)arg;
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = hostile_break(&tls.way, seed + i);
	return rc;
}

static int write_as(const char *role, unsigned count, unsigned seed)
{
	struct hostile_tls tls =
		hostile_tls(rig.tls_port, hostile_tls_context(front_rig_keys(&rig), role));

	return tls.context ? hostile_write(&tls.way, count, seed) : 3;
}

static int write_as_reader(void *arg, unsigned count, unsigned seed)
{
	(void)arg;
	return write_as("read", count, seed);
}

static int write_as_admin(void *arg, unsigned count, unsigned seed)
{
	(void)arg;
	return write_as("admin", count, seed);
}

static int take_all_places(void *arg)
{
	SSL_CTX *contexts[] = { hostile_tls_context(front_rig_keys(&rig), "read"),
				hostile_tls_context(front_rig_keys(&rig), "admin") };
	static struct hostile_tls tls[PLACES];

	(void)arg;
	for (size_t i = 0; i < PLACES; i++) {
		tls[i] = hostile_tls(rig.tls_port, contexts[i % 2]);
		if (!hostile_join(&tls[i].way))
			return 1;
	}
	return 0;
}

static struct client *open_client(void *arg)
{
	struct client *client;
	struct err err;

	(void)arg;
	assert_int_equal(
		client_open_bridge(front_rig_bridge(&rig, NULL, "read"), "n1", &client, &err), 0);
	return client;
}

/* F13, F14, F15, G3, S10 */
static void a_hundred_thousand_hostile_ones_change_nothing(void **state)
{
	static const struct siege_part parts[] = {
		{ "connecting", 20, connect_again_and_again },
		{ "connecting", 20, connect_again_and_again },
		{ "shaking hands", 3, shake_again_and_again },
		{ "breaking off", 1, break_again_and_again },
		{ "writing as reader", 28, write_as_reader },
		{ "writing as admin", 28, write_as_admin },
	};
	const struct agent_process front = { .pid = rig.pid };
	const struct siege siege = {
		.channel = "tls",
		.agent = &rig.agent,
		.front = &front,
		.parts = parts,
		.n_parts = ARRAY_LEN(parts),
		.open_client = open_client,
		.fill = take_all_places,
	};

	(void)state;
	siege_run(&siege);
	agent_process_stop(&rig.agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hundred_thousand_hostile_ones_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
