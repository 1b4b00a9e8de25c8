#include "agent/agent.h"
#include "tests/support/call_stub.h"
#include "tests/support/runtime.h"

#include "node/v1/containers.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MAX_RESULTS 128

extern Berth__Node__V1__Containers_Service containers_service;

struct info {
	char id[80];
	char name[64];
	char pod[64];
	char namespace[64];
	char sandbox_id[80];
	Berth__Node__V1__ContainerKind kind;
	Berth__Node__V1__ContainerState state;
	int32_t exit_code;
	int64_t started_nanos;
};

struct result {
	char id[80];
	char result[16];
	char message[256];
	uint32_t millis;
};

/* A call, what its handler sees of the agent, and the reply taken apart. */
struct test_call {
	struct call_stub stub;
	struct agent agent;
	struct info infos[MAX_RESULTS];
	struct result results[MAX_RESULTS];
	size_t count;
};

static void copy(char *ret, size_t size, const char *s)
{
	snprintf(ret, size, "%s", s);
}

static void on_list(const Berth__Node__V1__ContainerListReply *rep, void *call)
{
	struct test_call *c = call;

	c->stub.ends++;
	c->count = rep->n_containers;
	for (size_t i = 0; i < rep->n_containers && i < MAX_RESULTS; i++) {
		const Berth__Node__V1__ContainerInfo *from = rep->containers[i];
		struct info *to = &c->infos[i];

		copy(to->id, sizeof(to->id), from->id);
		copy(to->name, sizeof(to->name), from->name);
		copy(to->pod, sizeof(to->pod), from->pod);
		copy(to->namespace, sizeof(to->namespace), from->namespace_);
		copy(to->sandbox_id, sizeof(to->sandbox_id), from->sandbox_id);
		to->kind = from->kind;
		to->state = from->state;
		to->exit_code = from->exit_code;
		to->started_nanos = from->started_nanos;
	}
}

static void on_action(const Berth__Node__V1__ContainerActionReply *rep, void *call)
{
	struct test_call *c = call;

	c->stub.ends++;
	c->count = rep->n_results;
	for (size_t i = 0; i < rep->n_results && i < MAX_RESULTS; i++) {
		copy(c->results[i].id, sizeof(c->results[i].id), rep->results[i]->id);
		copy(c->results[i].result, sizeof(c->results[i].result), rep->results[i]->result);
		copy(c->results[i].message, sizeof(c->results[i].message),
		     rep->results[i]->message);
		c->results[i].millis = rep->results[i]->millis;
	}
}

/* --- the house the tests live in ------------------------------------------------------------------ */

struct house {
	struct rt_rig *rig;
	struct test_call call;
};

static int open_house(void **state)
{
	struct house *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->rig = rt_open("fake", NULL);
	*state = h;
	return 0;
}

static int close_house(void **state)
{
	struct house *h = *state;

	rt_close(h->rig);
	free(h);
	return 0;
}

static struct test_call *begin(struct house *h, int64_t limit_ms)
{
	memset(&h->call, 0, sizeof(h->call));
	h->call.agent.runtime = h->rig->rt;
	h->call.agent.loop = h->rig->loop;
	call_stub_init(&h->call.stub, &h->call.agent, limit_ms);
	return &h->call;
}

static void run(struct house *h, int64_t limit_ms)
{
	struct deadline by = deadline_in_ms(limit_ms + 200);

	while (!h->call.stub.ends && !deadline_is_over(by))
		assert_true(sd_event_run(h->rig->loop, 20000) >= 0);
	assert_int_equal(h->call.stub.ends, 1);
}

static enum err_code list(struct house *h, const Berth__Node__V1__ContainerListRequest *req)
{
	containers_service.list(&containers_service, req, on_list, begin(h, 2000));
	run(h, 2000);
	return h->call.stub.err.code;
}

typedef void action_fn(Berth__Node__V1__Containers_Service *self,
		       const Berth__Node__V1__ContainerActionRequest *req,
		       Berth__Node__V1__ContainerActionReply_Closure reply, void *call);

