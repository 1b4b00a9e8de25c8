#include "agent/service/monitor_parts.h"

#include "agent/runtime/runtime.h"
#include "shared/base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#define GIB                (1024ULL * 1024 * 1024)
#define DISK_FAILED_LEFT   (20 * GIB)
#define MEMORY_LOW_KIB     (100 * 1024)
#define MEMORY_FAILED_KIB  (32 * 1024)
#define CLOCK_OLDEST_MS    (1577836800LL * 1000) /* 2020-01-01 */
#define CLOCK_STEP_MS      2000
#define CLOCK_STEP_SHOW_MS 60000

void part_set(struct part_health *part, enum part_state state, const char *fmt, ...)
{
	char text[sizeof(part->message) * 4];
	va_list ap;

	part->state = state;
	part->checked_ms = clock_now_ms();
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	utf8_copy(part->message, sizeof(part->message), text);
}

void part_set_error(struct part_health *part, const struct err *err)
{
	if (err->code == ERR_DEADLINE_EXCEEDED)
		part_set(part, PART_STATE_FAILED, "hung: %s", err->msg);
	else
		part_set(part, PART_STATE_FAILED, "%s", err->msg);
}

bool system_is_up(const char *state)
{
	return strcmp(state, "running") == 0 || strcmp(state, "degraded") == 0;
}

void part_judge_systemd(struct part_health *part, const char *state)
{
	if (strcmp(state, "running") == 0)
		part_set(part, PART_STATE_OK, "%s", "");
	else if (strcmp(state, "degraded") == 0)
		part_set(part, PART_STATE_DEGRADED, "some units have failed");
	else if (strcmp(state, "starting") == 0 || strcmp(state, "initializing") == 0)
		part_set(part, PART_STATE_DEGRADED, "the node is still starting");
	else if (strcmp(state, "stopping") == 0)
		part_set(part, PART_STATE_FAILED, "the node is shutting down");
	else
		part_set(part, PART_STATE_FAILED, "systemd is in state '%s'", state);
}

void part_judge_runtime(struct part_health *part, const struct runtime_info *info)
{
	const char *why = info->message ? info->message : "";

	if (strcmp(info->name, "none") == 0)
		part_set(part, PART_STATE_ABSENT, "%s", "");
	else if (!info->runtime_ready)
		part_set(part, PART_STATE_FAILED, "not ready%s%s", *why ? ": " : "", why);
	else if (!info->network_ready)
		part_set(part, PART_STATE_DEGRADED, "no pod network yet%s%s", *why ? ": " : "",
			 why);
	else
		part_set(part, PART_STATE_OK, "%s", "");
}

void part_judge_kubelet(struct part_health *part, const struct unit_status *unit)
{
	if (strcmp(unit->load, "not-found") == 0 || strcmp(unit->load, "masked") == 0)
		part_set(part, PART_STATE_ABSENT, "%s", unit->load);
	else if (strcmp(unit->active, "active") == 0)
		part_set(part, PART_STATE_OK, "%s", "");
	else if (strcmp(unit->active, "failed") == 0)
		part_set(part, PART_STATE_FAILED, "failed");
	else if (strcmp(unit->active, "inactive") != 0)
		part_set(part, PART_STATE_DEGRADED, "%s (%s)", unit->active, unit->sub);
	else if (strncmp(unit->enabled, "enabled", 7) == 0)
		part_set(part, PART_STATE_DEGRADED, "enabled, but not running");
	else
		part_set(part, PART_STATE_ABSENT, "not running, not enabled");
}

void part_judge_disk(struct part_health *part, uint64_t used, uint64_t left)
{
	/* As df(1) counts: what only root may use is in neither; rounded up. */
	double all = (double)used + (double)left;
	unsigned percent = all > 0 ? (unsigned)((double)used * 100 / all) : 100;
	enum part_state state = PART_STATE_OK;

	if (percent >= 99 && left < DISK_FAILED_LEFT)
		state = PART_STATE_FAILED;
	else if (percent >= 85)
		state = PART_STATE_DEGRADED;
	if (state == PART_STATE_OK)
		part_set(part, state, "%s", "");
	else
		part_set(part, state, "/var is %u %% full, %.1f GiB left", percent,
			 (double)left / (double)GIB);
}

