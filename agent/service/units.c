#include "agent/agent.h"
#include "agent/events/events.h"
#include "agent/service/call.h"
#include "agent/units/unit.h"

#include "node/v1/units.pb-c.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMES 256

/* What a node is known to have (NS-034). */
static const char *const usual_units[] = { "kubelet",    "containerd", "docker",
					   "cri-docker", "crio",       "berthd" };

static struct units *call_units(void *call)
{
	return call_agent(call)->units;
}

/* Borrows the strings. */
static void info_from_status(const struct unit_status *status, Berth__Node__V1__UnitInfo *ret)
{
	berth__node__v1__unit_info__init(ret);
	ret->name = (char *)status->name;
	ret->load = (char *)status->load;
	ret->active = (char *)status->active;
	ret->sub = (char *)status->sub;
	ret->enabled = (char *)status->enabled;
	ret->description = (char *)status->description;
	ret->main_pid = status->main_pid;
	ret->since_micros = status->since_us;
}

/* --- Status ----------------------------------------------------------------------------------- */

struct status_call {
	Berth__Node__V1__UnitStatusReply_Closure reply;
	void *call;
};

static void send_status(const struct status_call *status, const struct unit_status *list,
			size_t count)
{
	Berth__Node__V1__UnitStatusReply rep = BERTH__NODE__V1__UNIT_STATUS_REPLY__INIT;
	Berth__Node__V1__UnitInfo infos[MAX_NAMES];
	Berth__Node__V1__UnitInfo *units[MAX_NAMES];

	for (size_t i = 0; i < count; i++) {
		info_from_status(&list[i], &infos[i]);
		units[i] = &infos[i];
	}
	rep.n_units = count;
	rep.units = units;
	status->reply(&rep, status->call);
}

static void on_status(void *arg, const struct unit_status *list, size_t count,
		      const struct err *err)
{
	struct status_call status = *(struct status_call *)arg;

	free(arg);
	if (err)
		call_fail(status.call, err);
	else
		send_status(&status, list, count);
}

static void units_rpc_status(Berth__Node__V1__Units_Service *self,
			     const Berth__Node__V1__UnitStatusRequest *req,
			     Berth__Node__V1__UnitStatusReply_Closure reply, void *call)
{
	const char *const *names = (const char *const *)req->names;
	size_t count = req->n_names;
	struct status_call *status;
	struct err err;

	(void)self;
	if (count > MAX_NAMES) {
		err_set(&err, ERR_INVALID_ARGUMENT, 0, "%zu units asked for, %d is the most", count,
			MAX_NAMES);
		call_fail(call, &err);
		return;
	}
	status = malloc(sizeof(*status));
	if (!status) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	*status = (struct status_call){ .reply = reply, .call = call };
	if (count == 0) {
		names = usual_units;
		count = sizeof(usual_units) / sizeof(usual_units[0]);
	}
	units_status(call_units(call), names, count, call_deadline(call), on_status, status);
}

/* --- Start, Stop, Restart, Kill ---------------------------------------------------------------- */

struct action_call {
	Berth__Node__V1__UnitActionReply_Closure reply;
	void *call;
	const char *name;   /* as it was asked for; the request's */
	const char *reason; /* of the event, when it goes well */
	bool is_signal;     /* an event also when systemd had no job to do */
};

/* Where nothing was to be done nothing has happened. */
static void note_event(const struct action_call *action, const struct unit_outcome *outcome,
		       const struct err *err)
{
	struct events *events = call_agent(action->call)->events;

	if (err)
		events_note(events, EVENT_WARNING, "unit", action->name, "Failed", "%s", err->msg);
	else if (strcmp(outcome->job_result, "none") != 0 || outcome->killed || action->is_signal)
		events_note(events, EVENT_NORMAL, "unit", outcome->after.name, action->reason,
			    "was %s, is %s%s", outcome->before.active, outcome->after.active,
			    outcome->killed ? " (by SIGKILL)" : "");
}

