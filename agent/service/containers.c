#include "agent/agent.h"
#include "agent/runtime/runtime.h"
#include "agent/service/call.h"
#include "agent/service/container_actions.h"
#include "shared/base/cleanup.h"

#include "node/v1/containers.pb-c.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STATE(name) BERTH__NODE__V1__CONTAINER_STATE__CONTAINER_##name

_Static_assert((int)RUNTIME_UNKNOWN == STATE(UNKNOWN) && (int)RUNTIME_CREATED == STATE(CREATED) &&
		       (int)RUNTIME_RUNNING == STATE(RUNNING) &&
		       (int)RUNTIME_PAUSED == STATE(PAUSED) && (int)RUNTIME_EXITED == STATE(EXITED),
	       "states have the same numbers");

/* --- List ----------------------------------------------------------------------------------------- */

struct list_item;

struct list_call {
	const Berth__Node__V1__ContainerListRequest *req;
	Berth__Node__V1__ContainerListReply_Closure reply;
	void *call;
	struct runtime *rt;
	struct list_item *items;
	size_t count;
	size_t cap;
	size_t next; /* the first item whose details have not been asked for */
	size_t under_way;
	bool pumping;
	struct strv paused; /* ids; CRI calls them running (NS-058) */
};

/* Its strings are its own. */
struct list_item {
	struct list_call *list;
	Berth__Node__V1__ContainerInfo info;
	bool gone; /* between the list and its details */
};

static void info_release(Berth__Node__V1__ContainerInfo *info)
{
	char *const strings[] = { info->id,      info->name,  info->pod,       info->namespace_,
				  info->pod_uid, info->image, info->sandbox_id };

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(strings[i]);
}

/* From borrowed strings to owned ones. */
static bool info_own(Berth__Node__V1__ContainerInfo *info)
{
	char **const strings[] = { &info->id,         &info->name,    &info->pod,
				   &info->namespace_, &info->pod_uid, &info->image,
				   &info->sandbox_id };
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		*strings[i] = strdup(*strings[i]);
		ok = ok && *strings[i];
	}
	return ok;
}

static void list_free(struct list_call *list)
{
	for (size_t i = 0; i < list->count; i++)
		info_release(&list->items[i].info);
	free(list->items);
	strv_release(&list->paused);
	free(list);
}

static void list_fail(struct list_call *list, const struct err *err)
{
	call_fail(list->call, err);
	list_free(list);
}

static bool is_wanted(const Berth__Node__V1__ContainerListRequest *req,
		      const Berth__Node__V1__ContainerInfo *info)
{
	bool wanted = req->n_namespaces == 0;

	for (size_t i = 0; i < req->n_namespaces && !wanted; i++)
		wanted = strcmp(req->namespaces[i], info->namespace_) == 0;
	if (!wanted || req->n_states == 0)
		return wanted;
	for (size_t i = 0; i < req->n_states; i++) {
		if (req->states[i] == info->state)
			return true;
	}
	return false;
}

static Berth__Node__V1__ContainerState state_of(const struct list_call *list,
						const struct runtime_container *from)
{
	if (from->state == RUNTIME_RUNNING && strv_has(&list->paused, from->id))
		return STATE(PAUSED);
	return (Berth__Node__V1__ContainerState)from->state;
}

/* Borrows the strings. */
static Berth__Node__V1__ContainerInfo info_of_container(const struct list_call *list,
							const struct runtime_container *from)
{
	Berth__Node__V1__ContainerInfo info = BERTH__NODE__V1__CONTAINER_INFO__INIT;

	info.id = (char *)from->id;
	info.name = (char *)from->name;
	info.kind = BERTH__NODE__V1__CONTAINER_KIND__CONTAINER;
	info.state = state_of(list, from);
	info.pod = (char *)from->pod;
	info.namespace_ = (char *)from->namespace;
	info.pod_uid = (char *)from->uid;
	info.image = (char *)from->image;
	info.attempt = from->attempt;
	info.created_nanos = from->created_ns;
	info.sandbox_id = (char *)from->sandbox_id;
	return info;
}

static Berth__Node__V1__ContainerInfo info_of_sandbox(const struct runtime_sandbox *from)
{
	Berth__Node__V1__ContainerInfo info = BERTH__NODE__V1__CONTAINER_INFO__INIT;

	info.id = (char *)from->id;
	info.name = (char *)from->name;
	info.kind = BERTH__NODE__V1__CONTAINER_KIND__SANDBOX;
	info.state = from->ready ? STATE(RUNNING) : STATE(EXITED);
	info.pod = (char *)from->name;
	info.namespace_ = (char *)from->namespace;
	info.pod_uid = (char *)from->uid;
	info.attempt = from->attempt;
	info.created_nanos = from->created_ns;
	return info;
}

