/*
 * Many clients at once by each channel, health beside everything that may go on, and what a handshake costs
 * the front. Writes build/bench/clients.json.
 */
#include "controller/client/bridge.h"
#include "controller/client/channel_relay.h"
#include "controller/client/client.h"
#include "shared/base/cleanup.h"
#include "tests/support/bench.h"
#include "tests/support/front.h"
#include "tests/support/hostile_tls.h"
#include "tests/support/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>

#define CHECKS     5000
#define HANDSHAKES 1000

static const char *const fast[] = { "--handshakes", "1000000", NULL };

static struct front_rig rig;

static struct client *open_ipc(void *arg)
{
	(void)arg;
	return agent_process_client(&rig.agent);
}

static struct client *open_bridged(struct bridge *bridge)
{
	struct client *client;
	struct err err;

	return client_open_bridge(bridge, "n1", &client, &err) < 0 ? NULL : client;
}

static struct client *open_tls(void *arg)
{
	(void)arg;
	return open_bridged(front_rig_bridge(&rig, NULL, "admin"));
}

static struct client *open_relay(void *arg)
{
	struct bridge *bridge;
	struct err err;

	return channel_relay_open(arg, &bridge, &err) < 0 ? NULL : open_bridged(bridge);
}

static void clients_by(struct bench *b, const char *channel, struct client *(*open)(void *arg),
		       void *arg)
{
	struct load_times times = load_clients(&rig.agent, open, arg);
	char what[96];

	snprintf(what, sizeof(what), "%d clients at once by %s, a call: p50", LOAD_CLIENTS,
		 channel);
	bench_row(b, what, (double)times.p50 / 1000, 0, "ms", "no error");
	snprintf(what, sizeof(what), "%d clients at once by %s, a call: p99", LOAD_CLIENTS,
		 channel);
	bench_row(b, what, (double)times.p99 / 1000, 0, "ms", "no error");
}

static void health_row(struct bench *b, const char *way, const struct load_times *times)
{
	char what[96];

	snprintf(what, sizeof(what), "health by %s beside %d long calls, %d waiting reads: p99",
		 way, LOAD_LONG, LOAD_PARKED);
	bench_row(b, what, (double)times->p99 / 1000, 5, "ms", "aim 5 ms");
}

static void health(struct bench *b)
{
	cleanup_with(bridge) struct bridge *bridge = front_rig_bridge(&rig, NULL, "admin");
	struct load *load = load_begin(rig.agent.socket);
	struct load_times times = load_check_health(rig.agent.socket, CHECKS);

	health_row(b, "ipc", &times);
	times = load_check_health(bridge_path(bridge), CHECKS);
	health_row(b, "tls", &times);
	times = load_check_healthz(rig.http_port, CHECKS);
	health_row(b, "HTTP", &times);
	load_end(load);
}

/* Of its first thread, which does the handshakes. */
static double front_cpu_us(void)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)rig.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &ns), 1);
	fclose(f);
	return (double)ns / 1000;
}

static void handshakes(struct bench *b)
{
	struct hostile_tls tls =
		hostile_tls(rig.tls_port, hostile_tls_context(front_rig_keys(&rig), "read"));
	double before = front_cpu_us();

	for (int i = 0; i < HANDSHAKES; i++) {
		assert_true(hostile_join(&tls.way));
		tls.way.close(&tls.way);
	}
	bench_row(b, "front: processor time of a connection that is let in",
		  (front_cpu_us() - before) / HANDSHAKES, 0, "us", "");
	before = front_cpu_us();
	for (int i = 0; i < HANDSHAKES; i++)
		assert_false(hostile_shake(rig.tls_port, HOSTILE_OWN_CERTIFICATE));
	bench_row(b, "front: processor time of one whose certificate is refused",
		  (front_cpu_us() - before) / HANDSHAKES, 0, "us", "");
}

static void one_run(void **state)
{
	cleanup_with(strv) struct strv relay = { 0 };
	struct bench *b = bench_new("clients");

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	front_rig_start(&rig, fast);
	bench_words(&relay, agent_process_binary(), "relay", "--socket", rig.agent.socket, NULL);
	clients_by(b, "ipc", open_ipc, NULL);
	clients_by(b, "tls", open_tls, NULL);
	clients_by(b, "relay", open_relay, &relay);
	handshakes(b);
	health(b);
	front_rig_stop(&rig);
	assert_int_equal(bench_finish(b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(one_run) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
