#pragma once
/*
 * Quiesce: bring the node to rest in one call (NS-160). Steps go on after a failure; each is
 * reported with its time. Same calling rules as runtime.h.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct pods;
struct runtime;
struct sd_event;
struct units;

struct quiesce_config {
	struct sd_event *loop;
	struct units *units;
	struct runtime *runtime;
	struct pods *pods;      /* may be NULL */
	const char *proc_root;  /* "/proc"; NULL: the node has no processes of its own */
	struct strv namespaces; /* none: all; copied */
	int64_t grace_s;        /* of each container; 0: 10 */
};

struct quiesce_step {
	const char *name; /* as in lifecycle.proto; static */
	bool ok;
	uint32_t millis;
	char detail[256];
};

struct quiesce_container {
	char *id;
	char *name;
	char *pod;
	char *namespace;
	const char *result; /* "stopped" "killed" "absent" "failed"; static */
};

struct quiesce_report {
	bool ok;
	uint32_t millis;
	struct quiesce_step steps[8];
	size_t step_count;
	struct quiesce_container *containers;
	size_t container_count;
};

/* 'report' is borrowed until the callback returns. There is no error: failures are in the report. */
typedef void quiesce_fn(void *arg, const struct quiesce_report *report);

void quiesce_start(const struct quiesce_config *config, struct deadline by, quiesce_fn *done,
		   void *arg);
