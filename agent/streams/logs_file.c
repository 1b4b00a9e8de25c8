/*
 * A container's log files as the source of a session: read straight into the session's buffer, one after
 * the other in the order of their rotation.
 *
 * Nothing is lost and nothing doubled because the file that is read is held open, whatever it is called
 * meanwhile: its successor is what stands behind it in the directory's order, found by its inode. A
 * writer goes over to a new file before it puts the first line there; so once the successor has
 * something, what the old one holds at its next end is all that it will ever hold.
 */
#include "agent/runtime/runtime.h"
#include "agent/streams/logs.h"
#include "agent/streams/logs_dir.h"
#include "agent/streams/logs_seek.h"
#include "agent/units/timer.h"
#include "shared/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* Bytes of one turn of the loop: others have theirs in between. */
#define TURN_BYTES ((size_t)256 * 1024)
/* How often the runtime is asked whether the container still runs, while nothing comes. */
#define ALIVE_MS 2000
/* How often to look where the node has no inotify to spare. */
#define POLL_MS 200
/* A rename seen in between may bear a time slightly before it: file systems count in jiffies. */
#define CTIME_SLACK_NS INT64_C(20000000)

struct log_file;

/* A call to the runtime may outlive the session. */
struct alive_call {
	struct log_file *log; /* NULL: the session is over */
};

struct log_file {
	struct stream *stream;
	struct sd_event *loop;
	struct runtime *runtime;
	struct logs_range range;
	char container[64];
	char uid[130];
	uint32_t last_attempt; /* none later than that is read */
	int dir;

	/* The file that is read. */
	int fd;
	struct log_segment segment;
	int64_t offset;
	int64_t stop;      /* not beyond that; INT64_MAX: to its end */
	int64_t seen_ns;   /* wall clock: when it was the last in the directory */
	bool last_look;    /* its successor has begun: what is there now is all */
	size_t line_bytes; /* of the unfinished line so far */
	bool line_is_cut;

	/* Before the first byte: going back through the files for the last lines. */
	bool seeking;
	struct log_segments files;
	size_t file_at, floor_at;
	int64_t floor;
	struct tail_scan scan;

	bool waiting; /* everything has been read */
	bool changed; /* the directory: look at it */
	bool ended;   /* the container does not run any more */
	int inotify;
	sd_event_source *turn;
	sd_event_source *notify;
	sd_event_source *timer;
	struct alive_call *alive;
};

/* --- the end -------------------------------------------------------------------------------------------- */

static void log_close(void *source)
{
	struct log_file *log = source;

	if (!log)
		return;
	if (log->alive)
		log->alive->log = NULL;
	sd_event_source_disable_unref(log->turn);
	sd_event_source_disable_unref(log->notify);
	timer_stop(&log->timer);
	log_segments_release(&log->files);
	if (log->inotify >= 0)
		close(log->inotify);
	if (log->fd >= 0)
		close(log->fd);
	if (log->dir >= 0)
		close(log->dir);
	free(log);
}

DEFINE_CLEANUP(log, struct log_file *, log_close)

static void finish(struct log_file *log, const struct err *err)
{
	struct stream_end end = { 0 };

	if (err)
		end.err = *err;
	sd_event_source_set_enabled(log->turn, SD_EVENT_OFF);
	sd_event_source_set_enabled(log->notify, SD_EVENT_OFF);
	timer_stop(&log->timer);
	stream_finish(log->stream, &end);
}

static void next_turn(struct log_file *log)
{
	sd_event_source_set_enabled(log->turn, SD_EVENT_ONESHOT);
}

static void log_pump(void *source)
{
	next_turn(source);
}

/* --- lines ---------------------------------------------------------------------------------------------- */

/* What of 'bytes' goes on: a line that is longer than LOG_LINE_MAX is cut there. A turn is shorter, so
 * only the line that goes over its borders can be. */
