#pragma once
/* Inside the plan of a pod: plan.c has the sandbox, the apps and what they share, plan_init.c the init containers. */
#include "shared/pod/hash.h"
#include "shared/pod/plan.h"

/* One planning: what goes in, and where the decision grows. */
struct plan {
	const K8s__Core__V1__Pod *pod;
	const K8s__Core__V1__PodSpec *spec;
	const struct pod_observed *seen;
	enum restart_policy policy;
	struct pod_decision *d;
	bool failed; /* memory */
};

/* Why 'name' is treated as it is; the first word counts. */
void pod_plan_because(struct plan *p, const char *name, const char *why);
/* Puts a container into one of the lists of starts, once. */
void pod_plan_start(struct plan *p, struct strv *list, const char *name, const char *why);
/* An instance is to be ended. */
void pod_plan_kill(struct plan *p, const struct seen_container *c, enum kill_cause cause,
		   bool restart, const char *why);
/* All of it, sandbox and all. */
void pod_plan_kill_pod(struct plan *p, const char *why);

/* Exited with another code than 0, or nobody knows. */
bool pod_plan_has_failed(const struct seen_container *c);
/* Whether its manifest is another than it was made from. */
bool pod_plan_is_changed(const K8s__Core__V1__Container *c, const struct seen_container *seen);

/* PS-071 to PS-073. True when the pod is initialized. */
bool pod_plan_init(struct plan *p);
/* The same where an init container is a sidecar (7c). */
bool pod_plan_sidecars(struct plan *p);
