#pragma once
/*
 * A file or a directory as a tar archive (pax): modes, times to the nanosecond, symbolic and hard
 * links, numeric owners. No sockets, pipes and devices, which are counted; no extended attributes, no holes.
 */
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes all of 'bytes', or fails the packing with '*err'. */
typedef int copy_sink_fn(void *arg, const void *bytes, size_t len, struct err *err);

struct copy_pack {
	const char *path; /* what to pack */
	const char *name; /* the archive's first component; "." becomes "top" */
	bool follow;      /* 'path' itself may be a link to it; links below stay links */
	copy_sink_fn *sink;
	void *arg;
};

struct copy_totals {
	uint64_t entries;
	uint64_t bytes;   /* of files */
	uint64_t skipped; /* sockets, pipes, devices; what went away meanwhile */
};

/* ERR_NOT_FOUND, ERR_PERMISSION_DENIED (nothing is left out silently); ERR_ABORTED, reason
 * FILE_CHANGED, when a file shrank while it was read. The archive is broken off then. */
int copy_pack(const struct copy_pack *pack, struct copy_totals *ret, struct err *err);

/* A sink: 'arg' points to a descriptor. ERR_UNAVAILABLE when nobody reads it. */
int copy_sink_fd(void *arg, const void *bytes, size_t len, struct err *err);
