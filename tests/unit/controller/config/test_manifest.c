#include "controller/config/manifest.h"

#include "shared/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD      "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
#define POD(name) "{apiVersion: v1, kind: Pod, metadata: {name: " name "}}"

static struct manifest read_good(const char *text)
{
	struct manifest m = { 0 };
	struct err err = { 0 };

	if (manifest_read("p.yaml", text, strlen(text), &m, &err) < 0)
		fail_msg("%s", err.msg);
	return m;
}

static void expect_fault(const char *text, const char *message)
{
	struct manifest m = { .count = 4711 };
	struct err err = { 0 };

	assert_int_equal(manifest_read("p.yaml", text, strlen(text), &m, &err), -1);
	assert_int_equal(m.count, 4711); /* untouched */
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
}

static struct manifest read_data(const char *name)
{
	cleanup_free char *text = calloc(1, 65536);
	const char *slash = strrchr(__FILE__, '/');
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%.*s/data/%s", (int)(slash - __FILE__), __FILE__, name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("no %s: run from the top folder", path);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return read_good(text);
}

static void check_metadata(const K8s__Core__V1__ObjectMeta *meta)
{
	assert_string_equal(meta->name, "web");
	assert_string_equal(meta->namespace_, "shop");
	assert_int_equal(meta->n_labels, 2);
	assert_string_equal(meta->labels[0]->key, "app");
	assert_string_equal(meta->labels[0]->value, "web");
	assert_string_equal(meta->labels[1]->key, "empty");
	assert_string_equal(meta->labels[1]->value, "");
	assert_string_equal(meta->annotations[0]->value, "3");
	assert_null(meta->uid);
}

static void check_spec(const K8s__Core__V1__PodSpec *spec)
{
	assert_string_equal(spec->restartpolicy, "OnFailure");
	assert_true(spec->has_terminationgraceperiodseconds); /* 0 is not absent */
	assert_int_equal(spec->terminationgraceperiodseconds, 0);
	assert_true(spec->has_hostnetwork);
	assert_false(spec->hostnetwork);
	assert_false(spec->has_hostpid);
	assert_true(spec->securitycontext->has_runasuser);
	assert_int_equal(spec->securitycontext->runasuser, 0);
	assert_string_equal(spec->securitycontext->sysctls[0]->value, "1");
	assert_int_equal(spec->n_initcontainers, 1);
	assert_int_equal(spec->initcontainers[0]->n_command, 3);
	assert_string_equal(spec->initcontainers[0]->command[2], "exit 0");
}

static void check_container(const K8s__Core__V1__Container *c)
{
	assert_string_equal(c->image, "localhost/web:2");
	assert_int_equal(c->n_args, 3);
	assert_string_equal(c->args[2], "it's");
	assert_string_equal(c->workingdir, "/srv");
	assert_int_equal(c->n_env, 3);
	assert_string_equal(c->env[0]->value, "8080");
	assert_string_equal(c->env[1]->valuefrom->fieldref->apiversion, "v1");
	assert_int_equal(c->n_ports, 2);
	assert_int_equal(c->ports[0]->hostport, 8080);
	assert_false(c->ports[1]->has_hostport);
	assert_string_equal(c->ports[1]->protocol, "UDP");
	assert_true(c->volumemounts[0]->readonly);
}

static void check_quantities(const K8s__Core__V1__ResourceRequirements *r)
{
	assert_int_equal(r->n_limits, 2);
	assert_string_equal(r->limits[0]->key, "cpu");
	assert_string_equal(r->limits[0]->value->string, "0.5");
	assert_string_equal(r->limits[1]->value->string, "64Mi");
	assert_int_equal(r->n_requests, 3);
	assert_string_equal(r->requests[0]->value->string, "250m");
	assert_string_equal(r->requests[1]->value->string, "1e6");
	assert_string_equal(r->requests[2]->value->string, "0");
}

/* Fields whose message stands inline, and numbers that may be names. */
static void check_inline(const K8s__Core__V1__PodSpec *spec)
{
	const K8s__Core__V1__Container *c = spec->containers[0];
	const K8s__Core__V1__SecretKeySelector *key = c->env[2]->valuefrom->secretkeyref;

	assert_string_equal(spec->volumes[0]->name, "data");
	assert_string_equal(spec->volumes[0]->volumesource->hostpath->path, "/srv/data");
	assert_string_equal(spec->volumes[1]->volumesource->emptydir->sizelimit->string, "1Gi");
	assert_string_equal(spec->volumes[2]->volumesource->configmap->localobjectreference->name,
			    "web");
	assert_int_equal(spec->volumes[2]->volumesource->configmap->defaultmode, 0644);
	assert_string_equal(key->localobjectreference->name, "keys");
	assert_true(key->optional);
	assert_int_equal(c->livenessprobe->periodseconds, 5);
	assert_int_equal(c->livenessprobe->handler->httpget->port->type, 1);
	assert_string_equal(c->livenessprobe->handler->httpget->port->strval, "http");
	assert_int_equal(c->readinessprobe->handler->tcpsocket->port->type, 0);
	assert_int_equal(c->readinessprobe->handler->tcpsocket->port->intval, 80);
}

