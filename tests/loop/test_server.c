/*
 * The server of a real agent, asked by hand-made frames: everything a proper client would not send,
 * and the same call twice.
 */
#include "node/v1/containers.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/processes.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/wire/wire.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEALTH "berth.node.v1.Health"
#define UNITS  "berth.node.v1.Units"

static struct agent_process agent;

static int start(void **state)
{
	(void)state;
	agent_process_start(&agent);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	agent_process_stop(&agent);
	return 0;
}

static const uint8_t *new_id(void)
{
	static uint8_t id[WIRE_CALL_ID_BYTES] = { [15] = 1 }; /* unlike those that tests choose */
	static uint32_t count;

	count++;
	memcpy(id, &count, sizeof(count));
	return id;
}

static void expect_code(int fd, enum err_code code)
{
	struct frames_reply *r = frames_answer(fd, 5000);

	assert_non_null(r);
	assert_int_equal(r->reply->status->code, code);
	frames_free(r);
}

static void still_serves(int fd)
{
	frames_ask(fd, 99, new_id(), HEALTH, "Check", NULL, 0);
	expect_code(fd, ERR_OK);
}

static void ask_unit(int fd, uint32_t request_id, const uint8_t *id, const char *method,
		     const char *unit, uint32_t timeout_ms)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;

	req.name = (char *)unit;
	frames_ask(fd, request_id, id, UNITS, method, &req.base, timeout_ms);
}

static uint32_t main_pid(int fd, const char *unit)
{
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	Berth__Node__V1__UnitStatusReply *status;
	char *names[] = { (char *)unit };
	struct frames_reply *r;
	uint32_t pid;

	req.n_names = 1;
	req.names = names;
	frames_ask(fd, 7, new_id(), UNITS, "Status", &req.base, 0);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, ERR_OK);
	status = berth__node__v1__unit_status_reply__unpack(NULL, r->reply->payload.len,
							    r->reply->payload.data);
	assert_int_equal(status->n_units, 1);
	pid = status->units[0]->main_pid;
	berth__node__v1__unit_status_reply__free_unpacked(status, NULL);
	frames_free(r);
	return pid;
}

/* F20, NS-001: bit-equal, and kubelet got one new process, not two */
static void the_same_call_twice_is_done_once(void **state)
{
	uint8_t id[WIRE_CALL_ID_BYTES] = { 0xaa, 1 };
	int fd = frames_open(agent.socket), other = frames_open(agent.socket);
	struct frames_reply *first, *second;
	uint32_t pid;

	(void)state;
	ask_unit(fd, 1, id, "Restart", "kubelet", 5000);
	first = frames_answer(fd, 5000);
	assert_non_null(first);
	assert_int_equal(first->reply->status->code, ERR_OK);
	pid = main_pid(fd, "kubelet");

	ask_unit(other, 2, id, "Restart", "kubelet", 5000);
	second = frames_answer(other, 2000);
	assert_non_null(second);
	assert_int_equal(second->len, first->len);
	assert_memory_equal(second->bytes, first->bytes, first->len);
	assert_int_equal(main_pid(fd, "kubelet"), pid);

	ask_unit(fd, 3, new_id(), "Restart", "kubelet", 5000);
	expect_code(fd, ERR_OK);
	assert_int_not_equal(main_pid(fd, "kubelet"), pid);
	frames_free(first);
	frames_free(second);
	close(fd);
	close(other);
}

