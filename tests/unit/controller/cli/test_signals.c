#include "controller/cli/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Handlers belong to a process: each story is told by one of its own. Returns its exit code. */
static int exit_code_of_child(int (*story)(const struct interrupt *interrupt))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct interrupt interrupt = { .fd = -1 };
		struct err err;

		close(STDERR_FILENO);
		if (signals_install(&interrupt, &err) < 0)
			_exit(99);
		_exit(story(&interrupt));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int interrupted_at_once(const struct interrupt *interrupt)
{
	(void)interrupt;
	raise(SIGINT);
	return 1;
}

static void command_without_remains_ends_at_once(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of_child(interrupted_at_once), 130);
}

static int readable(const struct interrupt *interrupt)
{
	struct pollfd p = { .fd = interrupt->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static int interrupted_while_making(const struct interrupt *interrupt)
{
	signals_graceful(true);
	if (readable(interrupt) || signals_came())
		return 1;
	raise(SIGTERM);
	if (!readable(interrupt) || !signals_came())
		return 2;
	raise(SIGINT);
	return readable(interrupt) ? 42 : 3;
}

static void command_that_makes_things_may_wind_up(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of_child(interrupted_while_making), 42);
}

static int interrupted_three_times(const struct interrupt *interrupt)
{
	(void)interrupt;
	signals_graceful(true);
	raise(SIGINT);
	raise(SIGINT);
	raise(SIGINT);
	return 1;
}

static void third_signal_ends_it_where_it_stands(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of_child(interrupted_three_times), 130);
}

static int writes_into_a_closed_pipe(const struct interrupt *interrupt)
{
	int fds[2];

	(void)interrupt;
	if (pipe(fds) < 0)
		return 1;
	close(fds[0]);
	return write(fds[1], "x", 1) < 0 ? 42 : 2;
}

static void closed_pipe_is_an_error_not_a_death(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of_child(writes_into_a_closed_pipe), 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_without_remains_ends_at_once),
		cmocka_unit_test(command_that_makes_things_may_wind_up),
		cmocka_unit_test(third_signal_ends_it_where_it_stands),
		cmocka_unit_test(closed_pipe_is_an_error_not_a_death),
	};

	return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
