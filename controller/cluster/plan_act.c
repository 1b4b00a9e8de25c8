/*
 * Plans for nodes that exist: start, stop, restart, kill, delete. Pure.
 */
#include "controller/cluster/cluster.h"
#include "controller/cluster/store.h"

#include <stdlib.h>
#include <string.h>

#define GRACE_S 10

struct acting {
	const struct cluster_ctx *ctx;
	struct plan *plan;
	struct strv workers_stopped; /* ids that a control plane's stop waits for (CN-196) */
	struct strv all_stopped;
};

static struct step *add_own_step(struct acting *a, enum step_action action, const struct node *node)
{
	struct step *step = plan_add(a->plan, action, node->name);

	if (!step || !step_set_run_dir(step, node->run_dir))
		return NULL;
	step->role = node->role;
	return step;
}

/* Whatever runs is brought to rest first; a node that is paused or half-started cannot be, so it is
 * ended the fast way. */
static int add_stop(struct acting *a, const struct node *node, struct err *err)
{
	bool control_plane = node->role == NODE_CONTROL_PLANE;
	bool running = node->state == NODE_RUNNING;
	struct step *quiesce = NULL, *stop;

	if (node->state == NODE_STOPPED)
		return 0;
	if (running) {
		quiesce = add_own_step(a, STEP_QUIESCE, node);
		if (!quiesce)
			return err_oom(err);
		quiesce->best_effort = true;
		if (control_plane)
			strv_add_all(&quiesce->after, &a->workers_stopped);
	}
	if (provider_plan_act(a->ctx->provider,
			      node->state == NODE_PAUSED ? STEP_CONTAINER_KILL
							 : STEP_CONTAINER_STOP,
			      node->name, GRACE_S, a->plan, err) < 0)
		return -1;
	stop = plan_last(a->plan);
	if (quiesce)
		strv_add(&stop->after, quiesce->id);
	else if (control_plane)
		strv_add_all(&stop->after, &a->workers_stopped);
	if (!control_plane)
		strv_add(&a->workers_stopped, stop->id);
	strv_add(&a->all_stopped, stop->id);
	return 0;
}

/* Workers, then control planes. */
static int add_stops(struct acting *a, const struct node_list *nodes, struct err *err)
{
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < nodes->count; i++) {
			enum node_role role = round ? NODE_CONTROL_PLANE : NODE_WORKER;

			if (nodes->items[i]->role == role && add_stop(a, nodes->items[i], err) < 0)
				return -1;
		}
	}
	return 0;
}

/* The directory may be gone: a reboot empties state that lies on a tmpfs. */
static int add_start(struct acting *a, const struct node *node, struct err *err)
{
	struct step *directory = add_own_step(a, STEP_DIRECTORY_CREATE, node);
	struct step *start, *wait;

	if (!directory)
		return err_oom(err);
	directory->agent_tls = node_tls_port(node) != NULL;
	if (provider_plan_act(a->ctx->provider, STEP_CONTAINER_START, node->name, 0, a->plan, err) <
	    0)
		return -1;
	start = plan_last(a->plan);
	strv_add(&start->after, directory->id);
	strv_add_all(&start->after, &a->all_stopped);
	wait = add_own_step(a, STEP_WAIT_READY, node);
	if (!wait)
		return err_oom(err);
	strv_add(&wait->after, start->id);
	return 0;
}

static int add_kill(struct acting *a, const struct node *node, struct err *err)
{
	if (node->state == NODE_STOPPED)
		return 0;
	return provider_plan_act(a->ctx->provider, STEP_CONTAINER_KILL, node->name, 0, a->plan,
				 err);
}

static int add_delete(struct acting *a, const struct node *node, struct err *err)
{
	struct step *directory;
	char *deleted;

	if (provider_plan_act(a->ctx->provider, STEP_CONTAINER_DELETE, node->name, 0, a->plan,
			      err) < 0)
		return -1;
	deleted = plan_last(a->plan)->id;
	strv_add(&a->all_stopped, deleted);
	directory = add_own_step(a, STEP_DIRECTORY_DELETE, node);
	if (!directory)
		return err_oom(err);
	strv_add(&directory->after, deleted);
	return 0;
}

/* Network and remembered nodes; also when the engine knows no node any more. */
static int add_cluster_delete(struct acting *a, struct err *err)
{
	struct step *directories;

	if (provider_plan_network_delete(a->ctx->provider, a->ctx->name, a->plan, err) < 0)
		return -1;
	strv_add_all(&plan_last(a->plan)->after, &a->all_stopped);
	directories = plan_add(a->plan, STEP_DIRECTORY_DELETE, NULL);
	if (!directories)
		return err_oom(err);
	strv_add_all(&directories->after, &a->all_stopped);
	return 0;
}

static int each(struct acting *a, const struct node_list *nodes,
		int (*add)(struct acting *a, const struct node *node, struct err *err),
		struct err *err)
{
	for (size_t i = 0; i < nodes->count; i++) {
		if (add(a, nodes->items[i], err) < 0)
			return -1;
	}
	return 0;
}

static int add_action(struct acting *a, enum cluster_action action, const struct node_list *nodes,
		      bool whole_cluster, struct err *err)
{
	switch (action) {
	case CLUSTER_START:
		return each(a, nodes, add_start, err);
	case CLUSTER_STOP:
		return add_stops(a, nodes, err);
	case CLUSTER_RESTART:
		return add_stops(a, nodes, err) < 0 ? -1 : each(a, nodes, add_start, err);
	case CLUSTER_KILL:
		return each(a, nodes, add_kill, err);
	case CLUSTER_DELETE:
		if (each(a, nodes, add_delete, err) < 0)
			return -1;
		return whole_cluster ? add_cluster_delete(a, err) : 0;
	}
	return err_set(err, ERR_INTERNAL, 0, "no such action: %d", (int)action);
}

int cluster_plan_act(const struct cluster_ctx *ctx, enum cluster_action action,
		     const struct node_list *nodes, bool whole_cluster, struct plan *ret_plan,
		     struct err *err)
{
	struct plan plan = { 0 };
	struct acting a = { .ctx = ctx, .plan = &plan };
	int rc = add_action(&a, action, nodes, whole_cluster, err);

	for (size_t i = 0; rc == 0 && i < plan.count; i++) {
		if (strv_failed(&plan.steps[i]->after))
			rc = err_oom(err);
	}
	strv_release(&a.workers_stopped);
	strv_release(&a.all_stopped);
	if (rc < 0) {
		plan_release(&plan);
		return -1;
	}
	*ret_plan = plan;
	return 0;
}