static bool list_add(struct list_call *list, const Berth__Node__V1__ContainerInfo *info)
{
	struct list_item *item;

	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 32;
		struct list_item *items = realloc(list->items, cap * sizeof(*items));

		if (!items)
			return false;
		list->items = items;
		list->cap = cap;
	}
	item = &list->items[list->count++];
	*item = (struct list_item){ .list = list, .info = *info };
	return info_own(&item->info);
}

static int newest_first(const void *a, const void *b)
{
	const Berth__Node__V1__ContainerInfo *x = *(Berth__Node__V1__ContainerInfo *const *)a;
	const Berth__Node__V1__ContainerInfo *y = *(Berth__Node__V1__ContainerInfo *const *)b;

	if (x->created_nanos != y->created_nanos)
		return x->created_nanos > y->created_nanos ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* Replies with the list's own items and 'more' borrowed ones, and ends the job. */
static void list_reply(struct list_call *list, Berth__Node__V1__ContainerInfo *more, size_t count)
{
	Berth__Node__V1__ContainerListReply rep = BERTH__NODE__V1__CONTAINER_LIST_REPLY__INIT;
	cleanup_free Berth__Node__V1__ContainerInfo **all =
		malloc((list->count + count + 1) * sizeof(*all));
	struct err err;

	if (!all) {
		err_oom(&err);
		list_fail(list, &err);
		return;
	}
	rep.containers = all;
	for (size_t i = 0; i < list->count; i++) {
		if (!list->items[i].gone)
			all[rep.n_containers++] = &list->items[i].info;
	}
	for (size_t i = 0; i < count; i++)
		all[rep.n_containers++] = &more[i];
	/* Each part is in order already. */
	if (list->count && rep.n_containers > 1)
		qsort(all, rep.n_containers, sizeof(*all), newest_first);
	list->reply(&rep, list->call);
	list_free(list);
}

static void list_pump(struct list_call *list);

/* Without details the item stays as it was listed; one that went away meanwhile goes (PS-042). */
static void on_details(void *arg, const struct runtime_container *one, size_t count,
		       const struct err *err)
{
	struct list_item *item = arg;

	if (err) {
		item->gone = err->code == ERR_NOT_FOUND;
	} else if (count == 1) {
		item->info.state = state_of(item->list, one);
		item->info.pid = one->pid;
		item->info.started_nanos = one->started_ns;
		item->info.finished_nanos = one->finished_ns;
		item->info.exit_code = one->exit_code;
	}
	item->list->under_way--;
	list_pump(item->list);
}

static void list_pump(struct list_call *list)
{
	if (list->pumping)
		return;
	list->pumping = true;
	while (list->next < list->count && list->under_way < CONTAINERS_AT_ONCE) {
		struct list_item *item = &list->items[list->next++];

		if (item->info.kind != BERTH__NODE__V1__CONTAINER_KIND__CONTAINER)
			continue;
		list->under_way++;
		runtime_container_status(list->rt, item->info.id, container_deadline(list->call),
					 on_details, item);
	}
	list->pumping = false;
	if (list->next == list->count && list->under_way == 0)
		list_reply(list, NULL, 0);
}

static bool keep_containers(struct list_call *list, const struct runtime_container *from,
			    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		Berth__Node__V1__ContainerInfo info = info_of_container(list, &from[i]);

		if (is_wanted(list->req, &info) && !list_add(list, &info))
			return false;
	}
	return true;
}

static void on_containers(void *arg, const struct runtime_container *from, size_t count,
			  const struct err *failed)
{
	struct list_call *list = arg;
	cleanup_free Berth__Node__V1__ContainerInfo *infos = NULL;
	size_t wanted = 0;
	struct err err;

	if (failed) {
		list_fail(list, failed);
		return;
	}
	if (list->req->details) {
		if (keep_containers(list, from, count)) {
			list_pump(list);
			return;
		}
		err_oom(&err);
		list_fail(list, &err);
		return;
	}
	/* The usual case: nothing is copied. */
	infos = malloc((count + 1) * sizeof(*infos));
	for (size_t i = 0; infos && i < count; i++) {
		infos[wanted] = info_of_container(list, &from[i]);
		wanted += is_wanted(list->req, &infos[wanted]);
	}
	if (infos) {
		list_reply(list, infos, wanted);
		return;
	}
	err_oom(&err);
	list_fail(list, &err);
}

