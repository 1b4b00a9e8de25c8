#include "controller/cluster/cluster.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cluster_config *config_of(size_t control_planes, size_t workers)
{
	struct cluster_config *config = cluster_config_new();

	assert_non_null(config);
	for (size_t i = 1; i < control_planes; i++)
		assert_non_null(cluster_config_add_node(config, NODE_CONTROL_PLANE));
	for (size_t i = 0; i < workers; i++)
		assert_non_null(cluster_config_add_node(config, NODE_WORKER));
	return config;
}

static void add_port(struct node_config *node, const char *address, int host_port,
		     int container_port)
{
	node->ports = realloc(node->ports, (node->port_count + 1) * sizeof(*node->ports));
	assert_non_null(node->ports);
	node->ports[node->port_count++] =
		(struct port_mapping){ container_port, host_port, strdup(address), PORT_TCP };
}

static void add_mount(struct node_config *node, const char *host, const char *container)
{
	node->mounts = realloc(node->mounts, (node->mount_count + 1) * sizeof(*node->mounts));
	assert_non_null(node->mounts);
	node->mounts[node->mount_count++] =
		(struct mount_config){ .host_path = strdup(host),
				       .container_path = strdup(container) };
}

static void plain_set(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	assert_non_null(*field);
}

static int check(struct cluster_config *config, struct err *err)
{
	return cluster_spec_check("c", NULL, config, NULL, err);
}

/* CN-083 */
static void nodes_are_named_by_role_and_number(void **state)
{
	static const char *const names[] = { "c-control-plane", "c-control-plane2",
					     "c-worker",        "c-worker2",
					     "c-worker3",       "c-external-load-balancer" };
	cleanup_with(cluster_config) struct cluster_config *config = config_of(2, 3);
	struct err err;

	(void)state;
	assert_int_equal(check(config, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(config->nodes[i].name, names[i]);
}

/* CN-083 I7 */
static void cluster_names_are_checked(void **state)
{
	static const char *const bad[] = {
		"",    "-c", "c-",  "C",   "a b",
		"a/b", ".",  "a;b", "c\n", "a23456789012345678901234567890123456789012345678901"
	};
	static const char *const good[] = { "c", "a.b-c", "0",
					    "a2345678901234567890123456789012345678901234567890" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);

		assert_int_equal(cluster_spec_check(bad[i], NULL, config, NULL, &err), -1);
		assert_string_equal(err.reason, "NAME_INVALID");
	}
	for (size_t i = 0; i + 1 < ARRAY_LEN(good); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);

		assert_int_equal(cluster_spec_check(good[i], NULL, config, NULL, &err), 0);
	}
	{
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);

		/* Good by itself, but its node's name would be too long for a host name. */
		assert_int_equal(cluster_spec_check(good[3], NULL, config, NULL, &err), -1);
		assert_string_equal(err.reason, "NAME_INVALID");
	}
}

static void image_of_the_command_line_wins_then_the_configs(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 1);
	struct err err;

	(void)state;
	free(config->nodes[1].image);
	config->nodes[1].image = strdup("mine:2");
	assert_int_equal(check(config, &err), 0);
	assert_string_equal(config->nodes[0].image, CLUSTER_DEFAULT_IMAGE);
	assert_string_equal(config->nodes[1].image, "mine:2");
	assert_int_equal(cluster_spec_check("c", "all:1", config, NULL, &err), 0);
	assert_string_equal(config->nodes[0].image, "all:1");
	assert_string_equal(config->nodes[1].image, "all:1");
}

/* CN-097 */
static void two_mappings_of_one_host_port_are_refused(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		int port;
		bool clash;
	} rows[] = {
		{ "127.0.0.1", "127.0.0.1", 80, true },  { "", "127.0.0.1", 80, true },
		{ "0.0.0.0", "127.0.0.1", 80, true },    { "10.0.0.1", "0.0.0.0", 80, true },
		{ "127.0.0.1", "127.0.0.2", 80, false }, { "127.0.0.1", "127.0.0.1", 0, false },
		{ "127.0.0.1", "127.0.0.1", -1, false },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 1);
		int rc;

		add_port(&config->nodes[0], rows[i].a, rows[i].port, 1);
		add_port(&config->nodes[1], rows[i].b, rows[i].port, 2);
		rc = check(config, &err);
		assert_int_equal(rc, rows[i].clash ? -1 : 0);
		if (rc < 0)
			assert_string_equal(err.reason, "PORT_TWICE");
	}
}

static void same_port_of_two_protocols_is_fine(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);
	struct err err;

	(void)state;
	add_port(&config->nodes[0], "", 53, 53);
	add_port(&config->nodes[0], "", 53, 53);
	config->nodes[0].ports[1].protocol = PORT_UDP;
	assert_int_equal(check(config, &err), 0);
}

/* CN-006 CN-097 */
static void ports_out_of_range_are_refused(void **state)
{
	static const int rows[][2] = {
		{ -2, 80 }, { 65536, 80 }, { 80, 0 }, { 80, 65536 }, { 80, -1 }
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);

		add_port(&config->nodes[0], "", rows[i][0], rows[i][1]);
		assert_int_equal(check(config, &err), -1);
		assert_string_equal(err.reason, "PORT_INVALID");
	}
}

