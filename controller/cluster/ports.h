#pragma once
/*
 * Host ports that we pick (hostPort 0): all of them are held until each has one, so no two get the same
 * (CN-094, CN-096, CN-294).
 */
#include "controller/config/cluster_config.h"
#include "shared/base/err.h"

/* A view of a config in which every hostPort 0 is a port that was free. Strings, labels and mounts are
 * borrowed from the original, which must stay. */
struct ported_config {
	struct cluster_config config;
};

int ports_choose(const struct cluster_config *config, struct ported_config *ret, struct err *err);
void ported_config_release(struct ported_config *ported);
