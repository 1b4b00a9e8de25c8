/*
 * Memory runs out (F18): in a real agent with fake backends, for each RPC, the first allocation fails, then the
 * second, and so on until the call goes through untouched. The agent lives on, and answers the next call.
 */
#include "node/v1/balancer.pb-c.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/events.pb-c.h"
#include "node/v1/exec.pb-c.h"
#include "node/v1/files.pb-c.h"
#include "node/v1/forward.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/images.pb-c.h"
#include "node/v1/lifecycle.pb-c.h"
#include "node/v1/logs.pb-c.h"
#include "node/v1/pods.pb-c.h"
#include "node/v1/processes.pb-c.h"
#include "node/v1/streams.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/wire/methods.h"
#include "shared/wire/wire.h"
#include "tests/starve/starve.h"
#include "tests/support/agent_process.h"
#include "tests/support/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFIX "berth.node.v1."

/* What a call may take. One whose work has lost its way for want of memory is answered by the server then. */
#define CALL_MS   150
#define ANSWER_MS 30000
/* The most allocations of one RPC that are tried (the row's number). */
#define MOST 5000

static struct agent_process agent;
static struct starve *starve;
static char starve_path[64];
static uint8_t session[16]; /* a session that stays open, for Streams */

/* --- one request of each RPC -------------------------------------------------------------------------- */

struct row {
	const char *service;
	const char *method;
	const ProtobufCMessage *msg;
};

static char *words_cat[] = { (char *)"cat" };
static char *words_true[] = { (char *)"true" };
static char *unit_names[] = { (char *)"kubelet", (char *)"containerd" };
static char *ids[] = { (char *)"c-1" };
static char address[] = "10.0.0.2";

static Berth__Node__V1__BalancerBackend backend = BERTH__NODE__V1__BALANCER_BACKEND__INIT;
static Berth__Node__V1__BalancerBackend *backends[] = { &backend };
static Berth__Node__V1__BalancerSetRequest balancer = BERTH__NODE__V1__BALANCER_SET_REQUEST__INIT;
static Berth__Node__V1__ContainerListRequest list = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
static Berth__Node__V1__ContainerActionRequest action =
	BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
static Berth__Node__V1__ContainerTarget target = BERTH__NODE__V1__CONTAINER_TARGET__INIT;
static Berth__Node__V1__ExecStartRequest exec = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
static Berth__Node__V1__ExecStartRequest cat = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
static Berth__Node__V1__ExecAttachRequest attach = BERTH__NODE__V1__EXEC_ATTACH_REQUEST__INIT;
static Berth__Node__V1__FileListRequest files = BERTH__NODE__V1__FILE_LIST_REQUEST__INIT;
static Berth__Node__V1__FileCopyOutRequest out = BERTH__NODE__V1__FILE_COPY_OUT_REQUEST__INIT;
static Berth__Node__V1__FileCopyInRequest in = BERTH__NODE__V1__FILE_COPY_IN_REQUEST__INIT;
static Berth__Node__V1__ForwardOpenRequest forward = BERTH__NODE__V1__FORWARD_OPEN_REQUEST__INIT;
static Berth__Node__V1__ImageRemoveRequest image = BERTH__NODE__V1__IMAGE_REMOVE_REQUEST__INIT;
static Berth__Node__V1__LogsRange range = BERTH__NODE__V1__LOGS_RANGE__INIT;
static Berth__Node__V1__LogsJournalRequest journal = BERTH__NODE__V1__LOGS_JOURNAL_REQUEST__INIT;
static Berth__Node__V1__LogsContainerRequest logs = BERTH__NODE__V1__LOGS_CONTAINER_REQUEST__INIT;
static Berth__Node__V1__LogsDmesgRequest dmesg = BERTH__NODE__V1__LOGS_DMESG_REQUEST__INIT;
static K8s__Core__V1__Pod pod = K8S__CORE__V1__POD__INIT;
static K8s__Core__V1__ObjectMeta meta = K8S__CORE__V1__OBJECT_META__INIT;
static K8s__Core__V1__PodSpec spec = K8S__CORE__V1__POD_SPEC__INIT;
static K8s__Core__V1__Container main_container = K8S__CORE__V1__CONTAINER__INIT;
static K8s__Core__V1__Container *containers[] = { &main_container };
static Berth__Node__V1__PodApplyRequest apply = BERTH__NODE__V1__POD_APPLY_REQUEST__INIT;
static Berth__Node__V1__PodDeleteRequest remove_pod = BERTH__NODE__V1__POD_DELETE_REQUEST__INIT;
static Berth__Node__V1__PodWaitRequest wait_pod = BERTH__NODE__V1__POD_WAIT_REQUEST__INIT;
static Berth__Node__V1__ProcessKillRequest kill_process =
	BERTH__NODE__V1__PROCESS_KILL_REQUEST__INIT;
