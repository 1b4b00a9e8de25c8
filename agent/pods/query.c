/*
 * List and Wait. Both begin with a look at the runtime; workers whose pod has changed since their own
 * look are kicked, and the answer waits (briefly) until they have caught up.
 */
#include "agent/pods/pods_impl.h"

#include "agent/pods/foreign.h"
#include "agent/units/timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATCH_UP_MS   500
#define LOOK_EVERY_MS 500

struct look;

struct query {
	struct query *next;
	struct pods *pods;
	char *namespace; /* NULL: all */
	char *name;      /* NULL: List */
	bool gone;
	struct deadline by;
	struct deadline catch_up;
	pods_list_fn *done;
	void *arg;
	sd_event_source *timer;
	struct look *look;     /* asking the runtime */
	bool look_again;       /* and what it will say is of before the pod's end */
	struct foreign *found; /* what the last look found */
	struct err look_err;   /* why it found nothing */
};

/* One look at the runtime. It outlives its query if need be. */
struct look {
	struct query *query; /* NULL: answered meanwhile */
	unsigned pending;
	struct foreign *found;
	struct changes *changes;
	struct err err;
};

static void query_look(struct query *q);

static void query_free(struct query *q)
{
	struct query **at = &q->pods->queries;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	if (q->look)
		q->look->query = NULL;
	timer_stop(&q->timer);
	foreign_free(q->found);
	free(q->namespace);
	free(q->name);
	free(q);
}

static void query_fail(struct query *q, const struct err *err)
{
	pods_list_fn *done = q->done;
	void *arg = q->arg;

	query_free(q);
	done(arg, NULL, 0, err);
}

/* --- views ---------------------------------------------------------------------------------------- */

static bool is_asked_for(const struct query *q, const char *namespace, const char *name)
{
	return (!q->namespace || strcmp(q->namespace, namespace) == 0) &&
	       (!q->name || strcmp(q->name, name) == 0);
}

static bool is_wanted(const struct pods *pods, const char *uid)
{
	for (const struct worker *w = pods->workers; w; w = w->next) {
		if (strcmp(pod_uid(w->record.pod), uid) == 0)
			return true;
	}
	return false;
}

struct views {
	struct pod_view *items;
	size_t own; /* the first ones, whose containers are to be freed */
	size_t count;
};

static void views_release(struct views *v)
{
	for (size_t i = 0; i < v->own; i++)
		free((void *)v->items[i].containers);
	free(v->items);
}

/* Of two pods of one name the one that goes away is the second. */
static int by_name(const void *pa, const void *pb)
{
	const struct pod_view *a = pa, *b = pb;
	int order = strcmp(a->namespace, b->namespace);

	if (!order)
		order = strcmp(a->name, b->name);
	return order ? order
		     : (strcmp(a->phase, "Terminating") == 0) -
			       (strcmp(b->phase, "Terminating") == 0);
}

static bool views_collect(struct query *q, struct views *ret)
{
	const struct pods *pods = q->pods;
	size_t room = q->found ? foreign_count(q->found) : 0;

	for (const struct worker *w = pods->workers; w; w = w->next)
		room++;
	*ret = (struct views){ .items = calloc(room + 1, sizeof(*ret->items)) };
	if (!ret->items)
		return false;
	for (const struct worker *w = pods->workers; w; w = w->next) {
		if (!is_asked_for(q, pod_namespace(w->record.pod), pod_name(w->record.pod)))
			continue;
		if (!worker_view(w, &ret->items[ret->count]))
			return false;
		ret->own = ++ret->count;
	}
	if (ret->own > 1)
		qsort(ret->items, ret->own, sizeof(*ret->items), by_name);
	for (size_t i = 0; q->found && i < foreign_count(q->found); i++) {
		const struct pod_view *v = foreign_get(q->found, i);

		if (is_asked_for(q, v->namespace, v->name) && !is_wanted(pods, v->uid))
			ret->items[ret->count++] = *v;
	}
	return true;
}

static void query_answer(struct query *q, const struct pod_view *list, size_t count)
{
	pods_list_fn *done = q->done;
	void *arg = q->arg;
	struct foreign *found = TAKE(q->found);

	query_free(q);
	done(arg, list, count, NULL);
	foreign_free(found);
}

