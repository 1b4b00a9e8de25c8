#include "agent/streams/spawn.h"

#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Which step failed, told through a pipe that a successful exec closes. */
enum phase { PHASE_SET_UP, PHASE_CGROUP, PHASE_USER, PHASE_DIRECTORY, PHASE_PROGRAM };

struct failure {
	int phase;
	int sys;
};

/* --- in the child: system calls and nothing else --------------------------------------------------- */

static void __attribute__((noreturn)) fail(int report, enum phase phase)
{
	struct failure failure = { .phase = phase, .sys = errno };
	ssize_t n = write(report, &failure, sizeof(failure));

	(void)n;
	_exit(127);
}

static void reset_signals(void)
{
	/* The kernel's struct sigaction, all zero: SIG_DFL. glibc's call leaves out the two signals that
	 * it keeps for itself, which an ancestor may have ignored. */
	static const unsigned long plain[8];
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		syscall(SYS_rt_sigaction, i, plain, NULL, sizeof(unsigned long));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What the agent has that nobody else should: its rank with the OOM killer, its umask. */
static void lay_down_privileges(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t n = write(fd, "0", 1);

		(void)n;
		close(fd);
	}
	umask(022);
}

static void enter_cgroups(const struct cgroup_entry *cgroup, int report)
{
	for (size_t i = 0; cgroup && i < CGROUP_TREES; i++) {
		if (cgroup->tasks[i] >= 0 && write(cgroup->tasks[i], "0", 1) != 1)
			fail(report, PHASE_CGROUP);
	}
}

/* The raw calls: glibc's would ask every thread, and there is only this one. */
static void become(const struct spawn_user *user, int report)
{
	if (!user->change)
		return;
	if (syscall(SYS_setgroups, user->groups_count, user->groups) < 0 ||
	    syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0 ||
	    syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0)
		fail(report, PHASE_USER);
}

static void take_descriptors(const struct spawn *spawn, int report)
{
	setsid();
	if (spawn->tty && ioctl(spawn->fds[0], TIOCSCTTY, 0) < 0)
		fail(report, PHASE_SET_UP);
	/* None of the three is below 3, so none is overwritten before its turn. */
	for (int i = 0; i < 3; i++) {
		if (dup2(spawn->fds[i], i) < 0)
			fail(report, PHASE_SET_UP);
	}
}

static void go_to(const struct spawn *spawn, int report)
{
	if (spawn->directory) {
		if (chdir(spawn->directory) < 0)
			fail(report, PHASE_DIRECTORY);
	} else if (chdir(spawn->user->home) < 0 && chdir("/") < 0) {
		fail(report, PHASE_DIRECTORY);
	}
}

/* As a shell does: the first that can be run, else the most telling error. */
static void try_programs(const struct spawn *spawn, char *const *programs)
{
	int sys = ENOENT;

	for (; *programs; programs++) {
		execve(*programs, (char *const *)spawn->argv, (char *const *)spawn->env);
		if (errno != ENOENT && errno != ENOTDIR)
			sys = errno;
	}
	errno = sys;
}

static void __attribute__((noreturn))
run_child(const struct spawn *spawn, char *const *programs, int report)
{
	reset_signals();
	lay_down_privileges();
	enter_cgroups(spawn->cgroup, report);
	take_descriptors(spawn, report);
	become(spawn->user, report);
	go_to(spawn, report);
	/* Kernels before 5.11 lack it; then it is the descriptors' own flag alone. */
	syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	try_programs(spawn, programs);
	fail(report, PHASE_PROGRAM);
}

/* --- in the agent ---------------------------------------------------------------------------------- */

static const char *path_of(const char *const *env)
{
	for (; *env; env++) {
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	}
	return "/usr/bin:/bin";
}

static int find_programs(const struct spawn *spawn, struct strv *ret, struct err *err)
{
	const char *name = spawn->argv[0], *dir, *end;

	if (strchr(name, '/')) {
		strv_add(ret, name);
	} else if (name[0]) {
		for (dir = path_of(spawn->env); dir; dir = *end ? end + 1 : NULL) {
			end = strchrnul(dir, ':');
			/* An empty element would mean the present directory. */
			if (end > dir)
				strv_addf(ret, "%.*s/%s", (int)(end - dir), dir, name);
		}
	}
	return strv_failed(ret) ? err_oom(err) : 0;
}

static int explain(const struct spawn *spawn, const struct failure *failure, struct err *err)
{
	const char *program = spawn->argv[0];

	switch (failure->phase) {
	case PHASE_PROGRAM:
		if (failure->sys == ENOENT || failure->sys == ENOTDIR) {
			err_set(err, ERR_NOT_FOUND, 0, "no program '%s'", program);
			return err_explain(err, "PROGRAM_NOT_FOUND", NULL);
		}
		err_set(err, ERR_FAILED_PRECONDITION, failure->sys, "run '%s'", program);
		return err_explain(err, "PROGRAM_NOT_EXECUTABLE", NULL);
	case PHASE_DIRECTORY:
		err_set(err, failure->sys == ENOENT ? ERR_NOT_FOUND : ERR_FAILED_PRECONDITION,
			failure->sys, "go to directory '%s'", spawn->directory ?: "/");
		return err_explain(err, failure->sys == ENOENT ? "DIRECTORY_NOT_FOUND" : NULL,
				   NULL);
	case PHASE_USER:
		return err_set(err, ERR_FAILED_PRECONDITION, failure->sys, "become user '%s'",
			       spawn->user->name);
	case PHASE_CGROUP:
		return err_set(err, ERR_INTERNAL, failure->sys, "put '%s' into its cgroup",
			       program);
	default:
		return err_set(err, ERR_INTERNAL, failure->sys, "start '%s'", program);
	}
}

/* True when the child has said that it failed. */
static bool has_failed(int report, struct failure *ret)
{
	struct pollfd poll_fd = { .fd = report, .events = POLLIN };

	return poll(&poll_fd, 1, SPAWN_WAIT_MS) == 1 &&
	       read(report, ret, sizeof(*ret)) == sizeof(*ret);
}

/* As fork(2), and the child begins in the cgroup; '*ret_pidfd' is the parent's. glibc's fork() would run the
 * handlers of libraries, which have nothing to do here. */
static pid_t fork_into(const struct cgroup_entry *cgroup, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (cgroup && cgroup->dir >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup->dir;
		return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	}
	pid = _Fork();
	if (pid > 0)
		*ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return pid;
}

int spawn_start(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
	cleanup_with(strv) struct strv programs = { 0 };
	cleanup_fd int pidfd = -1;
	struct failure failure;
	int report[2];
	pid_t pid;

	strv_add(&programs, ""); /* so that there is a list even when no directory is searched */
	if (find_programs(spawn, &programs, err) < 0)
		return -1;
	if (pipe2(report, O_CLOEXEC) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a pipe");
	pid = fork_into(spawn->cgroup, &pidfd);
	if (pid == 0)
		run_child(spawn, programs.items + 1, report[1]);
	close(report[1]);
	if (pidfd < 0) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "start '%s'", spawn->argv[0]);
	} else if (!has_failed(report[0], &failure)) {
		close(report[0]);
		*ret_pid = pid;
		*ret_pidfd = take_fd(&pidfd);
		return 0;
	} else {
		explain(spawn, &failure, err);
	}
	close(report[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return -1;
}
