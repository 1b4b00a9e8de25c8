#include "tests/support/agent_process.h"

#include "controller/client/client.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/err.h"
#include "tests/support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 32

extern char **environ;

const char *agent_process_binary(void)
{
	static char path[4096];
	const char *given = getenv("BERTHD");

	if (given)
		return given;
	if (!path[0])
		program_beside("berthd", path, sizeof(path));
	return path;
}

/* A copy of each life's words, for agent_process_respawn(). One agent a test program at a time is
 * usual; several are told apart by their directory. */
static struct life {
	char dir[64];
	const char *args[WORDS_MAX];
	const char *env[WORDS_MAX];
} lives[16];

static struct life *life_of(const char *dir)
{
	for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
		if (!lives[i].dir[0] || strcmp(lives[i].dir, dir) == 0) {
			snprintf(lives[i].dir, sizeof(lives[i].dir), "%s", dir);
			return &lives[i];
		}
	}
	fail_msg("too many agents");
	return NULL;
}

static size_t copy_words(const char **to, const char *const *from)
{
	size_t n = 0;

	for (; from && from[n]; n++) {
		assert_true(n + 1 < WORDS_MAX);
		to[n] = from[n];
	}
	to[n] = NULL;
	return n;
}

void agent_process_respawn(struct agent_process *agent)
{
	char runtime[128], logs[128], *argv[WORDS_MAX + 16], *env[WORDS_MAX + 256];
	const char *fixed[] = { "berthd",      "serve",          "--socket",
				agent->socket, "--private-dir",  agent->private_dir,
				"--state-dir", agent->state_dir, "--units",
				"fake",        "--runtime",      runtime,
				"--cluster",   "loop",           "--pod-logs",
				logs };
	struct life *life = life_of(agent->dir);
	posix_spawn_file_actions_t actions;
	size_t argc = 0, envc = 0;

	snprintf(runtime, sizeof(runtime), "fake:%s", agent->runtime_dir);
	snprintf(logs, sizeof(logs), "%s/logs", agent->state_dir);
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		argv[argc++] = (char *)fixed[i];
	for (size_t i = 0; life->args[i]; i++)
		argv[argc++] = (char *)life->args[i];
	argv[argc] = NULL;
	for (size_t i = 0; life->env[i]; i++)
		env[envc++] = (char *)life->env[i];
	for (size_t i = 0; environ[i] && envc + 1 < ARRAY_LEN(env); i++)
		env[envc++] = environ[i];
	env[envc] = NULL;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 2, agent->log, O_WRONLY | O_CREAT | O_APPEND,
					 0600);
	assert_int_equal(
		posix_spawn(&agent->pid, agent_process_binary(), &actions, NULL, argv, env), 0);
	posix_spawn_file_actions_destroy(&actions);
}

static void print_log(const struct agent_process *agent)
{
	char line[512];
	FILE *f = fopen(agent->log, "re");

	while (f && fgets(line, sizeof(line), f))
		print_message("berthd: %s", line);
	if (f)
		fclose(f);
}

static void note_reply(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	*(bool *)arg = reply != NULL;
}

void agent_process_wait_answer(struct agent_process *agent)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	cleanup_with(client) struct client *client = agent_process_client(agent);
	bool answered = false;
	struct err err;
	struct rpc rpc;

	client_set_patient(client, true);
	rpc = rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(20000), &err);
	berth__node__v1__health__check(&rpc.base, &req, note_reply, &answered);
	if (!answered) {
		print_log(agent);
		fail_msg("the agent does not answer: %s", err.msg);
	}
}

void agent_process_start_with(struct agent_process *agent, const char *const *args,
			      const char *const *env)
{
	struct life *life;

	memset(agent, 0, sizeof(*agent));
	snprintf(agent->dir, sizeof(agent->dir), "/tmp/berth-loop-XXXXXX");
	assert_non_null(mkdtemp(agent->dir));
	snprintf(agent->socket, sizeof(agent->socket), "%s/run/agent.sock", agent->dir);
	snprintf(agent->private_dir, sizeof(agent->private_dir), "%s/private", agent->dir);
	snprintf(agent->state_dir, sizeof(agent->state_dir), "%s/state", agent->dir);
	snprintf(agent->runtime_dir, sizeof(agent->runtime_dir), "%s/runtime", agent->dir);
	snprintf(agent->log, sizeof(agent->log), "%s/log", agent->dir);
	life = life_of(agent->dir);
	copy_words(life->args, args);
	copy_words(life->env, env);
	agent_process_respawn(agent);
	agent_process_wait_answer(agent);
}

void agent_process_start(struct agent_process *agent)
{
	agent_process_start_with(agent, NULL, NULL);
}

