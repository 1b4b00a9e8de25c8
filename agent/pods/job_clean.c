/* Removes the pod's directories, then the pod: its record goes last, so that a kill in between leaves
 * nothing behind. They may hold anything, so a program beside the loop empties them. */
#include "agent/pods/pods_impl.h"

#include "agent/pods/helper.h"

#include <stdlib.h>

#define CLEAN_MS (10 * 60 * 1000)

struct clean {
	struct job base;
	struct helper *helper;
};

static void clean_free(struct job *job)
{
	struct clean *c = (struct clean *)job;

	if (c->helper)
		helper_cancel(c->helper);
	free(c);
}

static void on_clean(void *arg, const struct err *err)
{
	struct clean *c = arg;
	struct worker *w = c->base.w;

	c->helper = NULL;
	if (err) {
		job_fail(&c->base, err);
		job_end(&c->base);
		return;
	}
	w->job = NULL;
	clean_free(&c->base);
	worker_forget(w);
}

void clean_start(struct worker *w)
{
	const K8s__Core__V1__Pod *pod = w->record.pod;
	cleanup_free char *volumes = text_format("%s/%s", w->pods->volumes_dir, pod_uid(pod));
	cleanup_free char *logs = text_format("%s/%s_%s_%s", w->pods->logs_dir, pod_namespace(pod),
					      pod_name(pod), pod_uid(pod));
	const char *argv[] = { "rm", "-rf", "--one-file-system", "--", volumes, logs, NULL };
	struct clean *c;
	struct err err;

	if (volumes && logs && access(volumes, F_OK) < 0 && access(logs, F_OK) < 0) {
		worker_forget(w);
		return;
	}
	c = job_new(w, sizeof(*c), NULL, clean_free);
	if (c && volumes && logs) {
		c->base.cancel = clean_free;
		c->helper =
			helper_start(w->pods->loop, argv, deadline_in_ms(CLEAN_MS), on_clean, c);
		if (c->helper)
			return;
	}
	err_oom(&err);
	w->job = NULL;
	free(c);
	worker_acted(w, &err, false);
}
