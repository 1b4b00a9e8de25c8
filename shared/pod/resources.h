#pragma once
/* Resources of pods in the kernel's units (pod-sync.md section 15). Pure. */
#include "shared/pod/pod.h"

#include <stdint.h>

enum pod_qos { QOS_GUARANTEED, QOS_BURSTABLE, QOS_BEST_EFFORT };

/* PS-218. */
enum pod_qos pod_qos(const K8s__Core__V1__Pod *pod);

/* Thousandths of a CPU, bytes of memory; -1 when the container says nothing (or no quantity). */
int64_t container_limit(const K8s__Core__V1__Container *c, const char *resource);
int64_t container_request_of(const K8s__Core__V1__Container *c, const char *resource);

/* PS-210, PS-211 (period 100 ms; 0: no quota), PS-213. */
int64_t resources_cpu_shares(const K8s__Core__V1__Container *c);
int64_t resources_cpu_quota_us(const K8s__Core__V1__Container *c);
int64_t resources_oom_score_adj(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Container *c,
				int64_t node_memory_bytes);
