#pragma once
/* Status of a pod and its containers as people know it (pod-sync.md PS-280 to PS-285). Pure. */
#include "shared/pod/plan.h"

/* "Pending", "Running", "Succeeded" or "Failed" (PS-284). Static. */
const char *pod_phase(const K8s__Core__V1__Pod *pod, const struct pod_observed *seen);

/* Every init container has done its part (sidecars: has started), as far as can be seen. */
bool pod_is_initialized(const K8s__Core__V1__Pod *pod, const struct pod_observed *seen);

/* The reason of an exited instance when the runtime gives none: "Completed" or "Error" (PS-280). */
const char *exit_reason(int32_t exit_code);

/* Why a container without instance waits (PS-282): "ContainerCreating" or "PodInitializing". */
const char *waiting_reason(const K8s__Core__V1__Pod *pod, const struct pod_observed *seen,
			   const char *name);
