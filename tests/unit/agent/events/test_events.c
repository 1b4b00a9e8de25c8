#include "agent/events/events.h"

#include "shared/base/cleanup.h"
#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	struct sd_event *loop;
	struct events *events;
};

struct answer {
	unsigned calls;
	size_t count;
	uint64_t first_id;
	uint64_t last_id;
	char first[EVENT_MESSAGE_BYTES];
	char last[EVENT_MESSAGE_BYTES];
	bool gap;
	bool rises;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	assert_true(sd_event_new(&rig->loop) >= 0);
	assert_int_equal(events_open(rig->loop, &rig->events, &err), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	events_close(rig->events);
	sd_event_unref(rig->loop);
	free(rig);
	return 0;
}

static void take(void *arg, const struct events_answer *got)
{
	struct answer *answer = arg;

	answer->calls++;
	answer->count = got->count;
	answer->last_id = got->last_id;
	answer->gap = got->gap;
	answer->rises = true;
	for (size_t i = 1; i < got->count; i++)
		answer->rises &= got->list[i]->id > got->list[i - 1]->id;
	if (!got->count)
		return;
	answer->first_id = got->list[0]->id;
	snprintf(answer->first, sizeof(answer->first), "%s", got->list[0]->message);
	snprintf(answer->last, sizeof(answer->last), "%s", got->list[got->count - 1]->message);
}

static struct answer read_now(struct rig *rig, uint64_t after_id, size_t max, size_t tail)
{
	struct events_query query = { .after_id = after_id, .max = max, .tail = tail };
	struct answer answer = { 0 };

	events_read(rig->events, &query, take, &answer);
	assert_int_equal(answer.calls, 1);
	return answer;
}

static void note(struct rig *rig, unsigned number)
{
	events_note(rig->events, EVENT_NORMAL, "pod", "default/web", "Started", "number %u",
		    number);
}

/* NS-206, NS-281 */
static void readers_go_on_where_they_were(void **state)
{
	struct rig *rig = *state;
	struct answer answer;

	for (unsigned i = 0; i < 10; i++)
		note(rig, i);
	answer = read_now(rig, 0, 4, 0);
	assert_int_equal(answer.count, 4);
	assert_string_equal(answer.first, "number 0");
	assert_string_equal(answer.last, "number 3");
	assert_true(answer.rises);
	assert_false(answer.gap);
	answer = read_now(rig, answer.last_id, 0, 0);
	assert_int_equal(answer.count, 6);
	assert_string_equal(answer.first, "number 4");
	answer = read_now(rig, answer.last_id, 0, 0);
	assert_int_equal(answer.count, 0);
	answer = read_now(rig, 0, 0, 3);
	assert_int_equal(answer.count, 3);
	assert_string_equal(answer.first, "number 7");
}

/* NS-281 */
static void ring_holds_a_thousand_and_tells_of_a_gap(void **state)
{
	struct rig *rig = *state;
	struct answer answer;
	uint64_t seen;

	note(rig, 0);
	seen = read_now(rig, 0, 0, 0).last_id;
	for (unsigned i = 1; i <= EVENTS_MAX; i++)
		note(rig, i);
	answer = read_now(rig, seen, EVENTS_MAX, 0);
	assert_true(answer.count >= 1000);
	assert_false(answer.gap); /* what is gone was read */
	note(rig, EVENTS_MAX + 1);
	answer = read_now(rig, seen, EVENTS_MAX, 0);
	assert_true(answer.gap);
	assert_string_equal(answer.first, "number 2");
	assert_true(answer.rises);
	assert_false(read_now(rig, answer.last_id, 0, 0).gap);
}

/* NS-281: ids rise with time and over restarts, so a reader of before learns that it may have missed some. */
static void restart_is_a_gap_and_ids_go_on_rising(void **state)
{
	struct rig *rig = *state;
	struct answer before, after;
	struct err err;

	for (unsigned i = 0; i < 100; i++)
		note(rig, i);
	before = read_now(rig, 0, 0, 0);
	events_close(rig->events);
	loop_for(rig->loop, 2); /* no agent is back sooner */
	assert_int_equal(events_open(rig->loop, &rig->events, &err), 0);
	note(rig, 100);
	after = read_now(rig, before.last_id, 0, 0);
	assert_true(after.gap);
	assert_int_equal(after.count, 1);
	assert_true(after.first_id > before.last_id);
	assert_false(read_now(rig, after.last_id, 0, 0).gap);
	/* An id that was never given out: the clock was set back meanwhile. */
	after = read_now(rig, UINT64_MAX, 0, 0);
	assert_true(after.gap);
	assert_int_equal(after.count, 1);
}

static bool was_called(void *arg)
{
	return ((struct answer *)arg)->calls > 0;
}

static void who_waits_is_told_from_the_loop(void **state)
{
	struct events_query query = { .by = deadline_in_ms(5000) };
	struct answer first = { 0 }, second = { 0 };
	struct rig *rig = *state;

	events_read(rig->events, &query, take, &first);
	events_read(rig->events, &query, take, &second);
	note(rig, 1);
	note(rig, 2);
	assert_int_equal(first.calls, 0);
	loop_until(rig->loop, was_called, &second, 1000);
	assert_int_equal(first.calls, 1);
	assert_int_equal(first.count, 2);
	assert_int_equal(second.count, 2);
}

static void nobody_waits_longer_than_he_said(void **state)
{
	struct events_query query = { .by = deadline_in_ms(30) };
	struct answer answer = { 0 };
	struct rig *rig = *state;

	events_read(rig->events, &query, take, &answer);
	loop_until(rig->loop, was_called, &answer, 1000);
	assert_int_equal(answer.count, 0);
	assert_true(answer.last_id > 0);
	note(rig, 1);
	assert_int_equal(read_now(rig, answer.last_id, 0, 0).count, 1);
}

static void closing_answers_who_waits(void **state)
{
	struct events_query query = { .by = deadline_in_ms(5000) };
	struct answer answer = { 0 };
	struct rig *rig = *state;

	events_read(rig->events, &query, take, &answer);
	events_close(rig->events);
	rig->events = NULL;
	assert_int_equal(answer.calls, 1);
}

/* I4: what a runtime says may be anything, and the wire takes UTF-8 only. */
static void texts_are_cleaned_and_cut(void **state)
{
	struct rig *rig = *state;
	cleanup_free char *lines = malloc(100000);
	struct answer answer;

	assert_non_null(lines);
	memset(lines, 'x', 99999);
	lines[99999] = '\0';
	events_note(rig->events, EVENT_WARNING, "pod", "default/web", "Failed", "a\nb\xff%s",
		    lines);
	answer = read_now(rig, 0, 0, 0);
	assert_int_equal(strlen(answer.first), EVENT_MESSAGE_BYTES - 1);
	assert_memory_equal(answer.first, "a b?xxx", 7);
	events_note(NULL, EVENT_NORMAL, "pod", "", "Started", "%s", "");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(readers_go_on_where_they_were),
		test(ring_holds_a_thousand_and_tells_of_a_gap),
		test(restart_is_a_gap_and_ids_go_on_rising),
		test(who_waits_is_told_from_the_loop),
		test(nobody_waits_longer_than_he_said),
		test(closing_answers_who_waits),
		test(texts_are_cleaned_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
