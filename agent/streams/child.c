#include "agent/streams/child.h"

#include "agent/streams/child_impl.h"
#include "agent/units/timer.h"
#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* After the exit, what others still hold open is read this long (NS-283). */
#define DRAIN_MS 1000

/* Reads in a row from one pipe before the others get their turn. */
#define READS_MAX 4

/* --- the end --------------------------------------------------------------------------------------- */

/* A helper's failure is an error of the session; a command's is its exit code. */
static void judge_helper(const struct child *c, struct stream_end *end)
{
	size_t len = c->said_len;

	while (len > 0 && c->said[len - 1] == '\n')
		len--;
	if (end->exit_code == 0)
		return;
	if (len > 0)
		err_set(&end->err, ERR_FAILED_PRECONDITION, 0, "%.*s", (int)len, c->said);
	else if (end->signal)
		err_set(&end->err, ERR_FAILED_PRECONDITION, 0, "%s was ended by signal %d", c->kind,
			end->signal);
	else
		err_set(&end->err, ERR_FAILED_PRECONDITION, 0, "%s ended with exit code %d",
			c->kind, end->exit_code);
}

static void finish_if_over(struct child *c)
{
	struct stream_end end = { 0 };

	if (!c->exited || c->out[0].fd >= 0 || c->out[1].fd >= 0)
		return;
	timer_stop(&c->drain);
	if (c->code == CLD_EXITED) {
		end.exit_code = c->status;
	} else {
		end.signal = c->status;
		end.exit_code = 128 + c->status;
	}
	if (c->helper)
		judge_helper(c, &end);
	stream_finish(c->stream, &end);
}

/* --- output ---------------------------------------------------------------------------------------- */

static void out_close(struct child_out *o)
{
	o->source = sd_event_source_disable_unref(o->source);
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

/* The last of what a helper says is what tells why it failed. */
static void keep_said(struct child *c, const char *bytes, size_t len)
{
	size_t room = sizeof(c->said);

	if (len > room) {
		bytes += len - room;
		len = room;
	}
	if (c->said_len + len > room) {
		size_t drop = c->said_len + len - room;

		memmove(c->said, c->said + drop, c->said_len - drop);
		c->said_len -= drop;
	}
	memcpy(c->said + c->said_len, bytes, len);
	c->said_len += len;
}

static ssize_t read_said(struct child_out *o)
{
	char bytes[1024];
	ssize_t n = read(o->fd, bytes, sizeof(bytes));

	if (n > 0)
		keep_said(o->child, bytes, (size_t)n);
	return n;
}

/* -2: there is no room. */
static ssize_t read_once(struct child_out *o, bool *ret_short)
{
	size_t len;
	uint8_t *to;
	ssize_t n;

	if (o->said)
		return read_said(o);
	to = stream_reserve(o->child->stream, o->channel, &len);
	if (!to)
		return -2;
	if (o->limited && len > o->limit)
		len = o->limit;
	n = read(o->fd, to, len);
	if (n > 0) {
		stream_commit(o->child->stream, (size_t)n);
		o->limit -= o->limited ? (size_t)n : 0;
	}
	*ret_short = n < (ssize_t)len;
	return n;
}

static void out_read(struct child_out *o)
{
	bool was_short = false;

	for (int i = 0; i < READS_MAX && o->fd >= 0 && !was_short; i++) {
		ssize_t n = read_once(o, &was_short);

		if (n == -2) {
			sd_event_source_set_enabled(o->source, SD_EVENT_OFF);
			return;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* EIO: the last one has closed the terminal. */
		if (n <= 0 || (o->limited && o->limit == 0))
			out_close(o);
	}
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct child_out *o = arg;

	(void)source;
	(void)fd;
	(void)events;
	out_read(o);
	finish_if_over(o->child);
	return 0;
}

static void child_pump(void *source)
{
	struct child *c = source;

	for (size_t i = 0; i < ARRAY_LEN(c->out); i++) {
		if (c->out[i].fd < 0)
			continue;
		sd_event_source_set_enabled(c->out[i].source, SD_EVENT_ON);
		out_read(&c->out[i]);
	}
	finish_if_over(c);
}

/* Somebody still holds the pipe open. What is in it now belongs to the output, what comes later does not;
 * a reader that is slow loses nothing. */
static int on_drained(sd_event_source *source, uint64_t usec, void *arg)
{
	struct child *c = arg;

	(void)source;
	(void)usec;
	for (size_t i = 0; i < ARRAY_LEN(c->out); i++) {
		struct child_out *o = &c->out[i];
		int left = 0;

		if (o->fd < 0)
			continue;
		if (o->said || ioctl(o->fd, FIONREAD, &left) < 0 || left <= 0) {
			out_close(o);
			continue;
		}
		o->limited = true;
		o->limit = (size_t)left;
	}
	finish_if_over(c);
	return 0;
}

/* Not reaped yet: while it is there, its process group's number belongs to nobody else. */
static int on_exit_seen(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct child *c = arg;
	siginfo_t info = { 0 };

	(void)fd;
	(void)events;
	if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return 0;
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	c->exited = true;
	c->code = info.si_code;
	c->status = info.si_status;
	finish_if_over(c);
	if ((c->out[0].fd >= 0 || c->out[1].fd >= 0) &&
	    timer_start(c->streams->loop, deadline_in_ms(DRAIN_MS), on_drained, c, &c->drain) < 0)
		on_drained(NULL, 0, c);
	return 0;
}

/* --- input ----------------------------------------------------------------------------------------- */

static void in_close(struct child *c)
{
	c->in_source = sd_event_source_disable_unref(c->in_source);
	if (c->in_fd >= 0)
		close(c->in_fd);
	c->in_fd = -1;
}

static size_t child_input(void *source, const uint8_t *bytes, size_t len)
{
	struct child *c = source;
	ssize_t n;

	/* Nobody reads it any more: `head` has seen enough. */
	if (c->in_fd < 0)
		return len;
	n = write(c->in_fd, bytes, len);
	if (n > 0)
		return (size_t)n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		sd_event_source_set_enabled(c->in_source, SD_EVENT_ONESHOT);
		return 0;
	}
	in_close(c);
	return len;
}

static int on_input_room(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct child *c = arg;

	(void)source;
	(void)fd;
	(void)events;
	stream_want_input(c->stream);
	return 0;
}

static void child_input_end(void *source)
{
	struct child *c = source;

	if (!c->tty) {
		in_close(c);
	} else if (c->in_fd >= 0) {
		/* Ctrl-D: a terminal's way to say so. */
		ssize_t n = write(c->in_fd, "\004", 1);

		(void)n;
	}
}

/* --- the rest of the ops --------------------------------------------------------------------------- */

static int child_resize(void *source, unsigned rows, unsigned columns, struct err *err)
{
	struct child *c = source;
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

	if (c->out[0].fd < 0)
		return 0;
	if (ioctl(c->out[0].fd, TIOCSWINSZ, &size) < 0)
		return err_set(err, ERR_INTERNAL, errno, "resize the terminal");
	return 0;
}

/* To the whole group, as from a terminal: a shell's child gets it, too. */
static int child_signal(void *source, int number, struct err *err)
{
	struct child *c = source;

	if (number < 1 || number >= NSIG)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "no signal %d", number);
	if (c->exited)
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "it has ended already");
	if (kill(-c->pid, number) < 0 && errno != ESRCH)
		return err_set(err, ERR_INTERNAL, errno, "send signal %d", number);
	return 0;
}

