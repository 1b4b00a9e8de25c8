#pragma once
/*
 * Log lines of several sources put into the order of their times: pure, no clock, no output, no lock.
 *
 * A line goes on when every other source that has not ended has a later one, for then nothing can come
 * before it any more; or, with a window, when it has waited that long. So what is there is merged exactly,
 * and what is followed comes in order as long as no source is later than the window.
 */
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What of one source may wait for the others: with more, log_merge_is_full(). */
#define LOG_MERGE_BYTES ((size_t)1024 * 1024)

/* A line in CRI's form taken apart; parts of a line that were written one by one are put together. */
struct log_line {
	int64_t time_ns; /* wall clock; of a line without one: that of the line before it, or 0 */
	const char *stream; /* "stdout" "stderr" "journal" "kernel"; "" without a known form */
	const char *text;   /* without its newline, NUL-terminated */
	size_t len;
};

/* -1 stops everything. The line is borrowed. */
typedef int log_line_fn(void *arg, size_t source, const struct log_line *line, struct err *err);

struct log_merge;

/* 'window_ms' < 0: none. NULL when memory is short. */
struct log_merge *log_merge_new(size_t sources, int64_t window_ms, log_line_fn *fn, void *arg);
void log_merge_free(struct log_merge *m);

/* Bytes of one source as they come. */
int log_merge_put(struct log_merge *m, size_t source, const void *bytes, size_t len, int64_t now_ms,
		  struct err *err);
/* Nothing comes from it any more. */
int log_merge_end(struct log_merge *m, size_t source, struct err *err);
/* Time has passed: what has waited long enough goes on. */
int log_merge_tick(struct log_merge *m, int64_t now_ms, struct err *err);
bool log_merge_is_full(const struct log_merge *m, size_t source);
