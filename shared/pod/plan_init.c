#include "shared/pod/plan_impl.h"

#include <stdlib.h>
#include <string.h>

/* --- init containers without sidecars (PS-071 to PS-073) ------------------------------------------ */

static bool is_any_app_running(const struct plan *p)
{
	for (size_t i = 0; i < p->spec->n_containers; i++) {
		const struct seen_container *c =
			observed_container(p->seen, p->spec->containers[i]->name);

		if (c && c->state == SEEN_RUNNING)
			return true;
	}
	return false;
}

/* The last init container that failed, or NULL. */
static const struct seen_container *find_failed_init(const struct plan *p)
{
	for (size_t i = p->spec->n_initcontainers; i-- > 0;) {
		const struct seen_container *c =
			observed_container(p->seen, p->spec->initcontainers[i]->name);

		if (c && pod_plan_has_failed(c))
			return c;
	}
	return NULL;
}

static void retry_init(struct plan *p, const struct seen_container *failed)
{
	if (p->policy == RESTART_NEVER) {
		pod_plan_because(p, failed->name, "failed, and the pod never restarts");
		pod_plan_kill_pod(p, "an init container failed and the pod never restarts");
		return;
	}
	if (failed->state == SEEN_UNKNOWN)
		pod_plan_kill(p, failed, KILL_UNKNOWN, true,
			      "is in unknown state and starts again");
	pod_plan_start(p, &p->d->init_starts, failed->name, "failed and starts again");
}

/* True when initialization is done. */
bool pod_plan_init(struct plan *p)
{
	const K8s__Core__V1__PodSpec *spec = p->spec;
	const struct seen_container *failed;

	if (spec->n_initcontainers == 0 || is_any_app_running(p))
		return true;
	failed = find_failed_init(p);
	if (failed) {
		retry_init(p, failed);
		return false;
	}
	for (size_t i = spec->n_initcontainers; i-- > 0;) {
		const char *name = spec->initcontainers[i]->name;
		const struct seen_container *c = observed_container(p->seen, name);

		if (c && c->state == SEEN_RUNNING) {
			pod_plan_because(p, name, "is running; the others wait for it");
			return false;
		}
		if (!c || c->state != SEEN_EXITED)
			continue;
		if (i + 1 == spec->n_initcontainers)
			return true;
		pod_plan_start(p, &p->d->init_starts, spec->initcontainers[i + 1]->name,
			       "is the next to run");
		return false;
	}
	pod_plan_start(p, &p->d->init_starts, spec->initcontainers[0]->name, "is the first to run");
	return false;
}

/* --- init containers with sidecars (7c) ----------------------------------------------------------- */

struct sidecar_scan {
	bool initialized; /* PS-080 */
	bool seen;        /* PS-081 */
	bool stop;
	bool *starts; /* by index of the init container */
};

/* PS-080: exited does not count, or a rebooted node would be taken for an initialized pod. */
static bool is_any_app_created_or_running(const struct plan *p)
{
	for (size_t i = 0; i < p->spec->n_containers; i++) {
		const struct seen_container *c =
			observed_container(p->seen, p->spec->containers[i]->name);

		if (c && (c->state == SEEN_CREATED || c->state == SEEN_RUNNING))
			return true;
	}
	return false;
}

static void scan_start(struct plan *p, struct sidecar_scan *s, size_t i, const char *why)
{
	s->starts[i] = true;
	pod_plan_because(p, p->spec->initcontainers[i]->name, why);
}

static void scan_kill_pod(struct plan *p, struct sidecar_scan *s, const char *name)
{
	pod_plan_because(p, name, "failed, and the pod never restarts");
	pod_plan_kill_pod(p, "an init container failed and the pod never restarts");
	memset(s->starts, 0, p->spec->n_initcontainers * sizeof(*s->starts));
	s->initialized = false;
	s->stop = true;
}

/* This one has done its part: go on to the next, or the pod is initialized. */
static void scan_advance(struct plan *p, struct sidecar_scan *s, size_t i)
{
	if (i + 1 == p->spec->n_initcontainers)
		s->initialized = true;
	else if (!s->seen)
		scan_start(p, s, i + 1, "is the next to run");
}

