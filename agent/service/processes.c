#include "agent/units/processes.h"
#include "agent/agent.h"
#include "agent/service/call.h"
#include "agent/units/unit.h"

#include "node/v1/processes.pb-c.h"

#include <stdlib.h>

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

static void processes_kill_api_server(Berth__Node__V1__Processes_Service *self,
				      const Berth__Node__V1__KillApiServerRequest *req,
				      Berth__Node__V1__KillApiServerReply_Closure reply, void *call)
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

Berth__Node__V1__Processes_Service processes_service = BERTH__NODE__V1__PROCESSES__INIT(processes_);
