#include "controller/cluster/cluster.h"
#include "controller/cluster/ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 5

/* What is to be made, and what earlier attempts have taught. */
struct attempt {
	const struct cluster_ctx *ctx;
	const struct create_options *options;
	const struct cluster_config *config; /* a whole cluster, or ... */
	const struct node_config *node;      /* ... one more node */
	struct strv bad_subnets;
	struct strv bad_ips;
};

static int plan_found(struct attempt *a, const struct cluster_found *found,
		      const struct cluster_config *config, struct plan *ret_plan, struct err *err)
{
	if (a->node)
		return cluster_plan_add_node(a->ctx, &config->nodes[0], a->options, found, ret_plan,
					     err);
	return cluster_plan_create(a->ctx, config, a->options, found, ret_plan, err);
}

/* The ports are chosen last: the less time passes until the engine takes them, the better. */
static int prepare(struct attempt *a, struct plan *ret_plan, struct err *err)
{
	struct cluster_config one = { .nodes = (struct node_config *)a->node, .node_count = 1 };
	struct cluster_found found;
	struct ported_config ported;
	int rc;

	if (cluster_find(a->ctx, &found, err) < 0)
		return -1;
	strv_add_all(&found.bad_subnets, &a->bad_subnets);
	strv_add_all(&found.bad_ips, &a->bad_ips);
	rc = ports_choose(a->node ? &one : a->config, &ported, err);
	if (rc == 0) {
		rc = plan_found(a, &found, &ported.config, ret_plan, err);
		ported_config_release(&ported);
	}
	cluster_found_release(&found);
	return rc;
}

/* "--subnet=S" of the network's step, "--ip=A" of the node's. */
static void remember(const struct plan *plan, enum step_action action, const char *node,
		     const char *option, struct strv *bad)
{
	size_t len = strlen(option);

	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = plan->steps[i];

		if (step->action != action || (*node && strcmp(step->node, node) != 0))
			continue;
		for (size_t k = 0; k < step->argv.count; k++) {
			if (strncmp(step->argv.items[k], option, len) == 0)
				strv_add(bad, step->argv.items[k] + len);
		}
	}
}

/* Whether the failure was of the kind that another choice avoids. */
static bool learn(struct attempt *a, const struct plan *plan, const struct err *err)
{
	if (strcmp(err->reason, "SUBNET_TAKEN") == 0 || strcmp(err->reason, "GATEWAY_TAKEN") == 0) {
		remember(plan, STEP_NETWORK_CREATE, "", "--subnet=", &a->bad_subnets);
		return true;
	}
	if (strcmp(err->reason, "IP_IN_USE") == 0) {
		remember(plan, STEP_CONTAINER_CREATE, err->node, "--ip=", &a->bad_ips);
		return true;
	}
	return strcmp(err->reason, "PORT_IN_USE") == 0;
}

/* Ports of the user's own choice will not be free the next time either. */
static bool has_free_choice(const struct attempt *a)
{
	const struct node_config *nodes = a->node ? a->node : a->config->nodes;
	size_t count = a->node ? 1 : a->config->node_count;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < nodes[i].port_count; k++) {
			if (nodes[i].ports[k].host_port == 0)
				return true;
		}
	}
	return false;
}

static bool is_worth_another(struct attempt *a, const struct plan *plan, const struct err *err)
{
	if (!learn(a, plan, err))
		return false;
	/* A refused subnet comes before any node; of the rest, what is retained is in the way. */
	if (a->options->retain && strcmp(err->reason, "SUBNET_TAKEN") != 0)
		return false;
	return strcmp(err->reason, "PORT_IN_USE") != 0 || has_free_choice(a);
}

static void note(const struct cluster_ctx *ctx, const char *text)
{
	const struct progress_event event = { .kind = PROGRESS_NOTE, .text = text };

	if (ctx->progress)
		ctx->progress->event(ctx->progress->arg, &event);
}

static int make(struct attempt *a, struct err *err)
{
	int rc;

	for (int tries = 1;; tries++) {
		struct plan plan;
		bool again;

		rc = prepare(a, &plan, err);
		if (rc < 0)
			break;
		rc = cluster_apply(a->ctx, &plan, !a->options->retain, err);
		again = rc < 0 && tries < ATTEMPTS && is_worth_another(a, &plan, err);
		plan_release(&plan);
		if (!again)
			break;
		note(a->ctx, err->msg);
	}
	strv_release(&a->bad_subnets);
	strv_release(&a->bad_ips);
	return rc;
}

int cluster_prepare_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
			   const struct create_options *options, struct plan *ret_plan,
			   struct err *err)
{
	struct attempt a = { .ctx = ctx, .options = options, .config = config };

	return prepare(&a, ret_plan, err);
}

int cluster_prepare_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
			     const struct create_options *options, struct plan *ret_plan,
			     struct err *err)
{
	struct attempt a = { .ctx = ctx, .options = options, .node = node };

	return prepare(&a, ret_plan, err);
}

int cluster_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
		   const struct create_options *options, struct err *err)
{
	struct attempt a = { .ctx = ctx, .options = options, .config = config };

	return make(&a, err);
}

int cluster_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
		     const struct create_options *options, struct err *err)
{
	struct attempt a = { .ctx = ctx, .options = options, .node = node };

	return make(&a, err);
}
