/*
 * Commands, files and logs through the agent beside `podman exec` and `podman cp` of the same, and many
 * clients at once. $BERTH_BENCH_MIB: how big the copied file is (1024).
 */
#include "tests/support/bench.h"
#include "tests/support/e2e.h"

#include "controller/client/client.h"
#include "controller/client/client_node.h"
#include "controller/client/stream.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/parse.h"

#include "node/v1/exec.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/logs.pb-c.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define EXEC_CALLS  50
#define COPY_ROUNDS 3
#define LOG_MB      200
#define CALLS_EACH  20
/* As many as the agent's gate lets in. */
#define CLIENTS 256

extern char **environ;

struct rig {
	const char *cluster;
	char node[64];
	char socket[160];
	struct client *client;
	struct bench *out;
};

/* --- commands -------------------------------------------------------------------------------------- */

static void take_id(const Berth__Node__V1__StreamOpened *reply, void *arg)
{
	assert_int_equal(reply->stream_id.len, CLIENT_STREAM_ID_BYTES);
	memcpy(arg, reply->stream_id.data, CLIENT_STREAM_ID_BYTES);
}

static int count_bytes(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	(void)channel;
	(void)bytes;
	(void)err;
	*(uint64_t *)arg += len;
	return 0;
}

static void run_true(struct client *client)
{
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	struct deadline by = deadline_in_ms(10000);
	cleanup_with(client_stream) struct client_stream *s = NULL;
	uint8_t id[CLIENT_STREAM_ID_BYTES];
	char *argv[] = { (char *)"true" };
	uint64_t got = 0;
	struct client_stream_io io = {
		.in_fd = -1, .stop_fd = -1, .data = count_bytes, .arg = &got
	};
	struct client_stream_end end;
	struct err err;
	struct rpc rpc = rpc_to(client, &berth__node__v1__exec__descriptor, by, &err);

	req.argv = argv;
	req.n_argv = 1;
	berth__node__v1__exec__start(&rpc.base, &req, take_id, id);
	if (rpc.result < 0 || client_stream_open(client, id, sizeof(id), &s, &err) < 0 ||
	    client_stream_run(s, &io, by, &end, &err) < 0)
		fail_msg("exec true: %s", err.msg);
	assert_int_equal(end.exit_code, 0);
}

static void commands(struct rig *r)
{
	cleanup_with(strv) struct strv ours = { 0 }, theirs = { 0 };
	int64_t us[EXEC_CALLS];
	double mine, their;

	bench_words(&ours, e2e_berth(), "--state-dir", e2e_state_dir(), "exec", r->node, "--name",
		    r->cluster, "--", "true", (char *)NULL);
	bench_words(&theirs, "podman", "exec", r->node, "true", (char *)NULL);
	bench_pair_ms(&ours, &theirs, &mine, &their);
	run_true(r->client);
	for (int i = 0; i < EXEC_CALLS; i++) {
		int64_t start = clock_now_us();

		run_true(r->client);
		us[i] = clock_now_us() - start;
	}
	bench_row(r->out, "exec true, a whole command / podman exec", mine, their, "ms", "aim 10");
	bench_row(r->out, "exec true, start to end on an open connection / podman exec",
		  (double)bench_quantile(us, EXEC_CALLS, 0.5) / 1000, their, "ms", "");
}

/* --- files ----------------------------------------------------------------------------------------- */

struct copy {
	char source[160];  /* here */
	char back[160];    /* here, what came out again */
	char in_node[128]; /* NODE:PATH */
	int64_t mib;
};

static int64_t file_mib(void)
{
	const char *text = getenv("BERTH_BENCH_MIB");
	int64_t mib = 1024;

	if (text && !parse_int(text, 1, 1024 * 1024, &mib))
		fail_msg("BERTH_BENCH_MIB is '%s', not a number of MiB", text);
	return mib;
}

