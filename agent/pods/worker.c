/* One pod's worker: observe, plan, act, again. Its only memory that matters is the record on disk. */
#include "agent/pods/pods_impl.h"

#include "agent/units/timer.h"
#include "shared/base/log.h"
#include "shared/pod/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AT_KUBELET_MS (10 * 1000)
#define MAX_SPINS          4

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct worker *w = userdata;

	(void)source;
	(void)usec;
	if (w->job)
		w->again = true;
	else
		observe_start(w);
	return 0;
}

struct worker *worker_new(struct pods *pods, struct store_record *take_record)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w || timer_start(pods->loop, DEADLINE_NEVER, on_timer, w, &w->timer) < 0) {
		free(w);
		return NULL;
	}
	w->pods = pods;
	w->record = *take_record;
	*take_record = (struct store_record){ 0 };
	w->next = pods->workers;
	pods->workers = w;
	return w;
}

static void start_state_free(struct start_state *st)
{
	free(st->name);
	free(st->message);
	free(st);
}

void worker_free(struct worker *w)
{
	struct start_state *st;

	if (w->job && w->job->cancel)
		w->job->cancel(w->job);
	else if (w->job)
		w->job->w = NULL;
	timer_stop(&w->timer);
	while ((st = w->starts)) {
		w->starts = st->next;
		start_state_free(st);
	}
	observation_release(&w->obs);
	store_record_release(&w->record);
	free(w->message);
	free(w);
}

/* --- when ----------------------------------------------------------------------------------------- */

void worker_kick_at(struct worker *w, int64_t at_ms)
{
	uint64_t due_us = UINT64_MAX;
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(w->timer, &enabled);
	sd_event_source_get_time(w->timer, &due_us);
	if (enabled == SD_EVENT_OFF || (uint64_t)at_ms * 1000 < due_us)
		timer_move(w->timer, (struct deadline){ .at_ms = at_ms });
}

void worker_kick(struct worker *w)
{
	w->again = w->job != NULL;
	if (!w->again)
		worker_kick_at(w, clock_now_ms());
}

void worker_say(struct worker *w, const char *msg)
{
	free(w->message);
	w->message = msg ? strdup(msg) : NULL;
}

void worker_note(struct worker *w, enum event_type type, const char *reason, const char *fmt, ...)
{
	char object[EVENT_OBJECT_BYTES], message[EVENT_MESSAGE_BYTES];
	va_list ap;

	if (!w)
		return;
	snprintf(object, sizeof(object), "%s/%s", pod_namespace(w->record.pod),
		 pod_name(w->record.pod));
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	events_note(w->pods->events, type, "pod", object, reason, "%s", message);
}

/* Errors are tried again later and later; what was changed from outside is tried at once. */
static void retry(struct worker *w, const struct err *err)
{
	const struct backoff_limits *limits = &w->pods->timing.retry;

	log_debug("pods: %s/%s: %s", pod_namespace(w->record.pod), pod_name(w->record.pod),
		  err->msg);
	worker_say(w, err->msg);
	backoff_next(&w->retry, limits, w->retry.updated_ns, clock_wall_ns());
	worker_kick_at(w, clock_now_ms() + (w->again ? 0 : w->retry.delay_ms));
	w->again = false;
}

/* --- what ----------------------------------------------------------------------------------------- */

/* An action that the runtime confirmed and that changed nothing must not be repeated in a circle. */
static bool is_spinning(struct worker *w)
{
	if (!w->acted)
		return false;
	w->acted = false;
	w->spins = w->obs.signature == w->acted_signature ? w->spins + 1 : 0;
	return w->spins >= MAX_SPINS;
}

void worker_go_on(struct worker *w)
{
	struct err err;

	if (is_spinning(w)) {
		err_set(&err, ERR_INTERNAL, 0, "the runtime confirms what it does not carry out");
		retry(w, &err);
	} else if (w->pods->kubelet_active) {
		worker_say(w, "kubelet is active on this node; the agent leaves its pods alone");
		worker_kick_at(w, clock_now_ms() + LOOK_AT_KUBELET_MS);
	} else {
		worker_say(w, NULL);
		act(w); /* 'w' may be gone after it */
	}
}

void worker_observed(struct worker *w, const struct err *err)
{
	struct pods *pods = w->pods;

	if (err) {
		retry(w, err);
	} else {
		w->observed = true;
		w->stale = false;
		/* What changed during the look is in the record, which is read only now. */
		w->again = false;
		w->waits_for_kubelet = !pods->paused && !kubelet_known(pods);
		if (!pods->paused && !w->waits_for_kubelet)
			worker_go_on(w);
	}
	queries_look(pods);
}

void worker_acted(struct worker *w, const struct err *err, bool waits)
{
	struct pods *pods = w->pods;

	pods->active_ms = clock_now_ms();
	relist_arm(pods);
	if (err) {
		retry(w, err);
	} else {
		w->retry = (struct backoff){ 0 };
		w->again = false;
		w->acted = !waits;
		w->acted_signature = w->obs.signature;
		worker_kick_at(w, clock_now_ms());
	}
	queries_look(pods);
}

void worker_forget(struct worker *w)
{
	struct pods *pods = w->pods;
	struct worker **at = &pods->workers;
	struct err err;

	if (store_remove(pods->store, pod_uid(w->record.pod), &err) < 0) {
		retry(w, &err);
		return;
	}
	worker_note(w, EVENT_NORMAL, "Deleted", "the pod is gone");
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	worker_free(w);
	/* Whoever takes the name now may start. */
	for (w = pods->workers; w; w = w->next)
		worker_kick(w);
	relist_arm(pods);
	queries_look(pods);
}

/* --- containers ----------------------------------------------------------------------------------- */

struct start_state *worker_start_state(struct worker *w, const char *name)
{
	const K8s__Core__V1__Container *spec = pod_container(w->record.pod, name, NULL);
	uint32_t hash = spec ? container_hash(spec) : 0;
	struct start_state *st = w->starts;

	while (st && strcmp(st->name, name) != 0)
		st = st->next;
	if (!st) {
		st = calloc(1, sizeof(*st));
		if (!st || !(st->name = strdup(name))) {
			free(st);
			return NULL;
		}
		st->reason = "";
		st->next = w->starts;
		w->starts = st;
	}
	if (st->hash != hash) {
		st->hash = hash;
		st->crash = st->failed = st->pull = (struct backoff){ 0 };
		start_state_wait(st, "", NULL, 0);
	}
	return st;
}

void start_state_wait(struct start_state *st, const char *reason, const char *message,
		      int64_t delay_ms)
{
	free(st->message);
	st->message = message ? strdup(message) : NULL;
	st->reason = reason;
	st->retry_at_ms = delay_ms ? clock_now_ms() + delay_ms : 0;
}
