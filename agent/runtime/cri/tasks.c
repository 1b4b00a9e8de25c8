#include "agent/runtime/cri/tasks.h"

#include "agent/runtime/cri/transport.h"
#include "agent/runtime/runtime_impl.h"
#include "shared/base/cleanup.h"

#include "cri/v1/tasks.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define TASKS   "containerd.services.tasks.v1.Tasks"
#define PAUSED  CONTAINERD__SERVICES__TASKS__V1__TASK_STATUS__TASK_PAUSED
#define RUNNING CONTAINERD__SERVICES__TASKS__V1__TASK_STATUS__TASK_RUNNING

static const struct transport_method task_pause = { TASKS, "Pause", false };
static const struct transport_method task_resume = { TASKS, "Resume", false };
static const struct transport_method task_get = { TASKS, "Get", true };
static const struct transport_method task_list = { TASKS, "List", true };

struct freeze_call {
	struct transport *transport;
	char *id;
	bool frozen;    /* what is wanted */
	bool once;      /* the answer is the attempt's own */
	struct err err; /* of the attempt */
	struct deadline by;
	runtime_done_fn *done;
	void *arg;
};

static void freeze_free(struct freeze_call *call)
{
	if (!call)
		return;
	free(call->id);
	free(call);
}

DEFINE_CLEANUP(freeze, struct freeze_call *, freeze_free)

static void explain(struct err *err)
{
	if (err->code != ERR_UNIMPLEMENTED)
		return;
	err_set(err, ERR_UNIMPLEMENTED, 0, "this runtime cannot pause containers");
	err_explain(err, "PAUSE_UNSUPPORTED", "containerd can");
}

static void freeze_end(struct freeze_call *call, const struct err *err)
{
	struct err known;

	if (err) {
		known = *err;
		explain(&known);
	}
	call->done(call->arg, err ? &known : NULL);
}

/* What the task is now decides whether the failed attempt was needed at all. */
static void on_got(void *arg, const uint8_t *reply, size_t len, const struct err *failed)
{
	cleanup_with(freeze) struct freeze_call *call = arg;
	Containerd__Services__Tasks__V1__GetTaskResponse *m = NULL;
	struct err err = call->err;
	int status = -1;

	if (!failed)
		m = containerd__services__tasks__v1__get_task_response__unpack(NULL, len, reply);
	if (m && m->process)
		status = (int)m->process->status;
	if (m)
		containerd__services__tasks__v1__get_task_response__free_unpacked(m, NULL);
	if (failed && failed->code == ERR_NOT_FOUND) {
		freeze_end(call, failed);
	} else if (status == (call->frozen ? (int)PAUSED : (int)RUNNING)) {
		freeze_end(call, NULL);
	} else if (status >= 0 && status != (int)PAUSED && status != (int)RUNNING) {
		err_set(&err, ERR_FAILED_PRECONDITION, 0, "container '%.64s' is not running",
			call->id);
		err_explain(&err, "CONTAINER_NOT_RUNNING", NULL);
		freeze_end(call, &err);
	} else {
		freeze_end(call, &call->err);
	}
}

static bool is_final(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_DEADLINE_EXCEEDED ||
	       err->code == ERR_CANCELLED || err->code == ERR_UNIMPLEMENTED;
}

static void on_frozen(void *arg, const uint8_t *reply, size_t len, const struct err *failed)
{
	cleanup_with(freeze) struct freeze_call *call = arg;
	Containerd__Services__Tasks__V1__GetTaskRequest req =
		CONTAINERD__SERVICES__TASKS__V1__GET_TASK_REQUEST__INIT;

	(void)reply;
	(void)len;
	if (!failed || call->once || is_final(failed)) {
		freeze_end(call, failed);
		return;
	}
	call->err = *failed;
	req.container_id = call->id;
	transport_call(call->transport, &task_get, &req.base, call->by, on_got, call);
	TAKE(call);
}

