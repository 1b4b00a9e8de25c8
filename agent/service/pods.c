#include "agent/pods/pods.h"
#include "agent/agent.h"
#include "agent/service/call.h"

#include "node/v1/pods.pb-c.h"

#include <stdlib.h>

#define SOURCE(name) BERTH__NODE__V1__POD_SOURCE__POD_SOURCE_##name

_Static_assert((int)POD_FROM_UNKNOWN == SOURCE(UNKNOWN) && (int)POD_FROM_AGENT == SOURCE(AGENT) &&
		       (int)POD_FROM_KUBELET == SOURCE(KUBELET),
	       "sources have the same numbers");

/* One call under way and how it is answered. */
struct pods_call {
	void *call;
	union {
		Berth__Node__V1__PodApplyReply_Closure apply;
		Berth__Node__V1__PodDeleteReply_Closure delete;
		Berth__Node__V1__PodListReply_Closure list;
		Berth__Node__V1__PodWaitReply_Closure wait;
	} reply;
};

static struct pods *call_pods(void *call)
{
	return call_agent(call)->pods;
}

/* NULL: the call has failed. */
static struct pods_call *pods_call_new(void *call)
{
	struct pods_call *c = calloc(1, sizeof(*c));
	struct err err;

	if (!c) {
		err_oom(&err);
		call_fail(call, &err);
		return NULL;
	}
	c->call = call;
	return c;
}

/* --- Apply and Delete ----------------------------------------------------------------------------- */

static void on_applied(void *arg, const char *uid, const char *result, const struct err *err)
{
	Berth__Node__V1__PodApplyReply rep = BERTH__NODE__V1__POD_APPLY_REPLY__INIT;
	struct pods_call *c = arg;

	if (err) {
		call_fail(c->call, err);
	} else {
		rep.uid = (char *)uid;
		rep.result = (char *)result;
		c->reply.apply(&rep, c->call);
	}
	free(c);
}

static void serve_apply(Berth__Node__V1__Pods_Service *self,
			const Berth__Node__V1__PodApplyRequest *req,
			Berth__Node__V1__PodApplyReply_Closure reply, void *call)
{
	struct pods_call *c;
	struct err err;

	(void)self;
	if (!req->pod) {
		err_set(&err, ERR_INVALID_ARGUMENT, 0, "the request has no pod");
		call_fail(call, &err);
		return;
	}
	c = pods_call_new(call);
	if (!c)
		return;
	c->reply.apply = reply;
	pods_apply(call_pods(call), req->pod, call_deadline(call), on_applied, c);
}

static void on_deleted(void *arg, const char *uid, const struct err *err)
{
	Berth__Node__V1__PodDeleteReply rep = BERTH__NODE__V1__POD_DELETE_REPLY__INIT;
	struct pods_call *c = arg;

	if (err) {
		call_fail(c->call, err);
	} else {
		rep.uid = (char *)uid;
		c->reply.delete(&rep, c->call);
	}
	free(c);
}

static const char *namespace_or_default(const char *namespace)
{
	return *namespace ? namespace : "default";
}

static void serve_delete(Berth__Node__V1__Pods_Service *self,
			 const Berth__Node__V1__PodDeleteRequest *req,
			 Berth__Node__V1__PodDeleteReply_Closure reply, void *call)
{
	struct pods_call *c = pods_call_new(call);

	(void)self;
	if (!c)
		return;
	c->reply.delete = reply;
	pods_delete(call_pods(call), namespace_or_default(req->namespace_), req->name,
		    req->grace_seconds, call_deadline(call), on_deleted, c);
}

/* --- List and Wait -------------------------------------------------------------------------------- */

/* A status on the wire, its strings borrowed from the view. */
struct wire_pod {
	Berth__Node__V1__PodStatus status;
	Berth__Node__V1__PodContainerStatus *containers;
	Berth__Node__V1__PodContainerStatus **pointers;
};

static void wire_container(const struct pod_container_view *v,
			   Berth__Node__V1__PodContainerStatus *ret)
{
	berth__node__v1__pod_container_status__init(ret);
	ret->name = (char *)v->name;
	ret->state = (char *)v->state;
	ret->ready = v->ready;
	ret->init = v->init;
	ret->restart_count = v->restart_count;
	ret->reason = (char *)v->reason;
	ret->message = (char *)v->message;
	ret->container_id = (char *)v->container_id;
	ret->exit_code = v->exit_code;
}