static size_t take_lines(struct log_file *log, uint8_t *bytes, size_t len)
{
	const uint8_t *newline = memrchr(bytes, '\n', len);
	uint8_t *first;

	if (!log->line_is_cut) {
		log->line_bytes =
			newline ? (size_t)(bytes + len - newline - 1) : log->line_bytes + len;
		if (log->line_bytes <= LOG_LINE_MAX)
			return len;
		log->line_is_cut = true;
		return len - (log->line_bytes - LOG_LINE_MAX);
	}
	first = memchr(bytes, '\n', len);
	if (!first)
		return 0;
	log->line_is_cut = false;
	log->line_bytes = (size_t)(bytes + len - newline - 1);
	len -= (size_t)(first - bytes);
	memmove(bytes, first, len);
	return len;
}

/* A file that ends within a line was cut off; the next one begins with a line of its own. False: there is
 * no room for its end. */
static bool end_line(struct log_file *log)
{
	uint8_t *byte;
	size_t room;

	if (log->line_bytes == 0)
		return true;
	byte = stream_reserve(log->stream, STREAM_OUT, &room);
	if (!byte)
		return false;
	*byte = '\n';
	stream_commit(log->stream, 1);
	log->line_bytes = 0;
	log->line_is_cut = false;
	return true;
}

/* --- from file to file ---------------------------------------------------------------------------------- */

/* Where the file that is read stands in 'list'; 'list->count' when it is gone. */
static size_t find_segment(const struct log_segments *list, const struct log_segment *segment)
{
	size_t i = 0;

	while (i < list->count &&
	       (list->items[i].dev != segment->dev || list->items[i].ino != segment->ino))
		i++;
	return i;
}

/* The one behind the file that is read, or NULL. One that was put aside and removed since the last look
 * is followed by the first that changed its name after that. */
static const struct log_segment *find_next(struct log_file *log, const struct log_segments *list)
{
	size_t i = find_segment(list, &log->segment);
	int64_t after_ns = log->seen_ns - CTIME_SLACK_NS;

	if (i < list->count) {
		log->segment.current = list->items[i].current;
		if (list->items[i].current)
			log->seen_ns = clock_wall_ns();
		i++;
	} else {
		for (i = 0; i < list->count; i++) {
			const struct log_segment *item = &list->items[i];

			if (item->attempt > log->segment.attempt ||
			    (item->attempt == log->segment.attempt && item->ctime_ns >= after_ns))
				break;
		}
	}
	return i < list->count && list->items[i].attempt <= log->last_attempt ? &list->items[i]
									      : NULL;
}

static int open_segment(struct log_file *log, const struct log_segment *segment, struct err *err)
{
	int fd;

	if (log_segment_open(log->dir, segment, &fd, err) < 0)
		return -1;
	if (log->fd >= 0)
		close(log->fd);
	log->fd = fd;
	return 0;
}

static int begin_segment(struct log_file *log, const struct log_segment *segment, int64_t offset,
			 struct err *err)
{
	if (open_segment(log, segment, err) < 0)
		return -1;
	log->segment = *segment;
	log->offset = offset;
	log->stop = segment->current && !log->range.follow ? segment->size : INT64_MAX;
	log->seen_ns = clock_wall_ns();
	log->last_look = false;
	log->ended = false;
	return 0;
}

/* True: there may be more to read now. */
static bool go_on_to_next(struct log_file *log)
{
	cleanup_with(log_segments) struct log_segments list = { 0 };
	const struct log_segment *next;
	struct err err;

	log->changed = false;
	if (log_segments_list(log->dir, &list, &err) < 0) {
		finish(log, &err);
		return false;
	}
	next = find_next(log, &list);
	if (!next)
		return false;
	/* Nothing in it yet: its first line tells. */
	if (next->size == 0 && next->current && next->attempt == log->segment.attempt) {
		log->changed = true;
		return false;
	}
	if (!log->last_look) {
		log->last_look = true;
		log->changed = true;
		return true;
	}
	if (!end_line(log)) {
		log->changed = true;
		return false; /* goes on when there is room */
	}
	if (begin_segment(log, next, 0, &err) < 0 && err.code != ERR_ABORTED) {
		finish(log, &err);
		return false;
	}
	log->changed = true;
	return true;
}

