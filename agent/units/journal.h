#pragma once
/*
 * The last journal lines of a unit, for the message of a job that failed (NS-032). journalctl runs
 * as a child; nothing waits for it.
 */
#include "shared/base/deadline.h"

#include <stddef.h>
#include <stdint.h>

struct journal_tail;
struct sd_event;

#define JOURNAL_LINES     20
#define JOURNAL_MAX_BYTES (16 * 1024)

/* 'text' is what was written, oldest first, "" when there is nothing; borrowed until it returns. */
typedef void journal_fn(void *arg, const char *text);

/* Runs 'program' (journalctl) for the unit's lines since 'since_s' (wall clock, seconds), up to
 * JOURNAL_LINES and JOURNAL_MAX_BYTES. 'done' is called once, from the loop, at 'by' at the latest
 * with what there is by then. NULL when it cannot be started; then 'done' is not called. */
struct journal_tail *journal_tail_start(struct sd_event *loop, const char *program,
					const char *unit, int64_t since_s, struct deadline by,
					journal_fn *done, void *arg);

/* 'done' will not be called any more. Takes NULL. Not for a tail whose 'done' was called. */
void journal_tail_stop(struct journal_tail *tail);

/* The last lines of 'text' that fit into 'size' bytes, on one line, " | " between them. Of a last
 * line that is too long by itself, the beginning. */
void journal_flatten(const char *text, char *ret, size_t size);
