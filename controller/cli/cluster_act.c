#include "controller/cli/cluster_act.h"

#include "controller/cli/plan_print.h"

const char *cluster_action_result(enum cluster_action action)
{
	static const char *const results[] = {
		[CLUSTER_START] = "started",     [CLUSTER_STOP] = "stopped",
		[CLUSTER_RESTART] = "restarted", [CLUSTER_KILL] = "killed",
		[CLUSTER_DELETE] = "deleted",    [CLUSTER_PAUSE] = "paused",
		[CLUSTER_UNPAUSE] = "unpaused",
	};

	return results[action];
}

/* Several errors of one node are one too many. */
static void tell(struct invocation *inv, const struct err_list *failures, struct strv *failed)
{
	for (size_t i = 0; i < failures->count; i++) {
		const struct err *err = &failures->items[i];

		if (strv_has(failed, err->node))
			continue;
		strv_add(failed, err->node);
		invocation_fail(inv, err);
	}
}

static int carry_out(const struct cluster_ctx *ctx, enum cluster_action action,
		     const struct plan *plan, const struct node_list *nodes, bool whole,
		     struct err *err)
{
	if (action == CLUSTER_DELETE)
		return cluster_delete(ctx, nodes, whole, err);
	return cluster_apply(ctx, plan, false, err);
}

int cluster_act(struct invocation *inv, const char *name, enum cluster_action action,
		const struct node_list *nodes, const struct node_list *others, bool whole,
		bool *ret_done, struct strv *ret_failed, struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };
	cleanup_with(err_list) struct err_list failures = { 0 };
	struct cluster_ctx ctx;
	int rc;

	if (invocation_cluster_ctx(inv, name, &ctx, err) < 0)
		return -1;
	ctx.failures = &failures;
	ctx.others = others;
	ctx.namespaces = &inv->opt->namespaces;
	if (cluster_plan_act(&ctx, action, nodes, whole, &plan, err) < 0)
		return -1;
	*ret_done = !inv->opt->dry_run;
	if (inv->opt->dry_run)
		return plan_print(inv->out, invocation_format(inv), &plan, err);
	rc = carry_out(&ctx, action, &plan, nodes, whole, err);
	if (rc < 0 && (failures.count == 0 || err->code == ERR_CANCELLED))
		return -1;
	tell(inv, &failures, ret_failed);
	return 0;
}
