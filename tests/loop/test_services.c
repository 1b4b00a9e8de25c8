/*
 * Every service of a real agent through the real client, on fake backends. Processes is missing: the
 * agent would end kube-apiservers of this very host; tests/unit/agent/units has it on a made-up /proc.
 */
#include "controller/client/client.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/base/deadline.h"
#include "tests/support/agent_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct agent_process agent;
static struct client *client;

/* What the last call answered, flattened to what the tests look at. */
static struct answer {
	struct err err;
	char text[2048]; /* one line an item */
	uint32_t pid;
	bool healthy;
	bool ready;
	bool killed;
} got;

static int start(void **state)
{
	(void)state;
	agent_process_start(&agent);
	client = agent_process_client(&agent);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	client_close(client);
	agent_process_stop(&agent);
	return 0;
}

static struct rpc to(const ProtobufCServiceDescriptor *service, int64_t ms)
{
	memset(&got, 0, sizeof(got));
	return rpc_to(client, service, deadline_in_ms(ms), &got.err);
}

static void add(const char *a, const char *b, const char *c)
{
	size_t len = strlen(got.text);

	snprintf(got.text + len, sizeof(got.text) - len, "%s %s %s\n", a, b, c);
}

static void flag(const char *name, bool on)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", agent.runtime_dir, name);
	if (!on) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	f = fopen(path, "we");
	assert_non_null(f);
	fclose(f);
}

/* --- Health --------------------------------------------------------------------------------------- */

static void on_health(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)arg;
	got.healthy = reply->healthy;
	got.ready = reply->ready;
	for (size_t i = 0; i < reply->n_parts; i++)
		add(reply->parts[i]->name, reply->parts[i]->state == 1 ? "ok" : "not-ok",
		    reply->parts[i]->message);
}

static int health(int64_t ms)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct rpc rpc = to(&berth__node__v1__health__descriptor, ms);

	berth__node__v1__health__check(&rpc.base, &req, on_health, NULL);
	return rpc.result;
}

static int wait_ready(int64_t ms)
{
	Berth__Node__V1__HealthWaitReadyRequest req =
		BERTH__NODE__V1__HEALTH_WAIT_READY_REQUEST__INIT;
	struct rpc rpc = to(&berth__node__v1__health__descriptor, ms);

	berth__node__v1__health__wait_ready(&rpc.base, &req, on_health, NULL);
	return rpc.result;
}

/* D10 */
static void a_node_becomes_ready_and_healthy(void **state)
{
	(void)state;
	assert_int_equal(wait_ready(5000), 0);
	assert_true(got.ready);
	assert_int_equal(health(1000), 0);
	assert_true(got.healthy);
	assert_non_null(strstr(got.text, "systemd ok"));
	assert_non_null(strstr(got.text, "runtime ok"));
}

static void on_version(const Berth__Node__V1__HealthVersionReply *reply, void *arg)
{
	(void)arg;
	add(reply->agent, reply->cluster, reply->kernel);
	assert_int_equal(reply->protocol, 1);
}

/* NS-230 */
static void version_tells_who_answers(void **state)
{
	Berth__Node__V1__HealthVersionRequest req = BERTH__NODE__V1__HEALTH_VERSION_REQUEST__INIT;
	struct rpc rpc = to(&berth__node__v1__health__descriptor, 1000);

	(void)state;
	berth__node__v1__health__version(&rpc.base, &req, on_version, NULL);
	assert_int_equal(rpc.result, 0);
	assert_non_null(strstr(got.text, BERTH_VERSION " loop "));
}

/* --- Units ---------------------------------------------------------------------------------------- */

static void on_action(const Berth__Node__V1__UnitActionReply *reply, void *arg)
{
	(void)arg;
	got.killed = reply->killed;
	got.pid = reply->after->main_pid;
	add(reply->before->active, reply->after->active, reply->job_result);
}

static void on_units(const Berth__Node__V1__UnitStatusReply *reply, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < reply->n_units; i++)
		add(reply->units[i]->name, reply->units[i]->load, reply->units[i]->active);
}

