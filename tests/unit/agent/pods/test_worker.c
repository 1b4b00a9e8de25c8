#include "tests/support/podrig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

static void assert_story(struct podrig *rig, const char *wanted)
{
	cleanup_free char *story = podrig_story(rig);

	assert_string_equal(story, wanted);
}

/* PS-102, PS-107 */
static void applied_pod_comes_up_and_stays_untouched(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "c1 c2"), ERR_OK);
	assert_string_equal(rig->answer.result, "created");
	assert_string_equal(rig->answer.uid, "u1");
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_true(rig->answer.ready);
	assert_string_equal(rig->answer.phase, "Running");
	assert_int_equal(rig->answer.source, POD_FROM_AGENT);
	assert_story(rig, "run-sandbox create:c1 start:c1 create:c2 start:c2");

	/* PS-325 */
	assert_int_equal(podrig_apply(rig, "c1 c2"), ERR_OK);
	assert_string_equal(rig->answer.result, "unchanged");
	podrig_until_quiet(rig, 300);
	assert_story(rig, "run-sandbox create:c1 start:c1 create:c2 start:c2");
}

/* PS-106, PS-083 */
static void init_and_sidecars_come_in_order(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "a:init=exit0:1 s:sidecar b:init=exit0:1 c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_story(rig, "run-sandbox create:a start:a create:s start:s create:b start:b "
			  "create:c1 start:c1");
}

/* PS-120, PS-273 */
static void deleted_pod_leaves_nothing(void **state)
{
	struct podrig *rig = *state;
	char path[128];

	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	snprintf(path, sizeof(path), "%s/pods/u1", rig->state_dir);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(podrig_delete(rig, -1), ERR_OK);
	assert_int_equal(podrig_wait(rig, true, 5000), ERR_OK);
	assert_int_equal(rig->answer.count, 0);
	assert_story(rig, "run-sandbox create:c1 start:c1 stop:c1 stop-sandbox remove:c1 "
			  "remove-sandbox");
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(pods_count(rig->pods), 0);
	assert_int_equal(podrig_delete(rig, -1), ERR_NOT_FOUND);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_NOT_FOUND);
}

/* PS-129 */
static void sidecars_stop_after_the_apps_last_first(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "s:sidecar t:sidecar c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(podrig_delete(rig, -1), ERR_OK);
	podrig_until_effects(rig, "stop-sandbox", 1);
	assert_story(rig, "run-sandbox create:s start:s create:t start:t create:c1 start:c1 "
			  "stop:c1 stop:t stop:s stop-sandbox");
}

