#pragma once
/*
 * The node's health, probed in the background (NS-231, NS-232): one timer for all parts, the last
 * result kept with its age. Reading never waits.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;
struct monitor;

enum part_state {
	PART_STATE_UNKNOWN,
	PART_STATE_OK,
	PART_STATE_DEGRADED,
	PART_STATE_FAILED,
	PART_STATE_ABSENT
};

struct part_health {
	const char *name; /* "systemd" "runtime" "kubelet" "disk" "memory" "clock" "preload" */
	enum part_state state;
	char message[160];
	int64_t checked_ms; /* monotonic; 0: never */
};

struct node_health {
	bool healthy;
	bool ready;
	const struct part_health *parts;
	size_t count;
	const char *runtime_name; /* "" until it answered */
	const char *runtime_version;
	int64_t runtime_us; /* how long its last answer took; 0 until it answered */
};

typedef void monitor_ready_fn(void *arg, const struct err *err);

/* Starts probing: often until ready, then every 10 s. The agent is borrowed. */
int monitor_open(struct agent *agent, struct monitor **ret_monitor, struct err *err);
void monitor_close(struct monitor *monitor);
/* Borrowed until the loop runs again. */
const struct node_health *monitor_get(struct monitor *monitor);
/* 'done' once, when ready or at 'by'; or when what the node was to begin with does not fit on its disk:
 * ERR_RESOURCE_EXHAUSTED, reason NO_SPACE (CN-123). */
void monitor_wait_ready(struct monitor *monitor, struct deadline by, monitor_ready_fn *done,
			void *arg);
