#include "agent/streams/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct stream_piece pieces[RING_PIECES_MAX];

static void put(struct ring *r, enum stream_channel channel, uint8_t first, size_t len)
{
	while (len > 0) {
		size_t room;
		uint8_t *to = ring_reserve(r, channel, &room);

		assert_non_null(to);
		room = room < len ? room : len;
		for (size_t i = 0; i < room; i++)
			to[i] = first++;
		ring_commit(r, room);
		len -= room;
	}
}

static void one_channel_is_one_piece(void **state)
{
	struct ring r = { 0 };
	uint64_t next;

	(void)state;
	put(&r, STREAM_OUT, 0, 10);
	put(&r, STREAM_OUT, 10, 10);
	assert_int_equal(ring_look(&r, 100, pieces, &next), 1);
	assert_int_equal(pieces[0].len, 20);
	assert_int_equal(pieces[0].bytes[19], 19);
	assert_int_equal(next, 20);
	ring_release(&r);
}

static void order_of_channels_is_kept(void **state)
{
	struct ring r = { 0 };
	uint64_t next;

	(void)state;
	put(&r, STREAM_OUT, 0, 3);
	put(&r, STREAM_ERR, 3, 4);
	put(&r, STREAM_OUT, 7, 5);
	assert_int_equal(ring_look(&r, 100, pieces, &next), 3);
	assert_int_equal(pieces[1].channel, STREAM_ERR);
	assert_int_equal(pieces[1].len, 4);
	assert_int_equal(pieces[2].bytes[0], 7);
	assert_int_equal(ring_look(&r, 5, pieces, &next), 2);
	assert_int_equal(pieces[1].len, 2);
	assert_int_equal(next, 5);
	ring_drop(&r, 5);
	assert_int_equal(ring_look(&r, 100, pieces, &next), 2);
	assert_int_equal(pieces[0].bytes[0], 5);
	assert_int_equal(pieces[0].channel, STREAM_ERR);
	ring_release(&r);
}

static void bytes_go_round_the_end(void **state)
{
	const size_t most = STREAM_BUFFER_BYTES - 6;
	struct ring r = { 0 };
	uint64_t next;

	(void)state;
	put(&r, STREAM_OUT, 0, most);
	ring_drop(&r, most - 1);
	put(&r, STREAM_OUT, (uint8_t)most, 20);
	assert_int_equal(ring_look(&r, 100, pieces, &next), 2);
	assert_int_equal(pieces[0].len, 7);
	assert_int_equal(pieces[1].len, 14);
	assert_int_equal(pieces[0].bytes[0], (uint8_t)(most - 1));
	assert_int_equal(pieces[1].bytes[0], (uint8_t)(most + 6));
	assert_int_equal(next, most + 20);
	ring_release(&r);
}

/* I12 */
static void room_ends_at_the_limit_and_comes_back(void **state)
{
	struct ring r = { 0 };
	size_t len;

	(void)state;
	put(&r, STREAM_OUT, 0, STREAM_BUFFER_BYTES);
	assert_int_equal(ring_room(&r), 0);
	assert_null(ring_reserve(&r, STREAM_OUT, &len));
	assert_int_equal(len, 0);
	ring_drop(&r, 100);
	assert_int_equal(ring_room(&r), 100);
	assert_non_null(ring_reserve(&r, STREAM_OUT, &len));
	assert_int_equal(len, 100);
	ring_release(&r);
}

static void changes_of_channel_are_bounded(void **state)
{
	struct ring r = { 0 };
	uint64_t next;

	(void)state;
	for (int i = 0; i < RING_RUNS_MAX; i++)
		put(&r, i % 2 ? STREAM_ERR : STREAM_OUT, (uint8_t)i, 1);
	assert_int_equal(ring_room(&r), 0);
	assert_int_equal(ring_look(&r, STREAM_CHUNK_BYTES, pieces, &next), RING_RUNS_MAX);
	ring_drop(&r, 1);
	assert_true(ring_room(&r) > 0);
	put(&r, STREAM_OUT, 0, 1);
	assert_int_equal(ring_look(&r, STREAM_CHUNK_BYTES, pieces, &next), RING_RUNS_MAX);
	assert_int_equal(pieces[0].channel, STREAM_ERR);
	assert_int_equal(pieces[RING_RUNS_MAX - 1].channel, STREAM_OUT);
	ring_release(&r);
}

static void memory_goes_when_all_is_read(void **state)
{
	struct ring r = { 0 };
	uint64_t next;

	(void)state;
	assert_null(r.memory);
	put(&r, STREAM_OUT, 0, 10);
	ring_shrink(&r);
	assert_non_null(r.memory);
	ring_drop(&r, 10);
	ring_shrink(&r);
	assert_null(r.memory);
	assert_int_equal(ring_look(&r, 10, pieces, &next), 0);
	assert_int_equal(next, 10);
	put(&r, STREAM_ERR, 7, 1);
	assert_int_equal(ring_look(&r, 10, pieces, &next), 1);
	assert_int_equal(next, 11);
	ring_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_channel_is_one_piece),
		cmocka_unit_test(order_of_channels_is_kept),
		cmocka_unit_test(bytes_go_round_the_end),
		cmocka_unit_test(room_ends_at_the_limit_and_comes_back),
		cmocka_unit_test(changes_of_channel_are_bounded),
		cmocka_unit_test(memory_goes_when_all_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
