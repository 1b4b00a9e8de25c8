/* Pod sandboxes of a CRI runtime. */
#include "agent/runtime/cri/cri_impl.h"
#include "agent/runtime/cri/messages.h"

static enum delivery deliver_sandbox_id(struct cri_call *call, const ProtobufCMessage *m,
					struct arena *a)
{
	(void)a;
	return cri_deliver_id(call,
			      ((const Runtime__V1__RunPodSandboxResponse *)m)->pod_sandbox_id);
}

static enum delivery deliver_sandboxes(struct cri_call *call, const ProtobufCMessage *m,
				       struct arena *a)
{
	struct runtime_sandbox *list;
	size_t count;

	list = message_to_sandboxes(a, (const Runtime__V1__ListPodSandboxResponse *)m, &count);
	if (!list)
		return NO_MEMORY;
	count = runtime_order_sandboxes(list, count, call->id);
	call->to.fn.sandboxes(call->to.arg, list, count, NULL);
	return DELIVERED;
}

static enum delivery deliver_sandbox(struct cri_call *call, const ProtobufCMessage *m,
				     struct arena *a)
{
	const Runtime__V1__PodSandboxStatus *status =
		((const Runtime__V1__PodSandboxStatusResponse *)m)->status;
	struct runtime_sandbox one;

	if (!status)
		return cri_fail_without_status(call);
	if (!message_to_sandbox(a, status, &one))
		return NO_MEMORY;
	one.pid = message_sandbox_pid((const Runtime__V1__PodSandboxStatusResponse *)m);
	call->to.fn.sandboxes(call->to.arg, &one, 1, NULL);
	return DELIVERED;
}

static const struct cri_method list_sandboxes =
	RUNTIME_READ("ListPodSandbox", list_pod_sandbox_response, ABSENT_IS_ERROR,
		     deliver_sandboxes);
static const struct cri_method sandbox_status =
	RUNTIME_READ("PodSandboxStatus", pod_sandbox_status_response, ABSENT_BY_TEXT,
		     deliver_sandbox);
static const struct cri_method run_sandbox =
	RUNTIME_WRITE("RunPodSandbox", run_pod_sandbox_response, ABSENT_IS_ERROR,
		      deliver_sandbox_id);
static const struct cri_method stop_sandbox =
	RUNTIME_WRITE("StopPodSandbox", empty, ABSENT_IS_SUCCESS, cri_deliver_done);
static const struct cri_method remove_sandbox =
	RUNTIME_WRITE("RemovePodSandbox", empty, ABSENT_IS_SUCCESS, cri_deliver_done);

void cri_list_sandboxes(struct runtime *rt, const struct runtime_filter *filter, struct deadline by,
			runtime_sandboxes_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_sandboxes(done, arg), by, filter->id);
	Runtime__V1__ListPodSandboxRequest req = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
	Runtime__V1__PodSandboxFilter wanted = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
	Runtime__V1__KeyValue label = RUNTIME__V1__KEY_VALUE__INIT;
	Runtime__V1__KeyValue *labels[] = { &label };

	if (!call)
		return;
	wanted.label_selector = labels;
	wanted.n_label_selector = cri_select_pod(filter, &label);
	if (wanted.n_label_selector)
		req.filter = &wanted;
	cri_ask(call, &list_sandboxes, &req.base);
}

static void ask_sandbox(struct runtime *rt, const char *id, bool verbose, struct deadline by,
			runtime_sandboxes_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_sandboxes(done, arg), by, id);
	Runtime__V1__PodSandboxStatusRequest req = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;

	if (!call)
		return;
	req.pod_sandbox_id = (char *)id;
	req.verbose = verbose;
	cri_ask(call, &sandbox_status, &req.base);
}

void cri_sandbox_status(struct runtime *rt, const char *id, struct deadline by,
			runtime_sandboxes_fn *done, void *arg)
{
	ask_sandbox(rt, id, false, by, done, arg);
}

void cri_sandbox_details(struct runtime *rt, const char *id, struct deadline by,
			 runtime_sandboxes_fn *done, void *arg)
{
	ask_sandbox(rt, id, true, by, done, arg);
}

void cri_run_sandbox(struct runtime *rt, const struct sandbox_request *from, struct deadline by,
		     runtime_id_fn *done, void *arg)
{
	__attribute__((cleanup(cleanup_arena))) struct arena arena = { 0 };
	struct cri_call *call = cri_call_new(rt, reply_to_id(done, arg), by, NULL);
	Runtime__V1__RunPodSandboxRequest req = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;

	if (!call)
		return;
	req.config = message_sandbox_config(&arena, from);
	if (req.config)
		cri_ask(call, &run_sandbox, &req.base);
	else
		cri_fail_oom(call);
}

void cri_stop_sandbox(struct runtime *rt, const char *id, struct deadline by, runtime_done_fn *done,
		      void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);
	Runtime__V1__StopPodSandboxRequest req = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;

	if (!call)
		return;
	req.pod_sandbox_id = (char *)id;
	cri_ask(call, &stop_sandbox, &req.base);
}

void cri_remove_sandbox(struct runtime *rt, const char *id, struct deadline by,
			runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);
	Runtime__V1__RemovePodSandboxRequest req = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;

	if (!call)
		return;
	req.pod_sandbox_id = (char *)id;
	cri_ask(call, &remove_sandbox, &req.base);
}
