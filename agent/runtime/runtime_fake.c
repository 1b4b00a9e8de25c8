/*
 * A runtime without containers, for tests and for trying Berth without root: the backend "fake",
 * address: a directory. What it has outlives the agent, as a real runtime's containers do; the
 * directory's file 'effects' tells every side effect once (fake_state.h).
 *
 * It is told to misbehave by names. An image whose name contains
 *	missing      is not there and cannot be pulled
 *	remote       is not there until it has been pulled
 *	hang         never answers start until the deadline
 *	nostart      cannot be started
 *	exit0 exit1  exits at once with that code
 *	slow-stop    takes its whole grace to stop
 *	unstoppable  stops only with no grace
 *	nopause      cannot be paused
 * and by files in the directory:
 *	down         every call is ERR_UNAVAILABLE
 *	hung         every call runs into its deadline
 *	notready     the runtime answers, but says that it is not ready
 *	fail-CALL    that call (run-sandbox, start, list-containers ...) is ERR_INTERNAL
 *	sessions     its text and a container's id are the URL of a session in the container; without
 *	             the file there are none
 */
#include "agent/runtime/fake_call.h"
#include "shared/base/file.h"

#include <stdio.h>
#include <string.h>

static void call_free(struct fake_call *call)
{
	if (!call)
		return;
	sd_event_source_disable_unref(call->source);
	free(call->text);
	free(call->pod_uid);
	free(call);
}

DEFINE_CLEANUP(call, struct fake_call *, call_free)

static void call_unlink(struct fake_call *call)
{
	struct fake_call **at = &call->fake->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
}

static int call_due(sd_event_source *source, void *userdata)
{
	cleanup_with(call) struct fake_call *call = userdata;

	(void)source;
	call_unlink(call);
	fake_answer(call);
	return 0;
}

static int call_due_later(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)usec;
	return call_due(source, userdata);
}

/* --- calls ---------------------------------------------------------------------------------------- */

/* Answers 'ms' from now, or with ERR_DEADLINE_EXCEEDED when the deadline comes first. */
static void settle(struct fake_call *call, int64_t ms)
{
	int64_t left_ms = deadline_left_ms(call->by);

	if (left_ms == 0 || ms > left_ms) {
		err_set(&call->err, ERR_DEADLINE_EXCEEDED, 0, "fake runtime: no answer in time");
		ms = left_ms;
	}
	if (ms == INT64_MAX)
		return;
	if (ms == 0)
		sd_event_add_defer(call->fake->loop, &call->source, call_due, call);
	else
		sd_event_add_time_relative(call->fake->loop, &call->source, CLOCK_MONOTONIC,
					   (uint64_t)ms * 1000, 1000, call_due_later, call);
}

static void settle_failed(struct fake_call *call, enum err_code code, const char *what,
			  const char *name)
{
	err_set(&call->err, code, 0, "fake runtime: %s '%s'", what, name);
	settle(call, 0);
}

static bool file_says(struct fake *f, const char *name)
{
	return faccessat(f->state.dir_fd, name, F_OK, 0) == 0;
}

/* Begins a call. NULL: it is already on its way to its answer, which is an error. */
static struct fake_call *begin(struct runtime *rt, const char *name, struct deadline by,
			       struct runtime_reply to)
{
	struct fake *f = (struct fake *)rt;
	struct fake_call *call = calloc(1, sizeof(*call));
	char fault[64];
	struct err err;

	if (!call) {
		err_oom(&err);
		runtime_reply_fail(&to, &err);
		return NULL;
	}
	call->fake = f;
	call->to = to;
	call->by = by;
	call->next = f->calls;
	f->calls = call;

