#include "agent/units/unit.h"

#include "agent/units/op_impl.h"
#include "shared/base/cleanup.h"

#include <stdio.h>
#include <string.h>

static const struct unit_ops *const backends[] = { &unit_systemd_ops, &unit_fake_ops };

#define NAME_SIZE 256

int units_open(const char *backend, struct sd_event *loop, struct units **ret_units,
	       struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		if (strcmp(backends[i]->name, backend) == 0)
			return backends[i]->open(loop, ret_units, err);
	}
	return err_set(err, ERR_INVALID_ARGUMENT, 0, "no unit backend '%s'", backend);
}

void units_close(struct units *units)
{
	if (units)
		units->ops->close(units);
}

const char *units_proc_root(const struct units *units)
{
	return units->proc_root ? units->proc_root : units->ops->proc_root;
}

static bool has_unit_suffix(const char *name)
{
	static const char *const types[] = { ".service", ".socket",    ".target", ".device",
					     ".mount",   ".automount", ".swap",   ".timer",
					     ".path",    ".slice",     ".scope" };
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++) {
		if (strcmp(dot, types[i]) == 0)
			return dot != name;
	}
	return false;
}

/* A template ("getty@.service") has no state and no job: only its instances have. */
static bool is_template(const char *full)
{
	const char *at = strchr(full, '@');

	return at && at + 1 == strrchr(full, '.');
}

int unit_full_name(const char *name, char ret[NAME_SIZE], struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789:-_.\\@";
	char full[NAME_SIZE];
	int len;

	len = snprintf(full, sizeof(full), "%s%s", name, has_unit_suffix(name) ? "" : ".service");
	if (len < 0 || (size_t)len >= sizeof(full))
		return err_set(err, ERR_INVALID_ARGUMENT, 0,
			       "unit name is longer than 255 characters");
	if (!*name || *name == '@' || strspn(name, allowed) != strlen(name))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is no unit name", name);
	if (is_template(full))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is a template, not a unit",
			       full);

	memcpy(ret, full, sizeof(full));
	return 0;
}

/* A call that fails before it reached a backend; its 'done' still comes from the loop. */
struct refused {
	struct unit_op op;
	unit_status_fn *status_done;
	unit_action_fn *action_done;
	void *arg;
};

static void refused_end(struct unit_op *op, const struct err *err)
{
	struct refused call = *(struct refused *)op;

	unit_op_free(op);
	if (call.status_done)
		call.status_done(call.arg, NULL, 0, err);
	else
		call.action_done(call.arg, NULL, err);
}

/* Takes one of the two callbacks. Out of memory leaves no other way than to call it at once. */
static void refuse(struct units *units, unit_status_fn *status_done, unit_action_fn *action_done,
		   void *arg, const struct err *err)
{
	struct refused *call;

	call = unit_op_new(units, sizeof(*call), DEADLINE_NEVER, refused_end);
	if (!call) {
		if (status_done)
			status_done(arg, NULL, 0, err);
		else
			action_done(arg, NULL, err);
		return;
	}
	call->status_done = status_done;
	call->action_done = action_done;
	call->arg = arg;
	unit_op_refuse(&call->op, err);
}

/* 'ret_full' holds 'count' names of NAME_SIZE behind 'count' pointers to them: one block. */
static int full_names(const char *const *names, size_t count, const char ***ret_full,
		      struct err *err)
{
	cleanup_free const char **full = NULL;
	char *text;

	full = calloc(count + 1, sizeof(*full) + NAME_SIZE);
	if (!full)
		return err_oom(err);
	text = (char *)(full + count + 1);
	for (size_t i = 0; i < count; i++, text += NAME_SIZE) {
		if (unit_full_name(names[i], text, err) < 0)
			return -1;
		full[i] = text;
	}
	*ret_full = TAKE(full);
	return 0;
}

void units_status(struct units *units, const char *const *names, size_t count, struct deadline by,
		  unit_status_fn *done, void *arg)
{
	cleanup_free const char **full = NULL;
	struct err err;

	if (full_names(names, count, &full, &err) < 0) {
		refuse(units, done, NULL, arg, &err);
		return;
	}
	units->ops->status(units, full, count, by, done, arg);
}

void units_act(struct units *units, enum unit_action action, const char *name, struct deadline by,
	       unit_action_fn *done, void *arg)
{
	char full[NAME_SIZE];
	struct err err;

	if (unit_full_name(name, full, &err) < 0) {
		refuse(units, NULL, done, arg, &err);
		return;
	}
	units->ops->act(units, action, full, by, done, arg);
}

void units_force_stop(struct units *units, const char *name, int64_t grace_ms, struct deadline by,
		      unit_action_fn *done, void *arg)
{
	char full[NAME_SIZE];
	struct err err;

	if (unit_full_name(name, full, &err) < 0) {
		refuse(units, NULL, done, arg, &err);
		return;
	}
	unit_force_stop(units, full, grace_ms, by, done, arg);
}

static int check_signal(int signal, struct err *err)
{
	if (signal < 1 || signal > 64)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "no signal %d (1 to 64)", signal);
	return 0;
}

void units_kill(struct units *units, const char *name, bool main_only, int signal,
		struct deadline by, unit_action_fn *done, void *arg)
{
	char full[NAME_SIZE];
	struct err err;

	if (check_signal(signal, &err) < 0 || unit_full_name(name, full, &err) < 0) {
		refuse(units, NULL, done, arg, &err);
		return;
	}
	units->ops->kill(units, full, main_only, signal, by, done, arg);
}

void units_system_state(struct units *units, struct deadline by, unit_system_state_fn *done,
			void *arg)
{
	units->ops->system_state(units, by, done, arg);
}
