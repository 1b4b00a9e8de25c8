/* get events: what the nodes' rings hold, and with --watch what comes after it, one thread a node. */
#include "controller/cli/cell.h"
#include "controller/cli/fields.h"
#include "controller/cli/nodes.h"
#include "controller/cli/rows.h"
#include "shared/base/parse.h"

#include "node/v1/events.pb-c.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_WAIT_MS 10000
/* One call that waits. */
#define WATCH_CALL_MS 20000
/* An agent that is started again is back by then. */
#define WATCH_RETRY_MS 15000
#define EVENTS_A_CALL  1000

struct request {
	struct invocation *inv;
	const struct node *node;
	struct json_object *rows;
	uint64_t after_id;
	size_t count; /* of the last answer */
	bool gap;
};

static bool is_wanted(const struct invocation *inv, const Berth__Node__V1__Event *event)
{
	const char *slash = strchr(event->object, '/');

	if (inv->opt->warnings && strcmp(event->type, "Warning") != 0)
		return false;
	for (size_t i = 0; i < inv->args->count; i++) {
		if (name_matches(inv->args->items[i], event->object) ||
		    (slash && name_matches(inv->args->items[i], slash + 1)))
			return true;
	}
	return inv->args->count == 0;
}

static void add_row(const struct request *request, const Berth__Node__V1__Event *event)
{
	struct json_object *row = row_add(request->rows);

	field_text(row, "node", request->node->name);
	field_int(row, "id", (int64_t)event->id);
	field_time_ns(row, "time", event->time_nanos);
	field_int(row, "timeNanos", event->time_nanos);
	field_text(row, "type", event->type);
	field_text(row, "kind", event->kind);
	field_text(row, "object", event->object);
	field_text(row, "reason", event->reason);
	field_text(row, "message", event->message);
}

static void on_events(const Berth__Node__V1__EventListReply *rep, void *arg)
{
	struct request *request = arg;

	for (size_t i = 0; i < rep->n_events; i++) {
		if (is_wanted(request->inv, rep->events[i]))
			add_row(request, rep->events[i]);
	}
	request->count = rep->n_events;
	request->after_id = rep->last_id;
	request->gap = rep->gap;
}

/* Until 'request->after_id' is the last there is, or after one wait. */
static int ask(struct request *request, struct client *client, uint32_t wait_ms, struct deadline by,
	       struct err *err)
{
	Berth__Node__V1__EventListRequest req = BERTH__NODE__V1__EVENT_LIST_REQUEST__INIT;
	const struct options *opt = request->inv->opt;
	struct rpc rpc = rpc_to(client, &berth__node__v1__events__descriptor, by, err);

	req.max = EVENTS_A_CALL;
	req.wait_millis = wait_ms;
	req.tail = request->after_id == 0 && opt->tail > 0 ? (uint32_t)opt->tail : 0;
	do {
		req.after_id = request->after_id;
		berth__node__v1__events__list(&rpc.base, &req, on_events, request);
		req.tail = 0;
	} while (rpc.result == 0 && request->count == EVENTS_A_CALL && !wait_ms);
	return rpc.result;
}

static int ask_node(struct node *node, void *arg, struct json_object *rows, struct err *err)
{
	struct invocation *inv = arg;
	struct request request = { .inv = inv, .node = node, .rows = rows };
	struct client *client;

	if (nodes_client(node, &client, err) < 0)
		return -1;
	return ask(&request, client, 0, inv->by, err);
}

/* --- how it looks ------------------------------------------------------------------------------------- */

static const struct column columns[] = {
	{ .title = "AGE", .path = "time", .kind = COLUMN_AGE },
	{ .title = "TYPE", .path = "type" },
	{ .title = "REASON", .path = "reason" },
	{ .title = "KIND", .path = "kind" },
	{ .title = "OBJECT", .path = "object" },
	{ .title = "NODE", .path = "node" },
	{ .title = "MESSAGE", .path = "message" },
	{ .title = "ID", .path = "id", .wide = true },
	{ 0 },
};

static const struct listing listing = { .noun = "event", .name_path = "id", .columns = columns };

