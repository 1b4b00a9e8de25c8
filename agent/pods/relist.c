/*
 * Noticing what changes by itself: one list of everything for all pods, often just after something
 * happened and seldom when nothing does (a tenth of the quiet time). Without wanted pods there is no
 * timer at all.
 */
#include "agent/pods/pods_impl.h"

#include "agent/units/timer.h"

#include <stdlib.h>
#include <string.h>

struct uid_signature {
	char *uid;
	uint64_t signature;
};

struct changes {
	struct uid_signature *items;
	size_t count;
};

struct relist_call {
	struct pods *pods; /* NULL: closed meanwhile */
	unsigned pending;
	bool failed;
	struct changes *changes;
};

uint64_t signature_add(uint64_t signature, const char *id, unsigned state)
{
	uint64_t hash = 14695981039346656037ull;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 1099511628211ull;
	/* Stirred well before it is summed: or else two containers that change their state alike could
	 * cancel each other out. */
	hash = (hash ^ hash >> 32 ^ state) * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9ull;
	return signature + (hash ^ hash >> 32);
}

static int64_t interval_ms(const struct pods *pods)
{
	int64_t quiet_ms = (clock_now_ms() - pods->active_ms) / 10;

	if (quiet_ms < pods->timing.relist_min_ms)
		return pods->timing.relist_min_ms;
	return quiet_ms < pods->timing.relist_max_ms ? quiet_ms : pods->timing.relist_max_ms;
}

/* --- comparing ------------------------------------------------------------------------------------ */

struct changes *changes_new(void)
{
	return calloc(1, sizeof(struct changes));
}

void changes_free(struct changes *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		free(c->items[i].uid);
	free(c->items);
	free(c);
}

static uint64_t signature_of(const struct changes *c, const char *uid)
{
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->items[i].uid, uid) == 0)
			return c->items[i].signature;
	}
	return SIGNATURE_START;
}

static bool add(struct changes *c, const char *uid, const char *id, unsigned state)
{
	struct uid_signature *item = c->items;
	void *more;

	for (size_t i = 0; i < c->count; i++, item++) {
		if (strcmp(item->uid, uid) == 0) {
			item->signature = signature_add(item->signature, id, state);
			return true;
		}
	}
	more = realloc(c->items, (c->count + 1) * sizeof(*c->items));
	if (!more)
		return false;
	c->items = more;
	item = &c->items[c->count];
	*item = (struct uid_signature){ .uid = strdup(uid),
					.signature = signature_add(SIGNATURE_START, id, state) };
	c->count += item->uid != NULL;
	return item->uid != NULL;
}

bool changes_add_sandboxes(struct changes *c, const struct runtime_sandbox *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!add(c, list[i].uid, list[i].id, list[i].ready))
			return false;
	}
	return true;
}

bool changes_add_containers(struct changes *c, const struct runtime_container *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!add(c, list[i].uid, list[i].id, list[i].state))
			return false;
	}
	return true;
}

/* Workers that are at it find out by themselves. */
void changes_kick(const struct changes *c, struct pods *pods)
{
	for (struct worker *w = pods->workers; w; w = w->next) {
		if (w->job || !w->observed ||
		    signature_of(c, pod_uid(w->record.pod)) == w->obs.signature)
			continue;
		w->stale = true;
		pods->active_ms = clock_now_ms();
		worker_kick(w);
	}
}

/* --- listing -------------------------------------------------------------------------------------- */

static void call_answered(struct relist_call *call, bool ok)
{
	struct pods *pods = call->pods;

	call->failed |= !ok;
	if (--call->pending)
		return;
	if (pods && !call->failed)
		changes_kick(call->changes, pods);
	if (pods)
		pods->relist_call = NULL;
	changes_free(call->changes);
	free(call);
	if (pods)
		relist_arm(pods);
}

static void on_sandboxes(void *arg, const struct runtime_sandbox *list, size_t count,
			 const struct err *err)
{
	struct relist_call *call = arg;

	call_answered(call, !err && changes_add_sandboxes(call->changes, list, count));
}

static void on_containers(void *arg, const struct runtime_container *list, size_t count,
			  const struct err *err)
{
	struct relist_call *call = arg;

	call_answered(call, !err && changes_add_containers(call->changes, list, count));
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct pods *pods = userdata;
	struct relist_call *call;

	(void)source;
	(void)usec;
	if (pods->relist_call || !pods->workers)
		return 0;
	call = calloc(1, sizeof(*call));
	if (call)
		call->changes = changes_new();
	if (!call || !call->changes) {
		free(call);
		relist_arm(pods);
		return 0;
	}
	call->pods = pods;
	call->pending = 2;
	pods->relist_call = call;
	runtime_list_sandboxes(pods->runtime, NULL, deadline_in_ms(LIST_MS), on_sandboxes, call);
	runtime_list_containers(pods->runtime, NULL, deadline_in_ms(LIST_MS), on_containers, call);
	return 0;
}

void relist_arm(struct pods *pods)
{
	struct deadline due = deadline_in_ms(interval_ms(pods));

	if (!pods->workers || pods->paused) {
		timer_stop(&pods->relist_timer);
		return;
	}
	if (!pods->relist_timer)
		timer_start_lazy(pods->loop, due, pods->timing.relist_min_ms / 2, on_timer, pods,
				 &pods->relist_timer);
	else if (!pods->relist_call)
		timer_move(pods->relist_timer, due);
}

void relist_close(struct pods *pods)
{
	timer_stop(&pods->relist_timer);
	if (pods->relist_call)
		pods->relist_call->pods = NULL;
	pods->relist_call = NULL;
}