/* --- deciding ------------------------------------------------------------------------------------- */

/* Every worker asked about has seen what the runtime has now. */
static bool has_caught_up(const struct query *q)
{
	if (deadline_is_over(q->catch_up))
		return true;
	for (const struct worker *w = q->pods->workers; w; w = w->next) {
		if (is_asked_for(q, pod_namespace(w->record.pod), pod_name(w->record.pod)) &&
		    (w->stale || (!w->observed && !w->message)))
			return false;
	}
	return true;
}

static void not_yet(const struct query *q, const struct views *v, struct err *err)
{
	const struct pod_view *pod = v->count ? &v->items[0] : NULL;

	if (!pod)
		err_set(err, ERR_DEADLINE_EXCEEDED, 0, "pod '%s': the runtime did not tell in time",
			q->name);
	else if (q->gone)
		err_set(err, ERR_DEADLINE_EXCEEDED, 0, "pod '%s' is not gone yet: %s%s%s", q->name,
			pod->phase, *pod->message ? ", " : "", pod->message);
	else
		err_set(err, ERR_DEADLINE_EXCEEDED, 0, "pod '%s' is not ready: %s%s%s", q->name,
			pod->phase, *pod->message ? ", " : "", pod->message);
	err_explain(err, q->gone ? "POD_NOT_GONE" : "POD_NOT_READY", NULL);
}

/* What a wait for 'ready' has come to: 1 answer, 0 go on, -1 'err'. */
static int judge_ready(const struct query *q, const struct views *v, struct err *err)
{
	const struct pod_view *pod = &v->items[0];

	if (v->count == 0) {
		if (q->look_err.code)
			return 0;
		err_set(err, ERR_NOT_FOUND, 0, "no pod '%s' in namespace '%s' on this node",
			q->name, q->namespace ? q->namespace : "");
		return err_explain(err, "POD_NOT_FOUND",
				   "'berth get pods -A' lists what there is, and where");
	}
	if (pod->ready || strcmp(pod->phase, "Succeeded") == 0)
		return 1;
	if (strcmp(pod->phase, "Failed") != 0)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, 0, "pod '%s' has failed%s%s", q->name,
		*pod->message ? ": " : "", pod->message);
	return err_explain(err, "POD_FAILED", NULL);
}

static int judge(const struct query *q, const struct views *v, struct err *err)
{
	if (!q->name)
		return 1;
	if (!q->gone)
		return judge_ready(q, v, err);
	/* Nothing is found only when the runtime could be asked. */
	return v->count == 0 && !q->look_err.code;
}

/* Answers if it can be. */
static void query_try(struct query *q)
{
	struct views v;
	struct err err;
	int verdict;

	if (q->look || (!q->found && !q->look_err.code) || !has_caught_up(q))
		return;
	if (!views_collect(q, &v)) {
		views_release(&v);
		err_oom(&err);
		query_fail(q, &err);
		return;
	}
	verdict = judge(q, &v, &err);
	if (verdict == 0 && deadline_is_over(q->by)) {
		not_yet(q, &v, &err);
		verdict = -1;
	}
	if (verdict < 0)
		query_fail(q, &err);
	else if (verdict > 0)
		query_answer(q, v.items, q->gone ? 0 : q->name ? 1 : v.count);
	views_release(&v);
}

/* --- looking -------------------------------------------------------------------------------------- */

