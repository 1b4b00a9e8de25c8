#pragma once
/*
 * Ownership in view: declare a resource with its cleanup, move it out once with TAKE.
 *
 *	cleanup_with(node) struct node *node = node_new(spec);
 *	...
 *	*ret_node = TAKE(node);
 *
 * DEFINE_CLEANUP(node, struct node *, node_free) stands beside node_free's declaration; the free
 * function takes NULL.
 */
#include <stdlib.h>
#include <unistd.h>

#define cleanup_with(name) __attribute__((cleanup(cleanup_##name)))

#define DEFINE_CLEANUP(name, type, free_fn)                                \
	static inline __attribute__((unused)) void cleanup_##name(type *p) \
	{                                                                  \
		free_fn(*p);                                               \
	}

/* Yields the pointer and leaves NULL behind. */
#define TAKE(ptr)                              \
	({                                     \
		__typeof__(ptr) take_ = (ptr); \
		(ptr) = NULL;                  \
		take_;                         \
	})

static inline __attribute__((unused)) void cleanup_memory(void *p)
{
	free(*(void **)p);
}

/* For char * and other malloc'd storage. */
#define cleanup_free __attribute__((cleanup(cleanup_memory)))

static inline __attribute__((unused)) void cleanup_fd_value(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* For file descriptors; -1 is "none". */
#define cleanup_fd __attribute__((cleanup(cleanup_fd_value)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
