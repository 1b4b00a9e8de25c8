/*
 * `berth exec` against a real agent, the whole command: its own process where the terminal, signals or a
 * sudden death matter, else within the test.
 */
#include "controller/client/client.h"
#include "controller/client/stream.h"
#include "node/v1/exec.pb-c.h"
#include "tests/support/cli.h"
#include "tests/support/cli_rig.h"
#include "tests/support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define IDLE_MS "1000"

/* --- berth as a process of its own ----------------------------------------------------------------- */

struct berth {
	pid_t pid;
	int in, out, errs; /* our ends; of a terminal 'in' and 'out' are its master */
};

static void exec_berth(const char *const *words, int in, int out, int errs)
{
	const char *argv[32] = { "berth", "exec" };

	for (size_t i = 0; words[i]; i++)
		argv[i + 2] = words[i];
	dup2(in, 0);
	dup2(out, 1);
	dup2(errs, 2);
	execv(cli_berth_binary(), (char *const *)argv);
	_exit(99);
}

static struct berth start_with(int in, int our_in, int out, int our_out, const char *const *words)
{
	struct berth b = { .in = our_in, .out = our_out };
	int errs[2];

	assert_int_equal(pipe2(errs, O_CLOEXEC), 0);
	b.pid = fork();
	assert_true(b.pid >= 0);
	if (b.pid == 0) {
		setsid();
		ioctl(in, TIOCSCTTY, 0);
		exec_berth(words, in, out, errs[1]);
	}
	close(errs[1]);
	b.errs = errs[0];
	return b;
}

static struct berth start_piped(const char *const *words)
{
	struct berth b;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	b = start_with(in[0], in[1], out[1], out[0], words);
	close(in[0]);
	close(out[1]);
	return b;
}

static struct berth start_on_terminal(const char *const *words, struct winsize *size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), terminal;
	struct berth b;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ioctl(master, TIOCSWINSZ, size), 0);
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal >= 0);
	b = start_with(terminal, master, terminal, master, words);
	close(terminal);
	return b;
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Reads until 'wanted' has come, or to the end when it is NULL; fails after 20 s. */
static void read_until(int fd, const char *wanted, char *text, size_t size)
{
	struct deadline by = deadline_in_ms(20000);
	size_t len = strlen(text);

	while (!wanted || !strstr(text, wanted)) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&pfd, 1, deadline_poll_ms(by)) <= 0)
			fail_msg("no '%s' in '%s'", wanted ? wanted : "end", text);
		n = read(fd, text + len, size - 1 - len);
		if (n <= 0) {
			assert_null(wanted);
			return;
		}
		len += (size_t)n;
		text[len] = '\0';
	}
}

static int finish(struct berth *b)
{
	struct deadline by = deadline_in_ms(20000);
	int status;

	if (b->in >= 0)
		close(b->in);
	if (b->out != b->in)
		close(b->out);
	close(b->errs);
	while (waitpid(b->pid, &status, WNOHANG) == 0) {
		if (deadline_is_over(by)) {
			kill(b->pid, SIGKILL);
			waitpid(b->pid, &status, 0);
			fail_msg("berth did not end");
		}
		usleep(1000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Whether a signal for the whole process waits to be taken (proc_pid_status(5), ShdPnd). */
static bool is_pending(pid_t pid, int number)
{
	unsigned long long set = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "ShdPnd: %llx", &set) == 1)
			break;
	}
	fclose(f);
	return set >> (number - 1) & 1;
}

static void wait_gone(pid_t pid, int64_t limit_ms)
{
	struct deadline by = deadline_in_ms(limit_ms);

	while (process_is_alive(pid)) {
		assert_false(deadline_is_over(by));
		usleep(2000);
	}
}

/* --- within the test ------------------------------------------------------------------------------- */

/* NS-271 */
static void exit_code_and_both_outputs_are_the_commands(void **state)
{
	struct cli_output o = cli_run("exec", "loop-w1", "--", "sh", "-c",
				      "echo out; echo err >&2; exit 7", NULL);

	(void)state;
	assert_int_equal(o.exit_code, 7);
	assert_string_equal(o.out, "out\n");
	assert_string_equal(o.errs, "err\n");
	cli_release(&o);
	cli_expect(128 + 9, "", "", "exec", "loop-w1", "--", "sh", "-c", "kill -9 $$", NULL);
	cli_expect(0, "", "", "exec", "-N", "loop-w1", "--", "true", NULL);
}

