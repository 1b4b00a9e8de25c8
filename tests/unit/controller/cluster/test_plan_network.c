/* Where nodes go and how they are reached: networks, addresses, the balancer. */
#include "controller/cluster/cluster.h"
#include "tests/support/control.h"
#include "tests/support/plan_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* CN-001 CN-002 CN-036 CN-110: whatever is wanted of a node reaches the engine's plan. */
static void wishes_of_a_node_are_in_its_step(void **state)
{
	struct plan_rig *rig = *state;
	struct node_config *node = &rig->config->nodes[1];
	struct mount_config *mount = node_config_add_mount(node);

	node->memory_bytes = 2048;
	node->cpus_milli = 1500;
	plan_rig_set(&node->gpus, "all");
	plan_rig_set(&mount->host_path, "/h");
	plan_rig_set(&mount->container_path, "/c");
	assert_true(kv_add(&node->env, "A", "1"));
	assert_true(kv_add(&node->env, "http_proxy", "mine"));
	assert_true(kv_add(&node->labels, "tier", "x"));
	assert_true(kv_add(&rig->found.env, "HTTP_PROXY", "http://p:1"));
	rig->config->has_dns_search = true;
	strv_add(&rig->config->dns_search, "a.example");
	plan_rig_has(rig, "create/c-worker",
		     " | --memory=2048 | --cpus-milli=1500 | --gpus=all | --dns-search=a.example | "
		     "--mount=/h:/c | --env=HTTP_PROXY=http://p:1 | ");
	plan_rig_has(rig, "create/c-worker",
		     " | --env=A=1 | --env=http_proxy=mine | --label=tier=x");
	plan_rig_lacks(rig, "create/c-control-plane", "--memory");
	plan_rig_has(rig, "create/c-control-plane", " | --env=http_proxy=http://p:1");
	strv_release(&rig->config->dns_search);
	plan_rig_has(rig, "create/c-worker", " | --no-dns-search");
	rig->config->has_dns_search = false;
	plan_rig_lacks(rig, "create/c-worker", "dns-search");
}

/* CN-032 CN-072: of the same name on every host, with the IPv4 addresses beside. */
static void both_families_have_static_addresses(void **state)
{
	static const enum ip_family families[] = { IP_FAMILY_DUAL, IP_FAMILY_V6 };
	struct plan_rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		rig->config->ip_family = families[i];
		plan_rig_has(rig, "network",
			     "fake | network-create | c | --subnet=192.168.49.0/24 | --cluster=c | "
			     "--subnet6=fc00:dd2f:f54b:4fdc::/64");
		plan_rig_has(rig, "create/c-control-plane", " | --ip6=fc00:dd2f:f54b:4fdc::2");
		plan_rig_has(rig, "create/c-worker", " | --ip=192.168.49.3 | ");
		plan_rig_has(rig, "create/c-worker", " | --ip6=fc00:dd2f:f54b:4fdc::3");
	}
	/* CN-074: what the engine cannot do, plans do without. */
	rig->found.ipv6_refused = true;
	plan_rig_lacks(rig, "network", "--subnet6");
	plan_rig_lacks(rig, "create/c-worker", "--ip6");
}

/* CN-051 */
static void network_without_ipv6_cannot_serve_both_families(void **state)
{
	struct plan_rig *rig = *state;
	struct network *network = plan_rig_network(rig, "c", "10.9.0.0/16", "");

	rig->config->ip_family = IP_FAMILY_DUAL;
	plan_rig_refused(rig, "NETWORK_UNUSABLE");
	plan_rig_set(&network->subnet6, "fd00:9::/64");
	plan_rig_set(&network->gateway, "10.9.0.5");
	plan_rig_has(rig, "create/c-worker", " | --ip=10.9.0.2 | ");
	plan_rig_has(rig, "create/c-worker", " | --ip6=fd00:9::3");
}