static Berth__Node__V1__KillApiServerRequest api_server =
	BERTH__NODE__V1__KILL_API_SERVER_REQUEST__INIT;
static Berth__Node__V1__UnitStatusRequest status = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
static Berth__Node__V1__UnitActionRequest unit = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
static Berth__Node__V1__UnitKillRequest unit_kill = BERTH__NODE__V1__UNIT_KILL_REQUEST__INIT;
static Berth__Node__V1__StreamReadRequest read_request = BERTH__NODE__V1__STREAM_READ_REQUEST__INIT;
static Berth__Node__V1__StreamWriteRequest write_request =
	BERTH__NODE__V1__STREAM_WRITE_REQUEST__INIT;
static Berth__Node__V1__StreamResizeRequest resize = BERTH__NODE__V1__STREAM_RESIZE_REQUEST__INIT;
static Berth__Node__V1__StreamSignalRequest send_signal =
	BERTH__NODE__V1__STREAM_SIGNAL_REQUEST__INIT;
static Berth__Node__V1__StreamCloseRequest close_request =
	BERTH__NODE__V1__STREAM_CLOSE_REQUEST__INIT;

/* An RPC that is not in the table is sent an empty request. */
static const struct row rows[] = {
	{ "LoadBalancers", "Set", &balancer.base },
	{ "Containers", "List", &list.base },
	{ "Containers", "Stop", &action.base },
	{ "Containers", "Kill", &action.base },
	{ "Containers", "Pause", &action.base },
	{ "Containers", "Unpause", &action.base },
	{ "Containers", "Delete", &action.base },
	{ "Exec", "Start", &exec.base },
	{ "Exec", "Attach", &attach.base },
	{ "Files", "List", &files.base },
	{ "Files", "CopyOut", &out.base },
	{ "Files", "CopyIn", &in.base },
	{ "Forward", "Open", &forward.base },
	{ "Images", "Remove", &image.base },
	{ "Logs", "Journal", &journal.base },
	{ "Logs", "Container", &logs.base },
	{ "Logs", "Dmesg", &dmesg.base },
	{ "Pods", "Apply", &apply.base },
	{ "Pods", "Delete", &remove_pod.base },
	{ "Pods", "Wait", &wait_pod.base },
	{ "Processes", "Kill", &kill_process.base },
	{ "Processes", "KillApiServer", &api_server.base },
	{ "Units", "Status", &status.base },
	{ "Units", "Start", &unit.base },
	{ "Units", "Stop", &unit.base },
	{ "Units", "Restart", &unit.base },
	{ "Units", "Kill", &unit_kill.base },
	{ "Streams", "Read", &read_request.base },
	{ "Streams", "Write", &write_request.base },
	{ "Streams", "Resize", &resize.base },
	{ "Streams", "Signal", &send_signal.base },
	{ "Streams", "Close", &close_request.base },
};

