#include "controller/config/cluster_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"

static struct cluster_config *read_good(const char *text)
{
	struct cluster_config *config = NULL;
	struct err err = { 0 };

	if (cluster_config_read("c.yaml", text, strlen(text), &config, &err) < 0)
		fail_msg("%s", err.msg);
	return config;
}

static void expect_fault(const char *text, const char *message)
{
	struct cluster_config *config = (void *)&config;
	struct err err = { 0 };

	assert_int_equal(cluster_config_read("c.yaml", text, strlen(text), &config, &err), -1);
	assert_ptr_equal(config, &config); /* untouched */
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
}

/* The file beside this source, NUL-terminated. */
static char *read_data(const char *name)
{
	char path[256];
	cleanup_free char *text = calloc(1, 65536);
	const char *slash = strrchr(__FILE__, '/');
	FILE *f;

	snprintf(path, sizeof(path), "%.*s/data/%s", (int)(slash - __FILE__), __FILE__, name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("no %s: run from the top folder", path);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return TAKE(text);
}

static void without_a_file_there_is_one_control_plane(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = cluster_config_new();

	(void)state;
	assert_string_equal(config->name, "");
	assert_int_equal(config->node_count, 1);
	assert_int_equal(config->nodes[0].role, NODE_CONTROL_PLANE);
	assert_string_equal(config->nodes[0].image, "");
	assert_string_equal(config->nodes[0].name, "");
	assert_string_equal(config->api_server_address, "");
	assert_int_equal(config->api_server_port, 0);
	assert_string_equal(config->kube_proxy_mode, "");
	assert_false(config->has_dns_search);
	assert_int_equal(config->warnings.count, 0);
}

static void nodes_are_appended_with_defaults(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = cluster_config_new();
	struct node_config *node = cluster_config_add_node(config, NODE_WORKER);

	(void)state;
	assert_non_null(node);
	assert_int_equal(config->node_count, 2);
	assert_ptr_equal(node, &config->nodes[1]);
	assert_int_equal(node->role, NODE_WORKER);
	assert_string_equal(node->image, "");
}

static void the_smallest_file_is_the_default_cluster(void **state)
{
	static const char *const files[] = {
		HEAD, HEAD "nodes: []\n", HEAD "nodes:\nnetworking:\nname: \"\"\n",
		"{\"kind\":\"Cluster\",\n\t\"apiVersion\":\"kind.x-k8s.io/v1alpha4\"}"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = read_good(files[i]);

		assert_string_equal(config->name, "");
		assert_int_equal(config->node_count, 1);
		assert_int_equal(config->nodes[0].role, NODE_CONTROL_PLANE);
		assert_int_equal(config->warnings.count, 0);
	}
}

static void check_first_node(const struct node_config *node)
{
	assert_int_equal(node->role, NODE_CONTROL_PLANE);
	assert_int_equal(strncmp(node->image, "localhost/node:1@sha256:0", 25), 0);
	assert_int_equal(node->labels.count, 4);
	assert_string_equal(kv_get(&node->labels, "tier"), "front");
	assert_string_equal(kv_get(&node->labels, "example.com/gr\xc3\xb6\xc3\x9f"
						  "e"),
			    "3");
	assert_string_equal(kv_get(&node->labels, "fast"), "true");
	assert_string_equal(kv_get(&node->labels, "bare"), "");
}

static void check_mounts(const struct node_config *node)
{
	assert_int_equal(node->mount_count, 2);
	assert_string_equal(node->mounts[0].host_path, "./data");
	assert_string_equal(node->mounts[0].container_path, "/data");
	assert_true(node->mounts[0].readonly);
	assert_true(node->mounts[0].selinux_relabel);
	assert_int_equal(node->mounts[0].propagation, MOUNT_HOST_TO_CONTAINER);
	assert_false(node->mounts[1].readonly);
	assert_int_equal(node->mounts[1].propagation, MOUNT_BIDIRECTIONAL);
}

static void check_ports(const struct node_config *node)
{
	assert_int_equal(node->port_count, 3);
	assert_int_equal(node->ports[0].container_port, 80);
	assert_int_equal(node->ports[0].host_port, 8080);
	assert_string_equal(node->ports[0].listen_address, "::1");
	assert_int_equal(node->ports[0].protocol, PORT_UDP);
	assert_int_equal(node->ports[1].host_port, -1);
	assert_int_equal(node->ports[1].protocol, PORT_SCTP);
	assert_string_equal(node->ports[1].listen_address, "");
	assert_int_equal(node->ports[2].host_port, 0);
	assert_int_equal(node->ports[2].protocol, PORT_TCP);
}

static void check_networking(const struct cluster_config *config)
{
	assert_int_equal(config->ip_family, IP_FAMILY_DUAL);
	assert_string_equal(config->api_server_address, "127.0.0.1");
	assert_int_equal(config->api_server_port, 6443);
	assert_string_equal(config->pod_subnet, "10.1.0.0/16,fd00:1::/56");
	assert_string_equal(config->service_subnet, "fd00:2::/112,10.2.0.0/16");
	assert_true(config->disable_default_cni);
	assert_string_equal(config->kube_proxy_mode, "nftables");
	assert_true(config->has_dns_search);
	assert_int_equal(config->dns_search.count, 2);
	assert_string_equal(config->dns_search.items[1], "two.example");
}

/* CN-093 CN-100 */
static void every_field_of_v1alpha4_is_read(void **state)
{
	cleanup_free char *text = read_data("cluster-full.yaml");
	cleanup_with(cluster_config) struct cluster_config *config = read_good(text);

	(void)state;
	assert_string_equal(config->name, "harbour");
	assert_int_equal(config->node_count, 3);
	check_first_node(&config->nodes[0]);
	check_mounts(&config->nodes[0]);
	check_ports(&config->nodes[0]);
	check_networking(config);
	assert_int_equal(config->nodes[2].role, NODE_WORKER);
	assert_string_equal(config->nodes[2].image, "");
}

static void fields_that_do_not_apply_warn_once_each(void **state)
{
	static const char *const warnings[] = {
		"c.yaml:5:1: 'featureGates' does not apply to Berth and is ignored",
		"c.yaml:8:1: 'runtimeConfig' does not apply to Berth and is ignored",
		"c.yaml:16:3: 'disableDefaultCNI' does not apply to Berth and is ignored",
		"c.yaml:17:3: 'kubeProxyMode' does not apply to Berth and is ignored",
		"c.yaml:21:1: 'kubeadmConfigPatches' does not apply to Berth and is ignored",
		"c.yaml:25:1: 'kubeadmConfigPatchesJSON6902' does not apply to Berth and is "
		"ignored",
		"c.yaml:33:1: 'containerdConfigPatches' does not apply to Berth and is ignored",
		"c.yaml:37:1: 'containerdConfigPatchesJSON6902' does not apply to Berth and is "
		"ignored",
	};
	cleanup_free char *text = read_data("cluster-full.yaml");
	cleanup_with(cluster_config) struct cluster_config *config = read_good(text);

	(void)state;
	assert_int_equal(config->warnings.count, ARRAY_LEN(warnings));
	for (size_t i = 0; i < ARRAY_LEN(warnings); i++)
		assert_string_equal(config->warnings.items[i], warnings[i]);
}

static void empty_fields_that_do_not_apply_say_nothing(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = read_good(
		HEAD "featureGates: {}\nkubeadmConfigPatches:\ncontainerdConfigPatches: []\n");

	(void)state;
	assert_int_equal(config->warnings.count, 0);
}

/* CN-100 */
static void an_unknown_propagation_is_none_with_a_warning(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = read_good(
		HEAD "nodes:\n- extraMounts:\n  - hostPath: /a\n    propagation: rslave\n");

	(void)state;
	assert_int_equal(config->nodes[0].mounts[0].propagation, MOUNT_PRIVATE);
	assert_int_equal(config->warnings.count, 1);
	assert_string_equal(
		config->warnings.items[0],
		"c.yaml:6:18: unknown propagation 'rslave' counts as 'None'; use 'None', "
		"'HostToContainer' or 'Bidirectional'");
}

static void an_empty_dns_search_differs_from_none(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *none =
		read_good(HEAD "networking: {dnsSearch: null}\n");
	cleanup_with(cluster_config) struct cluster_config *empty =
		read_good(HEAD "networking: {dnsSearch: []}\n");

	(void)state;
	assert_false(none->has_dns_search);
	assert_true(empty->has_dns_search);
	assert_int_equal(empty->dns_search.count, 0);
}

static void booleans_are_spelt_as_in_kind(void **state)
{
	static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "on", "ON", "y" };
	static const char *const no[] = { "false", "no", "NO", "off", "Off", "n", "null", "" };
	char text[200];

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(yes); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = NULL;
		const char *word = i % 2 ? yes[i / 2] : no[i / 2];

		snprintf(text, sizeof(text), HEAD "networking:\n  disableDefaultCNI: %s\n", word);
		config = read_good(text);
		assert_int_equal(config->disable_default_cni, i % 2);
	}
}

