#pragma once
/*
 * Directories below a root, reached without ever following a symbolic link (security-faults.md I9):
 * openat2(2) where the kernel has it, else one openat(2) a component.
 */
#include "shared/base/err.h"

#include <fcntl.h>
#include <stdbool.h>

/* A directory to make, link and rename names in, not to read. */
#ifdef O_PATH
#define WALK_OPEN_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#else
#define WALK_OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#endif

/* 'path' is relative, clean (see path.h) and below 'root_fd'; "" is the root itself. The descriptor
 * is the caller's. A link or something else that is no directory on the way: ERR_FAILED_PRECONDITION,
 * reason NOT_A_DIRECTORY; ERR_NOT_FOUND. 'steps' leaves openat2 out. */
int walk_open(int root_fd, const char *path, bool steps, int *ret_fd, struct err *err);
