#pragma once
/*
 * Processes of the node, found in /proc, ended through pidfds (pidfd_open(2), security-faults.md
 * I13): a pid that was used again is never the victim.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sd_event;

struct process_result {
	pid_t pid;
	const char *result; /* "terminated" "killed" "gone" "failed"; static */
	char message[128];
};

typedef void processes_fn(void *arg, const struct process_result *list, size_t count,
			  const struct err *err);

/* Ends every process that is the program 'name' (comm, base name of argv[0] or of the exe link are
 * equal to it; NS-152): SIGTERM, after 'grace_ms' SIGKILL, then waits for the exit up to 5 s or
 * 'by'. Zombies, kernel threads and the caller are passed over. None found is success with an empty
 * list. 'proc_root' is units_proc_root() but in tests; NULL: there are none. Same calling rules as unit.h. */
void processes_end(struct sd_event *loop, const char *proc_root, const char *name, int64_t grace_ms,
		   struct deadline by, processes_fn *done, void *arg);