/* CN-050 CN-070 */
static void named_network_is_used_or_made(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_set(&rig->config->network, "lan");
	plan_rig_has(rig, "network",
		     "fake | network-create | lan | --subnet=192.168.49.0/24 | "
		     "--cluster=c");
	plan_rig_network(rig, "lan", "10.9.0.0/16", "");
	plan_rig_has(rig, "create/c-worker", " | --ip=10.9.0.3 | ");
	plan_rig_set(&rig->config->network, "podman");
	plan_rig_has(rig, "create/c-worker", " | --ip= | ");
}

/* CN-052 */
static void mtu_is_the_engines_own_networks(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_network(rig, "podman", "10.88.0.0/16", "")->mtu = 1400;
	plan_rig_has(rig, "network", " | --mtu=1400");
}

/* CN-053 */
static void search_for_a_subnet_begins_where_wanted(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	plan_rig_set(&rig->config->subnet, "10.20.30.0/24");
	plan_rig_has(rig, "create/c-worker", " | --ip=10.20.30.3 | ");
	strv_add(&rig->found.bad_subnets, "10.20.30.0/24");
	plan_rig_has(rig, "create/c-worker", " | --ip=10.29.30.3 | ");
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	assert_int_equal(plan.warnings.count, 1);
	assert_string_equal(plan.warnings.items[0], "the subnet 10.20.30.0/24 is taken: the "
						    "cluster gets 10.29.30.0/24");
}

/* CN-060: the network is made around it, and nobody else gets it. */
static void static_address_is_the_first_control_planes(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_set(&rig->config->nodes[0].static_ip, "10.7.7.3");
	plan_rig_set(&rig->config->subnet, "10.20.30.0/24");
	plan_rig_has(rig, "network", " | --subnet=10.7.7.0/24 | ");
	plan_rig_has(rig, "create/c-control-plane",
		     " | --index=1 | --image=img | --ip=10.7.7.3 | ");
	plan_rig_has(rig, "create/c-worker", " | --index=3 | --image=img | --ip=10.7.7.4 | ");
	/* CN-055: no other subnet has it. */
	strv_add(&rig->found.bad_subnets, "10.7.7.0/24");
	plan_rig_refused(rig, "SUBNET_TAKEN");
}

/* CN-006 CN-018 CN-060 */
static void static_address_must_have_a_place(void **state)
{
	struct plan_rig *rig = *state;
	struct network *network = plan_rig_network(rig, "c", "10.9.0.0/16", "");

	plan_rig_set(&rig->config->nodes[0].static_ip, "10.8.0.7");
	plan_rig_refused(rig, "IP_OUTSIDE_SUBNET");
	plan_rig_set(&rig->config->nodes[0].static_ip, "10.9.0.7");
	plan_rig_has(rig, "create/c-control-plane", " | --ip=10.9.0.7 | ");
	plan_rig_set(&network->gateway, "10.9.0.7");
	plan_rig_refused(rig, "IP_IN_USE");
	plan_rig_set(&network->gateway, "");
	strv_add(&rig->found.bad_ips, "10.9.0.7");
	plan_rig_refused(rig, "IP_IN_USE");
	plan_rig_set(&rig->config->network, "podman");
	plan_rig_refused(rig, "NETWORK_UNUSABLE");
}

/* CN-058 */
static void without_a_subnet_the_engines_network_will_do_when_allowed(void **state)
{
	struct plan_rig *rig = *state;

	plan_rig_network(rig, "wide", "192.168.0.0/16", "");
	plan_rig_refused(rig, "SUBNETS_EXHAUSTED");
	rig->options.allow_default_network = true;
	plan_rig_has(rig, "create/c-worker", " | --ip= | ");
	plan_rig_set(&rig->config->nodes[0].static_ip, "192.168.9.9");
	plan_rig_refused(rig, "SUBNET_TAKEN");
}

/* An address that somebody has in a network of theirs is passed over. */
static void refused_addresses_are_passed_over(void **state)
{
	struct plan_rig *rig = *state;

	strv_add(&rig->found.bad_ips, "192.168.49.2");
	plan_rig_has(rig, "create/c-control-plane",
		     " | --index=2 | --image=img | --ip=192.168.49.3");
	plan_rig_has(rig, "create/c-worker", " | --index=3 | --image=img | --ip=192.168.49.4");
}

