#pragma once
/*
 * The container runtime of the node: what callers use. The ops table is in runtime_impl.h.
 *
 * Everything is asynchronous on the agent's one loop. Each call ends in exactly one call of 'done',
 * from the loop and never from within the call itself, at 'by' at the latest (+100 ms). What 'done'
 * gets is borrowed until it returns; 'err' is NULL on success. Arguments are borrowed for the call
 * only. A runtime that is not there is ERR_UNAVAILABLE, one that hangs ERR_DEADLINE_EXCEEDED; the
 * next call connects again by itself (NS-004, NS-107).
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/pod/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sd_event;
struct runtime;

enum runtime_state {
	RUNTIME_UNKNOWN,
	RUNTIME_CREATED,
	RUNTIME_RUNNING,
	RUNTIME_PAUSED,
	RUNTIME_EXITED,
};

struct runtime_info {
	const char *name; /* "containerd" */
	const char *version;
	bool runtime_ready;
	bool network_ready;
	const char *message; /* why not ready, else "" */
};

struct runtime_sandbox {
	const char *id;
	const char *name; /* of the pod */
	const char *namespace;
	const char *uid;
	uint32_t attempt;
	bool ready;
	int64_t created_ns; /* wall clock */
	const char *ip;     /* "" until sandbox_status */
	bool host_network;  /* known after sandbox_status */
	uint32_t pid;       /* known after sandbox_details; 0 when the runtime does not tell */
	const struct kv_list *labels;
	const struct kv_list *annotations;
};

struct runtime_container {
	const char *id;
	const char *sandbox_id;
	const char *name;
	uint32_t attempt;
	const char *pod; /* from the labels io.kubernetes.pod.*; "" when absent (PS-021) */
	const char *namespace;
	const char *uid;
	const char *image; /* as asked for */
	const char *image_ref;
	enum runtime_state state;
	int64_t created_ns;
	const struct kv_list *labels;
	const struct kv_list *annotations;
	/* Known after container_status; 0 and "" before. */
	int64_t started_ns;
	int64_t finished_ns;
	int32_t exit_code;
	uint32_t pid; /* 0 when the runtime does not tell */
	const char *reason;
	const char *message;
};

struct runtime_image {
	const char *id; /* "sha256:..." */
	const char *const *tags;
	size_t tag_count;
	const char *const *digests;
	size_t digest_count;
	uint64_t size_bytes;
};

typedef void runtime_done_fn(void *arg, const struct err *err);
typedef void runtime_id_fn(void *arg, const char *id, const struct err *err);
typedef void runtime_info_fn(void *arg, const struct runtime_info *info, const struct err *err);
typedef void runtime_sandboxes_fn(void *arg, const struct runtime_sandbox *list, size_t count,
				  const struct err *err);
typedef void runtime_containers_fn(void *arg, const struct runtime_container *list, size_t count,
				   const struct err *err);
/* 'ref' is NULL when the image is absent (no error). */
typedef void runtime_image_fn(void *arg, const char *ref, const struct err *err);
typedef void runtime_images_fn(void *arg, const struct runtime_image *list, size_t count,
			       const struct err *err);

/* Empty or NULL fields do not filter. */
struct runtime_filter {
	const char *id;      /* full id or a beginning of it */
	const char *pod_uid; /* label io.kubernetes.pod.uid */
};

/* Opens backend "cri" (address "unix:///run/containerd/containerd.sock") or "fake" (address: a
 * directory for its state). Connects lazily. Caller closes with runtime_close(). */
int runtime_open(const char *backend, const char *address, struct sd_event *loop,
		 struct runtime **ret_runtime, struct err *err);
/* Pending calls get their 'done' with ERR_CANCELLED first; they must not make new ones. Takes
 * NULL. */
void runtime_close(struct runtime *rt);
const char *runtime_backend(const struct runtime *rt);

/* Version and readiness in one (CRI: Version and Status). */
void runtime_get_info(struct runtime *rt, struct deadline by, runtime_info_fn *done, void *arg);

/* Newest first (PS-044). */
void runtime_list_sandboxes(struct runtime *rt, const struct runtime_filter *filter,
			    struct deadline by, runtime_sandboxes_fn *done, void *arg);
