/*
 * The backend "cri": containerd, CRI-O, cri-dockerd, over CRI v1 (or v1alpha2). One slot of
 * 'struct runtime_ops' is one request, or two in a row or side by side where CRI promises less than
 * runtime.h does.
 */
#include "agent/runtime/cri/cri_impl.h"
#include "agent/runtime/cri/messages.h"
#include "shared/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

void cri_call_free(struct cri_call *call)
{
	if (!call)
		return;
	free(call->id);
	free(call->name);
	free(call->version);
	free(call);
}

DEFINE_CLEANUP(call, struct cri_call *, cri_call_free)

/* --- answers -------------------------------------------------------------------------------------- */

enum delivery cri_deliver_done(struct cri_call *call, const ProtobufCMessage *m, struct arena *a)
{
	(void)m;
	(void)a;
	call->to.fn.done(call->to.arg, NULL);
	return DELIVERED;
}

enum delivery cri_deliver_id(struct cri_call *call, const char *id)
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

enum delivery cri_fail_without_status(struct cri_call *call)
{
	struct err err;

	err_set(&err, ERR_INTERNAL, 0, "runtime: %s: it answered without a status",
		call->method->wire.name);
	runtime_reply_fail(&call->to, &err);
	return DELIVERED;
}

static enum delivery deliver_version(struct cri_call *call, const ProtobufCMessage *m,
				     struct arena *a);
static enum delivery deliver_status(struct cri_call *call, const ProtobufCMessage *m,
				    struct arena *a);

/* --- methods -------------------------------------------------------------------------------------- */

static const struct cri_method version =
	RUNTIME_READ("Version", version_response, ABSENT_IS_ERROR, deliver_version);
static const struct cri_method status =
	RUNTIME_READ("Status", status_response, ABSENT_IS_ERROR, deliver_status);

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

static void on_reply(void *arg, const uint8_t *reply, size_t len, const struct err *failed)
{
	cleanup_with(call) struct cri_call *call = arg;
	__attribute__((cleanup(cleanup_arena))) struct arena arena = { 0 };
	ProtobufCAllocator allocator = arena_allocator(&arena);
	enum delivery delivery = NO_MEMORY;
	ProtobufCMessage *m;
	struct err err;

	if (failed) {
		if (cri_free_task(call, failed))
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
size_t cri_select_pod(const struct runtime_filter *filter, Runtime__V1__KeyValue *item)
{
	if (!filter->pod_uid || !*filter->pod_uid)
		return 0;
	item->key = (char *)LABEL_POD_UID;
	item->value = (char *)filter->pod_uid;
	return 1;
}

void cri_fail_oom(struct cri_call *call)
{
	struct err err;

	err_oom(&err);
	runtime_reply_fail(&call->to, &err);
	cri_call_free(call);
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
