/*
 * Pod sync of a real agent on the fake runtime, whose log tells each side effect once: whatever
 * happens to the agent, a pod is made once.
 */
#include "controller/client/client.h"
#include "k8s/v1/core.pb-c.h"
#include "node/v1/pods.pb-c.h"
#include "shared/base/deadline.h"
#include "tests/support/agent_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static struct agent_process agent;

static int start(void **state)
{
	const char *const env[] = { "BERTH_FAKE_KUBELET=inactive", NULL }; /* D9 */

	(void)state;
	agent_process_start_with(&agent, NULL, env);
	return 0;
}

static int discard(void **state)
{
	(void)state;
	agent_process_discard(&agent);
	return 0;
}

/* --- calls ---------------------------------------------------------------------------------------- */

struct applied {
	char uid[64];
	char result[32];
	struct err err;
};

static void on_applied(const Berth__Node__V1__PodApplyReply *reply, void *arg)
{
	struct applied *a = arg;

	snprintf(a->uid, sizeof(a->uid), "%s", reply->uid);
	snprintf(a->result, sizeof(a->result), "%s", reply->result);
}

static int apply(struct client *client, const char *name, struct applied *ret)
{
	Berth__Node__V1__PodApplyRequest req = BERTH__NODE__V1__POD_APPLY_REQUEST__INIT;
	K8s__Core__V1__Pod pod = K8S__CORE__V1__POD__INIT;
	K8s__Core__V1__ObjectMeta meta = K8S__CORE__V1__OBJECT_META__INIT;
	K8s__Core__V1__PodSpec spec = K8S__CORE__V1__POD_SPEC__INIT;
	K8s__Core__V1__Container main = K8S__CORE__V1__CONTAINER__INIT;
	K8s__Core__V1__Container *containers[] = { &main };
	struct rpc rpc = rpc_to(client, &berth__node__v1__pods__descriptor, deadline_in_ms(20000),
				&ret->err);

	meta.name = (char *)name;
	main.name = (char *)"main";
	main.image = (char *)"img:1";
	spec.n_containers = 1;
	spec.containers = containers;
	pod.metadata = &meta;
	pod.spec = &spec;
	req.pod = &pod;
	berth__node__v1__pods__apply(&rpc.base, &req, on_applied, ret);
	return rpc.result;
}

static void on_waited(const Berth__Node__V1__PodWaitReply *reply, void *arg)
{
	*(bool *)arg = reply->pod && reply->pod->ready;
}

static int wait_pod(struct client *client, const char *name, bool gone, bool *ret_ready,
		    struct err *err)
{
	Berth__Node__V1__PodWaitRequest req = BERTH__NODE__V1__POD_WAIT_REQUEST__INIT;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__pods__descriptor, deadline_in_ms(20000), err);

	req.namespace_ = (char *)"default";
	req.name = (char *)name;
	req.gone = gone;
	berth__node__v1__pods__wait(&rpc.base, &req, on_waited, ret_ready);
	return rpc.result;
}

static void on_deleted(const Berth__Node__V1__PodDeleteReply *reply, void *arg)
{
	snprintf(arg, 64, "%s", reply->uid);
}

static int delete_pod(struct client *client, const char *name, char uid[64], struct err *err)
{
	Berth__Node__V1__PodDeleteRequest req = BERTH__NODE__V1__POD_DELETE_REQUEST__INIT;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__pods__descriptor, deadline_in_ms(10000), err);

	req.namespace_ = (char *)"default";
	req.name = (char *)name;
	req.grace_seconds = 0;
	berth__node__v1__pods__delete(&rpc.base, &req, on_deleted, uid);
	return rpc.result;
}

static void on_listed(const Berth__Node__V1__PodListReply *reply, void *arg)
{
	char *text = arg;

	for (size_t i = 0; i < reply->n_pods; i++)
		snprintf(text + strlen(text), 512 - strlen(text), "%s/%s %s\n",
			 reply->pods[i]->namespace_, reply->pods[i]->name, reply->pods[i]->phase);
}

