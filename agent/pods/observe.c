#include "agent/pods/pods_impl.h"

#include <stdlib.h>
#include <string.h>

struct observe {
	struct job base;
	struct observation obs;
	enum { LISTS, STATUSES } stage;
};

void observation_release(struct observation *o)
{
	for (size_t i = 0; o->extra && i < o->seen.container_count; i++) {
		free(o->extra[i].sandbox_id);
		free(o->extra[i].reason);
		free(o->extra[i].message);
	}
	free(o->extra);
	pod_observed_release(&o->seen);
	*o = (struct observation){ 0 };
}

static void observe_free(struct job *job)
{
	struct observe *o = (struct observe *)job;

	observation_release(&o->obs);
	free(o);
}

static char *copy(const char *s)
{
	return strdup(s ? s : "");
}

static void out_of_memory(struct job *job)
{
	struct err err;

	err_oom(&err);
	job_fail(job, &err);
}

/* --- the lists ------------------------------------------------------------------------------------ */

static void on_sandboxes(void *arg, const struct runtime_sandbox *list, size_t count,
			 const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct observe *o = (struct observe *)job;
	struct pod_observed *seen = &o->obs.seen;

	if (err)
		job_fail(job, err);
	seen->sandboxes = calloc(count + 1, sizeof(*seen->sandboxes));
	if (!seen->sandboxes)
		out_of_memory(job);
	for (size_t i = 0; seen->sandboxes && i < count; i++) {
		struct seen_sandbox *s = &seen->sandboxes[seen->sandbox_count++];

		s->id = copy(list[i].id);
		s->ip = copy("");
		s->attempt = list[i].attempt;
		s->state = list[i].ready ? SEEN_SANDBOX_READY : SEEN_SANDBOX_NOT_READY;
		o->obs.signature = signature_add(o->obs.signature, list[i].id, list[i].ready);
		if (!s->id || !s->ip)
			out_of_memory(job);
	}
	job_answered(job);
}

static enum seen_state state_of(enum runtime_state state)
{
	switch (state) {
	case RUNTIME_CREATED:
		return SEEN_CREATED;
	case RUNTIME_RUNNING:
	case RUNTIME_PAUSED:
		return SEEN_RUNNING;
	case RUNTIME_EXITED:
		return SEEN_EXITED;
	default:
		return SEEN_UNKNOWN;
	}
}

static uint32_t stored_hash(const struct runtime_container *c)
{
	const char *text = kv_get(c->annotations, NOTE_HASH);

	return text ? (uint32_t)strtoul(text, NULL, 16) : 0;
}

/* The restart count as it was stored goes before the runtime's attempt (PS-046). */
static uint32_t stored_attempt(const struct runtime_container *c)
{
	const char *text = kv_get(c->annotations, NOTE_RESTART_COUNT);

	return text ? (uint32_t)strtoul(text, NULL, 10) : c->attempt;
}

static void add_container(struct observe *o, const struct runtime_container *from)
{
	struct pod_observed *seen = &o->obs.seen;
	struct seen_extra *extra = &o->obs.extra[seen->container_count];
	struct seen_container *c = &seen->containers[seen->container_count++];

	c->id = copy(from->id);
	c->name = copy(from->name);
	c->state = state_of(from->state);
	c->hash = stored_hash(from);
	c->restart = o->base.w && strv_has(&o->base.w->record.restart, from->id);
	extra->attempt = stored_attempt(from);
	extra->created_ns = from->created_ns;
	extra->sandbox_id = copy(from->sandbox_id);
	extra->reason = copy("");
	extra->message = copy("");
	if (!c->id || !c->name || !extra->sandbox_id || !extra->reason || !extra->message)
		out_of_memory(&o->base);
}

static void on_containers(void *arg, const struct runtime_container *list, size_t count,
			  const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct observe *o = (struct observe *)job;

	if (err)
		job_fail(job, err);
	o->obs.seen.containers = calloc(count + 1, sizeof(*o->obs.seen.containers));
	o->obs.extra = calloc(count + 1, sizeof(*o->obs.extra));
	if (!o->obs.seen.containers || !o->obs.extra)
		out_of_memory(job);
	else
		for (size_t i = 0; i < count; i++)
			add_container(o, &list[i]);
	for (size_t i = 0; i < count; i++)
		o->obs.signature = signature_add(o->obs.signature, list[i].id, list[i].state);
	job_answered(job);
}

/* --- the statuses --------------------------------------------------------------------------------- */

static void forget_container(struct observe *o, size_t i)
{
	struct pod_observed *seen = &o->obs.seen;

	free(seen->containers[i].id);
	free(seen->containers[i].name);
	free(o->obs.extra[i].sandbox_id);
	free(o->obs.extra[i].reason);
	free(o->obs.extra[i].message);
	seen->container_count--;
	memmove(&seen->containers[i], &seen->containers[i + 1],
		(seen->container_count - i) * sizeof(*seen->containers));
	memmove(&o->obs.extra[i], &o->obs.extra[i + 1],
		(seen->container_count - i) * sizeof(*o->obs.extra));
}

static void take_status(struct observe *o, size_t i, const struct runtime_container *from)
{
	struct seen_container *c = &o->obs.seen.containers[i];
	struct seen_extra *extra = &o->obs.extra[i];

	c->state = state_of(from->state);
	c->exit_code = from->exit_code;
	c->finished_ns = from->finished_ns;
	free(extra->reason);
	free(extra->message);
	extra->reason = copy(from->reason);
	extra->message = copy(from->message);
	extra->finished_ns = from->finished_ns;
	extra->has_status = true;
	if (!extra->reason || !extra->message)
		out_of_memory(&o->base);
}