/* Written from the start again (copy and truncate): what was there has been read. */
static bool is_truncated(struct log_file *log)
{
	struct stat st;

	if (fstat(log->fd, &st) < 0 || st.st_size >= log->offset)
		return false;
	if (!end_line(log))
		return true; /* goes on when there is room */
	log->offset = 0;
	return st.st_size > 0;
}

static bool directory_is_gone(const struct log_file *log)
{
	struct stat st;

	return fstat(log->dir, &st) < 0 || st.st_nlink == 0;
}

/* --- while nothing comes -------------------------------------------------------------------------------- */

static void on_containers(void *arg, const struct runtime_container *list, size_t count,
			  const struct err *err)
{
	struct alive_call *call = arg;
	struct log_file *log = call->log;
	bool runs = false;

	free(call);
	if (!log)
		return;
	log->alive = NULL;
	if (err)
		return; /* it says nothing of the container */
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, log->container) == 0 && list[i].state != RUNTIME_EXITED)
			runs = true;
	}
	if (runs)
		return;
	log->ended = true;
	log->changed = true;
	next_turn(log);
}

static void ask_whether_it_runs(struct log_file *log)
{
	struct runtime_filter filter = { .pod_uid = log->uid };

	if (!log->runtime || log->alive || log->ended)
		return;
	log->alive = malloc(sizeof(*log->alive));
	if (!log->alive)
		return;
	log->alive->log = log;
	runtime_list_containers(log->runtime, &filter, deadline_in_ms(ALIVE_MS), on_containers,
				log->alive);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct log_file *log = arg;

	(void)timer;
	(void)usec;
	if (log->inotify < 0) {
		log->changed = true;
		next_turn(log);
	}
	if (log->waiting)
		ask_whether_it_runs(log);
	timer_move(log->timer, deadline_in_ms(log->inotify < 0 ? POLL_MS : ALIVE_MS));
	return 0;
}

/* All that came is taken in one go: only that something changed is of interest. */
static int on_notify(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct log_file *log = arg;
	ssize_t len;

	(void)source;
	(void)revents;
	while ((len = read(fd, events, sizeof(events))) > 0) {
		for (const char *at = events; at < events + len;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			log->changed |= (event->mask & ~(uint32_t)IN_MODIFY) != 0;
			at += sizeof(*event) + event->len;
		}
	}
	if (log->waiting)
		next_turn(log);
	return 0;
}

static int watch(struct log_file *log, struct err *err)
{
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", log->dir);
	log->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (log->inotify >= 0 && inotify_add_watch(log->inotify, path,
						   IN_MODIFY | IN_CREATE | IN_MOVE | IN_DELETE |
							   IN_DELETE_SELF | IN_ONLYDIR) < 0) {
		close(log->inotify);
		log->inotify = -1;
	}
	rc = timer_start_lazy(log->loop, deadline_in_ms(log->inotify < 0 ? POLL_MS : ALIVE_MS),
			      POLL_MS / 4, on_timer, log, &log->timer);
	if (rc >= 0 && log->inotify >= 0)
		rc = sd_event_add_io(log->loop, &log->notify, log->inotify, EPOLLIN, on_notify,
				     log);
	return rc < 0 ? err_set(err, ERR_INTERNAL, -rc, "watch a directory of logs") : 0;
}

/* --- a turn --------------------------------------------------------------------------------------------- */

static void at_end_of_file(struct log_file *log)
{
	if (log->range.follow && is_truncated(log)) {
		next_turn(log);
		return;
	}
	if (log->offset < log->stop && log->changed && go_on_to_next(log)) {
		next_turn(log);
		return;
	}
	if (!log->range.follow || log->ended || directory_is_gone(log)) {
		if (end_line(log))
			finish(log, NULL);
		return;
	}
	log->waiting = true;
}