/* A line that stands for itself: what comes is not known yet, so there are no columns to fit. */
static int print_line(struct invocation *inv, struct json_object *row, struct err *err)
{
	cleanup_with(text) struct text line = { 0 };
	static const char *const paths[] = {
		"time", "type", "reason", "object", "node", "message"
	};

	if (invocation_format(inv) == OUTPUT_JSON) {
		text_add(&line,
			 json_object_to_json_string_ext(
				 row, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	} else {
		for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
			text_add(&line, i ? "  " : "");
			cell_escape(&line, field_str(row, paths[i]));
		}
	}
	if (fprintf(inv->out, "%s\n", text_str(&line)) < 0 || fflush(inv->out) != 0)
		return err_set(err, ERR_INTERNAL, errno, "cannot write the output");
	return 0;
}

static int by_time(const void *a, const void *b)
{
	struct json_object *const *first = a, *const *second = b;
	int64_t x = json_object_get_int64(field_get(*first, "timeNanos"));
	int64_t y = json_object_get_int64(field_get(*second, "timeNanos"));

	return (x > y) - (x < y);
}

/* --- watch -------------------------------------------------------------------------------------------- */

struct watch {
	struct invocation *inv;
	pthread_mutex_t lock; /* of the output and of 'err' */
	struct err err;
	atomic_bool over;
};

struct watcher {
	struct watch *watch;
	struct node *node;
	pthread_t thread;
	bool started;
};

static void print_rows_now(struct watch *watch, struct request *request)
{
	pthread_mutex_lock(&watch->lock);
	if (request->gap)
		invocation_note(watch->inv,
				"node '%s': some events are lost: there were more than "
				"its agent keeps, or it was started again",
				request->node->name);
	for (size_t i = 0; !watch->over && i < json_object_array_length(request->rows); i++) {
		if (print_line(watch->inv, json_object_array_get_idx(request->rows, i),
			       &watch->err) < 0)
			watch->over = true;
	}
	pthread_mutex_unlock(&watch->lock);
}

/* One node, until it does not answer any more. */
static int watch_node(struct watcher *w, struct err *err)
{
	struct request request = { .inv = w->watch->inv, .node = w->node };
	int64_t answered_ms = clock_now_ms();
	struct client *client;

	if (nodes_client(w->node, &client, err) < 0)
		return -1;
	while (!w->watch->over && !deadline_is_over(w->watch->inv->by)) {
		cleanup_json struct json_object *rows = json_object_new_array();
		struct deadline by = deadline_min(deadline_in_ms(WATCH_CALL_MS), w->watch->inv->by);
		int64_t left_ms = deadline_left_ms(w->watch->inv->by);
		uint32_t wait_ms = left_ms < WATCH_WAIT_MS ? (uint32_t)left_ms : WATCH_WAIT_MS;

		request.rows = rows;
		if (ask(&request, client, wait_ms ? wait_ms : 1, by, err) == 0) {
			answered_ms = clock_now_ms();
			client_set_patient(client, true);
			print_rows_now(w->watch, &request);
		} else if (err->code != ERR_UNAVAILABLE ||
			   clock_now_ms() - answered_ms > WATCH_RETRY_MS) {
			return -1;
		}
	}
	return 0;
}

static void *watch_thread(void *arg)
{
	struct watcher *w = arg;
	struct err err;

	if (watch_node(w, &err) == 0 || deadline_is_over(w->watch->inv->by))
		return NULL;
	pthread_mutex_lock(&w->watch->lock);
	invocation_fail(w->watch->inv, &err);
	pthread_mutex_unlock(&w->watch->lock);
	return NULL;
}

static int watch_events(struct invocation *inv, struct err *err)
{
	__attribute__((cleanup(cleanup_node_list))) struct node_list list = { 0 };
	struct watch watch = { .inv = inv, .lock = PTHREAD_MUTEX_INITIALIZER };
	cleanup_free struct watcher *watchers = NULL;

	if (nodes_select(inv, NODES_ALL, &list, err) < 0)
		return -1;
	watchers = calloc(list.count + 1, sizeof(*watchers));
	if (!watchers)
		return err_oom(err);
	for (size_t i = 0; i < list.count; i++) {
		watchers[i] = (struct watcher){ .watch = &watch, .node = list.items[i] };
		watchers[i].started =
			pthread_create(&watchers[i].thread, NULL, watch_thread, &watchers[i]) == 0;
	}
	for (size_t i = 0; i < list.count; i++) {
		if (watchers[i].started)
			pthread_join(watchers[i].thread, NULL);
	}
	if (watch.err.code == ERR_OK)
		return 0;
	*err = watch.err;
	return -1;
}

static int get_events(struct invocation *inv, struct err *err)
{
	cleanup_json struct json_object *rows = NULL;

	if (inv->opt->watch && inv->opt->timeout_ms < 0)
		inv->by = DEADLINE_NEVER;
	if (inv->opt->watch)
		return watch_events(inv, err);
	if (nodes_select_and_ask(inv, NODES_ALL, ask_node, inv, &rows, err) < 0)
		return -1;
	json_object_array_sort(rows, by_time);
	return rows_print(inv, rows, &listing, NULL, false, err);
}

static const struct option_spec get_options[] = {
	OPTION_ROW_NODE,
	{ .name = "watch",
	  .letter = 'w',
	  .type = OPTION_SWITCH,
	  OPTION_AT(watch),
	  .help = "go on with what happens, until Ctrl-C or --timeout" },
	{ .name = "tail",
	  .value = "N",
	  .type = OPTION_NUMBER,
	  OPTION_AT(tail),
	  .min = -1,
	  .max = INT32_MAX,
	  .help = "only the last N of each node to begin with (default: all it has)" },
	{ .name = "warnings", .type = OPTION_SWITCH, OPTION_AT(warnings), .help = "only warnings" },
	{ 0 },
};

const struct command cmd_event_get = {
	.name = "get events",
	.args = "[OBJECT...]",
	.summary = "list what happened on nodes: pods, units, the agent",
	.details =
		"Without --node: every running node of the cluster. Globs over objects pick some. "
		"An\n"
		"agent keeps the last 1024 events, in memory. With --watch -o json: one object a "
		"line.",
	.example = "berth get events --watch 'default/*'",
	.max_args = -1,
	.outputs = OUTPUTS_LIST,
	.timeout_ms = 15000,
	.options = get_options,
	.run = get_events,
};
