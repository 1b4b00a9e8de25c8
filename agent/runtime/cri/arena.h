#pragma once
/*
 * Memory that is given back all at once: for a CRI message while it is built or read. An answer of
 * 100 containers is some thousand small strings; this makes them one walk and one free.
 */
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct arena_block;

/* Zero-initialise; release with arena_release(). Remembers a failure, like 'struct text'. */
struct arena {
	struct arena_block *blocks; /* the newest first */
	size_t total_bytes;
	bool failed;
};

/* Zeroed, aligned for anything, valid until the release. NULL on failure and beyond 64 MiB in all:
 * what an answer of the allowed size may grow to when it is hostile. */
void *arena_alloc(struct arena *a, size_t size);

/* The same for 'count' things of 'size' bytes. At least one byte, so that NULL means failure. */
void *arena_array(struct arena *a, size_t count, size_t size);

/* For protobuf_c_message_unpack(); freeing single things does nothing. */
ProtobufCAllocator arena_allocator(struct arena *a);

void arena_release(struct arena *a);

static inline __attribute__((unused)) void cleanup_arena(struct arena *a)
{
	arena_release(a);
}
