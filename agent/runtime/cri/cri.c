/*
 * The backend "cri": containerd, CRI-O, cri-dockerd, over CRI v1 (or v1alpha2). One slot of
 * 'struct runtime_ops' is one request, or two in a row or side by side where CRI promises less than
 * runtime.h does.
 */
#include "agent/runtime/cri/cri_impl.h"
#include "agent/runtime/cri/messages.h"
#include "agent/runtime/cri/tasks.h"
#include "shared/base/cleanup.h"

#include "cri/v1/tasks.pb-c.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void call_free(struct cri_call *call)
{
	if (!call)
		return;
	free(call->id);
	free(call->name);
	free(call->version);
	free(call);
}

DEFINE_CLEANUP(call, struct cri_call *, call_free)

/* --- answers -------------------------------------------------------------------------------------- */

enum delivery cri_deliver_done(struct cri_call *call, const ProtobufCMessage *m, struct arena *a)
{
	(void)m;
	(void)a;
	call->to.fn.done(call->to.arg, NULL);
	return DELIVERED;
}

static enum delivery deliver_id(struct cri_call *call, const char *id)
{
	struct err err;

	if (id && *id) {
		call->to.fn.id(call->to.arg, id, NULL);
		return DELIVERED;
	}
	err_set(&err, ERR_INTERNAL, 0, "runtime: %s: it answered without an id",
		call->method->wire.name);
	call->to.fn.id(call->to.arg, NULL, &err);
	return DELIVERED;
}

static enum delivery deliver_sandbox_id(struct cri_call *call, const ProtobufCMessage *m,
					struct arena *a)
{
	(void)a;
	return deliver_id(call, ((const Runtime__V1__RunPodSandboxResponse *)m)->pod_sandbox_id);
}

static enum delivery deliver_container_id(struct cri_call *call, const ProtobufCMessage *m,
					  struct arena *a)
{
	(void)a;
	return deliver_id(call, ((const Runtime__V1__CreateContainerResponse *)m)->container_id);
}

static enum delivery deliver_url(struct cri_call *call, const ProtobufCMessage *m, struct arena *a)
{
	(void)a;
	return deliver_id(call, ((const Runtime__V1__UrlResponse *)m)->url);
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

static enum delivery fail_without_status(struct cri_call *call)
{
	struct err err;

	err_set(&err, ERR_INTERNAL, 0, "runtime: %s: it answered without a status",
		call->method->wire.name);
	runtime_reply_fail(&call->to, &err);
	return DELIVERED;
}

static enum delivery deliver_sandbox(struct cri_call *call, const ProtobufCMessage *m,
				     struct arena *a)
{
	const Runtime__V1__PodSandboxStatus *status =
		((const Runtime__V1__PodSandboxStatusResponse *)m)->status;
	struct runtime_sandbox one;

	if (!status)
		return fail_without_status(call);
	if (!message_to_sandbox(a, status, &one))
		return NO_MEMORY;
	one.pid = message_sandbox_pid((const Runtime__V1__PodSandboxStatusResponse *)m);
	call->to.fn.sandboxes(call->to.arg, &one, 1, NULL);
	return DELIVERED;
}

static enum delivery deliver_container(struct cri_call *call, const ProtobufCMessage *m,
				       struct arena *a)
{
	const Runtime__V1__ContainerStatus *status =
		((const Runtime__V1__ContainerStatusResponse *)m)->status;
	struct runtime_container one;

