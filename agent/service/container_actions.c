#include "agent/service/container_actions.h"

#include "agent/agent.h"
#include "agent/events/events.h"
#include "agent/runtime/runtime.h"
#include "agent/service/call.h"
#include "shared/base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_GRACE_S 10     /* NS-060 */
#define MAX_GRACE_S     86400  /* a day; more is a slip */
#define STOP_MARGIN_MS  120000 /* NS-063 */
#define REPLY_MARGIN_MS 200

struct deadline container_deadline(void *call)
{
	struct deadline by = call_deadline(call);
	int64_t left_ms = deadline_left_ms(by);
	int64_t margin_ms = left_ms / 10 < REPLY_MARGIN_MS ? left_ms / 10 : REPLY_MARGIN_MS;

	return (struct deadline){ .at_ms = by.at_ms - margin_ms };
}

static const char *const action_done[] = {
	[CONTAINER_STOP] = "stopped",     [CONTAINER_KILL] = "killed",
	[CONTAINER_DELETE] = "deleted",   [CONTAINER_PAUSE] = "paused",
	[CONTAINER_UNPAUSE] = "unpaused",
};

struct action_item;

struct action_call {
	const Berth__Node__V1__ContainerActionRequest *req;
	Berth__Node__V1__ContainerActionReply_Closure reply;
	void *call;
	struct runtime *rt;
	enum container_action action;
	struct action_item *items;
	size_t count;
	size_t next;
	size_t under_way;
	bool pumping;
};

/* One id of the request, in its order. */
struct action_item {
	struct action_call *action;
	char *id; /* in full; NULL: settled without the runtime */
	bool running;
	int64_t started_ms;
	uint32_t millis;
	const char *result; /* static */
	char message[256];
};

static void action_free(struct action_call *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->items[i].id);
	free(a->items);
	free(a);
}

static void action_fail(struct action_call *a, const struct err *err)
{
	call_fail(a->call, err);
	action_free(a);
}

static void action_reply(struct action_call *a)
{
	Berth__Node__V1__ContainerActionReply rep = BERTH__NODE__V1__CONTAINER_ACTION_REPLY__INIT;
	cleanup_free Berth__Node__V1__ContainerResult *each =
		malloc((a->count + 1) * sizeof(*each));
	cleanup_free Berth__Node__V1__ContainerResult **all = malloc((a->count + 1) * sizeof(*all));
	struct err err;

	if (!each || !all) {
		err_oom(&err);
		action_fail(a, &err);
		return;
	}
	for (size_t i = 0; i < a->count; i++) {
		const struct action_item *item = &a->items[i];

		berth__node__v1__container_result__init(&each[i]);
		each[i].id = item->id ? item->id : a->req->ids[i];
		each[i].result = (char *)item->result;
		each[i].message = (char *)item->message;
		each[i].millis = item->millis;
		all[i] = &each[i];
	}
	rep.n_results = a->count;
	rep.results = all;
	a->reply(&rep, a->call);
	action_free(a);
}

static void action_pump(struct action_call *a);

static void note_event(const struct action_item *item)
{
	static const char *const reasons[] = { [CONTAINER_STOP] = "Stopped",
					       [CONTAINER_KILL] = "Killed",
					       [CONTAINER_DELETE] = "Deleted",
					       [CONTAINER_PAUSE] = "Paused",
					       [CONTAINER_UNPAUSE] = "Unpaused" };
	bool failed = strcmp(item->result, "failed") == 0;

	if (item->id && strcmp(item->result, "absent") != 0)
		events_note(call_agent(item->action->call)->events,
			    failed ? EVENT_WARNING : EVENT_NORMAL, "container", item->id,
			    failed ? "Failed" : reasons[item->action->action], "%s", item->message);
}

static void item_settle(struct action_item *item, const struct err *err)
{
	item->millis = (uint32_t)(clock_now_ms() - item->started_ms);
	item->result = action_done[item->action->action];
	if (err && err->code == ERR_NOT_FOUND) {
		item->result = "absent";
	} else if (err) {
		item->result = "failed";
		snprintf(item->message, sizeof(item->message), "%.255s", err->msg);
	}
	note_event(item);
	item->action->under_way--;
	action_pump(item->action);
}

static void on_acted(void *arg, const struct err *err)
{
	item_settle(arg, err);
}

static void on_killed_for_delete(void *arg, const struct err *err)
{
	struct action_item *item = arg;
	struct action_call *a = item->action;

	if (err)
		item_settle(item, err);
	else
		runtime_remove_container(a->rt, item->id, container_deadline(a->call), on_acted,
					 item);
}

static int64_t grace_of(const struct action_call *a)
{
	if (a->action == CONTAINER_KILL)
		return 0;
	return a->req->grace_seconds ? (int64_t)a->req->grace_seconds : DEFAULT_GRACE_S;
}

static void item_delete(struct action_item *item, struct deadline by)
{
	struct action_call *a = item->action;

	if (item->running && a->req->force)
		runtime_stop_container(a->rt, item->id, 0, by, on_killed_for_delete, item);
	else
		runtime_remove_container(a->rt, item->id, by, on_acted, item);
}