static enum err_code act(struct house *h, action_fn *fn,
			 Berth__Node__V1__ContainerActionRequest *req, const char **ids,
			 size_t count, int64_t limit_ms)
{
	req->ids = (char **)ids;
	req->n_ids = count;
	fn(&containers_service, req, on_action, begin(h, limit_ms));
	run(h, limit_ms);
	return h->call.stub.err.code;
}

static void make(struct house *h, const char *uid, const char *name, const char *image, bool start,
		 char ret_id[80])
{
	char sandbox[80];

	if (rt_list_sandboxes(h->rig, NULL, uid) == ERR_OK && h->rig->answer.item_count)
		copy(sandbox, sizeof(sandbox), h->rig->answer.items[0].id);
	else
		assert_int_equal(rt_run_sandbox(h->rig, uid, 0, sandbox), ERR_OK);
	assert_int_equal(rt_create(h->rig, sandbox, uid, name, image, ret_id), ERR_OK);
	if (start)
		assert_int_equal(rt_start(h->rig, ret_id), ERR_OK);
}

/* A container of pod namespace "kube-system", by the log that the fake keeps. */
static void make_system(struct house *h)
{
	rt_append_effect(h->rig, "create-container u9 etcd 0 eeeeeeeeeeee 77 ssss etcd:1 "
				 "l:io.kubernetes.pod.namespace=kube-system "
				 "l:io.kubernetes.pod.name=etcd-cp l:io.kubernetes.pod.uid=u9\n");
}

/* --- List ----------------------------------------------------------------------------------------- */

/* NS-055, NS-057 */
static void a_list_tells_what_is_there_newest_first(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct house *h = *state;
	char first[80];
	char second[80];

	make(h, "u1", "one", "demo", true, first);
	make(h, "u1", "two", "demo", false, second);
	make_system(h);
	assert_int_equal(list(h, &req), ERR_OK);
	assert_int_equal(h->call.count, 3);
	assert_string_equal(h->call.infos[0].id, second);
	assert_int_equal(h->call.infos[0].state,
			 BERTH__NODE__V1__CONTAINER_STATE__CONTAINER_CREATED);
	assert_string_equal(h->call.infos[1].id, first);
	assert_int_equal(h->call.infos[1].state,
			 BERTH__NODE__V1__CONTAINER_STATE__CONTAINER_RUNNING);
	assert_string_equal(h->call.infos[2].pod, "etcd-cp");
	assert_string_equal(h->call.infos[2].namespace, "kube-system");
}

/* NS-050, NS-054 */
static void a_list_is_filtered_by_namespace_and_state(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	Berth__Node__V1__ContainerState states[] = {
		BERTH__NODE__V1__CONTAINER_STATE__CONTAINER_RUNNING
	};
	char *namespaces[] = { "kube-system", "nowhere" };
	struct house *h = *state;
	char id[80];

	make(h, "u1", "kube-system", "demo", true, id);
	make_system(h);
	req.namespaces = namespaces;
	req.n_namespaces = 2;
	assert_int_equal(list(h, &req), ERR_OK);
	assert_int_equal(h->call.count, 1);
	assert_string_equal(h->call.infos[0].name, "etcd");

	req.n_namespaces = 0;
	req.states = states;
	req.n_states = 1;
	assert_int_equal(list(h, &req), ERR_OK);
	assert_int_equal(h->call.count, 1);
	assert_string_equal(h->call.infos[0].id, id);
}

static void sandboxes_are_listed_when_asked_for(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct house *h = *state;
	char id[80];

	make(h, "u1", "one", "demo", true, id);
	req.include_sandboxes = true;
	assert_int_equal(list(h, &req), ERR_OK);
	assert_int_equal(h->call.count, 2);
	assert_string_equal(h->call.infos[0].id, id);
	assert_int_equal(h->call.infos[1].kind, BERTH__NODE__V1__CONTAINER_KIND__SANDBOX);
	assert_string_equal(h->call.infos[1].pod, "pod-u1");
	assert_string_equal(h->call.infos[0].sandbox_id, h->call.infos[1].id);
	assert_string_equal(h->call.infos[1].sandbox_id, "");
}

