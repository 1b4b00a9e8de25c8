/* Apply and Delete: what is wanted is on disk before the answer. */
#include "agent/pods/pods_impl.h"

#include "shared/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A change that is on its way. Its answer always comes from the loop. */
struct apply_call {
	struct apply_call *next;
	struct pods *pods; /* NULL: answered already, only units' answer is still due */
	K8s__Core__V1__Pod *pod;
	struct err err;
	char uid[64];
	const char *result;
	pods_apply_fn *applied;
	pods_delete_fn *deleted;
	void *arg;
	sd_event_source *source;
};

static void apply_free(struct apply_call *call)
{
	sd_event_source_disable_unref(call->source);
	pod_free(call->pod);
	free(call);
}

static void apply_tell(struct apply_call *call)
{
	const struct err *err = call->err.code ? &call->err : NULL;

	if (call->applied)
		call->applied(call->arg, err ? NULL : call->uid, err ? NULL : call->result, err);
	else
		call->deleted(call->arg, err ? NULL : call->uid, err);
}

static void apply_unlink(struct apply_call *call)
{
	struct apply_call **at = &call->pods->applies;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	call->pods = NULL;
}

static void apply_finish(struct apply_call *call)
{
	apply_unlink(call);
	apply_tell(call);
	apply_free(call);
}

static int on_defer(sd_event_source *source, void *userdata)
{
	(void)source;
	apply_finish(userdata);
	return 0;
}

void applies_close(struct pods *pods)
{
	struct apply_call *call;

	while ((call = pods->applies)) {
		apply_unlink(call);
		err_set(&call->err, ERR_CANCELLED, 0, "the agent is stopping");
		apply_tell(call);
		/* One that waits for units' answer is freed by it. */
		if (call->source)
			apply_free(call);
	}
}

static struct apply_call *apply_new(struct pods *pods, void *arg)
{
	struct apply_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->pods = pods;
	call->arg = arg;
	call->next = pods->applies;
	pods->applies = call;
	return call;
}

static void answer_later(struct apply_call *call)
{
	sd_event_add_defer(call->pods->loop, &call->source, on_defer, call);
}

/* A random (version 4) UUID. */
static int make_uid(char **ret, struct err *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return err_set(err, ERR_UNAVAILABLE, errno, "get random bytes");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	free(*ret);
	*ret = text_format("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			   b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
			   b[12], b[13], b[14], b[15]);
	return *ret ? 0 : err_oom(err);
}

static struct worker *find_uid(struct pods *pods, const char *uid)
{
	for (struct worker *w = pods->workers; w; w = w->next) {
		if (strcmp(pod_uid(w->record.pod), uid) == 0)
			return w;
	}
	return NULL;
}

static int want_deleted(struct worker *w, int64_t grace_s, struct err *err)
{
	bool was = w->record.deleted;
	int64_t was_grace_s = w->record.grace_s;

	w->record.deleted = true;
	w->record.grace_s = grace_s;
	if (store_put(w->pods->store, &w->record, err) < 0) {
		w->record.deleted = was;
		w->record.grace_s = was_grace_s;
		return -1;
	}
	if (w->job && w->job->can_wait) {
		w->job->w = NULL;
		w->job = NULL;
	}
	worker_kick(w);
	return 0;
}

/* Stored, then known to a worker. Takes call->pod. */
static int create(struct apply_call *call, struct err *err)
{
	struct pods *pods = call->pods;
	struct store_record r = { .pod = call->pod, .created_ns = clock_wall_ns(), .grace_s = -1 };
	struct worker *w;

	if (!*pod_uid(r.pod) && make_uid(&r.pod->metadata->uid, err) < 0)
		return -1;
	if (find_uid(pods, pod_uid(r.pod)))
		return err_set(err, ERR_ALREADY_EXISTS, 0, "another pod has the uid '%s'",
			       pod_uid(r.pod));
	if (store_put(pods->store, &r, err) < 0)
		return -1;
	w = worker_new(pods, &r);
	if (!w)
		return err_oom(err);
	call->pod = NULL;
	snprintf(call->uid, sizeof(call->uid), "%s", pod_uid(w->record.pod));
	worker_kick(w);
	return 0;
}

static int change_in_place(struct apply_call *call, struct worker *w, struct err *err)
{
	K8s__Core__V1__Pod *was = w->record.pod;

	w->record.pod = call->pod;
	if (store_put(w->pods->store, &w->record, err) < 0) {
		w->record.pod = was;
		return -1;
	}
	call->pod = was;
	worker_kick(w);
	return 0;
}

