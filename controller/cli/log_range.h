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

/* Nanoseconds since the epoch, by this host's clock; 0: no bound. */
static inline int64_t log_since_ns(const struct options *opt)
{
	return opt->since_ms < 0 ? 0 : clock_wall_ns() - opt->since_ms * 1000000;
}