static void a_pod_is_read_whole(void **state)
{
	struct manifest m = read_data("pod-full.yaml");

	(void)state;
	assert_int_equal(m.count, 1);
	assert_int_equal(m.warnings.count, 0);
	check_metadata(m.pods[0]->metadata);
	check_spec(m.pods[0]->spec);
	check_container(m.pods[0]->spec->containers[0]);
	check_quantities(m.pods[0]->spec->containers[0]->resources);
	check_inline(m.pods[0]->spec);
	manifest_release(&m);
}

/* What was read packs and unpacks to the same: nothing in it is half filled. */
static void a_read_pod_survives_the_wire(void **state)
{
	struct manifest m = read_data("pod-full.yaml");
	size_t size = k8s__core__v1__pod__get_packed_size(m.pods[0]);
	cleanup_free uint8_t *bytes = malloc(size), *again = malloc(size);
	K8s__Core__V1__Pod *copy;

	(void)state;
	k8s__core__v1__pod__pack(m.pods[0], bytes);
	copy = k8s__core__v1__pod__unpack(NULL, size, bytes);
	assert_non_null(copy);
	assert_int_equal(k8s__core__v1__pod__get_packed_size(copy), size);
	k8s__core__v1__pod__pack(copy, again);
	assert_memory_equal(bytes, again, size);
	k8s__core__v1__pod__free_unpacked(copy, NULL);
	manifest_release(&m);
}

static void json_with_tabs_is_a_manifest(void **state)
{
	struct manifest m = read_good(
		"{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\",\n\t\"metadata\": {\"name\": "
		"\"j\"},\n\t\"spec\": {\"containers\": [{\"name\":\"c\",\"image\":\"i\","
		"\"args\":[\"\\u00e9\"]}]}\n}\n");

	(void)state;
	assert_string_equal(m.pods[0]->spec->containers[0]->args[0], "\xc3\xa9");
	manifest_release(&m);
}

