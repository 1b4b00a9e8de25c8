#pragma once
/*
 * Memory that is refused on demand. An agent that is linked with starve.c (build/tests/support/berthd-starved) maps
 * the file that $BERTH_STARVE names; a test that has mapped it too says which allocation of the agent's loop is to
 * fail. Those of nng's threads, and of programs that the agent starts, do not count.
 */
#include <stdatomic.h>
#include <sys/types.h>

struct starve {
	atomic_int pid;    /* of the agent, which counts on its main thread */
	atomic_long seen;  /* allocations since the test has set it to 0 */
	atomic_long fails; /* this one of them fails, counted from 1; 0: none does */
};

#define STARVE_ENV "BERTH_STARVE"