/* F20: 'slow' takes 300 ms, the duplicates come meanwhile, over another connection too */
static void a_duplicate_joins_the_running_call(void **state)
{
	uint8_t id[WIRE_CALL_ID_BYTES] = { 0xaa, 2 };
	int fd = frames_open(agent.socket), other = frames_open(agent.socket);
	struct frames_reply *r[3];
	uint32_t pid;

	(void)state;
	ask_unit(fd, 1, id, "Restart", "slow", 5000);
	ask_unit(fd, 2, id, "Restart", "slow", 5000);
	ask_unit(other, 3, id, "Restart", "slow", 5000);
	r[0] = frames_answer(fd, 5000);
	r[1] = frames_answer(fd, 5000);
	r[2] = frames_answer(other, 2000);
	for (int i = 0; i < 3; i++) {
		assert_non_null(r[i]);
		assert_int_equal(r[i]->reply->status->code, ERR_OK);
		assert_int_equal(r[i]->len, r[0]->len);
		assert_memory_equal(r[i]->bytes, r[0]->bytes, r[0]->len);
	}
	assert_int_equal(r[0]->request_id + r[1]->request_id, 3);
	pid = main_pid(fd, "slow");
	ask_unit(fd, 4, new_id(), "Restart", "slow", 5000);
	expect_code(fd, ERR_OK);
	assert_int_equal(main_pid(fd, "slow"), pid + 1); /* one restart so far, now a second */
	for (int i = 0; i < 3; i++)
		frames_free(r[i]);
	close(fd);
	close(other);
}

static void an_id_of_another_request_is_refused(void **state)
{
	uint8_t id[WIRE_CALL_ID_BYTES] = { 0xaa, 3 };
	int fd = frames_open(agent.socket);
	struct frames_reply *r;

	(void)state;
	ask_unit(fd, 1, id, "Restart", "kubelet", 5000);
	expect_code(fd, ERR_OK);
	ask_unit(fd, 2, id, "Stop", "kubelet", 5000);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, ERR_INVALID_ARGUMENT);
	assert_string_equal(r->reply->status->reason, "CALL_ID_REUSED");
	frames_free(r);
	close(fd);
}

/* A failed mutation is answered from memory as well: it may have done half of its work. */
static void a_failure_is_remembered_too(void **state)
{
	uint8_t id[WIRE_CALL_ID_BYTES] = { 0xaa, 4 };
	int fd = frames_open(agent.socket);

	(void)state;
	ask_unit(fd, 1, id, "Start", "broken", 5000);
	expect_code(fd, ERR_FAILED_PRECONDITION);
	ask_unit(fd, 2, id, "Start", "broken", 5000);
	expect_code(fd, ERR_FAILED_PRECONDITION);
	close(fd);
}

/* NS-006 */
static void unknown_service_and_method_are_unimplemented(void **state)
{
	int fd = frames_open(agent.socket);

	(void)state;
	frames_ask(fd, 1, new_id(), "berth.node.v1.Nothing", "Check", NULL, 0);
	expect_code(fd, ERR_UNIMPLEMENTED);
	frames_ask(fd, 2, new_id(), HEALTH, "Nothing", NULL, 0);
	expect_code(fd, ERR_UNIMPLEMENTED);
	frames_ask(fd, 3, new_id(), "", "", NULL, 0);
	expect_code(fd, ERR_UNIMPLEMENTED);
	still_serves(fd);
	close(fd);
}

/* F13 */
static void garbage_is_answered_and_harms_nobody(void **state)
{
	static const char *const rubbish[] = { "x", "\xff\xff\xff\xff\xff\xff", "\x0a\x7f",
					       "\x0a\x02\xff", "GET / HTTP/1.1\r\n\r\n" };
	int fd = frames_open(agent.socket);
	uint32_t random = 1;
	uint8_t bytes[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rubbish); i++) {
		frames_send(fd, 1, (const uint8_t *)rubbish[i], strlen(rubbish[i]));
		expect_code(fd, ERR_INVALID_ARGUMENT);
	}
	for (int round = 0; round < 2000; round++) {
		struct frames_reply *r;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			random = random * 1664525u + 1013904223u;
			bytes[i] = (uint8_t)(random >> 24);
		}
		frames_send(fd, 2, bytes, random % sizeof(bytes));
		r = frames_answer(fd, 5000);
		assert_non_null(r);
		assert_int_not_equal(r->reply->status->code, ERR_OK);
		frames_free(r);
	}
	still_serves(fd);
	close(fd);
}

