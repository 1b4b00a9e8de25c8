#include "agent/runtime/runtime_impl.h"

#include "shared/base/cleanup.h"

#include <systemd/sd-event.h>

#include <stdlib.h>
#include <string.h>

static const struct runtime_ops *const backends[] = { &runtime_cri_ops, &runtime_fake_ops };

int runtime_open(const char *backend, const char *address, struct sd_event *loop,
		 struct runtime **ret_runtime, struct err *err)
{
	struct runtime *rt = NULL;

	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		if (strcmp(backends[i]->name, backend) != 0)
			continue;
		if (backends[i]->open(address, loop, &rt, err) < 0)
			return err_wrap(err, "runtime %s:%s", backend, address);
		rt->ops = backends[i];
		rt->loop = loop;
		*ret_runtime = rt;
		return 0;
	}
	err_set(err, ERR_INVALID_ARGUMENT, 0, "no runtime backend '%s'", backend);
	return err_explain(err, "UNKNOWN_RUNTIME_BACKEND", "use cri:ADDRESS or fake:DIRECTORY");
}

const char *runtime_backend(const struct runtime *rt)
{
	return rt->ops->name;
}

void runtime_reply_fail(const struct runtime_reply *to, const struct err *err)
{
	switch (to->kind) {
	case RUNTIME_REPLY_DONE:
		to->fn.done(to->arg, err);
		break;
	case RUNTIME_REPLY_ID:
		to->fn.id(to->arg, NULL, err);
		break;
	case RUNTIME_REPLY_INFO:
		to->fn.info(to->arg, NULL, err);
		break;
	case RUNTIME_REPLY_SANDBOXES:
		to->fn.sandboxes(to->arg, NULL, 0, err);
		break;
	case RUNTIME_REPLY_CONTAINERS:
		to->fn.containers(to->arg, NULL, 0, err);
		break;
	case RUNTIME_REPLY_IMAGE:
		to->fn.image(to->arg, NULL, err);
		break;
	case RUNTIME_REPLY_IMAGES:
		to->fn.images(to->arg, NULL, 0, err);
		break;
	}
}

/* --- calls that are refused before they reach a backend ------------------------------------------ */

struct runtime_refusal {
	struct runtime_refusal *next;
	struct runtime *rt;
	struct runtime_reply to;
	struct err err;
	sd_event_source *source;
};

static void refusal_free(struct runtime_refusal *r)
{
	if (!r)
		return;
	sd_event_source_disable_unref(r->source);
	free(r);
}

DEFINE_CLEANUP(refusal, struct runtime_refusal *, refusal_free)

static int refusal_due(sd_event_source *source, void *userdata)
{
	cleanup_with(refusal) struct runtime_refusal *r = userdata;
	struct runtime_refusal **at = &r->rt->refusals;

	(void)source;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	runtime_reply_fail(&r->to, &r->err);
	return 0;
}

/* 'done' must not come from within the call, a refusal's neither. Without memory to wait with it
 * does all the same: better than never. */
static void refuse_with(struct runtime *rt, struct runtime_reply to, const struct err *err)
{
	cleanup_with(refusal) struct runtime_refusal *r = calloc(1, sizeof(*r));

	if (!r || sd_event_add_defer(rt->loop, &r->source, refusal_due, r) < 0) {
		runtime_reply_fail(&to, err);
		return;
	}
	r->rt = rt;
	r->to = to;
	r->err = *err;
	r->next = rt->refusals;
	rt->refusals = TAKE(r);
}

static void refuse(struct runtime *rt, struct runtime_reply to, const char *what)
{
	struct err err;

	err_set(&err, ERR_INVALID_ARGUMENT, 0, "the %s is missing", what);
	refuse_with(rt, to, &err);
}

static void refuse_pause(struct runtime *rt, struct runtime_reply to)
{
	struct err err;

	err_set(&err, ERR_UNIMPLEMENTED, 0, "a runtime driven over %s cannot pause containers",
		rt->ops->name);
	err_explain(&err, "PAUSE_UNSUPPORTED", NULL);
	refuse_with(rt, to, &err);
}

static void refuse_images(struct runtime *rt, struct runtime_reply to)
{
	struct err err;

	err_set(&err, ERR_UNIMPLEMENTED, 0, "a runtime driven over %s does not tell its images",
		rt->ops->name);
	err_explain(&err, "IMAGES_UNSUPPORTED", NULL);
	refuse_with(rt, to, &err);
}

static bool is_missing(const char *s)
{
	return !s || !*s;
}