static void child_close(void *source)
{
	struct child *c = source;

	timer_stop(&c->drain);
	out_close(&c->out[0]);
	out_close(&c->out[1]);
	sd_event_source_disable_unref(c->exit_source);
	c->exit_source = NULL;
	/* Killed first: what was left halfway must not take the end of the pipe for that of its input. */
	children_bury(c->streams, c->pid, c->pidfd, c->cgroup);
	in_close(c);
	free(c);
}

static const struct stream_ops pipe_ops = {
	.kind = "program",
	.pump = child_pump,
	.input = child_input,
	.input_end = child_input_end,
	.signal = child_signal,
	.close = child_close,
};

static const struct stream_ops deaf_ops = {
	.kind = "program",
	.pump = child_pump,
	.signal = child_signal,
	.close = child_close,
};

static const struct stream_ops tty_ops = {
	.kind = "program",
	.pump = child_pump,
	.input = child_input,
	.input_end = child_input_end,
	.resize = child_resize,
	.signal = child_signal,
	.close = child_close,
};

const struct stream_ops *child_ops(const struct child *c)
{
	if (c->tty)
		return &tty_ops;
	return c->in_fd >= 0 ? &pipe_ops : &deaf_ops;
}

static int watch_output(struct child_out *o)
{
	if (o->fd < 0)
		return 0;
	return sd_event_add_io(o->child->streams->loop, &o->source, o->fd, EPOLLIN, on_output, o);
}

int child_watch(struct child *c, struct err *err)
{
	sd_event *loop = c->streams->loop;
	int rc = sd_event_add_io(loop, &c->exit_source, c->pidfd, EPOLLIN, on_exit_seen, c);

	if (rc >= 0)
		rc = watch_output(&c->out[0]);
	if (rc >= 0)
		rc = watch_output(&c->out[1]);
	if (rc >= 0 && c->in_fd >= 0)
		rc = sd_event_add_io(loop, &c->in_source, c->in_fd, EPOLLOUT, on_input_room, c);
	if (rc >= 0 && c->in_source)
		rc = sd_event_source_set_enabled(c->in_source, SD_EVENT_OFF);
	return rc < 0 ? err_set(err, ERR_INTERNAL, -rc, "watch a program") : 0;
}

void child_free(struct child *c)
{
	if (c)
		child_close(c);
}