/* One that went away since the list is no error (PS-042); it is marked, since others still hold
 * their indexes. */
static void on_status(void *arg, const struct runtime_container *list, size_t count,
		      const struct err *err)
{
	size_t i;
	struct job *job = job_answer(arg, &i);
	struct observe *o = (struct observe *)job;

	if (err && err->code == ERR_NOT_FOUND)
		o->obs.seen.containers[i].name[0] = '\0';
	else if (err)
		job_fail(job, err);
	else if (count)
		take_status(o, i, list);
	job_answered(job);
}

static void on_sandbox_status(void *arg, const struct runtime_sandbox *list, size_t count,
			      const struct err *err)
{
	size_t i;
	struct job *job = job_answer(arg, &i);
	struct observe *o = (struct observe *)job;
	struct seen_sandbox *s = &o->obs.seen.sandboxes[i];

	if (err && err->code == ERR_NOT_FOUND)
		s->state = SEEN_SANDBOX_NOT_READY;
	else if (err)
		job_fail(job, err);
	else if (count) {
		free(s->ip);
		s->ip = copy(list->ip);
		s->host_network = list->host_network;
		s->has_network = true;
		s->state = list->ready ? SEEN_SANDBOX_READY : SEEN_SANDBOX_NOT_READY;
		if (!s->ip)
			out_of_memory(job);
	}
	job_answered(job);
}

/* What an earlier look found out about a thing that cannot change any more. */
static bool reuse_status(struct observe *o, const struct observation *old, size_t i)
{
	struct seen_container *c = &o->obs.seen.containers[i];
	struct seen_extra *extra = &o->obs.extra[i];

	for (size_t k = 0; k < old->seen.container_count; k++) {
		const struct seen_container *was = &old->seen.containers[k];

		if (!old->extra[k].has_status || was->state != SEEN_EXITED ||
		    strcmp(was->id, c->id) != 0)
			continue;
		c->exit_code = was->exit_code;
		c->finished_ns = was->finished_ns;
		free(extra->reason);
		free(extra->message);
		extra->reason = copy(old->extra[k].reason);
		extra->message = copy(old->extra[k].message);
		extra->finished_ns = was->finished_ns;
		extra->has_status = true;
		return true;
	}
	return false;
}

static bool reuse_network(struct observe *o, const struct observation *old)
{
	struct seen_sandbox *s = o->obs.seen.sandboxes;

	for (size_t k = 0; k < old->seen.sandbox_count; k++) {
		const struct seen_sandbox *was = &old->seen.sandboxes[k];

		if (!was->has_network || strcmp(was->id, s->id) != 0 ||
		    (!*was->ip && !was->host_network))
			continue;
		free(s->ip);
		s->ip = copy(was->ip);
		s->host_network = was->host_network;
		s->has_network = true;
		return true;
	}
	return false;
}

static void ask_statuses(struct observe *o)
{
	const struct pod_observed *seen = &o->obs.seen;
	const struct observation *old = &o->base.w->obs;
	struct runtime *rt = o->base.w->pods->runtime;
	struct deadline by = deadline_in_ms(LIST_MS);

	for (size_t i = 0; i < seen->container_count; i++) {
		const struct seen_container *c = &seen->containers[i];
		struct job_call *call;

		/* Only the newest of a name counts; one that runs has nothing to tell. */
		if (c->state != SEEN_EXITED || observed_container(seen, c->name) != c ||
		    reuse_status(o, old, i))
			continue;
		call = job_call(&o->base, i);
		if (call)
			runtime_container_status(rt, c->id, by, on_status, call);
	}
	if (seen->sandbox_count && seen->sandboxes->state == SEEN_SANDBOX_READY &&
	    !reuse_network(o, old)) {
		struct job_call *call = job_call(&o->base, 0);

		if (call)
			runtime_sandbox_status(rt, seen->sandboxes->id, by, on_sandbox_status,
					       call);
	}
}

static void observe_finish(struct observe *o)
{
	struct worker *w = o->base.w;
	struct err err = o->base.err;

	for (size_t i = o->obs.seen.container_count; i-- > 0;) {
		if (!*o->obs.seen.containers[i].name)
			forget_container(o, i);
	}
	if (w) {
		w->job = NULL;
		if (!err.code) {
			observation_release(&w->obs);
			w->obs = o->obs;
			w->obs.seen.deleted = w->record.deleted;
			o->obs = (struct observation){ 0 };
		}
	}
	observe_free(&o->base);
	if (w)
		worker_observed(w, err.code ? &err : NULL);
}

static void observe_next(struct job *job)
{
	struct observe *o = (struct observe *)job;

	if (o->stage == LISTS && job->w && !job->err.code) {
		o->stage = STATUSES;
		ask_statuses(o);
		if (job->pending)
			return;
	}
	observe_finish(o);
}

void observe_start(struct worker *w)
{
	struct observe *o = job_new(w, sizeof(*o), observe_next, observe_free);
	struct runtime_filter filter = { .pod_uid = pod_uid(w->record.pod) };
	struct deadline by = deadline_in_ms(LIST_MS);
	struct job_call *sandboxes, *containers;
	struct err err;

	if (!o) {
		err_oom(&err);
		worker_observed(w, &err);
		return;
	}
	o->obs.signature = SIGNATURE_START;
	sandboxes = job_call(&o->base, 0);
	containers = job_call(&o->base, 0);
	if (sandboxes)
		runtime_list_sandboxes(w->pods->runtime, &filter, by, on_sandboxes, sandboxes);
	if (containers)
		runtime_list_containers(w->pods->runtime, &filter, by, on_containers, containers);
	if (!o->base.pending)
		observe_finish(o);
}
