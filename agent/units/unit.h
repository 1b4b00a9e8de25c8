#pragma once
/*
 * Units of the node: what callers use. The ops table behind it is in unit_impl.h.
 *
 * Everything is asynchronous on the agent's one loop. Each call ends in exactly one call of 'done',
 * from the loop and never from within the call itself, at 'by' at the latest; only when there is no
 * memory to remember the call by does it come at once. What 'done' gets is borrowed until it
 * returns; 'err' is NULL on success.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sd_event;
struct units;

/* org.freedesktop.systemd1(5): the words are systemd's (NS-025). */
struct unit_status {
	char name[256]; /* with its suffix */
	char load[24];
	char active[24];
	char sub[32];
	char enabled[32]; /* UnitFileState; "" without a unit file */
	char description[128];
	uint32_t main_pid;
	uint64_t since_us; /* wall clock; 0: never */
};

struct unit_outcome {
	struct unit_status before;
	struct unit_status after;
	char job_result[24]; /* systemd's, or "none" when no job was needed */
	bool killed;         /* a forced stop needed SIGKILL */
	uint32_t millis;
};

typedef void unit_status_fn(void *arg, const struct unit_status *list, size_t count,
			    const struct err *err);
typedef void unit_action_fn(void *arg, const struct unit_outcome *outcome, const struct err *err);
/* PID 1's SystemState: "initializing" "starting" "running" "degraded" "maintenance" "stopping". */
typedef void unit_system_state_fn(void *arg, const char *state, const struct err *err);

/* A reload starts what is inactive and restarts what cannot reload. */
enum unit_action { UNIT_START, UNIT_STOP, UNIT_RESTART, UNIT_RELOAD };

/* Opens the backend "systemd" or "fake" on the loop. Connecting is lazy and repeated: a node
 * without PID 1's socket yet still opens. Caller closes with units_close(). */
int units_open(const char *backend, struct sd_event *loop, struct units **ret_units,
	       struct err *err);
void units_close(struct units *units);

/* Where the processes of the node are, for processes_end(): "/proc"; NULL for the fake, so that an
 * agent under test ends nobody's processes. Static. */
const char *units_proc_root(const struct units *units);

/* "name" gets ".service" unless it ends in a unit type (NS-026). ERR_INVALID_ARGUMENT for anything
 * that is no unit name (systemd.unit(5)); 'ret' holds 256 bytes. Pure. */
int unit_full_name(const char *name, char ret[256], struct err *err);

/* States of 'count' units, in that order; an unknown one has load "not-found" and is no error. */
void units_status(struct units *units, const char *const *names, size_t count, struct deadline by,
		  unit_status_fn *done, void *arg);

/* Start, stop or restart, waiting for the job's result. Stop of an inactive or absent unit is
 * success with job_result "none" (NS-024, NS-027). ERR_NOT_FOUND; ERR_FAILED_PRECONDITION when the
 * job fails, with the unit's last journal lines in the message (NS-032). */
void units_act(struct units *units, enum unit_action action, const char *name, struct deadline by,
	       unit_action_fn *done, void *arg);

/* Ends a unit whatever it takes (NS-028, NS-029): stop job; after 'grace_ms' (0: 5 s; less when 'by'
 * is near) SIGKILL to the main process, then to all; failed state reset. Success means: inactive.
 * ERR_DEADLINE_EXCEEDED (UNIT_STILL_RUNNING) at 'by' or 5 s after the grace; ERR_ABORTED
 * (UNIT_CAME_BACK) when something started it again. */
void units_force_stop(struct units *units, const char *name, int64_t grace_ms, struct deadline by,
		      unit_action_fn *done, void *arg);

/* Sends 'signal' (Linux number) to all processes of the unit, or the main one. */
void units_kill(struct units *units, const char *name, bool main_only, int signal,
		struct deadline by, unit_action_fn *done, void *arg);

void units_system_state(struct units *units, struct deadline by, unit_system_state_fn *done,
			void *arg);
