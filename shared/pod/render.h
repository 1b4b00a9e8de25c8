#pragma once
/*
 * From a Pod to what the runtime is asked to make (pod-sync.md sections 3, 11, 14, 15, 18, 20). Pure:
 * what is only known on the node stands in 'struct render_node'. The agent and `render pod` call
 * the same functions. 'pod' is defaulted and checked.
 */
#include "shared/pod/pod.h"
#include "shared/pod/request.h"

/* Keys that other tools know our containers by (PS-025). */
#define LABEL_POD_NAME       "io.kubernetes.pod.name"
#define LABEL_POD_NAMESPACE  "io.kubernetes.pod.namespace"
#define LABEL_POD_UID        "io.kubernetes.pod.uid"
#define LABEL_CONTAINER_NAME "io.kubernetes.container.name"
#define NOTE_HASH            "io.kubernetes.container.hash"
#define NOTE_HASH_VERSION    "io.kubernetes.container.hash.version"
#define NOTE_RESTART_COUNT   "io.kubernetes.container.restartCount"
#define NOTE_MESSAGE_PATH    "io.kubernetes.container.terminationMessagePath"
#define NOTE_MESSAGE_POLICY  "io.kubernetes.container.terminationMessagePolicy"
#define NOTE_PORTS           "io.kubernetes.container.ports"
#define NOTE_POD_GRACE       "io.kubernetes.pod.terminationGracePeriod"
#define NOTE_DELETION_GRACE  "io.kubernetes.pod.deletionGracePeriod"
#define NOTE_KUBELET_SOURCE  "kubernetes.io/config.source"

/* The node's part. Strings are borrowed. */
struct render_node {
	int64_t memory_bytes;  /* capacity, for PS-213; 0: not known */
	const char *pods_dir;  /* where emptyDir volumes live: <pods_dir>/<uid>/volumes/... */
	const char *logs_dir;  /* /var/log/pods (PS-260) */
	const char *node_name; /* for fieldRef spec.nodeName; may be "" */
	const char *pod_ip;    /* for fieldRef status.podIP; "" before the sandbox */
	const char *host_ip;   /* for fieldRef status.hostIP; "" when not known */
	const char *
		resolv_conf; /* text of the node's resolv.conf, for dnsPolicy (PS-230); may be "" */
	bool cfs_quota;      /* limits of CPU become quotas (PS-211) */
};

/* '*ret' is the caller's. ERR_INVALID_ARGUMENT for quantities that are none; memory. */
int render_sandbox(const K8s__Core__V1__Pod *pod, uint32_t attempt, const struct render_node *node,
		   struct sandbox_request *ret, struct err *err);

/* 'name' is one of the pod's containers (else ERR_NOT_FOUND), 'attempt' its restart count. */
int render_container(const K8s__Core__V1__Pod *pod, const char *name, uint32_t attempt,
		     const struct render_node *node, struct container_request *ret,
		     struct err *err);

/* Directories that the node makes before containers start, appended: emptyDir volumes (mode 0777) and
 * hostPath volumes of type DirectoryOrCreate (0755). */
void render_directories(const K8s__Core__V1__Pod *pod, const struct render_node *node,
			struct strv *empty_dirs, struct strv *host_dirs);

/* <pods_dir>/<uid>: everything the node keeps for the pod. Caller frees. */
char *render_pod_dir(const K8s__Core__V1__Pod *pod, const struct render_node *node);

/* $(NAME) in 'text' replaced from 'env'; "$$" is "$"; unknown names stay; single pass (PS-157).
 * Caller frees; NULL when memory is short. */
char *render_expand(const char *text, const struct kv_list *env);

/* "image" with ":latest" added when it has neither tag nor digest (PS-181). Caller frees. */
char *render_image(const char *image);
