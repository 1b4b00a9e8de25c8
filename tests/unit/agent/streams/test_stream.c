/* Offsets, waiting and limits of a session, with a source that does what the test says. */
#include "agent/streams/stream.h"
#include "shared/base/cleanup.h"
#include "tests/support/streams.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct source {
	unsigned pumps, ends, closes;
	size_t takes; /* input bytes it still takes */
	char taken[64];
	int signal;
} source;

static void pump(void *arg)
{
	((struct source *)arg)->pumps++;
}

static size_t input(void *arg, const uint8_t *bytes, size_t len)
{
	struct source *s = arg;
	size_t n = len < s->takes ? len : s->takes;

	strncat(s->taken, (const char *)bytes, n);
	s->takes -= n;
	return n;
}

static void input_end(void *arg)
{
	((struct source *)arg)->ends++;
}

static int signal_it(void *arg, int number, struct err *err)
{
	(void)err;
	((struct source *)arg)->signal = number;
	return 0;
}

static void close_it(void *arg)
{
	((struct source *)arg)->closes++;
}

static const struct stream_ops ops = {
	.kind = "test",
	.pump = pump,
	.input = input,
	.input_end = input_end,
	.signal = signal_it,
	.close = close_it,
};

static const struct stream_ops deaf = { .kind = "deaf", .pump = pump, .close = close_it };

static struct stream *open_as(struct st_rig *rig, const struct stream_ops *with,
			      enum method_role role)
{
	struct stream *s = NULL;
	struct err err;

	memset(&source, 0, sizeof(source));
	assert_int_equal(stream_new(rig->streams, with, &source, role, &s, &err), 0);
	return s;
}

static struct stream *open_one(struct st_rig *rig)
{
	return open_as(rig, &ops, ROLE_ADMIN);
}

static void put(struct stream *s, const char *text)
{
	stream_put(s, STREAM_OUT, text, strlen(text));
}

/* DESIGN.md D5 */
static void same_offset_reads_the_same_again(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a;

	put(s, "hello world");
	st_read(s, 0, 5, 0, &a);
	assert_string_equal(a.text, "hello");
	assert_int_equal(a.next_offset, 5);
	st_read(s, 0, 0, 0, &a);
	assert_string_equal(a.text, "hello world");
	st_read(s, 5, 0, 0, &a);
	assert_string_equal(a.text, " world");
	assert_int_equal(a.next_offset, 11);
	assert_false(a.ended);
}

/* DESIGN.md D5 */
static void what_was_let_go_of_and_what_never_came_are_out_of_range(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a;

	put(s, "hello");
	st_read(s, 3, 0, 0, &a);
	assert_string_equal(a.text, "lo");
	st_read(s, 2, 0, 0, &a);
	assert_int_equal(a.err.code, ERR_OUT_OF_RANGE);
	assert_string_equal(a.err.reason, "STREAM_OFFSET");
	st_read(s, 6, 0, 0, &a);
	assert_int_equal(a.err.code, ERR_OUT_OF_RANGE);
	st_read(s, 3, 0, 0, &a);
	assert_string_equal(a.text, "lo");
}

/* DESIGN.md D5: found by fuzzing; the bytes of another offset are no answer */
static void a_waiting_read_that_was_overtaken_is_out_of_range(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer slow, fast;

	st_read(s, 0, 0, 5000, &slow);
	put(s, "hello");
	st_read(s, 3, 0, 0, &fast);
	assert_string_equal(fast.text, "lo");
	st_wait(*state, &slow);
	assert_int_equal(slow.err.code, ERR_OUT_OF_RANGE);
	assert_string_equal(slow.err.reason, "STREAM_OFFSET");
}

static void read_waits_for_the_first_byte(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a;

	st_read(s, 0, 0, 5000, &a);
	st_settle(*state);
	assert_int_equal(a.count, 0);
	put(s, "x");
	assert_int_equal(a.count, 0); /* never from within the call */
	st_wait(*state, &a);
	assert_string_equal(a.text, "x");
}

