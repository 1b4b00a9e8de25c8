/* From a decision to the one next action (pod-sync.md section 8). */
#include "agent/pods/pods_impl.h"

#include "shared/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILL_GRACE_MIN_S 2

/* --- kill ----------------------------------------------------------------------------------------- */

/* PS-123, PS-125 */
static int64_t grace_of(const struct worker *w)
{
	int64_t grace_s = w->record.pod->spec->terminationgraceperiodseconds;

	if (w->record.deleted && w->record.grace_s >= 0)
		return w->record.grace_s;
	return grace_s < KILL_GRACE_MIN_S ? KILL_GRACE_MIN_S : grace_s;
}

/* PS-129: sidecars go after everything else, the last one first. */
static unsigned wave_of(const K8s__Core__V1__PodSpec *spec, const char *name)
{
	unsigned wave = 0;

	for (size_t i = spec->n_initcontainers; i-- > 0;) {
		if (!container_is_sidecar(spec->initcontainers[i]))
			continue;
		wave++;
		if (strcmp(spec->initcontainers[i]->name, name) == 0)
			return wave;
	}
	return 0;
}

/* The items of a list, or NULL when memory is short. */
struct kill_list {
	struct kill_item *items;
	size_t count;
	bool failed;
};

static void add_kill(struct kill_list *list, const char *id, const char *name, unsigned wave,
		     bool remove)
{
	void *more = realloc(list->items, (list->count + 1) * sizeof(*list->items));
	struct kill_item item = {
		.id = strdup(id), .name = strdup(name), .wave = wave, .remove = remove
	};

	if (more)
		list->items = more;
	if (!more || !item.id || !item.name) {
		free(item.id);
		free(item.name);
		list->failed = true;
		return;
	}
	list->items[list->count++] = item;
}

/* True: something of the pod still runs, and is being stopped. */
static bool kill_whole_pod(struct worker *w)
{
	const struct pod_observed *seen = &w->obs.seen;
	struct kill_list kills = { 0 };
	struct strv sandboxes = { 0 };

	for (size_t i = 0; i < seen->container_count; i++) {
		const struct seen_container *c = &seen->containers[i];

		if (c->state == SEEN_RUNNING || c->state == SEEN_UNKNOWN)
			add_kill(&kills, c->id, c->name, wave_of(w->record.pod->spec, c->name),
				 c->state == SEEN_UNKNOWN);
	}
	for (size_t i = 0; i < seen->sandbox_count; i++) {
		if (seen->sandboxes[i].state == SEEN_SANDBOX_READY)
			strv_add(&sandboxes, seen->sandboxes[i].id);
	}
	if (!kills.count && !sandboxes.count) {
		strv_release(&sandboxes);
		return false;
	}
	kill_start(w, kills.items, kills.count, &sandboxes, grace_of(w));
	return true;
}

/* Before the kill, which instances are to be started again is put on disk: afterwards their exit
 * alone would not tell (a policy of Never, an exit code of 0). */
static int remember_restarts(struct worker *w, const struct pod_decision *d, struct err *err)
{
	const struct pod_observed *seen = &w->obs.seen;
	bool any = false;

	for (size_t i = 0; i < d->kill_count; i++) {
		if (d->kills[i].restart && !strv_has(&w->record.restart, d->kills[i].id)) {
			strv_add(&w->record.restart, d->kills[i].id);
			any = true;
		}
	}
	for (size_t i = 0; d->create_sandbox && i < seen->container_count; i++) {
		const struct seen_container *c = &seen->containers[i];

		if (c->state == SEEN_RUNNING && observed_container(seen, c->name) == c &&
		    !strv_has(&w->record.restart, c->id)) {
			strv_add(&w->record.restart, c->id);
			any = true;
		}
	}
	if (strv_failed(&w->record.restart))
		return err_oom(err);
	return any ? store_put(w->pods->store, &w->record, err) : 0;
}

/* Ids of instances that are gone or were followed by a newer one mean nothing any more. They cost
 * nothing, so they leave the disk with the next write. */
