/* The kernel's messages as the source of a session (NS-205): one record a read(2). Everything is there
 * already, so the last N are found by going through them twice: counting, then leaving out. */
#include "agent/streams/logs_kmsg.h"
#include "agent/streams/logs.h"
#include "shared/base/cleanup.h"
#include "shared/base/stamp.h"

#include <systemd/sd-event.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

/* Records of one turn of the loop. */
#define TURN_RECORDS 256
/* The kernel's CONSOLE_EXT_LOG_MAX: no record is longer. */
#define RECORD_BYTES 8192

struct kmsg {
	struct stream *stream;
	int fd;
	struct logs_range range;
	int64_t boot_ns; /* wall clock at the record's 0 */
	bool counting;
	int64_t records; /* while counting */
	int64_t skip;    /* not to be told */
	char line[KMSG_LINE_BYTES];
	size_t line_at, line_len; /* what of it is still to be put */
	sd_event_source *turn;
	sd_event_source *io;
};

/* --- a record ------------------------------------------------------------------------------------------- */

/* syslog(2): the low three bits of the first number. */
static const char *priority_name(unsigned long prefix)
{
	static const char *const names[] = { "emerg", "alert",  "crit", "err",
					     "warn",  "notice", "info", "debug" };

	return names[prefix & 7];
}

static const char *facility_name(unsigned long prefix)
{
	static const char *const names[] = { "kern", "user", "mail", "daemon", "auth",     "syslog",
					     "lpr",  "news", "uucp", "cron",   "authpriv", "ftp" };
	unsigned long facility = prefix >> 3;

	if (facility >= 16 && facility <= 23)
		return "local";
	return facility < ARRAY_LEN(names) ? names[facility] : "unknown";
}

size_t kmsg_format(const char *record, size_t len, int64_t boot_ns, char ret[KMSG_LINE_BYTES],
		   int64_t *ret_ns)
{
	const char *text = memchr(record, ';', len), *end;
	unsigned long long sequence, since_boot_us;
	char stamp[STAMP_BYTES];
	unsigned long prefix;
	int64_t ns;

	if (!text || sscanf(record, "%lu,%llu,%llu", &prefix, &sequence, &since_boot_us) != 3 ||
	    __builtin_mul_overflow(since_boot_us, 1000, &ns) ||
	    __builtin_add_overflow(boot_ns, ns, &ns))
		return 0;
	text++;
	/* Behind the first line are the device's properties. */
	end = memchr(text, '\n', len - (size_t)(text - record));
	if (!end)
		end = record + len;
	*ret_ns = ns;
	stamp_format(ns, stamp);
	return (size_t)snprintf(ret, KMSG_LINE_BYTES, "%s kernel F %s: %s: %.*s\n", stamp,
				facility_name(prefix), priority_name(prefix), (int)(end - text),
				text);
}

/* --- the source ----------------------------------------------------------------------------------------- */

static void kmsg_close(void *source)
{
	struct kmsg *k = source;

	if (!k)
		return;
	sd_event_source_disable_unref(k->turn);
	sd_event_source_disable_unref(k->io);
	if (k->fd >= 0)
		close(k->fd);
	free(k);
}

DEFINE_CLEANUP(kmsg, struct kmsg *, kmsg_close)

static void kmsg_pump(void *source)
{
	struct kmsg *k = source;

	sd_event_source_set_enabled(k->turn, SD_EVENT_ONESHOT);
}

static void finish(struct kmsg *k, int sys)
{
	struct stream_end end = { 0 };

	if (sys)
		err_set(&end.err, ERR_INTERNAL, sys, "cannot read the kernel's messages");
	sd_event_source_set_enabled(k->io, SD_EVENT_OFF);
	stream_finish(k->stream, &end);
}

/* False: there is no room for all of it. */
static bool put_line(struct kmsg *k)
{
	while (k->line_at < k->line_len) {
		size_t room;
		uint8_t *to = stream_reserve(k->stream, STREAM_OUT, &room);

		if (!to)
			return false;
		if (room > k->line_len - k->line_at)
			room = k->line_len - k->line_at;
		memcpy(to, k->line + k->line_at, room);
		stream_commit(k->stream, room);
		k->line_at += room;
	}
	return true;
}

