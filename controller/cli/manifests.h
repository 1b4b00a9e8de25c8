#pragma once
/* The Pods that -f names: files, directories, stdin, all read and checked before anything is sent. */
#include "controller/cli/invocation.h"
#include "controller/config/manifest.h"

#include <stddef.h>

struct manifests {
	struct manifest *files;
	size_t file_count;
	K8s__Core__V1__Pod **pods; /* of all files, borrowed from 'files' */
	size_t count;
};

/* Reads --filename. --namespace fills in for pods without one and must agree with the others'. With
 * 'admit' the pods are defaulted and checked as the agent will (shared/pod/pod.h), and what is ignored
 * gets a note. ERR_INVALID_ARGUMENT, ERR_UNIMPLEMENTED. Caller releases. */
int manifests_read(struct invocation *inv, bool admit, struct manifests *ret, struct err *err);
void manifests_release(struct manifests *m);

static inline __attribute__((unused)) void cleanup_manifests(struct manifests *m)
{
	manifests_release(m);
}
