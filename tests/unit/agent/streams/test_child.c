/* Real programs, as the agent runs them. */
#include "agent/streams/child.h"
#include "shared/base/text.h"
#include "tests/support/program.h"
#include "tests/support/streams.h"
#include "tests/support/units.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct stream *open_spec(struct st_rig *rig, struct child_spec spec)
{
	struct stream *s = NULL;
	struct err err = { 0 };

	if (!spec.kind)
		spec.kind = "test";
	if (child_stream_open(rig->streams, &spec, ROLE_ADMIN, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static void run(struct st_rig *rig, struct child_spec spec, struct st_output *ret)
{
	struct stream *s = open_spec(rig, spec);

	st_read_all(rig, s, 0, ret);
	stream_close(s);
}

#define ARGV(...)  ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(script) ARGV("sh", "-c", script)

/* NS-271 */
static void output_and_exit_code_come_back(void **state)
{
	struct st_output out;

	run(*state, (struct child_spec){ .argv = SH("echo one; echo two >&2; exit 7") }, &out);
	assert_string_equal(out.text, "one\n");
	assert_string_equal(out.errors, "two\n");
	assert_int_equal(out.end.exit_code, 7);
	assert_int_equal(out.end.signal, 0);
	assert_int_equal(out.end.err.code, ERR_OK);
}

static void signal_that_ended_it_is_told(void **state)
{
	struct st_output out;

	run(*state, (struct child_spec){ .argv = SH("kill -USR1 $$") }, &out);
	assert_int_equal(out.end.signal, SIGUSR1);
	assert_int_equal(out.end.exit_code, 128 + SIGUSR1);
}

static void assert_refused(struct st_rig *rig, struct child_spec spec, enum err_code code,
			   const char *reason)
{
	struct stream *s = NULL;
	struct err err = { 0 };

	spec.kind = "test";
	assert_int_equal(child_stream_open(rig->streams, &spec, ROLE_ADMIN, &s, &err), -1);
	assert_int_equal(err.code, code);
	assert_string_equal(err.reason, reason);
	assert_null(s);
	assert_int_equal(streams_count(rig->streams), 0);
}

static void what_is_not_there_is_not_found(void **state)
{
	assert_refused(*state, (struct child_spec){ .argv = ARGV("no-such-program") },
		       ERR_NOT_FOUND, "PROGRAM_NOT_FOUND");
	assert_refused(*state, (struct child_spec){ .argv = ARGV("/no/such/program") },
		       ERR_NOT_FOUND, "PROGRAM_NOT_FOUND");
	assert_refused(*state, (struct child_spec){ .argv = ARGV("/etc/passwd") },
		       ERR_FAILED_PRECONDITION, "PROGRAM_NOT_EXECUTABLE");
	assert_refused(*state,
		       (struct child_spec){ .argv = ARGV("true"), .directory = "/no/such/dir" },
		       ERR_NOT_FOUND, "DIRECTORY_NOT_FOUND");
	assert_refused(*state, (struct child_spec){ .argv = ARGV("true"), .user = "no-such-user" },
		       ERR_NOT_FOUND, "USER_NOT_FOUND");
	assert_refused(*state,
		       (struct child_spec){ .argv = ARGV("true"), .user = "root:no-such-group" },
		       ERR_NOT_FOUND, "USER_NOT_FOUND");
}

/* NS-271 */
static void environment_directory_and_user_are_as_asked(void **state)
{
	static const char *const env[] = { "A=1", "HOME=/over", "B=x=y", NULL };
	struct st_output out;

	run(*state,
	    (struct child_spec){ .argv = SH("echo $A $HOME $B $USER $TERM; pwd"),
				 .env = env,
				 .directory = "/usr" },
	    &out);
	assert_string_equal(out.text, "1 /over x=y root\n/usr\n");
	run(*state,
	    (struct child_spec){ .argv = SH("id -u; id -g; id -G; echo $HOME $USER"),
				 .user = "daemon",
				 .directory = "/" },
	    &out);
	assert_string_equal(out.text, "1\n1\n1\n/usr/sbin daemon\n");
	run(*state,
	    (struct child_spec){
		    .argv = SH("id -u; id -g"), .user = "12345:678", .directory = "/" },
	    &out);
	assert_string_equal(out.text, "12345\n678\n");
}

/* CN-114: as a shell of the engine's would; the caller's own word counts more. */
static void proxies_of_the_node_are_the_commands(void **state)
{
	static const char *const env[] = { "no_proxy=mine", NULL };
	struct st_output out;

	setenv("https_proxy", "http://proxy.example:3128", 1);
	setenv("no_proxy", "10.0.0.0/8", 1);
	setenv("FTP_PROXY", "other", 1);
	run(*state,
	    (struct child_spec){ .argv = SH("echo $https_proxy $no_proxy $FTP_PROXY"), .env = env },
	    &out);
	unsetenv("https_proxy");
	unsetenv("no_proxy");
	unsetenv("FTP_PROXY");
	assert_string_equal(out.text, "http://proxy.example:3128 mine\n");
}

/* NS-283 */
static void nothing_of_the_agent_leaks(void **state)
{
	struct st_output out;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	sigset_t mask, old;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &old);
	sigaction(SIGPIPE, &ignore, &before);
	run(*state,
	    (struct child_spec){
		    .argv = SH("ls /proc/self/fd | tr '\\n' ' '; umask; "
			       "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -s '\\t\\n' '  '") },
	    &out);
	sigaction(SIGPIPE, &before, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_string_equal(out.text, "0 1 2 3 0022\nSigBlk: 0000000000000000 "
				      "SigIgn: 0000000000000000 ");
}

static void without_input_it_reads_nothing(void **state)
{
	struct st_answer answer;
	struct st_output out;
	struct stream *s;

	s = open_spec(*state, (struct child_spec){ .argv = ARGV("cat") });
	st_write(s, 0, "x", 1, false, 0, &answer);
	assert_int_equal(answer.err.code, ERR_FAILED_PRECONDITION);
	st_read_all(*state, s, 0, &out);
	assert_int_equal(out.bytes, 0);
	assert_int_equal(out.end.exit_code, 0);
	stream_close(s);
}

static void input_goes_through_to_its_end(void **state)
{
	struct st_output out;
	struct stream *s =
		open_spec(*state, (struct child_spec){ .argv = ARGV("cat"), .input = true });

	st_write_all(*state, s, "hello", 5);
	st_read_all(*state, s, 0, &out);
	assert_string_equal(out.text, "hello");
	assert_int_equal(out.end.exit_code, 0);
	stream_close(s);
}

/* I12 */
static void input_nobody_reads_is_held_back(void **state)
{
	static const uint8_t bytes[STREAM_CHUNK_BYTES];
	struct st_rig *rig = *state;
	struct stream *s =
		open_spec(rig, (struct child_spec){ .argv = ARGV("sleep", "60"), .input = true });
	struct st_answer answer;
	uint64_t at = 0;

	do {
		st_write(s, at, bytes, sizeof(bytes), false, 50, &answer);
		st_wait(rig, &answer);
		assert_int_equal(answer.err.code, ERR_OK);
		assert_true(answer.next_offset == at || answer.next_offset > at);
		if (answer.next_offset == at)
			break;
		at = answer.next_offset;
	} while (at <= 4 * STREAM_BUFFER_BYTES);
	assert_true(at > 0 && at <= STREAM_BUFFER_BYTES);
	stream_close(s);
}

/* `head` ends before its input does: who writes must not be stuck. */
static void input_nobody_wants_any_more_is_dropped(void **state)
{
	static const uint8_t bytes[STREAM_CHUNK_BYTES];
	struct st_output out;
	struct stream *s = open_spec(*state, (struct child_spec){ .argv = ARGV("head", "-c", "3"),
								  .input = true });

	for (uint64_t at = 0; at < 4 * STREAM_BUFFER_BYTES;) {
		struct st_answer answer;

		st_write(s, at, bytes, sizeof(bytes), false, 10000, &answer);
		st_wait(*state, &answer);
		assert_int_equal(answer.err.code, ERR_OK);
		at = answer.next_offset;
	}
	st_read_all(*state, s, 0, &out);
	assert_int_equal(out.bytes, 3);
	stream_close(s);
}

/* I12, F34 */
static void endless_output_waits_for_its_reader(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s = open_spec(rig, (struct child_spec){ .argv = ARGV("yes") });
	struct deadline second = deadline_in_ms(1000);
	struct st_answer answer;
	uint64_t at = 0;

	st_until(rig, stream_room(s) == 0);
	while (!deadline_is_over(second)) {
		assert_true(sd_event_run(rig->loop, 50000) >= 0);
		assert_int_equal(stream_room(s), 0);
	}
	/* Read on: it goes on where it waited. */
	while (at < 8 * STREAM_BUFFER_BYTES) {
		st_read(s, at, 0, 10000, &answer);
		st_wait(rig, &answer);
		assert_int_equal(answer.text[0], at % 2 ? '\n' : 'y');
		at = answer.next_offset;
	}
	stream_close(s);
}

/* NS-283: what a command left in its pipe is read, however slow the reader is. */
static void slow_reader_gets_all_after_the_exit(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s =
		open_spec(rig,
			  (struct child_spec){
				  .argv = SH("head -c 1200000 /dev/zero; echo end; sleep 100 &") });
	struct deadline past_drain = deadline_in_ms(1300);
	struct st_output out;

	st_until(rig, stream_room(s) == 0);
	while (!deadline_is_over(past_drain))
		sd_event_run(rig->loop, 50000);
	st_read_all(rig, s, 0, &out);
	assert_int_equal(out.bytes, 1200004);
	assert_int_equal(out.end.exit_code, 0);
	stream_close(s);
}

/* NS-283 */
static void output_is_drained_a_second_at_most(void **state)
{
	struct st_rig *rig = *state;
	int64_t start = clock_now_ms();
	struct st_output out;

	run(rig,
	    (struct child_spec){ .argv = SH("(while echo more; do sleep 0.1; done) & exit 3") },
	    &out);
	assert_int_equal(out.end.exit_code, 3);
	assert_in_range(clock_now_ms() - start, 900, 3000);
}

/* NS-283 */
static void close_ends_the_whole_group(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s =
		open_spec(rig, (struct child_spec){ .argv = SH("sleep 100 & echo $$ $!; wait") });
	struct st_answer answer;
	int shell, child;

	st_read(s, 0, 0, 10000, &answer);
	st_wait(rig, &answer);
	assert_int_equal(sscanf(answer.text, "%d %d", &shell, &child), 2);
	assert_true(process_is_alive(shell) && process_is_alive(child));
	stream_close(s);
	st_until(rig, !process_is_alive(shell) && !process_is_alive(child));
}

static void signal_reaches_the_group(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s = open_spec(
		rig,
		(struct child_spec){
			.argv = SH("trap 'echo told; exit 4' TERM; echo up; sleep 100 & wait") });
	struct st_answer answer;
	struct st_output out;
	struct err err;

	st_read(s, 0, 0, 10000, &answer);
	st_wait(rig, &answer);
	assert_int_equal(stream_signal(s, 99, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(stream_signal(s, SIGTERM, &err), 0);
	st_read_all(rig, s, answer.next_offset, &out);
	assert_string_equal(out.text, "told\n");
	assert_int_equal(out.end.exit_code, 4);
	assert_int_equal(stream_signal(s, SIGTERM, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	stream_close(s);
}

/* NS-271 */
static void terminal_has_its_size_and_is_resized(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s = open_spec(
		rig,
		(struct child_spec){
			.argv = SH("test -t 0 && test -t 1 && test -t 2 && stty size; echo $TERM; "
				   "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.01; "
				   "done"),
			.tty = true,
			.rows = 33,
			.columns = 77 });
	struct st_answer answer = { 0 };
	struct st_output out;
	struct err err;
	uint64_t at = 0;
	cleanup_with(text) struct text seen = { 0 };

	while (!strstr(text_str(&seen), "up")) {
		st_read(s, at, 0, 10000, &answer);
		st_wait(rig, &answer);
		at = answer.next_offset;
		text_add(&seen, answer.text);
	}
	assert_string_equal(text_str(&seen), "33 77\r\nxterm\r\nup\r\n");
	assert_int_equal(stream_resize(s, 44, 99, &err), 0);
	st_read_all(rig, s, at, &out);
	assert_string_equal(out.text, "44 99\r\n");
	stream_close(s);
}

static void terminal_takes_keys(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s = open_spec(rig, (struct child_spec){ .argv = ARGV("cat"), .tty = true });
	struct st_answer answer;
	struct st_output out;
	struct err err;

	assert_int_equal(stream_resize(s, 1, 1, &err), 0);
	st_write(s, 0, "ab\n\003", 4, false, 1000, &answer);
	st_wait(rig, &answer);
	st_read_all(rig, s, 0, &out);
	assert_int_equal(out.end.signal, SIGINT);
	stream_close(s);

	s = open_spec(rig, (struct child_spec){ .argv = ARGV("cat"), .tty = true });
	st_write_all(rig, s, "ab\n", 3);
	st_read_all(rig, s, 0, &out);
	assert_non_null(strstr(out.text, "ab\r\nab\r\n"));
	assert_int_equal(out.end.exit_code, 0);
	stream_close(s);
}

static void pipes_have_no_size(void **state)
{
	struct stream *s = open_spec(*state, (struct child_spec){ .argv = ARGV("sleep", "60") });
	struct err err;

	assert_int_equal(stream_resize(s, 1, 1, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	stream_close(s);
}

/* I16 */
static void helper_says_why_it_failed(void **state)
{
	struct st_output out;

	run(*state,
	    (struct child_spec){ .argv = SH("echo out; echo no such archive >&2; exit 1"),
				 .helper = true },
	    &out);
	assert_string_equal(out.text, "out\n");
	assert_string_equal(out.errors, "");
	assert_int_equal(out.end.err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(out.end.err.msg, "no such archive");
	run(*state, (struct child_spec){ .argv = SH("exit 3"), .kind = "copy", .helper = true },
	    &out);
	assert_string_equal(out.end.err.msg, "copy ended with exit code 3");
	run(*state, (struct child_spec){ .argv = SH("echo fine >&2"), .helper = true }, &out);
	assert_int_equal(out.end.err.code, ERR_OK);
}

static void mebibytes_go_both_ways_unchanged(void **state)
{
	const size_t len = 900 * 1024;
	cleanup_free uint8_t *bytes = malloc(len);
	struct st_output out;
	struct stream *s;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	s = open_spec(*state, (struct child_spec){ .argv = ARGV("cat"), .input = true });
	st_write_all(*state, s, bytes, len);
	st_read_all(*state, s, 0, &out);
	assert_int_equal(out.bytes, len);
	assert_true(out.sum == st_sum(ST_SUM_START, bytes, len));
	stream_close(s);
}

static void empty_name_is_no_program(void **state)
{
	assert_refused(*state, (struct child_spec){ .argv = ARGV("") }, ERR_NOT_FOUND,
		       "PROGRAM_NOT_FOUND");
}

/* NS-075: it has read all but the end, which it would take for a whole archive's */
static void import_of_changed_input_is_killed_before_its_end(void **state)
{
	static const uint8_t wrong[SHA256_BYTES];
	char dir[] = "/tmp/berth-child-XXXXXX", script[128], path[64];
	struct st_rig *rig = *state;
	struct st_answer answer;
	struct st_output out;
	struct stream *s;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/imported", dir);
	snprintf(script, sizeof(script), "echo $$; cat; echo >%s", path);
	s = open_spec(rig,
		      (struct child_spec){ .argv = SH(script), .input = true, .helper = true });
	stream_check_input(s);
	stream_tell_sha256(s, wrong);
	st_read(s, 0, 0, 10000, &answer);
	st_wait(rig, &answer);
	st_write_all(rig, s, "line\nmore\n", 10);
	st_read_all(rig, s, 0, &out);
	assert_int_equal(out.end.err.code, ERR_DATA_LOSS);
	stream_close(s);
	st_until(rig, !process_is_alive((pid_t)strtol(answer.text, NULL, 10)));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, st_setup, st_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(output_and_exit_code_come_back),
		TEST(signal_that_ended_it_is_told),
		TEST(what_is_not_there_is_not_found),
		TEST(environment_directory_and_user_are_as_asked),
		TEST(proxies_of_the_node_are_the_commands),
		TEST(nothing_of_the_agent_leaks),
		TEST(without_input_it_reads_nothing),
		TEST(input_goes_through_to_its_end),
		TEST(input_nobody_reads_is_held_back),
		TEST(input_nobody_wants_any_more_is_dropped),
		TEST(endless_output_waits_for_its_reader),
		TEST(slow_reader_gets_all_after_the_exit),
		TEST(output_is_drained_a_second_at_most),
		TEST(close_ends_the_whole_group),
		TEST(signal_reaches_the_group),
		TEST(terminal_has_its_size_and_is_resized),
		TEST(terminal_takes_keys),
		TEST(pipes_have_no_size),
		TEST(helper_says_why_it_failed),
		TEST(import_of_changed_input_is_killed_before_its_end),
		TEST(mebibytes_go_both_ways_unchanged),
		TEST(empty_name_is_no_program),
	};

	/* As in the agent. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