/* One sandbox with its IP; ERR_NOT_FOUND. */
void runtime_sandbox_status(struct runtime *rt, const char *id, struct deadline by,
			    runtime_sandboxes_fn *done, void *arg);
/* The same and the process that holds its namespaces. */
void runtime_sandbox_details(struct runtime *rt, const char *id, struct deadline by,
			     runtime_sandboxes_fn *done, void *arg);
void runtime_run_sandbox(struct runtime *rt, const struct sandbox_request *req, struct deadline by,
			 runtime_id_fn *done, void *arg);
/* Idempotent; an absent sandbox is success (PS-301). */
void runtime_stop_sandbox(struct runtime *rt, const char *id, struct deadline by,
			  runtime_done_fn *done, void *arg);
/* Removes it with its containers; absent is success. */
void runtime_remove_sandbox(struct runtime *rt, const char *id, struct deadline by,
			    runtime_done_fn *done, void *arg);

void runtime_list_containers(struct runtime *rt, const struct runtime_filter *filter,
			     struct deadline by, runtime_containers_fn *done, void *arg);
/* One container with times, exit code, reason, pid; ERR_NOT_FOUND. */
void runtime_container_status(struct runtime *rt, const char *id, struct deadline by,
			      runtime_containers_fn *done, void *arg);
/* 'sandbox' is the request the sandbox was made from (CRI wants it again). */
void runtime_create_container(struct runtime *rt, const char *sandbox_id,
			      const struct container_request *req,
			      const struct sandbox_request *sandbox, struct deadline by,
			      runtime_id_fn *done, void *arg);
void runtime_start_container(struct runtime *rt, const char *id, struct deadline by,
			     runtime_done_fn *done, void *arg);
/* Graceful for 'grace_s' seconds, then SIGKILL; 0 kills at once (NS-063). ERR_NOT_FOUND when absent;
 * already exited is success. */
void runtime_stop_container(struct runtime *rt, const char *id, int64_t grace_s, struct deadline by,
			    runtime_done_fn *done, void *arg);
/* Freezes all processes of a running container, or lets them go on. Again is success (NS-066).
 * ERR_NOT_FOUND when absent, ERR_FAILED_PRECONDITION when it does not run, ERR_UNIMPLEMENTED, reason
 * PAUSE_UNSUPPORTED, where the runtime cannot. Stopping a paused one thaws it first (NS-067). */
void runtime_pause_container(struct runtime *rt, const char *id, struct deadline by,
			     runtime_done_fn *done, void *arg);
void runtime_unpause_container(struct runtime *rt, const char *id, struct deadline by,
			       runtime_done_fn *done, void *arg);
/* The paused ones; every other list calls them running (NS-058). Of each only id, state and pid are
 * known. */
void runtime_list_paused(struct runtime *rt, struct deadline by, runtime_containers_fn *done,
			 void *arg);
/* ERR_FAILED_PRECONDITION for a running one; absent is success. */
void runtime_remove_container(struct runtime *rt, const char *id, struct deadline by,
			      runtime_done_fn *done, void *arg);

/* What is to be joined to a running container. */
struct runtime_session {
	const char *const *argv; /* ends with NULL; NULL: the container's main process */
	bool input;
	bool tty; /* then there is one output */
};

/* Where the session is to be had: the id is a URL of the runtime's streaming server, http, good once and
 * soon. ERR_NOT_FOUND; ERR_UNIMPLEMENTED, reason SESSIONS_UNSUPPORTED. */
void runtime_open_session(struct runtime *rt, const char *id, const struct runtime_session *session,
			  struct deadline by, runtime_id_fn *done, void *arg);

/* In the runtime's order. */
void runtime_list_images(struct runtime *rt, struct deadline by, runtime_images_fn *done,
			 void *arg);
/* By name or id; absent is success (NS-073). */
void runtime_remove_image(struct runtime *rt, const char *image, struct deadline by,
			  runtime_done_fn *done, void *arg);
void runtime_image_status(struct runtime *rt, const char *image, struct deadline by,
			  runtime_image_fn *done, void *arg);
void runtime_pull_image(struct runtime *rt, const char *image, struct deadline by,
			runtime_image_fn *done, void *arg);