static void freeze(struct transport *t, const char *id, bool frozen, bool once, struct deadline by,
		   runtime_done_fn *done, void *arg)
{
	cleanup_with(freeze) struct freeze_call *call = calloc(1, sizeof(*call));
	Containerd__Services__Tasks__V1__FreezeRequest req =
		CONTAINERD__SERVICES__TASKS__V1__FREEZE_REQUEST__INIT;
	struct err err;

	if (call)
		call->id = strdup(id);
	if (!call || !call->id) {
		err_oom(&err);
		done(arg, &err);
		return;
	}
	call->transport = t;
	call->frozen = frozen;
	call->once = once;
	call->by = by;
	call->done = done;
	call->arg = arg;
	req.container_id = call->id;
	transport_call(t, frozen ? &task_pause : &task_resume, &req.base, by, on_frozen, call);
	TAKE(call);
}

void tasks_set_frozen(struct transport *t, const char *id, bool frozen, struct deadline by,
		      runtime_done_fn *done, void *arg)
{
	freeze(t, id, frozen, false, by, done, arg);
}

void tasks_thaw(struct transport *t, const char *id, struct deadline by, runtime_done_fn *done,
		void *arg)
{
	freeze(t, id, false, true, by, done, arg);
}

/* --- list ----------------------------------------------------------------------------------------- */

struct paused_call {
	runtime_containers_fn *done;
	void *arg;
};

static struct runtime_container paused_one(const Containerd__Services__Tasks__V1__TaskProcess *task)
{
	static const struct kv_list none;

	return (struct runtime_container){
		.id = task->id,
		.state = RUNTIME_PAUSED,
		.pid = task->pid,
		.sandbox_id = "",
		.name = "",
		.pod = "",
		.namespace = "",
		.uid = "",
		.image = "",
		.image_ref = "",
		.labels = &none,
		.annotations = &none,
		.reason = "",
		.message = "",
	};
}

static void list_end(const struct paused_call *call,
		     const Containerd__Services__Tasks__V1__ListTasksResponse *m)
{
	cleanup_free struct runtime_container *list = calloc(m->n_tasks + 1, sizeof(*list));
	size_t count = 0;
	struct err err;

	if (!list) {
		err_oom(&err);
		call->done(call->arg, NULL, 0, &err);
		return;
	}
	for (size_t i = 0; i < m->n_tasks; i++) {
		if (m->tasks[i]->status == PAUSED)
			list[count++] = paused_one(m->tasks[i]);
	}
	call->done(call->arg, list, count, NULL);
}

static void on_tasks(void *arg, const uint8_t *reply, size_t len, const struct err *failed)
{
	cleanup_free struct paused_call *call = arg;
	Containerd__Services__Tasks__V1__ListTasksResponse *m = NULL;
	struct err err;

	if (failed) {
		err = *failed;
		explain(&err);
		call->done(call->arg, NULL, 0, &err);
		return;
	}
	m = containerd__services__tasks__v1__list_tasks_response__unpack(NULL, len, reply);
	if (!m) {
		err_set(&err, ERR_DATA_LOSS, 0, "runtime: List: its answer cannot be read");
		call->done(call->arg, NULL, 0, &err);
		return;
	}
	list_end(call, m);
	containerd__services__tasks__v1__list_tasks_response__free_unpacked(m, NULL);
}

void tasks_list_paused(struct transport *t, struct deadline by, runtime_containers_fn *done,
		       void *arg)
{
	struct paused_call *call = malloc(sizeof(*call));
	Containerd__Services__Tasks__V1__ListTasksRequest req =
		CONTAINERD__SERVICES__TASKS__V1__LIST_TASKS_REQUEST__INIT;
	struct err err;

	if (!call) {
		err_oom(&err);
		done(arg, NULL, 0, &err);
		return;
	}
	*call = (struct paused_call){ done, arg };
	transport_call(t, &task_list, &req.base, by, on_tasks, call);
}
