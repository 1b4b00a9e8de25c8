/* Stops containers, wave by wave, all of a wave at once (PS-120, PS-129), then sandboxes. */
#include "agent/pods/pods_impl.h"

#include <stdlib.h>

struct kill {
	struct job base;
	struct kill_item *items;
	size_t count;
	struct strv sandboxes;
	size_t sandbox_at;
	unsigned wave;
	int64_t grace_s;
	int64_t started_ms;
	enum { STOP_CONTAINERS, REMOVE_UNKNOWN, STOP_SANDBOXES } stage;
};

static void kill_items_free(struct kill_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(items[i].id);
		free(items[i].name);
	}
	free(items);
}

static void kill_free(struct job *job)
{
	struct kill *k = (struct kill *)job;

	kill_items_free(k->items, k->count);
	strv_release(&k->sandboxes);
	free(k);
}

static void on_stopped(void *arg, const struct err *err)
{
	size_t i;
	struct job *job = job_answer(arg, &i);
	struct kill *k = (struct kill *)job;

	if (err && err->code != ERR_NOT_FOUND) {
		struct err wrapped = *err;

		worker_note(job->w, EVENT_WARNING, "FailedKillPod", "container %s: %s",
			    k->items[i].name, err->msg);
		err_wrap(&wrapped, "KillContainerError: stop container '%s'", k->items[i].name);
		job_fail(job, &wrapped);
		k->items[i].remove = false;
	}
	job_answered(job);
}

static void on_removed(void *arg, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);

	if (err)
		job_fail(job, err);
	job_answered(job);
}

static void on_sandbox_stopped(void *arg, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);

	if (err) {
		struct err wrapped = *err;

		err_wrap(&wrapped, "KillPodSandboxError");
		job_fail(job, &wrapped);
	}
	job_answered(job);
}

/* What the waves before have left of the grace (PS-129). */
static int64_t grace_left_s(const struct kill *k)
{
	int64_t spent_s = (clock_now_ms() - k->started_ms) / 1000;

	if (k->wave == 0 || k->grace_s <= 2)
		return k->grace_s;
	return k->grace_s - spent_s > 2 ? k->grace_s - spent_s : 2;
}

static void stop_wave(struct kill *k)
{
	struct runtime *rt = k->base.w->pods->runtime;
	int64_t grace_s = grace_left_s(k);
	struct deadline by = deadline_in_ms(grace_s * 1000 + CALL_MS);

	for (size_t i = 0; i < k->count; i++) {
		struct job_call *call;

		if (k->items[i].wave != k->wave)
			continue;
		call = job_call(&k->base, i);
		worker_note(k->base.w, EVENT_NORMAL, "Killing", "stopping container %s",
			    k->items[i].name);
		if (call)
			runtime_stop_container(rt, k->items[i].id, grace_s, by, on_stopped, call);
	}
}

static void remove_unknown(struct kill *k)
{
	for (size_t i = 0; i < k->count; i++) {
		struct job_call *call = k->items[i].remove ? job_call(&k->base, i) : NULL;

		if (call)
			runtime_remove_container(k->base.w->pods->runtime, k->items[i].id,
						 deadline_in_ms(CALL_MS), on_removed, call);
	}
}

static void stop_sandbox(struct kill *k)
{
	struct job_call *call = job_call(&k->base, k->sandbox_at);

	if (call)
		runtime_stop_sandbox(k->base.w->pods->runtime, k->sandboxes.items[k->sandbox_at],
				     deadline_in_ms(CALL_MS), on_sandbox_stopped, call);
	k->sandbox_at++;
}

static unsigned last_wave(const struct kill *k)
{
	unsigned last = 0;

	for (size_t i = 0; i < k->count; i++) {
		if (k->items[i].wave > last)
			last = k->items[i].wave;
	}
	return last;
}

/* One stage after the other until something is to be waited for. */
static void kill_next(struct job *job)
{
	struct kill *k = (struct kill *)job;

	while (job_may_go_on(job) && !job->pending) {
		if (k->stage == STOP_CONTAINERS && k->wave < last_wave(k)) {
			k->wave++;
			stop_wave(k);
		} else if (k->stage == STOP_CONTAINERS) {
			k->stage = REMOVE_UNKNOWN;
			remove_unknown(k);
		} else if (k->sandbox_at < k->sandboxes.count) {
			k->stage = STOP_SANDBOXES;
			stop_sandbox(k);
		} else {
			break;
		}
	}
	if (!job->pending)
		job_end(job);
}

void kill_start(struct worker *w, struct kill_item *take_items, size_t count,
		struct strv *take_sandboxes, int64_t grace_s)
{
	struct kill *k = job_new(w, sizeof(*k), kill_next, kill_free);
	struct err err;

	if (!k) {
		kill_items_free(take_items, count);
		strv_release(take_sandboxes);
		err_oom(&err);
		worker_acted(w, &err, false);
		return;
	}
	k->items = take_items;
	k->count = count;
	k->sandboxes = *take_sandboxes;
	*take_sandboxes = (struct strv){ 0 };
	k->grace_s = grace_s;
	k->started_ms = clock_now_ms();
	stop_wave(k);
	if (!k->base.pending)
		kill_next(&k->base);
}