/* CN-260 CN-261 CN-263 CN-264 */
static void several_control_planes_stand_behind_a_balancer(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	const struct step *step;
	struct err err;

	plan_rig_start_again(rig, 2, 0);
	rig->config->api_server_port = 7443;
	plan_rig_set(&rig->config->api_server_address, "10.1.1.1");
	plan_rig_complete(rig);
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	plan_rig_expect(
		&plan,
		"image\n"
		"image-2\n"
		"network\n"
		"directory/c-control-plane <- network\n"
		"create/c-control-plane <- directory/c-control-plane image image-2 network\n"
		"ready/c-control-plane <- create/c-control-plane\n"
		"directory/c-control-plane2 <- network\n"
		"create/c-control-plane2 <- directory/c-control-plane2 image image-2 network\n"
		"ready/c-control-plane2 <- create/c-control-plane2\n"
		"directory/c-external-load-balancer <- network\n"
		"create/c-external-load-balancer <- directory/c-external-load-balancer image "
		"image-2 network\n"
		"ready/c-external-load-balancer <- create/c-external-load-balancer\n"
		"balancer/c-external-load-balancer <- create/c-control-plane "
		"create/c-control-plane2 create/c-external-load-balancer "
		"ready/c-external-load-balancer\n");
	control_assert_argv(plan_find(&plan, "image-2"), "fake | image-check | " CLUSTER_LB_IMAGE);
	step = plan_find(&plan, "balancer/c-external-load-balancer");
	assert_int_equal(step->action, STEP_BALANCER_CONFIGURE);
	assert_int_equal(step->role, NODE_LOAD_BALANCER);
	assert_string_equal(step->run_dir, "/s/nodes/c-external-load-balancer");
	assert_int_equal(step->argv.count, 0);
	assert_int_equal(step->backends.count, 2);
	assert_string_equal(step->backends.items[0], "c-control-plane=192.168.49.2");
	assert_string_equal(step->backends.items[1], "c-control-plane2=192.168.49.3");
	plan_rig_has(rig, "create/c-external-load-balancer", " | --publish=10.1.1.1/7443:6443");
	plan_rig_has(rig, "create/c-control-plane", " | --publish=127.0.0.1/0:6443");
}

/* Only its agent can be told anything. */
static void balancer_is_waited_for_even_without_wait(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	plan_rig_start_again(rig, 2, 0);
	plan_rig_complete(rig);
	rig->options.wait = false;
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	assert_null(plan_find(&plan, "ready/c-control-plane"));
	assert_non_null(plan_find(&plan, "ready/c-external-load-balancer"));
	assert_true(strv_has(&plan_find(&plan, "balancer/c-external-load-balancer")->after,
			     "ready/c-external-load-balancer"));
}

/* CN-263: "::" is where a cluster of IPv6 is called. */
static void balancer_of_ipv6_calls_by_ipv6(void **state)
{
	struct plan_rig *rig = *state;
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	plan_rig_start_again(rig, 2, 0);
	rig->config->ip_family = IP_FAMILY_V6;
	plan_rig_complete(rig);
	assert_int_equal(plan_rig_plan(rig, &plan, &err), 0);
	assert_string_equal(
		plan_find(&plan, "balancer/c-external-load-balancer")->backends.items[0],
		"c-control-plane=fc00:dd2f:f54b:4fdc::2");
	plan_rig_has(rig, "create/c-control-plane", " | --publish=::1/0:6443");
}

static int plan_add_one(struct plan_rig *rig, const struct node_config *node, struct plan *plan,
			struct err *err)
{
	return cluster_plan_add_node(&rig->ctx, node, &rig->options, &rig->found, plan, err);
}