/* Exit status as of waitpid(2), or -1 when it does not end in time. */
static int wait_exit(struct agent_process *agent, int timeout_ms)
{
	int fd = (int)syscall(SYS_pidfd_open, agent->pid, 0), status = -1, rc;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_true(fd >= 0);
	rc = poll(&p, 1, timeout_ms);
	close(fd);
	if (rc != 1)
		return -1;
	assert_int_equal(waitpid(agent->pid, &status, 0), agent->pid);
	agent->pid = 0;
	return status;
}

void agent_process_kill(struct agent_process *agent)
{
	assert_true(agent->pid > 0);
	kill(agent->pid, SIGKILL);
	assert_true(wait_exit(agent, 10000) >= 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* What a sanitizer has said in any of its lives: a killed one has no exit code to tell it. */
static void check_log(const struct agent_process *agent)
{
	FILE *f = fopen(agent->log, "re");
	bool bad = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		bad |= strstr(line, "Sanitizer") || strstr(line, "runtime error");
	if (f)
		fclose(f);
	if (bad) {
		print_log(agent);
		fail_msg("a sanitizer has found something in the agent");
	}
}

static void remove_dir(struct agent_process *agent)
{
	if (agent->dir[0])
		nftw(agent->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	agent->dir[0] = '\0';
}

void agent_process_end(struct agent_process *agent)
{
	int status;

	assert_true(agent->pid > 0);
	kill(agent->pid, SIGTERM);
	status = wait_exit(agent, 3000);
	if (status != 0) {
		print_log(agent);
		fail_msg("the agent did not exit with 0 within 3 s: %d", status);
	}
}

void agent_process_stop(struct agent_process *agent)
{
	agent_process_end(agent);
	check_log(agent);
	remove_dir(agent);
}

void agent_process_discard(struct agent_process *agent)
{
	if (agent->pid > 0)
		agent_process_kill(agent);
	if (agent->dir[0])
		check_log(agent);
	remove_dir(agent);
}

static size_t count_entries(const struct agent_process *agent, const char *what)
{
	char path[64];
	size_t count = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)agent->pid, what);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		count += e->d_name[0] != '.';
	closedir(d);
	return count;
}

size_t agent_process_fds(const struct agent_process *agent)
{
	return count_entries(agent, "fd");
}

size_t agent_process_threads(const struct agent_process *agent)
{
	return count_entries(agent, "task");
}

/* Sum of the numbers on all lines that begin with 'key'. */
static size_t sum_lines(const char *path, const char *key)
{
	char line[256];
	size_t sum = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			sum += strtoul(strchr(line, ':') + 1, NULL, 10);
	}
	fclose(f);
	return sum;
}

static size_t rollup(const struct agent_process *agent, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)agent->pid);
	return sum_lines(path, key) * 1024;
}

size_t agent_process_resident(const struct agent_process *agent)
{
	return rollup(agent, "Rss:");
}

size_t agent_process_private(const struct agent_process *agent)
{
	return rollup(agent, "Private_Dirty:");
}

size_t agent_process_switches(const struct agent_process *agent)
{
	char path[64], status[512];
	size_t sum = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)agent->pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		snprintf(status, sizeof(status), "%s/%s/status", path, e->d_name);
		if (e->d_name[0] != '.')
			sum += sum_lines(status, "voluntary_ctxt_switches:");
	}
	closedir(d);
	return sum;
}

/* A listener's accepted sockets carry its path; state 03 is "connected" (proc(5)). */
size_t agent_process_connections(const struct agent_process *agent)
{
	char line[512], admin[128], reader[128];
	FILE *f = fopen("/proc/net/unix", "re");
	unsigned state;
	size_t count = 0;

	assert_non_null(f);
	snprintf(admin, sizeof(admin), " %s/admin.sock\n", agent->private_dir);
	snprintf(reader, sizeof(reader), " %s/read.sock\n", agent->private_dir);
	while (fgets(line, sizeof(line), f)) {
		if ((strstr(line, admin) || strstr(line, reader)) &&
		    sscanf(line, "%*s %*s %*s %*s %*s %x", &state) == 1)
			count += state == 3;
	}
	fclose(f);
	return count;
}

void agent_process_wait_connections(const struct agent_process *agent, size_t count)
{
	struct deadline by = deadline_in_ms(30000);

	while (agent_process_connections(agent) != count) {
		assert_false(deadline_is_over(by));
		sched_yield();
	}
}

struct client *agent_process_client(const struct agent_process *agent)
{
	struct client *client;
	struct err err;

	assert_int_equal(client_open(agent->socket, "loop", &client, &err), 0);
	return client;
}
