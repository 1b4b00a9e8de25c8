#include "agent/units/processes.h"
#include "agent/agent.h"
#include "agent/service/call.h"
#include "agent/units/unit.h"
#include "shared/base/cleanup.h"
#include "shared/base/utf8.h"

#include "node/v1/processes.pb-c.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* --- List --------------------------------------------------------------------------------------------- */

/* Everything of a reply that is not in the list itself. */
struct list_wire {
	Berth__Node__V1__ProcessInfo *infos;
	Berth__Node__V1__ProcessInfo **items;
	char (*states)[2];
	char **args; /* of all of them, in a row */
};

static void list_wire_release(struct list_wire *wire)
{
	free(wire->infos);
	free(wire->items);
	free(wire->states);
	free(wire->args);
}

static void cleanup_list_wire(struct list_wire *wire)
{
	list_wire_release(wire);
}

/* Text of the node's processes may be anything, and the wire takes UTF-8 only. */
static void clean(char *s)
{
	if (s)
		utf8_copy(s, strlen(s) + 1, s);
}

static size_t count_args(const struct process_list *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		for (size_t k = 0; k < list->items[i].args_len; k++)
			count += list->items[i].args[k] == '\0';
	}
	return count;
}

/* The strings of a process's arguments into 'ret'; how many there are. */
static size_t split_args(struct process_info *p, char **ret)
{
	size_t count = 0;

	for (size_t at = 0; at < p->args_len; at += strlen(ret[count++]) + 1)
		ret[count] = p->args + at;
	return count;
}

static void wire_process(struct process_info *p, char state[2], Berth__Node__V1__ProcessInfo *ret)
{
	berth__node__v1__process_info__init(ret);
	clean(p->comm);
	clean(p->label);
	clean(p->executable);
	state[0] = p->state;
	ret->pid = (uint32_t)p->pid;
	ret->parent_pid = (uint32_t)p->ppid;
	ret->state = state;
	ret->threads = p->threads;
	ret->cpu_millis = p->cpu_ms;
	ret->virtual_bytes = p->virtual_bytes;
	ret->resident_bytes = p->resident_bytes;
	ret->start_ticks = p->start_ticks;
	ret->command = p->comm;
	ret->executable = p->executable ? p->executable : ret->executable;
	ret->label = p->label;
	ret->kernel = p->kernel;
}

static void wire_list(struct process_list *list, bool kernel, struct list_wire *wire,
		      Berth__Node__V1__ProcessListReply *rep)
{
	char **args = wire->args;

	for (size_t i = 0; i < list->count; i++) {
		Berth__Node__V1__ProcessInfo *info = &wire->infos[i];

		if (list->items[i].kernel && !kernel)
			continue;
		wire_process(&list->items[i], wire->states[i], info);
		info->args = args;
		info->n_args = split_args(&list->items[i], args);
		for (size_t k = 0; k < info->n_args; k++)
			clean(args[k]);
		args += info->n_args;
		wire->items[rep->n_processes++] = info;
	}
	rep->processes = wire->items;
}

static int list_wire_init(struct list_wire *wire, const struct process_list *list, struct err *err)
{
	size_t count = list->count + 1;

	wire->infos = calloc(count, sizeof(*wire->infos));
	wire->items = calloc(count, sizeof(*wire->items));
	wire->states = calloc(count, sizeof(*wire->states));
	wire->args = calloc(count_args(list) + 1, sizeof(*wire->args));
	if (wire->infos && wire->items && wire->states && wire->args)
		return 0;
	return err_oom(err);
}

