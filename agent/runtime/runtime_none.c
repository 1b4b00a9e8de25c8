/*
 * The backend "none", for nodes without a runtime (the load balancer): it is ready, has nothing, and
 * makes nothing.
 */
#include "agent/runtime/runtime_impl.h"
#include "shared/base/cleanup.h"

#include <systemd/sd-event.h>

#include <stdlib.h>

struct none_call {
	struct none_call *next;
	struct none *none;
	struct runtime_reply to;
	bool refuses;
	sd_event_source *source;
};

struct none {
	struct runtime rt;
	struct sd_event *loop;
	struct none_call *calls;
};

static void answer(const struct none_call *call)
{
	static const struct runtime_info info = {
		.name = "none",
		.version = "",
		.runtime_ready = true,
		.network_ready = true,
		.message = "",
	};
	struct err err;

	if (call->refuses) {
		err_set(&err, ERR_UNIMPLEMENTED, 0, "this node has no container runtime");
		err_explain(&err, "NO_RUNTIME", NULL);
		runtime_reply_fail(&call->to, &err);
		return;
	}
	switch (call->to.kind) {
	case RUNTIME_REPLY_INFO:
		call->to.fn.info(call->to.arg, &info, NULL);
		break;
	case RUNTIME_REPLY_SANDBOXES:
		call->to.fn.sandboxes(call->to.arg, NULL, 0, NULL);
		break;
	case RUNTIME_REPLY_CONTAINERS:
		call->to.fn.containers(call->to.arg, NULL, 0, NULL);
		break;
	default:
		call->to.fn.done(call->to.arg, NULL);
		break;
	}
}

static int on_due(sd_event_source *source, void *userdata)
{
	struct none_call *call = userdata;
	struct none_call **at = &call->none->calls;

	(void)source;
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	answer(call);
	sd_event_source_disable_unref(call->source);
	free(call);
	return 0;
}

static void later(struct runtime *rt, struct runtime_reply to, bool refuses)
{
	struct none *none = (struct none *)rt;
	struct none_call *call = calloc(1, sizeof(*call));
	struct err err;

	if (call)
		*call = (struct none_call){ .none = none, .to = to, .refuses = refuses };
	if (!call || sd_event_add_defer(none->loop, &call->source, on_due, call) < 0) {
		free(call);
		err_oom(&err);
		runtime_reply_fail(&to, &err);
		return;
	}
	call->next = none->calls;
	none->calls = call;
}

/* --- slots ---------------------------------------------------------------------------------------- */

static void none_get_info(struct runtime *rt, struct deadline by, runtime_info_fn *done, void *arg)
{
	struct runtime_reply to = { RUNTIME_REPLY_INFO, { .info = done }, arg };

	(void)by;
	later(rt, to, false);
}

static void none_list_sandboxes(struct runtime *rt, const struct runtime_filter *filter,
				struct deadline by, runtime_sandboxes_fn *done, void *arg)
{
	(void)filter;
	(void)by;
	later(rt, reply_to_sandboxes(done, arg), false);
}

static void none_list_containers(struct runtime *rt, const struct runtime_filter *filter,
				 struct deadline by, runtime_containers_fn *done, void *arg)
{
	(void)filter;
	(void)by;
	later(rt, reply_to_containers(done, arg), false);
}

static void none_list_paused(struct runtime *rt, struct deadline by, runtime_containers_fn *done,
			     void *arg)
{
	(void)by;
	later(rt, reply_to_containers(done, arg), false);
}

static void none_sandbox_status(struct runtime *rt, const char *id, struct deadline by,
				runtime_sandboxes_fn *done, void *arg)
{
	(void)id;
	(void)by;
	later(rt, reply_to_sandboxes(done, arg), true);
}

static void none_container_status(struct runtime *rt, const char *id, struct deadline by,
				  runtime_containers_fn *done, void *arg)
{
	(void)id;
	(void)by;
	later(rt, reply_to_containers(done, arg), true);
}

static void none_run_sandbox(struct runtime *rt, const struct sandbox_request *req,
			     struct deadline by, runtime_id_fn *done, void *arg)
{
	(void)req;
	(void)by;
	later(rt, reply_to_id(done, arg), true);
}

static void none_create_container(struct runtime *rt, const char *sandbox_id,
				  const struct container_request *req,
				  const struct sandbox_request *sandbox, struct deadline by,
				  runtime_id_fn *done, void *arg)
{
	(void)sandbox_id;
	(void)req;
	(void)sandbox;
	(void)by;
	later(rt, reply_to_id(done, arg), true);
}

/* What is absent is stopped and removed already. */
static void none_absent(struct runtime *rt, const char *id, struct deadline by,
			runtime_done_fn *done, void *arg)
{
	(void)id;
	(void)by;
	later(rt, reply_to_done(done, arg), false);
}

static void none_refuse(struct runtime *rt, const char *id, struct deadline by,
			runtime_done_fn *done, void *arg)
{
	(void)id;
	(void)by;
	later(rt, reply_to_done(done, arg), true);
}

static void none_stop_container(struct runtime *rt, const char *id, int64_t grace_s,
				struct deadline by, runtime_done_fn *done, void *arg)
{
	(void)grace_s;
	none_absent(rt, id, by, done, arg);
}

static void none_image(struct runtime *rt, const char *image, struct deadline by,
		       runtime_image_fn *done, void *arg)
{
	struct runtime_reply to = { RUNTIME_REPLY_IMAGE, { .image = done }, arg };

	(void)image;
	(void)by;
	later(rt, to, true);
}

static void none_close(struct runtime *rt)
{
	struct none *none = (struct none *)rt;
	struct none_call *call;
	struct err err;

	err_set(&err, ERR_CANCELLED, 0, "the agent is closing its runtime connection");
	while ((call = none->calls)) {
		none->calls = call->next;
		runtime_reply_fail(&call->to, &err);
		sd_event_source_disable_unref(call->source);
		free(call);
	}
	sd_event_unref(none->loop);
	free(none);
}

static int none_open(const char *address, struct sd_event *loop, struct runtime **ret_runtime,
		     struct err *err)
{
	struct none *none = calloc(1, sizeof(*none));

	(void)address;
	if (!none)
		return err_oom(err);
	none->loop = sd_event_ref(loop);
	*ret_runtime = &none->rt;
	return 0;
}

const struct runtime_ops runtime_none_ops = {
	.name = "none",
	.open = none_open,
	.close = none_close,
	.get_info = none_get_info,
	.list_sandboxes = none_list_sandboxes,
	.sandbox_status = none_sandbox_status,
	.run_sandbox = none_run_sandbox,
	.stop_sandbox = none_absent,
	.remove_sandbox = none_absent,
	.list_containers = none_list_containers,
	.container_status = none_container_status,
	.create_container = none_create_container,
	.start_container = none_refuse,
	.stop_container = none_stop_container,
	.pause_container = none_refuse,
	.unpause_container = none_refuse,
	.list_paused = none_list_paused,
	.remove_container = none_absent,
	.image_status = none_image,
	.pull_image = none_image,
};
