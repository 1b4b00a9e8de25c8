#include "agent/server/call.h"

#include "agent/agent.h"
#include "node/v1/health.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* A service whose handlers do what the test says. */
enum habit { REPLY_AT_ONCE, FAIL_AT_ONCE, LATER };

static struct rig {
	struct agent agent;
	enum habit habit;
	void *pending; /* LATER: the call */
	unsigned answers;
	bool ok;
	struct err err;
	struct call *call;
} rig;

static void check_check(Berth__Node__V1__Health_Service *self,
			const Berth__Node__V1__HealthCheckRequest *req,
			Berth__Node__V1__HealthReply_Closure reply, void *call)
{
	Berth__Node__V1__HealthReply rep = BERTH__NODE__V1__HEALTH_REPLY__INIT;
	struct err err;

	(void)self;
	assert_non_null(req);
	assert_ptr_equal(call_agent(call), &rig.agent);
	rig.pending = call;
	if (rig.habit == REPLY_AT_ONCE)
		reply(&rep, call);
	if (rig.habit == FAIL_AT_ONCE) {
		err_set(&err, ERR_NOT_FOUND, 0, "nothing");
		call_fail(call, &err);
	}
}

static void check_wait_ready(Berth__Node__V1__Health_Service *self,
			     const Berth__Node__V1__HealthWaitReadyRequest *req,
			     Berth__Node__V1__HealthReply_Closure reply, void *call)
{
	(void)self;
	(void)req;
	reply(NULL, call);
}

static void check_version(Berth__Node__V1__Health_Service *self,
			  const Berth__Node__V1__HealthVersionRequest *req,
			  Berth__Node__V1__HealthVersionReply_Closure reply, void *call)
{
	(void)self;
	(void)req;
	(void)reply;
	(void)call;
}

static void check_metrics(Berth__Node__V1__Health_Service *self,
			  const Berth__Node__V1__HealthMetricsRequest *req,
			  Berth__Node__V1__HealthMetricsReply_Closure reply, void *call)
{
	(void)self;
	(void)req;
	(void)reply;
	(void)call;
}

static Berth__Node__V1__Health_Service service = BERTH__NODE__V1__HEALTH__INIT(check_);

static void on_answer(void *arg, struct call *call, const ProtobufCMessage *msg,
		      const struct err *err)
{
	assert_ptr_equal(arg, &rig);
	assert_ptr_equal(call, rig.call);
	assert_true((msg != NULL) != (err != NULL));
	rig.answers++;
	rig.ok = msg != NULL;
	if (err)
		rig.err = *err;
}

static void new_call(enum habit habit, unsigned method, uint32_t timeout_ms)
{
	struct dispatch_target target = { .service = &service.base,
					  .method = &service.base.descriptor->methods[method],
					  .method_index = method };
	uint8_t id[WIRE_CALL_ID_BYTES] = { 0 };
	Berth__Node__V1__HealthCheckRequest *req;
	struct err err;

	memset(&rig, 0, sizeof(rig));
	rig.habit = habit;
	req = malloc(sizeof(*req));
	berth__node__v1__health_check_request__init(req);
	assert_int_equal(call_new(&rig.agent, &target, ROLE_ADMIN, id, timeout_ms, &req->base,
				  &rig.call, &err),
			 0);
	rig.call->answer = on_answer;
	rig.call->answer_arg = &rig;
}

static void a_handler_may_answer_at_once(void **state)
{
	(void)state;
	new_call(REPLY_AT_ONCE, 0, 0);
	call_invoke(rig.call);
	assert_int_equal(rig.answers, 1);
	assert_true(rig.ok);
}

static void a_handler_may_fail_at_once(void **state)
{
	(void)state;
	new_call(FAIL_AT_ONCE, 0, 0);
	call_invoke(rig.call);
	assert_int_equal(rig.answers, 1);
	assert_int_equal(rig.err.code, ERR_NOT_FOUND);
}

static void a_handler_may_end_later(void **state)
{
	struct err err;

	(void)state;
	new_call(LATER, 0, 0);
	call_invoke(rig.call);
	assert_int_equal(rig.answers, 0);
	err_set(&err, ERR_ABORTED, 0, "later");
	call_fail(rig.pending, &err);
	assert_int_equal(rig.answers, 1);
	assert_int_equal(rig.err.code, ERR_ABORTED);
}

/* The caller has been told; the handler still finds its call. ASan would see it otherwise. */
static void an_answer_after_giving_up_is_dropped(void **state)
{
	struct err err;

	(void)state;
	new_call(LATER, 0, 0);
	call_invoke(rig.call);
	err_set(&err, ERR_DEADLINE_EXCEEDED, 0, "too late");
	call_give_up(rig.call, &err);
	assert_int_equal(rig.answers, 1);
	assert_ptr_equal(call_agent(rig.pending), &rig.agent);
	err_set(&err, ERR_INTERNAL, 0, "nobody hears this");
	call_fail(rig.pending, &err);
	assert_int_equal(rig.answers, 1);
	assert_int_equal(rig.err.code, ERR_DEADLINE_EXCEEDED);
}

static void a_reply_of_nothing_is_an_internal_error(void **state)
{
	(void)state;
	new_call(REPLY_AT_ONCE, 1, 0);
	call_invoke(rig.call);
	assert_int_equal(rig.answers, 1);
	assert_int_equal(rig.err.code, ERR_INTERNAL);
}

static int64_t fixed_now(void)
{
	return 7000000;
}

/* NS-003 */
static void a_deadline_has_a_default_and_a_cap(void **state)
{
	static const struct {
		uint32_t asked_ms;
		int64_t given_ms;
	} rows[] = {
		{ 0, 60000 }, { 1, 1 }, { 250, 250 }, { 3600001, 3600000 }, { UINT32_MAX, 3600000 }
	};

	(void)state;
	clock_set_source(fixed_now);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		new_call(REPLY_AT_ONCE, 0, rows[i].asked_ms);
		assert_int_equal(call_deadline(rig.call).at_ms, 7000 + rows[i].given_ms);
		call_invoke(rig.call);
	}
	clock_set_source(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_may_answer_at_once),
		cmocka_unit_test(a_handler_may_fail_at_once),
		cmocka_unit_test(a_handler_may_end_later),
		cmocka_unit_test(an_answer_after_giving_up_is_dropped),
		cmocka_unit_test(a_reply_of_nothing_is_an_internal_error),
		cmocka_unit_test(a_deadline_has_a_default_and_a_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
