#pragma once
/*
 * Figures for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/). Counting is an
 * addition or two on the loop's thread; the text is made when somebody asks.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdint.h>

struct agent;
struct metrics;

/* Numbers that others keep, as they are now. */
struct metrics_now {
	uint64_t in_flight; /* calls read and not answered */
	uint64_t connections;
	uint64_t accepted;
	uint64_t refused_peer;
	uint64_t refused_limit;
	uint64_t refused_header;
};

typedef void metrics_read_fn(void *arg, struct metrics_now *ret);

/* 'read' is asked each time; it and 'arg' outlive the metrics. */
int metrics_new(metrics_read_fn *read, void *arg, struct metrics **ret_metrics, struct err *err);
/* NULL is fine, also for metrics_count(). */
void metrics_free(struct metrics *metrics);

/* A call has been answered. Names are the descriptors' own: static, compared by address. */
void metrics_count(struct metrics *metrics, const char *service, const char *method,
		   enum err_code code, int64_t micros);

/* Appends everything, also what the agent's parts know of themselves. */
void metrics_write(const struct metrics *metrics, struct agent *agent, struct text *ret);
