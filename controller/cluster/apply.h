#pragma once
/* What the parts of apply share. */
#include "controller/cluster/cluster.h"

#include <pthread.h>
#include <stdatomic.h>

enum outcome {
	OUTCOME_NOT_STARTED,
	OUTCOME_RUNNING,
	OUTCOME_DONE,
	OUTCOME_FAILED,
	OUTCOME_SKIPPED, /* what it needed has failed */
};

struct step_state {
	enum outcome outcome;
	struct err err;
	bool has_thread;
	pthread_t thread;
};

/* What the engine has said of the cluster's nodes while they were waited for. */
struct look_at_nodes {
	pthread_mutex_t lock;
	struct node_list nodes;
	bool answered;
	int64_t at_ms; /* 0: never */
};

/* One carrying-out of a plan. */
struct run {
	const struct cluster_ctx *ctx;
	const struct plan *plan;
	struct deadline by;
	const struct interrupt *interrupt; /* NULL: nothing interrupts it */
	bool keep_going;                   /* a failure does not stop the rest */
	struct step_state *states;         /* plan->count */
	atomic_bool cancelled;
	pthread_mutex_t progress_lock;
	struct look_at_nodes look;
	int done_pipe[2]; /* indexes of steps that have ended */
};

/* Carries the plan out. -1: '*err' is the first failure. 'run->states' (caller's, zeroed) then says how
 * far each step got. */
int run_plan(struct run *run, struct err *err);

/* Steps that are ours, not the engine's: directories and questions to the agent. */
int run_own_step(struct run *run, const struct step *step, struct err *err);

/* The engine's. An image that is not there is pulled (CN-130). A stop that does not come to its end is followed by a kill (CN-193), a delete that
 * fails by a second one (CN-213). */
int run_engine_step(struct run *run, const struct step *step, struct err *err);

/* Waits for engine calls that a berth, killed while it changed this cluster, has left behind: what they
 * make would show up after the last look. At most 'by' and 20 seconds. Only where there is /proc. */
void wait_for_orphans(const char *cluster, struct deadline by);

/* Tells the progress. Safe from any thread. */
void run_tell(struct run *run, enum progress_kind kind, const struct step *step, int64_t millis,
	      const char *text);

/* Removes what a failed run's steps have made. */
void undo_run(const struct run *run);
