#include "agent/pods/helper.h"

#include "agent/units/timer.h"
#include "shared/base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct helper {
	pid_t pid;
	int pidfd;
	sd_event_source *exited;
	sd_event_source *timer;
	struct err err;
	helper_fn *done;
	void *arg;
	const char *name;
};

static void helper_free(struct helper *h)
{
	if (!h)
		return;
	sd_event_source_disable_unref(h->exited);
	timer_stop(&h->timer);
	if (h->pidfd >= 0)
		close(h->pidfd);
	free(h);
}

void helper_cancel(struct helper *h)
{
	helper_free(h);
}

static void tell(struct helper *h)
{
	helper_fn *done = h->done;
	void *arg = h->arg;
	struct err err = h->err;

	helper_free(h);
	done(arg, err.code ? &err : NULL);
}

static int on_exit_seen(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct helper *h = userdata;
	siginfo_t info = { 0 };

	(void)source;
	(void)fd;
	(void)events;
	if (waitid(P_PIDFD, (id_t)h->pidfd, &info, WEXITED) == 0 && !h->err.code &&
	    (info.si_code != CLD_EXITED || info.si_status != 0))
		err_set(&h->err, ERR_UNKNOWN, 0, "%s ended with %d", h->name, info.si_status);
	tell(h);
	return 0;
}

/* Killed or could not be started; the answer comes from the loop. */
static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct helper *h = userdata;

	(void)source;
	(void)usec;
	if (h->pid) {
		err_set(&h->err, ERR_DEADLINE_EXCEEDED, 0, "%s was not done in time", h->name);
		/* What sleeps in the kernel dies when it wakes; nobody waits for that. */
		syscall(SYS_pidfd_send_signal, h->pidfd, SIGKILL, NULL, 0);
		waitid(P_PIDFD, (id_t)h->pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
	}
	tell(h);
	return 0;
}

static int spawn(const char *const *argv, pid_t *ret_pid)
{
	posix_spawnattr_t attr;
	sigset_t none;
	int result;

	if (posix_spawnattr_init(&attr) != 0)
		return ENOMEM;
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	result = posix_spawnp(ret_pid, argv[0], NULL, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	return result;
}

struct helper *helper_start(struct sd_event *loop, const char *const *argv, struct deadline by,
			    helper_fn *done, void *arg)
{
	struct helper *h = calloc(1, sizeof(*h));
	int sys;

	if (!h)
		return NULL;
	h->done = done;
	h->arg = arg;
	h->name = argv[0];
	h->pidfd = -1;
	sys = spawn(argv, &h->pid);
	if (sys == 0) {
		h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
		if (h->pidfd < 0 ||
		    sd_event_add_io(loop, &h->exited, h->pidfd, EPOLLIN, on_exit_seen, h) < 0)
			sys = errno ? errno : EIO;
	}
	if (sys) {
		err_set(&h->err, ERR_UNAVAILABLE, sys, "run %s", argv[0]);
		h->pid = 0;
		by = deadline_in_ms(0);
	}
	timer_start(loop, by, on_due, h, &h->timer);
	return h;
}
