#include "agent/streams/logs_kmsg.h"

#include "agent/streams/logs.h"
#include "tests/support/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* NS-205 */
static void record_becomes_a_line_with_wall_clock_time(void **state)
{
	static const char record[] = "6,339,5140900,-;eth0: link becomes ready\n SUBSYSTEM=net\n";
	char line[KMSG_LINE_BYTES];
	int64_t ns = 0;
	size_t len;

	(void)state;
	len = kmsg_format(record, strlen(record), INT64_C(1700000000000000000), line, &ns);
	assert_int_equal(len, strlen(line));
	assert_string_equal(line, "2023-11-14T22:13:25.140900000Z kernel F kern: info: "
				  "eth0: link becomes ready\n");
	assert_int_equal(ns, INT64_C(1700000005140900000));
}

static void facility_and_priority_are_named(void **state)
{
	char line[KMSG_LINE_BYTES];
	int64_t ns;

	(void)state;
	assert_true(kmsg_format("30,1,2,-;x", 10, 0, line, &ns) > 0);
	assert_non_null(strstr(line, " kernel F daemon: info: x\n"));
	assert_true(kmsg_format("2,1,2,c,caller=T1;x", 19, 0, line, &ns) > 0);
	assert_non_null(strstr(line, " kernel F kern: crit: x\n"));
	assert_true(kmsg_format("999999,1,2,-;x", 14, 0, line, &ns) > 0);
	assert_non_null(strstr(line, " unknown: debug: x\n"));
	assert_int_equal(kmsg_format("no record", 9, 0, line, &ns), 0);
	assert_int_equal(kmsg_format("a,b;c", 5, 0, line, &ns), 0);
	assert_int_equal(kmsg_format("6,1,9223372036854776,-;late", 27, 0, line, &ns), 0);
	assert_int_equal(kmsg_format("6,1,9223372036854775,-;late", 27, INT64_MAX, line, &ns), 0);
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

/* NS-205: of the real ring, or a plain word where this host keeps it to itself. */
static void last_messages_of_this_kernel(void **state)
{
	struct logs_range range = { .tail_lines = 3 };
	struct st_rig *rig = *state;
	struct stream *s = NULL;
	struct st_output out;
	struct err err = { 0 };

	if (kmsg_open(rig->streams, rig->loop, "/dev/kmsg", &range, ROLE_READ, &s, &err) < 0) {
		assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
		assert_string_equal(err.reason, "KERNEL_LOG_NOT_READABLE");
		return;
	}
	st_read_all(rig, s, 0, &out);
	assert_int_equal(out.end.err.code, ERR_OK);
	assert_true(count_lines(out.text) <= 3 + 2); /* others write meanwhile */
	stream_close(s);
}

static void missing_device_is_told(void **state)
{
	struct logs_range range = { .tail_lines = -1 };
	struct st_rig *rig = *state;
	struct stream *s;
	struct err err;

	assert_int_equal(kmsg_open(rig->streams, rig->loop, "/nowhere/kmsg", &range, ROLE_READ, &s,
				   &err),
			 -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(err.reason, "KERNEL_LOG_NOT_READABLE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record_becomes_a_line_with_wall_clock_time),
		cmocka_unit_test(facility_and_priority_are_named),
		cmocka_unit_test_setup_teardown(last_messages_of_this_kernel, st_setup,
						st_teardown),
		cmocka_unit_test_setup_teardown(missing_device_is_told, st_setup, st_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
