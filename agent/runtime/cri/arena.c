#include "agent/runtime/cri/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES   ((size_t)64 << 20)
#define FIRST_BLOCK 4096
#define LARGE_BLOCK 65536
#define ALIGNMENT   16

struct arena_block {
	struct arena_block *next;
	size_t size;
	size_t used;
	_Alignas(ALIGNMENT) unsigned char data[];
};

static struct arena_block *add_block(struct arena *a, size_t need)
{
	size_t size = a->blocks ? LARGE_BLOCK : FIRST_BLOCK;
	struct arena_block *block;

	if (size < need)
		size = need;
	if (size > MAX_BYTES - a->total_bytes)
		return NULL;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return NULL;
	*block = (struct arena_block){ .next = a->blocks, .size = size };
	a->blocks = block;
	a->total_bytes += size;
	return block;
}

static void *take(struct arena *a, size_t size)
{
	struct arena_block *block = a->blocks;
	void *p;

	if (a->failed || size > MAX_BYTES) {
		a->failed = true;
		return NULL;
	}
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!block || block->size - block->used < size)
		block = add_block(a, size);
	if (!block) {
		a->failed = true;
		return NULL;
	}
	p = block->data + block->used;
	block->used += size;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p = take(a, size);

	return p ? memset(p, 0, size) : NULL;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	if (size && count > MAX_BYTES / size) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, count > 0 ? count * size : 1);
}

static void *allocator_alloc(void *data, size_t size)
{
	return take(data, size);
}

static void allocator_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

ProtobufCAllocator arena_allocator(struct arena *a)
{
	return (ProtobufCAllocator){ allocator_alloc, allocator_free, a };
}

void arena_release(struct arena *a)
{
	struct arena_block *block;

	while ((block = a->blocks)) {
		a->blocks = block->next;
		free(block);
	}
	*a = (struct arena){ 0 };
}