static void headers_must_match_exactly(void **state)
{
	(void)state;
	expect_fault("kind: Cluster\n", "c.yaml:1:1: apiVersion is missing; it must be "
					"'kind.x-k8s.io/v1alpha4'");
	expect_fault("apiVersion: kind.x-k8s.io/v1alpha3\nkind: Cluster\nwhat: 1\n",
		     "c.yaml:1:13: apiVersion 'kind.x-k8s.io/v1alpha3' is not supported; use "
		     "'kind.x-k8s.io/v1alpha4'");
	expect_fault("apiVersion: v1\nkind: cluster\n",
		     "c.yaml:1:13: apiVersion 'v1' is not supported; use 'kind.x-k8s.io/v1alpha4'; "
		     "c.yaml:2:7: kind 'cluster' is not supported; use 'Cluster'");
	expect_fault("apiVersion: kind.x-k8s.io/v1alpha4\nkind: 5\n",
		     "c.yaml:2:7: kind must be a string, not a number; quote it: \"5\"");
}

static void empty_input_is_said_to_be_empty(void **state)
{
	static const char *const texts[] = { "", "# nothing\n", "---\n---\n" HEAD, "null\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		expect_fault(texts[i], "c.yaml:1:1: the cluster file is empty; it needs at least "
				       "'kind: Cluster' and 'apiVersion: kind.x-k8s.io/v1alpha4'");
	expect_fault("- a\n", "c.yaml:1:1: the document must be a map, not a list");
	expect_fault("hello\n", "c.yaml:1:1: the document must be a map, not a string");
}

