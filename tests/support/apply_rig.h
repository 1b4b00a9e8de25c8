#pragma once
/* The fake provider in a scratch directory, and plans carried out with it, for the tests of apply.c. */
#include "controller/cluster/cluster.h"
#include "controller/provider/provider.h"
#include "shared/base/text.h"

#include <stdbool.h>
#include <stddef.h>

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

/* cmocka's: '*state' is a struct apply_rig of one cluster "c" with one control plane. */
int apply_rig_setup(void **state);
int apply_rig_teardown(void **state);

void apply_add_worker(struct apply_rig *rig, const char *name);
/* cluster_create() of what the rig is set to, checked first. */
int apply_create(struct apply_rig *rig, struct err *err);
/* cluster_act() on the whole of it. */
int apply_act(struct apply_rig *rig, enum cluster_action action, struct err *err);
/* What the engine knows. */
size_t apply_count_nodes(struct apply_rig *rig);
enum node_state apply_state_of(struct apply_rig *rig, const char *name);
/* CN-271 CN-272 CN-275: no node, network, directory or record is left. */
void apply_assert_nothing_left(struct apply_rig *rig);
