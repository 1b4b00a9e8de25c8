#include "controller/exec/exec.h"

#include "shared/base/cleanup.h"
#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#define ERRS_MAX    ((size_t)64 * 1024)
#define GRACE_MS    2000
#define TICK_MS     50
#define READ_CHUNK  ((size_t)64 * 1024)
#define STDIN_PLACE "/tmp/berth-stdin-XXXXXX"

extern char **environ;

static atomic_uint started;

unsigned exec_count(void)
{
	return atomic_load(&started);
}

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

static int open_pipe(int ret_ends[2], struct err *err)
{
#ifdef __linux__
	if (pipe2(ret_ends, O_CLOEXEC) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "cannot make a pipe");
#else
	if (pipe(ret_ends) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "cannot make a pipe");
	fcntl(ret_ends[0], F_SETFD, FD_CLOEXEC);
	fcntl(ret_ends[1], F_SETFD, FD_CLOEXEC);
#endif
	fcntl(ret_ends[0], F_SETFL, O_NONBLOCK);
	return 0;
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

/* A process group of its own, so that the whole of it can be ended and a Ctrl-C on the terminal
 * reaches only us; no signal blocked or ignored, whatever our threads do. */
static int set_attributes(posix_spawnattr_t *attr)
{
	short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;

#ifdef __APPLE__
	flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawnattr_setflags(attr, flags) || posix_spawnattr_setpgroup(attr, 0) ||
	    posix_spawnattr_setsigmask(attr, &none) || posix_spawnattr_setsigdefault(attr, &all))
		return -1;
	return 0;
}

static int spawn(const struct strv *argv, int in, int out, int errs, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc = ENOMEM;

	if (posix_spawn_file_actions_init(&files))
		return rc;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return rc;
	}
	if (set_attributes(&attr) == 0 &&
	    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO) == 0 &&
	    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO) == 0 &&
	    posix_spawn_file_actions_adddup2(&files, errs, STDERR_FILENO) == 0)
		rc = posix_spawnp(ret_pid, argv->items[0], &files, &attr, argv->items, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static int spawn_failed(int sys, const char *program, struct err *err)
{
	if (sys == ENOENT) {
		err_set(err, ERR_NOT_FOUND, 0, "no program '%s' in PATH", program);
		return err_explain(err, "PROGRAM_NOT_FOUND", NULL);
	}
	if (sys == EACCES)
		return err_set(err, ERR_PERMISSION_DENIED, sys, "cannot run '%s'", program);
	return err_set(err, ERR_RESOURCE_EXHAUSTED, sys, "cannot start '%s'", program);
}

static int child_start(const struct strv *argv, const struct exec_options *options,
		       struct child *ret_child, struct err *err)
{
	cleanup_fd int in = -1, out_r = -1, out_w = -1, errs_r = -1, errs_w = -1;
	int ends[2], rc;
	pid_t pid;

	if (open_stdin(options, &in, err) < 0 || open_pipe(ends, err) < 0)
		return -1;
	out_r = ends[0];
	out_w = ends[1];
	if (open_pipe(ends, err) < 0)
		return -1;
	errs_r = ends[0];
	errs_w = ends[1];

	rc = spawn(argv, in, out_w, errs_w, &pid);
	if (rc)
		return spawn_failed(rc, argv->items[0], err);
	atomic_fetch_add(&started, 1);
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

static void keep_tail(struct text *t, const char *bytes, size_t len)
{
	text_add_bytes(t, bytes, len);
	if (t->len > ERRS_MAX && t->data) {
		memmove(t->data, t->data + t->len - ERRS_MAX, ERRS_MAX);
		t->len = ERRS_MAX;
		t->data[t->len] = '\0';
	}
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
	drain(&c->errs, &result->errs, keep_tail);
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
