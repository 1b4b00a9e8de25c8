#include "agent/journal/journal.h"

#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs it as the agent does; '*ret_len' bytes came out. The exit code. */
static int run(char **argv, size_t *ret_len)
{
	int ends[2], status, argc = 0;
	char bytes[256];
	ssize_t len;
	pid_t pid;

	while (argv[argc])
		argc++;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		_exit(journal_main(argc, argv));
	}
	close(ends[1]);
	*ret_len = 0;
	while ((len = read(ends[0], bytes, sizeof(bytes))) > 0)
		*ret_len += (size_t)len;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* NS-267: a node without journald has an empty journal, whichever way it is asked for. */
static void node_without_journald_has_an_empty_journal(void **state)
{
	static const char *const tails[] = { "--tail=-1", "--tail=0", "--tail=20" };
	char dir[64], option[80];
	size_t len;

	(void)state;
	make_dir(dir);
	snprintf(option, sizeof(option), "--directory=%s", dir);
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		char *argv[] = { (char *)"journal",
				 option,
				 (char *)tails[i],
				 (char *)"--since=1700000000000000000",
				 (char *)"--unit=kubelet.service",
				 NULL };

		assert_int_equal(run(argv, &len), 0);
		assert_int_equal(len, 0);
	}
	remove_dir(dir);
}

static void wrong_options_are_a_usage_error(void **state)
{
	static const char *const wrong[] = { "--tail=x", "--tail=-2", "--since=-1", "--nosuch",
					     "word" };
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *argv[] = { (char *)"journal", (char *)wrong[i], NULL };

		assert_int_equal(run(argv, &len), 2);
		assert_int_equal(len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_without_journald_has_an_empty_journal),
		cmocka_unit_test(wrong_options_are_a_usage_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