static void unknown_fields_are_errors_with_a_guess(void **state)
{
	(void)state;
	expect_fault(HEAD "nodes:\n- role: worker\n  imag: x\n",
		     "c.yaml:5:3: unknown field 'imag' in nodes[0]; did you mean 'image'?");
	expect_fault(HEAD "Name: x\n", "c.yaml:3:1: unknown field 'Name'; did you mean 'name'?");
	expect_fault(HEAD "networking:\n  dnsServers: []\n",
		     "c.yaml:4:3: unknown field 'dnsServers' in networking");
	expect_fault(
		HEAD "nodes:\n- extraMounts:\n  - hostpath: /a\n",
		"c.yaml:5:5: unknown field 'hostpath' in nodes[0].extraMounts[0]; did you mean "
		"'hostPath'?");
	expect_fault(HEAD "kubeadmConfigPatchesJSON6902:\n- name: x\n",
		     "c.yaml:4:3: unknown field 'name' in kubeadmConfigPatchesJSON6902[0]");
	expect_fault(HEAD "x: 1\n", "c.yaml:3:1: unknown field 'x'");
}

static void types_are_strict(void **state)
{
	(void)state;
	expect_fault(HEAD "name: 5\n",
		     "c.yaml:3:7: name must be a string, not a number; quote it: \"5\"");
	expect_fault(
		HEAD "nodes:\n- image: yes\n",
		"c.yaml:4:10: nodes[0].image must be a string, not a boolean; quote it: \"yes\"");
	expect_fault(HEAD "nodes: three\n", "c.yaml:3:8: nodes must be a list, not a string");
	expect_fault(HEAD "nodes:\n- worker\n", "c.yaml:4:3: nodes[0] must be a map, not a string");
	expect_fault(HEAD "networking: []\n", "c.yaml:3:13: networking must be a map, not a list");
	expect_fault(HEAD "networking: {apiServerPort: \"80\"}\n",
		     "c.yaml:3:29: networking.apiServerPort must be a whole number, not a string");
	expect_fault(
		HEAD "networking: {disableDefaultCNI: \"yes\"}\n",
		"c.yaml:3:33: networking.disableDefaultCNI must be true or false, not a string");
	expect_fault(HEAD "networking: {dnsSearch: a}\n",
		     "c.yaml:3:25: networking.dnsSearch must be a list, not a string");
	expect_fault(
		HEAD "networking: {dnsSearch: [a, 1]}\n",
		"c.yaml:3:29: networking.dnsSearch[1] must be a string, not a number; quote it: "
		"\"1\"");
	expect_fault(HEAD "nodes:\n- labels: {a: [b]}\n",
		     "c.yaml:4:15: nodes[0].labels.a must be a string, not a list");
	expect_fault(HEAD "featureGates: {A: 1}\n",
		     "c.yaml:3:19: featureGates.A must be true or false, not a number");
	expect_fault(HEAD "kubeadmConfigPatches: [{a: b}]\n",
		     "c.yaml:3:24: kubeadmConfigPatches[0] must be a string, not a map");
}

