/*
 * Exactly once: a thousand mutations, each asked by an ordinary client, while the agent is killed and
 * started again under it. The fake backends keep a line for each side effect; nothing is counted twice,
 * and what was acknowledged is counted once.
 */
#include "controller/client/client.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/exec.pb-c.h"
#include "node/v1/images.pb-c.h"
#include "node/v1/lifecycle.pb-c.h"
#include "node/v1/pods.pb-c.h"
#include "node/v1/processes.pb-c.h"
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

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNIT "containerd.service"

/* Rounds of the ten mutations below. A sanitized agent takes its time to start. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS  40
#define LIFE_MS 40
#else
#define ROUNDS  100
#define LIFE_MS 15
#endif

static struct agent_process agent;
static char units_log[96];
static char units_env[128];

static int start(void **state)
{
	static const char *env[] = { "BERTH_FAKE_KUBELET=inactive", units_env, NULL };

	(void)state;
	snprintf(units_log, sizeof(units_log), "/tmp/berth-once-%d", (int)getpid());
	snprintf(units_env, sizeof(units_env), "BERTH_FAKE_EFFECTS=%s", units_log);
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

/* --- the killer ----------------------------------------------------------------------------------- */

struct killer {
	pthread_t thread;
	atomic_bool stop;
	unsigned kills;
};

/* However slow the machine is, a life has time for something; but now and then it ends at the start. */
static void let_live(unsigned *seed)
{
	int fd = -1;

	while (rand_r(seed) % 8 && (fd = frames_try_open(agent.socket)) < 0)
		poll(NULL, 0, 1);
	if (fd >= 0)
		close(fd);
	poll(NULL, 0, LIFE_MS + rand_r(seed) % (2 * LIFE_MS));
}

/* Short lives: a few calls each, and the end comes at any moment of one. */
static void *kill_again_and_again(void *arg)
{
	struct killer *killer = arg;
	unsigned seed = 1;

	while (!atomic_load(&killer->stop)) {
		let_live(&seed);
		agent_process_kill(&agent);
		agent_process_respawn(&agent);
		killer->kills++;
	}
	return NULL;
}

/* --- effects -------------------------------------------------------------------------------------- */

/* Lines of 'path' that begin so. */
static unsigned lines(const char *path, const char *beginning)
{
	unsigned count = 0;
	char line[2048];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		count += strncmp(line, beginning, strlen(beginning)) == 0;
	if (f)
		fclose(f);
	return count;
}

static unsigned runtime_lines(const char *verb, const char *what)
{
	char path[160], beginning[128];

	snprintf(path, sizeof(path), "%s/effects", agent.runtime_dir);
	snprintf(beginning, sizeof(beginning), "%s %s ", verb, what);
	return lines(path, beginning);
}

