/*
 * Requests that come late (F21): kept by something on their way, and delivered when newer ones have been
 * carried out, or delivered again when the agent has long forgotten them. The fake units keep a line for each
 * side effect.
 */
#include "controller/client/client.h"
#include "node/v1/envelope.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/wire/wire.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLAYS 10000
#else
#define REPLAYS 100000
#endif

/* More than the agent remembers replies of. */
#define CALLS 1500
/* Frames on their way at once. */
#define BATCH 80

static struct agent_process agent;
static char units_log[96];
static char units_env[128];

static int start(void **state)
{
	static const char *env[] = { units_env, NULL };

	(void)state;
	snprintf(units_log, sizeof(units_log), "/tmp/berth-stale-%d", (int)getpid());
	snprintf(units_env, sizeof(units_env), "BERTH_FAKE_EFFECTS=%s", units_log);
	unlink(units_log);
	agent_process_start_with(&agent, NULL, env);
	return 0;
}

static int discard(void **state)
{
	(void)state;
	agent_process_discard(&agent);
	unlink(units_log);
	return 0;
}

static unsigned effects(void)
{
	unsigned count = 0;
	char line[256];
	FILE *f = fopen(units_log, "re");

	while (f && fgets(line, sizeof(line), f))
		count++;
	if (f)
		fclose(f);
	return count;
}

/* --- frames ------------------------------------------------------------------------------------------ */

struct frame {
	uint8_t *bytes;
	size_t len;
};

static int64_t wall_ms(void)
{
	return clock_wall_ns() / 1000000;
}

/* A request for 'verb' of containerd, as a controller makes it now that waits for 'wait_ms'. */
static struct frame make_frame(unsigned n, const char *verb, int64_t made_ms, int64_t wait_ms)
{
	Berth__Node__V1__UnitActionRequest action = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
	uint8_t id[WIRE_CALL_ID_BYTES] = { 0 }, payload[64];
	struct frame frame;

	action.name = (char *)"containerd.service";
	memcpy(id, &n, sizeof(n));
	req.call_id = (ProtobufCBinaryData){ sizeof(id), id };
	req.service = (char *)"berth.node.v1.Units";
	req.method = (char *)verb;
	req.protocol = WIRE_PROTOCOL;
	req.timeout_ms = (uint32_t)wait_ms;
	req.payload.data = payload;
	req.payload.len = berth__node__v1__unit_action_request__pack(&action, payload);
	req.made_ms = (uint64_t)made_ms;
	req.until_ms = (uint64_t)(made_ms + wait_ms);
	frame.len = berth__node__v1__request__get_packed_size(&req);
	frame.bytes = malloc(frame.len);
	assert_non_null(frame.bytes);
	berth__node__v1__request__pack(&req, frame.bytes);
	return frame;
}

static void free_frames(struct frame *frames, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(frames[i].bytes);
}

/* The code of the next answer; a refusal must be that it is stale, with the agent's clock. */
static Berth__Node__V1__Code take_code(int fd)
{
	struct frames_reply *r = frames_answer(fd, 30000);
	Berth__Node__V1__Code code;

	assert_non_null(r);
	code = r->reply->status->code;
	if (code != BERTH__NODE__V1__CODE__OK) {
		assert_string_equal(r->reply->status->reason, "CALL_STALE");
		assert_in_range(r->reply->clock_ms, wall_ms() - 60000, wall_ms() + 60000);
	}
	frames_free(r);
	return code;
}

static Berth__Node__V1__Code deliver(int fd, const struct frame *frame)
{
	frames_send(fd, 1, frame->bytes, frame->len);
	return take_code(fd);
}

/* --- late -------------------------------------------------------------------------------------------- */