/* PS-322 */
static void containers_stop_in_parallel_and_the_sandbox_last(void **state)
{
	struct podrig *rig = *state;
	int64_t start_ms;

	assert_int_equal(podrig_apply(rig,
				      "a=slow-stop:1 b=slow-stop:1 c=slow-stop:1 d=slow-stop:1 "
				      "e=slow-stop:1 f=slow-stop:1 g=slow-stop:1 h=slow-stop:1 "
				      "i=slow-stop:1 j=slow-stop:1"),
			 ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	start_ms = clock_now_ms();
	assert_int_equal(podrig_delete(rig, 1), ERR_OK);
	podrig_until_effects(rig, "stop ", 10);
	assert_int_equal(podrig_count(rig, "stop-sandbox"), 0);
	podrig_until_effects(rig, "stop-sandbox", 1);
	assert_int_equal(podrig_count(rig, "exit "), 10);
	assert_in_range(clock_now_ms() - start_ms, 900, 3000);
	assert_int_equal(podrig_wait(rig, true, 5000), ERR_OK);
}

/* PS-172, PS-176 */
static void crashing_container_restarts_with_backoff(void **state)
{
	struct podrig *rig = *state;
	int64_t start_ms = clock_now_ms();

	assert_int_equal(podrig_apply(rig, "c1=exit1:1"), ERR_OK);
	podrig_until_effects(rig, "create-container", 2);
	podrig_until_reason(rig, "CrashLoopBackOff");
	assert_string_equal(rig->answer.state, "waiting");
	assert_non_null(strstr(rig->answer.message,
			       "ms restarting failed container=c1 pod=web_default(u1)"));
	/* At once, then after 40, 80, 160 and 160 ms. */
	podrig_until_effects(rig, "start", 6);
	assert_true(clock_now_ms() - start_ms >= 440);
	assert_int_equal(podrig_wait(rig, false, 100), ERR_DEADLINE_EXCEEDED);
	assert_non_null(strstr(rig->answer.err.msg, "restarting failed container=c1"));
	podrig_until_effects(rig, "start", 7);
	/* PS-270: of the dead ones one is left beside the newest. */
	podrig_until_effects(rig, "remove ", 5);
	assert_true(podrig_count(rig, "create-container") <= podrig_count(rig, "remove ") + 3);
}

/* PS-075, PS-284 */
static void pods_that_end_are_not_started_again(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "Never c1=exit0:1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_string_equal(rig->answer.phase, "Succeeded");
	podrig_until_effects(rig, "stop-sandbox", 1);
	podrig_until_quiet(rig, 200);
	assert_story(rig, "run-sandbox create:c1 start:c1 stop-sandbox");
	podrig_restart(rig);
	podrig_until_quiet(rig, 200);
	assert_story(rig, "run-sandbox create:c1 start:c1 stop-sandbox");
	assert_int_equal(podrig_list(rig), ERR_OK);
	assert_string_equal(rig->answer.phase, "Succeeded");
}

/* PS-284 */
static void waiting_for_a_failed_pod_says_so(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "Never c1=exit1:1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_FAILED_PRECONDITION);
	assert_string_equal(rig->answer.err.reason, "POD_FAILED");
}

/* PS-074 */
static void changed_container_restarts_even_under_never(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "Never c1 c2"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(podrig_apply(rig, "Never c1=img:2 c2"), ERR_OK);
	assert_string_equal(rig->answer.result, "configured");
	podrig_until_effects(rig, "start", 3);
	podrig_until_quiet(rig, 200);
	assert_story(rig, "run-sandbox create:c1 start:c1 create:c2 start:c2 stop:c1 create:c1 "
			  "start:c1");
	assert_int_equal(podrig_list(rig), ERR_OK);
	assert_int_equal(rig->answer.restarts, 1);
}

/* PS-093 */
static void container_taken_out_of_the_spec_is_stopped(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "c1 c2"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	podrig_until_effects(rig, "stop ", 1);
	podrig_until_quiet(rig, 200);
	assert_story(rig, "run-sandbox create:c1 start:c1 create:c2 start:c2 stop:c2");
}

/* PS-053: what the sandbox is made of cannot be changed in place. */
static void changed_network_makes_a_new_pod(void **state)
{
	struct podrig *rig = *state;
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("host c1");

	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(podrig_apply_pod(rig, pod), ERR_FAILED_PRECONDITION);
	assert_string_equal(rig->answer.err.reason, "POD_UID_TAKEN");
	pod->metadata->uid[0] = '\0';
	assert_int_equal(podrig_apply_pod(rig, pod), ERR_OK);
	assert_string_equal(rig->answer.result, "configured");
	assert_int_equal(strlen(rig->answer.uid), 36);
	podrig_until_effects(rig, "start", 2);
	/* The old one went first: it may hold the ports. */
	assert_story(rig, "run-sandbox create:c1 start:c1 stop:c1 stop-sandbox remove:c1 "
			  "remove-sandbox run-sandbox create:c1 start:c1");
}

/* PS-052, PS-057: a reboot of the node ends everything at once. */
static void pods_come_back_after_a_reboot(void **state)
{
	struct podrig *rig = *state;
	char line[256], id[80] = "", sandbox[80] = "";

	assert_int_equal(podrig_apply(rig, "OnFailure a:init=exit0:1 c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(rt_list(rig->rt, NULL, NULL), ERR_OK);
	for (size_t i = 0; i < rig->rt->answer.item_count; i++) {
		if (strcmp(rig->rt->answer.items[i].name, "c1") == 0) {
			snprintf(id, sizeof(id), "%s", rig->rt->answer.items[i].id);
			snprintf(sandbox, sizeof(sandbox), "%s",
				 rig->rt->answer.items[i].sandbox_id);
		}
	}
	snprintf(line, sizeof(line), "exit %s 255 0\nstop-sandbox %s 0\n", id, sandbox);
	rt_append_effect(rig->rt, line);
	podrig_restart(rig);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_story(rig, "run-sandbox create:a start:a create:c1 start:c1 exit:c1 stop-sandbox "
			  "remove:a run-sandbox create:a start:a create:c1 start:c1");
	assert_int_equal(podrig_count(rig, "run-sandbox u1 1 "), 1);
}

/* PS-074: the runtime's own list tells that a container died. */
static void container_that_dies_is_noticed(void **state)
{
	struct podrig *rig = *state;
	char line[256];

	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(rt_list(rig->rt, NULL, NULL), ERR_OK);
	snprintf(line, sizeof(line), "exit %s 137 %lld\n", rig->rt->answer.items[0].id,
		 (long long)clock_wall_ns());
	rt_append_effect(rig->rt, line);
	podrig_until_effects(rig, "start", 2);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(rig->answer.restarts, 1);
}

/* PS-180, PS-182 */
static void images_are_pulled_by_policy(void **state)
{
	struct podrig *rig = *state;
	cleanup_with(pod) K8s__Core__V1__Pod *never = podtest_pod("c1=missing:1");

	free(never->spec->containers[0]->imagepullpolicy);
	never->spec->containers[0]->imagepullpolicy = strdup("Never");
	assert_int_equal(podrig_apply(rig, "c1=remote:1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(podrig_count(rig, "pull remote:1"), 1);

	assert_int_equal(podrig_apply(rig, "c1=missing:1"), ERR_OK);
	podrig_until_reason(rig, "ErrImagePull");
	podrig_until_reason(rig, "ImagePullBackOff");
	assert_string_equal(rig->answer.phase,
			    "Running"); /* its last instance has ended (PS-283) */

	assert_int_equal(podrig_apply_pod(rig, never), ERR_OK);
	podrig_until_reason(rig, "ErrImageNeverPull");

	assert_int_equal(podrig_apply(rig, "c1=local:latest"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	assert_int_equal(podrig_count(rig, "pull local:latest"), 1);
}

/* PS-154 */
static void container_that_cannot_start_waits_and_the_rest_goes_on(void **state)
{
	struct podrig *rig = *state;

	assert_int_equal(podrig_apply(rig, "c1=nostart:1 c2"), ERR_OK);
	podrig_until_reason(rig, "RunContainerError");
	podrig_until_effects(rig, "start", 1);
	podrig_until_quiet(rig, 300);
	/* The instance is tried again, not made again. */
	assert_int_equal(podrig_count(rig, "create-container u1 c1"), 1);
	assert_string_equal(rig->answer.phase, "Pending");
}

/* D9 */
static void kubelet_keeps_the_agent_away(void **state)
{
	struct podrig *rig = *state;

	podrig_kubelet(rig, UNIT_START);
	assert_int_equal(podrig_apply(rig, "c1"), ERR_FAILED_PRECONDITION);
	assert_string_equal(rig->answer.err.reason, "KUBELET_ACTIVE");
	assert_int_equal(pods_count(rig->pods), 0);
	assert_string_equal(pods_uid(rig->pods, "default", "web"), "");

	podrig_kubelet(rig, UNIT_STOP);
	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_string_equal(pods_uid(rig->pods, "default", "web"), "u1");
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	podrig_kubelet(rig, UNIT_START);
	podrig_restart(rig);
	assert_int_equal(podrig_delete(rig, -1), ERR_OK);
	podrig_until_quiet(rig, 300);
	assert_int_equal(podrig_count(rig, "stop"), 0);
	assert_int_equal(podrig_list(rig), ERR_OK);
	assert_non_null(strstr(rig->answer.message, "kubelet is active"));
}

static void paused_pods_take_no_step(void **state)
{
	struct podrig *rig = *state;
	char line[256];

	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_wait(rig, false, 5000), ERR_OK);
	pods_pause(rig->pods);
	assert_int_equal(rt_list(rig->rt, NULL, NULL), ERR_OK);
	snprintf(line, sizeof(line), "exit %s 137 0\n", rig->rt->answer.items[0].id);
	rt_append_effect(rig->rt, line);
	podrig_until_quiet(rig, 300);
	assert_story(rig, "run-sandbox create:c1 start:c1 exit:c1");
	/* What would come to nothing is refused. */
	assert_int_equal(podrig_apply(rig, "c1 c2"), ERR_FAILED_PRECONDITION);
	assert_int_equal(podrig_delete(rig, -1), ERR_FAILED_PRECONDITION);
	/* What is listed is still true. */
	assert_int_equal(podrig_list(rig), ERR_OK);
	assert_false(rig->answer.ready);
	assert_string_equal(rig->answer.state, "terminated");
}

static void pods_of_others_are_listed(void **state)
{
	struct podrig *rig = *state;
	char id[80], sandbox[80];

	assert_int_equal(rt_run_sandbox(rig->rt, "other", 0, sandbox), ERR_OK);
	assert_int_equal(rt_create(rig->rt, sandbox, "other", "x", "img", id), ERR_OK);
	assert_int_equal(rt_start(rig->rt, id), ERR_OK);
	assert_int_equal(podrig_list(rig), ERR_OK);
	assert_int_equal(rig->answer.count, 1);
	assert_string_equal(rig->answer.name, "pod-other");
	assert_string_equal(rig->answer.phase, "Running");
	assert_int_equal(rig->answer.source, POD_FROM_UNKNOWN);
	podrig_until_quiet(rig, 200);
	assert_int_equal(podrig_count(rig, "stop"), 0);

	rt_append_effect(rig->rt,
			 "run-sandbox kube 0 s2 5 etcd kube-system 1 "
			 "l:io.kubernetes.pod.uid=kube a:kubernetes.io/config.source=file\n");
	assert_int_equal(podrig_apply(rig, "c1"), ERR_OK);
	assert_int_equal(podrig_delete(rig, 0), ERR_OK);
	assert_int_equal(podrig_wait(rig, true, 5000), ERR_OK);
	assert_int_equal(podrig_list(rig), ERR_OK);
	assert_int_equal(rig->answer.count, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(applied_pod_comes_up_and_stays_untouched),
		T(init_and_sidecars_come_in_order),
		T(deleted_pod_leaves_nothing),
		T(sidecars_stop_after_the_apps_last_first),
		T(containers_stop_in_parallel_and_the_sandbox_last),
		T(crashing_container_restarts_with_backoff),
		T(pods_that_end_are_not_started_again),
		T(waiting_for_a_failed_pod_says_so),
		T(changed_container_restarts_even_under_never),
		T(container_taken_out_of_the_spec_is_stopped),
		T(changed_network_makes_a_new_pod),
		T(pods_come_back_after_a_reboot),
		T(container_that_dies_is_noticed),
		T(images_are_pulled_by_policy),
		T(container_that_cannot_start_waits_and_the_rest_goes_on),
		T(kubelet_keeps_the_agent_away),
		T(paused_pods_take_no_step),
		T(pods_of_others_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
