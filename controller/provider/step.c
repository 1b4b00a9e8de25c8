#include "controller/provider/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What --dry-run prints, and how ids begin. */
static const struct {
	const char *name;
	const char *id;
} actions[] = {
	[STEP_IMAGE_CHECK] = { "image-check", "image" },
	[STEP_IMAGE_PULL] = { "image-pull", "pull" },
	[STEP_NETWORK_CREATE] = { "network-create", "network" },
	[STEP_NETWORK_DELETE] = { "network-delete", "network-delete" },
	[STEP_VOLUME_DELETE] = { "volume-delete", "volume-delete" },
	[STEP_DIRECTORY_CREATE] = { "directory-create", "directory" },
	[STEP_DIRECTORY_DELETE] = { "directory-delete", "directory-delete" },
	[STEP_CONTAINER_CREATE] = { "container-create", "create" },
	[STEP_CONTAINER_START] = { "container-start", "start" },
	[STEP_CONTAINER_STOP] = { "container-stop", "stop" },
	[STEP_CONTAINER_KILL] = { "container-kill", "kill" },
	[STEP_CONTAINER_UNPAUSE] = { "container-unpause", "thaw" },
	[STEP_CONTAINER_DELETE] = { "container-delete", "delete" },
	[STEP_WAIT_READY] = { "wait-ready", "ready" },
	[STEP_QUIESCE] = { "quiesce", "quiesce" },
	[STEP_PAUSE] = { "pause", "pause" },
	[STEP_UNPAUSE] = { "unpause", "unpause" },
	[STEP_BALANCER_CONFIGURE] = { "balancer-configure", "balancer" },
};

const char *step_action_name(enum step_action action)
{
	if ((size_t)action >= ARRAY_LEN(actions))
		return "unknown";
	return actions[action].name;
}

static void step_free(struct step *step)
{
	if (!step)
		return;
	free(step->id);
	free(step->node);
	free(step->run_dir);
	strv_release(&step->argv);
	strv_release(&step->env);
	strv_release(&step->after);
	strv_release(&step->backends);
	free(step);
}

DEFINE_CLEANUP(step, struct step *, step_free)

/* "create/berth-worker"; a second of the kind is "image-2". */
static char *new_id(const struct plan *plan, enum step_action action, const char *node)
{
	const char *slash = *node ? "/" : "";

	for (int nth = 1;; nth++) {
		char suffix[16] = "";
		char *id;

		if (nth > 1)
			snprintf(suffix, sizeof(suffix), "-%d", nth);
		id = text_format("%s%s%s%s", actions[action].id, slash, node, suffix);
		if (!id || !plan_find(plan, id))
			return id;
		free(id);
	}
}

struct step *plan_add(struct plan *plan, enum step_action action, const char *node)
{
	cleanup_with(step) struct step *step = calloc(1, sizeof(*step));
	struct step **steps;

	if (!step)
		return NULL;
	step->action = action;
	step->node = strdup(node ? node : "");
	step->run_dir = strdup("");
	if (step->node)
		step->id = new_id(plan, action, step->node);
	if (!step->id || !step->run_dir)
		return NULL;
	steps = realloc(plan->steps, (plan->count + 1) * sizeof(*steps));
	if (!steps)
		return NULL;
	plan->steps = steps;
	plan->steps[plan->count++] = step;
	return TAKE(step);
}

struct step *plan_last(const struct plan *plan)
{
	return plan->steps[plan->count - 1];
}

bool step_set_run_dir(struct step *step, const char *run_dir)
{
	char *copy = strdup(run_dir);

	if (!copy)
		return false;
	free(step->run_dir);
	step->run_dir = copy;
	return true;
}

struct step *plan_find(const struct plan *plan, const char *id)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (strcmp(plan->steps[i]->id, id) == 0)
			return plan->steps[i];
	}
	return NULL;
}

void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		step_free(plan->steps[i]);
	free(plan->steps);
	strv_release(&plan->warnings);
	*plan = (struct plan){ 0 };
}
