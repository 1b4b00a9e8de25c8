/* `logs` and `dmesg` against a real agent whose pods' logs this test writes. */
#include "tests/support/cli.h"
#include "tests/support/cli_rig.h"

#include "controller/cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* <state>/logs/default_<pod>_<uid>/<container>, made with all above it. */
static void make_log_dir(const struct cli_rig *rig, const char *pod, const char *container,
			 char ret[300])
{
	snprintf(ret, 300, "%s/logs", rig->agent.state_dir);
	mkdir(ret, 0755);
	snprintf(ret, 300, "%s/logs/default_%s_uid", rig->agent.state_dir, pod);
	mkdir(ret, 0755);
	snprintf(ret, 300, "%s/logs/default_%s_uid/%s", rig->agent.state_dir, pod, container);
	mkdir(ret, 0755);
}

static void write_log(const char *dir, const char *text)
{
	char path[320];
	FILE *file;

	snprintf(path, sizeof(path), "%s/0.log", dir);
	file = fopen(path, "ae");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void assert_output(struct cli_output output, const char *out)
{
	assert_string_equal(output.errs, "");
	assert_string_equal(output.out, out);
	assert_int_equal(output.exit_code, 0);
	cli_release(&output);
}

/* NS-086 */
static void log_of_a_pod_is_what_its_container_wrote(void **state)
{
	char dir[300];

	make_log_dir(*state, "web", "app", dir);
	write_log(dir, "2026-01-01T00:00:01.000000000Z stdout F one\n"
		       "2026-01-01T00:00:02.000000000Z stderr P two \n"
		       "2026-01-01T00:00:02.500000000Z stderr F halves\n"
		       "2026-01-01T00:00:03.000000000Z stdout F three\n");
	assert_output(cli_run("logs", "loop-w1/web", NULL), "one\ntwo halves\nthree\n");
	assert_output(cli_run("logs", "loop-w1/web", "--tail", "1", NULL), "three\n");
	assert_output(cli_run("logs", "w1/web", "--name", "loop", "--tail", "0", NULL), "");
	assert_output(cli_run("logs", "loop-w1/web", "--since", "5m", NULL), "");
	assert_output(cli_run("logs", "loop-w1/web", "-c", "app", "--timestamps", "--tail", "1",
			      NULL),
		      "2026-01-01T00:00:03.000000000Z three\n");
	assert_output(cli_run("logs", "loop-w1/web", "--tail", "1", "-o", "json", NULL),
		      "{\"node\":\"loop-w1\",\"pod\":\"web\",\"container\":\"\","
		      "\"time\":\"2026-01-01T00:00:03.000000000Z\",\"stream\":\"stdout\","
		      "\"message\":\"three\"}\n");
}

static void what_is_not_there_is_told(void **state)
{
	char dir[300];

	make_log_dir(*state, "two", "a", dir);
	make_log_dir(*state, "two", "b", dir);
	cli_expect(3, "", "no log of a pod 'default/nosuch'", "logs", "loop-w1/nosuch", NULL);
	cli_expect(2, "", "several containers: a, b", "logs", "loop-w1/two", NULL);
	cli_expect(3, "", "there is one of: a, b", "logs", "loop-w1/two", "-c", "c", NULL);
	cli_expect(3, "", "no log of a pod 'other/two'", "logs", "loop-w1/two", "-n", "other",
		   NULL);
	cli_expect(2, "", "neither NODE nor NODE/POD", "logs", "loop-w1/", NULL);
	cli_expect(2, "", "--unit goes with NODE", "logs", "loop-w1/two", "-u", "x", NULL);
	cli_expect(2, "", "go with NODE/POD", "logs", "loop-w1", "-c", "x", NULL);
}

static void several_are_merged_by_time(void **state)
{
	char dir[300];

	make_log_dir(*state, "left", "app", dir);
	write_log(dir, "2026-01-01T00:00:01Z stdout F one\n2026-01-01T00:00:03Z stdout F three\n");
	make_log_dir(*state, "right", "app", dir);
	write_log(dir, "2026-01-01T00:00:02Z stdout F two\n2026-01-01T00:00:04Z stdout F four\n");
	assert_output(cli_run("logs", "loop-w1/left", "loop-w1/right", NULL),
		      "loop-w1/left: one\nloop-w1/right: two\n"
		      "loop-w1/left: three\nloop-w1/right: four\n");
	/* One that is not there does not hide the other. */
	cli_expect(3, "one\n", "nosuch", "logs", "loop-w1/nosuch", "loop-w1/left", NULL);
}

struct writer {
	char dir[300];
	char effects[160];
	atomic_int written;
};

#define FOLLOWED 2000

/* Writes on, then the container ends. */
static void *write_on(void *arg)
{
	struct writer *w = arg;
	FILE *file;

	for (int i = 0; i < FOLLOWED; i++) {
		char line[80];

		snprintf(line, sizeof(line), "2026-01-01T00:00:01Z stdout F %d\n", i);
		write_log(w->dir, line);
	}
	file = fopen(w->effects, "ae");
	assert_non_null(file);
	fprintf(file, "exit c1 0 0\n");
	assert_int_equal(fclose(file), 0);
	return NULL;
}

/* NS-086: and the end of the container is the end of what is followed. */
static void following_ends_when_the_container_does(void **state)
{
	const struct cli_rig *rig = *state;
	struct cli_output output;
	const char *at;
	struct writer w;
	pthread_t thread;
	FILE *file;

	make_log_dir(rig, "job", "app", w.dir);
	write_log(w.dir, "");
	snprintf(w.effects, sizeof(w.effects), "%s/effects", rig->agent.runtime_dir);
	file = fopen(w.effects, "ae");
	assert_non_null(file);
	fprintf(file, "run-sandbox uid 0 s1 1 job default 0\n"
		      "create-container uid app 0 c1 2 s1 image\nstart c1 3\n");
	assert_int_equal(fclose(file), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
	output = cli_run("logs", "loop-w1/job", "-f", "--timeout", "30s", NULL);
	pthread_join(thread, NULL);
	assert_string_equal(output.errs, "");
	assert_int_equal(output.exit_code, 0);
	at = output.out;
	for (int i = 0; i < FOLLOWED; i++) {
		char *end;

		assert_int_equal(strtol(at, &end, 10), i);
		assert_int_equal(*end, '\n');
		at = end + 1;
	}
	assert_string_equal(at, "");
	cli_release(&output);
}

static void timeout_ends_what_goes_on(void **state)
{
	char dir[300];

	make_log_dir(*state, "slow", "app", dir);
	write_log(dir, "2026-01-01T00:00:01Z stdout F here\n");
	cli_expect(5, "here\n", "", "logs", "loop-w1/slow", "-f", "--timeout", "300ms", NULL);
}

/* Ctrl-C, once somebody waits for it. */
static void *interrupt(void *arg)
{
	struct sigaction now;

	(void)arg;
	do {
		struct timespec moment = { .tv_nsec = 1000000 };

		nanosleep(&moment, NULL);
		sigaction(SIGINT, NULL, &now);
	} while (now.sa_handler == SIG_DFL);
	kill(getpid(), SIGINT);
	return NULL;
}

static void interrupt_ends_following_with_130(void **state)
{
	struct cli_output output;
	pthread_t thread;
	char dir[300];

	make_log_dir(*state, "endless", "app", dir);
	write_log(dir, "2026-01-01T00:00:01Z stdout F here\n");
	signal(SIGINT, SIG_DFL);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, NULL), 0);
	output = cli_run("logs", "loop-w1/endless", "-f", NULL);
	pthread_join(thread, NULL);
	signal(SIGINT, SIG_DFL);
	assert_int_equal(output.exit_code, 130);
	assert_string_equal(output.errs, "");
	cli_release(&output);
}