static void own_failures_are_told_apart(void **state)
{
	(void)state;
	cli_expect(127, "", "no program 'no-such'", "exec", "loop-w1", "--", "no-such", NULL);
	cli_expect(126, "", "Permission denied", "exec", "loop-w1", "--", "/etc/passwd", NULL);
	cli_expect(125, "", "no user 'nobody-here'", "exec", "loop-w1", "-u", "nobody-here", "--",
		   "true", NULL);
	cli_expect(125, "", "No such file or directory", "exec", "loop-w1", "-w", "/no/such", "--",
		   "true", NULL);
	cli_expect(125, "", "not absolute", "exec", "loop-w1", "-w", "no", "--", "true", NULL);
	cli_expect(125, "", "has no name", "exec", "loop-w1", "-e", "=x", "--", "true", NULL);
	cli_expect(125, "", "which command?", "exec", "loop-w1", NULL);
	cli_expect(125, "", "", "exec", "other", "--", "true", NULL);
	cli_expect(125, "", "not done in time", "exec", "loop-w1", "--timeout", "300ms", "--",
		   "sleep", "60", NULL);
}

/* NS-271 */
static void environment_directory_and_user_are_as_asked(void **state)
{
	(void)state;
	setenv("FROM_HERE", "there", 1);
	cli_expect(0, "1 there /usr/share daemon\n", "", "exec", "loop-w1", "-e", "A=1", "-e",
		   "FROM_HERE", "-w", "/usr/share", "-u", "daemon", "--", "sh", "-c",
		   "echo $A $FROM_HERE $PWD $USER", NULL);
}

/* What a node says is told apart by the line, also when the lines come in pieces. */
static void several_nodes_run_side_by_side(void **state)
{
	const struct cli_rig *rig = *state;
	struct cli_output o;

	cli_rig_remember(rig, "loop-w2", rig->run_dir);
	o = cli_run("exec", "-N", "loop-w1,loop-w2", "--", "sh", "-c",
		    "printf a; sleep 0.05; echo b; printf c; exit 3", NULL);
	assert_int_equal(o.exit_code, 3);
	assert_non_null(strstr(o.out, "loop-w1: ab\n"));
	assert_non_null(strstr(o.out, "loop-w2: ab\n"));
	assert_non_null(strstr(o.out, "loop-w1: c\n"));
	assert_non_null(strstr(o.out, "loop-w2: c\n"));
	cli_release(&o);
	cli_expect(125, "", "--stdin and --tty go with one node", "exec", "-i", "-N",
		   "loop-w1,loop-w2", "--", "cat", NULL);
}

/* --- as a process ---------------------------------------------------------------------------------- */

static void input_goes_to_its_end(void **state)
{
	struct berth b = start_piped(WORDS("loop-w1", "-i", "--", "sh", "-c", "cat; echo over"));
	char text[256] = "";

	(void)state;
	assert_int_equal(write(b.in, "one\n", 4), 4);
	read_until(b.out, "one\n", text, sizeof(text));
	assert_int_equal(write(b.in, "two\n", 4), 4);
	close(b.in);
	b.in = -1;
	read_until(b.out, NULL, text, sizeof(text));
	assert_string_equal(text, "one\ntwo\nover\n");
	assert_int_equal(finish(&b), 0);
}

/* Somebody may still type when the command has ended. */
static void command_that_ends_first_ends_it(void **state)
{
	struct berth b = start_piped(WORDS("loop-w1", "-i", "--", "sh", "-c", "exit 4"));
	char text[16] = "";
	int in = b.in;

	(void)state;
	read_until(b.out, NULL, text, sizeof(text));
	b.in = -1;
	assert_int_equal(finish(&b), 4);
	close(in);
}

/* cli.md: forwarded to the command, which decides. */
static void signals_are_forwarded(void **state)
{
	struct berth b = start_piped(WORDS("loop-w1", "--", "sh", "-c",
					   "trap 'echo int' INT; trap 'echo term; exit 9' TERM; "
					   "echo up; while :; do sleep 0.02; done"));
	char text[256] = "";

	(void)state;
	read_until(b.out, "up\n", text, sizeof(text));
	assert_int_equal(kill(b.pid, SIGINT), 0);
	read_until(b.out, "int\n", text, sizeof(text));
	assert_int_equal(kill(b.pid, SIGTERM), 0);
	read_until(b.out, NULL, text, sizeof(text));
	assert_string_equal(text, "up\nint\nterm\n");
	assert_int_equal(finish(&b), 9);
}

