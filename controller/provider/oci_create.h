#pragma once
/*
 * The words that make a container a node, one order for both engines (container-nodes.md sections 2, 3,
 * 5 and 6). Pure; allocation failures are remembered by the argv.
 */
#include "controller/provider/oci_cli.h"

/* Appends the step that creates and starts the node. Limits that the engine cannot hold are left out.
 * ERR_INVALID_ARGUMENT, reason GPUS_INVALID. */
int oci_plan_create(struct provider *p, const struct node_spec *spec, struct plan *plan,
		    struct err *err);

/* CN-100. */
void oci_add_mounts(struct strv *argv, const struct node_spec *spec);
/* CN-091, CN-093 to CN-095; and the agent's own port. */
void oci_add_ports(const struct provider *p, struct strv *argv, const struct node_spec *spec);
/* CN-024: container=ENGINE, BERTH_CLUSTER, BERTH_NODE and the spec's own, sorted by key. The values of the
 * spec's own go to the step's environment (S11): "--env=KEY" makes both engines look there. */
void oci_add_env(const struct provider *p, struct step *step, const struct node_spec *spec);
void oci_add_labels(struct strv *argv, const struct node_spec *spec);
