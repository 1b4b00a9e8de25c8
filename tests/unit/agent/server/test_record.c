#include "agent/server/record.h"

#include "agent/server/call.h"
#include "shared/base/deadline.h"
#include "shared/base/log.h"

#include "node/v1/health.pb-c.h"
#include "node/v1/units.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A journal that is only a socket. */
struct rig {
	char path[64];
	int fd;
	struct recorder *recorder;
	ProtobufCService service;
	struct call call;
	char record[2048];
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct err err;

	snprintf(rig->path, sizeof(rig->path), "/tmp/berth-journal-%d.sock", (int)getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig->path);
	unlink(rig->path);
	rig->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(recorder_new(rig->path, &rig->recorder, &err), 0);
	rig->service.descriptor = &berth__node__v1__units__descriptor;
	rig->call.target.service = &rig->service;
	rig->call.target.method = protobuf_c_service_descriptor_get_method_by_name(
		&berth__node__v1__units__descriptor, "Stop");
	rig->call.started_us = clock_now_us();
	rig->call.id[0] = 0xab;
	rig->call.id[15] = 0x01;
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	log_set_level(LOG_LEVEL_NORMAL);
	recorder_free(rig->recorder);
	close(rig->fd);
	unlink(rig->path);
	free(rig);
	return 0;
}

/* The next record, or false when there is none. */
static bool recorded(struct rig *rig)
{
	ssize_t n = recv(rig->fd, rig->record, sizeof(rig->record) - 1, MSG_DONTWAIT);

	rig->record[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool has(const struct rig *rig, const char *line)
{
	return strstr(rig->record, line) != NULL;
}

/* NS-005 */
static void a_mutation_is_recorded(void **state)
{
	struct rig *rig = *state;

	recorder_add(rig->recorder, &rig->call, NULL);
	assert_true(recorded(rig));
	assert_true(has(rig, "MESSAGE=Units/Stop OK\n"));
	assert_true(has(rig, "\nPRIORITY=6\n"));
	assert_true(has(rig, "\nMETHOD=Units/Stop\n"));
	assert_true(has(rig, "\nCALL_ID=ab000000000000000000000000000001\n"));
	assert_true(has(rig, "\nCODE=OK\n"));
	assert_true(has(rig, "\nDURATION_MS="));
}

static void a_failure_is_recorded_with_its_message(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->call.target.effect = METHOD_READS;
	err_set(&err, ERR_NOT_FOUND, 0, "no unit\nFAKE=1");
	recorder_add(rig->recorder, &rig->call, &err);
	assert_true(recorded(rig));
	assert_true(has(rig, "MESSAGE=Units/Stop NOT_FOUND: no unit FAKE=1\n")); /* I8: one line */
	assert_true(has(rig, "\nPRIORITY=5\n"));
	err_set(&err, ERR_INTERNAL, 0, "a bug");
	recorder_add(rig->recorder, &rig->call, &err);
	assert_true(recorded(rig));
	assert_true(has(rig, "\nPRIORITY=3\n"));
}

static void a_read_is_recorded_only_when_asked_for(void **state)
{
	struct rig *rig = *state;

	rig->call.target.effect = METHOD_READS;
	recorder_add(rig->recorder, &rig->call, NULL);
	assert_false(recorded(rig));
	log_set_level(LOG_LEVEL_DEBUG);
	recorder_add(rig->recorder, &rig->call, NULL);
	assert_true(recorded(rig));
	assert_true(has(rig, "\nPRIORITY=7\n"));
}

/* A journald that hangs: this test would not come back. */
static void a_journal_that_does_not_read_holds_nobody_up(void **state)
{
	struct rig *rig = *state;
	unsigned records = 0;

	for (int i = 0; i < 5000; i++)
		recorder_add(rig->recorder, &rig->call, NULL);
	while (recorded(rig))
		records++;
	assert_in_range(records, 1, 4999);
}

static void without_a_journal_nothing_happens(void **state)
{
	struct rig *rig = *state;
	struct recorder *none;
	struct err err;

	assert_int_equal(recorder_new("/tmp/berth-no-journal/socket", &none, &err), 0);
	recorder_add(none, &rig->call, NULL);
	assert_false(recorded(rig));
	recorder_free(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_mutation_is_recorded),
		TEST(a_failure_is_recorded_with_its_message),
		TEST(a_read_is_recorded_only_when_asked_for),
		TEST(a_journal_that_does_not_read_holds_nobody_up),
		TEST(without_a_journal_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
