/*
 * The monitor over two backends that answer as they are told: ops tables of their own.
 */
#include "agent/service/monitor.h"

#include "agent/agent.h"
#include "agent/runtime/runtime_impl.h"
#include "agent/units/unit_impl.h"
#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cmocka.h>

/* What the node says now, and who still waits for an answer. */
struct node {
	struct units units;
	struct runtime runtime;
	const char *system_state;
	bool runtime_ready;
	bool runtime_hangs;
	bool units_hang;
	unsigned info_calls;
	unsigned state_calls;
	unsigned most_info_pending;
	unsigned info_pending;
	unsigned pending; /* answers of any kind */
};

/* One answer on its way: at once from the loop, or at the deadline when the node hangs. */
struct held {
	struct node *node;
	sd_event_source *timer;
	unit_status_fn *status;
	unit_system_state_fn *state;
	runtime_info_fn *info;
	void *arg;
	bool hangs;
};

static struct node *node_of_units(struct units *units)
{
	return (struct node *)units;
}

static struct node *node_of_runtime(struct runtime *runtime)
{
	return (struct node *)(void *)((char *)runtime - offsetof(struct node, runtime));
}

static void answer_units(const struct held *held, const struct err *err)
{
	static const struct unit_status kubelet = { .name = "kubelet.service",
						    .load = "loaded",
						    .active = "active" };

	if (held->status)
		held->status(held->arg, err ? NULL : &kubelet, err ? 0 : 1, err);
	else
		held->state(held->arg, err ? NULL : held->node->system_state, err);
}

static void answer_info(const struct held *held, const struct err *err)
{
	struct runtime_info info = { .name = "fake",
				     .version = "1.2",
				     .network_ready = true,
				     .runtime_ready = held->node->runtime_ready,
				     .message = "" };

	held->node->info_pending--;
	held->info(held->arg, err ? NULL : &info, err);
}

static int on_held(sd_event_source *timer, uint64_t usec, void *arg)
{
	struct held held = *(struct held *)arg;
	struct err err;

	(void)usec;
	free(arg);
	held.node->pending--;
	sd_event_source_disable_unref(timer);
	err_set(&err, ERR_DEADLINE_EXCEEDED, 0, "no answer in time");
	if (held.info)
		answer_info(&held, held.hangs ? &err : NULL);
	else
		answer_units(&held, held.hangs ? &err : NULL);
	return 0;
}

static void hold(struct sd_event *loop, struct held held, struct deadline by)
{
	struct held *h = malloc(sizeof(*h));
	uint64_t at_us = held.hangs ? (uint64_t)by.at_ms * 1000 : 0;

	assert_non_null(h);
	*h = held;
	held.node->pending++;
	assert_true(sd_event_add_time(loop, &h->timer, CLOCK_MONOTONIC, at_us, 1, on_held, h) >= 0);
}

static void node_status(struct units *units, const char *const *names, size_t count,
			struct deadline by, unit_status_fn *done, void *arg)
{
	struct node *node = node_of_units(units);

	assert_int_equal(count, 1);
	assert_string_equal(names[0], "kubelet.service");
	hold(units->loop,
	     (struct held){ .node = node, .status = done, .arg = arg, .hangs = node->units_hang },
	     by);
}

static void node_system_state(struct units *units, struct deadline by, unit_system_state_fn *done,
			      void *arg)
{
	struct node *node = node_of_units(units);

	node->state_calls++;
	hold(units->loop,
	     (struct held){ .node = node, .state = done, .arg = arg, .hangs = node->units_hang },
	     by);
}

static void node_get_info(struct runtime *rt, struct deadline by, runtime_info_fn *done, void *arg)
{
	struct node *node = node_of_runtime(rt);

	node->info_calls++;
	if (++node->info_pending > node->most_info_pending)
		node->most_info_pending = node->info_pending;
	hold(rt->loop,
	     (struct held){ .node = node, .info = done, .arg = arg, .hangs = node->runtime_hangs },
	     by);
}

