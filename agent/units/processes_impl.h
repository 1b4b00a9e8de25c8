#pragma once
/*
 * The two halves of processes_end() that need no loop, for its tests.
 */
#include "agent/units/processes.h"

#include <stdbool.h>

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
