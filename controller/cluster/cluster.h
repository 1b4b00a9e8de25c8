#pragma once
/*
 * Clusters: wanted − found = steps, then apply. Plans are pure; apply runs independent steps in
 * parallel and undoes what it made when one fails.
 */
#include "controller/config/cluster_config.h"
#include "controller/provider/provider.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER_DEFAULT_NAME  "berth"
#define CLUSTER_DEFAULT_IMAGE "localhost/berth-node:latest"

enum progress_kind { PROGRESS_BEGIN, PROGRESS_DONE, PROGRESS_FAILED, PROGRESS_NOTE };

struct progress_event {
	enum progress_kind kind;
	const struct step *step; /* NULL for a note */
	int64_t millis;          /* of the step, when done or failed */
	const char *text;        /* error message or note; may be "" */
};

/* Called from several threads, one at a time. */
struct progress {
	void (*event)(void *arg, const struct progress_event *event);
	void *arg;
};

/* What every operation needs. All borrowed. */
struct cluster_ctx {
	struct provider *provider;
	const char *state_dir;
	const char *name;
	const struct interrupt *interrupt; /* may be NULL */
	const struct progress *progress;   /* may be NULL */
	struct deadline by;
};

struct create_options {
	const char *image; /* overrides every node's; NULL: as configured */
	bool wait;         /* until every agent says ready */
	bool retain;       /* leave what was made when something fails */
};

/* Checks names, numbers and conflicts inside 'config' (CN-006, CN-083, CN-097, CN-101, CN-103) and
 * fills in node names and images. Pure but for looking whether mount sources exist. */
int cluster_spec_check(const char *name, const char *image, struct cluster_config *config,
		       struct strv *warnings, struct err *err);

/* Pure: all steps from nothing to ready. 'found' are the cluster's present nodes (must be none:
 * ERR_ALREADY_EXISTS), 'used_subnets' those that must not be taken. */
int cluster_plan_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
			const struct create_options *options, const struct node_list *found,
			const struct strv *used_subnets, struct plan *ret_plan, struct err *err);

/* Pure: one more node in a cluster that has 'found'. */
int cluster_plan_add_node(const struct cluster_ctx *ctx, const struct node_config *node,
			  const struct node_list *found, struct plan *ret_plan, struct err *err);

enum cluster_action {
	CLUSTER_START,
	CLUSTER_STOP,
	CLUSTER_RESTART,
	CLUSTER_KILL,
	CLUSTER_DELETE,
};

/* Pure: life-cycle steps for the given nodes. Stop is quiesce, then the engine, workers first
 * (CN-196); delete of all nodes takes network, volumes and directories along. */
int cluster_plan_act(const struct cluster_ctx *ctx, enum cluster_action action,
		     const struct node_list *nodes, bool whole_cluster, struct plan *ret_plan,
		     struct err *err);

/* Asks the engine what there is (few spawns), then plans. The same for --dry-run and for doing. */
int cluster_prepare_create(const struct cluster_ctx *ctx, const struct cluster_config *config,
			   const struct create_options *options, struct plan *ret_plan,
			   struct err *err);

/* Carries the plan out: steps whose 'after' are done run in parallel. At the first failure, at
 * ctx->by or when interrupted nothing new starts, what runs is waited for, and, with 'undo', all
 * that the plan's steps may have made is removed (also when interrupted twice). '*err' is the
 * original failure. */
int cluster_apply(const struct cluster_ctx *ctx, const struct plan *plan, bool undo,
		  struct err *err);
