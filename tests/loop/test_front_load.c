/*
 * As many clients as may come, and an agent with its hands full, by the ways that are not its own socket: TLS
 * and HTTP through a front as it is shipped, and relays.
 */
#include "controller/client/bridge.h"
#include "controller/client/channel_relay.h"
#include "controller/client/client.h"
#include "shared/base/cleanup.h"
#include "tests/support/front.h"
#include "tests/support/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CHECKS 500

/* Aimed at are 5 ms; see test_load.c. */
#define CHECK_MAX_US 500000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RESIDENT_MAX (1024 * 1024 * 1024)
#else
#define RESIDENT_MAX (32 * 1024 * 1024)
#endif

static struct front_rig rig;
static struct strv relay_argv;

static int start(void **state)
{
	(void)state;
	front_rig_start(&rig, NULL);
	strv_add(&relay_argv, agent_process_binary());
	strv_add(&relay_argv, "relay");
	strv_add(&relay_argv, "--socket");
	strv_add(&relay_argv, rig.agent.socket);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	strv_release(&relay_argv);
	front_rig_stop(&rig);
	return 0;
}

static size_t front_resident(void)
{
	const struct agent_process front = { .pid = rig.pid };

	return agent_process_resident(&front);
}

/* Both roles by turns. */
static struct client *open_tls(void *arg)
{
	static _Atomic unsigned count;
	struct client *client;
	struct err err;

	(void)arg;
	if (client_open_bridge(front_rig_bridge(&rig, NULL, count++ % 2 ? "read" : "admin"), "n1",
			       &client, &err) < 0)
		return NULL;
	return client;
}

static struct client *open_relay(void *arg)
{
	struct bridge *bridge;
	struct client *client;
	struct err err;

	(void)arg;
	if (channel_relay_open(&relay_argv, &bridge, &err) < 0 ||
	    client_open_bridge(bridge, "n1", &client, &err) < 0)
		return NULL;
	return client;
}

static void print_clients(const char *channel, const struct load_times *times)
{
	print_message("%d clients by %s, %d calls each: p50 %lld us, p99 %lld us; resident: agent "
		      "%zu KiB, front %zu KiB\n",
		      LOAD_CLIENTS, channel, 2 * LOAD_CALLS, (long long)times->p50,
		      (long long)times->p99, agent_process_resident(&rig.agent) / 1024,
		      front_resident() / 1024);
}

/* G11, I15: all of one address, at once, at a front with the limits that it has on a node */
static void clients_256_at_once_get_no_error_by_tls(void **state)
{
	struct load_times times = load_clients(&rig.agent, open_tls, NULL);

	(void)state;
	print_clients("tls", &times);
	assert_true(agent_process_resident(&rig.agent) < RESIDENT_MAX);
	assert_true(front_resident() < RESIDENT_MAX);
}

/* G11, D7: a process each, on a node started by an engine */
static void clients_256_at_once_get_no_error_by_relays(void **state)
{
	struct load_times times = load_clients(&rig.agent, open_relay, NULL);

	(void)state;
	print_clients("relay", &times);
	assert_true(agent_process_resident(&rig.agent) < RESIDENT_MAX);
}

static void print_health(const char *what, const struct load_times *times)
{
	print_message("%s beside %d long calls and %d waiting reads: p50 %lld us, p99 %lld us\n",
		      what, LOAD_LONG, LOAD_PARKED, (long long)times->p50, (long long)times->p99);
}

/* NS-004: neither for one who asks by TLS nor for a probe's HTTP, whatever came by TLS */
static void health_answers_beside_all_that_came_by_tls(void **state)
{
	cleanup_with(bridge) struct bridge *bridge = front_rig_bridge(&rig, NULL, "admin");
	struct load *load = load_begin(bridge_path(bridge));
	struct load_times rpc = load_check_health(bridge_path(bridge), CHECKS);
	struct load_times http = load_check_healthz(rig.http_port, CHECKS);

	(void)state;
	load_end(load);
	print_health("Health.Check by tls", &rpc);
	print_health("GET /healthz", &http);
	assert_in_range(rpc.p99, 0, CHECK_MAX_US);
	assert_in_range(http.p99, 0, CHECK_MAX_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_256_at_once_get_no_error_by_tls),
		cmocka_unit_test(clients_256_at_once_get_no_error_by_relays),
		cmocka_unit_test(health_answers_beside_all_that_came_by_tls),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
