#include "agent/pods/freeze.h"

#include "tests/support/podrig.h"
#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A copy of the report that outlives it. */
struct outcome {
	unsigned calls;
	bool ok;
	bool paused;
	char detail[256];
	char kubelet[16];
	char results[512]; /* "paused paused " */
};

static void on_done(void *arg, const struct freeze_report *report)
{
	struct outcome *o = arg;
	size_t len = 0;

	o->calls++;
	o->ok = report->ok;
	o->paused = report->paused;
	snprintf(o->detail, sizeof(o->detail), "%s", report->detail);
	snprintf(o->kubelet, sizeof(o->kubelet), "%s", report->kubelet);
	for (size_t i = 0; i < report->container_count; i++)
		len += (size_t)snprintf(o->results + len, sizeof(o->results) - len, "%s ",
					report->containers[i].result);
}

static int set_up(void **state)
{
	*state = podrig_open();
	return 0;
}

static int tear_down(void **state)
{
	podrig_close(*state);
	return 0;
}

typedef void start_fn(const struct freeze_config *config, struct deadline by, freeze_fn *done,
		      void *arg);

static struct outcome run(struct podrig *rig, start_fn *start, const char *namespace)
{
	struct freeze_config config = {
		.units = rig->units,
		.runtime = rig->rt->rt,
		.pods = rig->pods,
		.marker_dir = rig->state_dir,
	};
	struct deadline limit = deadline_in_ms(6000);
	struct outcome o = { 0 };

	if (namespace)
		strv_add(&config.namespaces, namespace);
	start(&config, deadline_in_ms(5000), on_done, &o);
	strv_release(&config.namespaces);
	while (!o.calls) {
		assert_false(deadline_is_over(limit));
		assert_true(sd_event_run(rig->rt->loop, 20000) >= 0);
	}
	assert_int_equal(o.calls, 1);
	return o;
}

static void container(struct podrig *rig, const char *uid, const char *name, const char *image)
{
	char sandbox[80], id[80];

	assert_int_equal(rt_run_sandbox(rig->rt, uid, 0, sandbox), ERR_OK);
	assert_int_equal(rt_create(rig->rt, sandbox, uid, name, image, id), ERR_OK);
	assert_int_equal(rt_start(rig->rt, id), ERR_OK);
}

static const char *kubelet_state(struct podrig *rig)
{
	static struct units_answer answer;

	ask_status(rig->rt->loop, rig->units, "kubelet", 1000, &answer);
	return answer.list[0].active;
}

/* NS-170 NS-172: kubelet rests while the node is paused and runs again after. */
static void pause_freezes_all_and_unpause_lets_all_go_on(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	container(rig, "u1", "c1", "img:1");
	container(rig, "u2", "c2", "img:1");
	podrig_kubelet(rig, UNIT_START);
	o = run(rig, freeze_start, NULL);
	assert_true(o.ok && o.paused);
	assert_string_equal(o.results, "paused paused ");
	assert_string_equal(o.kubelet, "stopped");
	assert_true(freeze_is_on(rig->state_dir));
	assert_string_equal(kubelet_state(rig), "inactive");
	assert_int_equal(podrig_count(rig, "pause "), 2);

	o = run(rig, thaw_start, NULL);
	assert_true(o.ok && !o.paused);
	assert_string_equal(o.results, "unpaused unpaused ");
	assert_string_equal(o.kubelet, "started");
	assert_false(freeze_is_on(rig->state_dir));
	assert_string_equal(kubelet_state(rig), "active");
	assert_int_equal(podrig_count(rig, "unpause "), 2);
}

/* NS-246: and what the first pause has noted of kubelet is not forgotten by the second. */
static void pausing_twice_does_nothing_twice(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	container(rig, "u1", "c1", "img:1");
	podrig_kubelet(rig, UNIT_START);
	run(rig, freeze_start, NULL);
	o = run(rig, freeze_start, NULL);
	assert_true(o.ok && o.paused);
	assert_string_equal(o.kubelet, "");
	assert_int_equal(podrig_count(rig, "pause "), 1);
	o = run(rig, thaw_start, NULL);
	assert_string_equal(o.kubelet, "started");
	o = run(rig, thaw_start, NULL);
	assert_true(o.ok && !o.paused);
	assert_string_equal(o.kubelet, "");
	assert_string_equal(o.results, "");
}

/* NS-170: half a pause is none. */
static void a_pause_that_fails_is_taken_back(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	container(rig, "u1", "c1", "img:1");
	container(rig, "u2", "c2", "nopause:1");
	podrig_kubelet(rig, UNIT_START);
	o = run(rig, freeze_start, NULL);
	assert_false(o.ok);
	assert_false(o.paused);
	assert_non_null(strstr(o.results, "failed"));
	assert_non_null(strstr(o.results, "unpaused"));
	assert_non_null(strstr(o.detail, "a container cannot be paused"));
	assert_string_equal(kubelet_state(rig), "active");
	assert_int_equal(podrig_count(rig, "unpause "), 1);
}

/* NS-171: nothing to pause is no failure; only the namespaces that were asked for. */
static void namespaces_limit_what_is_frozen(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	container(rig, "u1", "c1", "img:1");
	o = run(rig, freeze_start, "nobody");
	assert_true(o.ok && o.paused);
	assert_string_equal(o.results, "");
	o = run(rig, freeze_start, "default");
	assert_string_equal(o.results, "paused ");
	o = run(rig, thaw_start, "nobody");
	assert_true(o.ok);
	assert_true(o.paused); /* default's is still frozen */
	o = run(rig, thaw_start, "default");
	assert_true(o.ok && !o.paused);
}

static void the_runtime_is_down(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	podrig_kubelet(rig, UNIT_START);
	rt_flag(rig->rt, "down", true);
	o = run(rig, freeze_start, NULL);
	rt_flag(rig->rt, "down", false);
	assert_false(o.ok);
	assert_false(o.paused);
	assert_string_equal(kubelet_state(rig), "active");
}

/* NS-170: pod sync leaves a paused node alone, and says why; then it goes on. */
static void pods_rest_while_the_node_is_paused(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	run(rig, freeze_start, NULL);
	assert_int_equal(podrig_apply(rig, "c1 c2"), ERR_FAILED_PRECONDITION);
	assert_string_equal(rig->answer.err.reason, "NODE_PAUSED");
	run(rig, thaw_start, NULL);
	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
}

/* NS-067 */
static void a_paused_container_can_be_stopped(void **state)
{
	struct podrig *rig = *state;
	char id[80];

	container(rig, "u1", "c1", "img:1");
	run(rig, freeze_start, NULL);
	assert_int_equal(rt_list(rig->rt, NULL, NULL), ERR_OK);
	snprintf(id, sizeof(id), "%s", rig->rt->answer.items[0].id);
	assert_int_equal(rt_stop(rig->rt, id, 1, 2000), ERR_OK);
	assert_int_equal(rt_status(rig->rt, id), ERR_OK);
	assert_int_equal(rig->rt->answer.items[0].state, RUNTIME_EXITED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pause_freezes_all_and_unpause_lets_all_go_on),
		T(pausing_twice_does_nothing_twice),
		T(a_pause_that_fails_is_taken_back),
		T(namespaces_limit_what_is_frozen),
		T(the_runtime_is_down),
		T(pods_rest_while_the_node_is_paused),
		T(a_paused_container_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
