#pragma once
/*
 * The v1 Pod as Berth takes it: checked, defaulted, and told apart from what cannot be carried out.
 * Pure: no clock, no I/O. Strings of a Pod may be NULL (absent).
 */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include "k8s/v1/core.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* Fills in what Kubernetes' API server would: namespace "default", restartPolicy Always,
 * terminationGracePeriodSeconds 30, dnsPolicy ClusterFirst, imagePullPolicy by tag (PS-180), port
 * protocol TCP, terminationMessagePath and -Policy, requests from limits. Sorts map entries by key,
 * so that equal pods pack to equal bytes, and drops metadata that only an API server may write
 * (resourceVersion, creationTimestamp, managedFields, ...) and status. Idempotent. 'pod' must be of
 * malloc'd parts, as protobuf-c and the manifest reader make it. ERR_RESOURCE_EXHAUSTED. */
int pod_default(K8s__Core__V1__Pod *pod, struct err *err);

/* Checks a defaulted pod by the rules whose breach would make sync impossible or unsafe: names are
 * DNS-1123 (so there is no '_', PS-015), at least one container, names unique over all kinds of
 * containers, images present, known policies, mounts name volumes, uid is safe in a path.
 * ERR_INVALID_ARGUMENT, the message starts with the field's path ("spec.containers[1].name"). */
int pod_check(const K8s__Core__V1__Pod *pod, struct err *err);

/* Paths of fields that are set and that this agent cannot carry out. Two lists: without 'refused'
 * the pod would not be what its author meant (volumes of other kinds, probes, hooks, secrets);
 * 'ignored' makes no difference on a single node (tolerations, affinity ...) and deserves a
 * warning. Both are appended to; ask strv_failed(). */
void pod_unsupported(const K8s__Core__V1__Pod *pod, struct strv *refused, struct strv *ignored);

/* pod_default, pod_check, then pod_unsupported: ERR_UNIMPLEMENTED, reason POD_FIELD_UNSUPPORTED,
 * naming the refused fields. */
int pod_admit(K8s__Core__V1__Pod *pod, struct err *err);

/* A deep copy (caller frees with k8s__core__v1__pod__free_unpacked(pod, NULL)); NULL when memory is
 * short. */
K8s__Core__V1__Pod *pod_copy(const K8s__Core__V1__Pod *pod);

static inline void pod_free(K8s__Core__V1__Pod *pod)
{
	if (pod)
		k8s__core__v1__pod__free_unpacked(pod, NULL);
}

DEFINE_CLEANUP(pod, K8s__Core__V1__Pod *, pod_free)

/* How a change of the wanted pod is carried out. */
enum pod_change {
	POD_SAME,
	POD_CHANGED_IN_PLACE, /* containers, labels, grace: the sandbox stays */
	POD_REPLACED,         /* volumes, network, host name ...: a new pod in place of the old */
};

/* Compares defaulted pods; the uid does not count. */
enum pod_change pod_compare(const K8s__Core__V1__Pod *was, const K8s__Core__V1__Pod *wanted);

/* What is read most; all borrowed, never NULL. */
const char *pod_name(const K8s__Core__V1__Pod *pod);
const char *pod_namespace(const K8s__Core__V1__Pod *pod);
const char *pod_uid(const K8s__Core__V1__Pod *pod);

enum restart_policy { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };

enum restart_policy pod_restart_policy(const K8s__Core__V1__Pod *pod);
/* An init container that keeps running beside the others (restartPolicy Always, PS-080). */
bool container_is_sidecar(const K8s__Core__V1__Container *c);
bool pod_is_host_network(const K8s__Core__V1__Pod *pod);

enum pull_policy { PULL_IF_NOT_PRESENT, PULL_ALWAYS, PULL_NEVER };

/* PS-180. */
enum pull_policy container_pull_policy(const K8s__Core__V1__Container *c);

/* The three kinds of containers of a pod, in start order. */
enum container_kind { CONTAINER_INIT, CONTAINER_EPHEMERAL, CONTAINER_APP };

/* The container of that name, or NULL. An ephemeral container is seen through its common part, whose
 * layout is a Container's; 'ret_kind' may be NULL. */
const K8s__Core__V1__Container *pod_container(const K8s__Core__V1__Pod *pod, const char *name,
					      enum container_kind *ret_kind);