static void details_are_asked_of_every_container(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct house *h = *state;
	char name[16];
	char id[80];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		make(h, "u1", name, i % 2 ? "exit1" : "demo", true, id);
	}
	req.details = true;
	req.include_sandboxes = true;
	assert_int_equal(list(h, &req), ERR_OK);
	assert_int_equal(h->call.count, 41);
	for (size_t i = 0; i < 40; i++) {
		assert_true(h->call.infos[i].started_nanos > 0);
		assert_int_equal(h->call.infos[i].exit_code, i % 2 ? 0 : 1);
	}
	assert_int_equal(h->call.infos[40].kind, BERTH__NODE__V1__CONTAINER_KIND__SANDBOX);
}

static void details_that_fail_leave_the_list(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct house *h = *state;
	char id[80];

	make(h, "u1", "one", "demo", true, id);
	rt_flag(h->rig, "fail-container-status", true);
	req.details = true;
	assert_int_equal(list(h, &req), ERR_OK);
	assert_int_equal(h->call.count, 1);
	assert_int_equal(h->call.infos[0].started_nanos, 0);
}

static void an_empty_node_lists_nothing(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct house *h = *state;

	assert_int_equal(list(h, &req), ERR_OK);
	assert_int_equal(h->call.count, 0);
	req.details = true;
	req.include_sandboxes = true;
	assert_int_equal(list(h, &req), ERR_OK);
	assert_int_equal(h->call.count, 0);
}

static void an_unknown_state_is_refused(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	Berth__Node__V1__ContainerState states[] = { 99 };
	struct house *h = *state;

	req.states = states;
	req.n_states = 1;
	assert_int_equal(list(h, &req), ERR_INVALID_ARGUMENT);
	states[0] = -1;
	assert_int_equal(list(h, &req), ERR_INVALID_ARGUMENT);
}

/* NS-245 */
static void a_hung_runtime_is_told_at_the_deadline(void **state)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct house *h = *state;
	int64_t start_ms = clock_now_ms();

	rt_flag(h->rig, "hung", true);
	containers_service.list(&containers_service, &req, on_list, begin(h, 150));
	run(h, 150);
	assert_int_equal(h->call.stub.err.code, ERR_DEADLINE_EXCEEDED);
	assert_in_range(clock_now_ms() - start_ms, 140, 5000);
	rt_flag(h->rig, "hung", false);
	rt_flag(h->rig, "down", true);
	assert_int_equal(list(h, &req), ERR_UNAVAILABLE);
}

/* --- Stop, Kill, Delete --------------------------------------------------------------------------- */

/* NS-062 */
static void results_come_in_the_order_asked_for(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct house *h = *state;
	char one[80];
	char two[80];
	char short_two[13];

	make(h, "u1", "one", "demo", true, one);
	make(h, "u1", "two", "demo", true, two);
	snprintf(short_two, sizeof(short_two), "%.12s", two);
	const char *ids[] = { short_two, "nope", one, "", one };

	assert_int_equal(act(h, containers_service.stop, &req, ids, 5, 2000), ERR_OK);
	assert_int_equal(h->call.count, 5);
	assert_string_equal(h->call.results[0].id, two);
	assert_string_equal(h->call.results[0].result, "stopped");
	assert_string_equal(h->call.results[1].id, "nope");
	assert_string_equal(h->call.results[1].result, "absent");
	assert_string_equal(h->call.results[2].result, "stopped");
	assert_string_equal(h->call.results[3].result, "failed");
	assert_string_equal(h->call.results[3].message, "the id is empty");
	assert_string_equal(h->call.results[4].result, "stopped");
	/* NS-060: the default grace. */
	assert_int_equal(rt_count_effects(h->rig, "stop "), 2);
}

/* NS-060 */
static void nothing_to_stop_is_success(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct house *h = *state;

	containers_service.stop(&containers_service, &req, on_action, begin(h, 500));
	assert_int_equal(h->call.stub.ends, 1);
	assert_int_equal(h->call.stub.err.code, ERR_OK);
	assert_int_equal(h->call.count, 0);
}

