#include "controller/cluster/cluster.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 3

static int delete_once(const struct cluster_ctx *ctx, const struct node_list *nodes,
		       bool whole_cluster, struct err *err)
{
	cleanup_with(plan) struct plan plan = { 0 };

	if (cluster_plan_act(ctx, CLUSTER_DELETE, nodes, whole_cluster, &plan, err) < 0)
		return -1;
	return cluster_apply(ctx, &plan, false, err);
}

static bool has_new(const struct node_list *now, const struct node_list *before)
{
	for (size_t i = 0; i < now->count; i++) {
		if (!node_list_find(before, now->items[i]->name))
			return true;
	}
	return false;
}

/* A network that a late node was in could not go with the first round: what failed there is told only when
 * nothing new has shown up. */
static int delete_late(const struct cluster_ctx *ctx, const struct node_list *before, int rc,
		       int rounds, struct err *err)
{
	cleanup_with(node_list) struct node_list now = { 0 };
	struct err why;

	if (rounds == 0 || err->code == ERR_CANCELLED || strcmp(err->reason, "CLUSTER_BUSY") == 0)
		return rc;
	if (provider_list(ctx->provider, ctx->name, ctx->by, &now, &why) < 0) {
		if (rc == 0)
			*err = why;
		return -1;
	}
	if (!has_new(&now, before))
		return rc;
	if (ctx->failures)
		ctx->failures->count = 0;
	memset(err, 0, sizeof(*err));
	rc = delete_once(ctx, &now, true, err);
	return delete_late(ctx, &now, rc, rounds - 1, err);
}

int cluster_delete(const struct cluster_ctx *ctx, const struct node_list *nodes, bool whole_cluster,
		   struct err *err)
{
	int rc;

	memset(err, 0, sizeof(*err));
	rc = delete_once(ctx, nodes, whole_cluster, err);
	return whole_cluster ? delete_late(ctx, nodes, rc, ROUNDS - 1, err) : rc;
}

void err_list_release(struct err_list *list)
{
	free(list->items);
	*list = (struct err_list){ 0 };
}
