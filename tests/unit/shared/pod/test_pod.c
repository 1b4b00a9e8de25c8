#include "shared/pod/pod.h"

#include "tests/support/podmake.h"
#include "tests/support/pods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect_invalid(const K8s__Core__V1__Pod *pod, const char *beginning)
{
	struct err err;

	assert_int_equal(pod_check(pod, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.reason, "POD_INVALID");
	if (strncmp(err.msg, beginning, strlen(beginning)) != 0)
		fail_msg("'%s' does not begin with '%s'", err.msg, beginning);
}

/* PS-001, PS-180 */
static void defaults_are_those_of_an_api_server(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1 c2=nginx c3=r:5000/a@sha256:1 "
								"c4=a:latest");
	const K8s__Core__V1__PodSpec *spec = pod->spec;

	(void)state;
	assert_string_equal(pod_namespace(pod), "default");
	assert_string_equal(spec->restartpolicy, "Always");
	assert_string_equal(spec->dnspolicy, "ClusterFirst");
	assert_int_equal(spec->terminationgraceperiodseconds, 30);
	assert_string_equal(spec->containers[0]->imagepullpolicy, "IfNotPresent");
	assert_string_equal(spec->containers[1]->imagepullpolicy, "Always");
	assert_string_equal(spec->containers[2]->imagepullpolicy, "IfNotPresent");
	assert_string_equal(spec->containers[3]->imagepullpolicy, "Always");
	assert_string_equal(spec->containers[0]->terminationmessagepath, "/dev/termination-log");
}

static void defaulting_twice_changes_nothing(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("a:init c1 e:ephemeral");
	cleanup_with(pod) K8s__Core__V1__Pod *once = NULL;
	struct err err;

	(void)state;
	podmake_resource(pod->spec->containers[0], 1, "memory", "1Gi");
	assert_int_equal(pod_default(pod, &err), 0);
	assert_int_equal(pod->spec->containers[0]->resources->n_requests, 1);
	once = pod_copy(pod);
	assert_int_equal(pod_default(pod, &err), 0);
	assert_int_equal(pod_compare(once, pod), POD_SAME);
}

