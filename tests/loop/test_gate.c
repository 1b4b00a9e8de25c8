/*
 * The gate of a real agent against everybody who should not reach nng's listener. nng 1.5.2 alone
 * stops listening for ever at the first of these (security-faults.md P1).
 */
#include "shared/base/cleanup.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"
#include "tests/support/hostile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOSTILE  20000
#define HANG_UPS 3000

/* Freed memory stays with a sanitizer for a while. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWTH_MAX (64 * 1024 * 1024)
#else
#define GROWTH_MAX (1024 * 1024)
#endif

static int setup(void **state)
{
	struct agent_process *agent = calloc(1, sizeof(*agent));

	*state = agent;
	agent_process_start(agent);
	return 0;
}

static int teardown(void **state)
{
	agent_process_discard(*state);
	free(*state);
	return 0;
}

/* F15, G3 */
static void twenty_thousand_hostile_connections_change_nothing(void **state)
{
	struct agent_process *agent = *state;
	struct deadline by;
	size_t fds;

	agent_process_wait_connections(agent, 0);
	fds = agent_process_fds(agent);
	for (unsigned i = 0; i < HOSTILE; i++) {
		int fd = frames_connect(agent->socket);

		assert_true(fd >= 0);
		hostile_act(fd, i);
		close(fd);
		if (i % 1000 == 999)
			agent_process_wait_answer(agent);
	}
	agent_process_wait_answer(agent);
	by = deadline_in_ms(10000);
	while (agent_process_fds(agent) > fds) /* nng closes its side in its own time */
		assert_false(deadline_is_over(by));
	agent_process_stop(agent);
}

/* F16: those who hold on keep nobody else out for longer than the handshake may take */
static void slow_ones_hold_nobody_up(void **state)
{
	struct agent_process *agent = *state;
	int fds[12];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = frames_connect(agent->socket);
		hostile_say(fds[i], frames_header_req, i % 8);
	}
	agent_process_wait_answer(agent);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		assert_true(frames_closed(fds[i], 6000));
		close(fds[i]);
	}
	agent_process_wait_answer(agent);
}

/* F14: nng closes it, and no memory was set aside */
static void a_length_of_two_to_the_64_closes_that_connection_only(void **state)
{
	static const uint8_t huge[] = { 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80 };
	struct agent_process *agent = *state;
	size_t before, after;

	agent_process_wait_answer(agent);
	before = agent_process_resident(agent);
	for (int i = 0; i < 200; i++) {
		int fd = frames_open(agent->socket);

		hostile_say(fd, huge, sizeof(huge));
		assert_true(frames_closed(fd, 2000));
		close(fd);
	}
	agent_process_wait_answer(agent);
	after = agent_process_resident(agent);
	assert_true(after < before + GROWTH_MAX);
}

/* S9: 65534 is nobody. The child reports by its exit code only: cmocka is the parent's. */
static int connect_as_nobody(const char *path)
{
	char byte;
	int fd;

	if (setuid(65534) < 0)
		return 3;
	fd = frames_connect(path);
	if (fd < 0)
		return 4;
	if (send(fd, frames_header_req, 8, MSG_NOSIGNAL) != 8)
		return 0;
	return recv(fd, &byte, 1, 0) <= 0 ? 0 : 5;
}

static void another_user_is_turned_away(void **state)
{
	struct agent_process *agent = *state;
	char dir[128];
	int status;
	pid_t pid;

	if (getuid() != 0) {
		print_message("skip: only root can become another user\n");
		skip();
	}
	/* The modes alone would keep it out: open them, so that the uid check is what is tried. */
	snprintf(dir, sizeof(dir), "%s/run", agent->dir);
	chmod(agent->dir, 0755);
	chmod(dir, 0755);
	chmod(agent->socket, 0666);
	for (int i = 0; i < 20; i++) {
		pid = fork();
		if (pid == 0)
			_exit(connect_as_nobody(agent->socket));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	agent_process_wait_answer(agent);
}

#define TOGETHER 4

/* Whoever comes before those who left have been buried is turned away, and comes again. */
static int open_patiently(const char *socket)
{
	struct deadline by = deadline_in_ms(60000);
	int fd;

	while ((fd = frames_try_open(socket)) < 0) {
		assert_false(deadline_is_over(by));
		poll(NULL, 0, 5);
	}
	return fd;
}

/* Several questions, and away before the answers. */
static void ask_and_hang_up(const struct agent_process *agent, uint32_t number)
{
	int fd = open_patiently(agent->socket);

	for (uint32_t i = 0; i < TOGETHER; i++) {
		const uint8_t id[16] = { (uint8_t)number, (uint8_t)(number >> 8), (uint8_t)i };

		frames_ask(fd, i, id, "berth.node.v1.Health", "Check", NULL, 5000);
	}
	close(fd);
}

/* I1, G3: nng 1.5.2's pipe that closes while several answers wait for it can stop all that follow */
static void who_hangs_up_before_several_answers_harms_nobody(void **state)
{
	struct agent_process *agent = *state;

	for (uint32_t i = 0; i < HANG_UPS; i++)
		ask_and_hang_up(agent, i);
	agent_process_wait_answer(agent);
	agent_process_wait_connections(agent, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(twenty_thousand_hostile_connections_change_nothing),
		TEST(slow_ones_hold_nobody_up),
		TEST(a_length_of_two_to_the_64_closes_that_connection_only),
		TEST(who_hangs_up_before_several_answers_harms_nobody),
		TEST(another_user_is_turned_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
