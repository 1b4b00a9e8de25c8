#pragma once
/*
 * The cases of tests/support/once.h: one for each RPC that changes something. To add one, write its request
 * and how its effect is counted, and its row in the table of either file.
 */
#include "tests/support/once.h"

/* Cases that would see each other's effects live in different houses. */
enum once_house {
	HOUSE_PLAIN,
	HOUSE_PAUSE,
	HOUSE_UNPAUSE,
	HOUSE_QUIESCE,
	HOUSE_BALANCER,
	HOUSES,
};

/* Each ends with a row without a service. */
extern const struct once_case once_states[];
extern const struct once_case once_sessions[];

/* Ends what the cases have started beside the agent. */
void once_states_end(struct once_rig *rig);
/* The runtime's streaming server, and its end. */
void once_joins_start(struct once_rig *rig);
void once_joins_stop(void);

/* A running container, alone in its pod, named "WORD-ROUND", that nobody but the test has made. */
void once_make_container(struct once_rig *rig, const struct once_case *c, unsigned round);
