#pragma once
/* What a config leaves out is filled in; again on the same config changes nothing. Pure. */
#include "controller/cluster/cluster.h"

/* A balancer before several control planes, names, then every node as below. 'image' as in
 * cluster_spec_check(). */
int spec_fill(const char *name, const char *image, struct cluster_config *config, struct err *err);

/* Image and published API server of a node that has its name. */
int spec_fill_node(const char *image, const struct cluster_config *config, struct node_config *node,
		   struct err *err);