/* Signals of one number are one until the first was seen. */
static void interrupt(pid_t pid)
{
	struct deadline by = deadline_in_ms(20000);

	assert_int_equal(kill(pid, SIGINT), 0);
	while (is_pending(pid, SIGINT)) {
		assert_false(deadline_is_over(by));
		usleep(1000);
	}
}

static void third_interrupt_ends_a_deaf_command(void **state)
{
	struct berth b = start_piped(WORDS("loop-w1", "--", "sh", "-c",
					   "trap '' INT TERM; echo $$; sleep 100 & wait; wait"));
	char text[256] = "";
	int pid;

	(void)state;
	read_until(b.out, "\n", text, sizeof(text));
	assert_int_equal(sscanf(text, "%d", &pid), 1);
	for (int i = 0; i < 3; i++)
		interrupt(b.pid);
	assert_int_equal(finish(&b), 130);
	wait_gone(pid, 5000);
}

static void reader_that_left_ends_the_command(void **state)
{
	struct berth b = start_piped(WORDS("loop-w1", "--", "sh", "-c", "echo $$; exec yes"));
	char text[4096] = "";
	int pid;

	(void)state;
	read_until(b.out, "\n", text, sizeof(text));
	assert_int_equal(sscanf(text, "%d", &pid), 1);
	assert_int_equal(finish(&b), 128 + SIGPIPE);
	wait_gone(pid, 5000);
}

/* F34: nobody says goodbye. */
static void killed_client_leaves_no_process(void **state)
{
	struct berth b = start_piped(
		WORDS("loop-w1", "-i", "--", "sh", "-c", "sleep 100 & echo $$ $!; wait"));
	char text[256] = "";
	int shell, child;

	(void)state;
	read_until(b.out, "\n", text, sizeof(text));
	assert_int_equal(sscanf(text, "%d %d", &shell, &child), 2);
	kill(b.pid, SIGKILL);
	assert_int_equal(finish(&b), 1000 + SIGKILL);
	assert_true(process_is_alive(shell));
	/* A read may be waiting there still: its ten seconds count as somebody who asks. */
	wait_gone(shell, 15000);
	wait_gone(child, 15000);
}

/* --- a terminal ------------------------------------------------------------------------------------ */