static void read_turn(struct log_file *log)
{
	size_t budget = TURN_BYTES;

	log->waiting = false;
	while (budget > 0) {
		size_t room;
		uint8_t *bytes = stream_reserve(log->stream, STREAM_OUT, &room);
		int64_t left = log->stop - log->offset;
		ssize_t len;
		struct err err;

		if (!bytes)
			return; /* log_pump() goes on */
		if (room > budget)
			room = budget;
		if ((int64_t)room > left)
			room = (size_t)(left > 0 ? left : 0);
		len = room ? pread(log->fd, bytes, room, log->offset) : 0;
		if (len < 0 && errno != EINTR) {
			err_set(&err, ERR_INTERNAL, errno, "cannot read a log file");
			finish(log, &err);
			return;
		}
		if (len == 0) {
			at_end_of_file(log);
			return;
		}
		if (len < 0)
			continue;
		log->offset += len;
		budget -= (size_t)len;
		stream_commit(log->stream, take_lines(log, bytes, (size_t)len));
	}
	next_turn(log);
}

/* --- where to begin ------------------------------------------------------------------------------------- */

/* The files were listed and one after the other is opened: one that was replaced meanwhile is not there,
 * and reading begins behind it. */
static int begin_at(struct log_file *log, size_t file, int64_t offset, struct err *err)
{
	while (begin_segment(log, &log->files.items[file], offset, err) < 0) {
		if (err->code != ERR_ABORTED || file + 1 >= log->files.count)
			return -1;
		file++;
		offset = 0;
	}
	log->seeking = false;
	log->changed = true;
	log_segments_release(&log->files);
	return 0;
}

static int scan_file(struct log_file *log, size_t file, int64_t lines, struct err *err)
{
	const struct log_segment *segment = &log->files.items[file];

	if (open_segment(log, segment, err) < 0)
		return -1;
	log->file_at = file;
	tail_scan_init(&log->scan, log->fd, file == log->floor_at ? log->floor : 0, segment->size,
		       lines);
	return 0;
}

static void seek_turn(struct log_file *log)
{
	struct err err;
	int64_t offset;
	int result = 0;

	if (tail_scan_step(&log->scan, &offset)) {
		if (log->scan.left > 0 && log->file_at > log->floor_at)
			result = scan_file(log, log->file_at - 1, log->scan.left, &err);
		else
			result = begin_at(log, log->file_at, offset, &err);
		if (result < 0 && err.code == ERR_ABORTED)
			result = begin_at(log, log->file_at, 0, &err);
	}
	if (result < 0)
		finish(log, &err);
	else
		next_turn(log);
}

static int on_turn(sd_event_source *source, void *arg)
{
	struct log_file *log = arg;

	(void)source;
	if (log->seeking)
		seek_turn(log);
	else
		read_turn(log);
	return 0;
}

/* Sets the floor: nothing before it is as new as asked for. */
static int find_floor(struct log_file *log, struct err *err)
{
	const struct log_segments *files = &log->files;
	int64_t since_ns = log->range.since_ns;

	for (size_t i = 0; since_ns && i < files->count; i++) {
		bool is_last = i + 1 == files->count;
		cleanup_fd int fd = -1;

		if (!is_last && files->items[i].mtime_ns < since_ns)
			continue;
		if (log_segment_open(log->dir, &files->items[i], &fd, err) < 0)
			return -1;
		log->floor_at = i;
		log->floor = since_seek(fd, files->items[i].size, since_ns);
		if (log->floor < files->items[i].size)
			break;
	}
	return 0;
}