static int list(struct client *client, char text[512], struct err *err)
{
	Berth__Node__V1__PodListRequest req = BERTH__NODE__V1__POD_LIST_REQUEST__INIT;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__pods__descriptor, deadline_in_ms(5000), err);

	text[0] = '\0';
	berth__node__v1__pods__list(&rpc.base, &req, on_listed, text);
	return rpc.result;
}

/* Lines of the effects log that begin so. */
static unsigned effects(const char *beginning)
{
	char path[160], line[2048];
	unsigned count = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/effects", agent.runtime_dir);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		count += strncmp(line, beginning, strlen(beginning)) == 0;
	fclose(f);
	return count;
}

static unsigned effects_of(const char *what, const char *uid)
{
	char beginning[128];

	snprintf(beginning, sizeof(beginning), "%s %s ", what, uid);
	return effects(beginning);
}

/* --- tests ---------------------------------------------------------------------------------------- */

static void a_pod_lives_and_goes(void **state)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	struct applied first, again;
	char text[512], uid[64];
	bool ready = false;
	struct err err;

	(void)state;
	assert_int_equal(apply(client, "web", &first), 0);
	assert_string_equal(first.result, "created");
	assert_int_equal(wait_pod(client, "web", false, &ready, &err), 0);
	assert_true(ready);
	assert_int_equal(apply(client, "web", &again), 0);
	assert_string_equal(again.result, "unchanged");
	assert_string_equal(again.uid, first.uid);
	assert_int_equal(list(client, text, &err), 0);
	assert_string_equal(text, "default/web Running\n");

	assert_int_equal(delete_pod(client, "web", uid, &err), 0);
	assert_string_equal(uid, first.uid);
	assert_int_equal(wait_pod(client, "web", true, &ready, &err), 0);
	assert_int_equal(list(client, text, &err), 0);
	assert_string_equal(text, "");
	assert_int_equal(delete_pod(client, "web", uid, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

struct background {
	pthread_t thread;
	char name[32];
	struct applied applied;
	int result;
};

static void *apply_in_background(void *arg)
{
	cleanup_with(client) struct client *client = agent_process_client(&agent);
	struct background *b = arg;

	client_set_patient(client, true);
	b->result = apply(client, b->name, &b->applied);
	return NULL;
}

static void spin_us(int64_t us)
{
	int64_t until = clock_now_us() + us;

	while (clock_now_us() < until)
		sched_yield();
}

#define KILLS 30

/* F1, F20: killed at 60 different moments around and after an apply; each pod is there once */
static void killing_the_agent_in_an_apply_makes_the_pod_once(void **state)
{
	bool ready = false;
	struct err err;

	(void)state;
	for (int i = 0; i < KILLS; i++) {
		cleanup_with(client) struct client *client = agent_process_client(&agent);
		struct background b = { 0 };

		client_set_patient(client, true);
		snprintf(b.name, sizeof(b.name), "pod-%d", i);
		assert_int_equal(pthread_create(&b.thread, NULL, apply_in_background, &b), 0);
		spin_us(i * 200);
		agent_process_kill(&agent);
		agent_process_respawn(&agent);
		assert_int_equal(pthread_join(b.thread, NULL), 0);
		if (b.result < 0)
			fail_msg("%s: %s", b.name, b.applied.err.msg);

		spin_us(i % 10 * 300);
		agent_process_kill(&agent);
		agent_process_respawn(&agent);
		if (wait_pod(client, b.name, false, &ready, &err) < 0)
			fail_msg("%s: %s", b.name, err.msg);
		assert_true(ready);
		assert_int_equal(effects_of("run-sandbox", b.applied.uid), 1);
		assert_int_equal(effects_of("create-container", b.applied.uid), 1);
		assert_int_equal(effects("start "), i + 1);
	}
	assert_int_equal(effects("run-sandbox "), KILLS);
	assert_int_equal(effects("stop"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, discard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pod_lives_and_goes),
		TEST(killing_the_agent_in_an_apply_makes_the_pod_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