/* CN-091 CN-092 */
static void open_ports_are_warned_of_and_addresses_checked(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);
	cleanup_with(strv) struct strv warnings = { 0 };
	struct err err;

	(void)state;
	add_port(&config->nodes[0], "0.0.0.0", 80, 80);
	add_port(&config->nodes[0], "127.0.0.1", 81, 80);
	assert_int_equal(cluster_spec_check("c", NULL, config, &warnings, &err), 0);
	assert_int_equal(warnings.count, 1);
	assert_non_null(strstr(warnings.items[0], "open to everybody"));
	add_port(&config->nodes[0], "example.com", 82, 80);
	assert_int_equal(check(config, &err), -1);
	assert_string_equal(err.reason, "LISTEN_ADDRESS_INVALID");
}

/* CN-103 */
static void mounts_over_the_nodes_own_places_are_refused(void **state)
{
	static const char *const places[] = { "/",    "//",         "/var",     "/var/", "/var/.",
					      "/run", "/run/berth", "relative", "",      "/a:b" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);

		add_mount(&config->nodes[0], "/tmp", places[i]);
		assert_int_equal(check(config, &err), -1);
		assert_string_equal(err.reason, "MOUNT_INVALID");
	}
	{
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);

		add_mount(&config->nodes[0], "/tmp", "/var/lib/data");
		add_mount(&config->nodes[0], "/tmp", "/various");
		assert_int_equal(check(config, &err), 0);
	}
}

/* CN-101 */
static void relative_sources_become_absolute(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);
	char here[4096], expected[8192];
	struct err err;

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(expected, sizeof(expected), "%s/tests", here);
	add_mount(&config->nodes[0], "tests", "/data");
	assert_int_equal(check(config, &err), 0);
	assert_string_equal(config->nodes[0].mounts[0].host_path, expected);
}

/* CN-122: it is there, it can be read, and it is a file; and the node cannot change it. */
static void archives_to_preload_are_looked_at_first(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);
	struct node_config *node = &config->nodes[0];
	struct err err;

	(void)state;
	add_mount(node, "/proc/self/maps", PRELOAD_DIR "/one");
	add_mount(node, "tests", PRELOAD_DIR);
	assert_int_equal(check(config, &err), 0);
	assert_true(node->mounts[0].readonly);
	add_mount(node, "tests", PRELOAD_DIR "/two");
	assert_int_equal(check(config, &err), -1);
	assert_string_equal(err.reason, "PRELOAD_INVALID");
	plain_set(&node->mounts[2].host_path, "/no/such/archive");
	assert_int_equal(check(config, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.reason, "PRELOAD_NOT_FOUND");
	assert_non_null(strstr(err.msg, "/no/such/archive"));
	plain_set(&node->mounts[2].host_path, "/a:b");
	assert_int_equal(check(config, &err), -1);
	assert_string_equal(err.reason, "MOUNT_INVALID");
}

static void impossible_clusters_are_refused(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *big = config_of(1, 100);
	cleanup_with(cluster_config) struct cluster_config *headless = config_of(1, 0);
	cleanup_with(cluster_config) struct cluster_config *twins = config_of(1, 1);
	struct err err;

	(void)state;
	assert_int_equal(check(big, &err), -1);
	assert_string_equal(err.reason, "TOO_MANY_NODES");
	headless->nodes[0].role = NODE_WORKER;
	assert_int_equal(check(headless, &err), -1);
	assert_string_equal(err.reason, "NO_CONTROL_PLANE");
	for (int i = 0; i < 2; i++) {
		free(twins->nodes[i].name);
		twins->nodes[i].name = strdup("same");
	}
	assert_int_equal(check(twins, &err), -1);
	assert_string_equal(err.reason, "NAME_TWICE");
}

/* CN-007 */
static void control_planes_need_some_resources(void **state)
{
	static const struct {
		int64_t mib;
		int64_t milli;
		bool refused;
	} rows[] = {
		{ 1799, 2000, true }, { 1800, 2000, false }, { 0, 0, false },
		{ 1800, 1999, true }, { 0, 500, true },      { 100, 0, true },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 1);
		cleanup_with(strv) struct strv warnings = { 0 };

		config->nodes[0].memory_bytes = rows[i].mib << 20;
		config->nodes[0].cpus_milli = rows[i].milli;
		config->nodes[1].memory_bytes = 1 << 20;
		assert_int_equal(check(config, &err), rows[i].refused ? -1 : 0);
		if (!rows[i].refused)
			continue;
		assert_int_equal(err.code, ERR_OUT_OF_RANGE);
		assert_string_equal(err.reason, "RESOURCES_TOO_SMALL");
		config->nodes[0].force = true;
		assert_int_equal(cluster_spec_check("c", NULL, config, &warnings, &err), 0);
		assert_int_equal(warnings.count, 1);
	}
}