/* CN-097 */
static void ports_are_within_their_range(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = read_good(
		HEAD "nodes:\n- extraPortMappings: [{containerPort: 65535, hostPort: -1}]\n");

	(void)state;
	assert_int_equal(config->nodes[0].ports[0].container_port, 65535);
	expect_fault(
		HEAD "networking: {apiServerPort: 65536}\n",
		"c.yaml:3:29: networking.apiServerPort is 65536; it must be within -1 and 65535");
	expect_fault(
		HEAD "nodes:\n- extraPortMappings:\n  - hostPort: -2\n",
		"c.yaml:5:15: nodes[0].extraPortMappings[0].hostPort is -2; it must be within -1 "
		"and 65535");
	expect_fault(
		HEAD "networking: {apiServerPort: 80.5}\n",
		"c.yaml:3:29: networking.apiServerPort must be a whole number, not a fraction");
}

static void wrong_words_are_told_the_right_ones(void **state)
{
	(void)state;
	expect_fault(HEAD "nodes:\n- role: master\n",
		     "c.yaml:4:9: nodes[0].role is 'master'; use 'control-plane' or 'worker'");
	expect_fault(HEAD "networking: {ipFamily: IPv4}\n",
		     "c.yaml:3:24: networking.ipFamily is 'IPv4'; use 'ipv4', 'ipv6' or 'dual'");
	expect_fault(HEAD "networking: {kubeProxyMode: bpf}\n",
		     "c.yaml:3:29: networking.kubeProxyMode is 'bpf'; use 'iptables', 'ipvs', "
		     "'nftables' or 'none'");
	expect_fault(
		HEAD "nodes:\n- extraPortMappings:\n  - protocol: ICMP\n",
		"c.yaml:5:15: nodes[0].extraPortMappings[0].protocol is 'ICMP'; use 'TCP', 'UDP' "
		"or 'SCTP'");
}

static void addresses_are_addresses(void **state)
{
	(void)state;
	expect_fault(HEAD "networking: {apiServerAddress: localhost}\n",
		     "c.yaml:3:32: networking.apiServerAddress is 'localhost'; it must be an IP "
		     "address");
	expect_fault(
		HEAD "nodes:\n- extraPortMappings:\n  - listenAddress: 127.0.0\n",
		"c.yaml:5:20: nodes[0].extraPortMappings[0].listenAddress is '127.0.0'; it must "
		"be an IP address");
}

/* CN-084 */
static void subnets_fit_the_family(void **state)
{
	static const char *const good[] = {
		"{podSubnet: 10.0.0.0/16}", "{ipFamily: ipv6, podSubnet: 'fd00::/56'}",
		"{ipFamily: dual, serviceSubnet: '10.0.0.0/8,fd00::/112'}", "{podSubnet: ''}",
		"{ipFamily: dual, podSubnet: 10.0.0.0/8}"
	};
	static const char *const bad[] = {
		"10.0.0.0",    "10.0.0.0/33", "fd00::/56", "x/8",         "10.0.0.0/8, 10.1.0.0/16",
		"10.0.0.0/8,", ",",           "/8",        "10.0.0.0/-1", "10.0.0.0/08x"
	};
	char text[200], message[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(text, sizeof(text), HEAD "networking: %s\n", good[i]);
		cluster_config_free(read_good(text));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), HEAD "networking: {podSubnet: '%s'}\n", bad[i]);
		snprintf(message, sizeof(message),
			 "c.yaml:3:25: networking.podSubnet is '%s'; with ipFamily ipv4 it must be "
			 "one IPv4 subnet such as 10.244.0.0/16",
			 bad[i]);
		expect_fault(text, message);
	}
	expect_fault(HEAD "networking: {ipFamily: dual, serviceSubnet: '10.0.0.0/8,11.0.0.0/8'}\n",
		     "c.yaml:3:45: networking.serviceSubnet is '10.0.0.0/8,11.0.0.0/8'; with "
		     "ipFamily dual it must be a subnet, or an IPv4 and an IPv6 one with a comma "
		     "between");
}