/* Bytes without holes: nobody may leave any of them out. */
static void make_file(const struct copy *c)
{
	static uint8_t block[256];
	static uint8_t mib[1024 * 1024];
	FILE *file = fopen(c->source, "we");

	assert_non_null(file);
	for (int64_t i = 0; i < c->mib; i++) {
		for (size_t at = 0; at < sizeof(mib); at += sizeof(block)) {
			if (at % (64 * sizeof(block)) == 0)
				assert_int_equal(getrandom(block, sizeof(block), 0), sizeof(block));
			memcpy(mib + at, block, sizeof(block));
		}
		assert_int_equal(fwrite(mib, sizeof(mib), 1, file), 1);
	}
	assert_int_equal(fclose(file), 0);
}

static int64_t our_copy(const struct rig *r, const char *from, const char *to)
{
	cleanup_with(strv) struct strv argv = { 0 };

	bench_words(&argv, e2e_berth(), "--state-dir", e2e_state_dir(), "cp", from, to, "--name",
		    r->cluster, (char *)NULL);
	return bench_command_us(&argv);
}

static int64_t their_copy(const char *from, const char *to)
{
	cleanup_with(strv) struct strv argv = { 0 };

	bench_words(&argv, "podman", "cp", from, to, (char *)NULL);
	return bench_command_us(&argv);
}

static void forget_in_node(const struct rig *r, const struct copy *c)
{
	free(e2e_stdout_of("podman", "exec", r->node, "rm", "-f", strchr(c->in_node, ':') + 1,
			   (char *)NULL));
	sync(); /* what the one has left to write is not the other's to wait for */
}

static void forget_here(const struct copy *c)
{
	unlink(c->back);
	sync();
}

/* Each into the node and out again, by turns. */
static void copies(struct rig *r)
{
	struct copy c = { .mib = file_mib() };
	int64_t in[COPY_ROUNDS], out[COPY_ROUNDS], their_in[COPY_ROUNDS], their_out[COPY_ROUNDS];
	char label[96];

	snprintf(c.source, sizeof(c.source), "%s/source", e2e_state_dir());
	snprintf(c.back, sizeof(c.back), "%s/back", e2e_state_dir());
	snprintf(c.in_node, sizeof(c.in_node), "%s:/root/copied", r->node);
	make_file(&c);
	sync();
	for (int i = 0; i < COPY_ROUNDS; i++) {
		in[i] = our_copy(r, c.source, c.in_node);
		out[i] = our_copy(r, c.in_node, c.back);
		if (i == 0)
			free(e2e_stdout_of("cmp", c.source, c.back, (char *)NULL));
		forget_here(&c);
		forget_in_node(r, &c);
		their_in[i] = their_copy(c.source, c.in_node);
		their_out[i] = their_copy(c.in_node, c.back);
		forget_here(&c);
		forget_in_node(r, &c);
	}
	unlink(c.source);
	snprintf(label, sizeof(label), "cp of %lld MiB into the node / podman cp",
		 (long long)c.mib);
	bench_row(r->out, label, (double)bench_quantile(in, COPY_ROUNDS, 0.5) / 1e6,
		  (double)bench_quantile(their_in, COPY_ROUNDS, 0.5) / 1e6, "s", "aim 0.6");
	snprintf(label, sizeof(label), "cp of %lld MiB out of the node / podman cp",
		 (long long)c.mib);
	bench_row(r->out, label, (double)bench_quantile(out, COPY_ROUNDS, 0.5) / 1e6,
		  (double)bench_quantile(their_out, COPY_ROUNDS, 0.5) / 1e6, "s", "aim 0.6");
}

/* --- logs ------------------------------------------------------------------------------------------ */

#define LOG_DIR "/var/log/pods/default_bench_uid/app"

/* A pod's log as the runtime writes it, of lines as they are; LOG_MB of it. */
static void make_log(const struct rig *r)
{
	cleanup_free char *script = text_format(
		"mkdir -p " LOG_DIR " && yes '2026-01-01T00:00:01.123456789Z stdout F a line of a "
		"log with a hundred and twenty bytes or so, its time and where it is from "
		"counted' | head -c %d > " LOG_DIR "/0.log",
		LOG_MB * 1000 * 1000);

	free(e2e_stdout_of("podman", "exec", r->node, "sh", "-c", script, (char *)NULL));
}

