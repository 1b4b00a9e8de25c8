#pragma once
/* For tests of plans: a cluster 'c' that is wanted, what was found, and the fake provider's short words. */
#include "controller/cluster/cluster.h"

struct plan_rig {
	char *dir;
	struct provider *fake;
	struct cluster_ctx ctx;
	struct cluster_config *config;
	struct cluster_found found;
	struct create_options options;
};

/* A cluster of one control plane and one worker; nothing found. */
int plan_rig_set_up(void **state);
int plan_rig_tear_down(void **state);

/* A config of so many nodes that nobody has checked yet, and checking it. */
void plan_rig_start_again(struct plan_rig *rig, size_t control_planes, size_t workers);
void plan_rig_complete(struct plan_rig *rig);

/* Adds to what was found; borrowed. */
struct node *plan_rig_node(struct plan_rig *rig, const char *name, const char *cluster,
			   enum node_role role, enum node_state state, int index);
struct network *plan_rig_network(struct plan_rig *rig, const char *name, const char *subnet,
				 const char *cluster);

/* Replaces a text; asserts. */
void plan_rig_set(char **field, const char *value);

int plan_rig_plan(struct plan_rig *rig, struct plan *plan, struct err *err);
/* Asserts that the plan's steps and what each waits for are these. */
void plan_rig_expect(const struct plan *plan, const char *expected);
/* Asserts that the step's argv has, or has not, these words. */
void plan_rig_has(struct plan_rig *rig, const char *id, const char *words);
void plan_rig_lacks(struct plan_rig *rig, const char *id, const char *words);
/* Asserts that there is no plan, for this reason. */
void plan_rig_refused(struct plan_rig *rig, const char *reason);
