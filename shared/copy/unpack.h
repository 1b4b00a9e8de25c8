#pragma once
/*
 * A tar archive from whomever into a directory, and never a byte outside of it (security-faults.md
 * I9, I10, A5): names are cleaned (path.h), directories are reached without following links (walk.h),
 * files and links come under a name of their own and are renamed into place (NS-282). Refused, as
 * ERR_INVALID_ARGUMENT with reason UNSAFE_ARCHIVE: absolute names, "..", devices, pipes, sockets, hard links
 * to anything but a file of the directory. Set-user-id and set-group-id are dropped. Compressed archives are not taken,
 * so there is nothing to blow up.
 */
#include "shared/copy/pack.h"

#include <sys/types.h>

/* Entries of one archive, unless said otherwise (I10). */
#define COPY_MAX_ENTRIES 100000

/* The next bytes of the archive, borrowed until the next call; 0 at its end, -1 with '*err'. */
typedef ssize_t copy_source_fn(void *arg, const void **ret_bytes, struct err *err);

struct copy_unpack {
	int dir_fd;           /* where to */
	const char *name;     /* in the place of the archive's first component: see path.h */
	bool keep_owner;      /* as the archive says; else they are the caller's */
	bool sync;            /* on disk when this returns */
	bool steps;           /* do without openat2 */
	uint64_t max_entries; /* 0: COPY_MAX_ENTRIES */
	copy_source_fn *source;
	void *arg;
};

/* Directories that exist stay as they are and get what the archive has for them; files and links are
 * replaced, each at once. After a failure what came before it is there. ERR_DATA_LOSS: no archive, or
 * one that breaks off; ERR_RESOURCE_EXHAUSTED: too many entries, or no room. */
int copy_unpack(const struct copy_unpack *unpack, struct copy_totals *ret, struct err *err);

/* A source over a descriptor. Release it with copy_fd_release(). */
struct copy_fd {
	int fd;
	void *buffer;
};
ssize_t copy_source_fd(void *arg, const void **ret_bytes, struct err *err);
void copy_fd_release(struct copy_fd *source);

/* A source over memory: 'bytes' is handed out once. */
struct copy_memory {
	const void *bytes;
	size_t len;
};
ssize_t copy_source_memory(void *arg, const void **ret_bytes, struct err *err);