void runtime_close(struct runtime *rt)
{
	struct runtime_refusal *r;
	struct err err;

	if (!rt)
		return;
	err_set(&err, ERR_CANCELLED, 0, "the agent is closing its runtime connection");
	while ((r = rt->refusals)) {
		rt->refusals = r->next;
		runtime_reply_fail(&r->to, &err);
		refusal_free(r);
	}
	rt->ops->close(rt);
}

/* --- order ---------------------------------------------------------------------------------------- */

static int newer(int64_t a_ns, uint32_t a_attempt, int64_t b_ns, uint32_t b_attempt)
{
	if (a_ns != b_ns)
		return a_ns > b_ns ? -1 : 1;
	if (a_attempt != b_attempt)
		return a_attempt > b_attempt ? -1 : 1;
	return 0;
}

/* Equal ones by id, so that two lists of the same things are equal. */
static int compare_sandboxes(const void *pa, const void *pb)
{
	const struct runtime_sandbox *a = pa;
	const struct runtime_sandbox *b = pb;
	int order = newer(a->created_ns, a->attempt, b->created_ns, b->attempt);

	return order ? order : strcmp(a->id, b->id);
}

static int compare_containers(const void *pa, const void *pb)
{
	const struct runtime_container *a = pa;
	const struct runtime_container *b = pb;
	int order = newer(a->created_ns, a->attempt, b->created_ns, b->attempt);

	return order ? order : strcmp(a->id, b->id);
}

static bool has_prefix(const char *id, const char *prefix)
{
	return !prefix || strncmp(id, prefix, strlen(prefix)) == 0;
}

size_t runtime_order_sandboxes(struct runtime_sandbox *list, size_t count, const char *id_prefix)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (has_prefix(list[i].id, id_prefix))
			list[kept++] = list[i];
	}
	if (kept > 1)
		qsort(list, kept, sizeof(*list), compare_sandboxes);
	return kept;
}

size_t runtime_order_containers(struct runtime_container *list, size_t count, const char *id_prefix)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (has_prefix(list[i].id, id_prefix))
			list[kept++] = list[i];
	}
	if (kept > 1)
		qsort(list, kept, sizeof(*list), compare_containers);
	return kept;
}

static const char *label_or_empty(const struct kv_list *labels, const char *key)
{
	const char *value = kv_get(labels, key);

	return value ? value : "";
}

void runtime_container_name_pod(struct runtime_container *c)
{
	c->pod = label_or_empty(c->labels, LABEL_POD_NAME);
	c->namespace = label_or_empty(c->labels, LABEL_POD_NAMESPACE);
	c->uid = label_or_empty(c->labels, LABEL_POD_UID);
}

/* --- the calls ------------------------------------------------------------------------------------ */

static const struct runtime_filter no_filter;

void runtime_get_info(struct runtime *rt, struct deadline by, runtime_info_fn *done, void *arg)
{
	rt->ops->get_info(rt, by, done, arg);
}

void runtime_list_sandboxes(struct runtime *rt, const struct runtime_filter *filter,
			    struct deadline by, runtime_sandboxes_fn *done, void *arg)
{
	rt->ops->list_sandboxes(rt, filter ? filter : &no_filter, by, done, arg);
}

void runtime_sandbox_status(struct runtime *rt, const char *id, struct deadline by,
			    runtime_sandboxes_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_sandboxes(done, arg), "sandbox's id");
	else
		rt->ops->sandbox_status(rt, id, by, done, arg);
}

void runtime_run_sandbox(struct runtime *rt, const struct sandbox_request *req, struct deadline by,
			 runtime_id_fn *done, void *arg)
{
	if (is_missing(req->name) || is_missing(req->namespace) || is_missing(req->uid))
		refuse(rt, reply_to_id(done, arg), "pod's name, namespace or uid");
	else
		rt->ops->run_sandbox(rt, req, by, done, arg);
}

void runtime_stop_sandbox(struct runtime *rt, const char *id, struct deadline by,
			  runtime_done_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_done(done, arg), "sandbox's id");
	else
		rt->ops->stop_sandbox(rt, id, by, done, arg);
}

void runtime_remove_sandbox(struct runtime *rt, const char *id, struct deadline by,
			    runtime_done_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_done(done, arg), "sandbox's id");
	else
		rt->ops->remove_sandbox(rt, id, by, done, arg);
}

void runtime_list_containers(struct runtime *rt, const struct runtime_filter *filter,
			     struct deadline by, runtime_containers_fn *done, void *arg)
{
	rt->ops->list_containers(rt, filter ? filter : &no_filter, by, done, arg);
}

void runtime_container_status(struct runtime *rt, const char *id, struct deadline by,
			      runtime_containers_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_containers(done, arg), "container's id");
	else
		rt->ops->container_status(rt, id, by, done, arg);
}

