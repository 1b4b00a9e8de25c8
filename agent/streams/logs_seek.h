#pragma once
/*
 * Where in a log file to begin. Reading in pieces, so that the loop is never held up: a long way back
 * takes several steps.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most bytes that one step reads. */
#define SEEK_STEP_BYTES ((size_t)256 * 1024)

/* Going back through one file, from its end. */
struct tail_scan {
	int fd;
	int64_t floor; /* not further back than that */
	int64_t size;
	int64_t at;   /* what is behind it has been seen */
	int64_t left; /* lines still to be found */
};

void tail_scan_init(struct tail_scan *scan, int fd, int64_t floor, int64_t size, int64_t lines);
/* One step. True: it has ended; '*ret_offset' is where to begin, and scan->left says how many lines the
 * file lacks. A file that cannot be read is an empty one. */
bool tail_scan_step(struct tail_scan *scan, int64_t *ret_offset);

/* The offset of the first line that is not older than 'since_ns'; lines are in order of time, and one
 * without a time is as old as its neighbours. */
int64_t since_seek(int fd, int64_t size, int64_t since_ns);
