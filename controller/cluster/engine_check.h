#pragma once
/*
 * Whether the engine's host can do what is wanted, as far as a cluster is concerned. What concerns the
 * engine's own arguments its provider judges when it plans.
 */
#include "controller/cluster/cluster.h"

/* Pure. A node that is to have more memory than there is: ERR_OUT_OF_RANGE, reason TOO_MUCH_MEMORY, or
 * a warning when forced (CN-007). A host with cgroup v1 is warned of (CN-041). */
int engine_check(const struct engine_info *info, const struct cluster_config *config,
		 struct strv *warnings, struct err *err);
