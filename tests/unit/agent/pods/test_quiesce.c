#include "agent/pods/quiesce.h"

#include "tests/support/podrig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A copy of the report that outlives it. */
struct outcome {
	unsigned calls;
	bool ok;
	uint32_t millis;
	struct quiesce_step steps[8];
	size_t step_count;
	char results[512]; /* "name=result " each */
};

static void on_quiesced(void *arg, const struct quiesce_report *report)
{
	struct outcome *o = arg;
	size_t len = 0;

	o->calls++;
	o->ok = report->ok;
	o->millis = report->millis;
	o->step_count = report->step_count;
	memcpy(o->steps, report->steps, sizeof(o->steps));
	for (size_t i = 0; i < report->container_count; i++)
		len += (size_t)snprintf(o->results + len, sizeof(o->results) - len, "%s=%s ",
					report->containers[i].name, report->containers[i].result);
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

static void quiesce(struct podrig *rig, const char *namespace, int64_t grace_s, int64_t by_ms,
		    struct outcome *ret)
{
	cleanup_free char *proc_root = text_format("%s/no-proc", rig->state_dir);
	struct quiesce_config config = {
		.loop = rig->rt->loop,
		.units = rig->units,
		.runtime = rig->rt->rt,
		.pods = rig->pods,
		.proc_root = proc_root,
		.grace_s = grace_s,
	};
	struct deadline limit = deadline_in_ms(by_ms + 300);

	mkdir(proc_root, 0700);
	memset(ret, 0, sizeof(*ret));
	if (namespace)
		strv_add(&config.namespaces, namespace);
	quiesce_start(&config, deadline_in_ms(by_ms), on_quiesced, ret);
	strv_release(&config.namespaces);
	assert_int_equal(ret->calls, 0);
	while (!ret->calls) {
		assert_false(deadline_is_over(limit));
		assert_true(sd_event_run(rig->rt->loop, 20000) >= 0);
	}
	assert_int_equal(ret->calls, 1);
}

static const struct quiesce_step *step(const struct outcome *o, const char *name)
{
	for (size_t i = 0; i < o->step_count; i++) {
		if (strcmp(o->steps[i].name, name) == 0)
			return &o->steps[i];
	}
	fail_msg("no step '%s'", name);
	return NULL;
}

static void foreign_container(struct podrig *rig, const char *uid, const char *name,
			      const char *image)
{
	char sandbox[80], id[80];

	assert_int_equal(rt_run_sandbox(rig->rt, uid, 0, sandbox), ERR_OK);
	assert_int_equal(rt_create(rig->rt, sandbox, uid, name, image, id), ERR_OK);
	assert_int_equal(rt_start(rig->rt, id), ERR_OK);
}

/* NS-160 */
static void node_comes_to_rest_step_by_step(void **state)
{
	static const char *const names[] = { "pause-pods",
					     "stop-kubelet",
					     "list-containers",
					     "stop-containers",
					     "kill-containers",
					     "kill-apiserver",
					     "sync" };
	struct podrig *rig = *state;
	struct outcome o;

	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	foreign_container(rig, "kube", "etcd", "img:1");
	podrig_kubelet(rig, UNIT_START);
	quiesce(rig, NULL, 1, 20000, &o);
	assert_true(o.ok);
	assert_int_equal(o.step_count, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_string_equal(o.steps[i].name, names[i]);
		assert_true(o.steps[i].ok);
	}
	assert_string_equal(step(&o, "stop-kubelet")->detail, "kubelet is stopped");
	assert_string_equal(step(&o, "kill-apiserver")->detail, "no kube-apiserver is running");
	assert_non_null(strstr(o.results, "c1=stopped "));
	assert_non_null(strstr(o.results, "etcd=stopped "));
	/* What was stopped stays stopped. */
	podrig_until_quiet(rig, 300);
	assert_int_equal(podrig_count(rig, "start"), 2);
}

/* NS-160 */
static void kubelet_that_is_not_running_is_no_failure(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	quiesce(rig, NULL, 1, 20000, &o);
	assert_true(o.ok);
	assert_string_equal(step(&o, "stop-kubelet")->detail, "kubelet is not running");
	assert_string_equal(step(&o, "list-containers")->detail, "0 containers are running");
}

/* NS-160 */
static void only_the_asked_namespaces_are_stopped(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	quiesce(rig, "kube-system", 1, 20000, &o);
	assert_true(o.ok);
	assert_string_equal(o.results, "");
	assert_int_equal(podrig_count(rig, "stop"), 0);
	quiesce(rig, "default", 1, 20000, &o);
	assert_string_equal(o.results, "c1=stopped ");
}

/* NS-160 */
static void container_that_does_not_stop_is_killed(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	foreign_container(rig, "a", "good", "img:1");
	foreign_container(rig, "b", "bad", "unstoppable:1");
	quiesce(rig, NULL, 1, 20000, &o);
	assert_true(o.ok);
	assert_non_null(strstr(o.results, "good=stopped "));
	assert_non_null(strstr(o.results, "bad=killed "));
	assert_non_null(
		strstr(step(&o, "stop-containers")->detail, "1 stopped, 1 left to be killed"));
	assert_in_range(step(&o, "stop-containers")->millis, 900, 3000);
}

/* NS-160: a runtime that is gone or hangs costs its share of the time; the other steps are taken. */
static void steps_go_on_after_a_failure(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	rt_flag(rig->rt, "down", true);
	quiesce(rig, NULL, 1, 20000, &o);
	assert_false(o.ok);
	assert_false(step(&o, "list-containers")->ok);
	assert_true(step(&o, "sync")->ok);
	rt_flag(rig->rt, "down", false);

	rt_flag(rig->rt, "hung", true);
	quiesce(rig, NULL, 1, 1500, &o);
	assert_false(o.ok);
	assert_int_equal(o.step_count, 7);
	assert_in_range(o.millis, 300, 1600);
}

/* NS-160 */
static void hung_stop_ends_by_the_deadline(void **state)
{
	struct podrig *rig = *state;
	struct outcome o;

	foreign_container(rig, "a", "slow", "slow-stop:1");
	quiesce(rig, NULL, 60, 1200, &o);
	assert_true(o.ok);
	assert_string_equal(o.results, "slow=killed ");
	assert_true(o.millis <= 1300);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(node_comes_to_rest_step_by_step),
		T(kubelet_that_is_not_running_is_no_failure),
		T(only_the_asked_namespaces_are_stopped),
		T(container_that_does_not_stop_is_killed),
		T(steps_go_on_after_a_failure),
		T(hung_stop_ends_by_the_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
