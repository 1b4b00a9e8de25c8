/* Starts one container (pod-sync.md section 11): image, create, start. */
#include "agent/pods/pods_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN_MS 1000

struct starting {
	struct job base;
	char *name;
	char *image;
	char *image_ref;
	char *id;       /* made, or found made */
	char *leftover; /* made for another sandbox or spec: goes first */
	uint32_t attempt;
	int64_t pull_started_ms;
};

static void starting_free(struct job *job)
{
	struct starting *s = (struct starting *)job;

	free(s->name);
	free(s->image);
	free(s->image_ref);
	free(s->id);
	free(s->leftover);
	free(s);
}

static void starting_next(struct job *job)
{
	job_end(job);
}

/* Both NULL without a worker, or when the container was taken out of the spec meanwhile. */
static const K8s__Core__V1__Container *spec_of(const struct starting *s)
{
	return s->base.w ? pod_container(s->base.w->record.pod, s->name, NULL) : NULL;
}

static struct start_state *state_of(const struct starting *s)
{
	return spec_of(s) ? worker_start_state(s->base.w, s->name) : NULL;
}

/* The container waits and is tried again later; the rest of the pod goes on (PS-107). */
static void give_up(struct starting *s, const char *reason, const struct err *err)
{
	struct start_state *st = state_of(s);
	const struct backoff_limits *limits;
	int64_t now_ns = clock_wall_ns();

	if (!st)
		return;
	worker_note(s->base.w, EVENT_WARNING, "Failed", "%s: %s", reason, err->msg);
	limits = &s->base.w->pods->timing.retry;
	backoff_next(&st->failed, limits, st->failed.updated_ns, now_ns);
	start_state_wait(st, reason, err->msg, st->failed.delay_ms);
	s->base.waits = true;
}

static void on_started(void *arg, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct starting *s = (struct starting *)job;
	struct start_state *st = state_of(s);

	if (err) {
		give_up(s, "RunContainerError", err);
	} else if (st) {
		worker_note(job->w, EVENT_NORMAL, "Started", "started container %s", s->name);
		start_state_wait(st, "", NULL, 0);
		st->failed = (struct backoff){ 0 };
		st->refused_ms = 0;
	}
	job_answered(job);
}

static void start_it(struct starting *s)
{
	struct job_call *call;

	if (!job_may_go_on(&s->base))
		return;
	call = job_call(&s->base, 0);
	if (call)
		runtime_start_container(s->base.w->pods->runtime, s->id, deadline_in_ms(CALL_MS),
					on_started, call);
}

/* As for sandboxes: what holds the name may turn up yet. */
static void name_is_taken(struct starting *s, const struct err *err)
{
	struct start_state *st = state_of(s);
	int64_t now_ms = clock_now_ms();

	if (!st)
		return;
	if (!st->refused_ms)
		st->refused_ms = now_ms;
	if (now_ms - st->refused_ms >= RESERVED_MS) {
		st->min_attempt = s->attempt + 1;
		st->refused_ms = 0;
	}
	start_state_wait(st, "CreateContainerError", err->msg, LOOK_AGAIN_MS);
	s->base.waits = true;
}

static void on_created(void *arg, const char *id, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct starting *s = (struct starting *)job;

	if (err && name_is_reserved(err)) {
		name_is_taken(s, err);
	} else if (err) {
		give_up(s, "CreateContainerError", err);
	} else if ((s->id = strdup(id))) {
		worker_note(job->w, EVENT_NORMAL, "Created", "created container %s", s->name);
		start_it(s);
	}
	job_answered(job);
}

static uint32_t sandbox_attempt(const struct worker *w)
{
	return w->obs.seen.sandbox_count ? w->obs.seen.sandboxes->attempt : 0;
}

static int render_both(struct starting *s, struct container_request *req,
		       struct sandbox_request *sandbox, struct err *err)
{
	struct worker *w = s->base.w;
	const K8s__Core__V1__Pod *pod = w->record.pod;
	struct node_facts facts;
	int result;

	node_facts_get(w, &facts);
	result = volumes_prepare(w, &facts.node, err);
	if (result == 0)
		result = render_sandbox(pod, sandbox_attempt(w), &facts.node, sandbox, err);
	if (result == 0) {
		result = render_container(pod, s->name, s->attempt, &facts.node, req, err);
		if (result < 0)
			sandbox_request_release(sandbox);
	}
	node_facts_release(&facts);
	return result;
}

static void create_it(struct starting *s)
{
	struct container_request req = { 0 };
	struct sandbox_request sandbox = { 0 };
	struct job_call *call;
	struct err err;

	if (!job_may_go_on(&s->base) || !s->base.w->obs.seen.sandbox_count)
		return;
	if (render_both(s, &req, &sandbox, &err) < 0) {
		give_up(s, "CreateContainerConfigError", &err);
		return;
	}
	free(req.image_ref);
	req.image_ref = strdup(s->image_ref ? s->image_ref : "");
	call = req.image_ref ? job_call(&s->base, 0) : NULL;
	if (call)
		runtime_create_container(s->base.w->pods->runtime,
					 s->base.w->obs.seen.sandboxes->id, &req, &sandbox,
					 deadline_in_ms(CALL_MS), on_created, call);
	container_request_release(&req);
	sandbox_request_release(&sandbox);
}

/* --- image (section 13) --------------------------------------------------------------------------- */

