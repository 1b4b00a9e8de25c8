#pragma once
/*
 * For this room alone: a running program and what is left of those that were ended.
 *
 * child_open.c makes it, child.c is its life as a source, children.c ends and buries it.
 */
#include "agent/streams/cgroup.h"
#include "agent/streams/child.h"
#include "agent/streams/streams_impl.h"
#include "shared/base/cleanup.h"

#include <sys/types.h>

/* One pipe, or the terminal, that output comes out of. */
struct child_out {
	struct child *child;
	int fd; /* -1: closed, or there is none */
	enum stream_channel channel;
	sd_event_source *source;
	bool said; /* a helper's stderr: kept in 'said', not put out */
	bool limited;
	size_t limit; /* bytes that still count */
};

struct child {
	struct streams *streams;
	struct stream *stream;
	const char *kind;
	pid_t pid;
	int pidfd;                     /* -1: it never ran */
	char cgroup[CGROUP_NAME_SIZE]; /* "": none */
	bool helper;
	bool tty;
	struct child_out out[2];
	int in_fd; /* -1: closed, or there is none */
	sd_event_source *in_source;
	sd_event_source *exit_source;
	sd_event_source *drain;
	bool exited;
	int code, status; /* of waitid(2) */
	char said[400];
	size_t said_len;
};

/* Begins to follow it; 'stream' is set right after. */
int child_watch(struct child *c, struct err *err);
const struct stream_ops *child_ops(const struct child *c);
/* Ends what runs and frees. NULL is fine. */
void child_free(struct child *c);
DEFINE_CLEANUP(child, struct child *, child_free)

/* The cgroup for one more program; '*ret_name' is "" (and the entry untouched) where there are none. */
int children_make_cgroup(struct streams *streams, bool helper, struct cgroup_entry *ret_entry,
			 char ret_name[CGROUP_NAME_SIZE], struct err *err);
/* Kills the process, its group and all in its cgroup, reaps it and removes that whenever they are gone.
 * 'pidfd' is taken over; -1: there is no process. 'cgroup' may be "". */
void children_bury(struct streams *streams, pid_t pid, int pidfd, const char *cgroup);