static void on_action(void *arg, const struct unit_outcome *outcome, const struct err *err)
{
	Berth__Node__V1__UnitActionReply rep = BERTH__NODE__V1__UNIT_ACTION_REPLY__INIT;
	Berth__Node__V1__UnitInfo before, after;
	struct action_call action = *(struct action_call *)arg;

	free(arg);
	note_event(&action, outcome, err);
	if (err) {
		call_fail(action.call, err);
		return;
	}
	call_note(action.call, "%s was %s, is %s%s", outcome->after.name, outcome->before.active,
		  outcome->after.active, outcome->killed ? " (killed)" : "");
	info_from_status(&outcome->before, &before);
	info_from_status(&outcome->after, &after);
	rep.before = &before;
	rep.after = &after;
	rep.job_result = (char *)outcome->job_result;
	rep.killed = outcome->killed;
	rep.millis = outcome->millis;
	action.reply(&rep, action.call);
}

/* What on_action() will find; NULL when the call has been failed. */
static struct action_call *action_new(const char *name, const char *reason,
				      Berth__Node__V1__UnitActionReply_Closure reply, void *call)
{
	struct action_call *action = malloc(sizeof(*action));
	struct err err;

	if (!action) {
		err_oom(&err);
		call_fail(call, &err);
		return NULL;
	}
	*action = (struct action_call){
		.reply = reply, .call = call, .name = name, .reason = reason
	};
	return action;
}

static void act(enum unit_action what, const char *reason,
		const Berth__Node__V1__UnitActionRequest *req,
		Berth__Node__V1__UnitActionReply_Closure reply, void *call)
{
	struct action_call *action;
	struct err err;

	if (req->force || req->grace_millis) {
		err_set(&err, ERR_INVALID_ARGUMENT, 0,
			"force and grace go with a forced stop only");
		call_fail(call, &err);
		return;
	}
	action = action_new(req->name, reason, reply, call);
	if (action)
		units_act(call_units(call), what, req->name, call_deadline(call), on_action,
			  action);
}

static void units_rpc_start(Berth__Node__V1__Units_Service *self,
			    const Berth__Node__V1__UnitActionRequest *req,
			    Berth__Node__V1__UnitActionReply_Closure reply, void *call)
{
	(void)self;
	act(UNIT_START, "Started", req, reply, call);
}

static void units_rpc_stop(Berth__Node__V1__Units_Service *self,
			   const Berth__Node__V1__UnitActionRequest *req,
			   Berth__Node__V1__UnitActionReply_Closure reply, void *call)
{
	struct action_call *action;

	(void)self;
	if (!req->force) {
		act(UNIT_STOP, "Stopped", req, reply, call);
		return;
	}
	action = action_new(req->name, "Stopped", reply, call);
	if (action)
		units_force_stop(call_units(call), req->name, req->grace_millis,
				 call_deadline(call), on_action, action);
}

static void units_rpc_restart(Berth__Node__V1__Units_Service *self,
			      const Berth__Node__V1__UnitActionRequest *req,
			      Berth__Node__V1__UnitActionReply_Closure reply, void *call)
{
	(void)self;
	act(UNIT_RESTART, "Restarted", req, reply, call);
}

static void units_rpc_kill(Berth__Node__V1__Units_Service *self,
			   const Berth__Node__V1__UnitKillRequest *req,
			   Berth__Node__V1__UnitActionReply_Closure reply, void *call)
{
	int signal = req->signal > INT_MAX ? -1 : (int)req->signal;
	struct action_call *action;

	(void)self;
	action = action_new(req->name, "Killing", reply, call);
	if (!action)
		return;
	action->is_signal = true;
	units_kill(call_units(call), req->name, req->main_only, signal ? signal : SIGTERM,
		   call_deadline(call), on_action, action);
}

Berth__Node__V1__Units_Service units_service = BERTH__NODE__V1__UNITS__INIT(units_rpc_);