static void an_empty_message_is_answered(void **state)
{
	int fd = frames_open(agent.socket);

	(void)state;
	frames_send(fd, 1, NULL, 0);
	expect_code(fd, ERR_INVALID_ARGUMENT);
	still_serves(fd);
	close(fd);
}

/* I4 */
static void a_bad_payload_names_the_field(void **state)
{
	int fd = frames_open(agent.socket);
	struct frames_reply *r;

	(void)state;
	ask_unit(fd, 1, new_id(), "Start", "kube\xff", 0);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(r->reply->status->message, "'name'"));
	frames_free(r);
	close(fd);
}

/* I3 */
static void too_many_fields_are_refused(void **state)
{
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	char *names[WIRE_MAX_FIELDS + 1];
	int fd = frames_open(agent.socket);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		names[i] = (char *)"some-unit.service";
	req.n_names = ARRAY_LEN(names);
	req.names = names;
	frames_ask(fd, 1, new_id(), UNITS, "Status", &req.base, 0);
	expect_code(fd, ERR_INVALID_ARGUMENT);
	still_serves(fd);
	close(fd);
}

/* I1, F14: nng ends that connection, the next one is fine */
static void an_oversize_message_ends_its_connection_only(void **state)
{
	int fd = frames_open(agent.socket), other = frames_open(agent.socket);
	uint8_t *big = calloc(1, WIRE_MAX_BYTES + 1);

	(void)state;
	frames_send(fd, 1, big, WIRE_MAX_BYTES + 1);
	assert_true(frames_closed(fd, 2000));
	still_serves(other);
	close(fd);
	fd = frames_open(agent.socket);
	still_serves(fd);
	free(big);
	close(fd);
	close(other);
}

static void a_message_of_the_largest_size_passes(void **state)
{
	uint8_t *big = calloc(1, WIRE_MAX_BYTES);
	int fd = frames_open(agent.socket);

	(void)state;
	frames_send(fd, 1, big, WIRE_MAX_BYTES - 4);
	expect_code(fd, ERR_INVALID_ARGUMENT); /* zeros are no message, but they arrived */
	still_serves(fd);
	free(big);
	close(fd);
}

static void a_call_without_a_proper_id_or_version_is_refused(void **state)
{
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
	int fd = frames_open(agent.socket);
	uint8_t bytes[256], id[15] = { 1 };

	(void)state;
	req.service = (char *)HEALTH;
	req.method = (char *)"Check";
	req.protocol = WIRE_PROTOCOL;
	req.call_id = (ProtobufCBinaryData){ sizeof(id), id };
	frames_send(fd, 1, bytes, berth__node__v1__request__pack(&req, bytes));
	expect_code(fd, ERR_INVALID_ARGUMENT);
	req.call_id = (ProtobufCBinaryData){ WIRE_CALL_ID_BYTES, (uint8_t *)new_id() };
	req.protocol = 0;
	frames_send(fd, 2, bytes, berth__node__v1__request__pack(&req, bytes));
	expect_code(fd, ERR_FAILED_PRECONDITION);
	close(fd);
}

/* S7, NS-006: whatever version and cluster the caller claims, it is served or told why not */
static void versions_and_clusters_are_held_against_ours(void **state)
{
	static const uint32_t protocols[] = { 0, 1, 2, 3, 100, 65536, 0x7fffffff, UINT32_MAX };
	static const char *const clusters[] = { "", "loop", "loo", "loop2", "Loop", "kind" };
	int fd = frames_open(agent.socket);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protocols) * ARRAY_LEN(clusters); i++) {
		Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
		const char *want, *cluster = clusters[i % ARRAY_LEN(clusters)];
		struct frames_reply *r;
		uint8_t bytes[256];

		req.service = (char *)HEALTH;
		req.method = (char *)"Check";
		req.call_id = (ProtobufCBinaryData){ WIRE_CALL_ID_BYTES, (uint8_t *)new_id() };
		req.protocol = protocols[i / ARRAY_LEN(clusters)];
		req.cluster = (char *)cluster;
		frames_send(fd, 1, bytes, berth__node__v1__request__pack(&req, bytes));
		r = frames_answer(fd, 5000);
		assert_non_null(r);
		want = *cluster && strcmp(cluster, "loop") ? "WRONG_CLUSTER" : "";
		if (req.protocol == 0)
			want = "CONTROLLER_TOO_OLD";
		assert_string_equal(r->reply->status->reason, want);
		assert_int_equal(r->reply->protocol, WIRE_PROTOCOL);
		frames_free(r);
	}
	close(fd);
}

