/* Containers of a CRI runtime, and the sessions in them. */
#include "agent/runtime/cri/cri_impl.h"
#include "agent/runtime/cri/messages.h"
#include "agent/runtime/cri/tasks.h"

#include "cri/v1/tasks.pb-c.h"

#include <signal.h>
#include <string.h>

static enum delivery deliver_container_id(struct cri_call *call, const ProtobufCMessage *m,
					  struct arena *a)
{
	(void)a;
	return cri_deliver_id(call,
			      ((const Runtime__V1__CreateContainerResponse *)m)->container_id);
}

static enum delivery deliver_url(struct cri_call *call, const ProtobufCMessage *m, struct arena *a)
{
	(void)a;
	return cri_deliver_id(call, ((const Runtime__V1__UrlResponse *)m)->url);
}

static enum delivery deliver_containers(struct cri_call *call, const ProtobufCMessage *m,
					struct arena *a)
{
	struct runtime_container *list;
	size_t count;

	list = message_to_containers(a, (const Runtime__V1__ListContainersResponse *)m, &count);
	if (!list)
		return NO_MEMORY;
	count = runtime_order_containers(list, count, call->id);
	call->to.fn.containers(call->to.arg, list, count, NULL);
	return DELIVERED;
}

static enum delivery deliver_container(struct cri_call *call, const ProtobufCMessage *m,
				       struct arena *a)
{
	const Runtime__V1__ContainerStatus *status =
		((const Runtime__V1__ContainerStatusResponse *)m)->status;
	struct runtime_container one;

	if (!status)
		return cri_fail_without_status(call);
	if (!message_to_container(a, status, &one))
		return NO_MEMORY;
	call->to.fn.containers(call->to.arg, &one, 1, NULL);
	return DELIVERED;
}

static enum delivery deliver_removal_check(struct cri_call *call, const ProtobufCMessage *m,
					   struct arena *a);
static enum delivery deliver_task_killed(struct cri_call *call, const ProtobufCMessage *m,
					 struct arena *a);
static enum delivery deliver_task_deleted(struct cri_call *call, const ProtobufCMessage *m,
					  struct arena *a);

static const struct cri_method list_containers =
	RUNTIME_READ("ListContainers", list_containers_response, ABSENT_IS_ERROR,
		     deliver_containers);
static const struct cri_method container_status =
	RUNTIME_READ("ContainerStatus", container_status_response, ABSENT_BY_TEXT,
		     deliver_container);
static const struct cri_method create_container =
	RUNTIME_WRITE("CreateContainer", create_container_response, ABSENT_IS_ERROR,
		      deliver_container_id);
static const struct cri_method start_container =
	RUNTIME_WRITE("StartContainer", empty, ABSENT_IS_ERROR, cri_deliver_done);
static const struct cri_method stop_container =
	RUNTIME_WRITE("StopContainer", empty, ABSENT_BY_TEXT, cri_deliver_done);
static const struct cri_method exec_session =
	RUNTIME_WRITE("Exec", url_response, ABSENT_BY_TEXT, deliver_url);
static const struct cri_method attach_session =
	RUNTIME_WRITE("Attach", url_response, ABSENT_BY_TEXT, deliver_url);
static const struct cri_method remove_check =
	RUNTIME_READ("ContainerStatus", container_status_response, ABSENT_IS_SUCCESS,
		     deliver_removal_check);
static const struct cri_method remove_container =
	RUNTIME_WRITE("RemoveContainer", empty, ABSENT_IS_SUCCESS, cri_deliver_done);
static const struct cri_method task_kill =
	TASKS("Kill", false, empty, ABSENT_IS_ERROR, deliver_task_killed);
static const struct cri_method task_delete =
	TASKS("Delete", false, empty, ABSENT_IS_ERROR, deliver_task_deleted);

void cri_list_containers(struct runtime *rt, const struct runtime_filter *filter,
			 struct deadline by, runtime_containers_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_containers(done, arg), by, filter->id);
	Runtime__V1__ListContainersRequest req = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
	Runtime__V1__ContainerFilter wanted = RUNTIME__V1__CONTAINER_FILTER__INIT;
	Runtime__V1__KeyValue label = RUNTIME__V1__KEY_VALUE__INIT;
	Runtime__V1__KeyValue *labels[] = { &label };

	if (!call)
		return;
	wanted.label_selector = labels;
	wanted.n_label_selector = cri_select_pod(filter, &label);
	if (wanted.n_label_selector)
		req.filter = &wanted;
	cri_ask(call, &list_containers, &req.base);
}

void cri_container_status(struct runtime *rt, const char *id, struct deadline by,
			  runtime_containers_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_containers(done, arg), by, id);
	Runtime__V1__ContainerStatusRequest req = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;

	if (!call)
		return;
	req.container_id = (char *)id;
	cri_ask(call, &container_status, &req.base);
}

void cri_create_container(struct runtime *rt, const char *sandbox_id,
			  const struct container_request *from,
			  const struct sandbox_request *sandbox, struct deadline by,
			  runtime_id_fn *done, void *arg)
{
	__attribute__((cleanup(cleanup_arena))) struct arena arena = { 0 };
	struct cri_call *call = cri_call_new(rt, reply_to_id(done, arg), by, NULL);
	Runtime__V1__CreateContainerRequest req = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;

	if (!call)
		return;
	req.pod_sandbox_id = (char *)sandbox_id;
	req.config = message_container_config(&arena, from);
	req.sandbox_config = message_sandbox_config(&arena, sandbox);
	if (req.config && req.sandbox_config)
		cri_ask(call, &create_container, &req.base);
	else
		cri_fail_oom(call);
}

