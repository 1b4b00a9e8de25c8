/*
 * What can be asked of a cluster, on real podman: both families, limits, ports, an address of one's own
 * in a network that is there already. The tests share two clusters and run in order.
 */
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const char *cluster, *guest;
static char control_plane[64], worker[64];

static int create_cluster(void **state)
{
	(void)state;
	cluster = e2e_cluster_name("dual");
	guest = e2e_cluster_name("guest");
	snprintf(control_plane, sizeof(control_plane), "%s-control-plane", cluster);
	snprintf(worker, sizeof(worker), "%s-worker", cluster);
	e2e_ok("create", "cluster", "--name", cluster, "--workers", "1", "--ip-family", "dual",
	       "--memory", "2g", "--cpus", "2", "--label", "tier=x", "--env", "WANTED=yes",
	       "--dns-search", "dual.example", "--mount", "/etc:/host-etc:ro", "-p", "[::1]::80",
	       "-p", "127.0.0.1::81/udp", (char *)NULL);
	return 0;
}

static int remove_clusters(void **state)
{
	(void)state;
	e2e_run(60, "delete", "cluster", guest, (char *)NULL);
	e2e_clean(cluster);
	return 0;
}

/* What `podman inspect` says of a node. Caller frees. */
static char *inspect(const char *node, const char *format)
{
	return e2e_stdout_of("podman", "inspect", "--format", format, node, (char *)NULL);
}

static void assert_inspect(const char *node, const char *format, const char *expected)
{
	cleanup_free char *text = inspect(node, format);

	assert_string_equal(text, expected);
}

#define IP6    "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}"
#define SUBNET "{{range .NetworkSettings.Networks}}{{.IPPrefixLen}} {{.GlobalIPv6PrefixLen}}{{end}}"

/* CN-032 CN-072 CN-080: the addresses that were planned, in both families. */
static void nodes_have_addresses_of_both_families(void **state)
{
	cleanup_free char *one = inspect(control_plane, IP6), *two = inspect(worker, IP6);

	(void)state;
	assert_int_equal(strncmp(one, "fc00:", 5), 0);
	assert_non_null(strstr(one, "::2"));
	assert_non_null(strstr(two, "::3"));
	assert_int_equal(strlen(one), strlen(two));
	assert_int_equal(strncmp(one, two, strlen(one) - 1), 0);
	assert_inspect(worker, SUBNET, "24 64");
}

/* CN-002 CN-036 */
static void limits_and_wishes_hold(void **state)
{
	cleanup_free char *resolv = NULL, *env = NULL, *file = NULL;

	(void)state;
	assert_inspect(worker, "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}",
		       "2147483648 2000000000");
	assert_inspect(worker, "{{index .Config.Labels \"io.berth.node-label/tier\"}}", "x");
	resolv = e2e_stdout_of("podman", "exec", worker, "cat", "/etc/resolv.conf", (char *)NULL);
	assert_non_null(strstr(resolv, "search dual.example"));
	env = e2e_stdout_of("podman", "exec", worker, "printenv", "WANTED", (char *)NULL);
	assert_string_equal(env, "yes");
	file = e2e_stdout_of("podman", "exec", worker, "ls", "/host-etc/hostname", (char *)NULL);
	assert_string_equal(file, "/host-etc/hostname");
}

static json_object *port_of(json_object *node, int container_port)
{
	json_object *ports = json_object_object_get(node, "ports");

	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		json_object *port = json_object_array_get_idx(ports, i);

		if (json_object_get_int(json_object_object_get(port, "containerPort")) ==
		    container_port)
			return port;
	}
	fail_msg("port %d is not published", container_port);
	return NULL;
}

/* CN-090 CN-094 CN-095 */
static void ports_are_published_where_they_were_wanted(void **state)
{
	static const struct {
		int port;
		const char *host;
		const char *protocol;
	} rows[] = { { 80, "::1", "TCP" },
		     { 81, "127.0.0.1", "UDP" },
		     { 6443, "127.0.0.1", "TCP" } };
	json_object *nodes = e2e_json("get", "nodes", "--name", cluster, (char *)NULL);
	json_object *node = e2e_find(nodes, "name", control_plane);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_object *port = port_of(node, rows[i].port);

		assert_string_equal(e2e_text(port, "host"), rows[i].host);
		assert_string_equal(e2e_text(port, "protocol"), rows[i].protocol);
		assert_in_range(json_object_get_int(json_object_object_get(port, "hostPort")), 1,
				65535);
	}
	json_object_put(nodes);
}

/* CN-098: the engine is not even asked. */
static void port_in_use_is_refused_and_nothing_is_made(void **state)
{
	json_object *nodes = e2e_json("get", "nodes", "--name", cluster, (char *)NULL);
	json_object *port = port_of(e2e_find(nodes, "name", control_plane), 6443);
	struct e2e_output output;
	char mapping[32];

	(void)state;
	snprintf(mapping, sizeof(mapping), "%d:80",
		 json_object_get_int(json_object_object_get(port, "hostPort")));
	json_object_put(nodes);
	output = e2e_run(60, "create", "cluster", guest, "-p", mapping, "-o", "json", (char *)NULL);
	assert_int_equal(output.exit_code, 4);
	assert_non_null(strstr(output.errs, "\"PORT_IN_USE\""));
	e2e_release(&output);
	assert_int_equal(e2e_containers(guest), 0);
}

/* CN-081: by the lowest free place, in both families. */
static void added_node_is_in_both_families(void **state)
{
	char name[64];
	cleanup_free char *ip6 = NULL;

	(void)state;
	snprintf(name, sizeof(name), "%s-more", cluster);
	e2e_ok("create", "node", name, "--name", cluster, (char *)NULL);
	ip6 = inspect(name, IP6);
	assert_non_null(strstr(ip6, "::4"));
}

/* CN-051 CN-060 CN-061 CN-275: in a network of another cluster, which outlives its guest. */
static void guest_has_its_address_in_a_network_that_is_there(void **state)
{
	json_object *nodes = e2e_json("get", "nodes", "--name", cluster, (char *)NULL);
	char node[64], ip[32];
	const char *first = e2e_text(e2e_find(nodes, "name", control_plane), "ip");

	(void)state;
	snprintf(ip, sizeof(ip), "%.*s.77", (int)(strrchr(first, '.') - first), first);
	json_object_put(nodes);
	e2e_ok("create", "cluster", guest, "--network", cluster, "--static-ip", ip, (char *)NULL);
	snprintf(node, sizeof(node), "%s-control-plane", guest);
	assert_inspect(node, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", ip);
	e2e_ok("delete", "cluster", guest, (char *)NULL);
	e2e_ok("health", "--name", cluster, (char *)NULL);
	e2e_assert_nothing_left(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_have_addresses_of_both_families),
		cmocka_unit_test(limits_and_wishes_hold),
		cmocka_unit_test(ports_are_published_where_they_were_wanted),
		cmocka_unit_test(port_in_use_is_refused_and_nothing_is_made),
		cmocka_unit_test(added_node_is_in_both_families),
		cmocka_unit_test(guest_has_its_address_in_a_network_that_is_there),
	};

	return cmocka_run_group_tests_name("create", tests, create_cluster, remove_clusters);
}
