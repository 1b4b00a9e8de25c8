#pragma once
/*
 * For the benchmarks: one row a comparison, printed as a line and written to build/bench/<name>.json. They
 * measure and judge nothing; what cannot be measured fails the test.
 */
#include "shared/base/text.h"

#include <stddef.h>
#include <stdint.h>

struct bench;

/* 'name' is the file's and static. */
struct bench *bench_new(const char *name);
/* Writes the file; 0 when it could. */
int bench_finish(struct bench *b);

/* 'theirs' 0: there is nothing to compare with. The printed ratio is theirs / ours: how many times ours is
 * better when less is better. */
void bench_row(struct bench *b, const char *what, double ours, double theirs, const char *unit,
	       const char *aim);

/* Sorts 'values'. */
int64_t bench_quantile(int64_t *values, size_t count, double q);

/* Runs a program that must exit with 0; microseconds it took. */
int64_t bench_command_us(const struct strv *argv);
/* Appends words; ends with NULL. */
void bench_words(struct strv *argv, const char *word, ...) __attribute__((sentinel));

/* Medians of two commands in milliseconds, measured in blocks by turns, so that a drifting machine drifts
 * for both. The first of a block does not count: an engine goes on tidying up after its command has
 * returned. */
void bench_pair_ms(const struct strv *ours, const struct strv *theirs, double *ret_ours,
		   double *ret_theirs);