	snprintf(fault, sizeof(fault), "fail-%s", name);
	if (file_says(f, "hung"))
		settle(call, INT64_MAX);
	else if (deadline_is_over(by))
		settle(call, 0);
	else if (file_says(f, "down"))
		settle_failed(call, ERR_UNAVAILABLE, "down, as asked for by the file", "down");
	else if (file_says(f, fault))
		settle_failed(call, ERR_INTERNAL, "failed, as asked for by the file", fault);
	else if (fake_state_refresh(&f->state, &call->err) < 0)
		settle(call, 0);
	else
		return call;
	return NULL;
}

static void answer_text(struct fake_call *call, const char *s)
{
	call->text = strdup(s);
	if (!call->text)
		err_oom(&call->err);
	settle(call, 0);
}

/* The effect, then the answer. */
static void settle_with(struct fake_call *call, struct text *line)
{
	fake_state_append(&call->fake->state, line, &call->err);
	text_release(line);
	settle(call, 0);
}

static void settle_with_id(struct fake_call *call, struct text *line, const char *id)
{
	if (fake_state_append(&call->fake->state, line, &call->err) == 0)
		call->text = strdup(id);
	text_release(line);
	if (!call->text && !call->err.code)
		err_oom(&call->err);
	settle(call, 0);
}

static void fake_get_info(struct runtime *rt, struct deadline by, runtime_info_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "get-info", by, reply_to_info(done, arg));

	if (call)
		settle(call, 0);
}

static void settle_list(struct fake_call *call, const char *id, const char *pod_uid)
{
	if (id && *id)
		call->text = strdup(id);
	if (pod_uid && *pod_uid)
		call->pod_uid = strdup(pod_uid);
	settle(call, 0);
}

static void fake_list_sandboxes(struct runtime *rt, const struct runtime_filter *filter,
				struct deadline by, runtime_sandboxes_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "list-sandboxes", by, reply_to_sandboxes(done, arg));

	if (call)
		settle_list(call, filter->id, filter->pod_uid);
}

static void fake_sandbox_status(struct runtime *rt, const char *id, struct deadline by,
				runtime_sandboxes_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "sandbox-status", by, reply_to_sandboxes(done, arg));

	if (!call)
		return;
	call->one = true;
	settle_list(call, id, NULL);
}

static void fake_run_sandbox(struct runtime *rt, const struct sandbox_request *req,
			     struct deadline by, runtime_id_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "run-sandbox", by, reply_to_id(done, arg));
	struct text line = { 0 };
	char id[FAKE_ID_LEN + 1];

	if (!call)
		return;
	for (size_t i = 0; i < call->fake->state.sandbox_count; i++) {
		struct fake_sandbox *old = &call->fake->state.sandboxes[i];

		if (old->attempt == req->attempt && strcmp(old->uid, req->uid) == 0)
			return settle_failed(call, ERR_ALREADY_EXISTS, "that attempt has a sandbox",
					     old->id);
	}
	fake_make_id(id);
	text_add(&line, "run-sandbox");
	fake_line_word(&line, req->uid);
	text_addf(&line, " %u %s", req->attempt, id);
	fake_line_now(&line);
	fake_line_word(&line, req->name);
	fake_line_word(&line, req->namespace);
	text_addf(&line, " %d", req->namespaces.host_network);
	fake_line_pairs(&line, 'l', &req->labels);
	fake_line_pairs(&line, 'a', &req->annotations);
	settle_with_id(call, &line, id);
}

static void fake_stop_sandbox(struct runtime *rt, const char *id, struct deadline by,
			      runtime_done_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "stop-sandbox", by, reply_to_done(done, arg));
	struct fake_sandbox *sandbox;
	struct text line = { 0 };

	if (!call)
		return;
	sandbox = fake_find_sandbox(&call->fake->state, id);
	if (!sandbox || !sandbox->ready)
		return settle(call, 0);
	fake_line_begin(&line, "stop-sandbox", id);
	settle_with(call, &line);
}

