#pragma once
/* Whether the engine and its host can do what is wanted (CN-007, CN-041, CN-042, CN-091, CN-240). */
#include "controller/cluster/cluster.h"

/* Pure. Adds to 'warnings' what will not hold: limits, addresses of a remote engine, cgroup v1, an old
 * engine. Errors: ERR_FAILED_PRECONDITION, reason CGROUP_CONTROLLERS_MISSING (rootless),
 * ENGINE_TOO_OLD or WINDOWS_CONTAINERS; ERR_OUT_OF_RANGE, reason TOO_MANY_CPUS or TOO_MUCH_MEMORY.
 * 'engine' is the name of the provider. */
int engine_check(const char *engine, const struct engine_info *info,
		 const struct cluster_config *config, struct strv *warnings, struct err *err);