static const struct unit_ops node_unit_ops = {
	.name = "test",
	.status = node_status,
	.system_state = node_system_state,
};

static const struct runtime_ops node_runtime_ops = {
	.name = "test",
	.get_info = node_get_info,
};

struct rig {
	struct node node;
	struct agent agent;
	struct monitor *monitor;
	char preload[40]; /* "": this node was given nothing */
};

/* The test opens the monitor, once the node is as it should be. */
static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_true(sd_event_new(&rig->agent.loop) >= 0);
	rig->node.units = (struct units){ .ops = &node_unit_ops, .loop = rig->agent.loop };
	rig->node.runtime = (struct runtime){ .ops = &node_runtime_ops, .loop = rig->agent.loop };
	rig->node.system_state = "running";
	rig->node.runtime_ready = true;
	rig->agent.units = &rig->node.units;
	rig->agent.runtime = &rig->node.runtime;
	*state = rig;
	return 0;
}

static void open_monitor(struct rig *rig)
{
	struct err err;

	assert_int_equal(monitor_open(&rig->agent, &rig->monitor, &err), 0);
}

static bool nothing_pending(void *arg)
{
	return ((struct node *)arg)->pending == 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	monitor_close(rig->monitor);
	loop_until(rig->agent.loop, nothing_pending, &rig->node, 5000);
	sd_event_unref(rig->agent.loop);
	if (rig->preload[0])
		unlink(rig->preload);
	free(rig);
	return 0;
}

static const struct part_health *part(const struct rig *rig, const char *name)
{
	const struct node_health *health = monitor_get(rig->monitor);

	for (size_t i = 0; i < health->count; i++) {
		if (strcmp(health->parts[i].name, name) == 0)
			return &health->parts[i];
	}
	fail_msg("no part '%s'", name);
	return NULL;
}

struct ready_answer {
	unsigned calls;
	bool failed;
	struct err err;
	int64_t at_ms;
};

static void on_ready(void *arg, const struct err *err)
{
	struct ready_answer *answer = arg;

	answer->calls++;
	answer->at_ms = clock_now_ms();
	answer->failed = err;
	if (err)
		answer->err = *err;
}

static bool ready_answered(void *arg)
{
	return ((struct ready_answer *)arg)->calls > 0;
}

static void wait_ready(struct rig *rig, int64_t by_ms, struct ready_answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	monitor_wait_ready(rig->monitor, deadline_in_ms(by_ms), on_ready, ret);
	assert_int_equal(ret->calls, 0);
	loop_until(rig->agent.loop, ready_answered, ret, by_ms + 500);
	assert_int_equal(ret->calls, 1);
}

/* NS-231, NS-230 */
static void node_that_is_up_is_ready_and_healthy(void **state)
{
	const struct node_health *health;
	struct ready_answer answer;
	struct rig *rig = *state;

	open_monitor(rig);
	wait_ready(rig, 1000, &answer);
	assert_false(answer.failed);
	health = monitor_get(rig->monitor);
	assert_true(health->ready);
	assert_true(health->healthy);
	assert_int_equal(health->count, 6);
	assert_string_equal(health->runtime_name, "fake");
	assert_string_equal(health->runtime_version, "1.2");
	loop_for(rig->agent.loop, 20);
	for (size_t i = 0; i < health->count; i++) {
		assert_int_not_equal(health->parts[i].state, PART_STATE_UNKNOWN);
		assert_true(health->parts[i].checked_ms > 0);
	}
}

/* D10 */
static void degraded_system_is_ready_and_healthy(void **state)
{
	struct ready_answer answer;
	struct rig *rig = *state;

	rig->node.system_state = "degraded";
	open_monitor(rig);
	wait_ready(rig, 1000, &answer);
	assert_false(answer.failed);
	assert_int_equal(part(rig, "systemd")->state, PART_STATE_DEGRADED);
	assert_true(monitor_get(rig->monitor)->healthy);
}