	if (!status)
		return fail_without_status(call);
	if (!message_to_container(a, status, &one))
		return NO_MEMORY;
	call->to.fn.containers(call->to.arg, &one, 1, NULL);
	return DELIVERED;
}

static enum delivery deliver_version(struct cri_call *call, const ProtobufCMessage *m,
				     struct arena *a);
static enum delivery deliver_status(struct cri_call *call, const ProtobufCMessage *m,
				    struct arena *a);
static enum delivery deliver_removal_check(struct cri_call *call, const ProtobufCMessage *m,
					   struct arena *a);
static enum delivery deliver_task_killed(struct cri_call *call, const ProtobufCMessage *m,
					 struct arena *a);
static enum delivery deliver_task_deleted(struct cri_call *call, const ProtobufCMessage *m,
					  struct arena *a);

/* --- methods -------------------------------------------------------------------------------------- */

static const struct cri_method version =
	RUNTIME_READ("Version", version_response, ABSENT_IS_ERROR, deliver_version);
static const struct cri_method status =
	RUNTIME_READ("Status", status_response, ABSENT_IS_ERROR, deliver_status);
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

/* --- calls ---------------------------------------------------------------------------------------- */

static bool says_absent(const struct cri_call *call, const struct err *err)
{
	if (err->code == ERR_NOT_FOUND)
		return true;
	return call->method->absent != ABSENT_IS_ERROR && message_says_absent(err, call->id);
}

static void fail(struct cri_call *call, const struct err *err)
{
	struct err known = *err;

	if (!says_absent(call, err)) {
		runtime_reply_fail(&call->to, err);
		return;
	}
	if (call->method->absent == ABSENT_IS_SUCCESS) {
		call->to.fn.done(call->to.arg, NULL);
		return;
	}
	known.code = ERR_NOT_FOUND;
	err_explain(&known, err_code_name(ERR_NOT_FOUND), NULL);
	runtime_reply_fail(&call->to, &known);
}

static void ask_removal(struct cri_call *call)
{
	Runtime__V1__RemoveContainerRequest req = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;

	req.container_id = call->id;
	cri_ask(call, &remove_container, &req.base);
}

/* A StartContainer that was broken off (its caller was killed) may leave a task that containerd's CRI
 * does not know of: the container then counts as not running and yet cannot be removed. The task is
 * ended by containerd's own service. True when the call goes on. */
static bool free_task(struct cri_call *call, const struct err *err)
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

static void on_reply(void *arg, const uint8_t *reply, size_t len, const struct err *failed)
{
	cleanup_with(call) struct cri_call *call = arg;
	__attribute__((cleanup(cleanup_arena))) struct arena arena = { 0 };
	ProtobufCAllocator allocator = arena_allocator(&arena);
	enum delivery delivery = NO_MEMORY;
	ProtobufCMessage *m;
	struct err err;

	if (failed) {
		if (free_task(call, failed))
			TAKE(call);
		else
			fail(call, failed);
		return;
	}
	m = protobuf_c_message_unpack(call->method->reply, &allocator, len, reply);
	if (m)
		delivery = call->method->deliver(call, m, &arena);
	if (delivery == ASKED_MORE)
		TAKE(call);
	if (delivery != NO_MEMORY)
		return;
	if (!m && !arena.failed)
		err_set(&err, ERR_DATA_LOSS, 0, "runtime: %s: its answer cannot be read",
			call->method->wire.name);
	else
		err_set(&err, ERR_RESOURCE_EXHAUSTED, 0, "runtime: %s: no memory for its answer",
			call->method->wire.name);
	runtime_reply_fail(&call->to, &err);
}

void cri_ask(struct cri_call *call, const struct cri_method *method, const ProtobufCMessage *req)
{
	call->method = method;
	transport_call(call->cri->transport, &method->wire, req, call->by, on_reply, call);
}

struct cri_call *cri_call_new(struct runtime *rt, struct runtime_reply to, struct deadline by,
			      const char *id)
{
	cleanup_with(call) struct cri_call *call = calloc(1, sizeof(*call));
	struct err err;

	if (call && id && *id)
		call->id = strdup(id);
	if (!call || (id && *id && !call->id)) {
		err_oom(&err);
		runtime_reply_fail(&to, &err);
		return NULL;
	}
	call->cri = (struct cri *)rt;
	call->to = to;
	call->by = by;
	return TAKE(call);
}

/* --- slots ---------------------------------------------------------------------------------------- */

static void cri_get_info(struct runtime *rt, struct deadline by, runtime_info_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_info(done, arg), by, NULL);
	Runtime__V1__VersionRequest req = RUNTIME__V1__VERSION_REQUEST__INIT;

