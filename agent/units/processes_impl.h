#pragma once
/*
 * Between the files of this room that read /proc, and for their tests.
 */
#include "agent/units/processes.h"

#include "shared/base/cleanup.h"

#include <dirent.h>
#include <stdbool.h>

static inline __attribute__((unused)) void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* What of proc_pid_stat(5) is of use here. */
struct process_stat {
	char comm[64];
	char state;
	pid_t ppid;
	unsigned flags;
	uint64_t cpu_ticks; /* user and system */
	uint32_t threads;
	uint64_t start_ticks;
	uint64_t virtual_bytes;
	uint64_t resident_pages;
};

/* Up to 'size' - 1 bytes of a small file below /proc/<pid>, NUL-terminated; its length, or -1. */
ssize_t process_read_file(const char *proc_root, pid_t pid, const char *file, char *buf,
			  size_t size);
bool process_read_stat(const char *proc_root, pid_t pid, struct process_stat *ret);

/* A process as /proc showed it. The start time tells it from a later one with the same pid. */
struct process_id {
	pid_t pid;
	uint64_t start_ticks;
};

struct process_ids {
	struct process_id *items;
	size_t count;
	size_t cap;
};

/* The processes that are the program 'name', without zombies, kernel threads and the caller. The
 * caller frees 'ret->items'. */
int process_find(const char *proc_root, const char *name, struct process_ids *ret, struct err *err);

/* A pidfd (close-on-exec) of exactly that process; ERR_NOT_FOUND when it is gone, also when its pid
 * now belongs to another one (I13). */
int process_open(const char *proc_root, struct process_id id, int *ret_fd, struct err *err);