/* D10 */
static void node_that_comes_up_is_seen_soon(void **state)
{
	struct ready_answer answer = { 0 };
	struct rig *rig = *state;
	int64_t up_ms;

	rig->node.system_state = "starting";
	rig->node.runtime_ready = false;
	open_monitor(rig);
	monitor_wait_ready(rig->monitor, deadline_in_ms(5000), on_ready, &answer);
	loop_for(rig->agent.loop, 300);
	assert_int_equal(answer.calls, 0);
	rig->node.system_state = "running";
	loop_for(rig->agent.loop, 200);
	assert_int_equal(answer.calls, 0);
	rig->node.runtime_ready = true;
	up_ms = clock_now_ms();
	loop_until(rig->agent.loop, ready_answered, &answer, 1000);
	assert_false(answer.failed);
	assert_in_range(answer.at_ms - up_ms, 0, 150);
}

static void wait_for_what_is_missing_names_it(void **state)
{
	struct ready_answer answer;
	struct rig *rig = *state;

	rig->node.system_state = "starting";
	rig->node.runtime_ready = false;
	open_monitor(rig);
	wait_ready(rig, 200, &answer);
	assert_int_equal(answer.err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(answer.err.reason, "NODE_NOT_READY");
	assert_non_null(strstr(answer.err.msg, "systemd: the node is still starting"));
	assert_non_null(strstr(answer.err.msg, "runtime: not ready"));
}

static void wait_of_a_ready_node_answers_from_the_loop(void **state)
{
	struct ready_answer answer;
	struct rig *rig = *state;

	open_monitor(rig);
	wait_ready(rig, 1000, &answer);
	wait_ready(rig, 1000, &answer);
	assert_false(answer.failed);
}

static bool is_told_of_systemd_often(void *arg)
{
	return ((struct rig *)arg)->node.state_calls > 3;
}

/* NS-232, NS-004: the others are told all the while, and probes do not pile up. */
static void hung_runtime_holds_up_nobody(void **state)
{
	struct ready_answer answer;
	struct rig *rig = *state;

	rig->node.runtime_hangs = true;
	open_monitor(rig);
	loop_until(rig->agent.loop, is_told_of_systemd_often, rig, 20000);
	assert_int_equal(part(rig, "systemd")->state, PART_STATE_OK);
	assert_int_equal(part(rig, "kubelet")->state, PART_STATE_OK);
	assert_int_equal(part(rig, "runtime")->state, PART_STATE_UNKNOWN);
	assert_int_equal(rig->node.info_calls, 1);
	wait_ready(rig, 2000, &answer);
	assert_true(answer.failed);
	assert_int_equal(part(rig, "runtime")->state, PART_STATE_FAILED);
	assert_non_null(strstr(part(rig, "runtime")->message, "hung"));
	assert_false(monitor_get(rig->monitor)->healthy);
	assert_int_equal(rig->node.most_info_pending, 1);
}

static bool has_given_up_systemd(void *arg)
{
	return part(arg, "systemd")->state == PART_STATE_FAILED &&
	       part(arg, "kubelet")->state == PART_STATE_FAILED;
}

/* NS-232 */
static void hung_systemd_holds_up_nobody(void **state)
{
	struct rig *rig = *state;

	rig->node.units_hang = true;
	open_monitor(rig);
	loop_until(rig->agent.loop, has_given_up_systemd, rig, 20000);
	assert_int_equal(part(rig, "runtime")->state, PART_STATE_OK);
	assert_int_equal(part(rig, "systemd")->state, PART_STATE_FAILED);
	assert_int_equal(part(rig, "kubelet")->state, PART_STATE_FAILED);
}

/* The agent's budget: under one wake-up a second. */
static void ready_node_is_left_alone(void **state)
{
	struct ready_answer answer;
	struct rig *rig = *state;
	unsigned calls;

	open_monitor(rig);
	wait_ready(rig, 1000, &answer);
	loop_for(rig->agent.loop, 100);
	calls = rig->node.state_calls;
	loop_for(rig->agent.loop, 3000);
	assert_int_equal(rig->node.state_calls, calls);
}

static void close_cancels_who_waits(void **state)
{
	struct ready_answer answer = { 0 };
	struct rig *rig = *state;

	rig->node.runtime_ready = false;
	open_monitor(rig);
	monitor_wait_ready(rig->monitor, deadline_in_ms(5000), on_ready, &answer);
	loop_for(rig->agent.loop, 100);
	monitor_close(rig->monitor);
	rig->monitor = NULL;
	assert_int_equal(answer.calls, 1);
	assert_int_equal(answer.err.code, ERR_CANCELLED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Replaces what the node's preload has written, as that does. */
static void preload_says(struct rig *rig, const char *text)
{
	char next[64];
	FILE *file;

	if (!rig->preload[0]) {
		int fd;

		snprintf(rig->preload, sizeof(rig->preload), "/tmp/berth-monitor-XXXXXX");
		fd = mkstemp(rig->preload);
		assert_true(fd >= 0);
		close(fd);
		rig->agent.config.preload_state = rig->preload;
	}
	snprintf(next, sizeof(next), "%s.new", rig->preload);
	file = fopen(next, "we");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(next, rig->preload), 0);
}

static bool system_is_seen_up(void *arg)
{
	return part(arg, "systemd")->state == PART_STATE_OK;
}

/* CN-123 */
static void full_disk_ends_the_wait_at_once(void **state)
{
	struct ready_answer first = { 0 }, second;
	struct rig *rig = *state;

	rig->node.system_state = "starting";
	preload_says(rig, "unpacking\narchive 'a' is being unpacked\n");
	open_monitor(rig);
	monitor_wait_ready(rig->monitor, deadline_in_ms(60000), on_ready, &first);
	loop_for(rig->agent.loop, 20);
	assert_int_equal(first.calls, 0);
	preload_says(rig, "full\narchive 'a' does not fit\n");
	loop_until(rig->agent.loop, ready_answered, &first, 30000);
	assert_int_equal(first.err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(first.err.reason, "NO_SPACE");
	assert_string_equal(first.err.msg, "archive 'a' does not fit");
	wait_ready(rig, 60000, &second);
	assert_string_equal(second.err.reason, "NO_SPACE");
	rig->node.system_state = "running";
	loop_until(rig->agent.loop, system_is_seen_up, rig, 30000);
	assert_false(monitor_get(rig->monitor)->ready);
	assert_false(monitor_get(rig->monitor)->healthy);
}

/* CN-123 */
static void node_goes_on_without_what_could_not_be_taken_in(void **state)
{
	struct ready_answer answer;
	struct rig *rig = *state;

	preload_says(rig, "degraded\narchive 'a' was not taken in: no tar\n");
	open_monitor(rig);
	wait_ready(rig, 30000, &answer);
	assert_false(answer.failed);
	assert_true(monitor_get(rig->monitor)->healthy);
	assert_int_equal(monitor_get(rig->monitor)->count, 7);
	assert_int_equal(part(rig, "preload")->state, PART_STATE_DEGRADED);
}

/* CN-124 */
static void wait_for_an_archive_says_so(void **state)
{
	struct ready_answer answer;
	struct rig *rig = *state;

	rig->node.system_state = "starting";
	preload_says(rig, "unpacking\narchive 'a' is being unpacked\n");
	open_monitor(rig);
	wait_ready(rig, 200, &answer);
	assert_int_equal(answer.err.code, ERR_DEADLINE_EXCEEDED);
	assert_non_null(strstr(answer.err.msg, "archive 'a' is being unpacked"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(node_that_is_up_is_ready_and_healthy),
		test(degraded_system_is_ready_and_healthy),
		test(node_that_comes_up_is_seen_soon),
		test(wait_for_what_is_missing_names_it),
		test(wait_of_a_ready_node_answers_from_the_loop),
		test(hung_runtime_holds_up_nobody),
		test(hung_systemd_holds_up_nobody),
		test(ready_node_is_left_alone),
		test(close_cancels_who_waits),
		test(full_disk_ends_the_wait_at_once),
		test(node_goes_on_without_what_could_not_be_taken_in),
		test(wait_for_an_archive_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
