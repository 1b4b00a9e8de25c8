#include "agent/events/events.h"
#include "agent/agent.h"
#include "agent/service/call.h"
#include "shared/base/cleanup.h"

#include "node/v1/events.pb-c.h"

#include <stdlib.h>

#define WAIT_MAX_MS 10000

struct list_call {
	Berth__Node__V1__EventListReply_Closure reply;
	void *call;
};

/* Borrows the strings. */
static void wire_event(const struct event *event, Berth__Node__V1__Event *ret)
{
	berth__node__v1__event__init(ret);
	ret->id = event->id;
	ret->time_nanos = event->time_ns;
	ret->type = (char *)(event->type == EVENT_WARNING ? "Warning" : "Normal");
	ret->kind = (char *)event->kind;
	ret->object = (char *)event->object;
	ret->reason = (char *)event->reason;
	ret->message = (char *)event->message;
}

static void on_events(void *arg, const struct events_answer *answer)
{
	Berth__Node__V1__EventListReply rep = BERTH__NODE__V1__EVENT_LIST_REPLY__INIT;
	cleanup_free Berth__Node__V1__Event *events = calloc(answer->count + 1, sizeof(*events));
	cleanup_free Berth__Node__V1__Event **items = calloc(answer->count + 1, sizeof(*items));
	struct list_call list = *(struct list_call *)arg;
	struct err err;

	free(arg);
	if (!events || !items) {
		err_oom(&err);
		call_fail(list.call, &err);
		return;
	}
	for (size_t i = 0; i < answer->count; i++) {
		wire_event(answer->list[i], &events[i]);
		items[i] = &events[i];
	}
	rep.n_events = answer->count;
	rep.events = items;
	rep.last_id = answer->last_id;
	rep.gap = answer->gap;
	list.reply(&rep, list.call);
}

static void events_rpc_list(Berth__Node__V1__Events_Service *self,
			    const Berth__Node__V1__EventListRequest *req,
			    Berth__Node__V1__EventListReply_Closure reply, void *call)
{
	uint32_t wait_ms = req->wait_millis < WAIT_MAX_MS ? req->wait_millis : WAIT_MAX_MS;
	struct list_call *list = malloc(sizeof(*list));
	struct events_query query = {
		.after_id = req->after_id,
		.max = req->max < EVENTS_MAX ? req->max : EVENTS_MAX,
		.tail = req->tail,
		.by = deadline_min(deadline_in_ms(wait_ms), call_deadline(call)),
	};
	struct err err;

	(void)self;
	if (!list) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	*list = (struct list_call){ .reply = reply, .call = call };
	if (wait_ms)
		call_park(call);
	events_read(call_agent(call)->events, &query, on_events, list);
}

Berth__Node__V1__Events_Service events_service = BERTH__NODE__V1__EVENTS__INIT(events_rpc_);