/* F21: what was asked for first arrives last, when its caller has given up. */
static void what_was_held_back_does_not_overtake_what_came_after(void **state)
{
	int fd = frames_open(agent.socket);
	struct frame held[100], newer;
	unsigned before;

	(void)state;
	for (unsigned n = 0; n < 100; n++)
		held[n] = make_frame(n, n % 2 ? "Stop" : "Restart", wall_ms(), 200);
	poll(NULL, 0, 250); /* what is proven: longer than their callers wait */
	newer = make_frame(1000, "Start", wall_ms(), 30000);
	assert_int_equal(deliver(fd, &newer), BERTH__NODE__V1__CODE__OK);
	before = effects();
	for (unsigned n = 0; n < 100; n++)
		assert_int_equal(deliver(fd, &held[n]), BERTH__NODE__V1__CODE__ABORTED);
	assert_int_equal(effects(), before);
	free_frames(held, 100);
	free(newer.bytes);
	close(fd);
}

/* F21: a hundred thousand old frames, on a connection of their own; some the agent remembers, some it has
 * forgotten. Those get their reply once more, these are refused. */
static void a_hundred_thousand_old_frames_do_nothing(void **state)
{
	int fd = frames_open(agent.socket);
	unsigned before, seed = 1, stale = 0, known = 0;
	struct frame frames[CALLS];

	(void)state;
	for (unsigned n = 0; n < CALLS; n++) {
		frames[n] = make_frame(n, "Restart", wall_ms(), 3600 * 1000);
		assert_int_equal(deliver(fd, &frames[n]), BERTH__NODE__V1__CODE__OK);
	}
	close(fd);
	before = effects();
	fd = frames_open(agent.socket);
	for (unsigned sent = 0; sent < REPLAYS; sent += BATCH) {
		for (unsigned i = 0; i < BATCH; i++) {
			const struct frame *f = &frames[rand_r(&seed) % CALLS];

			frames_send(fd, i + 1, f->bytes, f->len);
		}
		for (unsigned i = 0; i < BATCH; i++) {
			if (take_code(fd) == BERTH__NODE__V1__CODE__OK)
				known++;
			else
				stale++;
		}
	}
	assert_int_equal(effects(), before);
	assert_true(known >= REPLAYS / 2 && stale >= REPLAYS / 5);
	assert_int_equal(deliver(fd, &frames[0]), BERTH__NODE__V1__CODE__ABORTED);
	assert_int_equal(deliver(fd, &frames[CALLS - 1]), BERTH__NODE__V1__CODE__OK);
	free_frames(frames, CALLS);
	close(fd);
}

/* F21: also by an agent that was killed meanwhile. */
static void old_frames_do_nothing_in_the_next_life(void **state)
{
	int fd = frames_open(agent.socket);
	struct frame frames[50], old;
	unsigned before;

	(void)state;
	for (unsigned n = 0; n < 50; n++) {
		frames[n] = make_frame(n, "Restart", wall_ms(), 3600 * 1000);
		assert_int_equal(deliver(fd, &frames[n]), BERTH__NODE__V1__CODE__OK);
	}
	close(fd);
	agent_process_kill(&agent);
	agent_process_respawn(&agent);
	agent_process_wait_answer(&agent);
	before = effects();
	fd = frames_open(agent.socket);
	for (unsigned n = 0; n < 50; n++)
		assert_int_equal(deliver(fd, &frames[n]), BERTH__NODE__V1__CODE__OK);
	old = make_frame(777, "Restart", wall_ms() - 6 * 60 * 1000, 3600 * 1000);
	assert_int_equal(deliver(fd, &old), BERTH__NODE__V1__CODE__ABORTED);
	assert_int_equal(effects(), before);
	free_frames(frames, 50);
	free(old.bytes);
	close(fd);
}

/* --- clocks that differ ------------------------------------------------------------------------------- */

/* An agent whose clock is 'ahead_ms' before ours: it takes calls for late ones until their time is right. */
struct other_clock {
	char path[64];
	int listen_fd;
	int64_t ahead_ms;
	pthread_t thread;
	unsigned refused, done;
	uint8_t id[WIRE_CALL_ID_BYTES];
	bool same_id;
};

static void read_whole(int fd, void *bytes, size_t len)
{
	assert_int_equal(recv(fd, bytes, len, MSG_WAITALL), len);
}

