#pragma once
/*
 * Sessions on a loop of their own, and one reader: each rig call makes the room's call and runs the loop
 * until its answer is there.
 */
#include "agent/streams/stream.h"

#include <systemd/sd-event.h>

/* What one read or write was answered. */
struct st_answer {
	unsigned count; /* how often 'done' was called */
	struct err err;
	uint64_t next_offset;
	size_t pieces;
	size_t len;        /* bytes in all */
	char text[4096];   /* the first of them, NUL-terminated */
	char channels[64]; /* "12" for a piece of output and one of standard error */
	uint64_t sum;      /* FNV-1a over all bytes of this answer */
	bool ended;
	struct stream_end end;
};

/* All that came out until the end. */
struct st_output {
	char text[8192]; /* of STREAM_OUT, the first bytes */
	char errors[4096];
	uint64_t bytes; /* of both */
	uint64_t sum;   /* FNV-1a over all of them */
	struct stream_end end;
};

#define ST_SUM_START 0xcbf29ce484222325ull
uint64_t st_sum(uint64_t sum, const void *bytes, size_t len);

struct st_rig {
	sd_event *loop;
	struct streams *streams;
};

/* cmocka's: '*state' becomes the rig. */
int st_setup(void **state);
int st_teardown(void **state);

/* Starts a read; '*answer' is filled whenever it is answered. */
void st_read(struct stream *s, uint64_t offset, size_t max, int64_t wait_ms,
	     struct st_answer *answer);
void st_write(struct stream *s, uint64_t offset, const void *bytes, size_t len, bool eof,
	      int64_t wait_ms, struct st_answer *answer);
/* Runs the loop until 'answer' is there; fails the test after ten seconds. */
void st_wait(struct st_rig *rig, const struct st_answer *answer);
/* Runs the loop until it has nothing to do at once. */
void st_settle(struct st_rig *rig);
/* Runs the loop until the condition holds; fails the test after ten seconds. */
#define st_until(rig, condition)                                \
	do {                                                    \
		struct deadline until_ = deadline_in_ms(10000); \
		while (!(condition)) {                          \
			assert_false(deadline_is_over(until_)); \
			sd_event_run((rig)->loop, 10000);       \
		}                                               \
	} while (0)

/* Reads from 'offset' to the end of the session. */
void st_read_all(struct st_rig *rig, struct stream *s, uint64_t offset, struct st_output *ret);
/* Writes all of it, then the end of input. */
void st_write_all(struct st_rig *rig, struct stream *s, const void *bytes, size_t len);
