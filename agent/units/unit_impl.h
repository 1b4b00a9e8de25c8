#pragma once
/*
 * For those who write a unit backend. Callers use unit.h.
 *
 * To add one: (1) write agent/units/unit_<name>.c that ends in one exported 'struct unit_ops',
 * (2) add its row to the array in unit.c. Policy (names, force stop, deadlines' defaults) is unit.c's
 * and is shared by all backends.
 */
#include "agent/units/unit.h"

struct unit_ops {
	/* As in `berthd serve --units NAME`; [a-z]+. */
	const char *name;

	/* Where the node's processes are seen: "/proc"; NULL: it has none. */
	const char *proc_root;

	/* Allocates the backend's state ('struct units' first in it); connects lazily. */
	int (*open)(struct sd_event *loop, struct units **ret_units, struct err *err);

	/* Releases everything; pending calls get their 'done' with ERR_CANCELLED first. */
	void (*close)(struct units *units);

	/* As units_status(); 'names' are full names, borrowed for the call. */
	void (*status)(struct units *units, const char *const *names, size_t count,
		       struct deadline by, unit_status_fn *done, void *arg);

	/* As units_act(); 'name' is a full name. Fills before, after and job_result. At 'by' the
	 * job is left to systemd and the error is ERR_DEADLINE_EXCEEDED. */
	void (*act)(struct units *units, enum unit_action action, const char *name,
		    struct deadline by, unit_action_fn *done, void *arg);

	/* As units_kill(). ERR_NOT_FOUND when there is no such unit; no process to kill is
	 * success. */
	void (*kill)(struct units *units, const char *name, bool main_only, int signal,
		     struct deadline by, unit_action_fn *done, void *arg);

	/* systemctl reset-failed; an absent or not failed unit is success. */
	void (*reset_failed)(struct units *units, const char *name, struct deadline by,
			     unit_action_fn *done, void *arg);

	/* As units_system_state(). */
	void (*system_state)(struct units *units, struct deadline by, unit_system_state_fn *done,
			     void *arg);
};

struct unit_op;

/* Every backend's state begins with this. */
struct units {
	const struct unit_ops *ops;
	struct sd_event *loop;
	struct unit_op *pending; /* op_impl.h: every call that has not ended yet */
	const char *proc_root;   /* in the place of the ops' own; NULL: that */
};

extern const struct unit_ops unit_systemd_ops;
extern const struct unit_ops unit_fake_ops;