/* The next request; NULL when there is none. Its frame's request id goes to 'ret_id'. */
static Berth__Node__V1__Request *take_request(int fd, uint8_t ret_id[4])
{
	uint8_t head[13], bytes[4096];
	size_t len;

	if (recv(fd, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head))
		return NULL;
	len = (size_t)head[7] * 256 + head[8] - 4;
	memcpy(ret_id, head + 9, 4);
	read_whole(fd, bytes, len);
	return berth__node__v1__request__unpack(NULL, len, bytes);
}

static void answer(struct other_clock *other, int fd, const Berth__Node__V1__Request *req,
		   const uint8_t request_id[4])
{
	Berth__Node__V1__Reply reply = BERTH__NODE__V1__REPLY__INIT;
	Berth__Node__V1__Status status = BERTH__NODE__V1__STATUS__INIT;
	int64_t now = wall_ms() + other->ahead_ms;
	bool fresh = llabs(now - (int64_t)req->made_ms) < 60000;
	uint8_t frame[512] = { 1 };
	size_t len;

	other->same_id &= !other->refused || memcmp(other->id, req->call_id.data, 16) == 0;
	memcpy(other->id, req->call_id.data, 16);
	reply.call_id = req->call_id;
	reply.protocol = WIRE_PROTOCOL;
	reply.status = &status;
	if (!fresh) {
		status.code = BERTH__NODE__V1__CODE__ABORTED;
		status.reason = (char *)"CALL_STALE";
		status.message = (char *)"the call comes too late";
		reply.clock_ms = (uint64_t)now;
	}
	other->refused += !fresh;
	other->done += fresh;
	len = berth__node__v1__reply__pack(&reply, frame + 13);
	frame[7] = (uint8_t)((len + 4) >> 8);
	frame[8] = (uint8_t)(len + 4);
	memcpy(frame + 9, request_id, 4);
	assert_int_equal(send(fd, frame, len + 13, MSG_NOSIGNAL), len + 13);
}

static void *serve_other_clock(void *arg)
{
	struct other_clock *other = arg;
	Berth__Node__V1__Request *req;
	uint8_t header[8], request_id[4];
	int fd = accept(other->listen_fd, NULL, NULL);

	read_whole(fd, header, 8);
	assert_int_equal(send(fd, frames_header_rep, 8, MSG_NOSIGNAL), 8);
	while ((req = take_request(fd, request_id))) {
		answer(other, fd, req, request_id);
		berth__node__v1__request__free_unpacked(req, NULL);
	}
	close(fd);
	return NULL;
}

static void on_unit(const Berth__Node__V1__UnitActionReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void restart_unit(struct client *client)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	struct err err = { 0 };
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__units__descriptor, deadline_in_ms(30000), &err);

	req.name = (char *)"kubelet.service";
	berth__node__v1__units__restart(&rpc.base, &req, on_unit, NULL);
	assert_int_equal(rpc.result, 0);
	assert_int_equal(err.code, ERR_OK);
}

/* F24: a call is refused once, by whichever hour the clocks differ, and never again. */
static void clocks_that_differ_cost_one_round_trip(void **state)
{
	static const int64_t ahead_ms[] = { 3600 * 1000, -3600 * 1000, 315360000000,
					    -315360000000 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct other_clock other = { .ahead_ms = ahead_ms[i], .same_id = true };
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		struct client *client;
		struct err err;

		snprintf(other.path, sizeof(other.path), "/tmp/berth-clock-%d", (int)getpid());
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", other.path);
		unlink(other.path);
		other.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
			bind(other.listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
		assert_int_equal(listen(other.listen_fd, 8), 0);
		assert_int_equal(pthread_create(&other.thread, NULL, serve_other_clock, &other), 0);
		assert_int_equal(client_open(other.path, "clock", &client, &err), 0);
		restart_unit(client);
		assert_true(other.same_id);
		restart_unit(client);
		restart_unit(client);
		client_close(client);
		pthread_join(other.thread, NULL);
		close(other.listen_fd);
		unlink(other.path);
		assert_int_equal(other.refused, 1);
		assert_int_equal(other.done, 3);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, discard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_held_back_does_not_overtake_what_came_after),
		TEST(a_hundred_thousand_old_frames_do_nothing),
		TEST(old_frames_do_nothing_in_the_next_life),
		cmocka_unit_test(clocks_that_differ_cost_one_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
