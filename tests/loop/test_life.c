/*
 * The agent's own life: what it tells systemd, how it starts and ends, and `berthd check`.
 */
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* systemd's side of sd_notify(3), and an agent that has it. */
struct rig {
	struct agent_process agent;
	char path[64];
	int fd;
};

#define WATCHDOG_MS 400

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	static char notify[96];
	const char *const env[] = { notify, "WATCHDOG_USEC=400000", NULL };

	snprintf(rig->path, sizeof(rig->path), "/tmp/berth-notify-%d.sock", (int)getpid());
	snprintf(notify, sizeof(notify), "NOTIFY_SOCKET=%s", rig->path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig->path);
	unlink(rig->path);
	rig->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	agent_process_start_with(&rig->agent, NULL, env);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	agent_process_discard(&rig->agent);
	close(rig->fd);
	unlink(rig->path);
	free(rig);
	return 0;
}

/* Whether the agent says 'what' within 'timeout_ms'; other words are passed over. */
static bool told(struct rig *rig, const char *what, int timeout_ms)
{
	struct deadline by = deadline_in_ms(timeout_ms);
	struct pollfd p = { .fd = rig->fd, .events = POLLIN };
	char words[512];

	while (poll(&p, 1, deadline_poll_ms(by)) > 0) {
		ssize_t n = recv(rig->fd, words, sizeof(words) - 1, 0);

		assert_true(n >= 0);
		words[n] = '\0';
		if (strstr(words, what))
			return true;
	}
	return false;
}

static void systemd_is_told_when_ready_and_when_stopping(void **state)
{
	struct rig *rig = *state;

	assert_true(told(rig, "READY=1", 2000));
	agent_process_stop(&rig->agent);
	assert_true(told(rig, "STOPPING=1", 0));
}

static void the_watchdog_hears_from_an_agent_that_serves(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 6; i++)
		assert_true(told(rig, "WATCHDOG=1", WATCHDOG_MS));
}

/* A dead one still accepts and even exchanges headers; only nobody takes what comes then. */
static bool listener_lives(const char *path)
{
	uint8_t id[16] = { 0xbb };
	struct frames_reply *r;
	int fd = frames_open(path);

	frames_ask(fd, 1, id, "berth.node.v1.Health", "Check", NULL, 0);
	r = frames_answer(fd, 1000);
	frames_free(r);
	close(fd);
	return r != NULL;
}

/* Aborted connections, right at nng's own door, until it opens no more. False when it stands it. */
static bool kill_listener(const char *path)
{
	for (int i = 0; i < 1000; i++) {
		int fd = frames_connect(path);

		if (fd < 0)
			return true; /* nobody accepts, and the queue is full */
		close(fd);
		if (i % 20 == 19 && !listener_lives(path))
			return true;
	}
	return false;
}

/* What the ping is for: nng 1.5.2's listener dies by one connect and close (P1), and everything else
 * goes on as if nothing had happened. Newer nng survives it; then there is nothing to see. */
static void the_watchdog_hears_nothing_once_nobody_new_would_be_served(void **state)
{
	struct rig *rig = *state;
	struct deadline by = deadline_in_ms(20 * WATCHDOG_MS);
	char path[128];

	assert_true(told(rig, "WATCHDOG=1", 1000));
	snprintf(path, sizeof(path), "%s/admin.sock", rig->agent.private_dir);
	if (!kill_listener(path)) {
		print_message("skip: this nng's listener survives aborted connections\n");
		skip();
	}
	/* one that comes in by the gate makes the next ping look closely */
	close(frames_connect(rig->agent.socket));
	while (told(rig, "WATCHDOG=1", WATCHDOG_MS))
		assert_false(deadline_is_over(by));
	assert_false(told(rig, "WATCHDOG=1", 3 * WATCHDOG_MS));
	assert_true(agent_process_threads(&rig->agent) > 0); /* it lives: that is the point */
}

/* The same when no connection has come in since: it is seen a little later. */
static void the_watchdog_looks_closely_now_and_then(void **state)
{
	struct rig *rig = *state;
	struct deadline by = deadline_in_ms(60 * WATCHDOG_MS);
	unsigned pings = 0;
	char path[128];

	for (int i = 0; i < 3; i++)
		assert_true(told(rig, "WATCHDOG=1", 1000));
	snprintf(path, sizeof(path), "%s/admin.sock", rig->agent.private_dir);
	unlink(path); /* no new connection gets through; the ping's own goes on */
	while (told(rig, "WATCHDOG=1", WATCHDOG_MS)) {
		assert_false(deadline_is_over(by));
		pings++;
	}
	assert_in_range(pings, 1, 17);
}

static void a_hung_agent_is_silent(void **state)
{
	struct rig *rig = *state;

	assert_true(told(rig, "WATCHDOG=1", 1000));
	kill(rig->agent.pid, SIGSTOP);
	while (told(rig, "WATCHDOG=1", 0))
		;
	assert_false(told(rig, "WATCHDOG=1", 2 * WATCHDOG_MS));
	kill(rig->agent.pid, SIGCONT);
	assert_true(told(rig, "WATCHDOG=1", 2 * WATCHDOG_MS));
}

