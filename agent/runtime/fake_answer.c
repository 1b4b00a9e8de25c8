#include "agent/runtime/fake_call.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool wanted_label(const struct kv_list *labels, const char *pod_uid)
{
	const char *uid = kv_get(labels, LABEL_POD_UID);

	return !pod_uid || (uid && strcmp(uid, pod_uid) == 0);
}

static void view_sandbox(const struct fake_sandbox *from, bool status, struct runtime_sandbox *ret)
{
	*ret = (struct runtime_sandbox){
		.id = from->id,
		.name = from->name,
		.namespace = from->namespace,
		.uid = from->uid,
		.attempt = from->attempt,
		.ready = from->ready,
		.created_ns = from->created_ns,
		.ip = status ? from->ip : "",
		.host_network = status && from->host_network,
		.labels = &from->labels,
		.annotations = &from->annotations,
	};
}

static void view_container(const struct fake_container *from, bool status,
			   struct runtime_container *ret)
{
	*ret = (struct runtime_container){
		.id = from->id,
		.sandbox_id = from->sandbox_id,
		.name = from->name,
		.attempt = from->attempt,
		.image = from->image,
		.image_ref = from->image,
		.state = from->state,
		.created_ns = from->created_ns,
		.labels = &from->labels,
		.annotations = &from->annotations,
		.reason = "",
		.message = "",
	};
	runtime_container_name_pod(ret);
	if (!status)
		return;
	ret->started_ns = from->started_ns;
	ret->finished_ns = from->finished_ns;
	ret->exit_code = from->exit_code;
	if (from->state == RUNTIME_EXITED)
		ret->reason = from->exit_code ? "Error" : "Completed";
}

/* Whether that is an answer; else it has been answered with what is wrong. */
static bool is_answer(const struct fake_call *call, const char *kind, const void *list,
		      size_t count)
{
	struct err err;

	if (list && (!call->one || count == 1))
		return true;
	if (!list)
		err_oom(&err);
	else
		err_set(&err, ERR_NOT_FOUND, 0, "no %s '%s'", kind, call->text);
	runtime_reply_fail(&call->to, &err);
	return false;
}

static void answer_sandboxes(const struct fake_call *call)
{
	const struct fake_state *s = &call->fake->state;
	cleanup_free struct runtime_sandbox *list = calloc(s->sandbox_count + 1, sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; list && i < s->sandbox_count; i++) {
		if (wanted_label(&s->sandboxes[i].labels, call->pod_uid))
			view_sandbox(&s->sandboxes[i], call->one, &list[count++]);
	}
	if (list)
		count = runtime_order_sandboxes(list, count, call->text);
	if (is_answer(call, "sandbox", list, count))
		call->to.fn.sandboxes(call->to.arg, list, count, NULL);
}

static void answer_containers(const struct fake_call *call)
{
	const struct fake_state *s = &call->fake->state;
	cleanup_free struct runtime_container *list = calloc(s->container_count + 1, sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; list && i < s->container_count; i++) {
		if (!wanted_label(&s->containers[i].labels, call->pod_uid) ||
		    (call->paused_only && !s->containers[i].paused))
			continue;
		view_container(&s->containers[i], call->one, &list[count]);
		if (call->paused_only)
			list[count].state = RUNTIME_PAUSED;
		count++;
	}
	if (list)
		count = runtime_order_containers(list, count, call->text);
	if (is_answer(call, "container", list, count))
		call->to.fn.containers(call->to.arg, list, count, NULL);
}

static void answer_info(const struct fake_call *call)
{
	bool ready = faccessat(call->fake->state.dir_fd, "notready", F_OK, 0) < 0;
	struct runtime_info info = {
		.name = "fake",
		.version = "1.0.0",
		.runtime_ready = ready,
		.network_ready = ready,
		.message = ready ? "" : "the file 'notready' is there",
	};

	call->to.fn.info(call->to.arg, &info, NULL);
}

static void answer_images(const struct fake_call *call)
{
	const struct strv *pulled = &call->fake->state.pulled;
	cleanup_free struct runtime_image *list = calloc(pulled->count + 1, sizeof(*list));
	cleanup_with(strv) struct strv ids = { 0 };
	struct err err;

	for (size_t i = 0; i < pulled->count; i++)
		strv_addf(&ids, "sha256:%s", pulled->items[i]);
	if (!list || strv_failed(&ids)) {
		err_oom(&err);
		return runtime_reply_fail(&call->to, &err);
	}
	for (size_t i = 0; i < pulled->count; i++)
		list[i] = (struct runtime_image){ .id = ids.items[i],
						  .tags = (const char *const *)&pulled->items[i],
						  .tag_count = 1 };
	call->to.fn.images(call->to.arg, list, pulled->count, NULL);
}

void fake_answer(struct fake_call *call)
{
	if (!call->err.code && call->finish)
		call->finish(call, &call->err);
	if (!call->err.code)
		fake_state_refresh(&call->fake->state, &call->err);
	if (call->err.code)
		return runtime_reply_fail(&call->to, &call->err);
	switch (call->to.kind) {
	case RUNTIME_REPLY_DONE:
		call->to.fn.done(call->to.arg, NULL);
		break;
	case RUNTIME_REPLY_ID:
		call->to.fn.id(call->to.arg, call->text, NULL);
		break;
	case RUNTIME_REPLY_INFO:
		answer_info(call);
		break;
	case RUNTIME_REPLY_SANDBOXES:
		answer_sandboxes(call);
		break;
	case RUNTIME_REPLY_CONTAINERS:
		answer_containers(call);
		break;
	case RUNTIME_REPLY_IMAGE:
		call->to.fn.image(call->to.arg, call->text, NULL);
		break;
	case RUNTIME_REPLY_IMAGES:
		return answer_images(call);
	}
}