static void print_evil(FILE *out, void *arg)
{
	char *argv[] = { (char *)"berth", (char *)"logs", (char *)"loop-w1/evil", NULL };

	(void)arg;
	assert_int_equal(cli_main(3, argv, NULL, out, stderr), 0);
}

/* I19: a container's lines move no cursor and set no colour; who pipes them gets them as they are. */
static void lines_are_escaped_on_a_terminal_only(void **state)
{
	static const char text[] = "\033[31mred\a\ttab";
	char dir[300], line[80];
	char *shown;

	make_log_dir(*state, "evil", "app", dir);
	snprintf(line, sizeof(line), "2026-01-01T00:00:01Z stdout F %s\n", text);
	write_log(dir, line);
	snprintf(line, sizeof(line), "%s\n", text);
	assert_output(cli_run("logs", "loop-w1/evil", NULL), line);
	shown = cli_on_terminal("xterm", print_evil, NULL);
	assert_null(strchr(shown, '\033'));
	assert_null(strchr(shown, '\a'));
	assert_memory_equal(shown, "\\x1b[31mred\\x07", 15);
	free(shown);
}

/* NS-267: this host's journal, or none: what has no journal has an empty one. */
static void journal_ends_by_itself(void **state)
{
	struct cli_output output = cli_run("logs", "loop-w1", "--tail", "5", "-o", "json", NULL);

	(void)state;
	assert_string_equal(output.errs, "");
	assert_int_equal(output.exit_code, 0);
	cli_release(&output);
	cli_expect(0, "", "", "logs", "loop-w1", "--unit", "no-such-unit-at-all", NULL);
	cli_expect(2, "", "no unit name", "logs", "loop-w1", "--unit", "a b", NULL);
}

/* NS-205 */
static void dmesg_shows_the_kernels_messages_or_why_not(void **state)
{
	struct cli_output output = cli_run("dmesg", "loop-w1", "--tail", "1", NULL);

	(void)state;
	if (output.exit_code != 0)
		assert_non_null(strstr(output.errs, "cannot read the kernel's messages"));
	else if (*output.out)
		assert_memory_equal(output.out, "20", 2);
	cli_release(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_of_a_pod_is_what_its_container_wrote),
		cmocka_unit_test(what_is_not_there_is_told),
		cmocka_unit_test(several_are_merged_by_time),
		cmocka_unit_test(following_ends_when_the_container_does),
		cmocka_unit_test(timeout_ends_what_goes_on),
		cmocka_unit_test(interrupt_ends_following_with_130),
		cmocka_unit_test(lines_are_escaped_on_a_terminal_only),
		cmocka_unit_test(journal_ends_by_itself),
		cmocka_unit_test(dmesg_shows_the_kernels_messages_or_why_not),
	};

	return cmocka_run_group_tests(tests, cli_rig_setup, cli_rig_teardown);
}