static void lists_and_documents_give_all_their_pods(void **state)
{
	static const char text[] = "# nothing\n---\n---\n" POD(
		"a") "\n---\n"
		     "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: \"\"}\nitems:\n"
		     "- " POD("b") "\n- " POD("c") "\n---\n# end\n---\n" POD("d") "\n";
	static const char *const names[] = { "a", "b", "c", "d" };
	struct manifest m = read_good(text);

	(void)state;
	assert_int_equal(m.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(m.pods[i]->metadata->name, names[i]);
	manifest_release(&m);
}

static void an_empty_list_is_no_fault(void **state)
{
	struct manifest m = read_good("apiVersion: v1\nkind: List\nitems: []\n");

	(void)state;
	assert_int_equal(m.count, 0);
	manifest_release(&m);
	m = read_good("apiVersion: v1\nkind: List\nitems:\n");
	assert_int_equal(m.count, 0);
	manifest_release(&m);
}

static void crlf_and_bom_are_read(void **state)
{
	struct manifest m = read_good("\xef\xbb\xbf"
				      "apiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: a\r\n");

	(void)state;
	assert_string_equal(m.pods[0]->metadata->name, "a");
	manifest_release(&m);
}

static void what_the_server_fills_in_is_ignored_with_a_warning(void **state)
{
	static const char text[] =
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  uid: u-1\n"
		"  resourceVersion: \"12\"\n  creationTimestamp: 2026-01-01T00:00:00Z\n"
		"  managedFields:\n  - manager: x\n    fieldsV1: {f: {}}\n"
		"status:\n  phase: Running\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: b\n  resourceVersion: \"13\"\n"
		"  generation: 1\nstatus: {}\n";
	static const char *const warnings[] = {
		"p.yaml:6:3: resourceVersion is ignored",
		"p.yaml:7:3: creationTimestamp is ignored",
		"p.yaml:8:3: managedFields is ignored",
		"p.yaml:11:1: status is ignored",
		"p.yaml:19:3: generation is ignored",
	};
	struct manifest m = read_good(text);

	(void)state;
	assert_string_equal(m.pods[0]->metadata->uid, "u-1");
	assert_null(m.pods[0]->metadata->resourceversion);
	assert_null(m.pods[0]->status);
	assert_int_equal(m.warnings.count, ARRAY_LEN(warnings));
	for (size_t i = 0; i < ARRAY_LEN(warnings); i++)
		assert_string_equal(m.warnings.items[i], warnings[i]);
	manifest_release(&m);
}

static void empty_input_is_an_error(void **state)
{
	(void)state;
	expect_fault("", "p.yaml:1:1: there is no manifest in it");
	expect_fault("# only this\n---\n---\n", "p.yaml:1:1: there is no manifest in it");
}

static void other_kinds_are_refused_by_name(void **state)
{
	(void)state;
	expect_fault("apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 3}\n",
		     "p.yaml:2:7: kind 'Deployment' is not supported: Berth runs v1 Pods");
	expect_fault("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret}\n",
		     "p.yaml:4:26: kind 'Secret' is not supported: Berth runs v1 Pods");
	expect_fault("apiVersion: v2\nkind: Pod\n",
		     "p.yaml:1:13: apiVersion 'v2' is not supported for kind 'Pod'; use 'v1'");
	expect_fault("kind: Pod\n", "p.yaml:1:1: apiVersion is missing");
	expect_fault("metadata: {name: a}\n",
		     "p.yaml:1:1: kind is missing; p.yaml:1:1: apiVersion is missing");
	expect_fault("apiVersion: 1\nkind: Pod\n",
		     "p.yaml:1:13: apiVersion must be a string, not a number; quote it: \"1\"");
	expect_fault("- a\n", "p.yaml:1:1: the document must be a map, not a list");
	expect_fault("apiVersion: v1\nkind: List\nitem: []\n",
		     "p.yaml:3:1: unknown field 'item'; did you mean 'items'?");
	expect_fault("apiVersion: v1\nkind: List\nitems: {}\n",
		     "p.yaml:3:8: items must be a list, not a map");
}

static void unknown_fields_are_errors_with_a_guess(void **state)
{
	(void)state;
	expect_fault(
		HEAD "spec:\n  containers:\n  - name: c\n    imge: x\n",
		"p.yaml:7:5: unknown field 'imge' in spec.containers[0]; did you mean 'image'?");
	expect_fault(HEAD "spec:\n  volumes:\n  - hostpath: {}\n",
		     "p.yaml:6:5: unknown field 'hostpath' in spec.volumes[0]; did you mean "
		     "'hostPath'?");
	expect_fault(HEAD "spec: {volumes: [{volumeSource: {}}]}\n",
		     "p.yaml:4:19: unknown field 'volumeSource' in spec.volumes[0]");
	expect_fault(HEAD "specification: {}\n", "p.yaml:4:1: unknown field 'specification'");
}

static void types_are_as_strict_as_the_api_servers(void **state)
{
	(void)state;
	expect_fault(HEAD "spec:\n  containers:\n  - env: [{name: A, value: 8080}]\n",
		     "p.yaml:6:28: spec.containers[0].env[0].value must be a string, not a number; "
		     "quote it: \"8080\"");
	expect_fault(
		HEAD "spec:\n  containers:\n  - env: [{name: A, value: yes}]\n",
		"p.yaml:6:28: spec.containers[0].env[0].value must be a string, not a boolean; "
		"quote it: \"yes\"");
	expect_fault("apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {n: 1.5}}\n",
		     "p.yaml:3:33: metadata.labels.n must be a string, not a fraction; quote it: "
		     "\"1.5\"");
	expect_fault(HEAD "spec: {hostNetwork: \"true\"}\n",
		     "p.yaml:4:21: spec.hostNetwork must be true or false, not a string");
	expect_fault(
		HEAD "spec: {terminationGracePeriodSeconds: 1.5}\n",
		"p.yaml:4:39: spec.terminationGracePeriodSeconds must be a whole number, not a "
		"fraction");
	expect_fault(HEAD "spec: {priority: 2147483648}\n",
		     "p.yaml:4:18: spec.priority is 2147483648; it must be within -2147483648 and "
		     "2147483647");
	expect_fault(HEAD "spec: {containers: {}}\n",
		     "p.yaml:4:20: spec.containers must be a list, not a map");
	expect_fault(HEAD "spec: {nodeSelector: [a]}\n",
		     "p.yaml:4:22: spec.nodeSelector must be a map, not a list");
	expect_fault(HEAD "spec: {containers: [c]}\n",
		     "p.yaml:4:21: spec.containers[0] must be a map, not a string");
	expect_fault(HEAD "spec: {containers: [{args: [a, ~]}]}\n",
		     "p.yaml:4:32: spec.containers[0].args[1] must be a string, not null");
	expect_fault(
		HEAD "spec: {containers: [{resources: {limits: {cpu: true}}}]}\n",
		"p.yaml:4:48: spec.containers[0].resources.limits.cpu must be a quantity such as "
		"500m or 64Mi, not a boolean");
	expect_fault(HEAD "spec: {containers: [{livenessProbe: {tcpSocket: {port: 1.5}}}]}\n",
		     "p.yaml:4:56: spec.containers[0].livenessProbe.tcpSocket.port must be a whole "
		     "number or a string, not a fraction");
}

static void faults_of_all_documents_come_together(void **state)
{
	(void)state;
	expect_fault(HEAD "x: 1\n---\nkind: Job\napiVersion: batch/v1\n---\n" HEAD
			  "spec: {hostPID: 1}\n",
		     "p.yaml:4:1: unknown field 'x'; "
		     "p.yaml:6:7: kind 'Job' is not supported: Berth runs v1 Pods; "
		     "p.yaml:12:17: spec.hostPID must be true or false, not a number");
}

static void a_fault_of_the_yaml_does_not_hide_those_before_it(void **state)
{
	(void)state;
	expect_fault(HEAD "x: 1\n---\na: *x\n",
		     "p.yaml:4:1: unknown field 'x'; p.yaml:6:5: anchors and aliases are not "
		     "supported; write the value out");
}

static void a_pod_needs_a_name_of_its_own(void **state)
{
	struct manifest m;

	(void)state;
	expect_fault("apiVersion: v1\nkind: Pod\n", "p.yaml:1:1: the pod has no metadata.name");
	expect_fault("apiVersion: v1\nkind: Pod\nmetadata: {name: ''}\n",
		     "p.yaml:1:1: the pod has no metadata.name");
	expect_fault(POD("a") "\n---\n" POD("b") "\n---\n" POD("'a', namespace: default"),
		     "p.yaml:5:1: pod 'default/a' is here twice, first at 1:1");
	m = read_good(POD("a") "\n---\n" POD("a, namespace: other"));
	assert_int_equal(m.count, 2);
	manifest_release(&m);
}

/* I6 */
static void faults_of_the_yaml_itself_are_passed_on(void **state)
{
	(void)state;
	expect_fault(HEAD "spec:\n  hostPID: true\n  hostPID: false\n",
		     "p.yaml:6:3: duplicate key 'hostPID', first at 5:3");
	expect_fault(HEAD "spec: *x\n",
		     "p.yaml:4:8: anchors and aliases are not supported; write the "
		     "value out");
	expect_fault(HEAD "spec:\n\tx: 1\n",
		     "p.yaml:5:1: tab character may not be used as indentation");
	expect_fault(HEAD "spec: \"\xff\"\n", "p.yaml:4:8: this is not UTF-8 text");
}

/* Cut off anywhere, a manifest is read or refused; the sanitizers watch for what is left behind. */
static void a_manifest_cut_anywhere_leaves_nothing_behind(void **state)
{
	static const char text[] =
		HEAD "spec: {volumes: [{name: v, hostPath: {path: /x}}], containers: "
		     "[{name: c, resources: {limits: {cpu: 1, memory: [x]}}, "
		     "ports: [{containerPort: 1}, 7], env: [{value: 1}, {value: x}]}]}\n";
	unsigned faults = 0;

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		struct manifest m;
		struct err err;

		if (manifest_read("p", text, len, &m, &err) == 0)
			manifest_release(&m);
		else
			faults++;
	}
	assert_in_range(faults, sizeof(text) / 2, sizeof(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_is_read_whole),
		cmocka_unit_test(a_read_pod_survives_the_wire),
		cmocka_unit_test(json_with_tabs_is_a_manifest),
		cmocka_unit_test(lists_and_documents_give_all_their_pods),
		cmocka_unit_test(an_empty_list_is_no_fault),
		cmocka_unit_test(crlf_and_bom_are_read),
		cmocka_unit_test(what_the_server_fills_in_is_ignored_with_a_warning),
		cmocka_unit_test(empty_input_is_an_error),
		cmocka_unit_test(other_kinds_are_refused_by_name),
		cmocka_unit_test(unknown_fields_are_errors_with_a_guess),
		cmocka_unit_test(types_are_as_strict_as_the_api_servers),
		cmocka_unit_test(faults_of_all_documents_come_together),
		cmocka_unit_test(a_fault_of_the_yaml_does_not_hide_those_before_it),
		cmocka_unit_test(a_pod_needs_a_name_of_its_own),
		cmocka_unit_test(faults_of_the_yaml_itself_are_passed_on),
		cmocka_unit_test(a_manifest_cut_anywhere_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
