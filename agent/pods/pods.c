#include "agent/pods/pods_impl.h"

#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

const struct pods_timing pods_timing_default = {
	.relist_min_ms = 100,
	.relist_max_ms = 10 * 1000,
	.kubelet_ms = 1000,
	.crash = { .initial_ms = 10 * 1000, .max_ms = 300 * 1000 },
	.pull = { .initial_ms = 10 * 1000, .max_ms = 300 * 1000 },
	.retry = { .initial_ms = 1000, .max_ms = 30 * 1000 },
};

const char *const kubelet_unit[1] = { "kubelet.service" };

/* --- kubelet (D9) --------------------------------------------------------------------------------- */

struct kubelet_call {
	struct pods *pods; /* NULL: closed meanwhile */
};

/* Anything but at rest: a kubelet that starts over and over acts in between. */
static bool is_active(const struct unit_status *status, size_t count)
{
	return count && strcmp(status->active, "inactive") != 0 &&
	       strcmp(status->active, "failed") != 0;
}

/* Without an answer (no systemd on this node) there is no kubelet unit that could be active. */
void kubelet_note(struct pods *pods, const struct unit_status *list, size_t count,
		  const struct err *err)
{
	pods->kubelet_active = !err && is_active(list, count);
	pods->kubelet_checked_ms = clock_now_ms();
}

static struct worker *find_waiting(struct pods *pods)
{
	struct worker *w = pods->workers;

	while (w && !w->waits_for_kubelet)
		w = w->next;
	return w;
}

static void on_kubelet(void *arg, const struct unit_status *list, size_t count,
		       const struct err *err)
{
	struct kubelet_call *call = arg;
	struct pods *pods = call->pods;

	free(call);
	if (!pods)
		return;
	pods->kubelet_call = NULL;
	kubelet_note(pods, list, count, err);
	/* Each may leave the list, so it is searched anew. */
	for (struct worker *w; (w = find_waiting(pods));) {
		w->waits_for_kubelet = false;
		if (!w->job && !pods->paused)
			worker_go_on(w);
	}
	queries_look(pods);
}

bool kubelet_known(struct pods *pods)
{
	if (pods->kubelet_checked_ms &&
	    clock_now_ms() - pods->kubelet_checked_ms < pods->timing.kubelet_ms)
		return true;
	if (pods->kubelet_call)
		return false;
	pods->kubelet_call = calloc(1, sizeof(*pods->kubelet_call));
	if (!pods->kubelet_call)
		return true;
	pods->kubelet_call->pods = pods;
	units_status(pods->units, kubelet_unit, 1, deadline_in_ms(KUBELET_MS), on_kubelet,
		     pods->kubelet_call);
	return false;
}

/* --- open and close ------------------------------------------------------------------------------- */

static void add_loaded(void *arg, struct store_record *r)
{
	struct pods *pods = arg;

	if (!worker_new(pods, r)) {
		log_note("pod '%s' is not synced: out of memory", pod_name(r->pod));
		store_record_release(r);
	}
}

static bool is_same_name(const struct worker *w, const char *namespace, const char *name)
{
	return strcmp(pod_namespace(w->record.pod), namespace) == 0 &&
	       strcmp(pod_name(w->record.pod), name) == 0;
}

struct worker *worker_find(struct pods *pods, const char *namespace, const char *name)
{
	struct worker *deleted = NULL;

	for (struct worker *w = pods->workers; w; w = w->next) {
		if (is_same_name(w, namespace, name)) {
			if (!w->record.deleted)
				return w;
			deleted = w;
		}
	}
	return deleted;
}

/* A kill between storing a replacement and dropping what it replaces leaves two of a name. */
static void drop_replaced(struct pods *pods)
{
	for (struct worker *a = pods->workers; a; a = a->next) {
		for (struct worker *b = pods->workers; b; b = b->next) {
			if (a == b || a->record.deleted || b->record.deleted ||
			    !is_same_name(a, pod_namespace(b->record.pod), pod_name(b->record.pod)))
				continue;
			if (a->record.created_ns <= b->record.created_ns) {
				a->record.deleted = true;
				a->record.grace_s = -1;
			}
		}
	}
}

static int load(struct pods *pods, struct err *err)
{
	size_t corrupt;

	if (store_load(pods->store, add_loaded, pods, &corrupt, err) < 0)
		return -1;
	drop_replaced(pods);
	for (struct worker *w = pods->workers; w; w = w->next)
		worker_kick(w);
	pods->active_ms = clock_now_ms();
	relist_arm(pods);
	return 0;
}

DEFINE_CLEANUP(pods, struct pods *, pods_close)

int pods_open_with(const char *state_dir, struct sd_event *loop, struct units *units,
		   struct runtime *runtime, const struct pods_timing *timing,
		   struct pods **ret_pods, struct err *err)
{
	cleanup_with(pods) struct pods *pods = calloc(1, sizeof(*pods));
	/* A fake runtime writes no logs: nothing outside the state directory is touched for it. */
	bool fake = strcmp(runtime_backend(runtime), "fake") == 0;

	if (!pods)
		return err_oom(err);
	pods->loop = loop;
	pods->units = units;
	pods->runtime = runtime;
	pods->timing = *timing;
	pods->volumes_dir = text_format("%s/volumes", state_dir);
	pods->logs_dir = fake ? text_format("%s/logs", state_dir) : strdup("/var/log/pods");
	if (!pods->volumes_dir || !pods->logs_dir)
		return err_oom(err);
	if (store_open(state_dir, &pods->store, err) < 0 || load(pods, err) < 0)
		return err_wrap(err, "pods");
	*ret_pods = TAKE(pods);
	return 0;
}

int pods_open(const char *state_dir, struct sd_event *loop, struct units *units,
	      struct runtime *runtime, struct pods **ret_pods, struct err *err)
{
	return pods_open_with(state_dir, loop, units, runtime, &pods_timing_default, ret_pods, err);
}

void pods_set_events(struct pods *pods, struct events *events)
{
	pods->events = events;
}

void pods_close(struct pods *pods)
{
	struct worker *w;

	if (!pods)
		return;
	applies_close(pods);
	queries_close(pods);
	relist_close(pods);
	if (pods->kubelet_call)
		pods->kubelet_call->pods = NULL;
	while ((w = pods->workers)) {
		pods->workers = w->next;
		worker_free(w);
	}
	store_close(pods->store);
	free(pods->volumes_dir);
	free(pods->logs_dir);
	free(pods);
}

void pods_pause(struct pods *pods)
{
	pods->quiesced = pods->paused = true;
	relist_arm(pods);
}

void pods_set_frozen(struct pods *pods, bool frozen)
{
	bool was_paused = pods->paused;

	pods->paused = frozen || pods->quiesced;
	if (pods->paused == was_paused)
		return;
	if (pods->paused) {
		relist_arm(pods);
		return;
	}
	for (struct worker *w = pods->workers; w; w = w->next)
		worker_kick(w);
	pods->active_ms = clock_now_ms();
	relist_arm(pods);
}

const char *pods_uid(struct pods *pods, const char *namespace, const char *name)
{
	const struct worker *w = worker_find(pods, namespace, name);

	return w ? pod_uid(w->record.pod) : "";
}

size_t pods_count(const struct pods *pods)
{
	size_t count = 0;

	for (const struct worker *w = pods->workers; w; w = w->next)
		count += !w->record.deleted;
	return count;
}