static void fake_remove_sandbox(struct runtime *rt, const char *id, struct deadline by,
				runtime_done_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "remove-sandbox", by, reply_to_done(done, arg));
	struct text line = { 0 };

	if (!call)
		return;
	if (!fake_find_sandbox(&call->fake->state, id))
		return settle(call, 0);
	fake_line_begin(&line, "remove-sandbox", id);
	settle_with(call, &line);
}

static void fake_list_containers(struct runtime *rt, const struct runtime_filter *filter,
				 struct deadline by, runtime_containers_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "list-containers", by, reply_to_containers(done, arg));

	if (call)
		settle_list(call, filter->id, filter->pod_uid);
}

static void fake_container_status(struct runtime *rt, const char *id, struct deadline by,
				  runtime_containers_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "container-status", by, reply_to_containers(done, arg));

	if (!call)
		return;
	call->one = true;
	settle_list(call, id, NULL);
}

static bool has_image(struct fake_state *s, const char *image)
{
	if (strstr(image, "missing"))
		return false;
	return !strstr(image, "remote") || strv_has(&s->pulled, image);
}

/* What keeps a container from being made, or ERR_OK. */
static enum err_code create_refusal(struct fake_state *s, const char *sandbox_id,
				    const struct container_request *req, const char **ret_what)
{
	struct fake_sandbox *sandbox = fake_find_sandbox(s, sandbox_id);

	*ret_what = "no sandbox for";
	if (!sandbox)
		return ERR_NOT_FOUND;
	*ret_what = "the sandbox is not ready for";
	if (!sandbox->ready)
		return ERR_FAILED_PRECONDITION;
	*ret_what = "no image for";
	if (!has_image(s, req->image))
		return ERR_NOT_FOUND;
	*ret_what = "that attempt exists already of";
	for (size_t i = 0; i < s->container_count; i++) {
		struct fake_container *old = &s->containers[i];

		if (old->attempt == req->attempt && strcmp(old->name, req->name) == 0 &&
		    strcmp(old->sandbox_id, sandbox_id) == 0)
			return ERR_ALREADY_EXISTS;
	}
	return ERR_OK;
}

static void fake_create_container(struct runtime *rt, const char *sandbox_id,
				  const struct container_request *req,
				  const struct sandbox_request *sandbox, struct deadline by,
				  runtime_id_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "create-container", by, reply_to_id(done, arg));
	struct text line = { 0 };
	char id[FAKE_ID_LEN + 1];
	enum err_code refusal;
	const char *what;

	if (!call)
		return;
	refusal = create_refusal(&call->fake->state, sandbox_id, req, &what);
	if (refusal)
		return settle_failed(call, refusal, what, req->name);
	fake_make_id(id);
	text_add(&line, "create-container");
	fake_line_word(&line, sandbox->uid);
	fake_line_word(&line, req->name);
	text_addf(&line, " %u %s", req->attempt, id);
	fake_line_now(&line);
	fake_line_word(&line, sandbox_id);
	fake_line_word(&line, req->image);
	fake_line_pairs(&line, 'l', &req->labels);
	fake_line_pairs(&line, 'a', &req->annotations);
	settle_with_id(call, &line, id);
}

static void fake_start_container(struct runtime *rt, const char *id, struct deadline by,
				 runtime_done_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "start", by, reply_to_done(done, arg));
	struct fake_container *c;
	struct text line = { 0 };

	if (!call)
		return;
	c = fake_find_container(&call->fake->state, id);
	if (!c)
		return settle_failed(call, ERR_NOT_FOUND, "no container", id);
	if (c->state != RUNTIME_CREATED)
		return settle_failed(call, ERR_FAILED_PRECONDITION, "was started before", id);
	if (strstr(c->image, "nostart"))
		return settle_failed(call, ERR_UNKNOWN, "no such program in image", c->image);
	if (strstr(c->image, "hang"))
		return settle(call, INT64_MAX);
	fake_line_begin(&line, "start", id);
	settle_with(call, &line);
}

