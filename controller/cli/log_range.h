#pragma once
/* The flags that `logs` and `dmesg` have in common. */
#include "controller/cli/options.h"
#include "shared/base/deadline.h"

#define OPTION_ROWS_LOG_RANGE                                                                      \
	{ .name = "follow",                                                                        \
	  .letter = 'f',                                                                           \
	  .type = OPTION_SWITCH,                                                                   \
	  OPTION_AT(follow),                                                                       \
	  .help = "go on with what comes, until Ctrl-C or --timeout" },                            \
		{ .name = "tail",                                                                  \
		  .value = "N",                                                                    \
		  .type = OPTION_NUMBER,                                                           \
		  OPTION_AT(tail),                                                                 \
		  .min = -1,                                                                       \
		  .max = INT64_MAX / 2,                                                            \
		  .help = "begin with the last N lines (default: all)" },                          \
	{                                                                                          \
		.name = "since", .value = "DUR", .type = OPTION_DURATION, OPTION_AT(since_ms),     \
		.max = INT64_C(366) * 24 * 3600 * 1000, .help = "only what is newer than that: 5m" \
	}

/* How much of a log. */
struct log_range {
	bool follow;
	int64_t tail;     /* the last lines; -1: all */
	int64_t since_ns; /* since the epoch, by this host's clock; 0: no bound */
};

static inline struct log_range log_range_of(const struct options *opt)
{
	return (struct log_range){
		.follow = opt->follow,
		.tail = opt->tail,
		.since_ns = opt->since_ms < 0 ? 0 : clock_wall_ns() - opt->since_ms * 1000000,
	};
}