static void forget_restarts(struct worker *w)
{
	const struct pod_observed *seen = &w->obs.seen;
	struct strv kept = { 0 };

	for (size_t i = 0; i < w->record.restart.count; i++) {
		for (size_t k = 0; k < seen->container_count; k++) {
			const struct seen_container *c = &seen->containers[k];

			if (strcmp(c->id, w->record.restart.items[i]) == 0 &&
			    observed_container(seen, c->name) == c)
				strv_add(&kept, c->id);
		}
	}
	if (strv_failed(&kept)) {
		strv_release(&kept);
		return;
	}
	strv_release(&w->record.restart);
	w->record.restart = kept;
}

static void kill_listed(struct worker *w, const struct pod_decision *d)
{
	struct kill_list kills = { 0 };
	struct strv none = { 0 };

	for (size_t i = 0; i < d->kill_count; i++)
		add_kill(&kills, d->kills[i].id, d->kills[i].name, 0,
			 d->kills[i].cause == KILL_UNKNOWN);
	kill_start(w, kills.items, kills.count, &none, grace_of(w));
}

/* --- clean-up ------------------------------------------------------------------------------------- */

static bool is_init(const struct worker *w, const char *name)
{
	enum container_kind kind;

	return pod_container(w->record.pod, name, &kind) && kind == CONTAINER_INIT;
}

/* PS-065, PS-100: what ran in the old sandbox must run again in the new one. */
static bool purge_init(struct worker *w)
{
	const struct pod_observed *seen = &w->obs.seen;
	struct strv containers = { 0 }, none = { 0 };

	for (size_t i = 0; i < seen->container_count; i++) {
		if (is_init(w, seen->containers[i].name))
			strv_add(&containers, seen->containers[i].id);
	}
	if (!containers.count)
		return false;
	remove_start(w, &containers, &none, false);
	return true;
}

static bool sandbox_holds_any(const struct observation *o, const char *id)
{
	for (size_t i = 0; i < o->seen.container_count; i++) {
		if (strcmp(o->extra[i].sandbox_id, id) == 0)
			return true;
	}
	return false;
}

/* PS-101, PS-270, PS-273: one dead instance of each container stays, and no empty old sandbox. */
static bool prune(struct worker *w)
{
	const struct pod_observed *seen = &w->obs.seen;
	struct strv containers = { 0 }, sandboxes = { 0 };

	if (clock_now_ms() < w->no_prune_before_ms)
		return false;
	for (size_t i = 0; i < seen->container_count; i++) {
		const struct seen_container *c = &seen->containers[i];
		const struct seen_container *newest = observed_container(seen, c->name);
		const struct seen_container *spare = newest;

		/* The newest dead one is what a running one was before. */
		while (spare < seen->containers + seen->container_count &&
		       (strcmp(spare->name, c->name) != 0 || spare->state != SEEN_EXITED))
			spare++;
		if (c != newest && c != spare &&
		    (c->state == SEEN_EXITED || c->state == SEEN_CREATED))
			strv_add(&containers, c->id);
	}
	for (size_t i = 1; i < seen->sandbox_count; i++) {
		if (seen->sandboxes[i].state != SEEN_SANDBOX_READY &&
		    !sandbox_holds_any(&w->obs, seen->sandboxes[i].id))
			strv_add(&sandboxes, seen->sandboxes[i].id);
	}
	if (!containers.count && !sandboxes.count) {
		strv_release(&containers);
		strv_release(&sandboxes);
		return false;
	}
	remove_start(w, &containers, &sandboxes, true);
	return true;
}

/* --- start ---------------------------------------------------------------------------------------- */

static const struct seen_container *newest_exited(const struct pod_observed *seen, const char *name)
{
	for (size_t i = 0; i < seen->container_count; i++) {
		if (strcmp(seen->containers[i].name, name) == 0 &&
		    seen->containers[i].state == SEEN_EXITED)
			return &seen->containers[i];
	}
	return NULL;
}