typedef void action_stub(ProtobufCService *service, const Berth__Node__V1__UnitActionRequest *input,
			 Berth__Node__V1__UnitActionReply_Closure closure, void *data);

static int act(action_stub *stub, const char *unit, bool force)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	struct rpc rpc = to(&berth__node__v1__units__descriptor, 10000);

	req.name = (char *)unit;
	req.force = force;
	req.grace_millis = force ? 50 : 0;
	stub(&rpc.base, &req, on_action, NULL);
	return rpc.result;
}

static void a_unit_is_stopped_and_started(void **state)
{
	(void)state;
	assert_int_equal(act(berth__node__v1__units__stop, "kubelet", false), 0);
	assert_string_equal(got.text, "active inactive done\n");
	assert_int_equal(act(berth__node__v1__units__stop, "kubelet", false), 0);
	assert_string_equal(got.text, "inactive inactive none\n");
	assert_int_equal(act(berth__node__v1__units__start, "kubelet.service", false), 0);
	assert_string_equal(got.text, "inactive active done\n");
	assert_true(got.pid > 0);
	assert_int_equal(act(berth__node__v1__units__restart, "kubelet", false), 0);
}

static void a_stubborn_unit_is_stopped_by_force(void **state)
{
	(void)state;
	assert_int_equal(act(berth__node__v1__units__stop, "stubborn", true), 0);
	assert_true(got.killed);
	assert_int_equal(got.pid, 0);
}

static void unit_errors_keep_their_codes(void **state)
{
	(void)state;
	assert_int_equal(act(berth__node__v1__units__start, "nothing", false), -1);
	assert_int_equal(got.err.code, ERR_NOT_FOUND);
	assert_int_equal(act(berth__node__v1__units__start, "broken", false), -1);
	assert_int_equal(got.err.code, ERR_FAILED_PRECONDITION);
	assert_string_equal(got.err.reason, "UNIT_JOB_FAILED");
	assert_int_equal(act(berth__node__v1__units__start, "../etc", false), -1);
	assert_int_equal(got.err.code, ERR_INVALID_ARGUMENT);
}

/* NS-034 */
static void units_are_listed_in_one_call(void **state)
{
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	struct rpc rpc = to(&berth__node__v1__units__descriptor, 2000);

	(void)state;
	berth__node__v1__units__status(&rpc.base, &req, on_units, NULL);
	assert_int_equal(rpc.result, 0);
	assert_non_null(strstr(got.text, "kubelet.service loaded active"));
	assert_non_null(strstr(got.text, "crio.service not-found"));
}

/* --- Containers ----------------------------------------------------------------------------------- */

static void add_container(const char *id, const char *name, const char *namespace)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/effects", agent.runtime_dir);
	f = fopen(path, "ae");
	assert_non_null(f);
	fprintf(f,
		"run-sandbox uid-%s 0 5b%s 1000 pod-%s %s 0 l:io.kubernetes.pod.namespace=%s\n"
		"create-container uid-%s %s 0 %s 2000 5b%s app:1 "
		"l:io.kubernetes.pod.name=pod-%s l:io.kubernetes.pod.namespace=%s "
		"l:io.kubernetes.pod.uid=uid-%s\n"
		"start %s 3000\n",
		name, id, name, namespace, namespace, name, name, id, id, name, namespace, name,
		id);
	fclose(f);
}

static void on_containers(const Berth__Node__V1__ContainerListReply *reply, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < reply->n_containers; i++) {
		const Berth__Node__V1__ContainerInfo *c = reply->containers[i];

		add(c->id, c->namespace_,
		    c->state == BERTH__NODE__V1__CONTAINER_STATE__CONTAINER_RUNNING ? "running"
										    : "other");
	}
}

static int list(const char *namespace)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct rpc rpc = to(&berth__node__v1__containers__descriptor, 2000);
	char *namespaces[] = { (char *)namespace };

	req.namespaces = namespaces;
	req.n_namespaces = namespace != NULL;
	berth__node__v1__containers__list(&rpc.base, &req, on_containers, NULL);
	return rpc.result;
}

static void on_results(const Berth__Node__V1__ContainerActionReply *reply, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < reply->n_results; i++)
		add(reply->results[i]->id, reply->results[i]->result, "");
}