static void processes_rpc_list(Berth__Node__V1__Processes_Service *self,
			       const Berth__Node__V1__ProcessListRequest *req,
			       Berth__Node__V1__ProcessListReply_Closure reply, void *call)
{
	const char *proc_root = units_proc_root(call_agent(call)->units);
	bool with_args = call_role(call) >= ROLE_ADMIN;
	Berth__Node__V1__ProcessListReply rep = BERTH__NODE__V1__PROCESS_LIST_REPLY__INIT;
	cleanup_with(process_list) struct process_list list = { 0 };
	cleanup_with(list_wire) struct list_wire wire = { 0 };
	struct err err;

	(void)self;
	if (processes_list(proc_root, with_args, &list, &err) < 0 ||
	    list_wire_init(&wire, &list, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	wire_list(&list, req->kernel, &wire, &rep);
	reply(&rep, call);
}

/* --- Kill --------------------------------------------------------------------------------------------- */

static void processes_rpc_kill(Berth__Node__V1__Processes_Service *self,
			       const Berth__Node__V1__ProcessKillRequest *req,
			       Berth__Node__V1__ProcessKillReply_Closure reply, void *call)
{
	const char *proc_root = units_proc_root(call_agent(call)->units);
	Berth__Node__V1__ProcessKillReply rep = BERTH__NODE__V1__PROCESS_KILL_REPLY__INIT;
	int signal = req->signal > 64 ? -1 : (int)req->signal;
	pid_t pid = req->pid > INT32_MAX ? -1 : (pid_t)req->pid;
	char comm[64];
	struct err err;

	(void)self;
	if (process_send_signal(proc_root, pid, req->start_ticks, signal ? signal : SIGTERM, comm,
				&err) < 0) {
		call_fail(call, &err);
		return;
	}
	clean(comm);
	call_note(call, "signal %d to process %d (%s)", signal ? signal : SIGTERM, (int)pid, comm);
	rep.command = comm;
	reply(&rep, call);
}

/* --- KillApiServer ------------------------------------------------------------------------------------ */

struct kill_call {
	Berth__Node__V1__KillApiServerReply_Closure reply;
	void *call;
};

/* 'infos' and 'items' have room for 'count'. */
static void send_results(const struct kill_call *kill, const struct process_result *list,
			 size_t count, Berth__Node__V1__ProcessResult *infos,
			 Berth__Node__V1__ProcessResult **items)
{
	Berth__Node__V1__KillApiServerReply rep = BERTH__NODE__V1__KILL_API_SERVER_REPLY__INIT;

	for (size_t i = 0; i < count; i++) {
		berth__node__v1__process_result__init(&infos[i]);
		infos[i].pid = (uint32_t)list[i].pid;
		infos[i].result = (char *)list[i].result;
		infos[i].message = (char *)list[i].message;
		items[i] = &infos[i];
	}
	rep.n_processes = count;
	rep.processes = items;
	kill->reply(&rep, kill->call);
}

static void on_killed(void *arg, const struct process_result *list, size_t count,
		      const struct err *err)
{
	struct kill_call kill = *(struct kill_call *)arg;
	Berth__Node__V1__ProcessResult **items;
	Berth__Node__V1__ProcessResult *infos;
	struct err oom;

	free(arg);
	if (err) {
		call_fail(kill.call, err);
		return;
	}
	infos = calloc(count + 1, sizeof(*infos));
	items = calloc(count + 1, sizeof(struct Berth__Node__V1__ProcessResult *));
	if (infos && items) {
		send_results(&kill, list, count, infos, items);
	} else {
		err_oom(&oom);
		call_fail(kill.call, &oom);
	}
	free(items);
	free(infos);
}

static void processes_rpc_kill_api_server(Berth__Node__V1__Processes_Service *self,
					  const Berth__Node__V1__KillApiServerRequest *req,
					  Berth__Node__V1__KillApiServerReply_Closure reply,
					  void *call)
{
	struct agent *agent = call_agent(call);
	struct kill_call *kill = malloc(sizeof(*kill));
	struct err err;

	(void)self;
	if (!kill) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	*kill = (struct kill_call){ .reply = reply, .call = call };
	processes_end(agent->loop, units_proc_root(agent->units), "kube-apiserver",
		      req->grace_millis, call_deadline(call), on_killed, kill);
}

Berth__Node__V1__Processes_Service processes_service =
	BERTH__NODE__V1__PROCESSES__INIT(processes_rpc_);