/* CN-060 */
static void subnets_and_addresses_of_the_users_choice_are_checked(void **state)
{
	static const struct {
		const char *subnet;
		const char *ip;
		const char *network;
		const char *reason;
	} rows[] = {
		{ "192.168.60.0/24", "", "", "" },
		{ "10.0.0.0/30", "10.1.2.3", "my_net-1.x", "" },
		{ "10.0.0.0/31", "", "", "SUBNET_INVALID" },
		{ "8.8.8.0/24", "", "", "SUBNET_INVALID" },
		{ "192.168.60.0", "", "", "SUBNET_INVALID" },
		{ "fd00::/64", "", "", "SUBNET_INVALID" },
		{ "", "8.8.8.8", "", "STATIC_IP_INVALID" },
		{ "", "192.168.60.1", "", "STATIC_IP_INVALID" },
		{ "", "192.168.60.255", "", "STATIC_IP_INVALID" },
		{ "", "", "host", "NETWORK_UNUSABLE" },
		{ "", "", "container:x", "NETWORK_UNUSABLE" },
		{ "", "", "-x", "NETWORK_UNUSABLE" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);
		int rc;

		assert_int_equal(node_set(&config->subnet, rows[i].subnet, &err), 0);
		assert_int_equal(node_set(&config->nodes[0].static_ip, rows[i].ip, &err), 0);
		assert_int_equal(node_set(&config->network, rows[i].network, &err), 0);
		rc = check(config, &err);
		assert_int_equal(rc, *rows[i].reason ? -1 : 0);
		if (rc < 0)
			assert_string_equal(err.reason, rows[i].reason);
	}
}

/* CN-092 CN-097 */
static void addresses_clash_as_addresses_not_as_text(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 0);
	cleanup_with(cluster_config) struct cluster_config *six = config_of(1, 0);
	struct err err;

	(void)state;
	add_port(&config->nodes[0], "::1", 80, 1);
	add_port(&config->nodes[0], "0:0:0:0:0:0:0:1", 80, 2);
	assert_int_equal(check(config, &err), -1);
	assert_string_equal(err.reason, "PORT_TWICE");
	six->ip_family = IP_FAMILY_V6;
	add_port(&six->nodes[0], "", 80, 1);
	add_port(&six->nodes[0], "127.0.0.1", 80, 2);
	assert_int_equal(check(six, &err), 0);
	add_port(&six->nodes[0], "::1", 80, 3);
	assert_int_equal(check(six, &err), -1);
}

/* CN-260 CN-261 */
static void balancer_takes_the_configured_port_once(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_of(3, 1);
	const struct node_config *balancer;
	struct err err;

	(void)state;
	config->api_server_port = 7443;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(cluster_spec_check("c", "mine:1", config, NULL, &err), 0);
		assert_int_equal(config->node_count, 5);
	}
	balancer = &config->nodes[4];
	assert_int_equal(balancer->role, NODE_LOAD_BALANCER);
	assert_string_equal(balancer->name, "c-external-load-balancer");
	assert_string_equal(balancer->image, CLUSTER_LB_IMAGE);
	assert_int_equal(balancer->port_count, 1);
	assert_int_equal(balancer->ports[0].host_port, 7443);
	assert_string_equal(balancer->ports[0].listen_address, "");
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(config->nodes[i].image, "mine:1");
		assert_int_equal(config->nodes[i].port_count, 1);
		assert_int_equal(config->nodes[i].ports[0].host_port, 0);
		assert_string_equal(config->nodes[i].ports[0].listen_address, "127.0.0.1");
	}
	assert_int_equal(config->nodes[3].port_count, 0);
}

/* CN-097: the API server's port counts too. */
static void api_port_clashes_with_a_mapping(void **state)
{
	cleanup_with(cluster_config) struct cluster_config *config = config_of(1, 1);
	struct err err;

	(void)state;
	config->api_server_port = 7443;
	add_port(&config->nodes[1], "", 7443, 80);
	assert_int_equal(check(config, &err), -1);
	assert_string_equal(err.reason, "PORT_TWICE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_are_named_by_role_and_number),
		cmocka_unit_test(cluster_names_are_checked),
		cmocka_unit_test(image_of_the_command_line_wins_then_the_configs),
		cmocka_unit_test(two_mappings_of_one_host_port_are_refused),
		cmocka_unit_test(same_port_of_two_protocols_is_fine),
		cmocka_unit_test(ports_out_of_range_are_refused),
		cmocka_unit_test(open_ports_are_warned_of_and_addresses_checked),
		cmocka_unit_test(mounts_over_the_nodes_own_places_are_refused),
		cmocka_unit_test(archives_to_preload_are_looked_at_first),
		cmocka_unit_test(relative_sources_become_absolute),
		cmocka_unit_test(impossible_clusters_are_refused),
		cmocka_unit_test(control_planes_need_some_resources),
		cmocka_unit_test(subnets_and_addresses_of_the_users_choice_are_checked),
		cmocka_unit_test(addresses_clash_as_addresses_not_as_text),
		cmocka_unit_test(balancer_takes_the_configured_port_once),
		cmocka_unit_test(api_port_clashes_with_a_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
