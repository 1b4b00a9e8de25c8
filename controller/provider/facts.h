#pragma once
/*
 * Reading the host, below any root: tests make a small tree of files and read that.
 */
#include "controller/provider/provider.h"

/* Like host_facts_read(), with every path below 'root' ("" for the host's own) and programs looked
 * up in 'path' (as $PATH; NULL: nowhere). Limits, capabilities and user are this process's. */
void host_facts_read_below(const char *root, const char *path, struct host_facts *ret);

/* First 'size' - 1 bytes of a file below 'root', NUL-terminated, without the last newline. False when
 * it cannot be read. */
bool host_file_read(const char *root, const char *path, char *ret, size_t size);
/* A file that holds one number. */
bool host_number_read(const char *root, const char *path, int64_t *ret);

/* Where 'program' is in 'path'; false when nowhere. 'ret' is changed in any case. */
bool host_find_program(const char *path, const char *program, char *ret, size_t size);
/* Whether it is anywhere. */
bool host_has_program(const char *path, const char *program);

/* Whether 'word' is one of the blank-separated words of 'list'. */
bool host_has_word(const char *list, const char *word);
