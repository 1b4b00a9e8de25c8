#pragma once
/*
 * A short-lived program beside the loop, for what would block it: emptying a directory, syncing the
 * file systems. Waited for through a pidfd, so that signals stay out of it.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

struct sd_event;

typedef void helper_fn(void *arg, const struct err *err);

struct helper;

/* Runs argv (argv[0] is looked up in PATH). 'done' once, from the loop and never from within the
 * call; NULL 'err' when it exited with 0. At 'by' it is killed: ERR_DEADLINE_EXCEEDED. The handle is
 * good until 'done'; NULL when memory is short, and then there is no 'done'. */
struct helper *helper_start(struct sd_event *loop, const char *const *argv, struct deadline by,
			    helper_fn *done, void *arg);
/* No 'done' any more; the program goes on alone. */
void helper_cancel(struct helper *h);
