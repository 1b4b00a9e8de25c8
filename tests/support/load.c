#include "tests/support/load.h"

#include "agent/streams/stream.h"
#include "controller/client/client.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/exec.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/streams.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/wire/wire.h"
#include "tests/support/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEALTH  "berth.node.v1.Health"
#define UNITS   "berth.node.v1.Units"
#define EXEC    "berth.node.v1.Exec"
#define STREAMS "berth.node.v1.Streams"

#define PEERS 7 /* connections of each kind; with the two others a bridge carries as many at once */
/* Longer than anybody looks at it. */
#define LONG_MS   600000
#define ANSWER_MS 60000

struct load {
	char socket[128];
	int fd; /* for what is answered at once */
	int longs[PEERS];
	int parked[PEERS];
	uint8_t sessions[STREAMS_MAX][STREAM_ID_BYTES];
};

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

struct load_times load_times_of(int64_t *us, size_t count)
{
	assert_true(count > 0);
	qsort(us, count, sizeof(*us), compare);
	return (struct load_times){ us[count / 2], us[count * 99 / 100], us[count - 1] };
}

static const uint8_t *new_id(void)
{
	static uint8_t id[WIRE_CALL_ID_BYTES];
	static unsigned n;

	n++;
	memcpy(id, &n, sizeof(n));
	return id;
}

static enum err_code answer_code(int fd)
{
	struct frames_reply *r = frames_answer(fd, ANSWER_MS);
	enum err_code code;

	assert_non_null(r);
	code = (enum err_code)r->reply->status->code;
	frames_free(r);
	return code;
}

/* --- long operations ------------------------------------------------------------------------------- */

static void ask_restart(int fd, uint32_t request)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;

	req.name = (char *)"hang";
	frames_ask(fd, request, new_id(), UNITS, "Restart", &req.base, LONG_MS);
}

/* Whether a further change is refused. This one ends in its handler, and so takes nobody's place. */
static bool is_full(int fd)
{
	Berth__Node__V1__ContainerActionRequest nothing =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	enum err_code code;

	frames_ask(fd, 1, new_id(), "berth.node.v1.Containers", "Stop", &nothing.base, ANSWER_MS);
	code = answer_code(fd);
	assert_true(code == ERR_OK || code == ERR_RESOURCE_EXHAUSTED);
	return code == ERR_RESOURCE_EXHAUSTED;
}

static void wait_full(int fd)
{
	struct deadline by = deadline_in_ms(ANSWER_MS);

	while (!is_full(fd))
		assert_false(deadline_is_over(by));
}

/* --- sessions that say nothing ---------------------------------------------------------------------- */

static struct frames_reply *ask_session(int fd)
{
	char *argv[] = { (char *)"sleep", (char *)"600" };
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	struct frames_reply *r;

	req.argv = argv;
	req.n_argv = ARRAY_LEN(argv);
	frames_ask(fd, 1, new_id(), EXEC, "Start", &req.base, ANSWER_MS);
	r = frames_answer(fd, ANSWER_MS);
	assert_non_null(r);
	return r;
}

enum err_code load_open_session(int fd)
{
	struct frames_reply *r = ask_session(fd);
	enum err_code code = (enum err_code)r->reply->status->code;

	frames_free(r);
	return code;
}

static void open_session(int fd, uint8_t ret_id[STREAM_ID_BYTES])
{
	struct frames_reply *r = ask_session(fd);
	Berth__Node__V1__StreamOpened *opened;

	assert_int_equal(r->reply->status->code, ERR_OK);
	opened = berth__node__v1__stream_opened__unpack(NULL, r->reply->payload.len,
							r->reply->payload.data);
	assert_non_null(opened);
	assert_int_equal(opened->stream_id.len, STREAM_ID_BYTES);
	memcpy(ret_id, opened->stream_id.data, STREAM_ID_BYTES);
	berth__node__v1__stream_opened__free_unpacked(opened, NULL);
	frames_free(r);
}

static void ask_read(int fd, uint32_t request, uint8_t id[STREAM_ID_BYTES])
{
	Berth__Node__V1__StreamReadRequest req = BERTH__NODE__V1__STREAM_READ_REQUEST__INIT;

	req.stream_id = (ProtobufCBinaryData){ .data = id, .len = STREAM_ID_BYTES };
	req.wait_millis = STREAM_WAIT_MS;
	frames_ask(fd, request, new_id(), STREAMS, "Read", &req.base, ANSWER_MS);
}