	if (call)
		cri_ask(call, &version, &req.base);
}

static enum delivery deliver_version(struct cri_call *call, const ProtobufCMessage *m,
				     struct arena *a)
{
	const Runtime__V1__VersionResponse *from = (const Runtime__V1__VersionResponse *)m;
	Runtime__V1__StatusRequest req = RUNTIME__V1__STATUS_REQUEST__INIT;

	(void)a;
	call->name = strdup(from->runtime_name ? from->runtime_name : "");
	call->version = strdup(from->runtime_version ? from->runtime_version : "");
	if (!call->name || !call->version)
		return NO_MEMORY;
	cri_ask(call, &status, &req.base);
	return ASKED_MORE;
}

static enum delivery deliver_status(struct cri_call *call, const ProtobufCMessage *m,
				    struct arena *a)
{
	struct runtime_info info = { .name = call->name, .version = call->version };

	(void)a;
	message_to_info((const Runtime__V1__StatusResponse *)m, &info);
	call->to.fn.info(call->to.arg, &info, NULL);
	return DELIVERED;
}

/* One label, as a selector. 'item' and 'ptr' are the caller's. */
static size_t select_pod(const struct runtime_filter *filter, Runtime__V1__KeyValue *item)
{
	if (!filter->pod_uid || !*filter->pod_uid)
		return 0;
	item->key = (char *)LABEL_POD_UID;
	item->value = (char *)filter->pod_uid;
	return 1;
}

static void cri_list_sandboxes(struct runtime *rt, const struct runtime_filter *filter,
			       struct deadline by, runtime_sandboxes_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_sandboxes(done, arg), by, filter->id);
	Runtime__V1__ListPodSandboxRequest req = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
	Runtime__V1__PodSandboxFilter wanted = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
	Runtime__V1__KeyValue label = RUNTIME__V1__KEY_VALUE__INIT;
	Runtime__V1__KeyValue *labels[] = { &label };

	if (!call)
		return;
	wanted.label_selector = labels;
	wanted.n_label_selector = select_pod(filter, &label);
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

static void cri_sandbox_status(struct runtime *rt, const char *id, struct deadline by,
			       runtime_sandboxes_fn *done, void *arg)
{
	ask_sandbox(rt, id, false, by, done, arg);
}

static void cri_sandbox_details(struct runtime *rt, const char *id, struct deadline by,
				runtime_sandboxes_fn *done, void *arg)
{
	ask_sandbox(rt, id, true, by, done, arg);
}

static void fail_oom(struct cri_call *call)
{
	struct err err;

	err_oom(&err);
	runtime_reply_fail(&call->to, &err);
	call_free(call);
}

static void cri_run_sandbox(struct runtime *rt, const struct sandbox_request *from,
			    struct deadline by, runtime_id_fn *done, void *arg)
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
		fail_oom(call);
}

static void cri_stop_sandbox(struct runtime *rt, const char *id, struct deadline by,
			     runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);
	Runtime__V1__StopPodSandboxRequest req = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;

	if (!call)
		return;
	req.pod_sandbox_id = (char *)id;
	cri_ask(call, &stop_sandbox, &req.base);
}

static void cri_remove_sandbox(struct runtime *rt, const char *id, struct deadline by,
			       runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);
	Runtime__V1__RemovePodSandboxRequest req = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;

	if (!call)
		return;
	req.pod_sandbox_id = (char *)id;
	cri_ask(call, &remove_sandbox, &req.base);
}

static void cri_list_containers(struct runtime *rt, const struct runtime_filter *filter,
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
	wanted.n_label_selector = select_pod(filter, &label);
	if (wanted.n_label_selector)
		req.filter = &wanted;
	cri_ask(call, &list_containers, &req.base);
}

