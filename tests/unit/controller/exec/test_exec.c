#include "controller/exec/exec.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run_script(const char *script, const struct exec_options *options,
		      struct exec_result *result, struct err *err)
{
	cleanup_with(strv) struct strv argv = { 0 };

	strv_add(&argv, "sh");
	strv_add(&argv, "-c");
	strv_add(&argv, script);
	return exec_run(&argv, options, result, err);
}

static struct exec_options by_soon(void)
{
	return (struct exec_options){ .by = control_soon() };
}

static void exit_code_and_both_streams_come_back(void **state)
{
	struct exec_options options = by_soon();
	struct exec_result result;
	struct err err;

	(void)state;
	assert_int_equal(run_script("echo out; echo err >&2; exit 7", &options, &result, &err), 0);
	assert_int_equal(result.exit_code, 7);
	assert_string_equal(text_str(&result.out), "out\n");
	assert_string_equal(text_str(&result.errs), "err\n");
	exec_result_release(&result);
}

static void death_by_signal_is_128_and_the_signal(void **state)
{
	struct exec_options options = by_soon();
	struct exec_result result;
	struct err err;

	(void)state;
	assert_int_equal(run_script("kill -9 $$", &options, &result, &err), 0);
	assert_int_equal(result.exit_code, 128 + SIGKILL);
	exec_result_release(&result);
}

