/* Makes the pod's sandbox (PS-102). */
#include "agent/pods/pods_impl.h"

#include <stdlib.h>
#include <string.h>

struct sandbox_job {
	struct job base;
	uint32_t attempt;
};

static void sandbox_job_free(struct job *job)
{
	free(job);
}

static void sandbox_job_next(struct job *job)
{
	job_end(job);
}

/* A RunPodSandbox of before that still goes on, or left its name behind: look again, it may turn up;
 * when it does not, take the next attempt. */
static void note_refusal(struct worker *w, uint32_t attempt)
{
	int64_t now_ms = clock_now_ms();

	if (!w->refused_ms)
		w->refused_ms = now_ms;
	if (now_ms - w->refused_ms >= RESERVED_MS) {
		w->min_attempt = attempt + 1;
		w->refused_ms = 0;
	}
}

static void on_sandbox(void *arg, const char *id, const struct err *err)
{
	struct job *job = job_answer(arg, NULL);
	struct sandbox_job *s = (struct sandbox_job *)job;

	(void)id;
	if (err) {
		struct err wrapped = *err;

		if (job->w && name_is_reserved(err))
			note_refusal(job->w, s->attempt);
		worker_note(job->w, EVENT_WARNING, "FailedCreatePodSandBox", "%s", err->msg);
		err_wrap(&wrapped, "CreatePodSandboxError");
		job_fail(job, &wrapped);
	} else if (job->w) {
		job->w->refused_ms = 0;
	}
	job_answered(job);
}

static int sandbox_make(struct worker *w, struct sandbox_job *s, struct err *err)
{
	struct sandbox_request req = { 0 };
	struct node_facts facts;
	struct job_call *call;
	int result;

	node_facts_get(w, &facts);
	result = volumes_prepare(w, &facts.node, err);
	if (result == 0)
		result = render_sandbox(w->record.pod, s->attempt, &facts.node, &req, err);
	node_facts_release(&facts);
	if (result < 0) {
		worker_note(w, EVENT_WARNING, "FailedCreatePodSandBox", "%s", err->msg);
		return err_wrap(err, "CreatePodSandboxError");
	}
	call = job_call(&s->base, 0);
	if (call)
		runtime_run_sandbox(w->pods->runtime, &req, deadline_in_ms(CALL_MS), on_sandbox,
				    call);
	sandbox_request_release(&req);
	return call ? 0 : err_oom(err);
}

void sandbox_start(struct worker *w, uint32_t attempt)
{
	struct sandbox_job *s = job_new(w, sizeof(*s), sandbox_job_next, sandbox_job_free);
	struct err err;

	if (!s) {
		err_oom(&err);
		worker_acted(w, &err, false);
		return;
	}
	s->attempt = attempt < w->min_attempt ? w->min_attempt : attempt;
	if (sandbox_make(w, s, &err) < 0) {
		job_fail(&s->base, &err);
		job_end(&s->base);
	}
}