typedef void container_stub(ProtobufCService *service,
			    const Berth__Node__V1__ContainerActionRequest *input,
			    Berth__Node__V1__ContainerActionReply_Closure closure, void *data);

static int each(container_stub *stub, const char *first, const char *second)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct rpc rpc = to(&berth__node__v1__containers__descriptor, 5000);
	char *ids[] = { (char *)first, (char *)second };

	req.ids = ids;
	req.n_ids = second ? 2 : 1;
	req.grace_seconds = 1;
	stub(&rpc.base, &req, on_results, NULL);
	return rpc.result;
}

/* NS-055, NS-062 */
static void containers_are_listed_stopped_and_deleted(void **state)
{
	(void)state;
	add_container("c1aa", "web", "default");
	add_container("c2bb", "dns", "kube-system");
	assert_int_equal(list(NULL), 0);
	assert_non_null(strstr(got.text, "c1aa default running\n"));
	assert_non_null(strstr(got.text, "c2bb kube-system running\n"));
	assert_int_equal(list("kube-system"), 0);
	assert_string_equal(got.text, "c2bb kube-system running\n");

	assert_int_equal(each(berth__node__v1__containers__stop, "c1aa", "c9"), 0);
	assert_string_equal(got.text, "c1aa stopped \nc9 absent \n");
	assert_int_equal(each(berth__node__v1__containers__kill, "c2", NULL), 0);
	assert_non_null(strstr(got.text, "killed"));
	assert_int_equal(each(berth__node__v1__containers__delete, "c1aa", "c2bb"), 0);
	assert_int_equal(list(NULL), 0);
	assert_string_equal(got.text, "");
}

/* --- a runtime that hangs ------------------------------------------------------------------------- */

static void *list_in_background(void *arg)
{
	cleanup_with(client) struct client *own = agent_process_client(&agent);
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct err *err = arg;
	struct rpc rpc =
		rpc_to(own, &berth__node__v1__containers__descriptor, deadline_in_ms(1500), err);

	berth__node__v1__containers__list(&rpc.base, &req, on_containers, NULL);
	return NULL;
}

/* NS-004, NS-245, F4 */
static void a_hung_runtime_stops_neither_health_nor_units(void **state)
{
	pthread_t threads[8];
	struct err errs[8];

	(void)state;
	flag("hung", true);
	for (int i = 0; i < 8; i++) {
		memset(&errs[i], 0, sizeof(errs[i]));
		assert_int_equal(pthread_create(&threads[i], NULL, list_in_background, &errs[i]),
				 0);
	}
	for (int i = 0; i < 100; i++) {
		int64_t begin = clock_now_ms();

		assert_int_equal(health(1000), 0);
		assert_in_range(clock_now_ms() - begin, 0, 100);
		begin = clock_now_ms();
		assert_int_equal(act(berth__node__v1__units__restart, "kubelet", false), 0);
		assert_in_range(clock_now_ms() - begin, 0, 100);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(errs[i].code, ERR_DEADLINE_EXCEEDED);
	}
	flag("hung", false);
	assert_int_equal(list(NULL), 0); /* and it is used again by itself */
}

static void a_runtime_that_is_down_is_unavailable(void **state)
{
	(void)state;
	flag("down", true);
	assert_int_equal(list(NULL), -1);
	assert_int_equal(got.err.code, ERR_UNAVAILABLE);
	assert_string_equal(got.err.node, "loop");
	flag("down", false);
	assert_int_equal(list(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_becomes_ready_and_healthy),
		cmocka_unit_test(version_tells_who_answers),
		cmocka_unit_test(a_unit_is_stopped_and_started),
		cmocka_unit_test(a_stubborn_unit_is_stopped_by_force),
		cmocka_unit_test(unit_errors_keep_their_codes),
		cmocka_unit_test(units_are_listed_in_one_call),
		cmocka_unit_test(containers_are_listed_stopped_and_deleted),
		cmocka_unit_test(a_hung_runtime_stops_neither_health_nor_units),
		cmocka_unit_test(a_runtime_that_is_down_is_unavailable),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
