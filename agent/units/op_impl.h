#pragma once
/*
 * What every pending unit call has in common, whatever the backend: it is in the list of its
 * 'struct units', it has a timer at its deadline, and there is one function that ends it. For
 * agent/units/ only.
 */
#include "agent/units/unit_impl.h"

#include <systemd/sd-event.h>

/* Embed as the first member; the embedder owns the storage. */
struct unit_op {
	struct unit_op *prev, *next; /* utlist, in units->pending */
	struct units *units;
	sd_event_source *timer;
	struct err refusal; /* what the timer reports instead of the deadline; unset: code 0 */

	/* Ends the call with 'err' and frees the embedder. Called from the loop, or by
	 * unit_ops_cancel(). */
	void (*end)(struct unit_op *op, const struct err *err);
};

/* A zeroed embedder of 'size' bytes, in the list, with its timer at 'by'. NULL when memory is
 * out. */
void *unit_op_new(struct units *units, size_t size, struct deadline by,
		  void (*end)(struct unit_op *op, const struct err *err));

/* Out of the list, timer gone; the storage stays. */
void unit_op_retire(struct unit_op *op);

/* unit_op_retire(), then frees the storage. */
void unit_op_free(struct unit_op *op);

/* Ends the call with 'err' from the loop, soon: for failures found before a call returned. */
void unit_op_refuse(struct unit_op *op, const struct err *err);

/* Ends every pending call with ERR_CANCELLED. */
void unit_ops_cancel(struct units *units);

/* The policy behind units_force_stop(), over the ops; 'name' is a full name. unit_force.c. */
void unit_force_stop(struct units *units, const char *name, int64_t grace_ms, struct deadline by,
		     unit_action_fn *done, void *arg);
