#include "controller/cli/cluster_act.h"

#include "controller/cli/plan_print.h"

const char *cluster_action_result(enum cluster_action action)
{
	static const char *const results[] = {
		[CLUSTER_START] = "started",     [CLUSTER_STOP] = "stopped",
		[CLUSTER_RESTART] = "restarted", [CLUSTER_KILL] = "killed",
		[CLUSTER_DELETE] = "deleted",
	};

	return results[action];
}

int cluster_act(struct invocation *inv, const char *name, enum cluster_action action,
		const struct node_list *nodes, bool whole, bool *ret_done, struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };
	struct cluster_ctx ctx;

	if (invocation_cluster_ctx(inv, name, &ctx, err) < 0 ||
	    cluster_plan_act(&ctx, action, nodes, whole, &plan, err) < 0)
		return -1;
	if (inv->opt->dry_run) {
		if (plan_print(inv->out, invocation_format(inv), &plan, err) < 0)
			return -1;
		*ret_done = false;
		return 0;
	}
	if (cluster_apply(&ctx, &plan, false, err) < 0)
		return -1;
	*ret_done = true;
	return 0;
}
