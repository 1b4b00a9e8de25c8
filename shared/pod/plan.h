#pragma once
/*
 * The decision of pod sync: (what is wanted, what was seen) to what is to be done (pod-sync.md
 * sections 6, 7a, 7b, 7c and PS-093). A pure function: the agent's worker and `plan pod` call it.
 */
#include "shared/pod/pod.h"
#include "shared/pod/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum seen_sandbox_state { SEEN_SANDBOX_UNKNOWN, SEEN_SANDBOX_READY, SEEN_SANDBOX_NOT_READY };

struct seen_sandbox {
	char *id;
	enum seen_sandbox_state state;
	uint32_t attempt;
	char *ip; /* "" when it has none */
	bool host_network;
	bool has_network; /* ip and host_network are known; else PS-053 and PS-054 do not count */
};

enum seen_state { SEEN_UNKNOWN, SEEN_CREATED, SEEN_RUNNING, SEEN_EXITED };

enum probe_result { PROBE_NONE, PROBE_SUCCESS, PROBE_FAILURE, PROBE_UNKNOWN };

struct seen_container {
	char *id;
	char *name;
	enum seen_state state;
	int32_t exit_code;
	uint32_t hash; /* as stored with the instance; 0: missing, counts as changed (PS-033) */
	enum probe_result liveness;
	enum probe_result startup;
	int64_t finished_ns; /* wall clock, 0: not known */
	/* Killed by us in order to be started again: starts whatever the policy says (PS-074), which
	 * the killed instance alone would not tell any more. */
	bool restart;
};

/* What the runtime has of one pod, newest first in both lists (PS-040, PS-044). Owns everything. */
struct pod_observed {
	struct seen_sandbox *sandboxes;
	size_t sandbox_count;
	struct seen_container *containers;
	size_t container_count;
	bool deleted; /* the pod is no longer wanted (PS-007) */
};

void pod_observed_release(struct pod_observed *o);

static inline __attribute__((unused)) void cleanup_pod_observed(struct pod_observed *o)
{
	pod_observed_release(o);
}

/* The newest instance of that name, or NULL. Borrowed. */
const struct seen_container *observed_container(const struct pod_observed *o, const char *name);

enum kill_cause {
	KILL_CHANGED,   /* the container's hash differs */
	KILL_LIVENESS,  /* its liveness probe failed */
	KILL_STARTUP,   /* its startup probe failed */
	KILL_UNKNOWN,   /* in unknown state: make sure before a new one starts */
	KILL_DUPLICATE, /* runs although it is not the newest of its name (PS-093) */
	KILL_STRAY,     /* runs although the spec does not name it (PS-093) */
};

struct pod_kill {
	char *id;
	char *name;
	enum kill_cause cause;
	bool restart; /* the container is started again afterwards */
};

struct pod_decision {
	bool kill_pod;       /* containers, then sandboxes */
	bool create_sandbox; /* after the kill */
	char *sandbox_id;    /* the one at hand, "" */
	uint32_t attempt;    /* of the sandbox at hand, or to be created */
	/* Names, in the order of the spec. */
	struct strv init_starts;
	struct strv starts;
	struct strv ephemeral_starts;
	struct pod_kill *kills;
	size_t kill_count;
	/* Container name, or "sandbox", to one sentence; kept containers have one too. */
	struct kv_list reasons;
};

/* 'pod' is defaulted and checked. '*ret' is the caller's, to be released. Fails only for want of
 * memory. */
int pod_plan(const K8s__Core__V1__Pod *pod, const struct pod_observed *seen,
	     struct pod_decision *ret, struct err *err);
void pod_decision_release(struct pod_decision *d);

static inline __attribute__((unused)) void cleanup_pod_decision(struct pod_decision *d)
{
	pod_decision_release(d);
}