static void terminal_is_handed_over_and_back(void **state)
{
	struct winsize size = { .ws_row = 31, .ws_col = 71 };
	struct berth b = start_on_terminal(
		WORDS("loop-w1", "-it", "--", "sh", "-c",
		      "stty size; trap 'stty size' WINCH; trap 'echo ctrl-c; exit 5' INT; echo up; "
		      "while :; do sleep 0.02; done"),
		&size);
	struct termios during, after;
	char text[1024] = "";

	(void)state;
	read_until(b.out, "up\r\n", text, sizeof(text));
	assert_non_null(strstr(text, "31 71\r\n"));
	assert_int_equal(tcgetattr(b.in, &during), 0);
	assert_false(during.c_lflag & (ICANON | ECHO | ISIG));
	size.ws_row = 41;
	assert_int_equal(ioctl(b.in, TIOCSWINSZ, &size), 0);
	kill(b.pid, SIGWINCH);
	read_until(b.out, "41 71\r\n", text, sizeof(text));
	assert_int_equal(write(b.in, "\003", 1), 1);
	read_until(b.out, "ctrl-c\r\n", text, sizeof(text));
	while (waitid(P_PID, (id_t)b.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(tcgetattr(b.in, &after), 0);
	assert_true(after.c_lflag & ICANON);
	assert_true(after.c_lflag & ECHO);
	assert_int_equal(finish(&b), 5);
}

/* As kubectl: scripts may say -it. */
static void without_a_terminal_tty_is_left_out(void **state)
{
	struct berth b = start_piped(
		WORDS("loop-w1", "-it", "--", "sh", "-c", "test -t 0 || echo none; cat"));
	char text[256] = "", errs[256] = "";

	(void)state;
	assert_int_equal(write(b.in, "x", 1), 1);
	close(b.in);
	b.in = -1;
	read_until(b.out, NULL, text, sizeof(text));
	assert_string_equal(text, "none\nx");
	read_until(b.errs, NULL, errs, sizeof(errs));
	assert_non_null(strstr(errs, "--tty is left out"));
	assert_int_equal(finish(&b), 0);
}

/* --- many bytes ------------------------------------------------------------------------------------ */

struct feed {
	int fd;
	size_t len;
	unsigned char sum[EVP_MAX_MD_SIZE];
};

static void fill(uint8_t *bytes, size_t len, uint64_t *seed)
{
	for (size_t i = 0; i + 8 <= len; i += 8) {
		*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(bytes + i, seed, 8);
	}
}

static void *feed(void *arg)
{
	static uint8_t bytes[64 * 1024];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct feed *f = arg;
	uint64_t seed = 1;

	EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	for (size_t left = f->len; left > 0; left -= sizeof(bytes)) {
		fill(bytes, sizeof(bytes), &seed);
		EVP_DigestUpdate(ctx, bytes, sizeof(bytes));
		for (size_t at = 0; at < sizeof(bytes);) {
			ssize_t n = write(f->fd, bytes + at, sizeof(bytes) - at);

			if (n <= 0)
				break;
			at += (size_t)n;
		}
	}
	close(f->fd);
	EVP_DigestFinal_ex(ctx, f->sum, NULL);
	EVP_MD_CTX_free(ctx);
	return NULL;
}

/* Waits while it is calling again and has none. */
static unsigned cut_connections(pid_t pid)
{
	struct deadline by = deadline_in_ms(20000);
	unsigned count;

	while ((count = cli_cut_connections(pid)) == 0) {
		assert_false(deadline_is_over(by));
		usleep(1000);
	}
	return count;
}

/* Reads to the end; every 'cut_bytes' (0: never) all connections go. How often, says '*ret_cuts'. */
static size_t digest_output(const struct berth *b, unsigned char *sum, size_t cut_bytes,
			    unsigned *ret_cuts)
{
	static uint8_t bytes[256 * 1024];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = 0, next = cut_bytes;
	ssize_t n;

	EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	while ((n = read(b->out, bytes, sizeof(bytes))) > 0) {
		EVP_DigestUpdate(ctx, bytes, (size_t)n);
		len += (size_t)n;
		if (cut_bytes && len >= next) {
			next += cut_bytes;
			*ret_cuts += cut_connections(b->pid);
		}
	}
	EVP_DigestFinal_ex(ctx, sum, NULL);
	EVP_MD_CTX_free(ctx);
	return len;
}

/* Through `cat` and back; both ends count and hash. */
static unsigned through_cat(size_t len, size_t cut_bytes)
{
	struct berth b = start_piped(WORDS("loop-w1", "-i", "--", "cat"));
	struct feed f = { .fd = b.in, .len = len };
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned cuts = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, feed, &f), 0);
	assert_int_equal(digest_output(&b, sum, cut_bytes, &cuts), len);
	pthread_join(thread, NULL);
	b.in = -1;
	assert_memory_equal(sum, f.sum, 32);
	assert_int_equal(finish(&b), 0);
	return cuts;
}

/* D5 */
static void a_hundred_mebibytes_go_both_ways_unchanged(void **state)
{
	(void)state;
	through_cat((size_t)100 * 1024 * 1024, 0);
}

/* D5, F22: nothing is lost and nothing doubled. */
static void lost_connections_lose_and_double_nothing(void **state)
{
	(void)state;
	cli_leaks_do_not_count();
	assert_true(through_cat((size_t)24 * 1024 * 1024, (size_t)3 * 1024 * 1024) >= 8);
	cli_leaks_count();
}

/* The agent comes back without the session: that is said, soon. */
static void restarted_agent_has_lost_the_session(void **state)
{
	struct cli_rig *rig = *state;
	struct berth b = start_piped(WORDS("loop-w1", "--", "sh", "-c", "echo up; sleep 100"));
	char text[256] = "", errs[1024] = "";
	int64_t start;

	read_until(b.out, "up\n", text, sizeof(text));
	start = clock_now_ms();
	agent_process_kill(&rig->agent);
	agent_process_respawn(&rig->agent);
	agent_process_wait_answer(&rig->agent);
	read_until(b.errs, "the session has ended on the node", errs, sizeof(errs));
	assert_int_equal(finish(&b), 125);
	assert_true(clock_now_ms() - start < 15000);
}

/* --- many sessions --------------------------------------------------------------------------------- */

static void take_id(const Berth__Node__V1__StreamOpened *reply, void *arg)
{
	memcpy(arg, reply->stream_id.data, CLIENT_STREAM_ID_BYTES);
}

static int start_session(struct client *client, const char *script, bool tty, uint8_t *id,
			 struct err *err)
{
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script };
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__exec__descriptor, deadline_in_ms(10000), err);

	req.argv = argv;
	req.n_argv = 3;
	req.tty = tty;
	req.input = true;
	berth__node__v1__exec__start(&rpc.base, &req, take_id, id);
	return rpc.result;
}

