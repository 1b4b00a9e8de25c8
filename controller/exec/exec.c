#include "controller/exec/exec_impl.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#define GRACE_MS    2000
#define TICK_MS     50
#define READ_CHUNK  ((size_t)64 * 1024)
#define STDIN_PLACE "/tmp/berth-stdin-XXXXXX"

/* One running program. */
struct child {
	pid_t pid;
	int pidfd; /* readable when it has ended; -1 where the system has none: then we tick */
	int out;
	int errs;
	bool reaped;
	int status;
};

static void child_release(struct child *c)
{
	cleanup_fd_value(&c->pidfd);
	cleanup_fd_value(&c->out);
	cleanup_fd_value(&c->errs);
}

/* The text goes through an unlinked file: a child that does not read it can neither block us nor
 * send us SIGPIPE. */
static int open_stdin(const struct exec_options *options, int *ret_fd, struct err *err)
{
	char path[] = STDIN_PLACE;
	cleanup_fd int fd = -1;
	size_t done = 0;

	if (!options->stdin_text) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_set(err, ERR_INTERNAL, errno, "cannot open /dev/null");
		*ret_fd = take_fd(&fd);
		return 0;
	}

	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_INTERNAL, errno, "cannot make a temporary file");
	unlink(path);
	while (done < options->stdin_len) {
		ssize_t n = write(fd, options->stdin_text + done, options->stdin_len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_RESOURCE_EXHAUSTED, errno,
				       "cannot write a temporary file");
		done += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_set(err, ERR_INTERNAL, errno, "cannot rewind a temporary file");
	*ret_fd = take_fd(&fd);
	return 0;
}

static int child_start(const struct strv *argv, const struct exec_options *options,
		       struct child *ret_child, struct err *err)
{
	cleanup_fd int in = -1, out_r = -1, out_w = -1, errs_r = -1, errs_w = -1;
	int ends[2];
	pid_t pid;

	if (open_stdin(options, &in, err) < 0 || exec_make_pipe(ends, err) < 0)
		return -1;
	out_r = ends[0];
	out_w = ends[1];
	if (exec_make_pipe(ends, err) < 0)
		return -1;
	errs_r = ends[0];
	errs_w = ends[1];

	if (exec_spawn(argv, options->env, in, out_w, errs_w, &pid, err) < 0)
		return -1;
	*ret_child = (struct child){ .pid = pid, .pidfd = -1 };
	ret_child->out = take_fd(&out_r);
	ret_child->errs = take_fd(&errs_r);
#ifdef SYS_pidfd_open
	ret_child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
	return 0;
}

/* Sees whether the program has ended, leaving it as a zombie: its number stays ours, so a signal to
 * the group can hit nobody else. */
static bool child_has_ended(const struct child *c)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid;
}

static void child_reap(struct child *c)
{
	while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
		;
	c->reaped = true;
}

static void keep_head(struct text *t, const char *bytes, size_t len)
{
	size_t room = EXEC_OUT_MAX - t->len;

	text_add_bytes(t, bytes, len < room ? len : room);
}

/* Reads what is there; closes the pipe at its end. */
static void drain(int *fd, struct text *t, void (*keep)(struct text *, const char *, size_t))
{
	char chunk[READ_CHUNK];
	ssize_t n;

	while (*fd >= 0) {
		n = read(*fd, chunk, sizeof(chunk));
		if (n > 0) {
			keep(t, chunk, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
			close(*fd);
			*fd = -1;
		}
		return;
	}
}

/* Waits for something to happen; true when the program has ended. A process that it left behind may
 * hold the pipes open for ever, so the program's end counts, not theirs. */
static bool child_step(struct child *c, int interrupt_fd, struct deadline by,
		       struct exec_result *result)
{
	struct pollfd fds[] = {
		{ .fd = c->out, .events = POLLIN },
		{ .fd = c->errs, .events = POLLIN },
		{ .fd = c->pidfd, .events = POLLIN },
		{ .fd = interrupt_fd, .events = POLLIN },
	};
	int timeout = deadline_poll_ms(by);
	bool ended;

	if (c->pidfd < 0 && (timeout < 0 || timeout > TICK_MS))
		timeout = TICK_MS;
	poll(fds, ARRAY_LEN(fds), timeout);
	ended = child_has_ended(c);
	drain(&c->out, &result->out, keep_head);
	drain(&c->errs, &result->errs, exec_keep_tail);
	return ended;
}

static bool is_interrupted(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&pfd, 1, 0) > 0;
}

/* SIGTERM, time to obey, SIGKILL. The group gets the SIGKILL even when its leader has obeyed. */
static void child_end(struct child *c, struct exec_result *result)
{
	struct deadline grace = deadline_in_ms(GRACE_MS);

	kill(-c->pid, SIGTERM);
	while (!deadline_is_over(grace)) {
		if (child_step(c, -1, grace, result))
			break;
	}
	kill(-c->pid, SIGKILL);
	child_reap(c);
}

static int stop_reason(int interrupt_fd, struct deadline by, const char *program, struct err *err)
{
	if (is_interrupted(interrupt_fd))
		return err_set(err, ERR_CANCELLED, 0, "interrupted");
	if (!deadline_is_over(by))
		return 0;
	return err_set(err, ERR_DEADLINE_EXCEEDED, 0, "'%s' did not end in time", program);
}

static int child_wait(struct child *c, const struct strv *argv, const struct exec_options *options,
		      struct exec_result *result, struct err *err)
{
	int interrupt_fd = options->interrupt ? options->interrupt->fd : -1;

	for (;;) {
		if (child_step(c, interrupt_fd, options->by, result)) {
			child_reap(c);
			return 0;
		}
		if (stop_reason(interrupt_fd, options->by, argv->items[0], err) < 0) {
			child_end(c, result);
			return -1;
		}
	}
}

static void trace(const struct strv *argv)
{
	cleanup_free char *words = NULL;

	if (log_get_level() < LOG_LEVEL_TRACE)
		return;
	words = exec_argv_text(argv);
	log_trace("+ %s", words ? words : argv->items[0]);
}

static int run(const struct strv *argv, const struct exec_options *options,
	       struct exec_result *result, struct err *err)
{
	int64_t begun = clock_now_ms();
	struct child child;
	int rc;

	if (child_start(argv, options, &child, err) < 0)
		return -1;
	rc = child_wait(&child, argv, options, result, err);
	child_release(&child);
	if (rc < 0)
		return -1;
	if (text_failed(&result->out) || text_failed(&result->errs))
		return err_oom(err);
	result->exit_code = WIFSIGNALED(child.status) ? 128 + WTERMSIG(child.status)
						      : WEXITSTATUS(child.status);
	result->millis = clock_now_ms() - begun;
	return 0;
}

int exec_run(const struct strv *argv, const struct exec_options *options,
	     struct exec_result *ret_result, struct err *err)
{
	struct exec_result result = { 0 };
	int interrupt_fd = options->interrupt ? options->interrupt->fd : -1;

	if (strv_failed(argv))
		return err_oom(err);
	if (argv->count == 0)
		return err_set(err, ERR_INTERNAL, 0, "no program to run");
	if (stop_reason(interrupt_fd, options->by, argv->items[0], err) < 0)
		return -1;
	trace(argv);
	if (run(argv, options, &result, err) < 0) {
		exec_result_release(&result);
		return -1;
	}
	*ret_result = result;
	return 0;
}

void exec_result_release(struct exec_result *result)
{
	text_release(&result->out);
	text_release(&result->errs);
}
