#include "controller/exec/exec_pipe.h"

#include "controller/exec/exec_impl.h"
#include "shared/base/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_MS     2000
#define COMPLAINT_MS 500
#define TICK_MS      5

struct exec_pipe {
	pid_t pid;
	int in;   /* we write */
	int out;  /* we read */
	int errs; /* we read */
};

static int start(struct exec_pipe *pipe, const struct strv *argv, struct err *err)
{
	cleanup_fd int in = -1, out = -1, errs = -1;
	int ends[2];

	if (exec_make_pipe(ends, err) < 0)
		return -1;
	in = ends[0];
	pipe->in = ends[1];
	if (exec_make_pipe(ends, err) < 0)
		return -1;
	pipe->out = ends[0];
	out = ends[1];
	if (exec_make_pipe(ends, err) < 0)
		return -1;
	pipe->errs = ends[0];
	errs = ends[1];
	/* Ours does not block, the program's does. */
	fcntl(in, F_SETFL, 0);
	fcntl(pipe->in, F_SETFL, O_NONBLOCK);
	return exec_spawn(argv, NULL, in, out, errs, &pipe->pid, err);
}

int exec_pipe_open(const struct strv *argv, struct exec_pipe **ret_pipe, struct err *err)
{
	cleanup_with(exec_pipe) struct exec_pipe *pipe = calloc(1, sizeof(*pipe));

	if (!pipe || strv_failed(argv))
		return err_oom(err);
	pipe->in = pipe->out = pipe->errs = -1;
	if (start(pipe, argv, err) < 0)
		return -1;
	*ret_pipe = TAKE(pipe);
	return 0;
}

/* Leaves it as a zombie: its number stays ours until it is reaped. */
static bool has_ended(const struct exec_pipe *pipe)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pipe->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	       info.si_pid;
}

static void wait_end(const struct exec_pipe *pipe, struct deadline by)
{
	while (!has_ended(pipe) && !deadline_is_over(by))
		poll(NULL, 0, TICK_MS);
}

void exec_pipe_close(struct exec_pipe *pipe)
{
	if (!pipe)
		return;
	cleanup_fd_value(&pipe->in);
	cleanup_fd_value(&pipe->out);
	if (pipe->pid > 0) {
		kill(-pipe->pid, SIGTERM);
		wait_end(pipe, deadline_in_ms(GRACE_MS));
		kill(-pipe->pid, SIGKILL);
		while (waitpid(pipe->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cleanup_fd_value(&pipe->errs);
	free(pipe);
}

int exec_pipe_in(const struct exec_pipe *pipe)
{
	return pipe->in;
}

int exec_pipe_out(const struct exec_pipe *pipe)
{
	return pipe->out;
}

void exec_pipe_complaint(struct exec_pipe *pipe, char *ret, size_t size)
{
	struct exec_result result = { 0 };
	char chunk[4096];
	ssize_t n;

	wait_end(pipe, deadline_in_ms(COMPLAINT_MS));
	while ((n = read(pipe->errs, chunk, sizeof(chunk))) > 0)
		exec_keep_tail(&result.errs, chunk, (size_t)n);
	exec_last_line(&result, ret, size);
	exec_result_release(&result);
}
