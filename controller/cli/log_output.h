#pragma once
/*
 * Logs in front of a person: a thread for each session that brings lines, merged by time (log_merge.h),
 * printed as text or as JSON. Ctrl-C ends it, with 130.
 */
#include "controller/cli/invocation.h"
#include "controller/client/stream.h"

/* Where lines come from. */
struct log_source {
	struct client_stream *stream; /* closed by log_sources_release() */
	char node[256];
	char pod[256]; /* "" for what is the node's own */
	char container[64];
	struct err err; /* how reading it went wrong */
};

struct log_sources {
	struct log_source **items;
	size_t count;
};

/* The new one, borrowed; NULL when memory is short. */
struct log_source *log_sources_add(struct log_sources *list);
void log_sources_release(struct log_sources *list);

static inline __attribute__((unused)) void cleanup_log_sources(struct log_sources *list)
{
	log_sources_release(list);
}

/* Until all of them have ended, or inv->by comes; or until a signal: then the exit code is 130. One that
 * breaks off is told by invocation_fail(), the others go on. Sources without a stream are dropped: their
 * failure has been told. */
int log_output_run(struct invocation *inv, struct log_sources *list, struct err *err);
