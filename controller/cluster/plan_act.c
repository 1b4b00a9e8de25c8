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
	struct strv earlier;   /* stops of the roles that stop first (CN-196) */
	struct strv this_role; /* stops of the role at hand */
	struct strv all_stopped;
	const char *thawed; /* id of the step that thaws the node at hand; NULL: none */
};

static struct step *add_own_step(struct acting *a, enum step_action action, const struct node *node)
{
	struct step *step = plan_add(a->plan, action, node->name);

	if (!step || !step_set_run_dir(step, node->run_dir))
		return NULL;
	step->role = node->role;
	return step;
}

/* What the engine has frozen hears nobody, neither the agent nor its end. */
static int add_engine_thaw(struct acting *a, const struct node *node, struct err *err)
{
	a->thawed = NULL;
	if (node->state != NODE_PAUSED)
		return 0;
	if (provider_plan_act(a->ctx->provider, STEP_CONTAINER_UNPAUSE, node->name, 0, a->plan,
			      err) < 0)
		return -1;
	a->thawed = plan_last(a->plan)->id;
	return 0;
}

/* On cgroup v1 what is frozen inside a node survives the node's SIGKILL, and the engine then waits for
 * it for ever: it is thawed by the agent, if that still answers. */
static int add_thaw(struct acting *a, const struct node *node, struct err *err)
{
	struct step *step;

	if (add_engine_thaw(a, node, err) < 0)
		return -1;
	if (node->state != NODE_RUNNING && node->state != NODE_PAUSED)
		return 0;
	step = add_own_step(a, STEP_UNPAUSE, node);
	if (!step)
		return err_oom(err);
	step->best_effort = true;
	if (a->thawed)
		strv_add(&step->after, a->thawed);
	a->thawed = step->id;
	return 0;
}

static void after_thaw(const struct acting *a, struct step *step)
{
	if (a->thawed)
		strv_add(&step->after, a->thawed);
}

/* Whatever runs is brought to rest first; a node that is half-started cannot be. */
static int add_stop(struct acting *a, const struct node *node, struct err *err)
{
	struct step *quiesce = NULL, *stop;

	if (node->state == NODE_STOPPED)
		return 0;
	if (add_engine_thaw(a, node, err) < 0)
		return -1;
	if (node->state == NODE_RUNNING || node->state == NODE_PAUSED) {
		quiesce = add_own_step(a, STEP_QUIESCE, node);
		if (!quiesce)
			return err_oom(err);
		quiesce->best_effort = true;
		after_thaw(a, quiesce);
		strv_add_all(&quiesce->after, &a->earlier);
	}
	if (provider_plan_act(a->ctx->provider, STEP_CONTAINER_STOP, node->name, GRACE_S, a->plan,
			      err) < 0)
		return -1;
	stop = plan_last(a->plan);
	if (quiesce)
		strv_add(&stop->after, quiesce->id);
	else
		strv_add_all(&stop->after, &a->earlier);
	strv_add(&a->this_role, stop->id);
	strv_add(&a->all_stopped, stop->id);
	return 0;
}

/* Workers, then control planes, then who stands before them. */
static int add_stops(struct acting *a, const struct node_list *nodes, struct err *err)
{
	static const enum node_role order[] = { NODE_WORKER, NODE_CONTROL_PLANE,
						NODE_LOAD_BALANCER };

	for (size_t round = 0; round < ARRAY_LEN(order); round++) {
		for (size_t i = 0; i < nodes->count; i++) {
			if (nodes->items[i]->role == order[round] &&
			    add_stop(a, nodes->items[i], err) < 0)
				return -1;
		}
		strv_add_all(&a->earlier, &a->this_role);
		strv_release(&a->this_role);
	}
	return 0;
}

/* The directory may be gone: a reboot empties state that lies on a tmpfs. */
static int add_start(struct acting *a, const struct node *node, struct err *err)
{
	struct step *directory, *start, *wait;

	a->thawed = NULL;
	if (a->all_stopped.count == 0 && add_engine_thaw(a, node, err) < 0)
		return -1;
	directory = add_own_step(a, STEP_DIRECTORY_CREATE, node);
	if (!directory)
		return err_oom(err);
	after_thaw(a, directory);
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
	if (add_thaw(a, node, err) < 0 || provider_plan_act(a->ctx->provider, STEP_CONTAINER_KILL,
							    node->name, 0, a->plan, err) < 0)
		return -1;
	after_thaw(a, plan_last(a->plan));
	return 0;
}

static int add_pause(struct acting *a, const struct node *node, struct err *err)
{
	if (node->role == NODE_LOAD_BALANCER || node->state != NODE_RUNNING)
		return 0;
	if (!add_own_step(a, STEP_PAUSE, node))
		return err_oom(err);
	return 0;
}

