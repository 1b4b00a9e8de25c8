#pragma once
/*
 * A program whose stdin and stdout are a byte pipe for us, for as long as we like: what a relay runs in.
 */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stddef.h>

struct exec_pipe;

/* Starts argv[0] (looked up in PATH). ERR_NOT_FOUND, reason PROGRAM_NOT_FOUND: there is none. Safe from any
 * thread. */
int exec_pipe_open(const struct strv *argv, struct exec_pipe **ret_pipe, struct err *err);

/* Ends its process group: SIGTERM, after 2 s SIGKILL; reaps it. NULL is fine. */
void exec_pipe_close(struct exec_pipe *pipe);
DEFINE_CLEANUP(exec_pipe, struct exec_pipe *, exec_pipe_close)

/* Its stdin and stdout, from our side: non-blocking. Borrowed. */
int exec_pipe_in(const struct exec_pipe *pipe);
int exec_pipe_out(const struct exec_pipe *pipe);

/* The last non-empty line that it has written to stderr, "" when there is none. Waits up to half a second
 * for its end, when it has closed its stdout already. */
void exec_pipe_complaint(struct exec_pipe *pipe, char *ret, size_t size);
