#pragma once
/*
 * The output of one session that has not been let go of: a ring of STREAM_BUFFER_BYTES, addressed by
 * offsets that count from 0, with a run of bytes for every change of channel. Pure: no loop, no clock.
 * Offsets cannot overflow in practice (2^64 bytes).
 */
#include "agent/streams/stream.h"

/* Changes of channel that are kept; with more, there is no room until some have been let go of. */
#define RING_RUNS_MAX 256
/* Most pieces of one look: each run one, and one that goes over the ring's end two. */
#define RING_PIECES_MAX (RING_RUNS_MAX + 1)

struct ring_memory;

/* Zero-initialise; release with ring_release(). */
struct ring {
	struct ring_memory *memory; /* NULL while nothing is kept */
	uint64_t origin;            /* the offset that lies at the memory's first byte */
	uint64_t start, end;        /* offsets kept: start <= x < end */
	size_t runs_at, runs;       /* first run and count, in the memory's table */
	enum stream_channel reserved;
};

void ring_release(struct ring *r);

/* Bytes that may be put. */
size_t ring_room(const struct ring *r);

/* Memory to fill, '*ret_len' bytes in one piece; NULL and 0 when there is no room or no memory. */
uint8_t *ring_reserve(struct ring *r, enum stream_channel channel, size_t *ret_len);
/* Says how much of it was filled. */
void ring_commit(struct ring *r, size_t len);

/* Lets go of all below 'offset' (start <= offset <= end). */
void ring_drop(struct ring *r, uint64_t offset);
/* Gives the memory back when nothing is kept. */
void ring_shrink(struct ring *r);

/* The first bytes kept, at most 'max', as pieces borrowed until the next change; returns how many
 * pieces ('pieces' has room for RING_PIECES_MAX), '*ret_next' is the offset behind them. */
size_t ring_look(const struct ring *r, size_t max, struct stream_piece *pieces, uint64_t *ret_next);
