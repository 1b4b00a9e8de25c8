#pragma once
/*
 * Processes of the node, found in /proc, ended through pidfds (pidfd_open(2), security-faults.md
 * I13): a pid that was used again is never the victim.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
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

/* A process as /proc shows it (NS-203). */
struct process_info {
	pid_t pid;
	pid_t ppid;
	char state;  /* proc_pid_stat(5): R S D Z T t I */
	bool kernel; /* a thread of the kernel */
	uint32_t threads;
	uint64_t cpu_ms; /* user and system */
	uint64_t virtual_bytes;
	uint64_t resident_bytes;
	uint64_t start_ticks; /* since boot; tells it from a later one with the same pid */
	char comm[64];
	char label[128];  /* of the security module; "" without one */
	char *executable; /* NULL: unknown */
	char *args; /* strings, one behind the other, each NUL-terminated; NULL: none, or not asked for */
	size_t args_len;
};

struct process_list {
	struct process_info *items; /* by pid */
	size_t count;
	size_t cap;
};

/* Most bytes of one process's arguments that are told. */
#define PROCESS_ARGS_MAX 4096

/* All processes and threads of the kernel. 'with_args': their arguments too, but not of a process in
 * uninterruptible sleep, for reading them may wait for it. 'proc_root' NULL: none. Release the list. */
int processes_list(const char *proc_root, bool with_args, struct process_list *ret,
		   struct err *err);
void process_list_release(struct process_list *list);

static inline __attribute__((unused)) void cleanup_process_list(struct process_list *list)
{
	process_list_release(list);
}

/* Sends 'signal' to exactly that process, through a pidfd. 'start_ticks' 0: whichever has the pid now.
 * ERR_NOT_FOUND reason PROCESS_GONE; ERR_INVALID_ARGUMENT for pid 1, which is the node itself, and for
 * no signal. 'ret_comm' gets its name. */
int process_send_signal(const char *proc_root, pid_t pid, uint64_t start_ticks, int signal,
			char ret_comm[64], struct err *err);
