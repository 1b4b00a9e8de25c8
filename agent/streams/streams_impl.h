#pragma once
/*
 * For this room alone: the table of sessions, and what a session is made of.
 *
 * What a call into the room sets off (readers that have something now, a source that has room again)
 * happens from 'work', a source of the loop that is due once the call has returned: nobody is called back
 * from within a call, and several puts make one answer.
 */
#include "agent/streams/ring.h"
#include "agent/streams/stream.h"

#include <systemd/sd-event.h>

/* Reads and writes that may wait for one session; one more is ERR_RESOURCE_EXHAUSTED. All sessions
 * together: as many calls as may be parked (LIMIT_PARKING). */
#define STREAM_WAITERS_MAX 16

struct children;

struct stream_waiter {
	bool writes;
	struct deadline by;
	union {
		struct {
			uint64_t offset; /* what lay before it was let go of */
			size_t max;
			stream_read_fn *done;
		} read;
		struct {
			uint64_t offset;
			const uint8_t *bytes; /* borrowed until done */
			size_t len;
			bool eof;
			stream_write_fn *done;
		} write;
	};
	void *arg;
	struct stream_waiter *prev, *next;
};

struct stream {
	struct streams *streams;
	uint8_t id[STREAM_ID_BYTES];
	const struct stream_ops *ops;
	void *source;
	enum method_role role;
	int64_t touched_ms; /* when a call last asked for it */

	struct ring out;
	bool source_waits; /* for room */
	bool finished;
	bool end_told; /* somebody has read to the end */
	struct stream_end end;

	uint64_t in_offset; /* input that was taken */
	bool in_ended;
	bool in_checked; /* its end must come with its sum */
	bool told_sum;
	uint8_t in_sum[SHA256_BYTES]; /* the sender's */
	struct sha256 in_hash;        /* of what was taken */

	struct stream_waiter *waiters;
	size_t waiting;

	bool due; /* for 'work' */
	struct stream *prev, *next;
};

struct streams {
	sd_event *loop;
	int64_t idle_ms;
	struct stream *all;
	size_t count;
	sd_event_source *work;
	sd_event_source *timer; /* the first waiter that is out of time, or session that is idle */
	struct children *children; /* children.c's */
};

/* Sees to it that stream_work() runs once the present call has returned. */
void streams_work_later(struct stream *s);
/* Sees to it that the timer fires at 'at_ms' or before. */
void streams_wake_by(struct streams *streams, int64_t at_ms);

/* Room for one more session, if need be that of one that has told its end. ERR_RESOURCE_EXHAUSTED, reason
 * TOO_MANY_STREAMS. */
int streams_make_room(struct streams *streams, struct err *err);

/* Whether there are sessions, for malloc. */
void streams_expect_bulk(bool bulk);

/* stream.c: answers who can be answered, and tells the source that there is room. */
void stream_work(struct stream *s);
/* Answers the waiters whose time has come. The first deadline of the others, or INT64_MAX. */
int64_t stream_expire(struct stream *s, int64_t now_ms);

/* children.c: ends what an earlier life of the agent left running. */
int children_open(struct streams *streams, struct err *err);
/* Lets go of what it keeps. NULL is fine. */
void children_close(struct children *children);