static void fill_pod(void)
{
	main_container.name = (char *)"main";
	main_container.image = (char *)"img:1";
	spec.n_containers = 1;
	spec.containers = containers;
	meta.name = (char *)"web";
	pod.metadata = &meta;
	pod.spec = &spec;
	apply.pod = &pod;
	remove_pod.name = wait_pod.name = (char *)"web";
	remove_pod.namespace_ = wait_pod.namespace_ = (char *)"default";
	wait_pod.gone = true;
}

static void fill_sessions(void)
{
	cat.argv = words_cat;
	exec.argv = words_true;
	cat.n_argv = exec.n_argv = 1;
	cat.input = true;
	target.pod = (char *)"web";
	target.namespace_ = (char *)"default";
	attach.target = logs.target = &target;
	files.path = out.path = in.directory = agent.dir;
	in.name = (char *)"copied";
	forward.port = 1;
	range.tail_lines = 10;
	journal.range = logs.range = dmesg.range = &range;
}

static void fill_requests(void)
{
	backend.name = (char *)"cp-1";
	backend.address = address;
	backend.port = 6443;
	balancer.listen_port = 6443;
	balancer.backends = backends;
	balancer.n_backends = 1;
	list.details = true;
	action.ids = ids;
	action.n_ids = 1;
	image.image = (char *)"img:1";
	status.names = unit_names;
	status.n_names = 2;
	unit.name = unit_kill.name = (char *)"kubelet";
	kill_process.pid = 0x7fffffff;
	api_server.grace_millis = 1;
	read_request.wait_millis = 1;
	resize.rows = resize.columns = 10;
	send_signal.signal = 18; /* SIGCONT */
	fill_pod();
	fill_sessions();
}

static const ProtobufCMessage *request_of(const char *service, const char *method)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(service + strlen(PREFIX), rows[i].service) == 0 &&
		    strcmp(method, rows[i].method) == 0)
			return rows[i].msg;
	}
	return NULL;
}

/* --- asking --------------------------------------------------------------------------------------------- */

static int fd = -1; /* the connection in use */

static const uint8_t *new_id(void)
{
	static uint8_t id[WIRE_CALL_ID_BYTES];
	static uint32_t count;

	count++;
	memcpy(id, &count, sizeof(count));
	return id;
}

static void agent_lives(const char *after, long fails)
{
	int state;

	if (waitpid(agent.pid, &state, WNOHANG) != 0) {
		agent.pid = 0;
		fail_msg("the agent has ended with %x: allocation %ld of %s failed", state, fails,
			 after);
	}
}

/* NULL when none comes in time, or the connection has gone. */
static struct frames_reply *ask(const char *service, const char *method,
				const ProtobufCMessage *msg, uint32_t call_ms)
{
	struct frames_reply *r;

	if (fd < 0)
		fd = frames_open(agent.socket);
	frames_ask(fd, 1, new_id(), service, method, msg, call_ms);
	r = frames_answer(fd, ANSWER_MS);
	if (!r) {
		close(fd);
		fd = -1;
	}
	return r;
}

static void next_call_works(const char *after, long fails)
{
	struct frames_reply *r = ask(PREFIX "Health", "Check", NULL, ANSWER_MS);

	agent_lives(after, fails);
	if (!r || r->reply->status->code != BERTH__NODE__V1__CODE__OK)
		fail_msg("no health after allocation %ld of %s failed: %s", fails, after,
			 r ? r->reply->status->message : "no answer");
	frames_free(r);
}

/* The session that a reply tells of; false when there is none. */
static bool session_of(const struct frames_reply *r, uint8_t id[16])
{
	Berth__Node__V1__StreamOpened *opened;
	bool is;

	if (!r || r->reply->status->code != BERTH__NODE__V1__CODE__OK)
		return false;
	opened = berth__node__v1__stream_opened__unpack(NULL, r->reply->payload.len,
							r->reply->payload.data);
	is = opened && opened->stream_id.len == 16;
	if (is)
		memcpy(id, opened->stream_id.data, 16);
	if (opened)
		berth__node__v1__stream_opened__free_unpacked(opened, NULL);
	return is;
}

