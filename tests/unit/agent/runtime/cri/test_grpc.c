#include "agent/runtime/cri/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static void give_header(struct grpc_reply *r, const char *name, const char *value)
{
	grpc_reply_header(r, (const uint8_t *)name, strlen(name), (const uint8_t *)value,
			  strlen(value));
}

static int end(struct grpc_reply *r, uint32_t http2_error, struct err *err)
{
	int result = grpc_reply_end(r, http2_error, err);

	grpc_reply_release(r);
	return result;
}

/* NS-100 */
static void a_prefix_is_a_flag_and_a_big_endian_length(void **state)
{
	static const uint8_t want[] = { 0, 0x01, 0x02, 0x03, 0x04 };
	uint8_t prefix[GRPC_PREFIX_BYTES];

	(void)state;
	grpc_prefix(prefix, 0x01020304);
	assert_memory_equal(prefix, want, sizeof(want));
}

static void an_answer_may_be_cut_anywhere(void **state)
{
	static const uint8_t bytes[] = { 0, 0, 0, 0, 4, 'a', 'b', 'c', 'd' };
	struct grpc_reply r;
	struct err err;

	(void)state;
	for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
		grpc_reply_init(&r);
		give_header(&r, ":status", "200");
		assert_true(grpc_reply_data(&r, bytes, cut));
		assert_true(grpc_reply_data(&r, bytes + cut, sizeof(bytes) - cut));
		give_header(&r, "grpc-status", "0");
		assert_int_equal(grpc_reply_end(&r, 0, &err), 0);
		assert_int_equal(r.body_len, 4);
		assert_memory_equal(r.body, "abcd", 4);
		grpc_reply_release(&r);
	}
}

static void every_status_is_its_code(void **state)
{
	static const char *const numbers[] = { "1", "2",  "3",  "4",  "5",  "6",  "7",  "8",
					       "9", "10", "11", "12", "13", "14", "15", "16" };
	struct grpc_reply r;
	struct err err;

	(void)state;
	for (int i = 0; i < 16; i++) {
		grpc_reply_init(&r);
		give_header(&r, "grpc-status", numbers[i]);
		assert_int_equal(end(&r, 0, &err), -1);
		assert_int_equal(err.code, i + 1);
		assert_string_equal(err.msg, "the runtime gives no reason");
	}
	grpc_reply_init(&r);
	give_header(&r, "grpc-status", "17");
	assert_int_equal(end(&r, 0, &err), -1);
	assert_int_equal(err.code, ERR_UNKNOWN);
}

/* NS-100 */
static void escapes_that_are_none_stand_for_themselves(void **state)
{
	static const struct {
		const char *encoded;
		const char *text;
	} cases[] = {
		{ "plain", "plain" },
		{ "a%20b", "a b" },
		{ "%", "%" },
		{ "100%", "100%" },
		{ "%4", "%4" },
		{ "%zz", "%zz" },
		{ "%41%42%4a", "ABJ" },
		{ "a%00b", "a b" },
		{ "%0a", " " },
		{ "%e2%82%ac", "\xe2\x82\xac" },
		{ "", "the runtime gives no reason" },
	};
	struct grpc_reply r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		grpc_reply_init(&r);
		give_header(&r, "grpc-message", cases[i].encoded);
		give_header(&r, "grpc-status", "2");
		assert_int_equal(end(&r, 0, &err), -1);
		assert_string_equal(err.msg, cases[i].text);
	}
}

static void the_last_message_counts_and_a_long_one_is_cut(void **state)
{
	static char longest[100001];
	struct grpc_reply r;
	struct err err;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	grpc_reply_init(&r);
	give_header(&r, "grpc-message", longest);
	give_header(&r, "grpc-message", "short");
	give_header(&r, "grpc-message", longest);
	assert_in_range(r.message.len, 1, 4096);
	give_header(&r, "grpc-message", "short");
	give_header(&r, "grpc-status", "13");
	assert_int_equal(end(&r, 0, &err), -1);
	assert_string_equal(err.msg, "short");
}

/* What was promised is not allocated before it comes. */
static void a_promise_costs_no_memory(void **state)
{
	static const uint8_t prefix[] = { 0, 0x01, 0, 0, 0, 'x' };
	struct grpc_reply r;

	(void)state;
	grpc_reply_init(&r);
	assert_true(grpc_reply_data(&r, prefix, sizeof(prefix)));
	assert_int_equal(r.body_want, GRPC_MAX_REPLY_BYTES);
	assert_in_range(r.body_cap, 1, 4096);
	grpc_reply_release(&r);
}

static void streams_that_end_badly_have_codes(void **state)
{
	static const struct {
		uint32_t http2_error;
		enum err_code code;
	} cases[] = {
		{ 0, ERR_INTERNAL },
		{ 2, ERR_INTERNAL },
		{ 7, ERR_UNAVAILABLE },
		{ 8, ERR_CANCELLED },
		{ 11, ERR_RESOURCE_EXHAUSTED },
		{ 12, ERR_PERMISSION_DENIED },
		{ 4711, ERR_INTERNAL },
	};
	struct grpc_reply r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		grpc_reply_init(&r);
		assert_int_equal(end(&r, cases[i].http2_error, &err), -1);
		assert_int_equal(err.code, cases[i].code);
	}
}

static void answers_of_other_servers_have_codes(void **state)
{
	static const struct {
		const char *status;
		enum err_code code;
	} cases[] = {
		{ "401", ERR_UNAUTHENTICATED }, { "403", ERR_PERMISSION_DENIED },
		{ "404", ERR_UNIMPLEMENTED },   { "429", ERR_UNAVAILABLE },
		{ "503", ERR_UNAVAILABLE },     { "418", ERR_INTERNAL },
	};
	struct grpc_reply r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		grpc_reply_init(&r);
		give_header(&r, ":status", cases[i].status);
		assert_int_equal(end(&r, 0, &err), -1);
		assert_int_equal(err.code, cases[i].code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prefix_is_a_flag_and_a_big_endian_length),
		cmocka_unit_test(an_answer_may_be_cut_anywhere),
		cmocka_unit_test(every_status_is_its_code),
		cmocka_unit_test(escapes_that_are_none_stand_for_themselves),
		cmocka_unit_test(the_last_message_counts_and_a_long_one_is_cut),
		cmocka_unit_test(a_promise_costs_no_memory),
		cmocka_unit_test(streams_that_end_badly_have_codes),
		cmocka_unit_test(answers_of_other_servers_have_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