/* NS-006: 0x8202 is field 32, 0xfa3e field 1007: a newer controller's */
static void unknown_fields_are_skipped(void **state)
{
	static const uint8_t more[] = { 0x82, 0x02, 0x01, 'x', 0xf8, 0x3e, 0x07 };
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
	int fd = frames_open(agent.socket);
	uint8_t bytes[256];
	size_t len;

	(void)state;
	req.service = (char *)HEALTH;
	req.method = (char *)"Check";
	req.call_id = (ProtobufCBinaryData){ WIRE_CALL_ID_BYTES, (uint8_t *)new_id() };
	req.protocol = WIRE_PROTOCOL + 1;
	req.payload = (ProtobufCBinaryData){ sizeof(more), (uint8_t *)more };
	len = berth__node__v1__request__pack(&req, bytes);
	memcpy(bytes + len, more, sizeof(more));
	frames_send(fd, 1, bytes, len + sizeof(more));
	expect_code(fd, ERR_OK);
	close(fd);
}

/* NS-280 */
static void an_unknown_enum_value_is_refused(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	Berth__Node__V1__ContainerState newer = (Berth__Node__V1__ContainerState)77;
	int fd = frames_open(agent.socket);
	struct frames_reply *r;

	(void)state;
	req.n_states = 1;
	req.states = &newer;
	frames_ask(fd, 1, new_id(), "berth.node.v1.Containers", "List", &req.base, 5000);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(r->reply->status->message, "'states' has no value 77"));
	frames_free(r);
	close(fd);
}

/* OK, or that the agent is busy. */
static enum err_code change_code(int fd)
{
	Berth__Node__V1__ContainerActionRequest nothing =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct frames_reply *r;
	enum err_code code;

	/* A change that ends in its handler: it takes nobody's place while others arrive. */
	frames_ask(fd, 64, new_id(), "berth.node.v1.Containers", "Stop", &nothing.base, 5000);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->request_id, 64);
	code = (enum err_code)r->reply->status->code;
	if (code != ERR_OK && code != ERR_RESOURCE_EXHAUSTED)
		fail_msg("%s", r->reply->status->message);
	assert_string_equal(r->reply->status->reason, code == ERR_OK ? "" : "AGENT_BUSY");
	frames_free(r);
	return code;
}

/* D4b, I15, NS-280: 64 in hand, the 65th is told so at once, health is answered, and all 64 end */
static void the_65th_call_is_told_that_the_agent_is_busy(void **state)
{
	int fds[8];
	int64_t begin;

	(void)state;
	for (int i = 0; i < 8; i++)
		fds[i] = frames_open(agent.socket);
	for (uint32_t i = 0; i < 64; i++)
		ask_unit(fds[i % 8], i, new_id(), "Restart", "hang", 2500);
	do { /* until all of them have arrived, over eight connections */
		begin = clock_now_ms();
	} while (change_code(fds[0]) == ERR_OK);
	assert_in_range(clock_now_ms() - begin, 0, 500);
	still_serves(fds[0]);
	for (uint32_t i = 0; i < 64; i++)
		expect_code(fds[i % 8], ERR_DEADLINE_EXCEEDED);
	assert_int_equal(change_code(fds[0]), ERR_OK);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
}