static void take_record(struct kmsg *k, const char *record, size_t len)
{
	size_t line_len;
	int64_t ns;

	if (k->counting) {
		k->records++;
		return;
	}
	if (k->skip > 0) {
		k->skip--;
		return;
	}
	line_len = kmsg_format(record, len, k->boot_ns, k->line, &ns);
	k->line_at = 0;
	k->line_len = line_len && ns >= k->range.since_ns ? line_len : 0;
}

static void at_end(struct kmsg *k)
{
	if (k->counting) {
		k->counting = false;
		k->skip = k->records > k->range.tail_lines ? k->records - k->range.tail_lines : 0;
		lseek(k->fd, 0, SEEK_SET);
		kmsg_pump(k);
	} else if (k->range.follow) {
		sd_event_source_set_enabled(k->io, SD_EVENT_ONESHOT);
	} else {
		finish(k, 0);
	}
}

static int on_turn(sd_event_source *source, void *arg)
{
	char record[RECORD_BYTES + 1];
	struct kmsg *k = arg;

	(void)source;
	for (int i = 0; i < TURN_RECORDS; i++) {
		ssize_t len;

		if (!put_line(k))
			return 0; /* kmsg_pump() goes on */
		len = read(k->fd, record, RECORD_BYTES);
		if (len > 0) {
			record[len] = '\0';
			take_record(k, record, (size_t)len);
		} else if (len == 0 || errno == EAGAIN) {
			at_end(k);
			return 0;
		} else if (errno != EPIPE && errno != EINTR && errno != EINVAL) {
			/* EPIPE: the ring went over us; the next read is the oldest left. */
			finish(k, errno);
			return 0;
		}
	}
	kmsg_pump(k);
	return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)fd;
	(void)revents;
	kmsg_pump(arg);
	return 0;
}

static const struct stream_ops ops = { .kind = "dmesg", .pump = kmsg_pump, .close = kmsg_close };

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int open_device(struct kmsg *k, const char *path, struct err *err)
{
	char byte;

	k->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	/* Where messages are for the privileged only, the first read is what fails. */
	if (k->fd >= 0 && (read(k->fd, &byte, 0) >= 0 || errno != EPERM))
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot read the kernel's messages");
	return err_explain(err, "KERNEL_LOG_NOT_READABLE",
			   "the node needs /dev/kmsg and CAP_SYSLOG; the host's own dmesg has the "
			   "same messages");
}

static int add_sources(struct kmsg *k, struct sd_event *loop, struct err *err)
{
	int rc = sd_event_add_defer(loop, &k->turn, on_turn, k);

	if (rc >= 0)
		rc = sd_event_source_set_priority(k->turn, SD_EVENT_PRIORITY_NORMAL + 10);
	if (rc >= 0)
		rc = sd_event_add_io(loop, &k->io, k->fd, EPOLLIN, on_io, k);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(k->io, SD_EVENT_OFF);
	return rc < 0 ? err_set(err, ERR_INTERNAL, -rc, "watch the kernel's messages") : 0;
}

int kmsg_open(struct streams *streams, struct sd_event *loop, const char *path,
	      const struct logs_range *range, enum method_role role, struct stream **ret_stream,
	      struct err *err)
{
	cleanup_with(kmsg) struct kmsg *k = calloc(1, sizeof(*k));

	if (!k)
		return err_oom(err);
	k->fd = -1;
	k->range = *range;
	k->boot_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	k->counting = range->tail_lines > 0;
	if (open_device(k, path, err) < 0 || add_sources(k, loop, err) < 0)
		return -1;
	lseek(k->fd, 0, range->tail_lines == 0 ? SEEK_END : SEEK_SET);
	if (stream_new(streams, &ops, k, role, &k->stream, err) < 0)
		return -1;
	*ret_stream = k->stream;
	k = NULL;
	return 0;
}
