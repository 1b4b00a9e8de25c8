#pragma once
/*
 * Logs as the source of a session (proto/node/v1/logs.proto): the files a runtime writes and the kernel's
 * messages. Lines go through as they are, in CRI's form; the node's journal is read by a program beside
 * the agent (agent/journal).
 *
 *   logs_dir.c   the directory of a container's files, opened without following any link (I11)
 *   logs_seek.c  where in a file the last N lines, or those since a time, begin
 *   logs_file.c  a container's files as a source: one after the other, over rotations, while they grow
 *   logs_kmsg.c  /dev/kmsg as a source
 */
#include "agent/streams/stream.h"

struct runtime;

/* As LogsRange. */
struct logs_range {
	bool follow;
	int64_t tail_lines; /* -1: all */
	int64_t since_ns;   /* wall clock; 0: no bound */
};

struct container_logs_spec {
	const char *root; /* "/var/log/pods" */
	const char *namespace;
	const char *pod;
	const char *container; /* "" or NULL: the only one */
	const char *uid;       /* the pod's, where it is known; "" or NULL: not */
	bool previous;         /* of the run before; never followed */
	struct logs_range range;
	/* Tells when what is followed has ended; NULL: nobody does. */
	struct runtime *runtime;
};

/* ERR_INVALID_ARGUMENT for what is no name; ERR_NOT_FOUND: POD_LOG_NOT_FOUND, CONTAINER_LOG_NOT_FOUND,
 * NO_PREVIOUS_RUN; ERR_FAILED_PRECONDITION: CONTAINER_NOT_NAMED (the message names them), or
 * LOG_NOT_A_FILE. A line longer than LOG_LINE_MAX is cut. Followed, it goes on with the next run of the
 * container and ends when the runtime says that none is running, or the directory goes. */
int container_logs_open(struct streams *streams, struct sd_event *loop,
			const struct container_logs_spec *spec, enum method_role role,
			struct stream **ret_stream, struct err *err);

/* The kernel's messages from 'path' (/dev/kmsg). ERR_FAILED_PRECONDITION, KERNEL_LOG_NOT_READABLE, where
 * the node may not read them. */
int kmsg_open(struct streams *streams, struct sd_event *loop, const char *path,
	      const struct logs_range *range, enum method_role role, struct stream **ret_stream,
	      struct err *err);

#define LOG_LINE_MAX ((size_t)1024 * 1024)
