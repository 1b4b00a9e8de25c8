#pragma once
/*
 * Names: those in an archive, made safe, and where `cp SRC DST` puts what. Pure.
 */
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Longest path, and longest name, with their NUL. */
#define COPY_PATH_BYTES 4096
#define COPY_NAME_BYTES 256

/*
 * A name from an archive as a clean relative path: no "." and no empty component; "" is the directory
 * unpacked into. 'top' replaces the first component: "" leaves it, "." takes it away. Refused
 * (ERR_INVALID_ARGUMENT, reason UNSAFE_ARCHIVE): absolute names, "..", names that are too long.
 */
int copy_path_clean(const char *name, const char *top, char ret[COPY_PATH_BYTES], struct err *err);

/* Where a copy goes: 'name' is what the copied thing is called in 'directory'; ".": it is a directory
 * and only what is in it is copied. */
struct copy_target {
	char directory[COPY_PATH_BYTES];
	char name[COPY_NAME_BYTES];
};

/*
 * As kubectl cp and cp(1) have it: into a directory that exists goes the source under its own name,
 * or, of a source that ends with "/.", what is in it; anything else is the new name itself.
 * ERR_NOT_FOUND: 'target' ends with a slash and is no directory. ERR_INVALID_ARGUMENT: a source without
 * a name ("..").
 */
int copy_target_find(const char *source, const char *target, bool target_is_directory,
		     struct copy_target *ret, struct err *err);

/* The last component, without slashes at the end; "." when there is none. False: too long. */
bool copy_base_name(const char *path, char ret[COPY_NAME_BYTES]);
