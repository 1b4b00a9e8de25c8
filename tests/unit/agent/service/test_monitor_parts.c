#include "agent/service/monitor_parts.h"

#include "agent/runtime/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GIB (1024ULL * 1024 * 1024)

static void assert_systemd(const char *state, enum part_state want, bool up)
{
	struct part_health part = { 0 };

	part_judge_systemd(&part, state);
	assert_int_equal(part.state, want);
	assert_int_equal(system_is_up(state), up);
	assert_true(part.checked_ms > 0);
	assert_int_equal(part.message[0] == '\0', want == PART_STATE_OK);
}

/* NS-231, D10 */
static void degraded_system_is_up_and_a_starting_one_is_not(void **state)
{
	(void)state;
	assert_systemd("running", PART_STATE_OK, true);
	assert_systemd("degraded", PART_STATE_DEGRADED, true);
	assert_systemd("starting", PART_STATE_DEGRADED, false);
	assert_systemd("initializing", PART_STATE_DEGRADED, false);
	assert_systemd("stopping", PART_STATE_FAILED, false);
	assert_systemd("maintenance", PART_STATE_FAILED, false);
}

static enum part_state kubelet(const char *load, const char *active, const char *enabled)
{
	struct unit_status unit = { 0 };
	struct part_health part = { 0 };

	snprintf(unit.load, sizeof(unit.load), "%s", load);
	snprintf(unit.active, sizeof(unit.active), "%s", active);
	snprintf(unit.enabled, sizeof(unit.enabled), "%s", enabled);
	part_judge_kubelet(&part, &unit);
	return part.state;
}

/* NS-231 */
static void kubelet_is_missed_only_where_it_is_expected(void **state)
{
	(void)state;
	assert_int_equal(kubelet("loaded", "active", "disabled"), PART_STATE_OK);
	assert_int_equal(kubelet("not-found", "inactive", ""), PART_STATE_ABSENT);
	assert_int_equal(kubelet("masked", "inactive", "masked"), PART_STATE_ABSENT);
	assert_int_equal(kubelet("loaded", "inactive", "disabled"), PART_STATE_ABSENT);
	assert_int_equal(kubelet("loaded", "inactive", "enabled"), PART_STATE_DEGRADED);
	assert_int_equal(kubelet("loaded", "inactive", "enabled-runtime"), PART_STATE_DEGRADED);
	assert_int_equal(kubelet("loaded", "activating", "enabled"), PART_STATE_DEGRADED);
	assert_int_equal(kubelet("loaded", "failed", "enabled"), PART_STATE_FAILED);
}

/* NS-231 */
static void runtime_without_network_is_degraded(void **state)
{
	struct runtime_info info = { .name = "x", .version = "1", .message = "cni not ready" };
	struct part_health part = { 0 };

	(void)state;
	part_judge_runtime(&part, &info);
	assert_int_equal(part.state, PART_STATE_FAILED);
	info.runtime_ready = true;
	part_judge_runtime(&part, &info);
	assert_int_equal(part.state, PART_STATE_DEGRADED);
	assert_non_null(strstr(part.message, "cni not ready"));
	info.network_ready = true;
	part_judge_runtime(&part, &info);
	assert_int_equal(part.state, PART_STATE_OK);
	assert_string_equal(part.message, "");
}

static enum part_state disk(uint64_t used, uint64_t left)
{
	struct part_health part = { 0 };

	part_judge_disk(&part, used, left);
	return part.state;
}

/* CN-125 */
static void full_disk_fails_only_when_little_is_left(void **state)
{
	(void)state;
	assert_int_equal(disk(84 * GIB, 16 * GIB), PART_STATE_OK);
	assert_int_equal(disk(85 * GIB, 15 * GIB), PART_STATE_DEGRADED);
	assert_int_equal(disk(99 * GIB, 1 * GIB), PART_STATE_FAILED);
	assert_int_equal(disk(9900 * GIB, 100 * GIB), PART_STATE_DEGRADED);
	assert_int_equal(disk(0, 0), PART_STATE_FAILED);
}

static void memory_below_kubelets_eviction_is_degraded(void **state)
{
	struct part_health part = { 0 };

	(void)state;
	part_judge_memory(&part, 100 * 1024);
	assert_int_equal(part.state, PART_STATE_OK);
	part_judge_memory(&part, 100 * 1024 - 1);
	assert_int_equal(part.state, PART_STATE_DEGRADED);
	part_judge_memory(&part, 31 * 1024);
	assert_int_equal(part.state, PART_STATE_FAILED);
	assert_string_equal(part.message, "only 31 MiB of memory left");
}

