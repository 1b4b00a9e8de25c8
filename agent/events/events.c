#include "agent/events/events.h"

#include "agent/units/timer.h"
#include "shared/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define DEFAULT_MAX 256

/* One piece of memory an event: its texts stand behind it. */
struct entry {
	struct event event;
	char texts[];
};

struct reader {
	struct reader *prev, *next;
	struct events *events;
	struct events_query query;
	sd_event_source *timer;
	events_fn *done;
	void *arg;
};

struct events {
	struct sd_event *loop;
	sd_event_source *news; /* on for one turn when there is something to tell */
	struct entry *ring[EVENTS_MAX];
	size_t first;
	size_t count;
	uint64_t last_id; /* given out last; before any: where ids begin */
	uint64_t
		lost_id; /* the last that is not in the ring any more, or may have been before us */
	struct reader *readers;
	size_t reader_count;
};

/* --- the ring ----------------------------------------------------------------------------------------- */

static struct event *event_at(const struct events *events, size_t i)
{
	return &events->ring[(events->first + i) % EVENTS_MAX]->event;
}

static void forget_oldest(struct events *events)
{
	events->lost_id = event_at(events, 0)->id;
	free(events->ring[events->first]);
	events->ring[events->first] = NULL;
	events->first = (events->first + 1) % EVENTS_MAX;
	events->count--;
}

static struct entry *entry_new(const char *object, const char *message)
{
	size_t object_len = strlen(object) + 1, message_len = strlen(message) + 1;
	struct entry *entry = malloc(sizeof(*entry) + object_len + message_len);

	if (!entry)
		return NULL;
	memcpy(entry->texts, object, object_len);
	memcpy(entry->texts + object_len, message, message_len);
	entry->event.object = entry->texts;
	entry->event.message = entry->texts + object_len;
	return entry;
}

void events_note(struct events *events, enum event_type type, const char *kind, const char *object,
		 const char *reason, const char *fmt, ...)
{
	char message[EVENT_MESSAGE_BYTES], clean[EVENT_OBJECT_BYTES];
	int64_t now_ns = clock_wall_ns();
	struct entry *entry;
	va_list ap;

	if (!events)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	utf8_copy(message, sizeof(message), message);
	utf8_copy(clean, sizeof(clean), object);
	entry = entry_new(clean, message);
	if (!entry)
		return;
	if ((uint64_t)now_ns / 1000 > events->last_id)
		events->last_id = (uint64_t)now_ns / 1000;
	else
		events->last_id++;
	entry->event.id = events->last_id;
	entry->event.time_ns = now_ns;
	entry->event.type = type;
	entry->event.kind = kind;
	entry->event.reason = reason;
	if (events->count == EVENTS_MAX)
		forget_oldest(events);
	events->ring[(events->first + events->count++) % EVENTS_MAX] = entry;
	if (events->readers)
		sd_event_source_set_enabled(events->news, SD_EVENT_ONESHOT);
}

/* --- readers ------------------------------------------------------------------------------------------ */

/* The first event behind 'id'; ids rise. */
static size_t find_after(const struct events *events, uint64_t id)
{
	size_t low = 0, high = events->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (event_at(events, middle)->id > id)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Who asks for more than there has been read from an agent whose clock was ahead of ours. */
static bool is_gap(const struct events *events, uint64_t after_id)
{
	return after_id && (after_id < events->lost_id || after_id > events->last_id);
}

/* How many there are for 'query'; '*ret_first' is the first of them. */
static size_t select_events(const struct events *events, const struct events_query *query,
			    size_t *ret_first, bool *ret_gap)
{
	size_t max = query->max ? query->max : DEFAULT_MAX;
	size_t first, count;

	*ret_gap = is_gap(events, query->after_id);
	first = query->after_id > events->last_id ? 0 : find_after(events, query->after_id);
	count = events->count - first;
	if (query->tail && count > query->tail) {
		first += count - query->tail;
		count = query->tail;
	}
	*ret_first = first;
	return count < max ? count : max;
}

static void answer(const struct events *events, const struct events_query *query, events_fn *done,
		   void *arg)
{
	const struct event *list[EVENTS_MAX];
	struct events_answer answer = { .list = list };
	size_t first;

	answer.count = select_events(events, query, &first, &answer.gap);
	for (size_t i = 0; i < answer.count; i++)
		list[i] = event_at(events, first + i);
	if (answer.count)
		answer.last_id = list[answer.count - 1]->id;
	else
		answer.last_id = answer.gap || !query->after_id ? events->last_id : query->after_id;
	done(arg, &answer);
}

static void reader_end(struct reader *r)
{
	struct events *events = r->events;
	struct reader gone = *r;

	DL_DELETE(events->readers, r);
	events->reader_count--;
	timer_stop(&r->timer);
	free(r);
	answer(events, &gone.query, gone.done, gone.arg);
}

static int on_late(sd_event_source *timer, uint64_t usec, void *arg)
{
	(void)timer;
	(void)usec;
	reader_end(arg);
	return 0;
}

/* Everybody who waits now; who comes while they are told finds the news by himself. */
static int on_news(sd_event_source *source, void *arg)
{
	struct events *events = arg;
	struct reader *r, *next;

	(void)source;
	DL_FOREACH_SAFE(events->readers, r, next)
	{
		bool gap;
		size_t first;

		if (select_events(events, &r->query, &first, &gap) || gap)
			reader_end(r);
	}
	return 0;
}

static struct reader *reader_new(struct events *events, const struct events_query *query,
				 events_fn *done, void *arg)
{
	struct reader *r = events->reader_count < EVENT_READERS_MAX ? calloc(1, sizeof(*r)) : NULL;

	if (!r || timer_start(events->loop, query->by, on_late, r, &r->timer) < 0) {
		free(r);
		return NULL;
	}
	r->events = events;
	r->query = *query;
	r->done = done;
	r->arg = arg;
	DL_APPEND(events->readers, r);
	events->reader_count++;
	return r;
}

void events_read(struct events *events, const struct events_query *query, events_fn *done,
		 void *arg)
{
	size_t first;
	bool gap;

	if (select_events(events, query, &first, &gap) || gap || deadline_is_over(query->by) ||
	    !reader_new(events, query, done, arg))
		answer(events, query, done, arg);
}

/* --- open and close ----------------------------------------------------------------------------------- */

int events_open(struct sd_event *loop, struct events **ret_events, struct err *err)
{
	struct events *events = calloc(1, sizeof(*events));
	int rc;

	if (!events)
		return err_oom(err);
	rc = sd_event_add_defer(loop, &events->news, on_news, events);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(events->news, SD_EVENT_OFF);
	if (rc < 0) {
		sd_event_source_unref(events->news);
		free(events);
		return err_set(err, ERR_INTERNAL, -rc, "make the ring of events");
	}
	events->loop = loop;
	/* What an agent before us gave out is below; nobody can tell what of it was read. */
	events->last_id = events->lost_id = (uint64_t)clock_wall_ns() / 1000;
	*ret_events = events;
	return 0;
}

void events_close(struct events *events)
{
	if (!events)
		return;
	while (events->readers)
		reader_end(events->readers);
	sd_event_source_disable_unref(events->news);
	while (events->count)
		forget_oldest(events);
	free(events);
}
