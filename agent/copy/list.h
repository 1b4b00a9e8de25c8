#pragma once
/*
 * Names below a path as records of NUL-ended fields, for the agent to read: name, size, mode, time of
 * change (nanoseconds), uid, gid, link, error. A last record of the name "" says that there is more.
 */
#include "shared/base/err.h"

#include <stdio.h>

#define LIST_DEPTH_MAX 64
/* Records, and bytes of them: what fits into one reply (shared/wire/wire.h). */
#define LIST_MAX       2000
#define LIST_BYTES_MAX ((size_t)256 * 1024)

/* 'path' itself is "." and followed when it is a link that leads somewhere. 'depth' 0: only it and
 * what is in it. What cannot be looked at has its reason. ERR_NOT_FOUND: there is no 'path'. */
int list_files(const char *path, unsigned depth, FILE *out, struct err *err);
