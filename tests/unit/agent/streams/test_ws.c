#include "agent/streams/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* RFC 6455, section 5.7: a single-frame masked text message "Hello". */
static void masked_message_is_the_standards_own(void **state)
{
	static const uint8_t wanted[] = { 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
					  0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	uint8_t bytes[WS_HEADER_MAX + 5];
	size_t len = ws_header(bytes, WS_TEXT, 5, mask);

	(void)state;
	memcpy(bytes + len, "Hello", 5);
	ws_mask(bytes + len, 2, 0, mask);
	ws_mask(bytes + len + 2, 3, 2, mask);
	assert_int_equal(len + 5, sizeof(wanted));
	assert_memory_equal(bytes, wanted, sizeof(wanted));
}

/* RFC 6455, section 5.2 */
static void lengths_have_three_forms(void **state)
{
	uint8_t bytes[WS_HEADER_MAX];

	(void)state;
	assert_int_equal(ws_header(bytes, WS_BINARY, 125, mask), 6);
	assert_int_equal(bytes[1], 0x80 | 125);
	assert_int_equal(ws_header(bytes, WS_BINARY, 126, mask), 8);
	assert_memory_equal(bytes, "\x82\xfe\x00\x7e", 4);
	assert_int_equal(ws_header(bytes, WS_BINARY, 65536, mask), 14);
	assert_memory_equal(bytes, "\x82\xff\0\0\0\0\0\1\0\0", 10);
}

/* One byte at a time, as the network may have it. */
static void take_slowly(struct ws_frame *f, const char *bytes, size_t len)
{
	*f = (struct ws_frame){ 0 };
	for (size_t i = 0; i < len; i++) {
		assert_false(f->complete);
		assert_int_equal(ws_frame_take(f, (const uint8_t *)bytes + i, 1), 1);
	}
	assert_true(f->complete);
}

static void headers_are_read_in_pieces(void **state)
{
	struct ws_frame f;

	(void)state;
	take_slowly(&f, "\x82\x05", 2);
	assert_true(f.last);
	assert_int_equal(f.opcode, WS_BINARY);
	assert_int_equal(f.len, 5);
	take_slowly(&f, "\x02\x7e\x01\x02", 4);
	assert_false(f.last);
	assert_int_equal(f.len, 0x102);
	take_slowly(&f, "\x80\x7f\0\0\0\0\0\1\2\3", 10);
	assert_int_equal(f.opcode, WS_MORE);
	assert_int_equal(f.len, 0x10203);
	assert_false(f.broken);
	f = (struct ws_frame){ 0 };
	assert_int_equal(ws_frame_take(&f, (const uint8_t *)"\x89\x00rest", 6), 2);
	assert_int_equal(f.opcode, WS_PING);
}

static void what_no_server_sends_is_broken(void **state)
{
	struct ws_frame f;

	(void)state;
	take_slowly(&f, "\x82\x85", 2);
	assert_true(f.broken);
	take_slowly(&f, "\xc2\x05", 2);
	assert_true(f.broken);
	take_slowly(&f, "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10);
	assert_true(f.broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masked_message_is_the_standards_own),
		cmocka_unit_test(lengths_have_three_forms),
		cmocka_unit_test(headers_are_read_in_pieces),
		cmocka_unit_test(what_no_server_sends_is_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
