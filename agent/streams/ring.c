#include "agent/streams/ring.h"

#include <assert.h>
#include <stdlib.h>

struct ring_run {
	uint64_t end; /* offset behind its last byte */
	enum stream_channel channel;
};

struct ring_memory {
	struct ring_run runs[RING_RUNS_MAX];
	uint8_t bytes[STREAM_BUFFER_BYTES];
};

void ring_release(struct ring *r)
{
	free(r->memory);
	r->memory = NULL;
}

static struct ring_run *run_at(const struct ring *r, size_t i)
{
	return &r->memory->runs[(r->runs_at + i) % RING_RUNS_MAX];
}

static size_t position(const struct ring *r, uint64_t offset)
{
	return (size_t)((offset - r->origin) % STREAM_BUFFER_BYTES);
}

size_t ring_room(const struct ring *r)
{
	if (r->runs == RING_RUNS_MAX)
		return 0;
	return STREAM_BUFFER_BYTES - (size_t)(r->end - r->start);
}

uint8_t *ring_reserve(struct ring *r, enum stream_channel channel, size_t *ret_len)
{
	size_t room = ring_room(r), at, straight;

	if (!r->memory)
		r->memory = malloc(sizeof(*r->memory));
	if (room == 0 || !r->memory) {
		*ret_len = 0;
		return NULL;
	}
	/* Small outputs stay in the memory's first pages. */
	if (r->start == r->end)
		r->origin = r->end;
	at = position(r, r->end);
	straight = STREAM_BUFFER_BYTES - at;
	r->reserved = channel;
	*ret_len = room < straight ? room : straight;
	return r->memory->bytes + at;
}

void ring_commit(struct ring *r, size_t len)
{
	if (len == 0)
		return;
	assert(r->memory && len <= ring_room(r));
	r->end += len;
	if (r->runs == 0 || run_at(r, r->runs - 1)->channel != r->reserved)
		run_at(r, r->runs++)->channel = r->reserved;
	run_at(r, r->runs - 1)->end = r->end;
}

void ring_drop(struct ring *r, uint64_t offset)
{
	assert(offset >= r->start && offset <= r->end);
	r->start = offset;
	while (r->runs > 0 && run_at(r, 0)->end <= offset) {
		r->runs_at = (r->runs_at + 1) % RING_RUNS_MAX;
		r->runs--;
	}
}

void ring_shrink(struct ring *r)
{
	if (r->start == r->end)
		ring_release(r);
}

size_t ring_look(const struct ring *r, size_t max, struct stream_piece *pieces, uint64_t *ret_next)
{
	uint64_t at = r->start, stop = r->end - r->start > max ? r->start + max : r->end;
	size_t count = 0, run = 0;

	while (at < stop) {
		uint64_t run_end = run_at(r, run)->end;
		uint64_t to = run_end < stop ? run_end : stop;
		size_t from = position(r, at);
		size_t straight = STREAM_BUFFER_BYTES - from;
		size_t len = to - at < straight ? (size_t)(to - at) : straight;

		pieces[count++] = (struct stream_piece){
			.channel = run_at(r, run)->channel,
			.bytes = r->memory->bytes + from,
			.len = len,
		};
		at += len;
		if (at == run_end)
			run++;
	}
	*ret_next = at;
	return count;
}
