#include "shared/pod/plan.h"

#include "shared/pod/hash.h"

#include <stdlib.h>
#include <string.h>

/* One planning: what goes in, and where the decision grows. */
struct plan {
	const K8s__Core__V1__Pod *pod;
	const K8s__Core__V1__PodSpec *spec;
	const struct pod_observed *seen;
	enum restart_policy policy;
	struct pod_decision *d;
	bool failed; /* memory */
};

void pod_observed_release(struct pod_observed *o)
{
	for (size_t i = 0; i < o->sandbox_count; i++) {
		free(o->sandboxes[i].id);
		free(o->sandboxes[i].ip);
	}
	for (size_t i = 0; i < o->container_count; i++) {
		free(o->containers[i].id);
		free(o->containers[i].name);
	}
	free(o->sandboxes);
	free(o->containers);
	*o = (struct pod_observed){ 0 };
}

void pod_decision_release(struct pod_decision *d)
{
	for (size_t i = 0; i < d->kill_count; i++) {
		free(d->kills[i].id);
		free(d->kills[i].name);
	}
	free(d->kills);
	free(d->sandbox_id);
	strv_release(&d->init_starts);
	strv_release(&d->starts);
	strv_release(&d->ephemeral_starts);
	kv_release(&d->reasons);
	*d = (struct pod_decision){ 0 };
}

const struct seen_container *observed_container(const struct pod_observed *o, const char *name)
{
	for (size_t i = 0; i < o->container_count; i++) {
		if (strcmp(o->containers[i].name, name) == 0)
			return &o->containers[i];
	}
	return NULL;
}

static void because(struct plan *p, const char *name, const char *why)
{
	if (!kv_get(&p->d->reasons, name) && !kv_add(&p->d->reasons, name, why))
		p->failed = true;
}

static void start(struct plan *p, struct strv *list, const char *name, const char *why)
{
	if (!strv_has(list, name))
		strv_add(list, name);
	because(p, name, why);
}

static void kill_instance(struct plan *p, const struct seen_container *c, enum kill_cause cause,
			  bool restart, const char *why)
{
	struct pod_decision *d = p->d;
	void *more = realloc(d->kills, (d->kill_count + 1) * sizeof(*d->kills));

	because(p, c->name, why);
	if (!more) {
		p->failed = true;
		return;
	}
	d->kills = more;
	d->kills[d->kill_count] = (struct pod_kill){
		.id = strdup(c->id),
		.name = strdup(c->name),
		.cause = cause,
		.restart = restart,
	};
	p->failed |= !d->kills[d->kill_count].id || !d->kills[d->kill_count].name;
	d->kill_count++;
}

static void kill_pod(struct plan *p, const char *why)
{
	p->d->kill_pod = true;
	because(p, "sandbox", why);
}

static bool has_failed(const struct seen_container *c)
{
	return c->state == SEEN_UNKNOWN || (c->state == SEEN_EXITED && c->exit_code != 0);
}

static bool is_changed(const K8s__Core__V1__Container *c, const struct seen_container *seen)
{
	return seen->hash != container_hash(c);
}

/* --- the sandbox (section 6) ---------------------------------------------------------------------- */

/* PS-057: never an attempt that any sandbox has had. */
static uint32_t next_attempt(const struct pod_observed *seen)
{
	uint32_t next = 0;

	for (size_t i = 0; i < seen->sandbox_count; i++) {
		if (seen->sandboxes[i].attempt >= next)
			next = seen->sandboxes[i].attempt + 1;
	}
	return next;
}

/* PS-050 to PS-055: why the sandbox is no longer the one, or NULL. */
static const char *sandbox_fault(const struct plan *p, bool *ret_keep_id)
{
	const struct seen_sandbox *newest = p->seen->sandboxes;
	bool host = pod_is_host_network(p->pod);
	size_t ready = 0;

	*ret_keep_id = true;
	if (p->seen->sandbox_count == 0)
		return "the pod has no sandbox";
	for (size_t i = 0; i < p->seen->sandbox_count; i++)
		ready += p->seen->sandboxes[i].state == SEEN_SANDBOX_READY;
	if (ready > 1)
		return "more than one sandbox is ready";
	if (newest->state != SEEN_SANDBOX_READY)
		return "the sandbox is not ready";
	if (!newest->has_network)
		return NULL;
	if (newest->host_network != host) {
		*ret_keep_id = false;
		return host ? "the sandbox is not in the host network"
			    : "the sandbox is in the host network";
	}
	return !host && !*newest->ip ? "the sandbox has no IP address" : NULL;
}

