/* The handlers of Pods and Lifecycle: wire in, wire out. A call_stub stands in for the server. */
#include "agent/agent.h"
#include "agent/service/services.h"
#include "tests/support/call_stub.h"
#include "tests/support/podrig.h"

#include "node/v1/lifecycle.pb-c.h"
#include "node/v1/pods.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

extern Berth__Node__V1__Pods_Service pods_service;
extern Berth__Node__V1__Lifecycle_Service lifecycle_service;

struct call {
	struct call_stub stub;
	struct agent agent;
	struct podrig *rig;
};

static int set_up(void **state)
{
	struct call *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->rig = podrig_open();
	c->agent.loop = c->rig->rt->loop;
	c->agent.units = c->rig->units;
	c->agent.runtime = c->rig->rt->rt;
	c->agent.pods = c->rig->pods;
	call_stub_init(&c->stub, &c->agent, 60000);
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	struct call *c = *state;

	podrig_close(c->rig);
	free(c);
	return 0;
}

static void await(struct call *c)
{
	struct deadline by = deadline_in_ms(8000);

	while (!c->stub.ends) {
		assert_false(deadline_is_over(by));
		assert_true(sd_event_run(c->agent.loop, 20000) >= 0);
	}
	assert_int_equal(c->stub.ends, 1);
	c->stub.ends = 0;
}

static void apply(struct call *c, K8s__Core__V1__Pod *pod)
{
	Berth__Node__V1__PodApplyRequest req = BERTH__NODE__V1__POD_APPLY_REQUEST__INIT;

	req.pod = pod;
	pods_service.apply(&pods_service, &req,
			   (Berth__Node__V1__PodApplyReply_Closure)(void *)call_stub_reply, c);
	await(c);
}

static void apply_answers_with_uid_and_result(void **state)
{
	struct call *c = *state;
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");
	Berth__Node__V1__PodApplyReply *rep;

	apply(c, pod);
	rep = berth__node__v1__pod_apply_reply__unpack(NULL, c->stub.len, c->stub.bytes);
	assert_non_null(rep);
	assert_string_equal(rep->uid, "u1");
	assert_string_equal(rep->result, "created");
	berth__node__v1__pod_apply_reply__free_unpacked(rep, NULL);
}

static void bad_pods_are_refused_with_the_reason(void **state)
{
	struct call *c = *state;
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");

	apply(c, NULL);
	assert_int_equal(c->stub.err.code, ERR_INVALID_ARGUMENT);
	pod->metadata->name[0] = '_';
	apply(c, pod);
	assert_int_equal(c->stub.err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(c->stub.err.reason, "POD_INVALID");
}

static void wait_list_and_delete_tell_the_pod(void **state)
{
	struct call *c = *state;
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1 c2");
	Berth__Node__V1__PodWaitRequest wait = BERTH__NODE__V1__POD_WAIT_REQUEST__INIT;
	Berth__Node__V1__PodListRequest list = BERTH__NODE__V1__POD_LIST_REQUEST__INIT;
	Berth__Node__V1__PodDeleteRequest delete = BERTH__NODE__V1__POD_DELETE_REQUEST__INIT;
	Berth__Node__V1__PodWaitReply *waited;
	Berth__Node__V1__PodListReply *listed;

	apply(c, pod);
	wait.name = (char *)"web";
	pods_service.wait(&pods_service, &wait,
			  (Berth__Node__V1__PodWaitReply_Closure)(void *)call_stub_reply, c);
	await(c);
	waited = berth__node__v1__pod_wait_reply__unpack(NULL, c->stub.len, c->stub.bytes);
	assert_non_null(waited);
	assert_true(waited->pod->ready);
	assert_int_equal(waited->pod->n_containers, 2);
	assert_string_equal(waited->pod->containers[1]->name, "c2");
	berth__node__v1__pod_wait_reply__free_unpacked(waited, NULL);

	pods_service.list(&pods_service, &list,
			  (Berth__Node__V1__PodListReply_Closure)(void *)call_stub_reply, c);
	await(c);
	listed = berth__node__v1__pod_list_reply__unpack(NULL, c->stub.len, c->stub.bytes);
	assert_non_null(listed);
	assert_int_equal(listed->n_pods, 1);
	assert_string_equal(listed->pods[0]->phase, "Running");
	assert_int_equal(listed->pods[0]->source, BERTH__NODE__V1__POD_SOURCE__POD_SOURCE_AGENT);
	berth__node__v1__pod_list_reply__free_unpacked(listed, NULL);

	delete.name = (char *)"nobody";
	pods_service.delete(&pods_service, &delete,
			    (Berth__Node__V1__PodDeleteReply_Closure)(void *)call_stub_reply, c);
	await(c);
	assert_int_equal(c->stub.err.code, ERR_NOT_FOUND);
	delete.name = (char *)"web";
	delete.grace_seconds = -1;
	pods_service.delete(&pods_service, &delete,
			    (Berth__Node__V1__PodDeleteReply_Closure)(void *)call_stub_reply, c);
	await(c);
	wait.gone = 1;
	pods_service.wait(&pods_service, &wait,
			  (Berth__Node__V1__PodWaitReply_Closure)(void *)call_stub_reply, c);
	await(c);
	waited = berth__node__v1__pod_wait_reply__unpack(NULL, c->stub.len, c->stub.bytes);
	assert_non_null(waited);
	assert_null(waited->pod);
	berth__node__v1__pod_wait_reply__free_unpacked(waited, NULL);
}

/* NS-160 */
static void quiesce_reports_every_step(void **state)
{
	struct call *c = *state;
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");
	Berth__Node__V1__QuiesceRequest req = BERTH__NODE__V1__QUIESCE_REQUEST__INIT;
	Berth__Node__V1__QuiesceReply *rep;

	apply(c, pod);
	podrig_until_effects(c->rig, "start", 1);
	req.grace_seconds = 1;
	lifecycle_service.quiesce(&lifecycle_service, &req,
				  (Berth__Node__V1__QuiesceReply_Closure)(void *)call_stub_reply,
				  c);
	await(c);
	rep = berth__node__v1__quiesce_reply__unpack(NULL, c->stub.len, c->stub.bytes);
	assert_non_null(rep);
	assert_true(rep->ok);
	assert_int_equal(rep->n_steps, 7);
	assert_string_equal(rep->steps[6]->name, "sync");
	assert_int_equal(rep->n_containers, 1);
	assert_string_equal(rep->containers[0]->name, "c1");
	assert_string_equal(rep->containers[0]->pod, "web");
	assert_string_equal(rep->containers[0]->namespace_, "default");
	assert_string_equal(rep->containers[0]->result, "stopped");
	berth__node__v1__quiesce_reply__free_unpacked(rep, NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(apply_answers_with_uid_and_result),
		T(bad_pods_are_refused_with_the_reason),
		T(wait_list_and_delete_tell_the_pod),
		T(quiesce_reports_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
