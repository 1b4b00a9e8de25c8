#pragma once
/* What exec.c and exec_pipe.c share: how a program is started. */
#include "controller/exec/exec.h"

#include <sys/types.h>

/* Close-on-exec; reading from [0] does not block. */
int exec_make_pipe(int ret_ends[2], struct err *err);

/* Starts argv[0] (looked up in PATH) with these as its stdin, stdout and stderr, leading a process group
 * of its own. 'env' as in struct exec_options. Counted by exec_count(). */
int exec_spawn(const struct strv *argv, const struct strv *env, int in, int out, int errs,
	       pid_t *ret_pid, struct err *err);

/* Adds to 't' and keeps only its end: 64 KiB. */
void exec_keep_tail(struct text *t, const char *bytes, size_t len);
