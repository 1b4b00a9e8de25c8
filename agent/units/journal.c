#include "agent/units/journal.h"

#include "agent/units/timer.h"
#include "shared/base/cleanup.h"
#include "shared/base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct journal_tail {
	pid_t pid;
	int pipe;
	sd_event_source *read_source;
	sd_event_source *timer;
	journal_fn *done;
	void *arg;
	size_t len;
	char text[JOURNAL_MAX_BYTES + 1];
};

/* --- the child -------------------------------------------------------------------------------- */

static int fill_actions(posix_spawn_file_actions_t *actions, int out)
{
	int r = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);

	if (!r)
		r = posix_spawn_file_actions_adddup2(actions, out, 1);
	if (!r)
		r = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	return r;
}

static int fill_attr(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* 0 or an errno, as posix_spawn(3). */
static int spawn(const char *program, char *const argv[], int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r;

	if (posix_spawn_file_actions_init(&actions))
		return ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&actions);
		return ENOMEM;
	}
	r = fill_actions(&actions, out);
	if (!r)
		r = fill_attr(&attr);
	if (!r)
		r = posix_spawn(ret_pid, program, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int spawn_journalctl(const char *program, const char *unit, int64_t since_s, int out,
			    pid_t *ret_pid)
{
	char unit_arg[300], since_arg[40], lines_arg[32];
	char *argv[] = { (char *)program,
			 (char *)"--no-pager",
			 (char *)"--quiet",
			 (char *)"--boot",
			 (char *)"--output=cat",
			 lines_arg,
			 unit_arg,
			 since_arg,
			 NULL };

	snprintf(lines_arg, sizeof(lines_arg), "--lines=%d", JOURNAL_LINES);
	snprintf(unit_arg, sizeof(unit_arg), "--unit=%s", unit);
	snprintf(since_arg, sizeof(since_arg), "--since=@%" PRId64, since_s);
	return spawn(program, argv, out, ret_pid);
}

/* --- its end ---------------------------------------------------------------------------------- */

static int on_child_end(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)fd;
	(void)events;
	waitpid((pid_t)(intptr_t)arg, NULL, WNOHANG);
	sd_event_source_set_floating(source, 0); /* frees it after this */
	return 0;
}

/* Without waiting: what does not end at once is left to a source that the loop owns. */
static void reap(struct sd_event *loop, pid_t pid)
{
	cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	sd_event_source *source = NULL;

	kill(pid, SIGKILL); /* our own child, not waited for yet: the pid cannot be another's */
	if (waitpid(pid, NULL, WNOHANG) == pid || pidfd < 0)
		return;
	if (sd_event_add_io(loop, &source, pidfd, EPOLLIN, on_child_end, (void *)(intptr_t)pid) < 0)
		return;
	sd_event_source_set_io_fd_own(source, 1);
	take_fd(&pidfd);
	sd_event_source_set_floating(source, 1);
	sd_event_source_unref(source);
}

void journal_tail_stop(struct journal_tail *tail)
{
	if (!tail)
		return;
	if (tail->pid > 0)
		reap(sd_event_source_get_event(tail->timer), tail->pid);
	tail->read_source = sd_event_source_disable_unref(tail->read_source);
	timer_stop(&tail->timer);
	if (tail->pipe >= 0)
		close(tail->pipe);
	free(tail);
}

static void tail_finish(struct journal_tail *tail)
{
	tail->text[tail->len] = '\0';
	tail->done(tail->arg, tail->text);
	journal_tail_stop(tail);
}

static int on_late(sd_event_source *timer, uint64_t usec, void *arg)
{
	(void)timer;
	(void)usec;
	tail_finish(arg);
	return 0;
}

/* The last lines are the ones that tell: a full buffer loses its first half. */
static void make_room(struct journal_tail *tail)
{
	size_t half = tail->len / 2;

	if (tail->len < JOURNAL_MAX_BYTES)
		return;
	memmove(tail->text, tail->text + half, tail->len - half);
	tail->len -= half;
}

static int on_text(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct journal_tail *tail = arg;
	ssize_t len;

	(void)source;
	(void)events;
	make_room(tail);
	len = read(fd, tail->text + tail->len, JOURNAL_MAX_BYTES - tail->len);
	if (len > 0)
		tail->len += (size_t)len;
	else if (len == 0 || (errno != EAGAIN && errno != EINTR))
		tail_finish(tail);
	return 0;
}

/* --- for callers ------------------------------------------------------------------------------ */

static int tail_open(struct journal_tail *tail, struct sd_event *loop, const char *program,
		     const char *unit, int64_t since_s)
{
	cleanup_fd int out = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	tail->pipe = ends[0];
	out = ends[1];
	if (fcntl(tail->pipe, F_SETFL, O_NONBLOCK) < 0)
		return -1;
	if (sd_event_add_io(loop, &tail->read_source, tail->pipe, EPOLLIN, on_text, tail) < 0)
		return -1;
	return spawn_journalctl(program, unit, since_s, out, &tail->pid) ? -1 : 0;
}

struct journal_tail *journal_tail_start(struct sd_event *loop, const char *program,
					const char *unit, int64_t since_s, struct deadline by,
					journal_fn *done, void *arg)
{
	struct journal_tail *tail = calloc(1, sizeof(*tail));

	if (!tail)
		return NULL;
	tail->pipe = -1;
	tail->done = done;
	tail->arg = arg;
	if (timer_start(loop, by, on_late, tail, &tail->timer) < 0 ||
	    tail_open(tail, loop, program, unit, since_s) < 0) {
		tail->pid = 0;
		journal_tail_stop(tail);
		return NULL;
	}
	return tail;
}

/* Where the line that ends before 'end' begins. */
static const char *line_start(const char *text, const char *end)
{
	while (end > text && end[-1] != '\n')
		end--;
	return end;
}

void journal_flatten(const char *text, char *ret, size_t size)
{
	static const char between[] = " | ";
	const char *end = text + strlen(text);
	char line[JOURNAL_MAX_BYTES + 1];
	char out[1024] = "", more[1024];
	bool first = true;

	while (end > text) {
		const char *start = line_start(text, end);

		snprintf(line, sizeof(line), "%.*s", (int)(end - start), start);
		end = start > text ? start - 1 : text;
		if (!*line)
			continue;
		utf8_copy(more, sizeof(more) < size ? sizeof(more) : size, line);
		if (!first && strlen(more) + strlen(between) + strlen(out) >= size)
			break;
		if (!first) {
			strncat(more, between, sizeof(more) - strlen(more) - 1);
			strncat(more, out, sizeof(more) - strlen(more) - 1);
		}
		memcpy(out, more, sizeof(out));
		first = false;
	}
	utf8_copy(ret, size, out);
}
