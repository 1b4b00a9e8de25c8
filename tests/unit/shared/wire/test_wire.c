#include "shared/wire/wire.h"

#include "node/v1/pods.pb-c.h"
#include "node/v1/units.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define REQUEST (&berth__node__v1__request__descriptor)
#define UNITS   (&berth__node__v1__unit_status_request__descriptor)

static void refused_with(const ProtobufCMessageDescriptor *desc, const void *bytes, size_t len,
			 const char *what)
{
	ProtobufCMessage *msg = NULL;
	struct err err = { 0 };

	assert_int_equal(wire_check(desc, bytes, len, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(err.msg, what));
	assert_int_equal(wire_unpack(desc, bytes, len, &msg, &err), -1);
	assert_null(msg);
}

static void accepted(const ProtobufCMessageDescriptor *desc, const void *bytes, size_t len)
{
	ProtobufCMessage *msg = NULL;
	struct err err = { 0 };

	assert_int_equal(wire_unpack(desc, bytes, len, &msg, &err), 0);
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void what_was_packed_comes_back(void **state)
{
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT, *back;
	ProtobufCMessage *msg = NULL;
	uint8_t bytes[256];
	struct err err;
	size_t len;

	(void)state;
	req.service = (char *)"berth.node.v1.Units";
	req.method = (char *)"Stärt 🐻";
	req.timeout_ms = 1234;
	req.payload = (ProtobufCBinaryData){ 3, (uint8_t *)"\0\xff\x01" };
	len = berth__node__v1__request__pack(&req, bytes);
	assert_int_equal(wire_unpack(REQUEST, bytes, len, &msg, &err), 0);
	back = (Berth__Node__V1__Request *)msg;
	assert_string_equal(back->service, req.service);
	assert_string_equal(back->method, req.method);
	assert_int_equal(back->timeout_ms, 1234);
	assert_int_equal(back->payload.len, 3);
	assert_memory_equal(back->payload.data, req.payload.data, 3);
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void empty_message_has_no_bytes(void **state)
{
	(void)state;
	accepted(UNITS, NULL, 0);
}

/* F13 */
static void truncated_message_is_refused(void **state)
{
	static const uint8_t good[] = { 0x0a, 3, 'a', 'b', 'c', 0x20, 0xac, 0x02 };

	(void)state;
	accepted(REQUEST, good, sizeof(good));
	for (size_t len = 1; len < sizeof(good); len++) {
		uint8_t *copy = malloc(len); /* exactly, so that ASan sees a step too far */
		struct err err;

		if (len == 5) {
			free(copy);
			continue; /* whole after its first field */
		}
		memcpy(copy, good, len);
		assert_int_equal(wire_check(REQUEST, copy, len, &err), -1);
		free(copy);
	}
}

/* F13 */
static void garbage_is_refused(void **state)
{
	(void)state;
	refused_with(REQUEST, "\x00\x01", 2, "field number");
	refused_with(REQUEST, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, "field number");
	refused_with(REQUEST, "\x0b\x0c", 2, "wire type");
	refused_with(REQUEST,
		     "\x0a\x05"
		     "abc",
		     5, "ends behind");
	refused_with(REQUEST, "\x09\x01\x02", 3, "cut off");
	refused_with(REQUEST, "\x0d\x01\x02", 3, "cut off");
	refused_with(REQUEST, "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, "bad number");
}

/* F14: a length of 2^63 or 2^64-1 must not wrap */
static void huge_length_is_refused(void **state)
{
	(void)state;
	refused_with(REQUEST, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "ends behind");
	refused_with(REQUEST, "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, "ends behind");
}

static void wrong_type_of_known_field_is_refused(void **state)
{
	ProtobufCMessage *msg = NULL;
	struct err err;

	(void)state;
	/* timeout_ms (5) as bytes: within the limits, but it does not fit its type */
	assert_int_equal(wire_unpack(REQUEST, (const uint8_t *)"\x2a\x01x", 3, &msg, &err), -1);
	assert_non_null(strstr(err.msg, "does not fit its type"));
}

static void unknown_fields_are_skipped(void **state)
{
	(void)state;
	accepted(REQUEST, "\xfa\x07\x03\x00\xff\xfe\xf8\x07\x01", 9);
}

/* I1 */
static void message_over_the_limit_is_refused(void **state)
{
	uint8_t *big = calloc(1, WIRE_MAX_BYTES + 1);

	(void)state;
	refused_with(REQUEST, big, WIRE_MAX_BYTES + 1, "over the limit");
	free(big);
}

/* I3 */
static void too_many_fields_are_refused(void **state)
{
	uint8_t bytes[2 * (WIRE_MAX_FIELDS + 1)];
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i += 2) {
		bytes[i] = 0x20; /* protocol */
		bytes[i + 1] = 1;
	}
	assert_int_equal(wire_check(REQUEST, bytes, sizeof(bytes) - 2, &err), 0);
	refused_with(REQUEST, bytes, sizeof(bytes), "too many fields");
}

/* A type that nests in itself; our own schema has none (I3), a hostile one could. */
static const ProtobufCMessageDescriptor nest;
static const ProtobufCFieldDescriptor nest_fields[] = {
	{ .name = "child",
	  .id = 1,
	  .label = PROTOBUF_C_LABEL_NONE,
	  .type = PROTOBUF_C_TYPE_MESSAGE,
	  .descriptor = &nest },
};
static const unsigned nest_by_name[] = { 0 };
static const ProtobufCIntRange nest_ranges[] = { { 1, 0 }, { 0, 1 } };
static const ProtobufCMessageDescriptor nest = {
	.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
	.name = "nest",
	.n_fields = 1,
	.fields = nest_fields,
	.fields_sorted_by_name = nest_by_name,
	.n_field_ranges = 1,
	.field_ranges = nest_ranges,
};

/* I3: protobuf-c alone recurses until the stack ends. */
static void deep_nesting_is_refused(void **state)
{
	uint8_t bytes[2 * 60];
	struct err err;

	(void)state;
	for (size_t i = 0; i < 60; i++) {
		bytes[2 * i] = 0x0a;
		bytes[2 * i + 1] = (uint8_t)(2 * (59 - i));
	}
	/* the last WIRE_MAX_DEPTH levels: 31 headers nest 32 messages */
	assert_int_equal(wire_check(&nest, bytes + 2 * (60 - 31), 2 * 31, &err), 0);
	assert_int_equal(wire_check(&nest, bytes + 2 * (60 - 32), 2 * 32, &err), -1);
	assert_non_null(strstr(err.msg, "too deeply"));
	assert_int_equal(wire_check(&nest, bytes, sizeof(bytes), &err), -1);
}

/* I4 */
static void strings_are_utf8_without_nul(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *what;
	} bad[] = {
		{ "a\0b", 3, "NUL" },           { "\xc0\x80", 2, "UTF-8" },
		{ "\xed\xa0\x80", 3, "UTF-8" }, { "\xf4\x90\x80\x80", 4, "UTF-8" },
		{ "\xc3", 1, "UTF-8" },         { "\x80", 1, "UTF-8" },
		{ "\xe0\x9f\x80", 3, "UTF-8" }, { "\xf8\x88\x80\x80\x80", 5, "UTF-8" },
		{ "\xe2\x82", 2, "UTF-8" },     { "\xf0\x9f\x90 ", 4, "UTF-8" },
	};
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bytes[0] = 0x0a; /* names */
		bytes[1] = (uint8_t)bad[i].len;
		memcpy(bytes + 2, bad[i].bytes, bad[i].len);
		refused_with(UNITS, bytes, bad[i].len + 2, bad[i].what);
	}
	accepted(UNITS,
		 "\x0a\x0a"
		 "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xbb"
		 "x",
		 12);
}

/* I4: a string deep in a message counts as well */
static void strings_of_inner_messages_are_checked(void **state)
{
	Berth__Node__V1__PodWaitReply rep = BERTH__NODE__V1__POD_WAIT_REPLY__INIT;
	Berth__Node__V1__PodStatus pod = BERTH__NODE__V1__POD_STATUS__INIT;
	uint8_t bytes[64];
	size_t len;

	(void)state;
	rep.pod = &pod;
	pod.name = (char *)"web\xff";
	len = berth__node__v1__pod_wait_reply__pack(&rep, bytes);
	refused_with(&berth__node__v1__pod_wait_reply__descriptor, bytes, len, "'name'");
}

/* I2: 300 KiB of 2-byte unknown fields would become megabytes */
static void memory_of_one_message_is_bounded(void **state)
{
	enum { COUNT = 100 * 1000 };
	/* bytes fields are not looked into by the pre-scan: the budget is what stops these */
	uint8_t *bytes = malloc(3 * COUNT);
	ProtobufCMessage *msg = NULL;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		memcpy(bytes + 3 * i, "\xfa\x07\x00", 3);
	assert_int_equal(wire_unpack(REQUEST, bytes, 3 * COUNT, &msg, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	/* under the field limit, but 24 bytes and more of memory for each 2 on the wire */
	for (size_t i = 0; i < 4000; i++)
		memcpy(bytes + 2 * i, "\x0a\x00", 2);
	assert_int_equal(wire_unpack(UNITS, bytes, 8000, &msg, &err), -1);
	assert_non_null(strstr(err.msg, "too much memory"));
	assert_null(msg);
	free(bytes);
}

/* F13: no byte pattern may do worse than an error; a fixed sequence, so that a failure repeats. */
static void mutations_never_crash(void **state)
{
	Berth__Node__V1__PodStatus pod = BERTH__NODE__V1__POD_STATUS__INIT;
	Berth__Node__V1__PodStatus *pods[] = { &pod, &pod };
	Berth__Node__V1__PodListReply list = BERTH__NODE__V1__POD_LIST_REPLY__INIT;
	uint8_t good[256], bytes[256];
	uint32_t random = 1;
	unsigned ok = 0;
	size_t len;

	(void)state;
	pod.name = (char *)"web";
	pod.uid = (char *)"0f7d";
	pod.message = (char *)"ümlaut";
	list.n_pods = 2;
	list.pods = pods;
	len = berth__node__v1__pod_list_reply__pack(&list, good);
	for (unsigned i = 0; i < 200000; i++) {
		ProtobufCMessage *msg = NULL;
		struct err err;

		memcpy(bytes, good, len);
		for (unsigned k = 0; k < 1 + i % 4; k++) {
			random = random * 1664525u + 1013904223u;
			bytes[(random >> 8) % len] = (uint8_t)(random >> 24);
		}
		if (wire_unpack(&berth__node__v1__pod_list_reply__descriptor, bytes,
				len - random % 3, &msg, &err) == 0)
			ok++;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	assert_in_range(ok, 1, 199999);
}

/* S7: each side is held to the oldest that the other understands, and told which one to update */
static void a_peer_older_than_we_understand_is_refused(void **state)
{
	struct err err;

	(void)state;
	for (uint32_t least = 1; least < 5; least++) {
		for (uint32_t peer = 0; peer < 8; peer++) {
			int want = peer >= least ? 0 : -1;

			assert_int_equal(wire_check_peer(WIRE_AGENT, peer, least, &err), want);
			if (want)
				assert_string_equal(err.reason, "AGENT_TOO_OLD");
			assert_int_equal(wire_check_peer(WIRE_CONTROLLER, peer, least, &err), want);
			if (want)
				assert_string_equal(err.reason, "CONTROLLER_TOO_OLD");
		}
	}
	assert_int_equal(wire_check_peer(WIRE_AGENT, UINT32_MAX, 1, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_packed_comes_back),
		cmocka_unit_test(empty_message_has_no_bytes),
		cmocka_unit_test(truncated_message_is_refused),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(huge_length_is_refused),
		cmocka_unit_test(wrong_type_of_known_field_is_refused),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(message_over_the_limit_is_refused),
		cmocka_unit_test(too_many_fields_are_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(strings_are_utf8_without_nul),
		cmocka_unit_test(strings_of_inner_messages_are_checked),
		cmocka_unit_test(memory_of_one_message_is_bounded),
		cmocka_unit_test(mutations_never_crash),
		cmocka_unit_test(a_peer_older_than_we_understand_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