static const char *plan_sandbox(struct plan *p)
{
	const struct pod_observed *seen = p->seen;
	bool keep_id;
	const char *fault = sandbox_fault(p, &keep_id);

	p->d->attempt = fault ? next_attempt(seen) : seen->sandboxes->attempt;
	p->d->sandbox_id = strdup(seen->sandbox_count && keep_id ? seen->sandboxes->id : "");
	p->failed |= !p->d->sandbox_id;
	return fault;
}

/* --- sandbox changed (7a) ------------------------------------------------------------------------- */

static bool has_any_app_run(const struct plan *p)
{
	for (size_t i = 0; i < p->spec->n_containers; i++) {
		const struct seen_container *c =
			observed_container(p->seen, p->spec->containers[i]->name);

		if (c && (c->state == SEEN_RUNNING || c->state == SEEN_EXITED))
			return true;
	}
	return false;
}

/* PS-062 */
static bool starts_in_new_sandbox(const struct plan *p, const char *name)
{
	const struct seen_container *c = observed_container(p->seen, name);

	return p->policy != RESTART_ON_FAILURE || !c || c->restart || c->state != SEEN_EXITED ||
	       c->exit_code != 0;
}

static void plan_new_sandbox(struct plan *p, const char *fault)
{
	const K8s__Core__V1__PodSpec *spec = p->spec;
	struct pod_decision *d = p->d;

	kill_pod(p, fault);
	/* PS-061: a pod that never restarts had its chance; one that never ran is tried again. */
	if (p->policy == RESTART_NEVER && d->attempt != 0 && p->seen->container_count > 0)
		return;
	for (size_t i = 0; i < spec->n_containers; i++) {
		if (starts_in_new_sandbox(p, spec->containers[i]->name))
			start(p, &d->starts, spec->containers[i]->name,
			      "starts in the new sandbox");
		else
			because(p, spec->containers[i]->name, "has completed");
	}
	/* PS-063 */
	if (d->starts.count == 0 && (spec->n_initcontainers == 0 || has_any_app_run(p)))
		return;
	d->create_sandbox = true;
	/* PS-064, PS-089 */
	if (spec->n_initcontainers > 0) {
		strv_release(&d->starts);
		kv_release(&d->reasons);
		because(p, "sandbox", fault);
		start(p, &d->init_starts, spec->initcontainers[0]->name,
		      "first init container of the new sandbox");
	}
}

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

		if (c && has_failed(c))
			return c;
	}
	return NULL;
}

static void retry_init(struct plan *p, const struct seen_container *failed)
{
	if (p->policy == RESTART_NEVER) {
		because(p, failed->name, "failed, and the pod never restarts");
		kill_pod(p, "an init container failed and the pod never restarts");
		return;
	}
	if (failed->state == SEEN_UNKNOWN)
		kill_instance(p, failed, KILL_UNKNOWN, true,
			      "is in unknown state and starts again");
	start(p, &p->d->init_starts, failed->name, "failed and starts again");
}

/* True when initialization is done. */
static bool plan_init(struct plan *p)
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
			because(p, name, "is running; the others wait for it");
			return false;
		}
		if (!c || c->state != SEEN_EXITED)
			continue;
		if (i + 1 == spec->n_initcontainers)
			return true;
		start(p, &p->d->init_starts, spec->initcontainers[i + 1]->name,
		      "is the next to run");
		return false;
	}
	start(p, &p->d->init_starts, spec->initcontainers[0]->name, "is the first to run");
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
	because(p, p->spec->initcontainers[i]->name, why);
}