void runtime_create_container(struct runtime *rt, const char *sandbox_id,
			      const struct container_request *req,
			      const struct sandbox_request *sandbox, struct deadline by,
			      runtime_id_fn *done, void *arg)
{
	if (is_missing(sandbox_id) || is_missing(req->name) || is_missing(req->image))
		refuse(rt, reply_to_id(done, arg), "sandbox's id, container's name or image");
	else
		rt->ops->create_container(rt, sandbox_id, req, sandbox, by, done, arg);
}

void runtime_start_container(struct runtime *rt, const char *id, struct deadline by,
			     runtime_done_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_done(done, arg), "container's id");
	else
		rt->ops->start_container(rt, id, by, done, arg);
}

void runtime_stop_container(struct runtime *rt, const char *id, int64_t grace_s, struct deadline by,
			    runtime_done_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_done(done, arg), "container's id");
	else
		rt->ops->stop_container(rt, id, grace_s < 0 ? 0 : grace_s, by, done, arg);
}

void runtime_pause_container(struct runtime *rt, const char *id, struct deadline by,
			     runtime_done_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_done(done, arg), "container's id");
	else if (!rt->ops->pause_container)
		refuse_pause(rt, reply_to_done(done, arg));
	else
		rt->ops->pause_container(rt, id, by, done, arg);
}

void runtime_unpause_container(struct runtime *rt, const char *id, struct deadline by,
			       runtime_done_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_done(done, arg), "container's id");
	else if (!rt->ops->unpause_container)
		refuse_pause(rt, reply_to_done(done, arg));
	else
		rt->ops->unpause_container(rt, id, by, done, arg);
}

void runtime_list_paused(struct runtime *rt, struct deadline by, runtime_containers_fn *done,
			 void *arg)
{
	if (rt->ops->list_paused)
		rt->ops->list_paused(rt, by, done, arg);
	else
		refuse_pause(rt, reply_to_containers(done, arg));
}

void runtime_remove_container(struct runtime *rt, const char *id, struct deadline by,
			      runtime_done_fn *done, void *arg)
{
	if (is_missing(id))
		refuse(rt, reply_to_done(done, arg), "container's id");
	else
		rt->ops->remove_container(rt, id, by, done, arg);
}

void runtime_sandbox_details(struct runtime *rt, const char *id, struct deadline by,
			     runtime_sandboxes_fn *done, void *arg)
{
	if (is_missing(id) || !rt->ops->sandbox_details)
		runtime_sandbox_status(rt, id, by, done, arg);
	else
		rt->ops->sandbox_details(rt, id, by, done, arg);
}

void runtime_open_session(struct runtime *rt, const char *id, const struct runtime_session *session,
			  struct deadline by, runtime_id_fn *done, void *arg)
{
	struct err err;

	if (is_missing(id)) {
		refuse(rt, reply_to_id(done, arg), "container's id");
	} else if (!rt->ops->open_session) {
		err_set(&err, ERR_UNIMPLEMENTED, 0,
			"a runtime driven over %s runs no commands in containers", rt->ops->name);
		err_explain(&err, "SESSIONS_UNSUPPORTED", NULL);
		refuse_with(rt, reply_to_id(done, arg), &err);
	} else {
		rt->ops->open_session(rt, id, session, by, done, arg);
	}
}

void runtime_list_images(struct runtime *rt, struct deadline by, runtime_images_fn *done, void *arg)
{
	if (rt->ops->list_images)
		rt->ops->list_images(rt, by, done, arg);
	else
		refuse_images(rt, reply_to_images(done, arg));
}

void runtime_remove_image(struct runtime *rt, const char *image, struct deadline by,
			  runtime_done_fn *done, void *arg)
{
	if (is_missing(image))
		refuse(rt, reply_to_done(done, arg), "image's name");
	else if (!rt->ops->remove_image)
		refuse_images(rt, reply_to_done(done, arg));
	else
		rt->ops->remove_image(rt, image, by, done, arg);
}

void runtime_image_status(struct runtime *rt, const char *image, struct deadline by,
			  runtime_image_fn *done, void *arg)
{
	if (is_missing(image))
		refuse(rt, reply_to_image(done, arg), "image's name");
	else
		rt->ops->image_status(rt, image, by, done, arg);
}

void runtime_pull_image(struct runtime *rt, const char *image, struct deadline by,
			runtime_image_fn *done, void *arg)
{
	if (is_missing(image))
		refuse(rt, reply_to_image(done, arg), "image's name");
	else
		rt->ops->pull_image(rt, image, by, done, arg);
}