/* The end of a container that used all of its grace. */
static int finish_slow_stop(struct fake_call *call, struct err *err)
{
	struct text line = { 0 };
	int result;

	if (!fake_find_container(&call->fake->state, call->text))
		return 0;
	text_add(&line, "exit");
	fake_line_word(&line, call->text);
	text_add(&line, " 137");
	fake_line_now(&line);
	result = fake_state_append(&call->fake->state, &line, err);
	text_release(&line);
	return result;
}

static int finish_unstoppable(struct fake_call *call, struct err *err)
{
	return err_set(err, ERR_DEADLINE_EXCEEDED, 0, "fake runtime: '%s' does not stop",
		       call->text);
}

static void fake_stop_container(struct runtime *rt, const char *id, int64_t grace_s,
				struct deadline by, runtime_done_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "stop", by, reply_to_done(done, arg));
	struct fake_container *c;
	struct text line = { 0 };

	if (!call)
		return;
	c = fake_find_container(&call->fake->state, id);
	if (!c)
		return settle_failed(call, ERR_NOT_FOUND, "no container", id);
	if (c->state != RUNTIME_RUNNING)
		return settle(call, 0);
	if (grace_s > 0 && strstr(c->image, "slow-stop"))
		call->finish = finish_slow_stop;
	else if (grace_s > 0 && strstr(c->image, "unstoppable"))
		call->finish = finish_unstoppable;
	text_add(&line, "stop");
	fake_line_word(&line, id);
	text_addf(&line, " %lld", (long long)grace_s);
	fake_line_now(&line);
	fake_state_append(&call->fake->state, &line, &call->err);
	text_release(&line);
	call->text = strdup(id);
	if (!call->text)
		err_oom(&call->err);
	settle(call, call->finish ? grace_s * 1000 : 0);
}

static void set_paused(struct runtime *rt, const char *verb, const char *id, struct deadline by,
		       runtime_done_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, verb, by, reply_to_done(done, arg));
	struct fake_container *c;
	struct text line = { 0 };

	if (!call)
		return;
	c = fake_find_container(&call->fake->state, id);
	if (!c)
		return settle_failed(call, ERR_NOT_FOUND, "no container", id);
	if (c->state != RUNTIME_RUNNING)
		return settle_failed(call, ERR_FAILED_PRECONDITION, "not running", id);
	if (strcmp(verb, "pause") == 0 && strstr(c->image, "nopause"))
		return settle_failed(call, ERR_INTERNAL, "cannot be paused", id);
	if (c->paused == (strcmp(verb, "pause") == 0))
		return settle(call, 0);
	fake_line_begin(&line, verb, id);
	settle_with(call, &line);
}

static void fake_pause_container(struct runtime *rt, const char *id, struct deadline by,
				 runtime_done_fn *done, void *arg)
{
	set_paused(rt, "pause", id, by, done, arg);
}

static void fake_unpause_container(struct runtime *rt, const char *id, struct deadline by,
				   runtime_done_fn *done, void *arg)
{
	set_paused(rt, "unpause", id, by, done, arg);
}

static void fake_list_paused(struct runtime *rt, struct deadline by, runtime_containers_fn *done,
			     void *arg)
{
	struct fake_call *call = begin(rt, "list-paused", by, reply_to_containers(done, arg));

	if (!call)
		return;
	call->paused_only = true;
	settle(call, 0);
}

static void fake_remove_container(struct runtime *rt, const char *id, struct deadline by,
				  runtime_done_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "remove", by, reply_to_done(done, arg));
	struct fake_container *c;
	struct text line = { 0 };

	if (!call)
		return;
	c = fake_find_container(&call->fake->state, id);
	if (!c)
		return settle(call, 0);
	if (c->state == RUNTIME_RUNNING)
		return settle_failed(call, ERR_FAILED_PRECONDITION, "still runs", id);
	fake_line_begin(&line, "remove", id);
	settle_with(call, &line);
}