void part_judge_memory(struct part_health *part, uint64_t available_kib)
{
	if (available_kib >= MEMORY_LOW_KIB)
		part_set(part, PART_STATE_OK, "%s", "");
	else
		part_set(part,
			 available_kib < MEMORY_FAILED_KIB ? PART_STATE_FAILED
							   : PART_STATE_DEGRADED,
			 "only %" PRIu64 " MiB of memory left", available_kib / 1024);
}

/* The line without its end, "" when there is none. */
static void read_line(FILE *file, char *line, size_t size)
{
	if (!fgets(line, (int)size, file))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

bool part_probe_preload(struct part_health *part, const char *path)
{
	FILE *file = path ? fopen(path, "re") : NULL;
	char word[16], sentence[sizeof(part->message)];
	enum part_state state = PART_STATE_DEGRADED;

	if (!file) {
		part_set(part, PART_STATE_ABSENT, "%s", "");
		return false;
	}
	read_line(file, word, sizeof(word));
	read_line(file, sentence, sizeof(sentence));
	fclose(file);
	if (strcmp(word, "ok") == 0)
		state = PART_STATE_OK;
	else if (strcmp(word, "full") == 0)
		state = PART_STATE_FAILED;
	part_set(part, state, "%s", sentence);
	return true;
}

static void watch_steps(struct clock_watch *watch, int64_t offset_ms, int64_t steady_ms)
{
	int64_t step_ms = offset_ms - watch->offset_ms;

	watch->offset_ms = offset_ms;
	if (!watch->started) {
		watch->started = true;
		return;
	}
	if (llabs(step_ms) <= CLOCK_STEP_MS)
		return;
	watch->step_ms = step_ms;
	watch->stepped_at_ms = steady_ms;
}

void part_judge_clock(struct part_health *part, struct clock_watch *watch, int64_t wall_ms,
		      int64_t steady_ms)
{
	watch_steps(watch, wall_ms - steady_ms, steady_ms);
	if (wall_ms < CLOCK_OLDEST_MS)
		part_set(part, PART_STATE_FAILED, "the clock is before 2020: it was never set");
	else if (watch->step_ms && steady_ms - watch->stepped_at_ms < CLOCK_STEP_SHOW_MS)
		part_set(part, PART_STATE_DEGRADED, "the clock was set by %+.1f s",
			 (double)watch->step_ms / 1000);
	else
		part_set(part, PART_STATE_OK, "%s", "");
}

void part_probe_disk(struct part_health *part, const char *path)
{
	struct statvfs fs;

	if (statvfs(path, &fs) < 0) {
		part_set(part, PART_STATE_FAILED, "%s: %s", path, strerror(errno));
		return;
	}
	part_judge_disk(part, (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize,
			(uint64_t)fs.f_bavail * fs.f_frsize);
}

void part_probe_memory(struct part_health *part, const char *meminfo)
{
	FILE *file = fopen(meminfo, "re");
	uint64_t kib = 0;
	bool found = false;
	char line[128];

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1;
	if (file)
		fclose(file);
	if (found)
		part_judge_memory(part, kib);
	else
		part_set(part, PART_STATE_UNKNOWN, "%s does not tell", meminfo);
}

void part_probe_clock(struct part_health *part, struct clock_watch *watch)
{
	struct timespec steady;

	/* Unlike CLOCK_MONOTONIC it goes on while the machine sleeps, as the wall clock does. */
	clock_gettime(CLOCK_BOOTTIME, &steady);
	part_judge_clock(part, watch, clock_wall_ns() / 1000000,
			 (int64_t)steady.tv_sec * 1000 + steady.tv_nsec / 1000000);
}