static bool wire_pod_fill(const struct pod_view *v, struct wire_pod *ret)
{
	Berth__Node__V1__PodStatus *s = &ret->status;

	berth__node__v1__pod_status__init(s);
	s->name = (char *)v->name;
	s->namespace_ = (char *)v->namespace;
	s->uid = (char *)v->uid;
	s->phase = (char *)v->phase;
	s->ready = v->ready;
	s->restarts = v->restarts;
	s->ip = (char *)v->ip;
	s->source = (Berth__Node__V1__PodSource)v->source;
	s->message = (char *)v->message;
	s->created_nanos = v->created_ns;
	ret->containers = calloc(v->container_count + 1, sizeof(*ret->containers));
	ret->pointers = calloc(v->container_count + 1, sizeof(*ret->pointers));
	if (!ret->containers || !ret->pointers)
		return false;
	for (size_t i = 0; i < v->container_count; i++) {
		wire_container(&v->containers[i], &ret->containers[i]);
		ret->pointers[i] = &ret->containers[i];
	}
	s->n_containers = v->container_count;
	s->containers = ret->pointers;
	return true;
}

static void wire_pods_free(struct wire_pod *pods, size_t count)
{
	for (size_t i = 0; pods && i < count; i++) {
		free(pods[i].containers);
		free(pods[i].pointers);
	}
	free(pods);
}

static void on_list(void *arg, const struct pod_view *list, size_t count, const struct err *err)
{
	Berth__Node__V1__PodListReply rep = BERTH__NODE__V1__POD_LIST_REPLY__INIT;
	struct wire_pod *pods = calloc(count + 1, sizeof(*pods));
	Berth__Node__V1__PodStatus **pointers = calloc(count + 1, sizeof(*pointers));
	struct pods_call *c = arg;
	bool ok = pods && pointers;
	struct err oom;

	for (size_t i = 0; ok && i < count; i++) {
		ok = wire_pod_fill(&list[i], &pods[i]);
		pointers[i] = &pods[i].status;
	}
	rep.n_pods = count;
	rep.pods = pointers;
	if (!ok)
		err_oom(&oom);
	if (err || !ok)
		call_fail(c->call, err ? err : &oom);
	else
		c->reply.list(&rep, c->call);
	wire_pods_free(pods, count);
	free(pointers);
	free(c);
}

static void serve_list(Berth__Node__V1__Pods_Service *self,
		       const Berth__Node__V1__PodListRequest *req,
		       Berth__Node__V1__PodListReply_Closure reply, void *call)
{
	struct pods_call *c = pods_call_new(call);

	(void)self;
	if (!c)
		return;
	c->reply.list = reply;
	pods_list(call_pods(call), *req->namespace_ ? req->namespace_ : NULL, call_deadline(call),
		  on_list, c);
}

static void on_waited(void *arg, const struct pod_view *list, size_t count, const struct err *err)
{
	Berth__Node__V1__PodWaitReply rep = BERTH__NODE__V1__POD_WAIT_REPLY__INIT;
	struct pods_call *c = arg;
	struct wire_pod pod = { 0 };
	struct err oom;

	if (err) {
		call_fail(c->call, err);
	} else if (count && !wire_pod_fill(&list[0], &pod)) {
		err_oom(&oom);
		call_fail(c->call, &oom);
	} else {
		rep.pod = count ? &pod.status : NULL;
		c->reply.wait(&rep, c->call);
	}
	free(pod.containers);
	free(pod.pointers);
	free(c);
}

static void serve_wait(Berth__Node__V1__Pods_Service *self,
		       const Berth__Node__V1__PodWaitRequest *req,
		       Berth__Node__V1__PodWaitReply_Closure reply, void *call)
{
	struct pods_call *c = pods_call_new(call);

	(void)self;
	if (!c)
		return;
	c->reply.wait = reply;
	call_park(call);
	pods_wait(call_pods(call), namespace_or_default(req->namespace_), req->name, req->gone,
		  call_deadline(call), on_waited, c);
}

Berth__Node__V1__Pods_Service pods_service = BERTH__NODE__V1__PODS__INIT(serve_);