static void use_session(const uint8_t id[16])
{
	Berth__Node__V1__StreamReadRequest get = BERTH__NODE__V1__STREAM_READ_REQUEST__INIT;
	Berth__Node__V1__StreamCloseRequest end = BERTH__NODE__V1__STREAM_CLOSE_REQUEST__INIT;

	get.stream_id = end.stream_id = (ProtobufCBinaryData){ 16, (uint8_t *)id };
	get.wait_millis = 100;
	frames_free(ask(PREFIX "Streams", "Read", &get.base, CALL_MS));
	frames_free(ask(PREFIX "Streams", "Close", &end.base, CALL_MS));
}

static bool opens_session(const char *service, const char *method)
{
	static const char *const names[] = { "Exec.Start",   "Exec.Attach",    "Files.CopyOut",
					     "Files.CopyIn", "Forward.Open",   "Images.Load",
					     "Logs.Journal", "Logs.Container", "Logs.Dmesg" };
	char name[64];

	snprintf(name, sizeof(name), "%s.%s", service + strlen(PREFIX), method);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void open_session(void)
{
	struct frames_reply *r = ask(PREFIX "Exec", "Start", &cat.base, ANSWER_MS);

	assert_true(session_of(r, session));
	frames_free(r);
	read_request.stream_id = write_request.stream_id = resize.stream_id =
		send_signal.stream_id = close_request.stream_id =
			(ProtobufCBinaryData){ 16, session };
}

/* --- the sweep ------------------------------------------------------------------------------------------- */

static void arm(long fails)
{
	atomic_store(&starve->seen, 0);
	atomic_store(&starve->fails, fails);
}

/* True when that allocation was reached, and so failed. */
static bool disarm(long fails)
{
	atomic_store(&starve->fails, 0);
	return atomic_load(&starve->seen) >= fails;
}

struct tally {
	unsigned methods;
	unsigned long failures;
	unsigned long late;   /* calls that the server answered at their deadline */
	unsigned long silent; /* calls whose connection was given up instead */
};

static bool one_failure(const char *service, const char *method, long fails, struct tally *tally)
{
	char name[80];
	struct frames_reply *r;
	uint8_t id[16];
	bool reached;

	snprintf(name, sizeof(name), "%s.%s", service, method);
	if (strcmp(method, "Close") == 0 && fails > 1 && fails < LONG_MAX)
		open_session();
	if (fd < 0)
		next_call_works(name, fails);
	arm(fails);
	r = ask(service, method, request_of(service, method), CALL_MS);
	if (opens_session(service, method) && session_of(r, id))
		use_session(id);
	reached = disarm(fails);
	tally->silent += !r;
	tally->late += r && r->reply->status->code == BERTH__NODE__V1__CODE__DEADLINE_EXCEEDED;
	tally->failures += reached;
	frames_free(r);
	next_call_works(name, fails);
	return reached;
}

static void sweep(const char *service, const char *method, struct tally *tally)
{
	long fails = 1;

	open_session();
	while (fails <= MOST && one_failure(service, method, fails, tally))
		fails++;
	assert_true(fails <= MOST);
	assert_true(fails > 1);
	use_session(session);
	tally->methods++;
}

static long count_sessions(void)
{
	struct frames_reply *r = ask(PREFIX "Health", "Metrics", NULL, ANSWER_MS);
	Berth__Node__V1__HealthMetricsReply *metrics;
	const char *at;
	long count;

	assert_non_null(r);
	metrics = berth__node__v1__health_metrics_reply__unpack(NULL, r->reply->payload.len,
								r->reply->payload.data);
	assert_non_null(metrics);
	at = strstr(metrics->text, "\nberth_agent_streams ");
	assert_non_null(at);
	count = strtol(strchr(at + 1, ' '), NULL, 10);
	berth__node__v1__health_metrics_reply__free_unpacked(metrics, NULL);
	frames_free(r);
	return count;
}

/* Sessions that nobody could be told of go by themselves, and descriptors with them. */
static void nothing_is_left(size_t fds)
{
	struct deadline by = deadline_in_ms(30000);

	while (count_sessions() > 0 || agent_process_fds(&agent) > fds + 2) {
		if (deadline_is_over(by))
			fail_msg("%ld sessions are left, %zu descriptors of %zu", count_sessions(),
				 agent_process_fds(&agent), fds);
		poll(NULL, 0, 20);
	}
}

/* What is opened once, and kept, is opened now. */
static void try_once(const char *service, const char *method)
{
	struct tally ignored = { 0 };

	open_session();
	one_failure(service, method, LONG_MAX, &ignored);
	use_session(session);
}

/* F18, G15 */
static void each_allocation_of_each_rpc_may_fail(void **state)
{
	struct tally tally = { 0 };
	size_t fds;

	(void)state;
#define METHOD(service, method, effect, role) try_once(service, method);
#include "methods.inc"
#undef METHOD
	fds = agent_process_fds(&agent);
#define METHOD(service, method, effect, role) sweep(service, method, &tally);
#include "methods.inc"
#undef METHOD
	print_message("%u RPCs, %lu failures, %lu answered at their deadline, %lu by no answer\n",
		      tally.methods, tally.failures, tally.late, tally.silent);
	assert_true(tally.failures > 10 * tally.methods);
	assert_int_equal(tally.silent, 0);
	nothing_is_left(fds);
}

/* Connects and asks, come what may; false when it was turned away. */
static bool connect_and_ask(void)
{
	int one = frames_connect(agent.socket);
	struct frames_reply *r = NULL;
	uint8_t header[8];

	if (one >= 0 && send(one, frames_header_req, 8, MSG_NOSIGNAL) == 8 &&
	    recv(one, header, 8, MSG_WAITALL) == 8) {
		frames_ask(one, 1, new_id(), PREFIX "Health", "Check", NULL, CALL_MS);
		r = frames_answer(one, ANSWER_MS);
	}
	if (one >= 0)
		close(one);
	frames_free(r);
	return r;
}

/* F18: also for those who come in. */
static void each_allocation_of_a_connection_may_fail(void **state)
{
	unsigned turned_away = 0;
	bool reached = true;
	size_t fds;

	(void)state;
	next_call_works("nothing", 0);
	fds = agent_process_fds(&agent);
	for (long fails = 1; reached; fails++) {
		arm(fails);
		turned_away += !connect_and_ask();
		reached = disarm(fails);
		next_call_works("a connection", fails);
	}
	print_message("%u connections were turned away\n", turned_away);
	assert_true(turned_away >= 1);
	nothing_is_left(fds);
}

static int start(void **state)
{
	static char starved[4096], named[96];
	const char *env[] = { named, "BERTH_FAKE_KUBELET=inactive", NULL };
	const char *args[] = { "--stream-idle", "1000", NULL };
	int file;

	(void)state;
	snprintf(starved, sizeof(starved), "%s%s", agent_process_binary(),
		 getenv("BERTHD") ? "" : "-starved");
	setenv("BERTHD", starved, 1);
	snprintf(starve_path, sizeof(starve_path), "/tmp/berth-starve-%d", (int)getpid());
	snprintf(named, sizeof(named), "%s=%s", STARVE_ENV, starve_path);
	file = open(starve_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, sizeof(*starve)), 0);
	starve = mmap(NULL, sizeof(*starve), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_true(starve != MAP_FAILED);
	close(file);
	agent_process_start_with(&agent, args, env);
	assert_int_equal(atomic_load(&starve->pid), agent.pid);
	fill_requests();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	if (fd >= 0)
		close(fd);
	fd = -1;
	agent_process_discard(&agent);
	munmap(starve, sizeof(*starve));
	unlink(starve_path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_allocation_of_each_rpc_may_fail, start, stop),
		cmocka_unit_test_setup_teardown(each_allocation_of_a_connection_may_fail, start,
						stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