static void workers_alone_are_no_cluster(void **state)
{
	(void)state;
	expect_fault(HEAD "nodes:\n- role: worker\n",
		     "c.yaml:4:1: nodes has no node with the role 'control-plane'; at least one is "
		     "needed");
}

static void all_faults_are_reported_together(void **state)
{
	(void)state;
	expect_fault(HEAD "nmae: x\nnodes:\n- role: boss\n  image: 1\n",
		     "c.yaml:3:1: unknown field 'nmae'; did you mean 'name'?; "
		     "c.yaml:5:9: nodes[0].role is 'boss'; use 'control-plane' or 'worker'; "
		     "c.yaml:6:10: nodes[0].image must be a string, not a number; quote it: \"1\"");
}

static void faults_that_do_not_fit_are_counted(void **state)
{
	struct cluster_config *config = NULL;
	struct text t = { 0 };
	struct err err;

	(void)state;
	text_add(&t, HEAD);
	for (int i = 0; i < 3000; i++)
		text_addf(&t, "unheard%d: x\n", i);
	assert_int_equal(cluster_config_read("c.yaml", t.data, t.len, &config, &err), -1);
	assert_int_equal(strncmp(err.msg, "c.yaml:3:1: unknown field 'unheard0'; c.yaml:4:1: ", 49),
			 0);
	assert_non_null(strstr(err.msg, "unknown field 'unheard11' (and 2988 more)"));
	text_release(&t);
}

/* I6 */
static void faults_of_the_yaml_itself_are_passed_on(void **state)
{
	(void)state;
	expect_fault(HEAD "name: a\nname: b\n", "c.yaml:4:1: duplicate key 'name', first at 3:1");
	expect_fault(HEAD "x: &a {}\n",
		     "c.yaml:3:7: anchors and aliases are not supported; write the "
		     "value out");
	expect_fault(HEAD "nodes:\n\t- role: worker\n",
		     "c.yaml:4:1: tab character may not be used as indentation");
}

static void long_and_odd_names_are_clipped_whole(void **state)
{
	struct cluster_config *config = NULL;
	struct text t = { 0 };
	struct err err;

	(void)state;
	text_add(&t, HEAD);
	for (int i = 0; i < 500; i++)
		text_add(&t, "\xe2\x82\xac");
	text_add(&t, ": 1\n");
	assert_int_equal(cluster_config_read("c.yaml", t.data, t.len, &config, &err), -1);
	assert_int_equal(strlen(err.msg), strlen("c.yaml:3:1: unknown field ''") + 60);
	text_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_there_is_one_control_plane),
		cmocka_unit_test(nodes_are_appended_with_defaults),
		cmocka_unit_test(the_smallest_file_is_the_default_cluster),
		cmocka_unit_test(every_field_of_v1alpha4_is_read),
		cmocka_unit_test(fields_that_do_not_apply_warn_once_each),
		cmocka_unit_test(empty_fields_that_do_not_apply_say_nothing),
		cmocka_unit_test(an_unknown_propagation_is_none_with_a_warning),
		cmocka_unit_test(an_empty_dns_search_differs_from_none),
		cmocka_unit_test(booleans_are_spelt_as_in_kind),
		cmocka_unit_test(headers_must_match_exactly),
		cmocka_unit_test(empty_input_is_said_to_be_empty),
		cmocka_unit_test(unknown_fields_are_errors_with_a_guess),
		cmocka_unit_test(types_are_strict),
		cmocka_unit_test(ports_are_within_their_range),
		cmocka_unit_test(wrong_words_are_told_the_right_ones),
		cmocka_unit_test(addresses_are_addresses),
		cmocka_unit_test(subnets_fit_the_family),
		cmocka_unit_test(workers_alone_are_no_cluster),
		cmocka_unit_test(all_faults_are_reported_together),
		cmocka_unit_test(faults_that_do_not_fit_are_counted),
		cmocka_unit_test(faults_of_the_yaml_itself_are_passed_on),
		cmocka_unit_test(long_and_odd_names_are_clipped_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
