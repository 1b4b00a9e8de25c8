#pragma once
/*
 * Pod sync: wanted pods, one worker each, level-triggered (DESIGN.md D9, pod-sync.md).
 *
 * What is wanted is stored in <state_dir>/pods/<uid> before a call answers. A worker compares it
 * with what the runtime has, asks shared/pod's plan for the next step, carries out one action and
 * plans again; killing the agent at any instant loses nothing and doubles nothing.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct events;
struct pods;
struct runtime;
struct sd_event;
struct units;
struct K8s__Core__V1__Pod;

enum pod_source { POD_FROM_UNKNOWN, POD_FROM_AGENT, POD_FROM_KUBELET };

struct pod_container_view {
	const char *name;
	const char *state; /* "waiting" "running" "terminated" */
	bool ready;
	bool init;
	uint32_t restart_count;
	const char *reason;
	const char *message;
	const char *container_id;
	int32_t exit_code;
};

/* One pod as it is seen now. All borrowed until the callback returns. */
struct pod_view {
	const char *name;
	const char *namespace;
	const char *uid;
	const char *phase; /* PS-284, or "Terminating" */
	bool ready;
	uint32_t restarts;
	const char *ip;
	enum pod_source source;
	const char *message;
	int64_t created_ns;
	const struct pod_container_view *containers;
	size_t container_count;
};

typedef void pods_apply_fn(void *arg, const char *uid, const char *result, const struct err *err);
typedef void pods_delete_fn(void *arg, const char *uid, const struct err *err);
typedef void pods_list_fn(void *arg, const struct pod_view *list, size_t count,
			  const struct err *err);

/* Loads the wanted pods and begins to sync them. Units, runtime and loop are borrowed. */
int pods_open(const char *state_dir, struct sd_event *loop, struct units *units,
	      struct runtime *runtime, struct pods **ret_pods, struct err *err);
/* Where what happens to pods is noted from now on; borrowed. */
void pods_set_events(struct pods *pods, struct events *events);
/* Stops syncing; what runs goes on running. */
void pods_close(struct pods *pods);

/* Same calling rules as runtime.h. 'pod' is borrowed for the call. Results: "created",
 * "configured", "unchanged". ERR_FAILED_PRECONDITION while kubelet is active (D9). */
void pods_apply(struct pods *pods, const struct K8s__Core__V1__Pod *pod, struct deadline by,
		pods_apply_fn *done, void *arg);
/* grace_s < 0: the pod's own. ERR_NOT_FOUND when it is not wanted. */
void pods_delete(struct pods *pods, const char *namespace, const char *name, int64_t grace_s,
		 struct deadline by, pods_delete_fn *done, void *arg);
/* namespace NULL: all. Pods that only the runtime knows are listed too. */
void pods_list(struct pods *pods, const char *namespace, struct deadline by, pods_list_fn *done,
	       void *arg);
/* Until ready (or succeeded), or until no trace is left: 'count' is then 0. */
void pods_wait(struct pods *pods, const char *namespace, const char *name, bool gone,
	       struct deadline by, pods_list_fn *done, void *arg);

/* Stops taking steps until the agent starts again (quiesce): a stopped container stays stopped, and
 * apply and delete are refused with reason NODE_QUIESCED. */
void pods_pause(struct pods *pods);
/* The same while the node is paused, until it is not; refused with reason NODE_PAUSED. */
void pods_set_frozen(struct pods *pods, bool frozen);
/* The wanted pod's uid, borrowed until the loop runs again; "" when no such pod is wanted. */
const char *pods_uid(struct pods *pods, const char *namespace, const char *name);
/* How many pods are wanted. */
size_t pods_count(const struct pods *pods);