/* For a Wait: the next look. For everything: its end. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct query *q = userdata;
	struct err err;

	(void)source;
	(void)usec;
	if (deadline_is_over(q->by) && (q->look || (!q->found && !q->look_err.code))) {
		err_set(&err, ERR_DEADLINE_EXCEEDED, 0, "the runtime did not answer in time");
		query_fail(q, &err);
		return 0;
	}
	timer_move(q->timer, deadline_min(q->by, deadline_in_ms(LOOK_EVERY_MS)));
	if (!q->look && q->name && !deadline_is_over(q->by))
		query_look(q);
	else
		query_try(q);
	return 0;
}

static void look_free(struct look *look)
{
	foreign_free(look->found);
	changes_free(look->changes);
	free(look);
}

static void look_answered(struct look *look, const struct err *err)
{
	struct query *q = look->query;

	if (err)
		look->err = *err;
	if (--look->pending)
		return;
	if (q) {
		if (!look->err.code)
			changes_kick(look->changes, q->pods);
		q->look = NULL;
		q->look_err = look->err;
		foreign_free(q->found);
		q->found = TAKE(look->found);
		q->catch_up = deadline_min(q->by, deadline_in_ms(CATCH_UP_MS));
		timer_move(q->timer, q->name ? deadline_min(q->by, deadline_in_ms(LOOK_EVERY_MS))
					     : q->catch_up);
		if (q->look_again) {
			q->look_again = false;
			query_look(q);
		} else {
			query_try(q);
		}
	}
	look_free(look);
}

static void on_containers(void *arg, const struct runtime_container *list, size_t count,
			  const struct err *err)
{
	struct look *look = arg;
	struct err oom;

	if (!err && (!foreign_add_containers(look->found, list, count) ||
		     !changes_add_containers(look->changes, list, count))) {
		err_oom(&oom);
		err = &oom;
	}
	look_answered(look, err);
}

static void on_sandboxes(void *arg, const struct runtime_sandbox *list, size_t count,
			 const struct err *err)
{
	struct look *look = arg;
	struct err oom;

	if (!err && (!foreign_add_sandboxes(look->found, list, count) ||
		     !changes_add_sandboxes(look->changes, list, count))) {
		err_oom(&oom);
		err = &oom;
	}
	look_answered(look, err);
}

static void query_look(struct query *q)
{
	struct look *look = calloc(1, sizeof(*look));
	struct deadline by = deadline_min(q->by, deadline_in_ms(LIST_MS));

	if (look) {
		look->found = foreign_new();
		look->changes = changes_new();
	}
	if (!look || !look->found || !look->changes) {
		if (look)
			look_free(look);
		err_oom(&q->look_err);
		return;
	}
	look->query = q;
	look->pending = 2;
	q->look = look;
	runtime_list_sandboxes(q->pods->runtime, NULL, by, on_sandboxes, look);
	runtime_list_containers(q->pods->runtime, NULL, by, on_containers, look);
}

static bool is_asked_of_any(const struct query *q)
{
	for (const struct worker *w = q->pods->workers; w; w = w->next) {
		if (is_asked_for(q, pod_namespace(w->record.pod), pod_name(w->record.pod)))
			return true;
	}
	return false;
}

void queries_look(struct pods *pods)
{
	struct query *next;

	for (struct query *q = pods->queries; q; q = next) {
		next = q->next;
		/* The last look may be of before the pod's end. */
		q->look_again = q->gone && q->look && !is_asked_of_any(q);
		if (q->gone && !q->look && !is_asked_of_any(q))
			query_look(q);
		else
			query_try(q);
	}
}

void queries_close(struct pods *pods)
{
	struct err err;

	err_set(&err, ERR_CANCELLED, 0, "the agent is stopping");
	while (pods->queries)
		query_fail(pods->queries, &err);
}

/* --- the calls ------------------------------------------------------------------------------------ */

static void query_start(struct pods *pods, const char *namespace, const char *name, bool gone,
			struct deadline by, pods_list_fn *done, void *arg)
{
	struct query *q = calloc(1, sizeof(*q));
	struct err err;

	if (!q || timer_start(pods->loop, by, on_timer, q, &q->timer) < 0) {
		free(q);
		err_oom(&err);
		done(arg, NULL, 0, &err);
		return;
	}
	q->pods = pods;
	q->namespace = namespace && *namespace ? strdup(namespace) : NULL;
	q->name = name ? strdup(name) : NULL;
	q->gone = gone;
	q->by = by;
	q->done = done;
	q->arg = arg;
	q->next = pods->queries;
	pods->queries = q;
	query_look(q);
	relist_arm(pods);
}

void pods_list(struct pods *pods, const char *namespace, struct deadline by, pods_list_fn *done,
	       void *arg)
{
	query_start(pods, namespace, NULL, false, by, done, arg);
}

void pods_wait(struct pods *pods, const char *namespace, const char *name, bool gone,
	       struct deadline by, pods_list_fn *done, void *arg)
{
	query_start(pods, namespace, name, gone, by, done, arg);
}