static void several_puts_are_one_answer(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a;

	st_read(s, 0, 0, 5000, &a);
	put(s, "one");
	stream_put(s, STREAM_ERR, "two", 3);
	put(s, "three");
	st_wait(*state, &a);
	assert_string_equal(a.text, "onetwothree");
	assert_string_equal(a.channels, "121");
}

static void read_ends_empty_at_its_time(void **state)
{
	struct stream *s = open_one(*state);
	int64_t start = clock_now_ms();
	struct st_answer a;

	st_read(s, 0, 0, 60, &a);
	st_wait(*state, &a);
	assert_int_equal(a.err.code, ERR_OK);
	assert_int_equal(a.len, 0);
	assert_int_equal(a.next_offset, 0);
	assert_false(a.ended);
	assert_in_range(clock_now_ms() - start, 59, 5000);
}

static void two_readers_get_the_same(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a, b;

	st_read(s, 0, 0, 5000, &a);
	st_read(s, 0, 2, 5000, &b);
	put(s, "data");
	st_wait(*state, &a);
	st_wait(*state, &b);
	assert_string_equal(a.text, "data");
	assert_string_equal(b.text, "da");
	assert_int_equal(b.next_offset, 2);
}

static void waiters_are_bounded(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a[17];

	for (int i = 0; i < 17; i++)
		st_read(s, 0, 0, 5000, &a[i]);
	assert_int_equal(a[16].count, 1);
	assert_int_equal(a[16].err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(a[16].err.reason, "TOO_MANY_WAITERS");
	put(s, "x");
	for (int i = 0; i < 16; i++)
		st_wait(*state, &a[i]);
}

static void end_comes_with_the_last_byte(void **state)
{
	struct stream *s = open_one(*state);
	struct stream_end end = { .exit_code = 3 };
	struct st_answer a;

	put(s, "bye");
	stream_finish(s, &end);
	put(s, "too late");
	st_read(s, 0, 2, 0, &a);
	assert_string_equal(a.text, "by");
	assert_false(a.ended);
	st_read(s, 2, 0, 0, &a);
	assert_string_equal(a.text, "e");
	assert_true(a.ended);
	assert_int_equal(a.end.exit_code, 3);
	st_read(s, 3, 0, 5000, &a);
	assert_int_equal(a.count, 1);
	assert_true(a.ended);
}

static void end_wakes_who_waits(void **state)
{
	struct stream *s = open_one(*state);
	struct stream_end end = { .signal = 9 };
	struct st_answer a;

	st_read(s, 0, 0, 5000, &a);
	stream_finish(s, &end);
	st_wait(*state, &a);
	assert_true(a.ended);
	assert_int_equal(a.end.signal, 9);
}

/* I12 */
static void source_is_told_when_there_is_room_again(void **state)
{
	static const char block[64 * 1024];
	struct stream *s = open_one(*state);
	struct st_answer a;

	while (stream_room(s) > 0)
		stream_put(s, STREAM_OUT, block, sizeof(block));
	st_read(s, 0, 0, 0, &a);
	assert_int_equal(a.len, STREAM_CHUNK_BYTES);
	st_settle(*state);
	assert_int_equal(source.pumps, 0); /* nothing has been let go of yet */
	st_read(s, a.next_offset, 0, 0, &a);
	assert_int_equal(source.pumps, 0);
	st_settle(*state);
	assert_int_equal(source.pumps, 1);
	assert_int_equal(stream_room(s), STREAM_CHUNK_BYTES);
}

/* DESIGN.md D5 */
static void repeated_input_is_taken_once(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a;

	source.takes = 100;
	st_write(s, 0, "abc", 3, false, 0, &a);
	assert_int_equal(a.next_offset, 3);
	st_write(s, 0, "abc", 3, false, 0, &a);
	assert_int_equal(a.next_offset, 3);
	st_write(s, 1, "bcde", 4, false, 0, &a);
	assert_int_equal(a.next_offset, 5);
	assert_string_equal(source.taken, "abcde");
	st_write(s, 6, "g", 1, false, 0, &a);
	assert_int_equal(a.err.code, ERR_OUT_OF_RANGE);
	st_write(s, 5, "f", 1, true, 0, &a);
	assert_int_equal(source.ends, 1);
	st_write(s, 5, "f", 1, true, 0, &a);
	assert_int_equal(a.err.code, ERR_OK);
	assert_int_equal(a.next_offset, 6);
	assert_int_equal(source.ends, 1);
	st_write(s, 6, "g", 1, false, 0, &a);
	assert_int_equal(a.err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(source.taken, "abcdef");
}

static void input_waits_for_the_source(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a, b;

	source.takes = 2;
	st_write(s, 0, "abcd", 4, true, 5000, &a);
	assert_int_equal(a.next_offset, 2);
	assert_int_equal(source.ends, 0);
	st_write(s, 2, "cd", 2, true, 5000, &a);
	st_write(s, 2, "cd", 2, true, 5000, &b); /* asked again over a new connection */
	st_settle(*state);
	assert_int_equal(a.count, 0);
	source.takes = 10;
	stream_want_input(s);
	st_wait(*state, &a);
	st_wait(*state, &b);
	assert_int_equal(a.next_offset, 4);
	assert_int_equal(b.next_offset, 4);
	assert_string_equal(source.taken, "abcd");
	assert_int_equal(source.ends, 1);
}

static void input_that_is_not_taken_ends_at_its_time(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a;

	st_write(s, 0, "abcd", 4, false, 50, &a);
	st_wait(*state, &a);
	assert_int_equal(a.err.code, ERR_OK);
	assert_int_equal(a.next_offset, 0);
}

static void session_that_ended_drops_input(void **state)
{
	struct stream *s = open_one(*state);
	struct stream_end end = { 0 };
	struct st_answer a, b;

	st_write(s, 0, "ab", 2, false, 5000, &a);
	stream_finish(s, &end);
	st_wait(*state, &a);
	assert_int_equal(a.next_offset, 2);
	st_write(s, 2, "cd", 2, true, 5000, &b);
	assert_int_equal(b.next_offset, 4);
	assert_string_equal(source.taken, "");
}

static void deaf_session_refuses_what_it_cannot(void **state)
{
	struct stream *s = open_as(*state, &deaf, ROLE_ADMIN);
	struct st_answer a;
	struct err err;

	st_write(s, 0, "x", 1, false, 0, &a);
	assert_int_equal(a.err.code, ERR_FAILED_PRECONDITION);
	assert_int_equal(stream_signal(s, 15, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	assert_int_equal(stream_resize(s, 1, 1, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
}

static void write_over_the_limit_is_refused(void **state)
{
	static const uint8_t bytes[STREAM_CHUNK_BYTES + 1];
	struct stream *s = open_one(*state);
	struct st_answer a;

	/* NS-280 */
	st_write(s, 0, bytes, sizeof(bytes), false, 0, &a);
	assert_int_equal(a.err.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(source.taken[0], 0);
}

static void close_answers_who_waits(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s = open_one(rig);
	struct st_answer a, b;

	st_read(s, 0, 0, 5000, &a);
	st_write(s, 0, "x", 1, false, 5000, &b);
	stream_close(s);
	assert_int_equal(a.err.code, ERR_UNAVAILABLE);
	assert_int_equal(b.err.code, ERR_UNAVAILABLE);
	assert_int_equal(source.closes, 1);
	assert_int_equal(streams_count(rig->streams), 0);
}

/* F22, F34 */
static void session_nobody_asks_about_is_closed(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s, *found;
	struct st_answer a;
	struct err err;
	uint8_t id[STREAM_ID_BYTES];

	streams_set_idle(rig->streams, 100);
	s = open_one(rig);
	memcpy(id, stream_id(s), sizeof(id));
	st_read(s, 0, 0, 60, &a);
	st_wait(rig, &a);
	assert_int_equal(streams_find(rig->streams, id, sizeof(id), ROLE_ADMIN, &found, &err), 0);
	assert_ptr_equal(found, s);
	st_read(s, 0, 0, 60, &a);
	st_wait(rig, &a);
	assert_int_equal(source.closes, 0);
	st_until(rig, source.closes == 1);
	assert_int_equal(streams_find(rig->streams, id, sizeof(id), ROLE_ADMIN, &found, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.reason, "STREAM_GONE");
}

/* S4 */
static void lower_role_does_not_get_at_it(void **state)
{
	struct st_rig *rig = *state;
	struct stream *admin = open_one(rig), *read = open_as(rig, &deaf, ROLE_READ), *found = NULL;
	struct err err;

	assert_int_equal(streams_find(rig->streams, stream_id(admin), STREAM_ID_BYTES, ROLE_READ,
				      &found, &err),
			 -1);
	assert_int_equal(err.code, ERR_PERMISSION_DENIED);
	assert_null(found);
	assert_int_equal(streams_find(rig->streams, stream_id(read), STREAM_ID_BYTES, ROLE_READ,
				      &found, &err),
			 0);
	assert_int_equal(streams_find(rig->streams, stream_id(read), STREAM_ID_BYTES - 1,
				      ROLE_ADMIN, &found, &err),
			 -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* I15 */
static void sessions_are_bounded(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s = NULL;
	struct err err;

	for (int i = 0; i < STREAMS_MAX; i++)
		open_one(rig);
	assert_int_equal(stream_new(rig->streams, &ops, &source, ROLE_ADMIN, &s, &err), -1);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(err.reason, "TOO_MANY_STREAMS");
	assert_null(s);
	assert_int_equal(source.closes, 0);
}

/* One that has told its end is not in the way of a new one. */
static void session_that_told_its_end_makes_room(void **state)
{
	struct st_rig *rig = *state;
	struct stream_end end = { 0 };
	struct stream *s;
	struct st_answer a;

	for (int i = 0; i < STREAMS_MAX; i++)
		s = open_one(rig);
	stream_finish(s, &end);
	st_read(s, 0, 0, 0, &a);
	assert_true(a.ended);
	source.closes = 0;
	open_one(rig);
	assert_int_equal(streams_count(rig->streams), STREAMS_MAX);
}

/* Nothing wakes the loop while there is no session. */
static void without_sessions_there_is_no_timer(void **state)
{
	struct st_rig *rig = *state;
	struct stream *s;

	streams_set_idle(rig->streams, 50);
	assert_int_equal(sd_event_run(rig->loop, 150000), 0);
	s = open_one(rig);
	stream_close(s);
	assert_int_equal(sd_event_run(rig->loop, 150000), 0);
}

/* Of "hello". */
static const uint8_t hello_sum[SHA256_BYTES] = { 0x2c, 0xf2, 0x4d, 0xba, 0x5f, 0xb0, 0xa3, 0x0e,
						 0x26, 0xe8, 0x3b, 0x2a, 0xc5, 0xb9, 0xe2, 0x9e,
						 0x1b, 0x16, 0x1e, 0x5c, 0x1f, 0xa7, 0x42, 0x5e,
						 0x73, 0x04, 0x33, 0x62, 0x93, 0x8b, 0x98, 0x24 };

static struct stream *open_checked(struct st_rig *rig)
{
	struct stream *s = open_one(rig);

	source.takes = sizeof(source.taken) - 1;
	stream_check_input(s);
	return s;
}

static void assert_broken_off(struct st_rig *rig, struct stream *s, const char *why)
{
	struct st_answer a;

	st_read(s, 0, 0, 5000, &a);
	st_wait(rig, &a);
	assert_true(a.ended);
	assert_int_equal(a.end.err.code, ERR_DATA_LOSS);
	assert_string_equal(a.end.err.reason, "CONTENT_CHANGED");
	assert_non_null(strstr(a.end.err.msg, why));
	assert_int_equal(source.signal, SIGKILL);
	assert_int_equal(source.ends, 0);
}

/* NS-075: taken in pieces, the last ones twice */
static void checked_input_that_is_as_sent_ends(void **state)
{
	struct stream *s = open_checked(*state);
	struct st_answer a;

	source.takes = 3;
	st_write(s, 0, "he", 2, false, 0, &a);
	stream_tell_sha256(s, hello_sum);
	st_write(s, 2, "llo", 3, true, 0, &a);
	assert_int_equal(a.next_offset, 3);
	assert_int_equal(source.ends, 0);
	source.takes = 10;
	st_write(s, 2, "llo", 3, true, 0, &a);
	st_write(s, 2, "llo", 3, true, 0, &a);
	st_write(s, 5, "", 0, true, 0, &a);
	assert_int_equal(a.err.code, ERR_OK);
	assert_string_equal(source.taken, "hello");
	assert_int_equal(source.ends, 1);
	assert_int_equal(source.signal, 0);
}

/* NS-075: what came with the sum was not handed on */
static void checked_input_that_changed_is_broken_off(void **state)
{
	struct stream *s = open_checked(*state);
	struct st_answer a;

	st_write(s, 0, "hEl", 3, false, 0, &a);
	stream_tell_sha256(s, hello_sum);
	st_write(s, 3, "lo", 2, true, 0, &a);
	assert_int_equal(a.err.code, ERR_OK);
	assert_int_equal(a.next_offset, 5);
	assert_broken_off(*state, s, "not what was sent");
	assert_string_equal(source.taken, "hEl");
}

/* NS-075 */
static void checked_input_without_its_sum_is_broken_off(void **state)
{
	struct stream *s = open_checked(*state);
	struct st_answer a;

	st_write(s, 0, "hello", 5, true, 0, &a);
	assert_broken_off(*state, s, "without its SHA-256");
	assert_string_equal(source.taken, "");
}

/* NS-075: what an older agent or another session does with it */
static void sum_of_input_that_is_not_checked_is_passed_over(void **state)
{
	struct stream *s = open_one(*state);
	struct st_answer a;

	source.takes = 10;
	stream_tell_sha256(s, hello_sum);
	st_write(s, 0, "other", 5, true, 0, &a);
	assert_int_equal(source.ends, 1);
	assert_int_equal(source.signal, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, st_setup, st_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(same_offset_reads_the_same_again),
		TEST(what_was_let_go_of_and_what_never_came_are_out_of_range),
		TEST(a_waiting_read_that_was_overtaken_is_out_of_range),
		TEST(read_waits_for_the_first_byte),
		TEST(several_puts_are_one_answer),
		TEST(read_ends_empty_at_its_time),
		TEST(two_readers_get_the_same),
		TEST(waiters_are_bounded),
		TEST(end_comes_with_the_last_byte),
		TEST(end_wakes_who_waits),
		TEST(source_is_told_when_there_is_room_again),
		TEST(repeated_input_is_taken_once),
		TEST(input_waits_for_the_source),
		TEST(input_that_is_not_taken_ends_at_its_time),
		TEST(session_that_ended_drops_input),
		TEST(deaf_session_refuses_what_it_cannot),
		TEST(write_over_the_limit_is_refused),
		TEST(checked_input_that_is_as_sent_ends),
		TEST(checked_input_that_changed_is_broken_off),
		TEST(checked_input_without_its_sum_is_broken_off),
		TEST(sum_of_input_that_is_not_checked_is_passed_over),
		TEST(close_answers_who_waits),
		TEST(session_nobody_asks_about_is_closed),
		TEST(lower_role_does_not_get_at_it),
		TEST(sessions_are_bounded),
		TEST(session_that_told_its_end_makes_room),
		TEST(without_sessions_there_is_no_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