/* PS-015 */
static void names_that_cannot_work_are_refused(void **state)
{
	static const char *const bad[] = { "a_b", "A", "-a", "a-", "", "a/b", "a..b" };
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");
	struct err err;

	(void)state;
	assert_int_equal(pod_check(pod, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		podmake_text(&pod->metadata->name, bad[i]);
		expect_invalid(pod, "metadata.name ");
	}
	podmake_text(&pod->metadata->name, "a.b");
	assert_int_equal(pod_check(pod, &err), 0);
	podmake_text(&pod->metadata->namespace_, "a.b");
	expect_invalid(pod, "metadata.namespace ");
	podmake_text(&pod->metadata->namespace_, "a");
	podmake_text(&pod->metadata->uid, "../x");
	expect_invalid(pod, "metadata.uid ");
	podmake_text(&pod->metadata->uid, "");
	podmake_text(&pod->spec->containers[0]->name, "c.1");
	expect_invalid(pod, "spec.containers[0].name ");
}

static void faults_are_told_with_their_path(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("a:init c1 c2");
	K8s__Core__V1__Container *c = pod->spec->containers[1];
	struct err err;

	(void)state;
	podmake_text(&c->name, "a");
	expect_invalid(pod, "spec.initContainers[0].name is 'a', which another container has");
	podmake_text(&c->name, "c2");
	podmake_text(&c->image, "");
	expect_invalid(pod, "spec.containers[1].image ");
	podmake_text(&c->image, "img");
	podmake_text(&c->imagepullpolicy, "Sometimes");
	expect_invalid(pod,
		       "spec.containers[1].imagePullPolicy is 'Sometimes'; it must be one of: ");
	podmake_text(&c->imagepullpolicy, "Always");
	podmake_mount(c, "data", "/x");
	expect_invalid(pod, "spec.containers[1].volumeMounts[0].name is 'data', but spec.volumes");
	podmake_volume(pod->spec, "data", "/a/../b");
	expect_invalid(pod, "spec.volumes[0].hostPath.path must not contain '..'");
	podmake_text(&pod->spec->volumes[0]->volumesource->hostpath->path, "/a..b/c");
	assert_int_equal(pod_check(pod, &err), 0);
	podmake_port(c, "p", 70000, 0);
	expect_invalid(pod, "spec.containers[1].ports[0].containerPort is 70000");
	c->ports[0]->containerport = 80;
	podmake_resource(c, 1, "memory", "1Gx");
	expect_invalid(pod, "spec.containers[1].resources.limits[memory] is '1Gx'");
	podmake_text(&c->resources->limits[0]->value->string, "1Gi");
	podmake_resource(c, 0, "memory", "2Gi");
	expect_invalid(pod, "spec.containers[1].resources.requests of memory is above its limit");
	podmake_text(&pod->spec->restartpolicy, "always");
	expect_invalid(pod, "spec.restartPolicy ");
}

static void pod_without_containers_or_spec_is_refused(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *empty = podtest_pod("a:init");
	K8s__Core__V1__Pod none = K8S__CORE__V1__POD__INIT;
	K8s__Core__V1__ObjectMeta meta = K8S__CORE__V1__OBJECT_META__INIT;

	(void)state;
	expect_invalid(empty, "spec.containers is empty");
	expect_invalid(&none, "metadata.name is missing");
	meta.name = (char *)"a";
	meta.namespace_ = (char *)"a";
	none.metadata = &meta;
	expect_invalid(&none, "spec is missing");
}

static void assert_lists(const K8s__Core__V1__Pod *pod, const char *refused, const char *ignored)
{
	cleanup_with(strv) struct strv r = { 0 };
	cleanup_with(strv) struct strv i = { 0 };
	cleanup_free char *r_text = NULL, *i_text = NULL;

	pod_unsupported(pod, &r, &i);
	r_text = strv_quote(&r);
	i_text = strv_quote(&i);
	assert_string_equal(r_text, refused);
	assert_string_equal(i_text, ignored);
}

static void what_is_not_carried_out_is_named(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("s:sidecar+startup c1 e:ephemeral");
	K8s__Core__V1__Container *c = pod->spec->containers[0];
	struct err err;

	(void)state;
	assert_lists(pod, "", "'spec.initContainers[0].startupProbe'");
	podmake_volume(pod->spec, "a", NULL);
	podmake_volume(pod->spec, "b", NULL);
	free(pod->spec->volumes[1]->volumesource->emptydir);
	pod->spec->volumes[1]->volumesource->emptydir = NULL;
	pod->spec->volumes[1]->volumesource->nfs =
		malloc(sizeof(*pod->spec->volumes[1]->volumesource->nfs));
	k8s__core__v1__nfsvolume_source__init(pod->spec->volumes[1]->volumesource->nfs);
	c->lifecycle = malloc(sizeof(*c->lifecycle));
	k8s__core__v1__lifecycle__init(c->lifecycle);
	podmake_resource(c, 1, "nvidia.com/gpu", "1");
	podmake_resource(c, 1, "ephemeral-storage", "1Gi");
	podmake_env_field(c, "X", "spec.what");
	podmake_text(&pod->spec->ephemeralcontainers[0]->targetcontainername, "c1");
	pod->spec->has_hostusers = 1;
	assert_lists(
		pod,
		"'spec.volumes[1].nfs' 'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath' "
		"'spec.containers[0].resources.limits[nvidia.com/gpu]' "
		"'spec.containers[0].lifecycle' "
		"'spec.ephemeralContainers[0].targetContainerName' spec.hostUsers",
		"'spec.containers[0].resources.limits[ephemeral-storage]' "
		"'spec.initContainers[0].startupProbe'");
	assert_int_equal(pod_admit(pod, &err), -1);
	assert_int_equal(err.code, ERR_UNIMPLEMENTED);
	assert_string_equal(err.reason, "POD_FIELD_UNSUPPORTED");
	assert_non_null(strstr(err.msg, "spec.volumes[1].nfs"));
}

/* PS-191 */
static void run_as_non_root_needs_a_user(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");
	K8s__Core__V1__SecurityContext *sc = podmake_security(pod->spec->containers[0]);

	(void)state;
	sc->has_runasnonroot = sc->runasnonroot = 1;
	assert_lists(pod, "'spec.containers[0].securityContext.runAsNonRoot (without runAsUser)'",
		     "");
	sc->has_runasuser = 1;
	sc->runasuser = 5;
	assert_lists(pod, "", "");
}

static void changes_are_told_apart(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *was = podtest_pod("a:init c1");
	static const struct {
		const char *pod;
		enum pod_change change;
	} rows[] = {
		{ "a:init c1", POD_SAME },
		{ "a:init c1=img:2", POD_CHANGED_IN_PLACE },
		{ "a:init c1 c2", POD_CHANGED_IN_PLACE },
		{ "a:init=img:2 c1", POD_CHANGED_IN_PLACE },
		{ "host a:init c1", POD_REPLACED },
		{ "Never a:init c1", POD_REPLACED },
		{ "c1", POD_REPLACED },
		{ "a:sidecar c1", POD_REPLACED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_with(pod) K8s__Core__V1__Pod *now = podtest_pod(rows[i].pod);

		podmake_text(&now->metadata->uid, "another");
		assert_int_equal(pod_compare(was, now), rows[i].change);
	}
}

static void map_order_makes_no_difference(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *a = podtest_pod("c1");
	cleanup_with(pod) K8s__Core__V1__Pod *b = podtest_pod("c1");
	struct err err;

	(void)state;
	podmake_label(a, "x", "1");
	podmake_label(a, "y", "2");
	podmake_label(b, "y", "2");
	podmake_label(b, "x", "1");
	assert_int_equal(pod_default(a, &err), 0);
	assert_int_equal(pod_default(b, &err), 0);
	assert_int_equal(pod_compare(a, b), POD_SAME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_an_api_server),
		cmocka_unit_test(defaulting_twice_changes_nothing),
		cmocka_unit_test(names_that_cannot_work_are_refused),
		cmocka_unit_test(faults_are_told_with_their_path),
		cmocka_unit_test(pod_without_containers_or_spec_is_refused),
		cmocka_unit_test(what_is_not_carried_out_is_named),
		cmocka_unit_test(run_as_non_root_needs_a_user),
		cmocka_unit_test(changes_are_told_apart),
		cmocka_unit_test(map_order_makes_no_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
