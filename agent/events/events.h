#pragma once
/*
 * What happened on the node: a ring in memory that readers follow (proto/node/v1/events.proto, NS-206,
 * NS-281). Nobody waits for a reader: one that fell behind is told of the gap.
 *
 * Ids are the wall clock's microseconds, or the next number where two fall together or the clock went
 * back, so they rise with time and over restarts of the agent. The words for reasons are Kubernetes'
 * where it has one (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/).
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct events;
struct sd_event;

/* Kept; the one before them goes. With texts as long as they may be, 600 KiB. */
#define EVENTS_MAX 1024
/* Longer texts are cut. */
#define EVENT_OBJECT_BYTES  256
#define EVENT_MESSAGE_BYTES 320
/* Readers that may wait at a time; one more is answered at once with what there is. */
#define EVENT_READERS_MAX 64

enum event_type { EVENT_NORMAL, EVENT_WARNING };

struct event {
	uint64_t id;
	int64_t time_ns; /* wall clock */
	enum event_type type;
	const char *kind;   /* "pod" "container" "unit" "node" "agent"; static */
	const char *reason; /* CamelCase; static */
	const char *object;
	const char *message;
};

struct events_query {
	uint64_t after_id; /* 0: from the oldest */
	size_t max;        /* at most EVENTS_MAX count; 0: 256 */
	size_t tail;       /* begin with the last so many; 0: no matter */
	struct deadline by;
};

/* Borrowed until 'done' returns. */
struct events_answer {
	const struct event *const *list; /* oldest first */
	size_t count;
	uint64_t last_id; /* the next after_id */
	bool gap;         /* events after 'after_id' are gone */
};

typedef void events_fn(void *arg, const struct events_answer *answer);

/* The loop is borrowed. */
int events_open(struct sd_event *loop, struct events **ret_events, struct err *err);
/* Waiting readers are answered with nothing. NULL is fine. */
void events_close(struct events *events);

/* Notes one. 'kind' and 'reason' are static, the rest is copied, controls and bytes that are no UTF-8
 * replaced. Readers are told from the loop, never from within. NULL is fine; an event for which there
 * is no memory is lost. */
void events_note(struct events *events, enum event_type type, const char *kind, const char *object,
		 const char *reason, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* 'done' comes once: at once when there are any, else with the first one or at 'by'. */
void events_read(struct events *events, const struct events_query *query, events_fn *done,
		 void *arg);