static void on_sandboxes(void *arg, const struct runtime_sandbox *from, size_t count,
			 const struct err *failed)
{
	struct list_call *list = arg;
	struct err err;

	if (failed) {
		list_fail(list, failed);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		Berth__Node__V1__ContainerInfo info = info_of_sandbox(&from[i]);

		if (!is_wanted(list->req, &info) || list_add(list, &info))
			continue;
		err_oom(&err);
		list_fail(list, &err);
		return;
	}
	runtime_list_containers(list->rt, NULL, call_deadline(list->call), on_containers, list);
}

static int check_states(const Berth__Node__V1__ContainerListRequest *req, struct err *err)
{
	for (size_t i = 0; i < req->n_states; i++) {
		if ((unsigned)req->states[i] > STATE(EXITED))
			return err_set(err, ERR_INVALID_ARGUMENT, 0,
				       "no container state has number %d", (int)req->states[i]);
	}
	return 0;
}

static void list_begin(struct list_call *list)
{
	if (list->req->include_sandboxes)
		runtime_list_sandboxes(list->rt, NULL, call_deadline(list->call), on_sandboxes,
				       list);
	else
		runtime_list_containers(list->rt, NULL, call_deadline(list->call), on_containers,
					list);
}

/* A runtime that does not tell has none. */
static void on_paused(void *arg, const struct runtime_container *from, size_t count,
		      const struct err *err)
{
	struct list_call *list = arg;

	if (err && err->code == ERR_CANCELLED) {
		list_fail(list, err);
		return;
	}
	for (size_t i = 0; i < count; i++)
		strv_add(&list->paused, from[i].id);
	list_begin(list);
}

static void containers_list(Berth__Node__V1__Containers_Service *self,
			    const Berth__Node__V1__ContainerListRequest *req,
			    Berth__Node__V1__ContainerListReply_Closure reply, void *call)
{
	struct list_call *list;
	struct err err;

	(void)self;
	if (check_states(req, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	list = calloc(1, sizeof(*list));
	if (!list) {
		err_oom(&err);
		call_fail(call, &err);
		return;
	}
	list->req = req;
	list->reply = reply;
	list->call = call;
	list->rt = call_agent(call)->runtime;
	runtime_list_paused(list->rt, call_deadline(call), on_paused, list);
}

/* --- Stop, Kill, Pause, Unpause, Delete ----------------------------------------------------------- */

static void containers_stop(Berth__Node__V1__Containers_Service *self,
			    const Berth__Node__V1__ContainerActionRequest *req,
			    Berth__Node__V1__ContainerActionReply_Closure reply, void *call)
{
	(void)self;
	container_actions_run(CONTAINER_STOP, req, reply, call);
}

/* CRI delivers no signals: to stop with no grace is its SIGKILL, and all that it has (NS-063). */
static int check_signal(uint32_t number, const char *backend, struct err *err)
{
	if (number == 0 || number == SIGKILL)
		return 0;
	if (number > (uint32_t)SIGRTMAX)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "no signal has number %u", number);
	err_set(err, ERR_UNIMPLEMENTED, 0,
		"a runtime driven over %s delivers no signal but SIGKILL", backend);
	return err_explain(
		err, "SIGNAL_UNSUPPORTED",
		"stop the container instead: it gets SIGTERM, and SIGKILL after its grace");
}

static void containers_kill(Berth__Node__V1__Containers_Service *self,
			    const Berth__Node__V1__ContainerActionRequest *req,
			    Berth__Node__V1__ContainerActionReply_Closure reply, void *call)
{
	struct err err;

	(void)self;
	if (check_signal(req->signal, runtime_backend(call_agent(call)->runtime), &err) < 0)
		call_fail(call, &err);
	else
		container_actions_run(CONTAINER_KILL, req, reply, call);
}

static void containers_pause(Berth__Node__V1__Containers_Service *self,
			     const Berth__Node__V1__ContainerActionRequest *req,
			     Berth__Node__V1__ContainerActionReply_Closure reply, void *call)
{
	(void)self;
	container_actions_run(CONTAINER_PAUSE, req, reply, call);
}

static void containers_unpause(Berth__Node__V1__Containers_Service *self,
			       const Berth__Node__V1__ContainerActionRequest *req,
			       Berth__Node__V1__ContainerActionReply_Closure reply, void *call)
{
	(void)self;
	container_actions_run(CONTAINER_UNPAUSE, req, reply, call);
}

static void containers_delete(Berth__Node__V1__Containers_Service *self,
			      const Berth__Node__V1__ContainerActionRequest *req,
			      Berth__Node__V1__ContainerActionReply_Closure reply, void *call)
{
	(void)self;
	container_actions_run(CONTAINER_DELETE, req, reply, call);
}

Berth__Node__V1__Containers_Service containers_service =
	BERTH__NODE__V1__CONTAINERS__INIT(containers_);