/* NS-231 */
static void clock_that_jumps_is_shown_for_a_minute(void **state)
{
	const int64_t wall_ms = 1700000000000;
	struct part_health part = { 0 };
	struct clock_watch watch = { 0 };

	(void)state;
	part_judge_clock(&part, &watch, wall_ms, 1000);
	assert_int_equal(part.state, PART_STATE_OK);
	part_judge_clock(&part, &watch, wall_ms + 10500, 11000);
	assert_int_equal(part.state, PART_STATE_OK); /* half a second is drift */
	part_judge_clock(&part, &watch, wall_ms + 3620000, 21000);
	assert_int_equal(part.state, PART_STATE_DEGRADED);
	assert_string_equal(part.message, "the clock was set by +3599.5 s");
	part_judge_clock(&part, &watch, wall_ms + 3679000, 80000);
	assert_int_equal(part.state, PART_STATE_DEGRADED);
	part_judge_clock(&part, &watch, wall_ms + 3680000, 81000);
	assert_int_equal(part.state, PART_STATE_OK);
}

static void clock_that_was_never_set_fails(void **state)
{
	struct part_health part = { 0 };
	struct clock_watch watch = { 0 };

	(void)state;
	part_judge_clock(&part, &watch, 86400000, 5000);
	assert_int_equal(part.state, PART_STATE_FAILED);
}

/* NS-232 */
static void late_probe_is_called_hung(void **state)
{
	struct part_health part = { 0 };
	struct err err;

	(void)state;
	err_set(&err, ERR_DEADLINE_EXCEEDED, 0, "cri: no answer in time");
	part_set_error(&part, &err);
	assert_int_equal(part.state, PART_STATE_FAILED);
	assert_string_equal(part.message, "hung: cri: no answer in time");
	err_set(&err, ERR_UNAVAILABLE, 0, "cri: no such socket");
	part_set_error(&part, &err);
	assert_string_equal(part.message, "cri: no such socket");
}

static void long_messages_are_cut_between_characters(void **state)
{
	struct part_health part = { 0 };
	char text[400] = "";

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 3);
	part_set(&part, PART_STATE_FAILED, "%s", text);
	assert_int_equal(strlen(part.message), sizeof(part.message) - 2);
	part_set(&part, PART_STATE_FAILED, "a\xff\n%s", "b");
	assert_string_equal(part.message, "a? b");
}

static bool preload(struct part_health *part, const char *text)
{
	char path[] = "/tmp/berth-preload-XXXXXX";
	int fd = mkstemp(path);
	bool given;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	given = part_probe_preload(part, path);
	unlink(path);
	return given;
}

/* CN-123 */
static void archives_that_do_not_fit_fail_and_others_only_lack(void **state)
{
	struct part_health part = { 0 };

	(void)state;
	assert_true(preload(&part, "ok\n\n"));
	assert_int_equal(part.state, PART_STATE_OK);
	assert_string_equal(part.message, "");
	assert_true(preload(&part, "unpacking\narchive 'a' is being unpacked\n"));
	assert_int_equal(part.state, PART_STATE_DEGRADED);
	assert_string_equal(part.message, "archive 'a' is being unpacked");
	assert_true(preload(&part, "degraded\narchive 'a' was not taken in: tar: x\n"));
	assert_int_equal(part.state, PART_STATE_DEGRADED);
	assert_true(preload(&part, "full\narchive 'a' does not fit"));
	assert_int_equal(part.state, PART_STATE_FAILED);
	assert_string_equal(part.message, "archive 'a' does not fit");
	assert_true(preload(&part, ""));
	assert_int_equal(part.state, PART_STATE_DEGRADED);
	assert_false(part_probe_preload(&part, "/nonexistent"));
	assert_int_equal(part.state, PART_STATE_ABSENT);
}

static void this_machine_can_be_probed(void **state)
{
	struct part_health part = { 0 };
	struct clock_watch watch = { 0 };

	(void)state;
	part_probe_disk(&part, "/");
	assert_int_not_equal(part.state, PART_STATE_UNKNOWN);
	part_probe_disk(&part, "/nonexistent");
	assert_int_equal(part.state, PART_STATE_FAILED);
	part_probe_memory(&part, "/proc/meminfo");
	assert_int_not_equal(part.state, PART_STATE_UNKNOWN);
	part_probe_memory(&part, "/nonexistent");
	assert_int_equal(part.state, PART_STATE_UNKNOWN);
	part_probe_clock(&part, &watch);
	assert_int_equal(part.state, PART_STATE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(degraded_system_is_up_and_a_starting_one_is_not),
		cmocka_unit_test(kubelet_is_missed_only_where_it_is_expected),
		cmocka_unit_test(runtime_without_network_is_degraded),
		cmocka_unit_test(full_disk_fails_only_when_little_is_left),
		cmocka_unit_test(memory_below_kubelets_eviction_is_degraded),
		cmocka_unit_test(clock_that_jumps_is_shown_for_a_minute),
		cmocka_unit_test(clock_that_was_never_set_fails),
		cmocka_unit_test(late_probe_is_called_hung),
		cmocka_unit_test(long_messages_are_cut_between_characters),
		cmocka_unit_test(archives_that_do_not_fit_fail_and_others_only_lack),
		cmocka_unit_test(this_machine_can_be_probed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