static void scan_kill_pod(struct plan *p, struct sidecar_scan *s, const char *name)
{
	because(p, name, "failed, and the pod never restarts");
	kill_pod(p, "an init container failed and the pod never restarts");
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
			because(p, c->name, "is starting up; the others wait for it");
			return;
		}
		kill_instance(p, seen, KILL_STARTUP, true, "failed its startup probe and restarts");
		s->starts[i] = true;
		return;
	}
	scan_advance(p, s, i);
	if (is_changed(c, seen)) {
		kill_instance(p, seen, KILL_CHANGED, true, "has changed and restarts");
		s->starts[i] = true;
	} else if (seen->liveness == PROBE_FAILURE) {
		kill_instance(p, seen, KILL_LIVENESS, true,
			      "failed its liveness probe and restarts");
		s->starts[i] = true;
	} else {
		because(p, c->name, "is running");
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
	kill_instance(p, seen, KILL_UNKNOWN, true, "is in unknown state and starts again");
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
			because(p, c->name, "is running; the others wait for it");
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
static bool plan_sidecars(struct plan *p)
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

/* --- app containers (PS-074, PS-075) -------------------------------------------------------------- */

static void plan_stopped_app(struct plan *p, const char *name, const struct seen_container *c)
{
	struct strv *starts = &p->d->starts;

	if (p->seen->deleted)
		because(p, name, "the pod is being deleted");
	else if (!c)
		start(p, starts, name, "has no instance and starts");
	else if (c->state == SEEN_CREATED)
		start(p, starts, name, "was created and not started");
	else if (c->state == SEEN_UNKNOWN) {
		kill_instance(p, c, KILL_UNKNOWN, true, "is in unknown state and starts again");
		start(p, starts, name, "");
	} else if (c->restart)
		start(p, starts, name, "was stopped in order to restart");
	else if (p->policy == RESTART_ALWAYS)
		start(p, starts, name, "has exited and restarts");
	else if (c->exit_code == 0)
		because(p, name, "has completed");
	else if (p->policy == RESTART_ON_FAILURE)
		start(p, starts, name, "failed and restarts");
	else
		because(p, name, "failed, and the pod never restarts");
}

/* True when the container is kept. */
static bool plan_running_app(struct plan *p, const K8s__Core__V1__Container *spec,
			     const struct seen_container *c)
{
	bool restart = p->policy != RESTART_NEVER;

	if (is_changed(spec, c)) {
		restart = true;
		kill_instance(p, c, KILL_CHANGED, true, "has changed and restarts");
	} else if (c->liveness == PROBE_FAILURE) {
		kill_instance(p, c, KILL_LIVENESS, restart,
			      restart ? "failed its liveness probe and restarts"
				      : "failed its liveness probe");
	} else if (c->startup == PROBE_FAILURE) {
		kill_instance(p, c, KILL_STARTUP, restart,
			      restart ? "failed its startup probe and restarts"
				      : "failed its startup probe");
	} else {
		because(p, spec->name, "is running");
		return true;
	}
	if (restart)
		start(p, &p->d->starts, spec->name, "");
	return false;
}

static void plan_apps(struct plan *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->spec->n_containers; i++) {
		const K8s__Core__V1__Container *spec = p->spec->containers[i];
		const struct seen_container *c = observed_container(p->seen, spec->name);

		if (c && c->state == SEEN_RUNNING)
			kept += plan_running_app(p, spec, c);
		else
			plan_stopped_app(p, spec->name, c);
	}
	if (kept == 0 && p->d->starts.count == 0) {
		kill_pod(p, "no container is left to run");
		/* PS-087: sidecars must not keep a finished pod alive. */
		strv_release(&p->d->init_starts);
	}
}

/* --- together ------------------------------------------------------------------------------------- */

/* PS-070 */
static void plan_ephemeral(struct plan *p)
{
	for (size_t i = 0; i < p->spec->n_ephemeralcontainers; i++) {
		const char *name = p->spec->ephemeralcontainers[i]->ephemeralcontainercommon->name;

		if (!observed_container(p->seen, name))
			start(p, &p->d->ephemeral_starts, name, "has no instance and starts");
	}
}

/* PS-093: what runs and is named by no table. A killed pod takes them along anyway. */
static void plan_strays(struct plan *p)
{
	for (size_t i = 0; i < p->seen->container_count; i++) {
		const struct seen_container *c = &p->seen->containers[i];

		if (c->state != SEEN_RUNNING)
			continue;
		if (!pod_container(p->pod, c->name, NULL))
			kill_instance(p, c, KILL_STRAY, false, "is not in the spec any more");
		else if (observed_container(p->seen, c->name) != c)
			kill_instance(p, c, KILL_DUPLICATE, false, "a newer instance exists");
	}
}

static bool has_sidecars(const K8s__Core__V1__PodSpec *spec)
{
	for (size_t i = 0; i < spec->n_initcontainers; i++) {
		if (container_is_sidecar(spec->initcontainers[i]))
			return true;
	}
	return false;
}

static void plan_kept_sandbox(struct plan *p)
{
	bool initialized;

	plan_ephemeral(p);
	initialized = has_sidecars(p->spec) ? plan_sidecars(p) : plan_init(p);
	if (initialized && !p->d->kill_pod)
		plan_apps(p);
	if (!p->d->kill_pod)
		plan_strays(p);
}

int pod_plan(const K8s__Core__V1__Pod *pod, const struct pod_observed *seen,
	     struct pod_decision *ret, struct err *err)
{
	cleanup_with(pod_decision) struct pod_decision d = { 0 };
	struct plan p = {
		.pod = pod,
		.spec = pod->spec,
		.seen = seen,
		.policy = pod_restart_policy(pod),
		.d = &d,
	};
	const char *fault = plan_sandbox(&p);

	if (fault)
		plan_new_sandbox(&p, fault);
	else
		plan_kept_sandbox(&p);
	if (p.failed || strv_failed(&d.starts) || strv_failed(&d.init_starts) ||
	    strv_failed(&d.ephemeral_starts))
		return err_oom(err);
	*ret = d;
	d = (struct pod_decision){ 0 };
	return 0;
}
