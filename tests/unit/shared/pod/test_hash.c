#include "shared/pod/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char *json_of(const K8s__Core__V1__Container *c)
{
	struct text t = { 0 };

	container_json(c, &t);
	return text_take(&t);
}

static void assert_json(const K8s__Core__V1__Container *c, const char *wanted)
{
	cleanup_free char *json = json_of(c);

	assert_non_null(json);
	assert_string_equal(json, wanted);
}

/* PS-030 */
static void check_value_of_kubernetes_is_met(void **state)
{
	K8s__Core__V1__Container c = K8S__CORE__V1__CONTAINER__INIT;

	(void)state;
	c.name = (char *)"web";
	c.image = (char *)"nginx:1.27";
	assert_json(&c, "{\"name\":\"web\",\"image\":\"nginx:1.27\",\"resources\":{}}");
	assert_int_equal(container_hash(&c), 0x371a981f);
}

/* PS-031 */
static void fields_stand_in_go_order_with_sorted_maps_and_canonical_quantities(void **state)
{
	K8s__Core__V1__Quantity half = K8S__CORE__V1__QUANTITY__INIT, gig = half;
	K8s__Core__V1__ResourceRequirements__LimitsEntry mem =
		K8S__CORE__V1__RESOURCE_REQUIREMENTS__LIMITS_ENTRY__INIT;
	K8s__Core__V1__ResourceRequirements__LimitsEntry cpu = mem;
	K8s__Core__V1__ResourceRequirements__LimitsEntry *limits[] = { &mem, &cpu };
	K8s__Core__V1__ResourceRequirements r = K8S__CORE__V1__RESOURCE_REQUIREMENTS__INIT;
	K8s__Core__V1__EnvVar env = K8S__CORE__V1__ENV_VAR__INIT, *envs[] = { &env };
	K8s__Core__V1__ConfigMapEnvSource map = K8S__CORE__V1__CONFIG_MAP_ENV_SOURCE__INIT;
	K8s__Core__V1__LocalObjectReference ref = K8S__CORE__V1__LOCAL_OBJECT_REFERENCE__INIT;
	K8s__Core__V1__EnvFromSource from = K8S__CORE__V1__ENV_FROM_SOURCE__INIT,
				     *froms[] = { &from };
	K8s__Core__V1__Container c = K8S__CORE__V1__CONTAINER__INIT;
	char *command[] = { (char *)"sh", (char *)"<a&b>" };

	(void)state;
	half.string = (char *)"0.5";
	gig.string = (char *)"1024Mi";
	mem.key = (char *)"memory";
	mem.value = &gig;
	cpu.key = (char *)"cpu";
	cpu.value = &half;
	r.n_limits = 2;
	r.limits = limits;
	ref.name = (char *)"m";
	map.localobjectreference = &ref;
	from.configmapref = &map;
	env.name = (char *)"A";
	c.name = (char *)"c";
	c.n_command = 2;
	c.command = command;
	c.n_envfrom = 1;
	c.envfrom = froms;
	c.n_env = 1;
	c.env = envs;
	c.resources = &r;
	assert_json(&c,
		    "{\"name\":\"c\",\"command\":[\"sh\",\"\\u003ca\\u0026b\\u003e\"],"
		    "\"envFrom\":[{\"configMapRef\":{\"name\":\"m\"}}],\"env\":[{\"name\":\"A\"}],"
		    "\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"}}}");
}

/* PS-031 */
static void zero_is_printed_only_where_go_has_a_pointer(void **state)
{
	K8s__Core__V1__SecurityContext sc = K8S__CORE__V1__SECURITY_CONTEXT__INIT;
	K8s__Core__V1__IntOrString http = K8S__CORE__V1__INT_OR_STRING__INIT;
	K8s__Core__V1__HTTPGetAction get = K8S__CORE__V1__HTTPGET_ACTION__INIT;
	K8s__Core__V1__GRPCAction grpc = K8S__CORE__V1__GRPCACTION__INIT;
	K8s__Core__V1__ProbeHandler on = K8S__CORE__V1__PROBE_HANDLER__INIT, live = on;
	K8s__Core__V1__Probe ready = K8S__CORE__V1__PROBE__INIT, alive = ready;
	K8s__Core__V1__Container c = K8S__CORE__V1__CONTAINER__INIT;

	(void)state;
	sc.has_runasuser = 1;
	c.name = (char *)"c";
	c.has_stdin = 1;
	c.securitycontext = &sc;
	http.has_type = 1;
	http.type = 1;
	http.strval = (char *)"http";
	get.port = &http;
	on.httpget = &get;
	ready.handler = &on;
	ready.has_periodseconds = 1;
	ready.periodseconds = 3;
	live.grpc = &grpc;
	alive.handler = &live;
	c.livenessprobe = &alive;
	c.readinessprobe = &ready;
	assert_json(&c, "{\"name\":\"c\",\"resources\":{},"
			"\"livenessProbe\":{\"grpc\":{\"port\":0,\"service\":null}},"
			"\"readinessProbe\":{\"httpGet\":{\"port\":\"http\"},\"periodSeconds\":3},"
			"\"securityContext\":{\"runAsUser\":0}}");
}

/* PS-033 */
static void any_field_changes_the_hash(void **state)
{
	K8s__Core__V1__Container c = K8S__CORE__V1__CONTAINER__INIT;
	uint32_t before;

	(void)state;
	c.name = (char *)"c";
	before = container_hash(&c);
	c.workingdir = (char *)"/";
	assert_int_not_equal(container_hash(&c), before);
	assert_int_not_equal(before, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_value_of_kubernetes_is_met),
		cmocka_unit_test(
			fields_stand_in_go_order_with_sorted_maps_and_canonical_quantities),
		cmocka_unit_test(zero_is_printed_only_where_go_has_a_pointer),
		cmocka_unit_test(any_field_changes_the_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