static void missing_program_is_not_found(void **state)
{
	cleanup_with(strv) struct strv argv = { 0 };
	struct exec_options options = by_soon();
	struct exec_result result = { .exit_code = 99 };
	struct err err;

	(void)state;
	strv_add(&argv, "berth-no-such-program");
	assert_int_equal(exec_run(&argv, &options, &result, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.reason, "PROGRAM_NOT_FOUND");
	assert_string_equal(err.msg, "no program 'berth-no-such-program' in PATH");
	assert_int_equal(result.exit_code, 99);
}

/* CN-027: words reach the program as they are; no shell looks at them. */
static void words_are_passed_untouched(void **state)
{
	cleanup_with(strv) struct strv argv = { 0 };
	struct exec_options options = by_soon();
	struct exec_result result;
	struct err err;

	(void)state;
	strv_add(&argv, "printf");
	strv_add(&argv, "%s|");
	strv_add(&argv, "$(touch /tmp/x); `id` \"'\\ ");
	strv_add(&argv, "");
	strv_add(&argv, "*");
	assert_int_equal(exec_run(&argv, &options, &result, &err), 0);
	assert_string_equal(text_str(&result.out), "$(touch /tmp/x); `id` \"'\\ ||*|");
	exec_result_release(&result);
}

static void output_beyond_the_bound_is_dropped_not_blocking(void **state)
{
	struct exec_options options = by_soon();
	struct exec_result result;
	struct err err;

	(void)state;
	assert_int_equal(
		run_script("head -c 20000000 /dev/zero | tr '\\0' x", &options, &result, &err), 0);
	assert_int_equal(result.out.len, EXEC_OUT_MAX);
	exec_result_release(&result);
}

static void stderr_keeps_its_end(void **state)
{
	struct exec_options options = by_soon();
	struct exec_result result;
	char line[64];
	struct err err;

	(void)state;
	assert_int_equal(
		run_script("(head -c 200000 /dev/zero | tr '\\0' x; echo; echo last words) >&2",
			   &options, &result, &err),
		0);
	assert_int_equal(result.errs.len, 64 * 1024);
	exec_last_line(&result, line, sizeof(line));
	assert_string_equal(line, "last words");
	exec_result_release(&result);
}

static void stdin_is_fed_and_closed(void **state)
{
	char *big = malloc(300000);
	struct exec_options options = by_soon();
	struct exec_result result;
	struct err err;

	(void)state;
	assert_non_null(big);
	memset(big, 'a', 300000);
	options.stdin_text = big;
	options.stdin_len = 300000;
	assert_int_equal(run_script("wc -c", &options, &result, &err), 0);
	assert_int_equal(strtol(text_str(&result.out), NULL, 10), 300000);
	exec_result_release(&result);

	/* One that does not read it is no problem either. */
	assert_int_equal(run_script("exit 3", &options, &result, &err), 0);
	assert_int_equal(result.exit_code, 3);
	exec_result_release(&result);
	free(big);
}

static void without_stdin_there_is_nothing_to_read(void **state)
{
	struct exec_options options = by_soon();
	struct exec_result result;
	struct err err;

	(void)state;
	assert_int_equal(run_script("cat", &options, &result, &err), 0);
	assert_string_equal(text_str(&result.out), "");
	exec_result_release(&result);
}

static void assert_gone(const char *pid_file, const char *dir)
{
	char *text = control_read(dir, pid_file);
	pid_t pid = (pid_t)strtol(text, NULL, 10);
	struct deadline by = control_soon();

	assert_true(pid > 1);
	while (kill(pid, 0) == 0 && !deadline_is_over(by))
		usleep(10000);
	assert_int_equal(kill(pid, 0), -1);
	free(text);
}

/* F26: a hung engine ends at the deadline, and all that it started. */
static void hung_program_and_its_children_end_at_the_deadline(void **state)
{
	char *dir = control_scratch();
	char *script = text_format("sleep 600 & echo $! > %s/pid; wait", dir);
	struct exec_options options = { .by = deadline_in_ms(200) };
	int64_t begun = clock_now_ms();
	struct exec_result result;
	struct err err;

	(void)state;
	assert_int_equal(run_script(script, &options, &result, &err), -1);
	assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
	assert_true(clock_now_ms() - begun < 20000);
	assert_gone("pid", dir);
	free(script);
	control_scratch_remove(dir);
}

static void one_that_ignores_sigterm_is_killed(void **state)
{
	struct exec_options options = { .by = deadline_in_ms(100) };
	int64_t begun = clock_now_ms();
	struct exec_result result;
	struct err err;

	(void)state;
	assert_int_equal(
		run_script("trap '' TERM; while :; do sleep 1; done", &options, &result, &err), -1);
	assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
	assert_in_range(clock_now_ms() - begun, 2000, 4000);
}

struct later {
	int fd;
	int ms;
};

static void *interrupt_later(void *arg)
{
	struct later *later = arg;

	usleep((useconds_t)later->ms * 1000);
	assert_int_equal(write(later->fd, "x", 1), 1);
	return NULL;
}

static void interrupt_ends_the_wait(void **state)
{
	struct exec_options options = by_soon();
	struct interrupt interrupt;
	struct exec_result result;
	struct later later = { .ms = 100 };
	pthread_t thread;
	struct err err;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	interrupt.fd = ends[0];
	later.fd = ends[1];
	options.interrupt = &interrupt;
	assert_int_equal(pthread_create(&thread, NULL, interrupt_later, &later), 0);
	assert_int_equal(run_script("sleep 600", &options, &result, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	pthread_join(thread, NULL);

	/* And nothing is started any more. */
	{
		unsigned before = exec_count();

		assert_int_equal(run_script("true", &options, &result, &err), -1);
		assert_int_equal(err.code, ERR_CANCELLED);
		assert_int_equal(exec_count(), before);
	}
	close(ends[0]);
	close(ends[1]);
}

/* conmon outlives podman and may hold its pipes. */
static void one_left_behind_does_not_hold_us_up(void **state)
{
	struct exec_options options = by_soon();
	int64_t begun = clock_now_ms();
	struct exec_result result;
	struct err err;

	(void)state;
	assert_int_equal(run_script("sleep 30 & echo $!", &options, &result, &err), 0);
	assert_true(clock_now_ms() - begun < 5000);
	kill((pid_t)strtol(text_str(&result.out), NULL, 10), SIGKILL);
	exec_result_release(&result);
}

static void every_start_is_counted(void **state)
{
	struct exec_options options = by_soon();
	unsigned before = exec_count();
	struct exec_result result;
	struct err err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(run_script("true", &options, &result, &err), 0);
		exec_result_release(&result);
	}
	assert_int_equal(exec_count(), before + 3);
}

/* S11: over our own, each once, and ours are as before. */
static void environment_is_ours_with_the_given_over_it(void **state)
{
	cleanup_with(strv) struct strv env = { 0 };
	struct exec_options options = by_soon();
	struct exec_result result;
	struct err err;

	(void)state;
	setenv("BERTH_TEST_KEPT", "kept", 1);
	setenv("BERTH_TEST_OVER", "ours", 1);
	strv_add(&env, "BERTH_TEST_OVER=a b=c");
	strv_add(&env, "BERTH_TEST_NEW=");
	options.env = &env;
	assert_int_equal(run_script("env | grep ^BERTH_TEST_ | sort", &options, &result, &err), 0);
	assert_string_equal(text_str(&result.out),
			    "BERTH_TEST_KEPT=kept\nBERTH_TEST_NEW=\nBERTH_TEST_OVER=a b=c\n");
	exec_result_release(&result);
	assert_string_equal(getenv("BERTH_TEST_OVER"), "ours");
	assert_null(getenv("BERTH_TEST_NEW"));
	unsetenv("BERTH_TEST_KEPT");
	unsetenv("BERTH_TEST_OVER");
}

/* S11 */
static void secrets_are_known_by_name_or_by_their_user(void **state)
{
	static const struct {
		const char *pair;
		bool secret;
	} rows[] = {
		{ "DB_PASSWORD=x", true },
		{ "api_token=x", true },
		{ "https_proxy=http://u:p@proxy:3128", true },
		{ "HTTPS_PROXY=u:p@proxy:3128", true },
		{ "DATABASE_URL=postgres://u:p@db/x", true },
		{ "https_proxy=http://proxy:3128", false },
		{ "MAIL=me@example.org", false },
		{ "PLAIN=PASSWORD", false },
		{ "DB_PASSWORD", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (exec_is_secret(rows[i].pair) != rows[i].secret)
			fail_msg("'%s'", rows[i].pair);
	}
}

/* CN-027 */
static void secrets_do_not_show_in_the_log(void **state)
{
	cleanup_with(strv) struct strv argv = { 0 };
	char *text;

	(void)state;
	strv_add(&argv, "podman");
	strv_add(&argv, "--env=container=podman");
	strv_add(&argv, "--env=DB_PASSWORD=hunter2");
	strv_add(&argv, "--env=http_proxy=http://me:hunter2@proxy:3128");
	strv_add(&argv, "it's");
	text = exec_argv_text(&argv);
	assert_string_equal(text, "podman --env=container=podman '--env=DB_PASSWORD=***' "
				  "'--env=http_proxy=***' 'it'\\''s'");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_code_and_both_streams_come_back),
		cmocka_unit_test(death_by_signal_is_128_and_the_signal),
		cmocka_unit_test(missing_program_is_not_found),
		cmocka_unit_test(words_are_passed_untouched),
		cmocka_unit_test(output_beyond_the_bound_is_dropped_not_blocking),
		cmocka_unit_test(stderr_keeps_its_end),
		cmocka_unit_test(stdin_is_fed_and_closed),
		cmocka_unit_test(without_stdin_there_is_nothing_to_read),
		cmocka_unit_test(hung_program_and_its_children_end_at_the_deadline),
		cmocka_unit_test(one_that_ignores_sigterm_is_killed),
		cmocka_unit_test(interrupt_ends_the_wait),
		cmocka_unit_test(one_left_behind_does_not_hold_us_up),
		cmocka_unit_test(every_start_is_counted),
		cmocka_unit_test(environment_is_ours_with_the_given_over_it),
		cmocka_unit_test(secrets_are_known_by_name_or_by_their_user),
		cmocka_unit_test(secrets_do_not_show_in_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
