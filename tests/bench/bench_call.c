/*
 * What one call costs, side by side in one run: an empty call through gate, server and dispatch,
 * bare nng REQ/REP of the same size in this process, and a bare unix socket; and what the agent
 * takes while it idles. One JSON object on stdout.
 */
#include "controller/client/client.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "tests/support/agent_process.h"

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

#define ROUNDS      5000
#define WARM_UP     200
#define BYTES       64
#define IDLE_S      10
#define WORST_OF(n) ((n)*99 / 100)

static int64_t times_us[ROUNDS];

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *name)
{
	qsort(times_us, ROUNDS, sizeof(times_us[0]), compare);
	printf("  \"%s\": { \"p50_us\": %lld, \"p99_us\": %lld, \"min_us\": %lld },\n", name,
	       (long long)times_us[ROUNDS / 2], (long long)times_us[WORST_OF(ROUNDS)],
	       (long long)times_us[0]);
}

/* Times 'once' after a warm-up. */
static void measure(const char *name, void (*once)(void *arg), void *arg)
{
	for (int i = 0; i < WARM_UP; i++)
		once(arg);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t begin = clock_now_us();

		once(arg);
		times_us[i] = clock_now_us() - begin;
	}
	report(name);
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

static void bare_nng(void)
{
	nng_socket rep, req;
	pthread_t thread;
	char url[64];

	snprintf(url, sizeof(url), "ipc:///tmp/berth-bench-%d.sock", (int)getpid());
	assert_int_equal(nng_rep0_open(&rep), 0);
	assert_int_equal(nng_listen(rep, url, NULL, 0), 0);
	assert_int_equal(nng_req0_open(&req), 0);
	assert_int_equal(nng_dial(req, url, NULL, 0), 0);
	pthread_create(&thread, NULL, nng_echo, &rep);
	measure("bare_nng_ipc", nng_call, &req);
	nng_close(req);
	nng_close(rep);
	pthread_join(thread, NULL);
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

static void bare_socket(void)
{
	pthread_t thread;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pthread_create(&thread, NULL, socket_echo, &fds[1]);
	measure("bare_unix_socket", socket_call, &fds[0]);
	close(fds[0]);
	pthread_join(thread, NULL);
	close(fds[1]);
}

static void fresh_client(void *arg)
{
	struct client *client = agent_process_client(arg);

	agent_call(client);
	client_close(client);
}

static void idle(const struct agent_process *agent)
{
	size_t before = agent_process_switches(agent);

	poll(NULL, 0, IDLE_S * 1000);
	printf("  \"idle\": { \"resident_kib\": %zu, \"private_kib\": %zu, \"threads\": %zu, "
	       "\"fds\": %zu, \"wake_ups_per_s\": %.2f }\n",
	       agent_process_resident(agent) / 1024, agent_process_private(agent) / 1024,
	       agent_process_threads(agent), agent_process_fds(agent),
	       (double)(agent_process_switches(agent) - before) / IDLE_S);
}

static void one_run(void **state)
{
	const char *const env[] = { "NOTIFY_SOCKET=", NULL };
	struct agent_process agent;
	struct client *client;

	(void)state;
	agent_process_start_with(&agent, NULL, env);
	client = agent_process_client(&agent);
	printf("{\n");
	measure("call_through_gate", agent_call, client);
	bare_nng();
	bare_socket();
	client_close(client);
	measure("connect_call_close", fresh_client, &agent);
	agent_process_wait_connections(&agent, 0);
	idle(&agent);
	printf("}\n");
	agent_process_stop(&agent);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(one_run) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
