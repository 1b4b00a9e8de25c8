#include "agent/streams/forward.h"

#include "agent/agent.h"
#include "agent/runtime/runtime.h"
#include "agent/service/call.h"
#include "agent/service/opened.h"

#include "node/v1/forward.pb-c.h"

#include <stdlib.h>
#include <string.h>

struct open_call {
	const Berth__Node__V1__ForwardOpenRequest *req;
	Berth__Node__V1__StreamOpened_Closure reply;
	void *call;
};

static void open_fail(struct open_call *open, const struct err *err)
{
	call_fail(open->call, err);
	free(open);
}

static const char *wanted_namespace(const Berth__Node__V1__ForwardOpenRequest *req)
{
	return req->namespace_[0] ? req->namespace_ : "default";
}

/* forward_done_fn */
static void on_open(void *arg, struct stream *stream, const struct err *err)
{
	struct open_call *open = arg;
	struct err named;

	if (err) {
		named = *err;
		if (open->req->pod[0])
			err_wrap(&named, "pod '%s'", open->req->pod);
		open_fail(open, &named);
		return;
	}
	call_note(open->call, "forwards to port %u of %s%s", open->req->port,
		  open->req->pod[0] ? "pod " : "the node", open->req->pod);
	opened_reply(stream, open->reply, open->call);
	free(open);
}

static void connect_to(struct open_call *open, uint32_t pid, const char *address)
{
	struct forward_target target = { .pid = pid,
					 .address = address,
					 .port = (uint16_t)open->req->port };

	forward_stream_open(call_agent(open->call)->streams, &target, ROLE_ADMIN,
			    call_deadline(open->call), on_open, open);
}

/* The pod's own loopback, by the process that holds its network; where the runtime does not tell
 * that, its address as the node reaches it. */
static void on_details(void *arg, const struct runtime_sandbox *one, size_t count,
		       const struct err *failed)
{
	struct open_call *open = arg;
	struct err err;

	if (failed) {
		open_fail(open, failed);
	} else if (count == 1 && one->pid) {
		connect_to(open, one->pid, NULL);
	} else if (count == 1 && one->host_network) {
		connect_to(open, 0, NULL);
	} else if (count == 1 && one->ip[0]) {
		connect_to(open, 0, one->ip);
	} else {
		err_set(&err, ERR_FAILED_PRECONDITION, 0, "pod '%s' has no address yet",
			open->req->pod);
		open_fail(open, &err);
	}
}

/* Newest first: the one that is ready is the pod's present one. */
static void on_sandboxes(void *arg, const struct runtime_sandbox *list, size_t count,
			 const struct err *failed)
{
	struct open_call *open = arg;
	const char *namespace = wanted_namespace(open->req);
	struct agent *agent = call_agent(open->call);
	struct err err;

	if (failed) {
		open_fail(open, failed);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (!list[i].ready || strcmp(list[i].name, open->req->pod) != 0 ||
		    strcmp(list[i].namespace, namespace) != 0)
			continue;
		runtime_sandbox_details(agent->runtime, list[i].id, call_deadline(open->call),
					on_details, open);
		return;
	}
	err_set(&err, ERR_NOT_FOUND, 0, "no pod '%s' runs in namespace '%s' on this node",
		open->req->pod, namespace);
	err_explain(&err, "POD_NOT_FOUND", "'berth get pods -A' lists what there is, and where");
	open_fail(open, &err);
}

static void forward_open(Berth__Node__V1__Forward_Service *self,
			 const Berth__Node__V1__ForwardOpenRequest *req,
			 Berth__Node__V1__StreamOpened_Closure reply, void *call)
{
	struct open_call *open;
	struct err err;

	(void)self;
	if (req->port == 0 || req->port > 65535) {
		err_set(&err, ERR_INVALID_ARGUMENT, 0, "%u is no TCP port", req->port);
		call_fail(call, &err);
		return;
	}
	open = calloc(1, sizeof(*open));
	if (!open) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	*open = (struct open_call){ .req = req, .reply = reply, .call = call };
	if (req->pod[0])
		runtime_list_sandboxes(call_agent(call)->runtime, NULL, call_deadline(call),
				       on_sandboxes, open);
	else
		connect_to(open, 0, NULL);
}

Berth__Node__V1__Forward_Service forward_service = BERTH__NODE__V1__FORWARD__INIT(forward_);