static void fake_image_status(struct runtime *rt, const char *image, struct deadline by,
			      runtime_image_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "image-status", by, reply_to_image(done, arg));

	if (!call)
		return;
	if (has_image(&call->fake->state, image))
		answer_text(call, image);
	else
		settle(call, 0);
}

static void fake_pull_image(struct runtime *rt, const char *image, struct deadline by,
			    runtime_image_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "pull", by, reply_to_image(done, arg));
	struct text line = { 0 };

	if (!call)
		return;
	if (strstr(image, "missing"))
		return settle_failed(call, ERR_NOT_FOUND, "no image", image);
	fake_line_begin(&line, "pull", image);
	settle_with_id(call, &line, image);
}

static void fake_list_images(struct runtime *rt, struct deadline by, runtime_images_fn *done,
			     void *arg)
{
	struct fake_call *call = begin(rt, "list-images", by, reply_to_images(done, arg));

	if (call)
		settle(call, 0);
}

static void fake_remove_image(struct runtime *rt, const char *image, struct deadline by,
			      runtime_done_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "remove-image", by, reply_to_done(done, arg));
	struct text line = { 0 };

	if (!call)
		return;
	if (!strv_has(&call->fake->state.pulled, image))
		return settle(call, 0);
	fake_line_begin(&line, "remove-image", image);
	settle_with(call, &line);
}

static void fake_open_session(struct runtime *rt, const char *id,
			      const struct runtime_session *session, struct deadline by,
			      runtime_id_fn *done, void *arg)
{
	struct fake_call *call = begin(rt, "open-session", by, reply_to_id(done, arg));
	cleanup_free char *server = NULL;
	struct err ignored;
	size_t len;

	(void)session;
	if (!call)
		return;
	if (file_read_at(call->fake->state.dir_fd, "sessions", 256, &server, &len, &ignored) < 0)
		return settle_failed(call, ERR_UNIMPLEMENTED, "no sessions in", id);
	call->text = text_format("%.*s%s", (int)strcspn(server, "\n"), server, id);
	if (!call->text)
		err_oom(&call->err);
	settle(call, 0);
}

static void fake_close(struct runtime *rt)
{
	struct fake *f = (struct fake *)rt;
	struct fake_call *call;
	struct err err;

	err_set(&err, ERR_CANCELLED, 0, "the agent is closing its runtime connection");
	while ((call = f->calls)) {
		f->calls = call->next;
		runtime_reply_fail(&call->to, &err);
		call_free(call);
	}
	fake_state_release(&f->state);
	sd_event_unref(f->loop);
	free(f);
}

static int fake_open(const char *address, struct sd_event *loop, struct runtime **ret_runtime,
		     struct err *err)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f)
		return err_oom(err);
	if (fake_state_init(&f->state, address, err) < 0) {
		fake_state_release(&f->state);
		free(f);
		return -1;
	}
	f->loop = sd_event_ref(loop);
	*ret_runtime = &f->rt;
	return 0;
}

const struct runtime_ops runtime_fake_ops = {
	.name = "fake",
	.open = fake_open,
	.close = fake_close,
	.get_info = fake_get_info,
	.list_sandboxes = fake_list_sandboxes,
	.sandbox_status = fake_sandbox_status,
	.run_sandbox = fake_run_sandbox,
	.stop_sandbox = fake_stop_sandbox,
	.remove_sandbox = fake_remove_sandbox,
	.list_containers = fake_list_containers,
	.container_status = fake_container_status,
	.create_container = fake_create_container,
	.start_container = fake_start_container,
	.stop_container = fake_stop_container,
	.pause_container = fake_pause_container,
	.unpause_container = fake_unpause_container,
	.list_paused = fake_list_paused,
	.remove_container = fake_remove_container,
	.image_status = fake_image_status,
	.pull_image = fake_pull_image,
	.list_images = fake_list_images,
	.remove_image = fake_remove_image,
	.open_session = fake_open_session,
};