void cri_start_container(struct runtime *rt, const char *id, struct deadline by,
			 runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);
	Runtime__V1__StartContainerRequest req = RUNTIME__V1__START_CONTAINER_REQUEST__INIT;

	if (!call)
		return;
	req.container_id = (char *)id;
	cri_ask(call, &start_container, &req.base);
}

/* Whether or not there was something to thaw: the stop itself tells how things are. */
static void on_thawed(void *arg, const struct err *err)
{
	struct cri_call *call = arg;
	Runtime__V1__StopContainerRequest req = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;

	if (err && err->code == ERR_CANCELLED) {
		runtime_reply_fail(&call->to, err);
		cri_call_free(call);
		return;
	}
	req.container_id = call->id;
	req.timeout = call->grace_s;
	cri_ask(call, &stop_container, &req.base);
}

/* A frozen container hears no signal, on cgroup v1 not even SIGKILL (NS-067). */
void cri_stop_container(struct runtime *rt, const char *id, int64_t grace_s, struct deadline by,
			runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);

	if (!call)
		return;
	call->grace_s = grace_s;
	tasks_thaw(call->cri->transport, id, by, on_thawed, call);
}

void cri_pause_container(struct runtime *rt, const char *id, struct deadline by,
			 runtime_done_fn *done, void *arg)
{
	tasks_set_frozen(((struct cri *)rt)->transport, id, true, by, done, arg);
}

void cri_unpause_container(struct runtime *rt, const char *id, struct deadline by,
			   runtime_done_fn *done, void *arg)
{
	tasks_set_frozen(((struct cri *)rt)->transport, id, false, by, done, arg);
}

void cri_list_paused(struct runtime *rt, struct deadline by, runtime_containers_fn *done, void *arg)
{
	tasks_list_paused(((struct cri *)rt)->transport, by, done, arg);
}

/* --- removal --------------------------------------------------------------------------------------- */

/* CRI's own RemoveContainer takes running ones too, which runtime.h does not want. */
void cri_remove_container(struct runtime *rt, const char *id, struct deadline by,
			  runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);
	Runtime__V1__ContainerStatusRequest req = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;

	if (!call)
		return;
	req.container_id = (char *)id;
	cri_ask(call, &remove_check, &req.base);
}

static void ask_removal(struct cri_call *call)
{
	Runtime__V1__RemoveContainerRequest req = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;

	req.container_id = call->id;
	cri_ask(call, &remove_container, &req.base);
}

static enum delivery deliver_removal_check(struct cri_call *call, const ProtobufCMessage *m,
					   struct arena *a)
{
	const Runtime__V1__ContainerStatus *now =
		((const Runtime__V1__ContainerStatusResponse *)m)->status;
	struct err err;

	(void)a;
	if (now && now->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING) {
		err_set(&err, ERR_FAILED_PRECONDITION, 0, "container '%s' is running", call->id);
		err_explain(&err, "CONTAINER_RUNNING", "stop it first");
		call->to.fn.done(call->to.arg, &err);
		return DELIVERED;
	}
	ask_removal(call);
	return ASKED_MORE;
}

bool cri_free_task(struct cri_call *call, const struct err *err)
{
	Containerd__Services__Tasks__V1__KillRequest req =
		CONTAINERD__SERVICES__TASKS__V1__KILL_REQUEST__INIT;

	if (call->method == &task_kill || call->method == &task_delete)
		return call->method->deliver(call, NULL, NULL) == ASKED_MORE;
	if (call->method != &remove_container || call->freed ||
	    !strstr(err->msg, "cannot delete running task"))
		return false;
	call->freed = true;
	req.container_id = call->id;
	req.signal = SIGKILL;
	req.all = true;
	cri_ask(call, &task_kill, &req.base);
	return true;
}

static enum delivery deliver_task_killed(struct cri_call *call, const ProtobufCMessage *m,
					 struct arena *a)
{
	Containerd__Services__Tasks__V1__DeleteTaskRequest req =
		CONTAINERD__SERVICES__TASKS__V1__DELETE_TASK_REQUEST__INIT;

	(void)m;
	(void)a;
	req.container_id = call->id;
	cri_ask(call, &task_delete, &req.base);
	return ASKED_MORE;
}

/* Whether or not it could be: the removal tells how things are now. */
static enum delivery deliver_task_deleted(struct cri_call *call, const ProtobufCMessage *m,
					  struct arena *a)
{
	(void)m;
	(void)a;
	ask_removal(call);
	return ASKED_MORE;
}

/* --- sessions -------------------------------------------------------------------------------------- */

static void ask_attach(struct cri_call *call, const struct runtime_session *session)
{
	Runtime__V1__AttachRequest req = RUNTIME__V1__ATTACH_REQUEST__INIT;

	req.container_id = call->id;
	req.tty = session->tty;
	req.with_stdin = session->input;
	req.with_stdout = true;
	req.with_stderr = !session->tty;
	cri_ask(call, &attach_session, &req.base);
}

void cri_open_session(struct runtime *rt, const char *id, const struct runtime_session *session,
		      struct deadline by, runtime_id_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_id(done, arg), by, id);
	Runtime__V1__ExecRequest req = RUNTIME__V1__EXEC_REQUEST__INIT;

	if (!call)
		return;
	if (!session->argv) {
		ask_attach(call, session);
		return;
	}
	req.container_id = call->id;
	req.cmd = (char **)session->argv;
	while (session->argv[req.n_cmd])
		req.n_cmd++;
	req.tty = session->tty;
	req.with_stdin = session->input;
	req.with_stdout = true;
	req.with_stderr = !session->tty;
	cri_ask(call, &exec_session, &req.base);
}