/* A container that nobody but the test has made. */
static void make_container(const char *id)
{
	char path[160], line[256];
	int fd, len;

	snprintf(path, sizeof(path), "%s/effects", agent.runtime_dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	len = snprintf(line, sizeof(line),
		       "create-container u-%s main 0 %s 77 s-%s img:1 "
		       "l:io.kubernetes.pod.namespace=other l:io.kubernetes.pod.uid=u-%s\n"
		       "start %s 78\n",
		       id, id, id, id, id);
	assert_int_equal(write(fd, line, (size_t)len), len);
	close(fd);
}

/* --- calls ---------------------------------------------------------------------------------------- */

struct tally {
	unsigned calls, unknown;
};

/* True when it was acknowledged. The only other end is that nobody can know. */
static bool ended(struct tally *tally, const struct rpc *rpc, const char *what)
{
	tally->calls++;
	if (rpc->result == 0)
		return true;
	if (strcmp(rpc->err->reason, "OUTCOME_UNKNOWN") != 0)
		fail_msg("%s: %s", what, rpc->err->msg);
	assert_int_equal(rpc->err->code, ERR_ABORTED);
	assert_true(rpc->err->advice[0]);
	tally->unknown++;
	return false;
}

static struct rpc to(struct client *client, const ProtobufCServiceDescriptor *service,
		     struct err *err)
{
	return rpc_to(client, service, deadline_in_ms(20000), err);
}

static void on_unit(const Berth__Node__V1__UnitActionReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

/* One effect when acknowledged, none or one when unknown: never two. */
static void check_unit(struct tally *tally, const struct rpc *rpc, const char *verb,
		       unsigned before)
{
	char beginning[64];
	unsigned count;
	bool ok = ended(tally, rpc, verb);

	snprintf(beginning, sizeof(beginning), "%s %s", verb, UNIT);
	count = lines(units_log, beginning) - before;
	if (count > 1 || (ok && count != 1))
		fail_msg("%s: done %u times, acknowledged: %d", verb, count, ok);
}

static void act(struct client *client, struct tally *tally, const char *verb)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	struct err err;
	struct rpc rpc = to(client, &berth__node__v1__units__descriptor, &err);
	char beginning[64];
	unsigned before;

	snprintf(beginning, sizeof(beginning), "%s %s", verb, UNIT);
	before = lines(units_log, beginning);
	req.name = (char *)UNIT;
	if (strcmp(verb, "start") == 0)
		berth__node__v1__units__start(&rpc.base, &req, on_unit, NULL);
	else if (strcmp(verb, "stop") == 0)
		berth__node__v1__units__stop(&rpc.base, &req, on_unit, NULL);
	else
		berth__node__v1__units__restart(&rpc.base, &req, on_unit, NULL);
	check_unit(tally, &rpc, verb, before);
}

static bool kill_unit(struct client *client, struct tally *tally)
{
	Berth__Node__V1__UnitKillRequest req = BERTH__NODE__V1__UNIT_KILL_REQUEST__INIT;
	unsigned before = lines(units_log, "kill " UNIT);
	struct err err;
	struct rpc rpc = to(client, &berth__node__v1__units__descriptor, &err);

	req.name = (char *)UNIT;
	req.signal = 9;
	berth__node__v1__units__kill(&rpc.base, &req, on_unit, NULL);
	check_unit(tally, &rpc, "kill", before);
	return lines(units_log, "kill " UNIT) > before;
}

static void on_containers(const Berth__Node__V1__ContainerActionReply *reply, void *arg)
{
	snprintf(arg, 16, "%s", reply->n_results ? reply->results[0]->result : "");
}

static void on_container(struct client *client, struct tally *tally, const char *verb, char *id)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct err err;
	struct rpc rpc = to(client, &berth__node__v1__containers__descriptor, &err);
	char result[16] = "";

	req.ids = &id;
	req.n_ids = 1;
	req.grace_seconds = 1;
	req.force = true;
	if (strcmp(verb, "stop") == 0)
		berth__node__v1__containers__stop(&rpc.base, &req, on_containers, result);
	else if (strcmp(verb, "kill") == 0)
		berth__node__v1__containers__kill(&rpc.base, &req, on_containers, result);
	else
		berth__node__v1__containers__delete(&rpc.base, &req, on_containers, result);
	assert_true(ended(tally, &rpc, verb));
}

static void on_applied(const Berth__Node__V1__PodApplyReply *reply, void *arg)
{
	snprintf(arg, 64, "%s", reply->uid);
}

static void apply(struct client *client, struct tally *tally, const char *name, char uid[64])
{
	Berth__Node__V1__PodApplyRequest req = BERTH__NODE__V1__POD_APPLY_REQUEST__INIT;
	K8s__Core__V1__Pod pod = K8S__CORE__V1__POD__INIT;
	K8s__Core__V1__ObjectMeta meta = K8S__CORE__V1__OBJECT_META__INIT;
	K8s__Core__V1__PodSpec spec = K8S__CORE__V1__POD_SPEC__INIT;
	K8s__Core__V1__Container main = K8S__CORE__V1__CONTAINER__INIT;
	K8s__Core__V1__Container *containers[] = { &main };
	struct err err;
	struct rpc rpc = to(client, &berth__node__v1__pods__descriptor, &err);

	meta.name = (char *)name;
	main.name = (char *)"main";
	main.image = (char *)"img:1";
	spec.n_containers = 1;
	spec.containers = containers;
	pod.metadata = &meta;
	pod.spec = &spec;
	req.pod = &pod;
	berth__node__v1__pods__apply(&rpc.base, &req, on_applied, uid);
	assert_true(ended(tally, &rpc, "apply"));
}

static void on_deleted(const Berth__Node__V1__PodDeleteReply *reply, void *arg)
{
	snprintf(arg, 64, "%s", reply->uid);
}

static void delete_pod(struct client *client, struct tally *tally, const char *name,
		       const char *want_uid)
{
	Berth__Node__V1__PodDeleteRequest req = BERTH__NODE__V1__POD_DELETE_REQUEST__INIT;
	struct err err;
	struct rpc rpc = to(client, &berth__node__v1__pods__descriptor, &err);
	char uid[64] = "";

	req.namespace_ = (char *)"default";
	req.name = (char *)name;
	berth__node__v1__pods__delete(&rpc.base, &req, on_deleted, uid);
	/* Done again after a restart, it may find the pod gone already. */
	if (rpc.result < 0 && err.code == ERR_NOT_FOUND) {
		tally->calls++;
		return;
	}
	assert_true(ended(tally, &rpc, "delete"));
	assert_string_equal(uid, want_uid);
}

