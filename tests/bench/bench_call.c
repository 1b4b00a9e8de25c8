/*
 * What one call costs, side by side in one run: an empty call through gate, server and dispatch,
 * bare nng REQ/REP of the same size in this process, and a bare unix socket; and what the agent
 * takes while it idles. Writes build/bench/floors.json.
 */
#include "controller/client/client.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "tests/support/agent_process.h"
#include "tests/support/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS  5000
#define WARM_UP 200
#define BYTES   64
#define IDLE_S  10

static int64_t times_us[ROUNDS];

struct times {
	double p50_us, p99_us;
};

/* Times 'once' after a warm-up. */
static struct times measure(void (*once)(void *arg), void *arg)
{
	for (int i = 0; i < WARM_UP; i++)
		once(arg);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t begin = clock_now_us();

		once(arg);
		times_us[i] = clock_now_us() - begin;
	}
	return (struct times){ (double)bench_quantile(times_us, ROUNDS, 0.5),
			       (double)bench_quantile(times_us, ROUNDS, 0.99) };
}

static void ignore(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void agent_call(void *arg)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct err err;
	struct rpc rpc =
		rpc_to(arg, &berth__node__v1__health__descriptor, deadline_in_ms(5000), &err);

	berth__node__v1__health__check(&rpc.base, &req, ignore, NULL);
	assert_int_equal(rpc.result, 0);
}

static void nng_call(void *arg)
{
	char bytes[BYTES] = { 0 };
	size_t len = sizeof(bytes);

	assert_int_equal(nng_send(*(nng_socket *)arg, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(nng_recv(*(nng_socket *)arg, bytes, &len, 0), 0);
}

static void *nng_echo(void *arg)
{
	nng_socket socket = *(nng_socket *)arg;
	char bytes[BYTES];
	size_t len = sizeof(bytes);

	while (nng_recv(socket, bytes, &len, 0) == 0 && nng_send(socket, bytes, len, 0) == 0)
		len = sizeof(bytes);
	return NULL;
}

static struct times bare_nng(void)
{
	struct times times;
	nng_socket rep, req;
	pthread_t thread;
	char url[64];

	snprintf(url, sizeof(url), "ipc:///tmp/berth-bench-%d.sock", (int)getpid());
	assert_int_equal(nng_rep0_open(&rep), 0);
	assert_int_equal(nng_listen(rep, url, NULL, 0), 0);
	assert_int_equal(nng_req0_open(&req), 0);
	assert_int_equal(nng_dial(req, url, NULL, 0), 0);
	pthread_create(&thread, NULL, nng_echo, &rep);
	times = measure(nng_call, &req);
	nng_close(req);
	nng_close(rep);
	pthread_join(thread, NULL);
	return times;
}

static void socket_call(void *arg)
{
	char bytes[BYTES] = { 0 };
	int fd = *(int *)arg;

	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
}

static void *socket_echo(void *arg)
{
	char bytes[BYTES];
	int fd = *(int *)arg;

	while (recv(fd, bytes, sizeof(bytes), MSG_WAITALL) == sizeof(bytes) &&
	       write(fd, bytes, sizeof(bytes)) == sizeof(bytes))
		;
	return NULL;
}

static struct times bare_socket(void)
{
	struct times times;
	pthread_t thread;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pthread_create(&thread, NULL, socket_echo, &fds[1]);
	times = measure(socket_call, &fds[0]);
	close(fds[0]);
	pthread_join(thread, NULL);
	close(fds[1]);
	return times;
}

static void fresh_client(void *arg)
{
	struct client *client = agent_process_client(arg);

	agent_call(client);
	client_close(client);
}

static void idle(struct bench *b, const struct agent_process *agent)
{
	size_t before = agent_process_switches(agent);

	poll(NULL, 0, IDLE_S * 1000);
	bench_row(b, "idle agent, fake backends: wake-ups a second, all threads",
		  (double)(agent_process_switches(agent) - before) / IDLE_S, 1, "/s", "budget 1");
	bench_row(b, "idle agent, fake backends: resident",
		  (double)agent_process_resident(agent) / 1024 / 1024, 6, "MiB", "budget 6");
	bench_row(b, "idle agent, fake backends: private",
		  (double)agent_process_private(agent) / 1024 / 1024, 1, "MiB", "budget 1");
	bench_row(b, "idle agent, fake backends: threads", (double)agent_process_threads(agent), 0,
		  "", "");
	bench_row(b, "idle agent, fake backends: descriptors", (double)agent_process_fds(agent), 0,
		  "", "");
}

static void one_run(void **state)
{
	const char *const env[] = { "NOTIFY_SOCKET=", NULL };
	struct bench *b = bench_new("floors");
	struct times call, nng, socket, fresh;
	struct agent_process agent;
	struct client *client;

	(void)state;
	agent_process_start_with(&agent, NULL, env);
	client = agent_process_client(&agent);
	call = measure(agent_call, client);
	nng = bare_nng();
	socket = bare_socket();
	client_close(client);
	fresh = measure(fresh_client, &agent);
	bench_row(b, "empty call, p50 / bare nng REQ/REP", call.p50_us, nng.p50_us, "us", "");
	bench_row(b, "empty call, p99 / bare nng REQ/REP", call.p99_us, nng.p99_us, "us", "");
	bench_row(b, "empty call, p50 / bare unix socket", call.p50_us, socket.p50_us, "us", "");
	bench_row(b, "connect, empty call, close, p50", fresh.p50_us, 0, "us", "");
	agent_process_wait_connections(&agent, 0);
	idle(b, &agent);
	agent_process_stop(&agent);
	assert_int_equal(bench_finish(b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(one_run) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