/* Kubernetes does not change such fields of a pod: the old one ends, a new one takes its place. */
static int replace(struct apply_call *call, struct worker *w, struct err *err)
{
	if (*pod_uid(call->pod) && strcmp(pod_uid(call->pod), pod_uid(w->record.pod)) == 0) {
		err_set(err, ERR_FAILED_PRECONDITION, 0,
			"pod '%s' cannot be changed like this while it keeps its uid",
			pod_name(call->pod));
		return err_explain(
			err, "POD_UID_TAKEN",
			"leave metadata.uid out of the manifest, or delete the pod first");
	}
	if (create(call, err) < 0)
		return -1;
	/* Should this not reach the disk, the next start finds two of a name and drops the older. */
	if (want_deleted(w, -1, err) < 0) {
		log_debug("pods: %s", err->msg);
		*err = (struct err){ 0 };
		w->record.deleted = true;
		worker_kick(w);
	}
	return 0;
}

static int apply_now(struct apply_call *call, struct err *err)
{
	const K8s__Core__V1__Pod *pod = call->pod;
	struct worker *w = worker_find(call->pods, pod_namespace(pod), pod_name(pod));
	bool other_uid;

	if (!w || w->record.deleted) {
		call->result = "created";
		return create(call, err);
	}
	other_uid = *pod_uid(pod) && strcmp(pod_uid(pod), pod_uid(w->record.pod)) != 0;
	call->result = "configured";
	if (other_uid || pod_compare(w->record.pod, pod) == POD_REPLACED)
		return replace(call, w, err);
	snprintf(call->uid, sizeof(call->uid), "%s", pod_uid(w->record.pod));
	free(call->pod->metadata->uid);
	call->pod->metadata->uid = strdup(call->uid);
	if (!call->pod->metadata->uid)
		return err_oom(err);
	if (pod_compare(w->record.pod, pod) == POD_CHANGED_IN_PLACE)
		return change_in_place(call, w, err);
	call->result = "unchanged";
	return 0;
}

/* While sync is paused nothing would come of it: better said than waited for. */
static int check_running(const struct pods *pods, struct err *err)
{
	if (!pods->paused)
		return 0;
	if (!pods->quiesced) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "the node is paused");
		return err_explain(err, "NODE_PAUSED", "'berth unpause node' lets it go on.");
	}
	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"the node was brought to rest, its pods are left alone");
	return err_explain(err, "NODE_QUIESCED",
			   "'berth restart node' brings the node and its pods back.");
}

static void on_kubelet_for_apply(void *arg, const struct unit_status *list, size_t count,
				 const struct err *err)
{
	struct apply_call *call = arg;
	struct pods *pods = call->pods;

	if (!pods) {
		apply_free(call);
		return;
	}
	kubelet_note(pods, list, count, err);
	if (pods->kubelet_active) {
		err_set(&call->err, ERR_FAILED_PRECONDITION, 0,
			"kubelet is active on this node and would remove the pod");
		err_explain(
			&call->err, "KUBELET_ACTIVE",
			"stop it first (berth stop unit kubelet), or give the pod to the cluster");
	} else {
		apply_now(call, &call->err);
		relist_arm(pods);
	}
	apply_finish(call);
}

void pods_apply(struct pods *pods, const struct K8s__Core__V1__Pod *pod, struct deadline by,
		pods_apply_fn *done, void *arg)
{
	struct apply_call *call = apply_new(pods, arg);
	struct err err;

	if (!call) {
		err_oom(&err);
		done(arg, NULL, NULL, &err);
		return;
	}
	call->applied = done;
	call->pod = pod_copy(pod);
	if (!call->pod)
		err_oom(&call->err);
	else if (check_running(pods, &call->err) == 0)
		pod_admit(call->pod, &call->err);
	if (call->err.code)
		answer_later(call);
	else
		units_status(pods->units, kubelet_unit, 1,
			     deadline_min(by, deadline_in_ms(KUBELET_MS)), on_kubelet_for_apply,
			     call);
}

void pods_delete(struct pods *pods, const char *namespace, const char *name, int64_t grace_s,
		 struct deadline by, pods_delete_fn *done, void *arg)
{
	struct apply_call *call = apply_new(pods, arg);
	struct worker *w = worker_find(pods, namespace, name);
	struct err err;

	(void)by;
	if (!call) {
		err_oom(&err);
		done(arg, NULL, &err);
		return;
	}
	call->deleted = done;
	if (!w) {
		err_set(&call->err, ERR_NOT_FOUND, 0,
			"no pod '%s' in namespace '%s' is kept by the agent", name, namespace);
		err_explain(&call->err, "POD_NOT_FOUND",
			    "'berth get pods -A' lists what there is, and where");
	} else if (check_running(pods, &call->err) == 0) {
		snprintf(call->uid, sizeof(call->uid), "%s", pod_uid(w->record.pod));
		want_deleted(w, grace_s, &call->err);
	}
	answer_later(call);
}