/* PS-171 to PS-176. True: it may start now. */
static bool passes_backoff(struct worker *w, struct start_state *st, const char *name)
{
	const struct backoff_limits *limits = &w->pods->timing.crash;
	const struct seen_container *exited = newest_exited(&w->obs.seen, name);
	const struct seen_extra *extra;
	int64_t now_ns = clock_wall_ns(), finished_ns, left_ms;
	char delay[32], message[512];

	if (!exited)
		return true;
	extra = &w->obs.extra[exited - w->obs.seen.containers];
	finished_ns = extra->finished_ns ? extra->finished_ns : extra->created_ns;
	left_ms = backoff_left_ms(&st->crash, limits, finished_ns, now_ns);
	if (left_ms <= 0) {
		backoff_next(&st->crash, limits, finished_ns, now_ns);
		return true;
	}
	backoff_print(st->crash.delay_ms, delay);
	snprintf(message, sizeof(message),
		 "back-off %s restarting failed container=%s pod=%s_%s(%s)", delay, name,
		 pod_name(w->record.pod), pod_namespace(w->record.pod), pod_uid(w->record.pod));
	worker_note(w, EVENT_WARNING, "BackOff", "%s", message);
	start_state_wait(st, "CrashLoopBackOff", message, left_ms);
	return false;
}

/* True: a container is being started. */
static bool start_first(struct worker *w, const struct strv *names)
{
	int64_t now_ms = clock_now_ms();

	for (size_t i = 0; i < names->count; i++) {
		struct start_state *st = worker_start_state(w, names->items[i]);

		if (!st)
			continue;
		if (st->retry_at_ms <= now_ms && passes_backoff(w, st, names->items[i])) {
			container_start(w, names->items[i]);
			return true;
		}
		worker_kick_at(w, st->retry_at_ms);
	}
	return false;
}

/* --- the end of a pod ----------------------------------------------------------------------------- */

static void act_deleted(struct worker *w)
{
	const struct pod_observed *seen = &w->obs.seen;
	struct strv containers = { 0 }, sandboxes = { 0 };

	if (kill_whole_pod(w))
		return;
	for (size_t i = 0; i < seen->container_count; i++)
		strv_add(&containers, seen->containers[i].id);
	for (size_t i = 0; i < seen->sandbox_count; i++)
		strv_add(&sandboxes, seen->sandboxes[i].id);
	if (containers.count || sandboxes.count) {
		remove_start(w, &containers, &sandboxes, false);
		return;
	}
	clean_start(w);
}

/* --- together ------------------------------------------------------------------------------------- */

/* A pod of the same name that is still going away keeps its ports and its name until then. */
static bool waits_for_predecessor(const struct worker *w)
{
	for (const struct worker *other = w->pods->workers; other; other = other->next) {
		if (other != w && other->record.deleted &&
		    strcmp(pod_name(other->record.pod), pod_name(w->record.pod)) == 0 &&
		    strcmp(pod_namespace(other->record.pod), pod_namespace(w->record.pod)) == 0)
			return true;
	}
	return false;
}

static void act_decision(struct worker *w, const struct pod_decision *d)
{
	struct err err;

	if ((d->kill_pod || d->kill_count) && remember_restarts(w, d, &err) < 0) {
		worker_acted(w, &err, false);
		return;
	}
	if (d->kill_pod) {
		if (kill_whole_pod(w)) {
			if (d->create_sandbox)
				worker_note(w, EVENT_NORMAL, "SandboxChanged",
					    "the pod's sandbox is stopped and made again");
			return;
		}
		if (!d->create_sandbox || purge_init(w))
			return;
		sandbox_start(w, d->attempt);
		return;
	}
	if (d->kill_count) {
		kill_listed(w, d);
		return;
	}
	forget_restarts(w);
	if (prune(w) || start_first(w, &d->ephemeral_starts) || start_first(w, &d->init_starts))
		return;
	start_first(w, &d->starts);
}

void act(struct worker *w)
{
	cleanup_with(pod_decision) struct pod_decision d = { 0 };
	struct err err;

	if (w->record.deleted) {
		act_deleted(w);
		return;
	}
	if (waits_for_predecessor(w))
		return;
	if (pod_plan(w->record.pod, &w->obs.seen, &d, &err) < 0) {
		worker_acted(w, &err, false);
		return;
	}
	act_decision(w, &d);
}