static void an_ambiguous_beginning_stops_nothing(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	const char *ids[] = { "abc", "abcd" };
	struct house *h = *state;

	rt_append_effect(h->rig, "create-container u a 0 abcd 1 s demo\nstart abcd 2\n");
	rt_append_effect(h->rig, "create-container u b 0 abcdef 1 s demo\nstart abcdef 2\n");
	assert_int_equal(act(h, containers_service.stop, &req, ids, 2, 1000), ERR_OK);
	assert_string_equal(h->call.results[0].result, "failed");
	assert_string_equal(h->call.results[0].message,
			    "2 containers' ids begin with 'abc': give more of it");
	assert_string_equal(h->call.results[1].result, "stopped");
	assert_int_equal(rt_count_effects(h->rig, "stop abcd 10 "), 1);
	assert_int_equal(rt_count_effects(h->rig, "stop "), 1);
}

static void a_sandbox_is_not_called_absent(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct house *h = *state;
	char sandbox[80];
	const char *ids[] = { sandbox };

	assert_int_equal(rt_run_sandbox(h->rig, "u1", 0, sandbox), ERR_OK);
	assert_int_equal(act(h, containers_service.delete, &req, ids, 1, 1000), ERR_OK);
	assert_string_equal(h->call.results[0].result, "failed");
	assert_non_null(strstr(h->call.results[0].message, "sandbox of pod 'pod-u1'"));
}

/* NS-243, at a tenth of its time: each takes its whole second. */
static void many_slow_containers_stop_in_parallel(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	static char id[100][80];
	const char *ids[100];
	struct house *h = *state;
	int64_t start_ms;
	char name[16];

	for (size_t i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "c%zu", i);
		make(h, "u1", name, "slow-stop", true, id[i]);
		ids[i] = id[i];
	}
	req.grace_seconds = 1;
	start_ms = clock_now_ms();
	assert_int_equal(act(h, containers_service.stop, &req, ids, 100, 10000), ERR_OK);
	assert_in_range(clock_now_ms() - start_ms, 990, 8000);
	for (size_t i = 0; i < 100; i++) {
		assert_string_equal(h->call.results[i].id, id[i]);
		assert_string_equal(h->call.results[i].result, "stopped");
		assert_in_range(h->call.results[i].millis, 950, 1500);
	}
}

/* NS-063 */
static void kill_is_a_stop_without_grace(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct house *h = *state;
	char id[80];
	const char *ids[] = { id };

	make(h, "u1", "one", "unstoppable", true, id);
	req.signal = 9;
	assert_int_equal(act(h, containers_service.kill, &req, ids, 1, 1000), ERR_OK);
	assert_string_equal(h->call.results[0].result, "killed");
	assert_int_equal(rt_status(h->rig, id), ERR_OK);
	assert_int_equal(h->rig->answer.items[0].state, RUNTIME_EXITED);
}

static void list_states(struct house *h, Berth__Node__V1__ContainerState *states, size_t count)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;

	req.states = states;
	req.n_states = count;
	assert_int_equal(list(h, &req), ERR_OK);
}

/* NS-058 NS-065 NS-066 NS-246: seen in the list, no-op the second time, gone with unpause. */
static void a_paused_container_is_listed_as_paused(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	Berth__Node__V1__ContainerState paused[] = {
		BERTH__NODE__V1__CONTAINER_STATE__CONTAINER_PAUSED
	};
	struct house *h = *state;
	char id[80], other[80];
	const char *ids[] = { id };

	make(h, "u1", "c1", "img", true, id);
	make(h, "u1", "c2", "img", true, other);
	for (int times = 0; times < 2; times++) {
		assert_int_equal(act(h, containers_service.pause, &req, ids, 1, 1000), ERR_OK);
		assert_string_equal(h->call.results[0].result, "paused");
	}
	assert_int_equal(rt_count_effects(h->rig, "pause "), 1);
	list_states(h, paused, 1);
	assert_int_equal(h->call.count, 1);
	list_states(h, NULL, 0);
	assert_int_equal(h->call.count, 2);
	assert_int_equal(act(h, containers_service.unpause, &req, ids, 1, 1000), ERR_OK);
	assert_string_equal(h->call.results[0].result, "unpaused");
	list_states(h, paused, 1);
	assert_int_equal(h->call.count, 0);
}

