#pragma once
/* A thread that does one thing at a time beside its owner. Only the owner's thread calls these. */
#include "shared/base/err.h"

#include <stdbool.h>

struct ahead;

typedef void ahead_fn(void *arg);

/* Starts the thread. ERR_RESOURCE_EXHAUSTED when there is none to be had. */
int ahead_open(struct ahead **ret_ahead, struct err *err);
/* Waits for what is under way, and ends the thread. NULL is fine. */
void ahead_close(struct ahead *ahead);

/* 'fn' begins on the thread; nothing may be under way. What 'arg' leads to is the thread's until
 * ahead_wait() has returned. */
void ahead_begin(struct ahead *ahead, ahead_fn *fn, void *arg);
/* True: what was begun is over now. False: nothing was. */
bool ahead_wait(struct ahead *ahead);
