#pragma once
/*
 * Pause and unpause of a whole node (NS-170 to NS-174): kubelet and pod sync rest, containers are
 * frozen. Only what the runtime calls a container is, so never the agent or the runtime itself. Same
 * calling rules as runtime.h.
 *
 * That the node is paused, and whether kubelet ran before, stands in a file on a tmpfs: it outlives the
 * agent and not the node's containers.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pods;
struct runtime;
struct units;

struct freeze_config {
	struct units *units;
	struct runtime *runtime;
	struct pods *pods;      /* may be NULL */
	const char *marker_dir; /* copied */
	struct strv namespaces; /* none: all; copied */
};

struct freeze_container {
	char *id;
	const char *result; /* "paused" "unpaused" "absent" "failed"; static */
	char message[160];
};

struct freeze_report {
	bool ok;
	char detail[256];
	bool paused;         /* how the node is now */
	const char *kubelet; /* "stopped" "started" "failed" ""; static */
	uint32_t millis;
	struct freeze_container *containers;
	size_t container_count;
};

/* 'report' is borrowed until the callback returns. There is no error: failures are in the report. */
typedef void freeze_fn(void *arg, const struct freeze_report *report);

/* When a container cannot be frozen, what was done is taken back. */
void freeze_start(const struct freeze_config *config, struct deadline by, freeze_fn *done,
		  void *arg);
void thaw_start(const struct freeze_config *config, struct deadline by, freeze_fn *done, void *arg);

/* Whether the node is paused. */
bool freeze_is_on(const char *marker_dir);
