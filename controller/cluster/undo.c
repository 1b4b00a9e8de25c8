/*
 * After a failure: remove what the run's steps made, and nothing else (CN-271 to CN-275). What the engine
 * lists as this cluster's is believed, not what we remember: a create that was ended half-way may have
 * made its container or not, and a container of the same name may be somebody else's.
 */
#include "controller/cluster/apply.h"
#include "controller/cluster/store.h"
#include "controller/trust/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNDO_MS 60000
#define ROUNDS  2

static const struct step_state *state_of(const struct run *run, enum step_action action,
					 const char *node)
{
	for (size_t i = 0; i < run->plan->count; i++) {
		const struct step *step = run->plan->steps[i];

		if (step->action == action && strcmp(step->node, node) == 0)
			return &run->states[i];
	}
	return NULL;
}

static bool was_started(const struct step_state *state)
{
	return state && state->outcome != OUTCOME_NOT_STARTED;
}

static bool failed_with(const struct step_state *state, const char *reason)
{
	return state && state->outcome == OUTCOME_FAILED && strcmp(state->err.reason, reason) == 0;
}

/* The name belonged to somebody else all along. */
static bool is_theirs(const struct run *run, const char *node)
{
	return failed_with(state_of(run, STEP_CONTAINER_CREATE, node), "NAME_IN_USE");
}

static bool made_container(const struct run *run, const char *node)
{
	return was_started(state_of(run, STEP_CONTAINER_CREATE, node)) && !is_theirs(run, node);
}

static int plan_containers(const struct run *run, const struct node_list *present,
			   struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < present->count; i++) {
		const char *name = present->items[i]->name;

		if (made_container(run, name) &&
		    provider_plan_act(run->ctx->provider, STEP_CONTAINER_DELETE, name, 0, plan,
				      err) < 0)
			return -1;
	}
	return 0;
}

/* When the engine does not even list: what it said it had made. */
static int plan_made(const struct run *run, struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < run->plan->count; i++) {
		const struct step *step = run->plan->steps[i];

		if (step->action == STEP_CONTAINER_CREATE &&
		    run->states[i].outcome == OUTCOME_DONE &&
		    provider_plan_act(run->ctx->provider, STEP_CONTAINER_DELETE, step->node, 0,
				      plan, err) < 0)
			return -1;
	}
	return 0;
}

/* Runs a plan of deletions: each is tried whatever becomes of the others. */
static void carry_out(const struct run *failed, const struct plan *plan, struct deadline by)
{
	struct run run = { .ctx = failed->ctx, .plan = plan, .by = by, .keep_going = true };
	struct err err;

	if (plan->count == 0)
		return;
	run.states = calloc(plan->count, sizeof(*run.states));
	if (!run.states)
		return;
	pthread_mutex_init(&run.progress_lock, NULL);
	if (run_plan(&run, &err) < 0)
		run_tell(&run, PROGRESS_NOTE, NULL, 0, err.msg);
	pthread_mutex_destroy(&run.progress_lock);
	free(run.states);
}

/* True when nothing is left to remove. */
static bool remove_containers(const struct run *run, struct deadline by)
{
	cleanup_with(plan) struct plan plan = { 0 };
	struct node_list present = { 0 };
	struct err err;
	bool nothing, listed;
	int rc;

	listed = provider_list(run->ctx->provider, run->ctx->name, by, &present, &err) == 0;
	rc = listed ? plan_containers(run, &present, &plan, &err) : plan_made(run, &plan, &err);
	if (rc < 0)
		run_tell((struct run *)run, PROGRESS_NOTE, NULL, 0, err.msg);
	node_list_release(&present);
	nothing = listed && plan.count == 0;
	carry_out(run, &plan, by);
	return nothing;
}

static bool any_container(const struct run *run)
{
	for (size_t i = 0; i < run->plan->count; i++) {
		if (run->plan->steps[i]->action == STEP_CONTAINER_CREATE &&
		    made_container(run, run->plan->steps[i]->node))
			return true;
	}
	return false;
}

/* A network whose making failed is not there, or somebody else's; one whose making was cut short may
 * be. Ours and unused is what the provider makes sure of. */
static bool made_network(const struct run *run)
{
	const struct step_state *state = state_of(run, STEP_NETWORK_CREATE, "");

	if (!was_started(state))
		return any_container(run);
	return state->outcome != OUTCOME_FAILED || state->err.code == ERR_CANCELLED ||
	       state->err.code == ERR_DEADLINE_EXCEEDED;
}

static void remove_network(const struct run *run, struct deadline by)
{
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	if (made_network(run) &&
	    provider_plan_network_delete(run->ctx->provider, run->ctx->name, &plan, &err) == 0)
		carry_out(run, &plan, by);
}

static void remove_directories(const struct run *run)
{
	for (size_t i = 0; i < run->plan->count; i++) {
		const struct step *step = run->plan->steps[i];
		struct err ignored;

		if (step->action == STEP_DIRECTORY_CREATE && was_started(&run->states[i]) &&
		    !is_theirs(run, step->node)) {
			trust_forget_node(run->ctx->state_dir, run->ctx->name, step->node,
					  &ignored);
			store_node_delete(run->ctx->state_dir, step->node, &ignored);
		}
	}
}

static bool any_work(const struct run *run)
{
	for (size_t i = 0; i < run->plan->count; i++) {
		enum step_action action = run->plan->steps[i]->action;

		if (was_started(&run->states[i]) &&
		    (action == STEP_NETWORK_CREATE || action == STEP_DIRECTORY_CREATE))
			return true;
	}
	return false;
}

void undo_run(const struct run *run)
{
	struct deadline by = deadline_in_ms(UNDO_MS);

	if (!any_work(run))
		return;
	run_tell((struct run *)run, PROGRESS_NOTE, NULL, 0, "removing what was made");
	/* Twice: a create that was ended late may show its container only now (CN-271). */
	for (int round = 0; any_container(run) && round < ROUNDS; round++) {
		if (remove_containers(run, by))
			break;
	}
	remove_network(run, by);
	remove_directories(run);
}
