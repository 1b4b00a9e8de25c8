#include "shared/pod/plan_impl.h"

#include <stdlib.h>
#include <string.h>

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

void pod_plan_because(struct plan *p, const char *name, const char *why)
{
	if (!kv_get(&p->d->reasons, name) && !kv_add(&p->d->reasons, name, why))
		p->failed = true;
}

void pod_plan_start(struct plan *p, struct strv *list, const char *name, const char *why)
{
	if (!strv_has(list, name))
		strv_add(list, name);
	pod_plan_because(p, name, why);
}

void pod_plan_kill(struct plan *p, const struct seen_container *c, enum kill_cause cause,
		   bool restart, const char *why)
{
	struct pod_decision *d = p->d;
	void *more = realloc(d->kills, (d->kill_count + 1) * sizeof(*d->kills));

	pod_plan_because(p, c->name, why);
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

void pod_plan_kill_pod(struct plan *p, const char *why)
{
	p->d->kill_pod = true;
	pod_plan_because(p, "sandbox", why);
}

bool pod_plan_has_failed(const struct seen_container *c)
{
	return c->state == SEEN_UNKNOWN || (c->state == SEEN_EXITED && c->exit_code != 0);
}

bool pod_plan_is_changed(const K8s__Core__V1__Container *c, const struct seen_container *seen)
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

	pod_plan_kill_pod(p, fault);
	/* PS-061: a pod that never restarts had its chance; one that never ran is tried again. */
	if (p->policy == RESTART_NEVER && d->attempt != 0 && p->seen->container_count > 0)
		return;
	for (size_t i = 0; i < spec->n_containers; i++) {
		if (starts_in_new_sandbox(p, spec->containers[i]->name))
			pod_plan_start(p, &d->starts, spec->containers[i]->name,
				       "starts in the new sandbox");
		else
			pod_plan_because(p, spec->containers[i]->name, "has completed");
	}
	/* PS-063 */
	if (d->starts.count == 0 && (spec->n_initcontainers == 0 || has_any_app_run(p)))
		return;
	d->create_sandbox = true;
	/* PS-064, PS-089 */
	if (spec->n_initcontainers > 0) {
		strv_release(&d->starts);
		kv_release(&d->reasons);
		pod_plan_because(p, "sandbox", fault);
		pod_plan_start(p, &d->init_starts, spec->initcontainers[0]->name,
			       "first init container of the new sandbox");
	}
}

/* --- app containers (PS-074, PS-075) -------------------------------------------------------------- */

static void plan_stopped_app(struct plan *p, const char *name, const struct seen_container *c)
{
	struct strv *starts = &p->d->starts;

	if (p->seen->deleted)
		pod_plan_because(p, name, "the pod is being deleted");
	else if (!c)
		pod_plan_start(p, starts, name, "has no instance and starts");
	else if (c->state == SEEN_CREATED)
		pod_plan_start(p, starts, name, "was created and not started");
	else if (c->state == SEEN_UNKNOWN) {
		pod_plan_kill(p, c, KILL_UNKNOWN, true, "is in unknown state and starts again");
		pod_plan_start(p, starts, name, "");
	} else if (c->restart)
		pod_plan_start(p, starts, name, "was stopped in order to restart");
	else if (p->policy == RESTART_ALWAYS)
		pod_plan_start(p, starts, name, "has exited and restarts");
	else if (c->exit_code == 0)
		pod_plan_because(p, name, "has completed");
	else if (p->policy == RESTART_ON_FAILURE)
		pod_plan_start(p, starts, name, "failed and restarts");
	else
		pod_plan_because(p, name, "failed, and the pod never restarts");
}

/* True when the container is kept. */
static bool plan_running_app(struct plan *p, const K8s__Core__V1__Container *spec,
			     const struct seen_container *c)
{
	bool restart = p->policy != RESTART_NEVER;

	if (pod_plan_is_changed(spec, c)) {
		restart = true;
		pod_plan_kill(p, c, KILL_CHANGED, true, "has changed and restarts");
	} else if (c->liveness == PROBE_FAILURE) {
		pod_plan_kill(p, c, KILL_LIVENESS, restart,
			      restart ? "failed its liveness probe and restarts"
				      : "failed its liveness probe");
	} else if (c->startup == PROBE_FAILURE) {
		pod_plan_kill(p, c, KILL_STARTUP, restart,
			      restart ? "failed its startup probe and restarts"
				      : "failed its startup probe");
	} else {
		pod_plan_because(p, spec->name, "is running");
		return true;
	}
	if (restart)
		pod_plan_start(p, &p->d->starts, spec->name, "");
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
		pod_plan_kill_pod(p, "no container is left to run");
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
			pod_plan_start(p, &p->d->ephemeral_starts, name,
				       "has no instance and starts");
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
			pod_plan_kill(p, c, KILL_STRAY, false, "is not in the spec any more");
		else if (observed_container(p->seen, c->name) != c)
			pod_plan_kill(p, c, KILL_DUPLICATE, false, "a newer instance exists");
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
	initialized = has_sidecars(p->spec) ? pod_plan_sidecars(p) : pod_plan_init(p);
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
