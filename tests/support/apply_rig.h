#pragma once
/* The fake provider, a state directory and a cluster's configuration, for what carries plans out. */
#include "controller/cluster/cluster.h"
#include "controller/provider/provider.h"

struct apply_rig {
	char *dir;
	char *engine; /* the fake's directory */
	char *state;  /* the state directory */
	struct provider *fake;
	struct cluster_ctx ctx;
	struct cluster_config *config;
	struct create_options options;
	struct interrupt interrupt;
	int interrupt_ends[2];
	struct progress progress;
	struct text told;    /* progress events, one a line */
	size_t interrupt_at; /* interrupt when so many steps have begun; 0: never */
	size_t begun;
};

/* cmocka's: '*state' becomes the rig. */
int apply_rig_setup(void **state);
int apply_rig_teardown(void **state);

void apply_rig_add_worker(struct apply_rig *rig, const char *name);
/* Makes the cluster "c" of 'config'. */
int apply_rig_create(struct apply_rig *rig, struct err *err);
size_t apply_rig_count_nodes(struct apply_rig *rig);
/* CN-271 CN-272 CN-275: no node, network, directory or record is left. */
void apply_rig_assert_nothing_left(struct apply_rig *rig);
