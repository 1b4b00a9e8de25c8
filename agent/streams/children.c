/*
 * What is left of programs whose session is over: killed, but not gone yet. One that sleeps in the kernel
 * dies when it wakes; nobody waits for that.
 */
#include "agent/streams/child_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <utlist.h>

struct dying {
	struct children *children;
	int pidfd;
	sd_event_source *source;
	struct dying *prev, *next;
};

struct children {
	struct dying *dying;
};

static void dying_free(struct dying *d)
{
	DL_DELETE(d->children->dying, d);
	sd_event_source_disable_unref(d->source);
	close(d->pidfd);
	free(d);
}

static bool reap(int pidfd)
{
	siginfo_t info = { 0 };

	return waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid != 0;
}

static int on_gone(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source;
	(void)events;
	if (reap(fd))
		dying_free(arg);
	return 0;
}

static struct children *get_children(struct streams *streams)
{
	if (!streams->children)
		streams->children = calloc(1, sizeof(*streams->children));
	return streams->children;
}

void children_bury(struct streams *streams, pid_t pid, int pidfd)
{
	struct children *children = get_children(streams);
	struct dying *d = NULL;

	/* It has not been reaped, so both numbers are still its own (I13). */
	kill(-pid, SIGKILL);
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	if (!reap(pidfd) && children)
		d = calloc(1, sizeof(*d));
	if (!d) {
		close(pidfd);
		return;
	}
	d->children = children;
	d->pidfd = pidfd;
	DL_APPEND(children->dying, d);
	if (sd_event_add_io(streams->loop, &d->source, pidfd, EPOLLIN, on_gone, d) < 0)
		dying_free(d);
}

void children_close(struct children *children)
{
	if (!children)
		return;
	while (children->dying)
		dying_free(children->dying);
	free(children);
}
