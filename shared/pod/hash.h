#pragma once
/* The hash that tells a changed container: Kubernetes' own (pod-sync.md PS-030, PS-031). Pure. */
#include "shared/base/text.h"

#include "k8s/v1/core.pb-c.h"

#include <stdint.h>

/* Which encoding a stored hash was made with (PS-034). */
#define CONTAINER_HASH_VERSION "1"

/* The container as Go's encoding/json prints the v1 Container: Go's field order, empty fields left
 * out but for those Go never leaves out, sorted map keys, <, >, & escaped, canonical quantities.
 * Appended to 'ret'; ask text_failed(). */
void container_json(const K8s__Core__V1__Container *c, struct text *ret);

/* The container's ports as a JSON array, for the annotation (PS-020). Appended. */
void container_ports_json(const K8s__Core__V1__Container *c, struct text *ret);

/* FNV-1a 32 over "([]uint8)[91 92 ...]" of that JSON. Never 0, which means "not stored". 0 only when
 * memory is short. */
uint32_t container_hash(const K8s__Core__V1__Container *c);