/* Runs berthd with the words and gives its exit code and what it printed. */
static int run(const char *const *words, char *ret_out, size_t size)
{
	char *argv[16] = { (char *)"berthd" };
	posix_spawn_file_actions_t actions;
	int out[2], status;
	ssize_t n, len = 0;
	pid_t pid;

	for (size_t i = 0; words[i]; i++)
		argv[i + 1] = (char *)words[i];
	assert_int_equal(pipe(out), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, out[1], 2);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	posix_spawn_file_actions_addclose(&actions, out[1]);
	assert_int_equal(posix_spawn(&pid, agent_process_binary(), &actions, NULL, argv, environ),
			 0);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	while ((n = read(out[0], ret_out + len, size - 1 - (size_t)len)) > 0)
		len += n;
	ret_out[len] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void check_prints_the_parts(void **state)
{
	struct rig *rig = *state;
	const char *const words[] = { "check", "--socket", rig->agent.socket, NULL };
	struct deadline by = deadline_in_ms(5000);
	char out[2048];

	/* the first round of probes may still be under way */
	while (run(words, out, sizeof(out)) != 0)
		assert_false(deadline_is_over(by));
	assert_non_null(strstr(out, "systemd"));
	assert_non_null(strstr(out, "runtime"));
}

static void check_of_a_broken_node_fails(void **state)
{
	struct rig *rig = *state;
	const char *const words[] = { "check", "--socket", rig->agent.socket, NULL };
	char out[2048], file[128];
	struct deadline by = deadline_in_ms(20000);
	FILE *f;

	snprintf(file, sizeof(file), "%s/down", rig->agent.runtime_dir);
	f = fopen(file, "we");
	assert_non_null(f);
	fclose(f);
	agent_process_kill(&rig->agent);
	agent_process_respawn(&rig->agent);
	agent_process_wait_answer(&rig->agent);
	while (run(words, out, sizeof(out)) != 1 || !strstr(out, "failed"))
		assert_false(deadline_is_over(by));
}

static void check_without_an_agent_says_so(void **state)
{
	const char *const words[] = { "check", "--socket", "/tmp/berth-loop-nobody/agent.sock",
				      NULL };
	char out[2048];

	(void)state;
	assert_int_equal(run(words, out, sizeof(out)), 1);
	assert_non_null(strstr(out, "no agent answers at"));
}

static void usage_errors_are_two_and_say_what(void **state)
{
	static const struct {
		const char *words[4];
		const char *says;
	} rows[] = {
		{ { "dance", NULL }, "unknown command 'dance'" },
		{ { NULL }, "no command" },
		{ { "serve", "--runtime", "cri", NULL }, "not BACKEND:ADDRESS" },
		{ { "serve", "more", NULL }, "unexpected word 'more'" },
		{ { "check", "--socket", NULL }, "requires an argument" },
	};
	char out[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(run(rows[i].words, out, sizeof(out)), 2);
		assert_non_null(strstr(out, rows[i].says));
	}
	assert_int_equal(run((const char *const[]){ "--help", NULL }, out, sizeof(out)), 0);
	assert_non_null(strstr(out, "--private-dir"));
	assert_int_equal(run((const char *const[]){ "--version", NULL }, out, sizeof(out)), 0);
	assert_memory_equal(out, "berthd ", 7);
}

/* Its connect and close would end the first one's listener: the lock comes first. */
static void a_second_agent_on_the_same_directory_is_refused(void **state)
{
	struct rig *rig = *state;
	const char *const words[] = { "serve",
				      "--units",
				      "fake",
				      "--runtime",
				      "fake:/tmp",
				      "--private-dir",
				      rig->agent.private_dir,
				      "--socket",
				      "/tmp/berth-second.sock",
				      NULL };
	char out[2048];

	assert_int_equal(run(words, out, sizeof(out)), 1);
	assert_non_null(strstr(out, "another agent serves"));
	agent_process_wait_answer(&rig->agent);
}

/* S9, S12 */
static void what_it_makes_is_private(void **state)
{
	struct rig *rig = *state;
	char path[128], line[256];
	struct stat st;
	FILE *f;

	assert_int_equal(stat(rig->agent.socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(rig->agent.private_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/admin.sock", rig->agent.private_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)rig->agent.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Umask:", 6) == 0)
			assert_string_equal(line, "Umask:\t0077\n");
	}
	fclose(f);
}

/* Nobody reads what the agent tells: its words fill the socket, and it goes on serving. */
static void a_hung_systemd_does_not_stop_the_agent(void **state)
{
	struct rig *rig = *state;

	/* the queue of a datagram socket is net.unix.max_dgram_qlen long, 10 by default */
	for (int i = 0; i < 40; i++) {
		agent_process_kill(&rig->agent);
		agent_process_respawn(&rig->agent);
		agent_process_wait_answer(&rig->agent);
	}
}

/* DESIGN 4: back within 500 ms; here without systemd's own pause */
static void a_killed_agent_is_back_soon(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 10; i++) {
		int64_t begin;

		agent_process_kill(&rig->agent);
		begin = clock_now_ms();
		agent_process_respawn(&rig->agent);
		agent_process_wait_answer(&rig->agent);
		assert_in_range(clock_now_ms() - begin, 0, 500);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(systemd_is_told_when_ready_and_when_stopping),
		TEST(the_watchdog_hears_from_an_agent_that_serves),
		TEST(the_watchdog_hears_nothing_once_nobody_new_would_be_served),
		TEST(the_watchdog_looks_closely_now_and_then),
		TEST(a_hung_agent_is_silent),
		TEST(check_prints_the_parts),
		TEST(check_of_a_broken_node_fails),
		cmocka_unit_test(check_without_an_agent_says_so),
		cmocka_unit_test(usage_errors_are_two_and_say_what),
		TEST(a_second_agent_on_the_same_directory_is_refused),
		TEST(what_it_makes_is_private),
		TEST(a_hung_systemd_does_not_stop_the_agent),
		TEST(a_killed_agent_is_back_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
