#include "agent/units/op_impl.h"

#include "agent/units/timer.h"

#include <stdlib.h>
#include <utlist.h>

static int on_timer(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct unit_op *op = arg;
	struct err err = op->refusal;

	(void)timer;
	(void)usec;
	if (err.code == ERR_OK)
		err_set(&err, ERR_DEADLINE_EXCEEDED, 0, "%s: no answer in time",
			op->units->ops->name);
	op->end(op, &err);
	return 0;
}

void *unit_op_new(struct units *units, size_t size, struct deadline by,
		  void (*end)(struct unit_op *op, const struct err *err))
{
	struct unit_op *op = calloc(1, size);

	if (!op)
		return NULL;
	op->units = units;
	op->end = end;
	if (timer_start(units->loop, by, on_timer, op, &op->timer) < 0) {
		free(op);
		return NULL;
	}
	DL_APPEND(units->pending, op);
	return op;
}

void unit_op_retire(struct unit_op *op)
{
	DL_DELETE(op->units->pending, op);
	timer_stop(&op->timer);
}

void unit_op_free(struct unit_op *op)
{
	unit_op_retire(op);
	free(op);
}

void unit_op_refuse(struct unit_op *op, const struct err *err)
{
	op->refusal = *err;
	timer_move(op->timer, (struct deadline){ .at_ms = 0 });
}

void unit_ops_cancel(struct units *units)
{
	struct err err;

	err_set(&err, ERR_CANCELLED, 0, "the agent is stopping");
	while (units->pending)
		units->pending->end(units->pending, &err);
}