static void item_start(struct action_item *item)
{
	struct action_call *a = item->action;
	struct deadline by = container_deadline(a->call);
	int64_t grace_s = grace_of(a);

	item->started_ms = clock_now_ms();
	switch (a->action) {
	case CONTAINER_STOP:
	case CONTAINER_KILL:
		by = deadline_min(by, deadline_in_ms(grace_s * 1000 + STOP_MARGIN_MS));
		runtime_stop_container(a->rt, item->id, grace_s, by, on_acted, item);
		break;
	case CONTAINER_DELETE:
		item_delete(item, by);
		break;
	case CONTAINER_PAUSE:
		runtime_pause_container(a->rt, item->id, by, on_acted, item);
		break;
	case CONTAINER_UNPAUSE:
		runtime_unpause_container(a->rt, item->id, by, on_acted, item);
		break;
	}
}

static void action_pump(struct action_call *a)
{
	size_t at_once = a->action == CONTAINER_STOP ? STOPS_AT_ONCE : CONTAINERS_AT_ONCE;

	if (a->pumping)
		return;
	a->pumping = true;
	while (a->next < a->count && a->under_way < at_once) {
		struct action_item *item = &a->items[a->next++];

		if (!item->id)
			continue;
		a->under_way++;
		item_start(item);
	}
	a->pumping = false;
	if (a->next == a->count && a->under_way == 0)
		action_reply(a);
}

static void __attribute__((format(printf, 2, 3)))
item_refuse(struct action_item *item, const char *fmt, ...)
{
	va_list ap;

	item->result = "failed";
	va_start(ap, fmt);
	vsnprintf(item->message, sizeof(item->message), fmt, ap);
	va_end(ap);
}

/* Finds the container that an id or its beginning means. False: no memory. */
static bool item_resolve(struct action_item *item, const char *asked,
			 const struct runtime_container *list, size_t count)
{
	const struct runtime_container *found = NULL;
	size_t matches = 0;

	if (!*asked) {
		item_refuse(item, "the id is empty");
		return true;
	}
	for (size_t i = 0; i < count; i++) {
		if (strncmp(list[i].id, asked, strlen(asked)) != 0)
			continue;
		found = &list[i];
		matches++;
		if (strcmp(list[i].id, asked) == 0) {
			matches = 1;
			break;
		}
	}
	item->result = "absent";
	if (matches > 1)
		item_refuse(item, "%zu containers' ids begin with '%.64s': give more of it",
			    matches, asked);
	if (matches != 1)
		return true;
	item->running = found->state == RUNTIME_RUNNING || found->state == RUNTIME_PAUSED;
	item->id = strdup(found->id);
	return item->id;
}

/* A sandbox is listed but is no container: say so rather than "absent". */
static void on_sandboxes_for_action(void *arg, const struct runtime_sandbox *list, size_t count,
				    const struct err *failed)
{
	struct action_call *a = arg;

	if (failed) {
		action_fail(a, failed);
		return;
	}
	for (size_t i = 0; i < a->count; i++) {
		const char *asked = a->req->ids[i];

		if (a->items[i].id || !*asked || strcmp(a->items[i].result, "absent") != 0)
			continue;
		for (size_t k = 0; k < count; k++) {
			if (strncmp(list[k].id, asked, strlen(asked)) == 0)
				item_refuse(
					&a->items[i],
					"'%.64s' is the sandbox of pod '%.100s': delete the pod",
					asked, list[k].name);
		}
	}
	action_pump(a);
}

static void on_containers_for_action(void *arg, const struct runtime_container *list, size_t count,
				     const struct err *failed)
{
	struct action_call *a = arg;
	bool all_known = true;
	struct err err;

	if (failed) {
		action_fail(a, failed);
		return;
	}
	for (size_t i = 0; i < a->count; i++) {
		if (!item_resolve(&a->items[i], a->req->ids[i], list, count)) {
			err_oom(&err);
			action_fail(a, &err);
			return;
		}
		all_known = all_known && a->items[i].id;
	}
	if (all_known)
		action_pump(a);
	else
		runtime_list_sandboxes(a->rt, NULL, call_deadline(a->call), on_sandboxes_for_action,
				       a);
}

static struct action_call *action_new(enum container_action action,
				      const Berth__Node__V1__ContainerActionRequest *req,
				      Berth__Node__V1__ContainerActionReply_Closure reply,
				      void *call)
{
	cleanup_free struct action_call *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	*a = (struct action_call){
		.req = req,
		.reply = reply,
		.call = call,
		.rt = call_agent(call)->runtime,
		.action = action,
		.items = calloc(req->n_ids + 1, sizeof(*a->items)),
		.count = req->n_ids,
	};
	if (!a->items)
		return NULL;
	for (size_t i = 0; i < a->count; i++)
		a->items[i].action = a;
	return TAKE(a);
}

void container_actions_run(enum container_action action,
			   const Berth__Node__V1__ContainerActionRequest *req,
			   Berth__Node__V1__ContainerActionReply_Closure reply, void *call)
{
	struct action_call *a;
	struct err err;

	if (req->grace_seconds > MAX_GRACE_S) {
		err_set(&err, ERR_INVALID_ARGUMENT, 0, "a grace of %u s is longer than a day",
			req->grace_seconds);
		call_fail(call, &err);
		return;
	}
	a = action_new(action, req, reply, call);
	if (!a) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	if (a->count == 0)
		action_reply(a);
	else
		runtime_list_containers(a->rt, NULL, call_deadline(call), on_containers_for_action,
					a);
}
