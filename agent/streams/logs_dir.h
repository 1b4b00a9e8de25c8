#pragma once
/*
 * The directory of a container's log files: <root>/<namespace>_<pod>_<uid>/<container>/<attempt>.log, and
 * beside each what rotation has put aside, <attempt>.log.<time> (kubelet's names). Every step is one name
 * that has been checked, opened by openat(2) with O_NOFOLLOW: what a container puts there instead of
 * a directory or file leads nowhere (I11).
 */
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A regular file of the directory. */
struct log_segment {
	char name[96];
	uint32_t attempt;
	bool current; /* not put aside */
	dev_t dev;
	ino_t ino;
	int64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns; /* of what was put aside: no earlier than that */
};

/* By attempt, then by age, the current one last. Zero-initialise. */
struct log_segments {
	struct log_segment *items;
	size_t count;
	size_t cap;
	bool has_others; /* something has the name of a log and is no regular file */
};

void log_segments_release(struct log_segments *list);

static inline __attribute__((unused)) void cleanup_log_segments(struct log_segments *list)
{
	log_segments_release(list);
}

/* The pod's directory, and its uid. Of several (one that is going away) it is that of 'uid', where it has any;
 * else the one changed last, and of those changed at the same time the one whose uid sorts last. Errors as
 * container_logs_open(). */
int log_pod_open(const char *root, const char *namespace, const char *pod, const char *uid,
		 char ret_uid[130], int *ret_fd, struct err *err);
/* The container's directory in it; "" means the only one. */
int log_container_open(int pod_fd, const char *container, char ret_name[64], int *ret_fd,
		       struct err *err);
/* What is there now. */
int log_segments_list(int dir_fd, struct log_segments *ret, struct err *err);
/* Opens exactly that file: ERR_ABORTED when its name means another one by now. */
int log_segment_open(int dir_fd, const struct log_segment *segment, int *ret_fd, struct err *err);