/* NS-004: what hangs holds nobody up */
static void a_hung_unit_does_not_stop_health(void **state)
{
	int fd = frames_open(agent.socket);
	int64_t begin;

	(void)state;
	ask_unit(fd, 1, new_id(), "Restart", "hang", 700);
	for (int i = 0; i < 50; i++) {
		begin = clock_now_ms();
		still_serves(fd);
		assert_in_range(clock_now_ms() - begin, 0, 100);
	}
	expect_code(fd, ERR_DEADLINE_EXCEEDED);
	close(fd);
}

static void a_caller_that_is_gone_harms_nobody(void **state)
{
	int fd = frames_open(agent.socket);

	(void)state;
	for (int i = 0; i < 50; i++) {
		int gone = frames_open(agent.socket);

		ask_unit(gone, 1, new_id(), "Restart", "slow", 2000);
		close(gone);
	}
	still_serves(fd);
	close(fd);
}

/* Arguments of all processes that are told at this door, and how often the one is told. */
static size_t args_told(const char *door, pid_t pid, size_t *ret_ours)
{
	Berth__Node__V1__ProcessListRequest req = BERTH__NODE__V1__PROCESS_LIST_REQUEST__INIT;
	Berth__Node__V1__ProcessListReply *list;
	struct frames_reply *r;
	int fd = frames_open(door);
	size_t count = 0;

	*ret_ours = 0;
	frames_ask(fd, 1, new_id(), "berth.node.v1.Processes", "List", &req.base, 5000);
	r = frames_answer(fd, 5000);
	assert_non_null(r);
	assert_int_equal(r->reply->status->code, ERR_OK);
	list = berth__node__v1__process_list_reply__unpack(NULL, r->reply->payload.len,
							   r->reply->payload.data);
	assert_non_null(list);
	for (size_t i = 0; i < list->n_processes; i++) {
		count += list->processes[i]->n_args;
		*ret_ours += list->processes[i]->pid == (uint32_t)pid;
	}
	berth__node__v1__process_list_reply__free_unpacked(list, NULL);
	frames_free(r);
	close(fd);
	return count;
}

/* S4: they may hold secrets; the processes are told to both */
static void arguments_of_processes_are_for_admins_only(void **state)
{
	const char *const args[] = { "--units", "systemd", NULL };
	struct agent_process real; /* fake units have no processes */
	char read_door[128];
	size_t found;

	(void)state;
	agent_process_start_with(&real, args, NULL);
	snprintf(read_door, sizeof(read_door), "%s/read.sock", real.private_dir);
	assert_int_equal(args_told(read_door, real.pid, &found), 0);
	assert_int_equal(found, 1);
	assert_true(args_told(real.socket, real.pid, &found) > 0);
	assert_int_equal(found, 1);
	agent_process_stop(&real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_call_twice_is_done_once),
		cmocka_unit_test(a_duplicate_joins_the_running_call),
		cmocka_unit_test(an_id_of_another_request_is_refused),
		cmocka_unit_test(a_failure_is_remembered_too),
		cmocka_unit_test(unknown_service_and_method_are_unimplemented),
		cmocka_unit_test(garbage_is_answered_and_harms_nobody),
		cmocka_unit_test(an_empty_message_is_answered),
		cmocka_unit_test(a_bad_payload_names_the_field),
		cmocka_unit_test(too_many_fields_are_refused),
		cmocka_unit_test(an_oversize_message_ends_its_connection_only),
		cmocka_unit_test(a_message_of_the_largest_size_passes),
		cmocka_unit_test(a_call_without_a_proper_id_or_version_is_refused),
		cmocka_unit_test(versions_and_clusters_are_held_against_ours),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(an_unknown_enum_value_is_refused),
		cmocka_unit_test(the_65th_call_is_told_that_the_agent_is_busy),
		cmocka_unit_test(a_hung_unit_does_not_stop_health),
		cmocka_unit_test(a_caller_that_is_gone_harms_nobody),
		cmocka_unit_test(arguments_of_processes_are_for_admins_only),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
