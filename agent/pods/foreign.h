#pragma once
/*
 * Pods that only the runtime knows: a kubelet's, or somebody's by hand. Grouped by uid from one list
 * of sandboxes and one of containers.
 */
#include "agent/pods/pods.h"
#include "agent/runtime/runtime.h"

struct foreign;

/* NULL when memory is short. Free with foreign_free(). */
struct foreign *foreign_new(void);
void foreign_free(struct foreign *f);
/* Both take what a runtime list's answer has; false when memory is short. */
bool foreign_add_sandboxes(struct foreign *f, const struct runtime_sandbox *list, size_t count);
bool foreign_add_containers(struct foreign *f, const struct runtime_container *list, size_t count);

size_t foreign_count(const struct foreign *f);
/* Borrowed until foreign_free(); everything in it, too. */
const struct pod_view *foreign_get(const struct foreign *f, size_t i);
