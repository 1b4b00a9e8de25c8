#include "agent/streams/streams_impl.h"

#include "agent/units/timer.h"
#include "shared/base/cleanup.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

static int on_work(sd_event_source *source, void *arg)
{
	struct streams *streams = arg;
	struct stream *s, *next;

	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	DL_FOREACH_SAFE(streams->all, s, next)
	{
		if (!s->due)
			continue;
		s->due = false;
		stream_work(s);
	}
	return 0;
}

void streams_work_later(struct stream *s)
{
	s->due = true;
	sd_event_source_set_enabled(s->streams->work, SD_EVENT_ONESHOT);
}

void streams_wake_by(struct streams *streams, int64_t at_ms)
{
	uint64_t armed_us = 0;
	int on = SD_EVENT_OFF;

	sd_event_source_get_enabled(streams->timer, &on);
	sd_event_source_get_time(streams->timer, &armed_us);
	if (on == SD_EVENT_OFF || armed_us > (uint64_t)at_ms * 1000)
		timer_move(streams->timer, (struct deadline){ .at_ms = at_ms });
}

/* It comes for the first of all waiters and idle sessions; one that was answered or asked for meanwhile
 * leaves a firing in vain. */
static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct streams *streams = arg;
	int64_t now = clock_now_ms(), first = INT64_MAX;
	struct stream *s, *next;

	(void)source;
	(void)usec;
	DL_FOREACH_SAFE(streams->all, s, next)
	{
		int64_t due = stream_expire(s, now);
		int64_t idle_at = s->touched_ms + streams->idle_ms;

		if (idle_at <= now && !s->waiters) {
			stream_close(s);
			continue;
		}
		if (!s->waiters)
			due = idle_at;
		first = due < first ? due : first;
	}
	if (first != INT64_MAX)
		streams_wake_by(streams, first);
	return 0;
}

static int add_sources(struct streams *streams, struct err *err)
{
	int rc = sd_event_add_defer(streams->loop, &streams->work, on_work, streams);

	if (rc >= 0)
		rc = sd_event_source_set_enabled(streams->work, SD_EVENT_OFF);
	if (rc >= 0)
		rc = timer_start(streams->loop, DEADLINE_NEVER, on_timer, streams, &streams->timer);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "streams: watch the loop");
	return 0;
}

DEFINE_CLEANUP(streams, struct streams *, streams_close)

int streams_open(struct sd_event *loop, struct streams **ret_streams, struct err *err)
{
	cleanup_with(streams) struct streams *streams = calloc(1, sizeof(*streams));

	if (!streams)
		return err_oom(err);
	streams->loop = sd_event_ref(loop);
	streams->idle_ms = STREAM_IDLE_MS;
	if (add_sources(streams, err) < 0 || children_open(streams, err) < 0)
		return -1;
	*ret_streams = TAKE(streams);
	return 0;
}

void streams_set_idle(struct streams *streams, int64_t idle_ms)
{
	streams->idle_ms = idle_ms;
}

void streams_close(struct streams *streams)
{
	if (!streams)
		return;
	while (streams->all)
		stream_close(streams->all);
	children_close(streams->children);
	sd_event_source_disable_unref(streams->work);
	timer_stop(&streams->timer);
	sd_event_unref(streams->loop);
	free(streams);
}

/* The agent's malloc is set up to stay small (agent/main.c): each message of a quarter of a megabyte
 * would be mapped, faulted in and unmapped, several times over. While there are sessions such memory is
 * kept; afterwards all goes back. */
void streams_expect_bulk(bool bulk)
{
	mallopt(M_MMAP_THRESHOLD, bulk ? 4 * 1024 * 1024 : 64 * 1024);
	mallopt(M_TRIM_THRESHOLD, bulk ? 8 * 1024 * 1024 : 64 * 1024);
	if (!bulk)
		malloc_trim(0);
}

size_t streams_count(const struct streams *streams)
{
	return streams->count;
}

int streams_make_room(struct streams *streams, struct err *err)
{
	struct stream *s;

	if (streams->count < STREAMS_MAX)
		return 0;
	DL_FOREACH (streams->all, s) {
		if (s->end_told && !s->waiters) {
			stream_close(s);
			return 0;
		}
	}
	err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "the agent has %d sessions open already",
		STREAMS_MAX);
	return err_explain(err, "TOO_MANY_STREAMS", "end some of them, then try again");
}

int stream_new(struct streams *streams, const struct stream_ops *ops, void *source,
	       enum method_role role, struct stream **ret_stream, struct err *err)
{
	cleanup_free struct stream *s = NULL;

	if (streams_make_room(streams, err) < 0)
		return -1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (getrandom(s->id, sizeof(s->id), GRND_NONBLOCK) != sizeof(s->id))
		return err_set(err, ERR_UNAVAILABLE, errno, "no random bytes for a session's id");
	s->streams = streams;
	s->ops = ops;
	s->source = source;
	s->role = role;
	s->touched_ms = clock_now_ms();
	DL_APPEND(streams->all, s);
	if (streams->count++ == 0)
		streams_expect_bulk(true);
	streams_wake_by(streams, s->touched_ms + streams->idle_ms);
	*ret_stream = TAKE(s);
	return 0;
}

static struct stream *find(struct streams *streams, const uint8_t *id, size_t id_len)
{
	struct stream *s;

	if (id_len != STREAM_ID_BYTES)
		return NULL;
	DL_FOREACH (streams->all, s) {
		if (memcmp(s->id, id, STREAM_ID_BYTES) == 0)
			return s;
	}
	return NULL;
}

int streams_find(struct streams *streams, const uint8_t *id, size_t id_len, enum method_role role,
		 struct stream **ret_stream, struct err *err)
{
	struct stream *s = find(streams, id, id_len);

	if (!s) {
		err_set(err, ERR_NOT_FOUND, 0, "the agent has no such session");
		return err_explain(err, "STREAM_GONE", NULL);
	}
	if (role < s->role) {
		err_set(err, ERR_PERMISSION_DENIED, 0, "the session was opened by role '%s'",
			method_role_name(s->role));
		return err_explain(err, "ROLE_TOO_LOW", NULL);
	}
	s->touched_ms = clock_now_ms();
	*ret_stream = s;
	return 0;
}