static void close_session(int fd, uint8_t id[STREAM_ID_BYTES])
{
	Berth__Node__V1__StreamCloseRequest req = BERTH__NODE__V1__STREAM_CLOSE_REQUEST__INIT;

	req.stream_id = (ProtobufCBinaryData){ .data = id, .len = STREAM_ID_BYTES };
	frames_ask(fd, 1, new_id(), STREAMS, "Close", &req.base, ANSWER_MS);
	assert_int_equal(answer_code(fd), ERR_OK);
}

/* --- both --------------------------------------------------------------------------------------------- */

/* What was asked before on this connection is in hand. */
static void wait_seen(int fd)
{
	frames_ask(fd, UINT16_MAX, new_id(), HEALTH, "Check", NULL, ANSWER_MS);
	assert_int_equal(answer_code(fd), ERR_OK);
}

struct load *load_begin(const char *socket)
{
	struct load *load = calloc(1, sizeof(*load));

	assert_non_null(load);
	snprintf(load->socket, sizeof(load->socket), "%s", socket);
	load->fd = frames_open(socket);
	for (size_t i = 0; i < STREAMS_MAX; i++)
		open_session(load->fd, load->sessions[i]);
	for (size_t i = 0; i < PEERS; i++) {
		load->parked[i] = frames_open(socket);
		load->longs[i] = frames_open(socket);
	}
	for (uint32_t i = 0; i < LOAD_PARKED; i++)
		ask_read(load->parked[i % PEERS], i, load->sessions[i % STREAMS_MAX]);
	for (uint32_t i = 0; i < LOAD_LONG; i++)
		ask_restart(load->longs[i % PEERS], i);
	wait_full(load->fd);
	for (size_t i = 0; i < PEERS; i++)
		wait_seen(load->parked[i]);
	return load;
}

static void assert_silent(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 0), 0);
}

/* Takes what has been answered. True when a refusal was among it; what has waited for its whole time is OK. */
static bool is_refused(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool refused = false;

	while (!refused && poll(&p, 1, 0) == 1) {
		enum err_code code = answer_code(fd);

		assert_true(code == ERR_OK || code == ERR_RESOURCE_EXHAUSTED);
		refused = code == ERR_RESOURCE_EXHAUSTED;
	}
	return refused;
}

void load_read_until_refused(struct load *load)
{
	struct deadline by = deadline_in_ms(ANSWER_MS);
	int fd = frames_open(load->socket);

	for (uint32_t i = 0; !is_refused(fd); i++) {
		assert_false(deadline_is_over(by));
		ask_read(fd, i, load->sessions[i % STREAMS_MAX]);
	}
	close(fd);
}

/* A read that has waited for its whole time is answered with nothing, and that is right. */
static void take_end_of_read(int fd)
{
	enum err_code code = answer_code(fd);

	assert_true(code == ERR_UNAVAILABLE || code == ERR_OK);
}

void load_end(struct load *load)
{
	assert_true(is_full(load->fd));
	for (size_t i = 0; i < PEERS; i++) {
		assert_silent(load->longs[i]);
		close(load->longs[i]);
	}
	for (size_t i = 0; i < STREAMS_MAX; i++)
		close_session(load->fd, load->sessions[i]);
	for (uint32_t i = 0; i < LOAD_PARKED; i++)
		take_end_of_read(load->parked[i % PEERS]);
	for (size_t i = 0; i < PEERS; i++)
		close(load->parked[i]);
	close(load->fd);
	free(load);
}

struct load_times load_check_health(const char *socket, size_t count)
{
	int64_t *us = calloc(count, sizeof(*us));
	int fd = frames_open(socket);
	struct load_times times;

	assert_non_null(us);
	for (size_t i = 0; i < count; i++) {
		int64_t begin = clock_now_us();

		frames_ask(fd, (uint32_t)i, new_id(), HEALTH, "Check", NULL, ANSWER_MS);
		assert_int_equal(answer_code(fd), ERR_OK);
		us[i] = clock_now_us() - begin;
	}
	close(fd);
	times = load_times_of(us, count);
	free(us);
	return times;
}

static void get_healthz(int port)
{
	static const char request[] =
		"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char status[16] = "", rest[4096];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	assert_int_equal(poll(&p, 1, ANSWER_MS), 1);
	assert_int_equal(recv(fd, status, 12, MSG_WAITALL), 12);
	assert_string_equal(status, "HTTP/1.1 200");
	while (recv(fd, rest, sizeof(rest), 0) > 0)
		;
	close(fd);
}

