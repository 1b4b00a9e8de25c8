#include "shared/pod/phase.h"

#include <string.h>

static bool has_failed(const struct seen_container *c)
{
	return c->state == SEEN_EXITED && c->exit_code != 0;
}

/* Ordinary: has ended well. Sidecar: has started. */
static bool is_init_done(const K8s__Core__V1__Container *spec, const struct seen_container *c)
{
	if (container_is_sidecar(spec))
		return c && (c->state == SEEN_RUNNING || c->state == SEEN_EXITED) &&
		       (!spec->startupprobe || c->startup == PROBE_SUCCESS ||
			c->state == SEEN_EXITED);
	return c && c->state == SEEN_EXITED && c->exit_code == 0;
}

static bool has_app_begun(const K8s__Core__V1__PodSpec *spec, const struct pod_observed *seen)
{
	for (size_t i = 0; i < spec->n_containers; i++) {
		if (observed_container(seen, spec->containers[i]->name))
			return true;
	}
	return false;
}

bool pod_is_initialized(const K8s__Core__V1__Pod *pod, const struct pod_observed *seen)
{
	const K8s__Core__V1__PodSpec *spec = pod->spec;

	/* Init instances may have been pruned since. */
	if (has_app_begun(spec, seen))
		return true;
	for (size_t i = 0; i < spec->n_initcontainers; i++) {
		const K8s__Core__V1__Container *c = spec->initcontainers[i];

		if (!is_init_done(c, observed_container(seen, c->name)))
			return false;
	}
	return true;
}

static bool has_init_failed(const K8s__Core__V1__PodSpec *spec, const struct pod_observed *seen)
{
	for (size_t i = 0; i < spec->n_initcontainers; i++) {
		const struct seen_container *c =
			observed_container(seen, spec->initcontainers[i]->name);

		if (c && has_failed(c) && !container_is_sidecar(spec->initcontainers[i]))
			return true;
	}
	return false;
}

struct tally {
	size_t waiting, running, stopped, succeeded, unknown;
};

static struct tally count(const K8s__Core__V1__PodSpec *spec, const struct pod_observed *seen)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < spec->n_containers; i++) {
		const struct seen_container *c =
			observed_container(seen, spec->containers[i]->name);

		if (!c || c->state == SEEN_CREATED)
			t.waiting++;
		else if (c->state == SEEN_RUNNING)
			t.running++;
		else if (c->state == SEEN_UNKNOWN)
			t.unknown++;
		else
			t.stopped++;
		t.succeeded += c && c->state == SEEN_EXITED && c->exit_code == 0;
	}
	return t;
}

static const char *phase_when_stopped(enum restart_policy policy, const struct tally *t)
{
	if (policy == RESTART_ALWAYS)
		return "Running";
	if (t->succeeded == t->stopped)
		return "Succeeded";
	return policy == RESTART_NEVER ? "Failed" : "Running";
}

const char *pod_phase(const K8s__Core__V1__Pod *pod, const struct pod_observed *seen)
{
	enum restart_policy policy = pod_restart_policy(pod);
	struct tally t = count(pod->spec, seen);

	if (!pod_is_initialized(pod, seen))
		return policy == RESTART_NEVER && has_init_failed(pod->spec, seen) ? "Failed"
										   : "Pending";
	if (t.waiting)
		return "Pending";
	if (t.running && !t.unknown)
		return "Running";
	if (t.stopped && !t.running && !t.unknown)
		return phase_when_stopped(policy, &t);
	return "Pending";
}

const char *exit_reason(int32_t exit_code)
{
	return exit_code == 0 ? "Completed" : "Error";
}

const char *waiting_reason(const K8s__Core__V1__Pod *pod, const struct pod_observed *seen,
			   const char *name)
{
	enum container_kind kind = CONTAINER_APP;

	pod_container(pod, name, &kind);
	if (kind == CONTAINER_APP && pod->spec->n_initcontainers && !pod_is_initialized(pod, seen))
		return "PodInitializing";
	return "ContainerCreating";
}
