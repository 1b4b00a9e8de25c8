/*
 * Where programs run, and what is left of those whose session is over: killed, but not gone yet. One that
 * sleeps in the kernel dies when it wakes; nobody waits for that.
 */
#include "agent/streams/child_impl.h"

#include "agent/units/timer.h"
#include "shared/base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <utlist.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_DIR  "berth"

/* A cgroup is free a moment after its last process is. The pause doubles each time; what is then still
 * there is for the agent's next start. */
#define REMOVE_PAUSE_MS 5
#define REMOVE_TRIES    12

struct dying {
	struct children *children;
	int pidfd; /* -1: reaped */
	sd_event_source *source;
	char cgroup[CGROUP_NAME_SIZE]; /* "": removed */
	unsigned tries;
	sd_event_source *timer;
	struct dying *prev, *next;
};

struct children {
	sd_event *loop;
	struct cgroup_place *place; /* NULL: there is only the process group */
	unsigned long made;
	struct dying *dying;
};

static void dying_free(struct dying *d)
{
	DL_DELETE(d->children->dying, d);
	sd_event_source_disable_unref(d->source);
	timer_stop(&d->timer);
	if (d->pidfd >= 0)
		close(d->pidfd);
	free(d);
}

static bool reap(int pidfd)
{
	siginfo_t info = { 0 };

	return waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid != 0;
}

static int on_removal_due(sd_event_source *source, uint64_t usec, void *arg);

/* The next step of its end; frees it after the last. */
static void go_on(struct dying *d)
{
	struct children *children = d->children;

	if (d->pidfd >= 0 && reap(d->pidfd)) {
		d->source = sd_event_source_disable_unref(d->source);
		close(d->pidfd);
		d->pidfd = -1;
	}
	if (d->pidfd >= 0)
		return;
	if (!d->cgroup[0] || cgroup_remove(children->place, d->cgroup) ||
	    d->tries >= REMOVE_TRIES) {
		dying_free(d);
		return;
	}
	/* What was born while the others were being killed. */
	cgroup_kill(children->place, d->cgroup);
	if (!d->timer &&
	    timer_start(children->loop, DEADLINE_NEVER, on_removal_due, d, &d->timer) < 0)
		dying_free(d);
	else
		timer_move(d->timer, deadline_in_ms(REMOVE_PAUSE_MS << d->tries++));
}

static int on_removal_due(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	go_on(arg);
	return 0;
}

static int on_gone(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source;
	(void)fd;
	(void)events;
	go_on(arg);
	return 0;
}

static void kill_all(struct children *children, pid_t pid, int pidfd, const char *cgroup)
{
	if (pidfd >= 0) {
		/* It has not been reaped, so both numbers are still its own (I13). */
		kill(-pid, SIGKILL);
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	}
	if (cgroup[0])
		cgroup_kill(children->place, cgroup);
}

void children_bury(struct streams *streams, pid_t pid, int pidfd, const char *cgroup)
{
	struct children *children = streams->children;
	struct dying *d;

	if (pidfd < 0 && !cgroup[0])
		return;
	kill_all(children, pid, pidfd, cgroup);
	d = calloc(1, sizeof(*d));
	if (!d) {
		if (pidfd >= 0)
			close(pidfd);
		return;
	}
	d->children = children;
	d->pidfd = pidfd;
	snprintf(d->cgroup, sizeof(d->cgroup), "%s", cgroup);
	DL_APPEND(children->dying, d);
	if (pidfd >= 0 &&
	    sd_event_add_io(children->loop, &d->source, pidfd, EPOLLIN, on_gone, d) < 0)
		dying_free(d);
	else
		go_on(d);
}

int children_make_cgroup(struct streams *streams, bool helper, struct cgroup_entry *ret_entry,
			 char ret_name[CGROUP_NAME_SIZE], struct err *err)
{
	struct children *children = streams->children;
	char name[CGROUP_NAME_SIZE];

	if (!children->place)
		return 0;
	/* With our number, so that what an earlier life left is told apart from what we make. */
	snprintf(name, sizeof(name), "exec-%d-%lu", (int)getpid(), ++children->made);
	if (cgroup_make(children->place, name, helper, ret_entry, err) < 0)
		return -1;
	memcpy(ret_name, name, sizeof(name));
	return 0;
}

static void end_earlier(void *arg, const char *name)
{
	children_bury(arg, 0, -1, name);
}

int children_open(struct streams *streams, struct err *err)
{
	struct children *children = calloc(1, sizeof(*children));
	struct err why;

	if (!children)
		return err_oom(err);
	streams->children = children;
	children->loop = streams->loop;
	if (!cgroup_is_service())
		return 0;
	if (cgroup_place_open(CGROUP_ROOT, CGROUP_DIR, &children->place, &why) < 0)
		log_debug("programs get no cgroup: %s", why.msg);
	else
		cgroup_each(children->place, end_earlier, streams);
	return 0;
}

void children_close(struct children *children)
{
	if (!children)
		return;
	while (children->dying)
		dying_free(children->dying);
	cgroup_place_close(children->place);
	free(children);
}