static void cri_container_status(struct runtime *rt, const char *id, struct deadline by,
				 runtime_containers_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_containers(done, arg), by, id);
	Runtime__V1__ContainerStatusRequest req = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;

	if (!call)
		return;
	req.container_id = (char *)id;
	cri_ask(call, &container_status, &req.base);
}

static void cri_create_container(struct runtime *rt, const char *sandbox_id,
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
		fail_oom(call);
}

static void cri_start_container(struct runtime *rt, const char *id, struct deadline by,
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
		call_free(call);
		return;
	}
	req.container_id = call->id;
	req.timeout = call->grace_s;
	cri_ask(call, &stop_container, &req.base);
}

/* A frozen container hears no signal, on cgroup v1 not even SIGKILL (NS-067). */
static void cri_stop_container(struct runtime *rt, const char *id, int64_t grace_s,
			       struct deadline by, runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);

	if (!call)
		return;
	call->grace_s = grace_s;
	tasks_thaw(call->cri->transport, id, by, on_thawed, call);
}

static void cri_pause_container(struct runtime *rt, const char *id, struct deadline by,
				runtime_done_fn *done, void *arg)
{
	tasks_set_frozen(((struct cri *)rt)->transport, id, true, by, done, arg);
}

static void cri_unpause_container(struct runtime *rt, const char *id, struct deadline by,
				  runtime_done_fn *done, void *arg)
{
	tasks_set_frozen(((struct cri *)rt)->transport, id, false, by, done, arg);
}

static void cri_list_paused(struct runtime *rt, struct deadline by, runtime_containers_fn *done,
			    void *arg)
{
	tasks_list_paused(((struct cri *)rt)->transport, by, done, arg);
}

/* CRI's own RemoveContainer takes running ones too, which runtime.h does not want. */
static void cri_remove_container(struct runtime *rt, const char *id, struct deadline by,
				 runtime_done_fn *done, void *arg)
{
	struct cri_call *call = cri_call_new(rt, reply_to_done(done, arg), by, id);
	Runtime__V1__ContainerStatusRequest req = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;

	if (!call)
		return;
	req.container_id = (char *)id;
	cri_ask(call, &remove_check, &req.base);
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

static void cri_open_session(struct runtime *rt, const char *id,
			     const struct runtime_session *session, struct deadline by,
			     runtime_id_fn *done, void *arg)
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

static void cri_close(struct runtime *rt)
{
	struct cri *cri = (struct cri *)rt;

	transport_close(cri->transport);
	free(cri);
}

static int cri_open(const char *address, struct sd_event *loop, struct runtime **ret_runtime,
		    struct err *err)
{
	cleanup_free struct cri *cri = calloc(1, sizeof(*cri));

	if (!cri)
		return err_oom(err);
	if (transport_open(address, loop, &cri->transport, err) < 0)
		return -1;
	*ret_runtime = &TAKE(cri)->rt;
	return 0;
}

const struct runtime_ops runtime_cri_ops = {
	.name = "cri",
	.open = cri_open,
	.close = cri_close,
	.get_info = cri_get_info,
	.list_sandboxes = cri_list_sandboxes,
	.sandbox_status = cri_sandbox_status,
	.sandbox_details = cri_sandbox_details,
	.run_sandbox = cri_run_sandbox,
	.stop_sandbox = cri_stop_sandbox,
	.remove_sandbox = cri_remove_sandbox,
	.list_containers = cri_list_containers,
	.container_status = cri_container_status,
	.create_container = cri_create_container,
	.start_container = cri_start_container,
	.stop_container = cri_stop_container,
	.pause_container = cri_pause_container,
	.unpause_container = cri_unpause_container,
	.list_paused = cri_list_paused,
	.remove_container = cri_remove_container,
	.open_session = cri_open_session,
	.image_status = cri_image_status,
	.pull_image = cri_pull_image,
	.list_images = cri_list_images,
	.remove_image = cri_remove_image,
};