static void on_processes(const Berth__Node__V1__KillApiServerReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static void kill_api_server(struct client *client, struct tally *tally)
{
	Berth__Node__V1__KillApiServerRequest req = BERTH__NODE__V1__KILL_API_SERVER_REQUEST__INIT;
	struct err err;
	struct rpc rpc = to(client, &berth__node__v1__processes__descriptor, &err);

	berth__node__v1__processes__kill_api_server(&rpc.base, &req, on_processes, NULL);
	assert_true(ended(tally, &rpc, "kill-apiserver"));
}

/* --- tests ---------------------------------------------------------------------------------------- */

static void one_round(struct client *client, struct tally *tally, unsigned n)
{
	char first[32], second[32], pod[32], uid[64] = "";

	snprintf(first, sizeof(first), "aa%06u", n);
	snprintf(second, sizeof(second), "bb%06u", n);
	snprintf(pod, sizeof(pod), "pod-%u", n);
	make_container(first);
	make_container(second);

	act(client, tally, "restart");
	act(client, tally, "stop");
	act(client, tally, "start");
	if (kill_unit(client, tally))
		act(client, tally, "start");
	apply(client, tally, pod, uid);
	on_container(client, tally, "stop", first);
	on_container(client, tally, "kill", second);
	on_container(client, tally, "delete", first);
	delete_pod(client, tally, pod, uid);
	kill_api_server(client, tally);

	assert_int_equal(runtime_lines("stop", first), 1);
	assert_int_equal(runtime_lines("stop", second), 1);
	assert_int_equal(runtime_lines("remove", first), 1);
	assert_true(runtime_lines("run-sandbox", uid) <= 1);
	assert_true(runtime_lines("create-container", uid) <= 1);
}

/* S8, F1, F20, G8 */
static void a_thousand_mutations_happen_once_each_whoever_is_killed(void **state)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	struct killer killer = { 0 };
	struct tally tally = { 0 };

	(void)state;
	client_set_patient(client, true);
	assert_int_equal(pthread_create(&killer.thread, NULL, kill_again_and_again, &killer), 0);
	for (unsigned n = 0; n < ROUNDS; n++)
		one_round(client, &tally, n);
	atomic_store(&killer.stop, true);
	pthread_join(killer.thread, NULL);
	print_message("%u calls, %u kills, %u outcomes unknown\n", tally.calls, killer.kills,
		      tally.unknown);
	assert_true(tally.calls >= ROUNDS * 9);
	assert_true(killer.kills >= ROUNDS / 4);
}

static void ask_restart(int fd, const uint8_t *id, const char *unit)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;

	req.name = (char *)unit;
	frames_ask(fd, 1, id, "berth.node.v1.Units", "Restart", &req.base, 5000);
}

static struct frames_reply *answer(int fd)
{
	struct frames_reply *r = frames_answer(fd, 5000);

	assert_non_null(r);
	return r;
}

/* S8, F20: bit-equal, from another life of the agent */
static void a_reply_is_the_same_after_the_agent_was_killed(void **state)
{
	uint8_t id[WIRE_CALL_ID_BYTES] = { 1 };
	struct frames_reply *first, *again;
	int fd = frames_open(agent.socket);

	(void)state;
	ask_restart(fd, id, UNIT);
	first = answer(fd);
	assert_int_equal(first->reply->status->code, ERR_OK);
	close(fd);
	agent_process_kill(&agent);
	agent_process_respawn(&agent);
	agent_process_wait_answer(&agent);
	fd = frames_open(agent.socket);
	ask_restart(fd, id, UNIT);
	again = answer(fd);
	assert_int_equal(again->len, first->len);
	assert_memory_equal(again->bytes, first->bytes, first->len);
	assert_int_equal(lines(units_log, "restart " UNIT), 1);
	ask_restart(fd, id, "kubelet"); /* the digest is remembered, too */
	frames_free(again);
	again = answer(fd);
	assert_string_equal(again->reply->status->reason, "CALL_ID_REUSED");
	frames_free(again);
	frames_free(first);
	close(fd);
}

/* S8, F1: 'hang' is never done, and nobody can know that */
static void a_call_that_was_running_is_told_to_be_unknown(void **state)
{
	uint8_t id[WIRE_CALL_ID_BYTES] = { 2 };
	struct frames_reply *r;
	int fd = frames_open(agent.socket);

	(void)state;
	ask_restart(fd, id, "hang");
	ask_restart(fd, (uint8_t[WIRE_CALL_ID_BYTES]){ 3 }, UNIT);
	frames_free(answer(fd)); /* so the first has begun */
	close(fd);
	agent_process_kill(&agent);
	agent_process_respawn(&agent);
	agent_process_wait_answer(&agent);
	fd = frames_open(agent.socket);
	ask_restart(fd, id, "hang");
	r = answer(fd);
	assert_int_equal(r->reply->status->code, ERR_ABORTED);
	assert_string_equal(r->reply->status->reason, "OUTCOME_UNKNOWN");
	assert_string_equal(
		r->reply->status->message,
		"the agent was restarted during Restart; whether it was done is unknown");
	frames_free(r);
	close(fd);
}