static int drop_data(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	(void)channel;
	(void)bytes;
	(void)err;
	*(size_t *)arg += len;
	return 0;
}

static size_t children_of(pid_t pid)
{
	char path[64], line[4096] = "";
	size_t count = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	if (fgets(line, sizeof(line), f)) {
		for (char *at = line; *at; at++)
			count += *at == ' ';
	}
	fclose(f);
	return count;
}

/* One in three is read to its end, one is closed under way, one is forgotten. */
static void abuse(struct client *client, int i)
{
	struct client_stream *s = NULL;
	struct client_stream_end end;
	uint8_t id[CLIENT_STREAM_ID_BYTES];
	bool ended = false;
	size_t got = 0;
	struct err err;

	if (start_session(client, i % 3 == 0 ? "echo done" : "yes | head -c 3000000; sleep 100",
			  i % 5 == 0, id, &err) < 0) {
		assert_string_equal(err.reason, "TOO_MANY_STREAMS");
		usleep(20000);
		return;
	}
	if (i % 3 == 2)
		return;
	assert_int_equal(client_stream_open(client, id, sizeof(id), &s, &err), 0);
	do {
		assert_int_equal(client_stream_read(s, deadline_in_ms(5000), drop_data, &got,
						    &ended, &end, &err),
				 0);
	} while (i % 3 == 0 && !ended);
	client_stream_close(s);
}

/* F34, I12 */
static void abused_sessions_leave_nothing(void **state)
{
	struct cli_rig *rig = *state;
	struct client *client = agent_process_client(&rig->agent);
	size_t fds, threads, private_bytes;
	struct deadline by;

	for (int i = 0; i < 30; i++)
		abuse(client, i);
	by = deadline_in_ms(20000);
	while (children_of(rig->agent.pid) > 0) {
		assert_false(deadline_is_over(by));
		usleep(20000);
	}
	fds = agent_process_fds(&rig->agent);
	threads = agent_process_threads(&rig->agent);
	private_bytes = agent_process_private(&rig->agent);
	for (int i = 0; i < 400; i++)
		abuse(client, i);
	by = deadline_in_ms(20000);
	while (children_of(rig->agent.pid) > 0 || agent_process_fds(&rig->agent) > fds) {
		assert_false(deadline_is_over(by));
		usleep(20000);
	}
	assert_int_equal(agent_process_fds(&rig->agent), fds);
	assert_int_equal(agent_process_threads(&rig->agent), threads);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	/* Freed memory stays with a sanitizer for a while. */
	assert_true(agent_process_private(&rig->agent) <= private_bytes + 1024 * 1024);
#else
	(void)private_bytes;
#endif
	client_close(client);
}

static int set_up(void **state)
{
	const char *const args[] = { "--stream-idle", IDLE_MS, NULL };
	struct cli_rig *rig;

	cli_rig_setup(state);
	rig = *state;
	setenv("PATH", rig->path, 1); /* the commands are this host's */
	agent_process_discard(&rig->agent);
	agent_process_start_with(&rig->agent, args, NULL);
	snprintf(rig->run_dir, sizeof(rig->run_dir), "%s/run", rig->agent.dir);
	cli_rig_remember(rig, "loop-w1", rig->run_dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_code_and_both_outputs_are_the_commands),
		cmocka_unit_test(own_failures_are_told_apart),
		cmocka_unit_test(environment_directory_and_user_are_as_asked),
		cmocka_unit_test(several_nodes_run_side_by_side),
		cmocka_unit_test(input_goes_to_its_end),
		cmocka_unit_test(command_that_ends_first_ends_it),
		cmocka_unit_test(signals_are_forwarded),
		cmocka_unit_test(third_interrupt_ends_a_deaf_command),
		cmocka_unit_test(reader_that_left_ends_the_command),
		cmocka_unit_test(killed_client_leaves_no_process),
		cmocka_unit_test(terminal_is_handed_over_and_back),
		cmocka_unit_test(without_a_terminal_tty_is_left_out),
		cmocka_unit_test(a_hundred_mebibytes_go_both_ways_unchanged),
		cmocka_unit_test(lost_connections_lose_and_double_nothing),
		cmocka_unit_test(abused_sessions_leave_nothing),
		cmocka_unit_test(restarted_agent_has_lost_the_session),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, cli_rig_teardown);
}
