/*
 * The controller is killed while it makes a cluster (F28): at points that its own progress tells, spread over the
 * whole of a create. The next create makes the cluster or says that it is there; the next delete leaves nothing.
 * $BERTH_KILLS says how many points; each is between two events of the progress, and some time into it.
 */
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS 12
/* Into the step that an event has begun. */
#define INTO_MAX_MS 120

extern char **environ;

static const char *name;

static unsigned kills_wanted(void)
{
	const char *said = getenv("BERTH_KILLS");
	unsigned long count = said ? strtoul(said, NULL, 10) : KILLS;

	return count >= 1 && count <= 100000 ? (unsigned)count : KILLS;
}

/* A create whose progress comes out of '*ret_fd', a line an event. */
static pid_t start_create(int *ret_fd)
{
	const char *argv[] = { e2e_berth(),  "--state-dir", e2e_state_dir(),
			       "create",     "cluster",     "--name",
			       name,         "--image",     e2e_image(),
			       "--progress", "json",        NULL };
	posix_spawn_file_actions_t actions;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv, environ),
			 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	*ret_fd = fds[0];
	return pid;
}

/* Reads events until there were 'most'; returns how many there were. 'last' is the latest one. */
static unsigned read_events(int fd, unsigned most, char *last, size_t size)
{
	unsigned count = 0;
	size_t len = 0;
	char c;

	while (count < most && read(fd, &c, 1) == 1) {
		if (c == '\n') {
			count++;
			len = 0;
		} else if (len + 1 < size) {
			last[len++] = c;
			last[len] = '\0';
		}
	}
	return count;
}

static void delete_cleans(const char *after)
{
	struct e2e_output output = e2e_run(120, "delete", "cluster", "--name", name, (char *)NULL);

	if (output.exit_code != 0)
		fail_msg("delete after a kill at %s: %s", after, output.errs);
	e2e_release(&output);
	e2e_assert_nothing_left(name);
}

/* It makes what is missing, or says what is there. */
static void create_goes_on(const char *after)
{
	struct e2e_output output = e2e_run(120, "create", "cluster", "--name", name, "--image",
					   e2e_image(), (char *)NULL);

	if (output.exit_code == 0)
		assert_int_equal(e2e_containers(name), 1);
	else if (!strstr(output.errs, name) || !strstr(output.errs, "delete"))
		fail_msg("create after a kill at %s: exit %d, %s", after, output.exit_code,
			 output.errs);
	e2e_release(&output);
}

/* True when it was still at work. */
static bool kill_at(unsigned events, int into_ms, char *after, size_t size)
{
	int fd, status;
	pid_t pid = start_create(&fd);
	struct pollfd p = { .fd = fd, .events = 0 };

	after[0] = '\0';
	read_events(fd, events, after, size);
	poll(&p, 1, into_ms); /* a moment of the step, or its end */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	return WIFSIGNALED(status);
}

/* An untouched create tells how many events there are. */
static unsigned count_events(void)
{
	char last[512] = "";
	int fd, status;
	pid_t pid = start_create(&fd);
	unsigned count = read_events(fd, 1000, last, sizeof(last));

	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	if (status != 0)
		fail_msg("create: %s", last);
	delete_cleans("its end");
	return count;
}

/* F28 */
static void a_create_that_was_killed_is_taken_up_or_cleaned(void **state)
{
	unsigned kills = kills_wanted(), events = count_events(), killed = 0, seed = 28;
	char after[512];

	(void)state;
	for (unsigned i = 0; i < kills; i++) {
		unsigned at = i * events / kills;

		killed += kill_at(at, rand_r(&seed) % INTO_MAX_MS, after, sizeof(after));
		if (i % 3 == 1)
			create_goes_on(after);
		delete_cleans(after);
	}
	print_message("%u of %u creates were killed at work, at %u events\n", killed, kills,
		      events);
	assert_true(killed >= kills / 2);
}

static int setup(void **state)
{
	(void)state;
	name = e2e_cluster_name("kills");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	e2e_clean(name);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_create_that_was_killed_is_taken_up_or_cleaned),
	};

	return cmocka_run_group_tests_name("kills", tests, setup, teardown);
}