/* A control plane that joins is told to the balancer, beside those that are there. */
static void added_control_plane_is_told_to_the_balancer(void **state)
{
	struct plan_rig *rig = *state;
	struct node_config node = { .role = NODE_CONTROL_PLANE,
				    .name = (char *)"c-cp3",
				    .image = (char *)"i" };
	cleanup_with(plan) struct plan plan = { 0 };
	cleanup_with(plan) struct plan worker = { 0 };
	struct node *present;
	const struct step *step;
	struct err err;

	present = plan_rig_node(rig, "c-control-plane", "c", NODE_CONTROL_PLANE, NODE_RUNNING, 1);
	plan_rig_set(&present->ip, "192.168.58.2");
	present = plan_rig_node(rig, "c-lb", "c", NODE_LOAD_BALANCER, NODE_RUNNING, 2);
	plan_rig_set(&present->ip, "192.168.58.3");
	plan_rig_network(rig, "c", "192.168.58.0/24", "c");
	assert_int_equal(plan_add_one(rig, &node, &plan, &err), 0);
	step = plan_find(&plan, "balancer/c-lb");
	assert_non_null(step);
	assert_string_equal(step->run_dir, "/s/nodes/x");
	assert_int_equal(step->backends.count, 2);
	assert_string_equal(step->backends.items[0], "c-cp3=192.168.58.4");
	assert_string_equal(step->backends.items[1], "c-control-plane=192.168.58.2");
	assert_int_equal(step->after.count, 1);
	assert_string_equal(step->after.items[0], "create/c-cp3");
	node.role = NODE_WORKER;
	assert_int_equal(plan_add_one(rig, &node, &worker, &err), 0);
	assert_null(plan_find(&worker, "balancer/c-lb"));
}

/* By its label, else by the addresses of the nodes that are there. */
static void added_node_goes_where_the_others_are(void **state)
{
	struct plan_rig *rig = *state;
	struct node_config node = { .name = (char *)"c-w", .image = (char *)"i" };
	cleanup_with(plan) struct plan plan = { 0 };
	struct node *present;
	struct network *lan;
	char *words;
	struct err err;

	present = plan_rig_node(rig, "c-a", "c", NODE_CONTROL_PLANE, NODE_RUNNING, 1);
	plan_rig_set(&present->ip, "10.3.0.2");
	plan_rig_set(&present->ip6, "fd00:3::2");
	plan_rig_network(rig, "other", "192.168.49.0/24", "d");
	lan = plan_rig_network(rig, "lan", "10.3.0.0/24", "");
	plan_rig_set(&lan->subnet6, "fd00:3::/64");
	assert_int_equal(plan_add_one(rig, &node, &plan, &err), 0);
	assert_null(plan_find(&plan, "network"));
	words = control_argv(&plan_find(&plan, "create/c-w")->argv);
	assert_non_null(strstr(words, " | --ip=10.3.0.3 | "));
	assert_non_null(strstr(words, " | --ip6=fd00:3::3"));
	free(words);
	node.static_ip = (char *)"10.3.0.2";
	assert_int_equal(plan_add_one(rig, &node, &(struct plan){ 0 }, &err), -1);
	assert_string_equal(err.reason, "IP_IN_USE");
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, plan_rig_set_up, plan_rig_tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(wishes_of_a_node_are_in_its_step),
		RIGGED(both_families_have_static_addresses),
		RIGGED(network_without_ipv6_cannot_serve_both_families),
		RIGGED(named_network_is_used_or_made),
		RIGGED(mtu_is_the_engines_own_networks),
		RIGGED(search_for_a_subnet_begins_where_wanted),
		RIGGED(static_address_is_the_first_control_planes),
		RIGGED(static_address_must_have_a_place),
		RIGGED(without_a_subnet_the_engines_network_will_do_when_allowed),
		RIGGED(refused_addresses_are_passed_over),
		RIGGED(several_control_planes_stand_behind_a_balancer),
		RIGGED(balancer_is_waited_for_even_without_wait),
		RIGGED(balancer_of_ipv6_calls_by_ipv6),
		RIGGED(added_control_plane_is_told_to_the_balancer),
		RIGGED(added_node_goes_where_the_others_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
