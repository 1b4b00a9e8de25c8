#pragma once
/*
 * What is wrong in a file, collected while it is read, so that a user hears of everything at once:
 * the first faults fill err.msg, joined by "; ", the rest is counted "(and N more)". Warnings are
 * told once per topic.
 */
#include "controller/config/yaml.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct report {
	const char *source;    /* names the text: "cluster.yaml" */
	struct err *err;       /* filled on the way and by report_end() */
	struct strv *warnings; /* "source:line:column: sentence" */
	struct strv told;      /* topics warned about */
	size_t errors;         /* found */
	size_t left_out;       /* found, but err.msg was full */
	bool no_memory;
};

/* Always returns -1. */
int report_error(struct report *report, struct yaml_mark at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for 'node', at its place and beginning with its path: "spec.nodeName must be ...". */
int report_node_error(struct report *report, const struct yaml *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "unknown field 'imag' in nodes[0]; did you mean 'image'?"; 'guess' may be NULL. */
int report_unknown_field(struct report *report, const struct yaml *node, const char *guess);

/* "name must be a string, not a number; quote it: "5"". 'wanted' has its article. */
int report_type_error(struct report *report, const struct yaml *node, const char *wanted);

/* Another reader's err, its message being whole. */
int report_fault(struct report *report, const struct err *fault);

int report_no_memory(struct report *report);

/* A warning, unless this topic had one. */
void report_warning(struct report *report, struct yaml_mark at, const char *topic, const char *fmt,
		    ...) __attribute__((format(printf, 4, 5)));

/* 0 when nothing was wrong; else -1 with the err complete. Releases what the report holds. */
int report_end(struct report *report);

/* Finds the name that was meant: offer all there are, then read 'best' (borrowed; NULL: none within
 * an edit distance of 2, upper and lower case being equal). */
struct guess {
	const char *typed;
	const char *best;
	unsigned distance;
};

void guess_offer(struct guess *guess, const char *name);