/* The session alone: microseconds until LOG_MB have come, whole lines. */
static int64_t follow_session(struct rig *r)
{
	Berth__Node__V1__LogsContainerRequest req = BERTH__NODE__V1__LOGS_CONTAINER_REQUEST__INIT;
	Berth__Node__V1__ContainerTarget target = BERTH__NODE__V1__CONTAINER_TARGET__INIT;
	Berth__Node__V1__LogsRange range = BERTH__NODE__V1__LOGS_RANGE__INIT;
	cleanup_with(client_stream) struct client_stream *s = NULL;
	uint8_t id[CLIENT_STREAM_ID_BYTES];
	int64_t start = clock_now_us();
	struct client_stream_end end;
	uint64_t got = 0;
	bool ended = false;
	struct err err;
	struct rpc rpc =
		rpc_to(r->client, &berth__node__v1__logs__descriptor, deadline_in_ms(5000), &err);

	target.pod = (char *)"bench";
	range.follow = true;
	range.tail_lines = -1;
	req.target = &target;
	req.range = &range;
	berth__node__v1__logs__container(&rpc.base, &req, take_id, id);
	if (rpc.result < 0 || client_stream_open(r->client, id, sizeof(id), &s, &err) < 0)
		fail_msg("logs: %s", err.msg);
	while (got < (LOG_MB * 1000 - 1) * 1000) {
		if (client_stream_read(s, deadline_in_ms(5000), count_bytes, &got, &ended, &end,
				       &err) < 0)
			fail_msg("logs: %s", err.msg);
		assert_false(ended);
	}
	return clock_now_us() - start;
}

/* Microseconds until that many bytes have come out of a program that goes on following. */
static int64_t follow_program(const struct strv *argv, uint64_t bytes)
{
	posix_spawn_file_actions_t actions;
	static char buf[256 * 1024];
	int64_t start = clock_now_us(), us;
	uint64_t got = 0;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	assert_int_equal(posix_spawnp(&pid, argv->items[0], &actions, NULL, argv->items, environ),
			 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	while (got < bytes) {
		ssize_t n = read(fds[0], buf, sizeof(buf));

		if (n <= 0)
			fail_msg("%s ended after %llu bytes of its log", argv->items[0],
				 (unsigned long long)got);
		got += (uint64_t)n;
	}
	us = clock_now_us() - start;
	close(fds[0]);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return us;
}

/* Seconds for 100 MB: the aim of 100 MB/s is one second. */
static double per_100_mb(int64_t us)
{
	return (double)us / 1e6 * 100 / LOG_MB;
}

static void logs(struct rig *r)
{
	cleanup_with(strv) struct strv ours = { 0 }, theirs = { 0 };
	int64_t session, command, their;

	make_log(r);
	bench_words(&ours, e2e_berth(), "--state-dir", e2e_state_dir(), "logs", "-f",
		    "--timestamps", (char *)NULL);
	strv_addf(&ours, "%s/bench", r->node);
	bench_words(&ours, "--name", r->cluster, (char *)NULL);
	bench_words(&theirs, "podman", "exec", r->node, "tail", "-n", "+1", "-f", LOG_DIR "/0.log",
		    (char *)NULL);
	session = follow_session(r);
	/* The command leaves out " stdout F", 9 bytes of a line's 120 and more. */
	command = follow_program(&ours, (uint64_t)LOG_MB * 900 * 1000);
	their = follow_program(&theirs, (uint64_t)LOG_MB * 900 * 1000);
	bench_row(r->out, "following a log, 100 MB of it, the session alone", per_100_mb(session),
		  1, "s", "budget 1");
	bench_row(r->out, "following a log, 100 MB of it, berth logs -f", per_100_mb(command) / 0.9,
		  1, "s", "budget 1");
	bench_row(r->out, "following a log, berth logs -f / podman exec tail -f",
		  per_100_mb(command) / 0.9, per_100_mb(their) / 0.9, "s", "");
}

/* --- many clients ---------------------------------------------------------------------------------- */

struct crowd {
	const struct rig *rig;
	pthread_barrier_t start;
	atomic_uint next;
	atomic_uint errors;
	char first_error[sizeof(((struct err *)NULL)->msg)];
	int64_t us[CLIENTS * CALLS_EACH];
};

static void ignore_health(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static int empty_call(struct client *client, struct err *err)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(30000), err);

	berth__node__v1__health__check(&rpc.base, &req, ignore_health, NULL);
	return rpc.result;
}