/* Which run it is about: the newest, or the one before it. Leaves only its files in the list. */
static int pick_attempt(struct log_file *log, bool previous, struct err *err)
{
	struct log_segments *files = &log->files;
	uint32_t newest = files->items[files->count - 1].attempt;
	size_t first;

	while (previous && files->count && files->items[files->count - 1].attempt == newest)
		files->count--;
	if (files->count == 0) {
		err_set(err, ERR_NOT_FOUND, 0, "container '%s' has no run before this one",
			log->container);
		return err_explain(err, "NO_PREVIOUS_RUN", NULL);
	}
	log->last_attempt = log->range.follow ? UINT32_MAX : files->items[files->count - 1].attempt;
	first = files->count;
	while (first > 0 &&
	       files->items[first - 1].attempt == files->items[files->count - 1].attempt)
		first--;
	files->count -= first;
	memmove(files->items, files->items + first, files->count * sizeof(*files->items));
	return 0;
}

static int no_file(const struct log_file *log, struct err *err)
{
	if (!log->files.has_others) {
		err_set(err, ERR_NOT_FOUND, 0, "container '%s' has written no log", log->container);
		return err_explain(err, "CONTAINER_LOG_NOT_FOUND", NULL);
	}
	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"the log of container '%s' is no plain file, and links are not followed",
		log->container);
	return err_explain(err, "LOG_NOT_A_FILE", NULL);
}

static int begin(struct log_file *log, bool previous, struct err *err)
{
	size_t last;

	if (log_segments_list(log->dir, &log->files, err) < 0)
		return -1;
	if (log->files.count == 0)
		return no_file(log, err);
	if (pick_attempt(log, previous, err) < 0 || find_floor(log, err) < 0)
		return -1;
	last = log->files.count - 1;
	log->seeking = log->range.tail_lines > 0;
	if (log->seeking)
		return scan_file(log, last, log->range.tail_lines, err);
	if (log->range.tail_lines == 0)
		return begin_at(log, last, log->files.items[last].size, err);
	return begin_at(log, log->floor_at, log->floor, err);
}

/* --- open ----------------------------------------------------------------------------------------------- */

static const struct stream_ops ops = { .kind = "logs", .pump = log_pump, .close = log_close };

static struct log_file *log_new(struct sd_event *loop, const struct container_logs_spec *spec)
{
	struct log_file *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->loop = loop;
	log->runtime = spec->runtime;
	log->range = spec->range;
	log->range.follow &= !spec->previous;
	log->dir = log->fd = log->inotify = -1;
	if (sd_event_add_defer(loop, &log->turn, on_turn, log) < 0) {
		free(log);
		return NULL;
	}
	/* Calls first: a long log is many turns. */
	sd_event_source_set_priority(log->turn, SD_EVENT_PRIORITY_NORMAL + 10);
	sd_event_source_set_enabled(log->turn, SD_EVENT_OFF);
	return log;
}

static int open_dir(struct log_file *log, const struct container_logs_spec *spec, struct err *err)
{
	const char *container = spec->container ? spec->container : "";
	cleanup_fd int pod_fd = -1;

	if (log_pod_open(spec->root, spec->namespace, spec->pod, spec->uid ? spec->uid : "",
			 log->uid, &pod_fd, err) < 0)
		return -1;
	return log_container_open(pod_fd, container, log->container, &log->dir, err);
}

int container_logs_open(struct streams *streams, struct sd_event *loop,
			const struct container_logs_spec *spec, enum method_role role,
			struct stream **ret_stream, struct err *err)
{
	cleanup_with(log) struct log_file *log = log_new(loop, spec);
	int tries = 8;

	if (!log)
		return err_oom(err);
	if (open_dir(log, spec, err) < 0)
		return -1;
	/* Watched before it is listed: what happens in between is seen twice rather than never. */
	if (log->range.follow && watch(log, err) < 0)
		return -1;
	while (begin(log, spec->previous, err) < 0) {
		if (err->code != ERR_ABORTED || --tries == 0)
			return -1;
		log_segments_release(&log->files);
		log->floor_at = 0;
		log->floor = 0;
	}
	if (stream_new(streams, &ops, log, role, &log->stream, err) < 0)
		return -1;
	next_turn(log);
	*ret_stream = log->stream;
	log = NULL;
	return 0;
}
