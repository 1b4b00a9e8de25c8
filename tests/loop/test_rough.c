/*
 * A rough network (F23): delay, loss, reordering and flipped bits as an application sees them above TCP, that is
 * as delay, stalls and connections that break (tests/support/rough.h). Over TLS, to real agents.
 */
#include "controller/client/client.h"
#include "controller/client/stream.h"
#include "node/v1/exec.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "tests/support/front.h"
#include "tests/support/rough.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The row's, and what a loaded machine may add. */
#define READ_MS 5000
#define LOAD_MS 5000

#define READERS     4
#define READS       8
#define COPY_BYTES  ((size_t)3 * 1024 * 1024 + 12345)
#define MANY_CUTS   ((int64_t)512 * 1024)
#define PATIENCE_MS 120000

/* A segment that is lost waits for its repetition, which is due after the round trip and 200 ms (RFC 6298). */
static const struct rough_profile profiles[] = {
	{ .name = "far", .delay_ms = 100, .jitter_ms = 20 },
	{ .name = "lossy", .delay_ms = 20, .jitter_ms = 20, .stall_percent = 10, .stall_ms = 240 },
	{ .name = "all", .delay_ms = 100, .jitter_ms = 20, .stall_percent = 10, .stall_ms = 400 },
	{ .name = "cut", .delay_ms = 10, .jitter_ms = 10, .bytes_to_cut = MANY_CUTS },
};

struct rig {
	struct front_rig front;
	struct rough *rough;
};

static struct client *connect_over(const struct rig *rig)
{
	struct client *client;
	struct err err;

	assert_int_equal(client_open_bridge(front_rig_bridge(&rig->front, NULL, "admin"), "rough",
					    &client, &err),
			 0);
	return client;
}

/* --- reads -------------------------------------------------------------------------------------------- */

struct reader {
	pthread_t thread;
	struct client *client;
	unsigned failed;
	int64_t longest_ms;
	struct err err;
};

static void on_health(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void *read_some(void *arg)
{
	struct reader *r = arg;

	for (unsigned i = 0; i < READS; i++) {
		Berth__Node__V1__HealthCheckRequest req =
			BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
		struct rpc rpc = rpc_to(r->client, &berth__node__v1__health__descriptor,
					deadline_in_ms(READ_MS + LOAD_MS), &r->err);
		int64_t began = clock_now_ms(), took;

		berth__node__v1__health__check(&rpc.base, &req, on_health, NULL);
		took = clock_now_ms() - began;
		r->failed += rpc.result < 0;
		r->longest_ms = took > r->longest_ms ? took : r->longest_ms;
	}
	return NULL;
}

static void begin_readers(const struct rig *rig, struct reader readers[READERS])
{
	for (size_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .client = connect_over(rig) };
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_some, &readers[i]),
				 0);
	}
}

static int64_t end_readers(struct reader readers[READERS])
{
	int64_t longest_ms = 0;

	for (size_t i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		client_close(readers[i].client);
		if (readers[i].failed)
			fail_msg("%u of %d reads failed: %s", readers[i].failed, READS,
				 readers[i].err.msg);
		if (readers[i].longest_ms > longest_ms)
			longest_ms = readers[i].longest_ms;
	}
	return longest_ms;
}

/* --- a copy there and back --------------------------------------------------------------------------------- */

struct copy {
	uint8_t *bytes; /* what comes back */
	size_t len;
};

static int take_bytes(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	struct copy *copy = arg;

	(void)channel;
	if (copy->len + len > COPY_BYTES)
		return err_set(err, ERR_DATA_LOSS, 0, "more came back than went out");
	memcpy(copy->bytes + copy->len, bytes, len);
	copy->len += len;
	return 0;
}

/* Bytes of no pattern, in a file that can be read from its start. */
static int make_file(uint8_t *bytes)
{
	int fd = memfd_create("rough", MFD_CLOEXEC);
	unsigned seed = 5;

	for (size_t i = 0; i < COPY_BYTES; i++)
		bytes[i] = (uint8_t)(rand_r(&seed) >> 8);
	assert_int_equal(write(fd, bytes, COPY_BYTES), COPY_BYTES);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static struct client_stream *start_cat(struct client *client)
{
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	struct client_stream_id id = { .len = 0 };
	char *argv[] = { (char *)"cat" };
	struct client_stream *stream;
	struct err err;
	struct rpc rpc = rpc_to(client, &berth__node__v1__exec__descriptor,
				deadline_in_ms(PATIENCE_MS), &err);

	req.argv = argv;
	req.n_argv = 1;
	req.input = true;
	berth__node__v1__exec__start(&rpc.base, &req, client_stream_take_id, &id);
	if (rpc.result < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(client_stream_open(client, id.bytes, id.len, &stream, &err), 0);
	return stream;
}

static void copy_there_and_back(const struct rig *rig)
{
	struct copy copy = { .bytes = malloc(COPY_BYTES) };
	struct client *client = connect_over(rig);
	struct client_stream *stream = start_cat(client);
	uint8_t *sent = malloc(COPY_BYTES);
	int fd = make_file(sent);
	struct client_stream_io io = {
		.in_fd = fd, .stop_fd = -1, .data = take_bytes, .arg = &copy
	};
	struct client_stream_end end;
	struct err err;

	if (client_stream_run(stream, &io, deadline_in_ms(PATIENCE_MS), &end, &err) < 0)
		fail_msg("after %zu of %zu bytes: %s", copy.len, COPY_BYTES, err.msg);
	assert_int_equal(end.exit_code, 0);
	assert_int_equal(copy.len, COPY_BYTES);
	assert_memory_equal(copy.bytes, sent, COPY_BYTES);
	client_stream_close(stream);
	client_close(client);
	close(fd);
	free(copy.bytes);
	free(sent);
}

/* --- tests ------------------------------------------------------------------------------------------------ */

/* F23 */
static void reads_succeed_and_copies_are_whole(void **state)
{
	struct reader readers[READERS];
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
		int port = rig->front.tls_port;
		int64_t began = clock_now_ms(), longest_ms;

		rig->rough = rough_start(&profiles[i], port, &rig->front.tls_port);
		begin_readers(rig, readers);
		copy_there_and_back(rig);
		longest_ms = end_readers(readers);
		print_message("%-6s %5lld ms, longest read %lld ms, %u cuts\n", profiles[i].name,
			      (long long)(clock_now_ms() - began), (long long)longest_ms,
			      rough_cuts(rig->rough));
		assert_in_range(longest_ms, 0, READ_MS + LOAD_MS);
		if (profiles[i].bytes_to_cut)
			assert_true(rough_cuts(rig->rough) >= 3);
		rough_stop(rig->rough);
		rig->front.tls_port = port;
	}
}

static int start(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	front_rig_start(&rig->front, NULL);
	*state = rig;
	return 0;
}

static int stop(void **state)
{
	struct rig *rig = *state;

	front_rig_stop(&rig->front);
	free(rig);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_succeed_and_copies_are_whole, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
