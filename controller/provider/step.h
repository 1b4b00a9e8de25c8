#pragma once
/*
 * A plan: what will be done to the engine, as pure data. Made by the cluster room and a provider
 * together, printed by --dry-run, carried out by cluster/apply.c (DESIGN.md section 1).
 */
#include "controller/node/node.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* cli.md section 3; the JSON names are step_action_name()'s. */
enum step_action {
	STEP_IMAGE_CHECK,
	STEP_IMAGE_PULL, /* when the check finds none */
	STEP_NETWORK_CREATE,
	STEP_NETWORK_DELETE,
	STEP_VOLUME_DELETE,
	STEP_DIRECTORY_CREATE, /* the node's run directory; no argv */
	STEP_DIRECTORY_DELETE,
	STEP_CONTAINER_CREATE, /* create and start in one engine call */
	STEP_CONTAINER_START,
	STEP_CONTAINER_STOP,
	STEP_CONTAINER_KILL,
	STEP_CONTAINER_UNPAUSE, /* what the engine has frozen */
	STEP_CONTAINER_DELETE,
	STEP_WAIT_READY,         /* ask the agent; no argv */
	STEP_QUIESCE,            /* ask the agent; no argv */
	STEP_PAUSE,              /* ask the agent; no argv */
	STEP_UNPAUSE,            /* ask the agent; no argv */
	STEP_BALANCER_CONFIGURE, /* tell the balancer's agent where to send calls; no argv */
};

struct step {
	char *id;   /* unique in the plan: "create/berth-worker" */
	char *node; /* "" when the step is the cluster's */
	enum step_action action;
	struct strv argv; /* exactly what would be executed; empty for steps of our own */
	/* "KEY=VALUE" each: what the program finds in its environment, since everybody reads an argv
	 * (S11); 'argv' names them only. */
	struct strv env;
	struct strv after;    /* ids that must have succeeded first */
	bool best_effort;     /* a failure is reported and does not stop the rest */
	char *run_dir;        /* host side of the node's /run/berth, for steps of our own; "" */
	enum node_role role;  /* the node's, for what is remembered of it */
	bool agent_tls;       /* of a directory: it gets certificates, too */
	struct strv backends; /* of a balancer: "NAME=ADDRESS" of each control plane (CN-263) */
};

struct plan {
	struct step **steps; /* in an order that respects 'after' */
	size_t count;
	/* Nodes stand for themselves: what fails for one holds up its own later steps and those of the
	 * whole cluster, and only delays those of other nodes. */
	bool each_node;
	struct strv
		warnings; /* the cluster room's: what will not be as asked for, one sentence each */
};

/* Appends a step and lends it; NULL on allocation failure. 'node' may be NULL. */
struct step *plan_add(struct plan *plan, enum step_action action, const char *node);
/* The step that was appended last; the plan must not be empty. */
struct step *plan_last(const struct plan *plan);
/* Copies 'run_dir' into the step; false on allocation failure. */
bool step_set_run_dir(struct step *step, const char *run_dir);
struct step *plan_find(const struct plan *plan, const char *id);
void plan_release(struct plan *plan);

static inline __attribute__((unused)) void cleanup_plan(struct plan *plan)
{
	plan_release(plan);
}

const char *step_action_name(enum step_action action); /* "container-create" */
