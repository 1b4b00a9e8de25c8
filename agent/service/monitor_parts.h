#pragma once
/*
 * What a probe's answer says about a part of the node: no loop, no backend. Each function sets the
 * part's state, message and the time of the check.
 */
#include "agent/service/monitor.h"
#include "agent/units/unit.h"

#include <stdint.h>

struct runtime_info;

/* Sets a part as printf does; an empty message is spelled "%s", "". */
void part_set(struct part_health *part, enum part_state state, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The probe failed: ERR_DEADLINE_EXCEEDED means hung (NS-232). */
void part_set_error(struct part_health *part, const struct err *err);

/* PID 1's SystemState: running is OK; degraded and starting are DEGRADED; else FAILED. */
void part_judge_systemd(struct part_health *part, const char *state);

/* Whether that state means that systemd has reached its target (DESIGN.md D10). */
bool system_is_up(const char *state);

/* A node that has none by design is ABSENT; no runtime is FAILED; no pod network yet is DEGRADED. */
void part_judge_runtime(struct part_health *part, const struct runtime_info *info);

/* Active is OK, failed is FAILED, no such unit is ABSENT. An inactive kubelet is DEGRADED when it
 * is enabled, for somebody expects it to run, else ABSENT. */
void part_judge_kubelet(struct part_health *part, const struct unit_status *unit);

/* Bytes in use and bytes left to anybody (CN-125): 99 % used and less than 20 GiB left is FAILED,
 * 85 % used is DEGRADED. */
void part_judge_disk(struct part_health *part, uint64_t used, uint64_t left);

/* kubelet evicts pods below 100 MiB: DEGRADED; below 32 MiB: FAILED. */
void part_judge_memory(struct part_health *part, uint64_t available_kib);

/* What images/node's preload has written down (CN-123), a word and a sentence: "ok" is OK; "unpacking" and
 * "degraded" are DEGRADED; "full" is FAILED. False, and the part ABSENT: this node was given nothing. */
bool part_probe_preload(struct part_health *part, const char *path);

/* Remembers the wall clock's distance from the monotonic one between two probes. */
struct clock_watch {
	bool started;
	int64_t offset_ms;
	int64_t step_ms;
	int64_t stepped_at_ms;
};

/* 'wall_ms' since the epoch and 'steady_ms' since boot. A year before 2020 is FAILED: no certificate
 * is valid then. A step of over 2 s is DEGRADED for a minute. */
void part_judge_clock(struct part_health *part, struct clock_watch *watch, int64_t wall_ms,
		      int64_t steady_ms);

/* The judges above on this machine: the file system of 'path', 'meminfo' (/proc/meminfo), now. */
void part_probe_disk(struct part_health *part, const char *path);
void part_probe_memory(struct part_health *part, const char *meminfo);
void part_probe_clock(struct part_health *part, struct clock_watch *watch);
