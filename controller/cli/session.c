#include "controller/cli/session.h"

#include "controller/cli/signals.h"
#include "controller/cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A command's own end must not take longer than this many requests to stop. */
#define STOPS_MAX 3

#define SESSIONS_MAX 1024

struct session_set {
	struct invocation *inv;
	struct session_how how;
	int signals; /* their numbers, one byte each */
	int stop[2]; /* readable: end everything */
	int over[2]; /* readable: the set is closed */
	unsigned stops;
	bool has_thread;
	pthread_t thread;

	pthread_mutex_t lock; /* of the rest */
	struct client_stream *sessions[SESSIONS_MAX];
	size_t count;
};

static void ring(int fd)
{
	while (write(fd, "", 1) < 0 && errno == EINTR)
		;
}

/* --- signals --------------------------------------------------------------------------------------- */

static void resize(struct client_stream *s)
{
	unsigned rows, columns;
	struct err ignored;

	if (terminal_size(&rows, &columns))
		client_stream_resize(s, rows, columns, &ignored);
}

/* The numbers are Linux's on the node, and these are the same everywhere. */
static void hand_on(struct session_set *set, int number)
{
	bool taken = true;
	struct err ignored;

	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; i < set->count; i++) {
		if (number != SIGWINCH)
			taken &= client_stream_signal(set->sessions[i], number, &ignored) == 0;
		else if (set->how.tty)
			resize(set->sessions[i]);
	}
	/* What cannot be told to the command ends the session, as it would end a command here. */
	if (number != SIGWINCH && (set->count == 0 || !taken || ++set->stops >= STOPS_MAX))
		ring(set->stop[1]);
	pthread_mutex_unlock(&set->lock);
	/* The terminal is gone: nobody is left to ask a second time. */
	if (number == SIGHUP)
		ring(set->stop[1]);
}

static void *follow_signals(void *arg)
{
	struct session_set *set = arg;
	struct pollfd fds[2] = { { .fd = set->signals, .events = POLLIN },
				 { .fd = set->over[0], .events = POLLIN } };
	unsigned char number;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			return NULL;
		while (read(set->signals, &number, 1) == 1)
			hand_on(set, number);
	}
}

/* --- the set --------------------------------------------------------------------------------------- */

static void close_pair(int fds[2])
{
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static int start(struct session_set *set, struct err *err)
{
	if (pipe(set->stop) < 0 || pipe(set->over) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a pipe");
	if (signals_divert(&set->signals, err) < 0)
		return -1;
	if (pthread_create(&set->thread, NULL, follow_signals, set) != 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "cannot start a thread");
	set->has_thread = true;
	return 0;
}

int session_set_open(struct invocation *inv, const struct session_how *how,
		     struct session_set **ret_set, struct err *err)
{
	cleanup_with(session_set) struct session_set *set = calloc(1, sizeof(*set));

	if (!set)
		return err_oom(err);
	set->inv = inv;
	set->how = *how;
	set->signals = set->stop[0] = set->stop[1] = set->over[0] = set->over[1] = -1;
	pthread_mutex_init(&set->lock, NULL);
	if (start(set, err) < 0)
		return -1;
	*ret_set = TAKE(set);
	return 0;
}

void session_set_close(struct session_set *set)
{
	if (!set)
		return;
	terminal_restore();
	if (set->has_thread) {
		ring(set->over[1]);
		pthread_join(set->thread, NULL);
	}
	close_pair(set->stop);
	close_pair(set->over);
	if (set->signals >= 0)
		close(set->signals);
	pthread_mutex_destroy(&set->lock);
	free(set);
}

static int add(struct session_set *set, struct client_stream *s, struct err *err)
{
	bool fits;

	pthread_mutex_lock(&set->lock);
	fits = set->count < SESSIONS_MAX;
	if (fits)
		set->sessions[set->count++] = s;
	pthread_mutex_unlock(&set->lock);
	return fits ? 0 : err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "too many nodes at once");
}

static void drop(struct session_set *set, struct client_stream *s)
{
	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; i < set->count; i++) {
		if (set->sessions[i] == s)
			set->sessions[i] = set->sessions[--set->count];
	}
	pthread_mutex_unlock(&set->lock);
}

/* --- output ---------------------------------------------------------------------------------------- */

/* Of one session. */
struct output {
	struct session_set *set;
	const char *node;
	struct text line[2]; /* begun, of output and of standard error */
};

static int put(FILE *to, const void *bytes, size_t len, struct err *err)
{
	if (fwrite(bytes, 1, len, to) == len && fflush(to) == 0)
		return 0;
	err_set(err, ERR_CANCELLED, errno, "nobody reads the output");
	return err_explain(err, "OUTPUT_CLOSED", NULL);
}

static int put_lines(struct output *o, FILE *to, struct text *line, struct err *err)
{
	cleanup_with(text) struct text lines = { 0 };
	const char *at = text_str(line), *newline;
	int rc;

	while ((newline = memchr(at, '\n', line->len - (size_t)(at - line->data)))) {
		text_addf(&lines, "%s: ", o->node);
		text_add_bytes(&lines, at, (size_t)(newline - at) + 1);
		at = newline + 1;
	}
	if (at == line->data)
		return 0;
	line->len -= (size_t)(at - line->data);
	memmove(line->data, at, line->len + 1);
	pthread_mutex_lock(&o->set->lock);
	rc = text_failed(&lines) ? err_oom(err) : put(to, lines.data, lines.len, err);
	pthread_mutex_unlock(&o->set->lock);
	return rc;
}

/* client_stream_data_fn */
static int on_data(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	struct output *o = arg;
	bool is_error = channel == CLIENT_STREAM_ERR;
	FILE *to = is_error ? o->set->inv->errs : o->set->inv->out;
	struct text *line = &o->line[is_error];

	if (!o->set->how.name_lines)
		return put(to, bytes, len, err);
	text_add_bytes(line, bytes, len);
	if (text_failed(line))
		return err_oom(err);
	return line->len ? put_lines(o, to, line, err) : 0;
}

/* A last line that has no end gets one. */
static void finish(struct output *o)
{
	FILE *const files[] = { o->set->inv->out, o->set->inv->errs };
	struct err ignored;

	for (int i = 0; i < 2; i++) {
		if (o->line[i].len > 0) {
			text_add(&o->line[i], "\n");
			put_lines(o, files[i], &o->line[i], &ignored);
		}
		text_release(&o->line[i]);
	}
}

int session_run(struct session_set *set, struct client_stream *s, const char *node,
		struct client_stream_end *ret_end, struct err *err)
{
	struct output output = { .set = set, .node = node };
	struct client_stream_io io = {
		.in_fd = set->how.input ? STDIN_FILENO : -1,
		.stop_fd = set->stop[0],
		.data = on_data,
		.arg = &output,
	};
	int rc;

	if (add(set, s, err) < 0)
		return -1;
	if (set->how.tty && set->how.input)
		terminal_make_raw();
	rc = client_stream_run(s, &io, set->inv->by, ret_end, err);
	terminal_restore();
	drop(set, s);
	finish(&output);
	return rc;
}