static void pull_failed(struct starting *s, const struct err *err)
{
	struct start_state *st = state_of(s);
	struct err wrapped = *err;

	if (!st)
		return;
	worker_note(s->base.w, EVENT_WARNING, "Failed", "cannot pull image '%s': %s", s->image,
		    err->msg);
	err_wrap(&wrapped, "pull '%s'", s->image);
	backoff_next(&st->pull, &s->base.w->pods->timing.pull, st->pull.updated_ns,
		     clock_wall_ns());
	/* The next try, soon, finds itself in the back-off and says so. */
	start_state_wait(st, "ErrImagePull", wrapped.msg, s->base.w->pods->timing.retry.initial_ms);
	s->base.waits = true;
}

static void on_pulled(void *arg, const char *ref, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct starting *s = (struct starting *)job;

	job->can_wait = false;
	if (err) {
		pull_failed(s, err);
	} else {
		worker_note(job->w, EVENT_NORMAL, "Pulled", "pulled image '%s' in %" PRId64 " ms",
			    s->image, clock_now_ms() - s->pull_started_ms);
		s->image_ref = strdup(ref ? ref : "");
		create_it(s);
	}
	job_answered(job);
}

/* Keeps telling what the last pull ran into. */
static void wait_to_pull(struct starting *s, struct start_state *st, int64_t left_ms)
{
	bool told = st->message && strcmp(st->reason, "ErrImagePull") == 0;
	cleanup_free char *message = text_format("back-off pulling image '%s'%s%s", s->image,
						 told ? ": " : "", told ? st->message : "");

	worker_note(s->base.w, EVENT_WARNING, "BackOff", "back-off pulling image '%s'", s->image);
	start_state_wait(st, "ImagePullBackOff", message, left_ms);
	s->base.waits = true;
}

static void pull_it(struct starting *s)
{
	struct start_state *st = state_of(s);
	struct job_call *call;
	int64_t left_ms;

	if (!job_may_go_on(&s->base) || !st)
		return;
	if (backoff_is_stale(&st->pull, &s->base.w->pods->timing.pull, clock_wall_ns()))
		st->pull = (struct backoff){ 0 };
	left_ms = backoff_left_ms(&st->pull, &s->base.w->pods->timing.pull, st->pull.updated_ns,
				  clock_wall_ns());
	if (left_ms > 0) {
		wait_to_pull(s, st, left_ms);
		return;
	}
	worker_note(s->base.w, EVENT_NORMAL, "Pulling", "pulling image '%s'", s->image);
	s->pull_started_ms = clock_now_ms();
	call = job_call(&s->base, 0);
	s->base.can_wait = true;
	if (call)
		runtime_pull_image(s->base.w->pods->runtime, s->image, deadline_in_ms(PULL_MS),
				   on_pulled, call);
}

static void on_image(void *arg, const char *ref, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct starting *s = (struct starting *)job;
	const K8s__Core__V1__Container *spec = spec_of(s);
	enum pull_policy policy = spec ? container_pull_policy(spec) : PULL_NEVER;
	struct err absent;

	if (err) {
		give_up(s, "ImageInspectError", err);
	} else if (ref && policy != PULL_ALWAYS) {
		s->image_ref = strdup(ref);
		create_it(s);
	} else if (policy != PULL_NEVER) {
		pull_it(s);
	} else {
		err_set(&absent, ERR_NOT_FOUND, 0,
			"image '%s' is not on the node, and imagePullPolicy is Never", s->image);
		give_up(s, "ErrImageNeverPull", &absent);
	}
	job_answered(job);
}

static void look_for_image(struct starting *s)
{
	struct job_call *call;

	if (!job_may_go_on(&s->base))
		return;
	call = job_call(&s->base, 0);
	if (call)
		runtime_image_status(s->base.w->pods->runtime, s->image, deadline_in_ms(LIST_MS),
				     on_image, call);
}

/* --- what is there already ------------------------------------------------------------------------ */

static void on_leftover_removed(void *arg, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct starting *s = (struct starting *)job;

	if (err)
		give_up(s, "CreateContainerError", err);
	else
		look_for_image(s);
	job_answered(job);
}

/* An instance that was made and not started is started (we may have been killed in between), if it
 * is still what is wanted. */
static void find_created(struct starting *s)
{
	const struct observation *o = &s->base.w->obs;
	const struct seen_container *c = observed_container(&o->seen, s->name);
	const struct start_state *st = state_of(s);
	const struct seen_extra *extra = c ? &o->extra[c - o->seen.containers] : NULL;

	s->attempt = c ? extra->attempt + 1 : 0;
	if (st && s->attempt < st->min_attempt)
		s->attempt = st->min_attempt;
	if (!c || c->state != SEEN_CREATED)
		return;
	if (st && c->hash == st->hash && o->seen.sandbox_count &&
	    strcmp(extra->sandbox_id, o->seen.sandboxes->id) == 0)
		s->id = strdup(c->id);
	else
		s->leftover = strdup(c->id);
}

static void begin(struct starting *s)
{
	struct job_call *call;

	find_created(s);
	if (s->id) {
		start_it(s);
	} else if (s->leftover) {
		call = job_call(&s->base, 0);
		if (call)
			runtime_remove_container(s->base.w->pods->runtime, s->leftover,
						 deadline_in_ms(CALL_MS), on_leftover_removed,
						 call);
	} else {
		look_for_image(s);
	}
}

void container_start(struct worker *w, const char *name)
{
	const K8s__Core__V1__Container *spec = pod_container(w->record.pod, name, NULL);
	struct starting *s = job_new(w, sizeof(*s), starting_next, starting_free);
	struct err err;

	if (!s) {
		err_oom(&err);
		worker_acted(w, &err, false);
		return;
	}
	s->name = strdup(name);
	s->image = render_image(spec->image);
	if (s->name && s->image) {
		begin(s);
	} else {
		err_oom(&err);
		job_fail(&s->base, &err);
	}
	if (!s->base.pending)
		job_end(&s->base);
}