static void *one_of_many(void *arg)
{
	struct crowd *crowd = arg;
	struct client *client;
	struct err err;

	if (client_open(crowd->rig->socket, "bench", &client, &err) < 0)
		abort();
	pthread_barrier_wait(&crowd->start);
	for (int i = 0; i < CALLS_EACH; i++) {
		int64_t start = clock_now_us();

		if (empty_call(client, &err) < 0 && atomic_fetch_add(&crowd->errors, 1) == 0)
			snprintf(crowd->first_error, sizeof(crowd->first_error), "%s", err.msg);
		crowd->us[atomic_fetch_add(&crowd->next, 1)] = clock_now_us() - start;
	}
	/* All hold their connections until all are done. */
	pthread_barrier_wait(&crowd->start);
	client_close(client);
	return NULL;
}

static void many_clients(struct rig *r)
{
	static struct crowd crowd;
	pthread_t threads[CLIENTS];
	char label[96];
	size_t count = ARRAY_LEN(crowd.us);

	crowd.rig = r;
	pthread_barrier_init(&crowd.start, NULL, CLIENTS);
	for (size_t i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, &crowd), 0);
	for (size_t i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	if (crowd.errors)
		fail_msg("%u of %zu calls failed, the first: %s", crowd.errors, count,
			 crowd.first_error);
	snprintf(label, sizeof(label), "%d clients at once, %d calls each: failed", CLIENTS,
		 CALLS_EACH);
	bench_row(r->out, label, crowd.errors, 0, "", "budget 0");
	snprintf(label, sizeof(label), "%d clients at once, an empty call, p50", CLIENTS);
	bench_row(r->out, label, (double)bench_quantile(crowd.us, count, 0.5) / 1000, 0, "ms", "");
	snprintf(label, sizeof(label), "%d clients at once, an empty call, p99", CLIENTS);
	bench_row(r->out, label, (double)bench_quantile(crowd.us, count, 0.99) / 1000, 0, "ms", "");
}

/* --- all ------------------------------------------------------------------------------------------- */

static void measure(void **state)
{
	struct rig *r = *state;

	commands(r);
	copies(r);
	logs(r);
	many_clients(r);
}

static int open_bench(void **state)
{
	static struct rig rig;
	struct err err;

	*state = &rig;
	rig.cluster = e2e_cluster_name("streams");
	snprintf(rig.node, sizeof(rig.node), "%s-control-plane", rig.cluster);
	e2e_ok("create", "cluster", "--name", rig.cluster, (char *)NULL);
	snprintf(rig.socket, sizeof(rig.socket), "%s/nodes/%s/agent.sock", e2e_state_dir(),
		 rig.node);
	if (client_open(rig.socket, rig.node, &rig.client, &err) < 0)
		fail_msg("%s", err.msg);
	rig.out = bench_new("streams");
	return 0;
}

static int close_bench(void **state)
{
	struct rig *r = *state;
	int rc = 0;

	client_close(r->client);
	if (r->out)
		rc = bench_finish(r->out);
	e2e_clean(r->cluster);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(measure) };

	return cmocka_run_group_tests_name("bench streams", tests, open_bench, close_bench);
}
