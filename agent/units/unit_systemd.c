/*
 * Units through systemd's D-Bus interface, org.freedesktop.systemd1(5): PID 1's own socket first,
 * for node images without a message bus, then the bus (NS-020, I14).
 */
#include "agent/units/systemd_impl.h"
#include "shared/base/cleanup.h"
#include "shared/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bus_address usual_addresses[] = {
	{ "unix:path=/run/systemd/private", false },
	{ "unix:path=/run/dbus/system_bus_socket", true },
};

static const struct systemd_config usual_config = {
	.addresses = usual_addresses,
	.address_count = ARRAY_LEN(usual_addresses),
	.journalctl = "/usr/bin/journalctl",
};

static void systemd_close(struct units *units)
{
	struct systemd *s = (struct systemd *)units;

	unit_ops_cancel(units);
	bus_release(s);
	free(s);
}

int unit_systemd_open(const struct systemd_config *config, struct sd_event *loop,
		      struct units **ret_units, struct err *err)
{
	struct systemd *s = calloc(1, sizeof(*s));

	if (!s)
		return err_oom(err);
	s->base.ops = &unit_systemd_ops;
	s->base.loop = loop;
	s->config = config;
	if (bus_init(s, err) < 0) {
		systemd_close(&s->base);
		return -1;
	}
	*ret_units = &s->base;
	return 0;
}

static int systemd_open(struct sd_event *loop, struct units **ret_units, struct err *err)
{
	return unit_systemd_open(&usual_config, loop, ret_units, err);
}

/* --- status ----------------------------------------------------------------------------------- */

struct status_op {
	struct unit_op op;
	struct bus_user user;
	struct unit_query query;
	unit_status_fn *done;
	void *arg;
	struct unit_status list[];
};

static void status_finish(struct status_op *status, const struct err *err)
{
	struct systemd *s = status->query.systemd;
	size_t count = err ? 0 : status->query.count;

	query_release(&status->query);
	bus_remove_user(s, &status->user);
	unit_op_retire(&status->op);
	status->done(status->arg, err ? NULL : status->list, count, err);
	free(status);
}

static void status_end(struct unit_op *op, const struct err *err)
{
	struct status_op *status = (struct status_op *)op;

	if (err->code == ERR_DEADLINE_EXCEEDED)
		bus_suspect(status->query.systemd);
	status_finish(status, err);
}

static void status_queried(struct unit_query *query, const struct err *err)
{
	status_finish(container_of(query, struct status_op, query), err);
}

static void status_resume(struct bus_user *user)
{
	struct status_op *status = container_of(user, struct status_op, user);
	struct err err;

	if (query_send(&status->query, &err) < 0 && !bus_will_resume(&err))
		unit_op_refuse(&status->op, &err);
}

static void status_fail(struct bus_user *user, const struct err *err)
{
	unit_op_refuse(&container_of(user, struct status_op, user)->op, err);
}

static void systemd_status(struct units *units, const char *const *names, size_t count,
			   struct deadline by, unit_status_fn *done, void *arg)
{
	size_t size = sizeof(struct status_op) + count * sizeof(struct unit_status);
	struct status_op *status = unit_op_new(units, size, by, status_end);
	struct systemd *s = (struct systemd *)units;
	struct err err;

	if (!status) {
		err_oom(&err);
		done(arg, NULL, 0, &err);
		return;
	}
	status->done = done;
	status->arg = arg;
	for (size_t i = 0; i < count; i++)
		snprintf(status->list[i].name, sizeof(status->list[i].name), "%s", names[i]);
	status->query = (struct unit_query){
		.systemd = s, .list = status->list, .count = count, .done = status_queried
	};
	status->user.resume = status_resume;
	status->user.fail = status_fail;
	bus_add_user(s, &status->user);
}

/* --- system state ----------------------------------------------------------------------------- */

struct state_op {
	struct unit_op op;
	struct bus_user user;
	sd_bus_slot *slot;
	unit_system_state_fn *done;
	void *arg;
};

static void state_finish(struct state_op *state, const char *text, const struct err *err)
{
	struct state_op was = *state;

	sd_bus_slot_unref(state->slot);
	bus_remove_user((struct systemd *)state->op.units, &state->user);
	unit_op_free(&state->op);
	was.done(was.arg, text, err);
}

static void state_end(struct unit_op *op, const struct err *err)
{
	if (err->code == ERR_DEADLINE_EXCEEDED)
		bus_suspect((struct systemd *)op->units);
	state_finish((struct state_op *)op, NULL, err);
}

static int on_state(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct state_op *state = arg;
	char text[32] = "unknown";
	const char *reply;
	struct err err;

	(void)error;
	if (bus_is_lost((struct systemd *)state->op.units, m))
		return 0;
	if (sd_bus_message_is_method_error(m, NULL)) {
		bus_error(m, "system state", &err);
		state_finish(state, NULL, &err);
		return 0;
	}
	if (sd_bus_message_read(m, "v", "s", &reply) >= 0)
		utf8_copy(text, sizeof(text), reply);
	state_finish(state, text, NULL);
	return 0;
}

static void state_resume(struct bus_user *user)
{
	struct state_op *state = container_of(user, struct state_op, user);
	struct err err;

	state->slot = sd_bus_slot_unref(state->slot);
	if (bus_get((struct systemd *)state->op.units, SYSTEMD_PATH, SYSTEMD_MANAGER, "SystemState",
		    on_state, state, &state->slot, &err) < 0 &&
	    !bus_will_resume(&err))
		unit_op_refuse(&state->op, &err);
}

static void state_fail(struct bus_user *user, const struct err *err)
{
	unit_op_refuse(&container_of(user, struct state_op, user)->op, err);
}

static void systemd_system_state(struct units *units, struct deadline by,
				 unit_system_state_fn *done, void *arg)
{
	struct state_op *state = unit_op_new(units, sizeof(*state), by, state_end);
	struct err err;

	if (!state) {
		err_oom(&err);
		done(arg, NULL, &err);
		return;
	}
	state->done = done;
	state->arg = arg;
	state->user.resume = state_resume;
	state->user.fail = state_fail;
	bus_add_user((struct systemd *)units, &state->user);
}

const struct unit_ops unit_systemd_ops = {
	.name = "systemd",
	.proc_root = "/proc",
	.open = systemd_open,
	.close = systemd_close,
	.status = systemd_status,
	.act = systemd_act,
	.kill = systemd_kill,
	.reset_failed = systemd_reset_failed,
	.system_state = systemd_system_state,
};