/* PS-085 */
static void scan_running_sidecar(struct plan *p, struct sidecar_scan *s, size_t i,
				 const struct seen_container *seen)
{
	const K8s__Core__V1__Container *c = p->spec->initcontainers[i];

	if (c->startupprobe && seen->startup != PROBE_SUCCESS) {
		if (seen->startup != PROBE_FAILURE) {
			pod_plan_because(p, c->name, "is starting up; the others wait for it");
			return;
		}
		pod_plan_kill(p, seen, KILL_STARTUP, true, "failed its startup probe and restarts");
		s->starts[i] = true;
		return;
	}
	scan_advance(p, s, i);
	if (pod_plan_is_changed(c, seen)) {
		pod_plan_kill(p, seen, KILL_CHANGED, true, "has changed and restarts");
		s->starts[i] = true;
	} else if (seen->liveness == PROBE_FAILURE) {
		pod_plan_kill(p, seen, KILL_LIVENESS, true,
			      "failed its liveness probe and restarts");
		s->starts[i] = true;
	} else {
		pod_plan_because(p, c->name, "is running");
	}
}

/* PS-083 */
static void scan_exited(struct plan *p, struct sidecar_scan *s, size_t i,
			const struct seen_container *seen)
{
	const K8s__Core__V1__Container *c = p->spec->initcontainers[i];

	if (container_is_sidecar(c))
		scan_start(p, s, i, "has exited and restarts");
	else if (seen->exit_code == 0)
		scan_advance(p, s, i);
	else if (p->policy == RESTART_NEVER)
		scan_kill_pod(p, s, c->name);
	else
		scan_start(p, s, i, "failed and starts again");
}

/* PS-084 */
static void scan_unknown(struct plan *p, struct sidecar_scan *s, size_t i,
			 const struct seen_container *seen)
{
	const K8s__Core__V1__Container *c = p->spec->initcontainers[i];

	if (!container_is_sidecar(c) && p->policy == RESTART_NEVER) {
		scan_kill_pod(p, s, c->name);
		return;
	}
	pod_plan_kill(p, seen, KILL_UNKNOWN, true, "is in unknown state and starts again");
	s->starts[i] = true;
}

static void scan_one(struct plan *p, struct sidecar_scan *s, size_t i)
{
	const K8s__Core__V1__Container *c = p->spec->initcontainers[i];
	const struct seen_container *seen = observed_container(p->seen, c->name);

	/* PS-082: behind the one that counts only sidecars matter. */
	if (s->seen && !container_is_sidecar(c))
		return;
	if (!seen) {
		if (s->seen)
			scan_start(p, s, i, "has no instance and starts");
		return;
	}
	switch (seen->state) {
	case SEEN_CREATED:
		scan_start(p, s, i, "was created and not started");
		break;
	case SEEN_RUNNING:
		if (container_is_sidecar(c))
			scan_running_sidecar(p, s, i, seen);
		else
			pod_plan_because(p, c->name, "is running; the others wait for it");
		break;
	case SEEN_EXITED:
		scan_exited(p, s, i, seen);
		break;
	case SEEN_UNKNOWN:
		scan_unknown(p, s, i, seen);
		break;
	}
	s->seen = true;
}

/* True when the pod is initialized. */
bool pod_plan_sidecars(struct plan *p)
{
	const K8s__Core__V1__PodSpec *spec = p->spec;
	struct sidecar_scan s = { .initialized = is_any_app_created_or_running(p) };
	cleanup_free bool *starts = calloc(spec->n_initcontainers, sizeof(*starts));

	if (!starts) {
		p->failed = true;
		return false;
	}
	s.starts = starts;
	s.seen = s.initialized;
	for (size_t i = spec->n_initcontainers; i-- > 0 && !s.stop;)
		scan_one(p, &s, i);
	/* PS-086 */
	if (!s.seen)
		scan_start(p, &s, 0, "is the first to run");
	for (size_t i = 0; i < spec->n_initcontainers; i++) {
		if (starts[i])
			strv_add(&p->d->init_starts, spec->initcontainers[i]->name);
	}
	return s.initialized;
}
