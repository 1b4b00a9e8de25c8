#include "agent/pods/pods_impl.h"

#include <stdlib.h>
#include <string.h>

void *job_new(struct worker *w, size_t size, void (*next)(struct job *), void (*free)(struct job *))
{
	struct job *job = calloc(1, size);

	if (!job)
		return NULL;
	job->w = w;
	job->next = next;
	job->free = free;
	w->job = job;
	return job;
}

void job_fail(struct job *job, const struct err *err)
{
	if (!job->err.code)
		job->err = *err;
}

struct job_call *job_call(struct job *job, size_t index)
{
	struct job_call *call = malloc(sizeof(*call));
	struct err err;

	if (!call) {
		err_oom(&err);
		job_fail(job, &err);
		return NULL;
	}
	*call = (struct job_call){ .job = job, .index = index };
	job->pending++;
	return call;
}

struct job *job_answer(struct job_call *call, size_t *ret_index)
{
	struct job *job = call->job;

	if (ret_index)
		*ret_index = call->index;
	free(call);
	return job;
}

void job_answered(struct job *job)
{
	if (--job->pending == 0)
		job->next(job);
}

bool job_may_go_on(const struct job *job)
{
	return job->w && !job->w->pods->paused;
}

void job_end(struct job *job)
{
	struct worker *w = job->w;
	struct err err = job->err;
	bool waits = job->waits;

	if (w)
		w->job = NULL;
	job->free(job);
	if (w)
		worker_acted(w, err.code ? &err : NULL, waits);
}

bool name_is_reserved(const struct err *err)
{
	return err->code == ERR_ALREADY_EXISTS || strstr(err->msg, "is reserved for");
}