static int add_unpause(struct acting *a, const struct node *node, struct err *err)
{
	if (node->state != NODE_RUNNING && node->state != NODE_PAUSED)
		return 0;
	if (node->role == NODE_LOAD_BALANCER)
		return add_engine_thaw(a, node, err);
	if (add_thaw(a, node, err) < 0)
		return -1;
	plan_last(a->plan)->best_effort = false;
	return 0;
}

static int any_runs(const struct node_list *nodes, struct err *err)
{
	for (size_t i = 0; i < nodes->count; i++) {
		if (nodes->items[i]->state == NODE_RUNNING || nodes->items[i]->state == NODE_PAUSED)
			return 0;
	}
	err_set(err, ERR_FAILED_PRECONDITION, 0, "no node is running");
	return err_explain(err, "NODE_NOT_RUNNING", "'berth start cluster' starts them");
}

static int add_delete(struct acting *a, const struct node *node, struct err *err)
{
	struct step *directory;
	char *deleted;

	if (add_thaw(a, node, err) < 0 || provider_plan_act(a->ctx->provider, STEP_CONTAINER_DELETE,
							    node->name, 0, a->plan, err) < 0)
		return -1;
	after_thaw(a, plan_last(a->plan));
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

static int check_control_planes(const struct acting *a, const struct node_list *nodes,
				struct err *err)
{
	size_t left = 0, gone = 0, workers = 0;

	for (size_t i = 0; i < a->ctx->others->count; i++) {
		const struct node *node = a->ctx->others->items[i];
		bool goes = node_list_find(nodes, node->name) != NULL;

		if (node->role == NODE_CONTROL_PLANE)
			*(goes ? &gone : &left) += 1;
		workers += !goes && node->role == NODE_WORKER;
	}
	if (gone == 0 || left > 0 || workers == 0)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"cluster '%s' would be left with workers and no control plane", a->ctx->name);
	return err_explain(err, "LAST_CONTROL_PLANE",
			   "delete the workers first, or the whole cluster");
}

/* Before the node goes nobody is sent to it any more. Only a try: the balancer finds out by itself. */
static int add_balancer_update(struct acting *a, const struct node_list *nodes, struct err *err)
{
	const struct node *balancer = NULL;
	struct step *step;
	bool needed = false;

	for (size_t i = 0; i < nodes->count; i++)
		needed |= nodes->items[i]->role == NODE_CONTROL_PLANE;
	for (size_t i = 0; i < a->ctx->others->count; i++) {
		const struct node *node = a->ctx->others->items[i];

		if (node->role == NODE_LOAD_BALANCER && node->state == NODE_RUNNING &&
		    !node_list_find(nodes, node->name))
			balancer = node;
	}
	if (!needed || !balancer)
		return 0;
	step = add_own_step(a, STEP_BALANCER_CONFIGURE, balancer);
	if (!step)
		return err_oom(err);
	step->best_effort = true;
	for (size_t i = 0; i < a->ctx->others->count; i++) {
		const struct node *node = a->ctx->others->items[i];

		if (node->role == NODE_CONTROL_PLANE && !node_list_find(nodes, node->name))
			strv_addf(&step->backends, "%s=%s", node->name,
				  *node->ip    ? node->ip
				  : *node->ip6 ? node->ip6
					       : node->name);
	}
	return strv_failed(&step->backends) ? err_oom(err) : 0;
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
		if (!whole_cluster && a->ctx->others &&
		    (check_control_planes(a, nodes, err) < 0 ||
		     add_balancer_update(a, nodes, err) < 0))
			return -1;
		if (each(a, nodes, add_delete, err) < 0)
			return -1;
		return whole_cluster ? add_cluster_delete(a, err) : 0;
	case CLUSTER_PAUSE:
		return any_runs(nodes, err) < 0 ? -1 : each(a, nodes, add_pause, err);
	case CLUSTER_UNPAUSE:
		return any_runs(nodes, err) < 0 ? -1 : each(a, nodes, add_unpause, err);
	}
	return err_set(err, ERR_INTERNAL, 0, "no such action: %d", (int)action);
}

int cluster_plan_act(const struct cluster_ctx *ctx, enum cluster_action action,
		     const struct node_list *nodes, bool whole_cluster, struct plan *ret_plan,
		     struct err *err)
{
	struct plan plan = { .each_node = true };
	struct acting a = { .ctx = ctx, .plan = &plan };
	int rc = add_action(&a, action, nodes, whole_cluster, err);

	for (size_t i = 0; rc == 0 && i < plan.count; i++) {
		if (strv_failed(&plan.steps[i]->after))
			rc = err_oom(err);
	}
	strv_release(&a.earlier);
	strv_release(&a.this_role);
	strv_release(&a.all_stopped);
	if (rc < 0) {
		plan_release(&plan);
		return -1;
	}
	*ret_plan = plan;
	return 0;
}
