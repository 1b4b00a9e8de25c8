#include "agent/units/processes.h"

#include "agent/units/processes_impl.h"
#include "agent/units/timer.h"
#include "shared/base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#define EXIT_WAIT_MS 5000 /* NS-152 */

struct victim {
	struct ending *ending;
	int fd; /* pidfd; -1: nothing to wait for */
	sd_event_source *exit_source;
	struct process_result *result;
};

struct ending {
	struct deadline by;
	sd_event_source *grace_timer;
	sd_event_source *end_timer;
	struct victim *victims;
	struct process_result *results;
	size_t count;
	size_t running;
	struct err err; /* of the search */
	processes_fn *done;
	void *arg;
};

static void victim_settle(struct victim *v, const char *result)
{
	v->result->result = result;
	v->exit_source = sd_event_source_disable_unref(v->exit_source);
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
}

static void victim_fail(struct victim *v, const char *what, int sys)
{
	snprintf(v->result->message, sizeof(v->result->message), "%s%s%s", what, sys ? ": " : "",
		 sys ? strerror(sys) : "");
	victim_settle(v, "failed");
}

static void ending_free(struct ending *e)
{
	timer_stop(&e->grace_timer);
	timer_stop(&e->end_timer);
	free(e->victims);
	free(e->results);
	free(e);
}

static void ending_finish(struct ending *e)
{
	bool failed = e->err.code != ERR_OK;

	for (size_t i = 0; i < e->count; i++) {
		if (e->victims[i].fd >= 0)
			victim_fail(&e->victims[i], "has not ended in time after SIGKILL", 0);
	}
	timer_stop(&e->grace_timer);
	timer_stop(&e->end_timer);
	e->done(e->arg, failed ? NULL : e->results, failed ? 0 : e->count, failed ? &e->err : NULL);
	ending_free(e);
}

static int on_end_timer(sd_event_source *timer, uint64_t usec, void *arg)
{
	(void)timer;
	(void)usec;
	ending_finish(arg);
	return 0;
}

/* The pidfd is readable: the process, all of its threads, has ended. */
static int on_exit_of(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct victim *v = arg;
	struct ending *e = v->ending;

	(void)source;
	(void)fd;
	(void)events;
	victim_settle(v, v->result->result);
	if (--e->running == 0)
		ending_finish(e);
	return 0;
}

static bool has_ended(const struct victim *v)
{
	struct pollfd p = { .fd = v->fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* 'result' is what the exit that follows will be called. */
static void victim_signal(struct victim *v, int signal, const char *result)
{
	if (has_ended(v))
		return;
	if (syscall(SYS_pidfd_send_signal, v->fd, signal, NULL, 0) < 0 && errno != ESRCH) {
		victim_fail(v, "cannot send a signal", errno);
		v->ending->running--;
		return;
	}
	v->result->result = result;
}

static void signal_all(struct ending *e, int signal, const char *result)
{
	for (size_t i = 0; i < e->count; i++) {
		if (e->victims[i].fd >= 0)
			victim_signal(&e->victims[i], signal, result);
	}
	if (e->running == 0)
		timer_move(e->end_timer, (struct deadline){ .at_ms = 0 });
}

static int on_grace_timer(sd_event_source *timer, uint64_t usec, void *arg)
{
	(void)timer;
	(void)usec;
	signal_all(arg, SIGKILL, "killed");
	return 0;
}

static void victim_start(struct victim *v, struct sd_event *loop, const char *proc_root,
			 struct process_id id)
{
	struct err err;
	int r;

	v->fd = -1;
	v->result->pid = id.pid;
	v->result->result = "gone";
	if (process_open(proc_root, id, &v->fd, &err) < 0) {
		if (err.code != ERR_NOT_FOUND)
			victim_fail(v, err.msg, 0);
		return;
	}
	r = sd_event_add_io(loop, &v->exit_source, v->fd, EPOLLIN, on_exit_of, v);
	if (r < 0)
		victim_fail(v, "cannot watch it", -r);
	else
		v->ending->running++;
}

static int ending_start(struct ending *e, struct sd_event *loop, const char *proc_root,
			const char *name)
{
	struct process_ids ids = { 0 };

	if (proc_root && process_find(proc_root, name, &ids, &e->err) < 0)
		return -1;
	e->victims = calloc(ids.count + 1, sizeof(*e->victims));
	e->results = calloc(ids.count + 1, sizeof(*e->results));
	if (!e->victims || !e->results) {
		free(ids.items);
		return err_oom(&e->err);
	}
	e->count = ids.count;
	for (size_t i = 0; i < e->count; i++) {
		e->victims[i].ending = e;
		e->victims[i].result = &e->results[i];
		victim_start(&e->victims[i], loop, proc_root, ids.items[i]);
	}
	free(ids.items);
	return 0;
}

static int ending_arm(struct ending *e, struct sd_event *loop, int64_t grace_ms)
{
	struct deadline kill_at = deadline_in_ms(grace_ms);
	struct deadline end_at = deadline_min(e->by, deadline_in_ms(grace_ms + EXIT_WAIT_MS));
	int64_t left = deadline_left_ms(e->by);

	/* A grace longer than the caller waits would end in no kill at all. */
	if (grace_ms > 0 && grace_ms >= left)
		kill_at = deadline_in_ms(left / 2);
	if (timer_start(loop, kill_at, on_grace_timer, e, &e->grace_timer) < 0)
		return -1;
	return timer_start(loop, end_at, on_end_timer, e, &e->end_timer);
}

void processes_end(struct sd_event *loop, const char *proc_root, const char *name, int64_t grace_ms,
		   struct deadline by, processes_fn *done, void *arg)
{
	struct ending *e = calloc(1, sizeof(*e));
	struct err err;

	if (grace_ms < 0)
		grace_ms = 0;
	if (e) {
		e->by = by;
		e->done = done;
		e->arg = arg;
	}
	if (!e || ending_arm(e, loop, grace_ms) < 0) {
		err_oom(&err);
		if (e)
			ending_free(e);
		done(arg, NULL, 0, &err);
		return;
	}
	if (ending_start(e, loop, proc_root, name) < 0 || e->running == 0)
		timer_move(e->end_timer, (struct deadline){ .at_ms = 0 });
	else if (grace_ms > 0)
		signal_all(e, SIGTERM, "terminated");
}
