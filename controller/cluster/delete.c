#include "controller/cluster/cluster.h"

#include <stdlib.h>

#define ROUNDS 3

static int delete_once(const struct cluster_ctx *ctx, const struct node_list *nodes,
		       bool whole_cluster, struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };

	if (cluster_plan_act(ctx, CLUSTER_DELETE, nodes, whole_cluster, &plan, err) < 0)
		return -1;
	return cluster_apply(ctx, &plan, false, err);
}

int cluster_delete(const struct cluster_ctx *ctx, const struct node_list *nodes, bool whole_cluster,
		   struct err *err)
{
	if (delete_once(ctx, nodes, whole_cluster, err) < 0)
		return -1;
	for (int round = 1; whole_cluster && round < ROUNDS; round++) {
		cleanup_with(node_list) struct node_list late = { 0 };

		if (provider_list(ctx->provider, ctx->name, ctx->by, &late, err) < 0)
			return -1;
		if (late.count == 0)
			break;
		if (delete_once(ctx, &late, true, err) < 0)
			return -1;
	}
	return 0;
}

void err_list_release(struct err_list *list)
{
	free(list->items);
	*list = (struct err_list){ 0 };
}
