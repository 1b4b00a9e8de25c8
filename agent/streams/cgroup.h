#pragma once
/*
 * A cgroup of its own for every program the agent runs for somebody (NS-283, I16), so that all it left
 * behind can be found and ended.
 *
 * They live in a cgroup beside systemd's ("/berth" of the node's hierarchy), not below berthd.service: what
 * is there would be bound by the agent's own limits, on cgroup v2 the agent could not be started again
 * while one of them is left (a cgroup that hands on controllers takes no process), and a stop of the unit
 * would have to tell them apart. systemd leaves alone what it has not made, as it does with the groups of
 * kubelet's and the engines' cgroupfs drivers.
 *
 * File systems of the kernel only: nothing here waits.
 */
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct cgroup_place;

/* Bytes and processes of one of Berth's own helpers. */
#define CGROUP_HELPER_BYTES "536870912"
#define CGROUP_HELPER_PIDS  "256"

#define CGROUP_NAME_SIZE 40
#define CGROUP_TREES     3

/* What a new process needs to begin in its cgroup. */
struct cgroup_entry {
	int dir;                 /* v2: the directory; -1 on v1 */
	int tasks[CGROUP_TREES]; /* v1: files to write "0" to; -1: none */
};

#define CGROUP_NOWHERE                   \
	((struct cgroup_entry){          \
		.dir = -1,               \
		.tasks = { -1, -1, -1 }, \
	})

/* Whether this process is berthd.service: only then the hierarchy is ours to write to. */
bool cgroup_is_service(void);

/* 'root' is "/sys/fs/cgroup", 'name' the directory below it ("berth"), made when it is not there.
 * ERR_UNIMPLEMENTED when there is no hierarchy that can be written to. */
int cgroup_place_open(const char *root, const char *name, struct cgroup_place **ret_place,
		      struct err *err);
void cgroup_place_close(struct cgroup_place *place);

/* Makes the cgroup 'name', and the place anew when somebody has removed it. The descriptors are the caller's: cgroup_entry_close(). */
int cgroup_make(struct cgroup_place *place, const char *name, bool helper,
		struct cgroup_entry *ret_entry, struct err *err);
void cgroup_entry_close(struct cgroup_entry *entry);

/* SIGKILL to everything in it, and nothing new is born there. */
void cgroup_kill(struct cgroup_place *place, const char *name);
/* True when it is gone; false while something in it has not ended yet. */
bool cgroup_remove(struct cgroup_place *place, const char *name);

/* Those that are there: all of an earlier life, before the first is made. 'fn' may remove the one it is told. */
void cgroup_each(struct cgroup_place *place, void (*fn)(void *arg, const char *name), void *arg);
