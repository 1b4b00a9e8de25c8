#pragma once
/*
 * Kubernetes manifests with v1 Pods: one document, several, or a v1 List; YAML or JSON; read
 * strictly, line and column in every error. Keys are matched to the .proto's fields through the
 * generated descriptors, so a field that core.proto has is read and any other is an error.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"

#include "k8s/v1/core.pb-c.h"

#include <stddef.h>

struct manifest {
	K8s__Core__V1__Pod **pods;
	size_t count;
	struct strv warnings; /* "pod.yaml:9:3: status is ignored" */
};

/* ERR_INVALID_ARGUMENT with "source:line:column: ..." for anything but v1 Pods and Lists of them,
 * for two pods of one namespace and name, and for an empty input. Caller releases. */
int manifest_read(const char *source, const char *text, size_t len, struct manifest *ret_manifest,
		  struct err *err);
void manifest_release(struct manifest *manifest);