#define AGAIN 20

/* The same call from so many connections: each gets the first one's bytes. */
static void ask_again_and_again(uint8_t number, const char *service, const char *method,
				const ProtobufCMessage *req)
{
	uint8_t id[WIRE_CALL_ID_BYTES] = { 9, number };
	struct frames_reply *first = NULL;

	for (int i = 0; i < AGAIN; i++) {
		int fd = frames_open(agent.socket);
		struct frames_reply *r;

		frames_ask(fd, 1, id, service, method, req, 10000);
		r = frames_answer(fd, 10000);
		close(fd);
		assert_non_null(r);
		assert_int_equal(r->reply->status->code, ERR_OK);
		if (!first) {
			first = r;
			continue;
		}
		assert_int_equal(r->len, first->len);
		assert_memory_equal(r->bytes, first->bytes, first->len);
		frames_free(r);
	}
	frames_free(first);
}

static void wait_lines(const char *path, unsigned wanted)
{
	struct deadline by = deadline_in_ms(5000);

	while (lines(path, "") < wanted) {
		assert_false(deadline_is_over(by));
		poll(NULL, 0, 5);
	}
}

/* S8, F20, G8: the command tells it itself */
static void a_command_asked_for_twenty_times_runs_once(void **state)
{
	char path[128], script[192];
	char *argv[] = { (char *)"sh", (char *)"-c", script };
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;

	(void)state;
	snprintf(path, sizeof(path), "%s/ran", agent.dir);
	snprintf(script, sizeof(script), "echo ran >> %s", path);
	req.argv = argv;
	req.n_argv = 3;
	ask_again_and_again(1, "berth.node.v1.Exec", "Start", &req.base);
	wait_lines(path, 1);
	/* Whatever else had been started came before this one. */
	ask_again_and_again(2, "berth.node.v1.Exec", "Start", &req.base);
	wait_lines(path, 2);
	assert_int_equal(lines(path, "ran"), 2);
}

/* S8, F20, G8 */
static void the_node_is_paused_and_unpaused_once(void **state)
{
	Berth__Node__V1__PauseRequest req = BERTH__NODE__V1__PAUSE_REQUEST__INIT;

	(void)state;
	make_container("cc1");
	ask_again_and_again(1, "berth.node.v1.Lifecycle", "Pause", &req.base);
	assert_int_equal(runtime_lines("pause", "cc1"), 1);
	ask_again_and_again(2, "berth.node.v1.Lifecycle", "Unpause", &req.base);
	assert_int_equal(runtime_lines("pause", "cc1"), 1);
	assert_int_equal(runtime_lines("unpause", "cc1"), 1);
}

/* S8, F20, G8 */
static void the_node_is_quiesced_once(void **state)
{
	Berth__Node__V1__QuiesceRequest req = BERTH__NODE__V1__QUIESCE_REQUEST__INIT;

	(void)state;
	make_container("dd1");
	req.grace_seconds = 1;
	ask_again_and_again(1, "berth.node.v1.Lifecycle", "Quiesce", &req.base);
	assert_int_equal(runtime_lines("stop", "dd1"), 1);
}

/* S8, F20, G8 */
static void an_image_is_removed_once(void **state)
{
	static const char pulled[] = "pull img:9 1\n";
	Berth__Node__V1__ImageRemoveRequest req = BERTH__NODE__V1__IMAGE_REMOVE_REQUEST__INIT;
	char path[160];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/effects", agent.runtime_dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, pulled, sizeof(pulled) - 1), sizeof(pulled) - 1);
	close(fd);
	req.image = (char *)"img:9";
	ask_again_and_again(1, "berth.node.v1.Images", "Remove", &req.base);
	assert_int_equal(runtime_lines("remove-image", "img:9"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, discard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reply_is_the_same_after_the_agent_was_killed),
		TEST(a_call_that_was_running_is_told_to_be_unknown),
		TEST(a_command_asked_for_twenty_times_runs_once),
		TEST(the_node_is_paused_and_unpaused_once),
		TEST(the_node_is_quiesced_once),
		TEST(an_image_is_removed_once),
		TEST(a_thousand_mutations_happen_once_each_whoever_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
