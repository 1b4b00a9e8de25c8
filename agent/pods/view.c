/* What List tells of one worker's pod. */
#include "agent/pods/pods_impl.h"

#include "shared/pod/phase.h"

#include <stdlib.h>
#include <string.h>

static const char *state_name(const struct seen_container *c)
{
	if (!c || c->state == SEEN_CREATED || c->state == SEEN_UNKNOWN)
		return "waiting";
	return c->state == SEEN_RUNNING ? "running" : "terminated";
}

static const struct start_state *find_state(const struct worker *w, const char *name)
{
	const struct start_state *st = w->starts;

	while (st && strcmp(st->name, name) != 0)
		st = st->next;
	return st;
}

static void explain(const struct worker *w, const struct seen_container *c,
		    const struct seen_extra *extra, struct pod_container_view *v)
{
	const struct start_state *st = find_state(w, v->name);

	if (c && c->state == SEEN_EXITED) {
		v->exit_code = c->exit_code;
		v->reason = *extra->reason ? extra->reason : exit_reason(c->exit_code);
		v->message = extra->message;
	} else if (!c) {
		v->reason = waiting_reason(w->record.pod, &w->obs.seen, v->name);
	}
	/* After a crash the container waits for its next start (PS-283). */
	if (st && *st->reason && (!c || c->state != SEEN_RUNNING)) {
		v->state = "waiting";
		v->reason = st->reason;
		v->message = st->message ? st->message : "";
	}
}

static void view_container(const struct worker *w, const K8s__Core__V1__Container *spec, bool init,
			   struct pod_view *pod)
{
	const struct pod_observed *seen = &w->obs.seen;
	const struct seen_container *c = observed_container(seen, spec->name);
	const struct seen_extra *extra = c ? &w->obs.extra[c - seen->containers] : NULL;
	struct pod_container_view *v =
		(struct pod_container_view *)&pod->containers[pod->container_count++];

	*v = (struct pod_container_view){
		.name = spec->name,
		.state = state_name(c),
		.init = init,
		.ready = c && (c->state == SEEN_RUNNING ||
			       (init && c->state == SEEN_EXITED && c->exit_code == 0)),
		.restart_count = extra ? extra->attempt : 0,
		.reason = "",
		.message = "",
		.container_id = c ? c->id : "",
	};
	explain(w, c, extra, v);
	pod->restarts += v->restart_count;
}

static bool is_ready(const struct worker *w, const struct pod_view *pod)
{
	const K8s__Core__V1__PodSpec *spec = w->record.pod->spec;

	if (w->record.deleted || !w->observed || strcmp(pod->phase, "Running") != 0)
		return false;
	for (size_t i = 0; i < pod->container_count; i++) {
		const struct pod_container_view *v = &pod->containers[i];
		bool counts = !v->init;

		for (size_t k = 0; k < spec->n_initcontainers; k++)
			counts |= container_is_sidecar(spec->initcontainers[k]) &&
				  strcmp(spec->initcontainers[k]->name, v->name) == 0;
		if (counts && !v->ready)
			return false;
	}
	return true;
}

static const char *message_of(const struct worker *w, const struct pod_view *pod)
{
	if (w->message)
		return w->message;
	for (size_t i = 0; i < pod->container_count; i++) {
		const struct pod_container_view *v = &pod->containers[i];

		if (strcmp(v->state, "waiting") == 0 && *v->message)
			return v->message;
	}
	return "";
}

bool worker_view(const struct worker *w, struct pod_view *ret)
{
	const K8s__Core__V1__Pod *pod = w->record.pod;
	const K8s__Core__V1__PodSpec *spec = pod->spec;
	size_t count = spec->n_initcontainers + spec->n_ephemeralcontainers + spec->n_containers;
	const struct pod_observed *seen = &w->obs.seen;

	*ret = (struct pod_view){
		.name = pod_name(pod),
		.namespace = pod_namespace(pod),
		.uid = pod_uid(pod),
		.phase = w->record.deleted ? "Terminating" : pod_phase(pod, seen),
		.ip = seen->sandbox_count && seen->sandboxes->state == SEEN_SANDBOX_READY
			      ? seen->sandboxes->ip
			      : "",
		.source = POD_FROM_AGENT,
		.created_ns = w->record.created_ns,
		.containers = calloc(count, sizeof(*ret->containers)),
	};
	if (!ret->containers)
		return false;
	for (size_t i = 0; i < spec->n_initcontainers; i++)
		view_container(w, spec->initcontainers[i], true, ret);
	for (size_t i = 0; i < spec->n_ephemeralcontainers; i++) {
		const void *common = spec->ephemeralcontainers[i]->ephemeralcontainercommon;

		view_container(w, common, false, ret);
	}
	for (size_t i = 0; i < spec->n_containers; i++)
		view_container(w, spec->containers[i], false, ret);
	ret->ready = is_ready(w, ret);
	ret->message = message_of(w, ret);
	return true;
}
