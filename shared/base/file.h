#pragma once
/* Small files and the directories they lie in, so that whoever reads sees the old or the new. */
#include "shared/base/err.h"

#include <stddef.h>

/* mkdir -p; only what is made gets the mode 0700. Existing is success. */
int file_make_directories(const char *path, struct err *err);

/* All of it to a descriptor that blocks. -1 with errno: some of it may be written. */
int file_write_all(int fd, const void *bytes, size_t len);

/* Writes a temporary file beside 'path' (mode 0600), syncs it, renames it, syncs the directory. After a
 * failure 'path' is as it was. */
int file_replace(const char *path, const void *bytes, size_t len, struct err *err);

/* The same, but not synced, for what can be had again: after the machine's end the file may be empty or hold
 * anything, and whoever reads it must be able to tell. */
int file_replace_cache(const char *path, const void *bytes, size_t len, struct err *err);

/* As file_replace() for a name in an open directory, for one that somebody else may write too: a link of that name
 * is replaced, not followed. */
int file_replace_at(int dir_fd, const char *name, const void *bytes, size_t len, struct err *err);

/* Opens 'name' below 'path', making it (0700) when absent; 'path' is followed, 'name' must be a directory
 * itself. '*ret_fd' is the caller's. */
int file_open_directory(const char *path, const char *name, int *ret_fd, struct err *err);

/* The whole file, NUL-terminated. Caller frees. ERR_NOT_FOUND: there is none; ERR_FAILED_PRECONDITION:
 * it cannot be read, or has more than 'max' bytes. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len, struct err *err);
/* Only a plain file: a link or a pipe of that name is ERR_FAILED_PRECONDITION. */
int file_read_at(int dir_fd, const char *name, size_t max, char **ret_text, size_t *ret_len,
		 struct err *err);

/* Removes a directory and what is in it; links are not followed. Absent is success. */
int file_remove_tree(const char *path, struct err *err);