struct load_times load_check_healthz(int port, size_t count)
{
	int64_t *us = calloc(count, sizeof(*us));
	struct load_times times;

	assert_non_null(us);
	for (size_t i = 0; i < count; i++) {
		int64_t begin = clock_now_us();

		get_healthz(port);
		us[i] = clock_now_us() - begin;
	}
	times = load_times_of(us, count);
	free(us);
	return times;
}

/* --- clients ----------------------------------------------------------------------------------------- */

struct crowd {
	pthread_barrier_t all_in, seen; /* every client has called; they have been counted */
	struct client *(*open)(void *arg);
	void *arg;
};

struct member {
	struct crowd *crowd;
	pthread_t thread;
	int failed;
	struct err err;             /* of the last failure */
	int64_t us[2 * LOAD_CALLS]; /* the first two: with the connection */
	size_t calls;
};

static void on_health(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void on_unit(const Berth__Node__V1__UnitStatusReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void note(struct member *member, const struct rpc *rpc, int64_t begin_us)
{
	member->failed += rpc->result < 0;
	member->us[member->calls++] = clock_now_us() - begin_us;
}

static void call_both(struct client *client, struct member *member)
{
	Berth__Node__V1__HealthCheckRequest check = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	Berth__Node__V1__UnitStatusRequest status = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	char *unit = (char *)"kubelet";
	struct deadline by = deadline_in_ms(ANSWER_MS);
	struct rpc rpc = rpc_to(client, &berth__node__v1__health__descriptor, by, &member->err);
	int64_t begin_us = clock_now_us();

	berth__node__v1__health__check(&rpc.base, &check, on_health, NULL);
	note(member, &rpc, begin_us);
	rpc = rpc_to(client, &berth__node__v1__units__descriptor, by, &member->err);
	status.names = &unit;
	status.n_names = 1;
	begin_us = clock_now_us();
	berth__node__v1__units__status(&rpc.base, &status, on_unit, NULL);
	note(member, &rpc, begin_us);
}

static void *be_a_client(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;
	cleanup_with(client) struct client *client = crowd->open(crowd->arg);

	call_both(client, member);
	pthread_barrier_wait(&crowd->all_in);
	pthread_barrier_wait(&crowd->seen);
	for (int i = 1; i < LOAD_CALLS; i++)
		call_both(client, member);
	return NULL;
}

static struct load_times times_of_members(struct member *members)
{
	const size_t each = 2 * LOAD_CALLS - 2;
	int64_t *us = calloc(LOAD_CLIENTS * each, sizeof(*us));
	struct load_times times;

	assert_non_null(us);
	for (size_t i = 0; i < LOAD_CLIENTS; i++) {
		if (members[i].failed)
			fail_msg("client %zu: %d failed: %s (%s)", i, members[i].failed,
				 members[i].err.msg, members[i].err.reason);
		memcpy(us + i * each, members[i].us + 2, each * sizeof(*us));
	}
	times = load_times_of(us, LOAD_CLIENTS * each);
	free(us);
	return times;
}

struct load_times load_clients(const struct agent_process *agent, struct client *(*open)(void *arg),
			       void *arg)
{
	struct crowd crowd = { .open = open, .arg = arg };
	struct member *members = calloc(LOAD_CLIENTS, sizeof(*members));
	struct load_times times;
	size_t connections;

	assert_non_null(members);
	agent_process_wait_connections(agent, 0);
	assert_int_equal(pthread_barrier_init(&crowd.all_in, NULL, LOAD_CLIENTS + 1), 0);
	assert_int_equal(pthread_barrier_init(&crowd.seen, NULL, LOAD_CLIENTS + 1), 0);
	for (size_t i = 0; i < LOAD_CLIENTS; i++) {
		members[i].crowd = &crowd;
		assert_int_equal(pthread_create(&members[i].thread, NULL, be_a_client, &members[i]),
				 0);
	}
	pthread_barrier_wait(&crowd.all_in);
	connections = agent_process_connections(agent);
	pthread_barrier_wait(&crowd.seen);
	for (size_t i = 0; i < LOAD_CLIENTS; i++)
		assert_int_equal(pthread_join(members[i].thread, NULL), 0);
	pthread_barrier_destroy(&crowd.all_in);
	pthread_barrier_destroy(&crowd.seen);
	times = times_of_members(members);
	free(members);
	assert_int_equal(connections, LOAD_CLIENTS);
	return times;
}