static void a_signal_that_cannot_be_delivered_is_refused(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	const char *ids[] = { "x" };
	struct house *h = *state;

	req.signal = 15;
	assert_int_equal(act(h, containers_service.kill, &req, ids, 1, 500), ERR_UNIMPLEMENTED);
	assert_string_equal(h->call.stub.err.reason, "SIGNAL_UNSUPPORTED");
	assert_non_null(strstr(h->call.stub.err.advice, "stop"));
	req.signal = 999;
	assert_int_equal(act(h, containers_service.kill, &req, ids, 1, 500), ERR_INVALID_ARGUMENT);
	req.signal = 0;
	req.grace_seconds = 100000;
	assert_int_equal(act(h, containers_service.kill, &req, ids, 1, 500), ERR_INVALID_ARGUMENT);
}

static void delete_of_a_running_one_needs_force(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct house *h = *state;
	char running[80];
	char made[80];
	const char *ids[] = { running, made };

	make(h, "u1", "one", "demo", true, running);
	make(h, "u1", "two", "demo", false, made);
	assert_int_equal(act(h, containers_service.delete, &req, ids, 2, 1000), ERR_OK);
	assert_string_equal(h->call.results[0].result, "failed");
	assert_true(*h->call.results[0].message);
	assert_string_equal(h->call.results[1].result, "deleted");

	req.force = true;
	assert_int_equal(act(h, containers_service.delete, &req, ids, 2, 1000), ERR_OK);
	assert_string_equal(h->call.results[0].result, "deleted");
	assert_string_equal(h->call.results[1].result, "absent");
	assert_int_equal(rt_count_effects(h->rig, "stop "), 1);
	assert_int_equal(rt_count_effects(h->rig, "remove "), 2);
}

/* One that does not stop in time is told of before the call's deadline, with the others' results. */
static void one_that_hangs_does_not_take_the_results_with_it(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	struct house *h = *state;
	char slow[80];
	char quick[80];
	const char *ids[] = { slow, quick };

	make(h, "u1", "one", "slow-stop", true, slow);
	make(h, "u1", "two", "demo", true, quick);
	req.grace_seconds = 30;
	assert_int_equal(act(h, containers_service.stop, &req, ids, 2, 400), ERR_OK);
	assert_false(deadline_is_over(h->call.stub.by));
	assert_string_equal(h->call.results[0].result, "failed");
	assert_string_equal(h->call.results[1].result, "stopped");
}

static void a_runtime_that_is_down_fails_the_call(void **state)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	const char *ids[] = { "x" };
	struct house *h = *state;

	rt_flag(h->rig, "down", true);
	assert_int_equal(act(h, containers_service.stop, &req, ids, 1, 500), ERR_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_house, close_house)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_list_tells_what_is_there_newest_first),
		TEST(a_list_is_filtered_by_namespace_and_state),
		TEST(sandboxes_are_listed_when_asked_for),
		TEST(details_are_asked_of_every_container),
		TEST(details_that_fail_leave_the_list),
		TEST(an_empty_node_lists_nothing),
		TEST(an_unknown_state_is_refused),
		TEST(a_hung_runtime_is_told_at_the_deadline),
		TEST(results_come_in_the_order_asked_for),
		TEST(nothing_to_stop_is_success),
		TEST(an_ambiguous_beginning_stops_nothing),
		TEST(a_sandbox_is_not_called_absent),
		TEST(many_slow_containers_stop_in_parallel),
		TEST(kill_is_a_stop_without_grace),
		TEST(a_paused_container_is_listed_as_paused),
		TEST(a_signal_that_cannot_be_delivered_is_refused),
		TEST(delete_of_a_running_one_needs_force),
		TEST(one_that_hangs_does_not_take_the_results_with_it),
		TEST(a_runtime_that_is_down_fails_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
