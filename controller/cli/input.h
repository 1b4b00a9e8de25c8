#pragma once
/* Files that commands are given. */
#include "shared/base/err.h"
#include "shared/base/text.h"

/* The whole file ("-": stdin), at most 1 MiB. ERR_INVALID_ARGUMENT with the name when it cannot be
 * read: a wrong file is a wrong argument. Caller releases. */
int input_read(const char *path, struct text *ret_text, struct err *err);

/* 'path' itself, or, when it is a directory, its *.yaml, *.yml and *.json files, sorted (none:
 * ERR_INVALID_ARGUMENT). Appended to 'files'. */
int input_expand(const char *path, struct strv *files, struct err *err);
