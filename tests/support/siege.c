#include "tests/support/siege.h"

#include "controller/client/client.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/parse.h"
#include "shared/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARTS_MAX 8
#define TIMES_MAX 200000
/* What is there after this is what stays. */
#define WARM_UP 4000
/* A new honest client every so many calls of the one that stays. */
#define FRESH_EVERY 25
/* How long what has ended may take to be freed. */
#define SETTLE_MS 30000
/* Nothing an honest caller may be told to wait for: the machine may be busy with other things, too. What it
 * did wait is printed. */
#define HONEST_MS 2000
#define CALL_MS   30000

/* A sanitizer keeps what is freed, and is slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNT      10000
#define GROWTH_MAX (256 * 1024 * 1024)
#else
#define COUNT      100000
#define GROWTH_MAX (2 * 1024 * 1024)
#endif

/* Of one process, before. */
struct figures {
	size_t resident, fds;
};

/* Waiting times, in the order they came; the last TIMES_MAX. */
struct times {
	int64_t *us;
	size_t count;
};

static unsigned wanted(void)
{
	const char *given = getenv("BERTH_HOSTILE");
	int64_t count = COUNT;

	if (given)
		assert_true(parse_int(given, 1000, 100 * 1000 * 1000, &count));
	return (unsigned)count;
}

/* --- the hostile ----------------------------------------------------------------------------------- */

static pid_t begin_one(const struct siege *siege, const struct siege_part *part, unsigned count,
		       unsigned seed)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		_exit(part ? part->run(siege->arg, count, seed) : siege->fill(siege->arg));
	}
	return pid;
}

static void begin(const struct siege *siege, pid_t pids[PARTS_MAX], unsigned count)
{
	assert_in_range(siege->n_parts, 1, PARTS_MAX);
	for (size_t i = 0; i < siege->n_parts; i++)
		pids[i] = begin_one(siege, &siege->parts[i], count / 100 * siege->parts[i].percent,
				    (unsigned)i + 1);
}

static bool has_ended(pid_t *pid, const char *what)
{
	int status;

	if (*pid == 0)
		return true;
	if (waitpid(*pid, &status, WNOHANG) != *pid)
		return false;
	*pid = 0;
	if (status)
		fail_msg("%s ended with %d, signal %d", what, WEXITSTATUS(status),
			 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return true;
}

static bool all_ended(const struct siege *siege, pid_t pids[PARTS_MAX])
{
	bool all = true;

	for (size_t i = 0; i < siege->n_parts; i++)
		all &= has_ended(&pids[i], siege->parts[i].what);
	return all;
}

/* --- the honest ------------------------------------------------------------------------------------ */

static void ignore(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void check(struct client *client)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct err err = { 0 };
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(CALL_MS), &err);

	berth__node__v1__health__check(&rpc.base, &req, ignore, NULL);
	if (rpc.result < 0)
		fail_msg("an honest call failed: %s (%s)", err.msg, err.reason);
}

static struct client *open_client(const struct siege *siege)
{
	struct client *client = siege->open_client(siege->arg);

	client_set_patient(client, true); /* one who is pushed out comes again */
	return client;
}

static void note(struct times *times, int64_t begun_us)
{
	times->us[times->count++ % TIMES_MAX] = clock_now_us() - begun_us;
}

static void check_steady(struct client *client, struct times *times)
{
	int64_t begun_us = clock_now_us();

	check(client);
	note(times, begun_us);
}

static void check_fresh(const struct siege *siege, struct times *times)
{
	int64_t begun_us = clock_now_us();
	cleanup_with(client) struct client *client = open_client(siege);

	check(client);
	note(times, begun_us);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Prints; the 99th percentile in microseconds. */
static int64_t judge(struct times *times, const char *what)
{
	size_t n = times->count < TIMES_MAX ? times->count : TIMES_MAX;

	assert_true(n > 0);
	qsort(times->us, n, sizeof(times->us[0]), compare);
	print_message("  %zu honest %s: p50 %lld us, p99 %lld us, worst %lld us\n", times->count,
		      what, (long long)times->us[n / 2], (long long)times->us[n * 99 / 100],
		      (long long)times->us[n - 1]);
	return times->us[n * 99 / 100];
}

/* --- what is left of it ---------------------------------------------------------------------------- */

static void assert_lives(const struct agent_process *process)
{
	assert_int_equal(waitpid(process->pid, NULL, WNOHANG), 0);
}

static struct figures figures_of(const struct agent_process *process)
{
	assert_lives(process);
	return (struct figures){ agent_process_resident(process), agent_process_fds(process) };
}

/* As it was, once nng and the kernel have buried what is over. */
static void assert_unchanged(const struct agent_process *process, const char *name,
			     const struct figures *before)
{
	struct deadline by = deadline_in_ms(SETTLE_MS);
	struct figures now = figures_of(process);

	while (now.fds > before->fds && !deadline_is_over(by)) {
		poll(NULL, 0, 20);
		now = figures_of(process);
	}
	print_message("  %s: resident %zu to %zu KiB, descriptors %zu to %zu\n", name,
		      before->resident / 1024, now.resident / 1024, before->fds, now.fds);
	assert_true(now.fds <= before->fds);
	assert_true(now.resident < before->resident + GROWTH_MAX);
}

static void settle(const struct siege *siege)
{
	agent_process_wait_connections(siege->agent, 0);
}

static void warm_up(const struct siege *siege)
{
	pid_t pids[PARTS_MAX], filler = begin_one(siege, NULL, 0, 0);
	cleanup_with(client) struct client *client = NULL;

	while (!has_ended(&filler, "filling"))
		poll(NULL, 0, 5);
	begin(siege, pids, WARM_UP);
	client = open_client(siege);
	while (!all_ended(siege, pids))
		check(client);
}

static void resist(const struct siege *siege, unsigned count, struct times *steady,
		   struct times *fresh)
{
	cleanup_with(client) struct client *client = NULL;
	pid_t pids[PARTS_MAX];

	begin(siege, pids, count);
	client = open_client(siege);
	for (unsigned i = 0; !all_ended(siege, pids); i++, poll(NULL, 0, 2)) {
		check_steady(client, steady);
		if (i % FRESH_EVERY == 0)
			check_fresh(siege, fresh);
	}
}

void siege_run(const struct siege *siege)
{
	struct times steady = { .us = calloc(TIMES_MAX, sizeof(int64_t)) };
	struct times fresh = { .us = calloc(TIMES_MAX, sizeof(int64_t)) };
	struct figures agent, front = { 0 };
	unsigned count = wanted();
	int64_t began_ms, steady_us, fresh_us;

	assert_non_null(steady.us);
	assert_non_null(fresh.us);
	warm_up(siege);
	settle(siege);
	agent = figures_of(siege->agent);
	if (siege->front)
		front = figures_of(siege->front);
	began_ms = clock_now_ms();
	resist(siege, count, &steady, &fresh);
	print_message("%s: %u hostile in %lld ms\n", siege->channel, count,
		      (long long)(clock_now_ms() - began_ms));
	steady_us = judge(&steady, "calls");
	fresh_us = judge(&fresh, "connections, each with a call");
	settle(siege);
	assert_unchanged(siege->agent, "agent", &agent);
	if (siege->front)
		assert_unchanged(siege->front, "front", &front);
	free(steady.us);
	free(fresh.us);
	assert_in_range(steady_us, 0, HONEST_MS * 1000);
	assert_in_range(fresh_us, 0, HONEST_MS * 1000);
}
