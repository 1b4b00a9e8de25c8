/* Removes containers, then sandboxes with what they hold. */
#include "agent/pods/pods_impl.h"

#include "shared/base/log.h"

#include <stdlib.h>

/* How long a failed clean-up is left alone. */
#define LEAVE_ALONE_MS (60 * 1000)

struct removal {
	struct job base;
	struct strv containers;
	struct strv sandboxes;
	bool quietly;
	bool on_sandboxes;
};

static void removal_free(struct job *job)
{
	struct removal *r = (struct removal *)job;

	strv_release(&r->containers);
	strv_release(&r->sandboxes);
	free(r);
}

static void on_removed(void *arg, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct removal *r = (struct removal *)job;

	if (err && r->quietly) {
		log_debug("pods: clean-up: %s", err->msg);
		if (job->w)
			job->w->no_prune_before_ms = clock_now_ms() + LEAVE_ALONE_MS;
	} else if (err) {
		job_fail(job, err);
	}
	job_answered(job);
}

static void remove_containers(struct removal *r)
{
	for (size_t i = 0; i < r->containers.count; i++) {
		struct job_call *call = job_call(&r->base, i);

		if (call)
			runtime_remove_container(r->base.w->pods->runtime, r->containers.items[i],
						 deadline_in_ms(CALL_MS), on_removed, call);
	}
}

static void remove_sandboxes(struct removal *r)
{
	for (size_t i = 0; i < r->sandboxes.count; i++) {
		struct job_call *call = job_call(&r->base, i);

		if (call)
			runtime_remove_sandbox(r->base.w->pods->runtime, r->sandboxes.items[i],
					       deadline_in_ms(CALL_MS), on_removed, call);
	}
}

static void removal_next(struct job *job)
{
	struct removal *r = (struct removal *)job;

	if (!r->on_sandboxes && job_may_go_on(job)) {
		r->on_sandboxes = true;
		remove_sandboxes(r);
	}
	if (!job->pending)
		job_end(job);
}

void remove_start(struct worker *w, struct strv *take_containers, struct strv *take_sandboxes,
		  bool quietly)
{
	struct removal *r = job_new(w, sizeof(*r), removal_next, removal_free);
	struct err err;

	if (!r) {
		strv_release(take_containers);
		strv_release(take_sandboxes);
		err_oom(&err);
		worker_acted(w, &err, false);
		return;
	}
	r->containers = *take_containers;
	r->sandboxes = *take_sandboxes;
	*take_containers = *take_sandboxes = (struct strv){ 0 };
	r->quietly = quietly;
	remove_containers(r);
	if (!r->base.pending)
		removal_next(&r->base);
}
