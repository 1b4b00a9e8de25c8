#include "controller/cluster/engine_check.h"

#include <inttypes.h>
#include <string.h>

#define MIB ((int64_t)1 << 20)

static int check_memory(const struct engine_info *info, const struct node_config *node,
			struct strv *warnings, struct err *err)
{
	if (info->memory_bytes <= 0 || node->memory_bytes <= info->memory_bytes)
		return 0;
	err_set(err, ERR_OUT_OF_RANGE, 0,
		"node '%s' is to have %" PRId64 " MiB of memory, the engine's host has %" PRId64,
		node->name, node->memory_bytes / MIB, info->memory_bytes / MIB);
	if (node->force) {
		strv_add(warnings, err->msg);
		return 0;
	}
	return err_explain(err, "TOO_MUCH_MEMORY", "ask for less --memory");
}

int engine_check(const struct engine_info *info, const struct cluster_config *config,
		 struct strv *warnings, struct err *err)
{
	for (size_t i = 0; i < config->node_count; i++) {
		if (check_memory(info, &config->nodes[i], warnings, err) < 0)
			return -1;
	}
	if (strcmp(info->cgroup, "v1") == 0)
		strv_add(warnings, "this host has cgroup v1, which newer node images do not "
				   "support: cgroup v2 is better");
	return strv_failed(warnings) ? err_oom(err) : 0;
}
