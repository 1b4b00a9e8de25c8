#include "controller/cluster/subnet.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static void add_network(struct cluster_found *found, const char *subnet)
{
	struct err err;

	assert_int_equal(network_list_add(&found->networks, "n", subnet, "", &err), 0);
}

static void choose(const struct cluster_found *found, const char *expected)
{
	char cidr[32] = "";
	struct err err;

	assert_int_equal(subnet_choose(found, "", cidr, sizeof(cidr), &err), 0);
	assert_string_equal(cidr, expected);
}

/* CN-053 */
static void first_candidate_is_49_then_steps_of_9(void **state)
{
	struct cluster_found found = { 0 };

	(void)state;
	choose(&found, "192.168.49.0/24");
	add_network(&found, "192.168.49.0/24");
	choose(&found, "192.168.58.0/24");
	add_network(&found, "192.168.58.128/25");
	choose(&found, "192.168.67.0/24");
	cluster_found_release(&found);
}

/* CN-054 */
static void whatever_overlaps_or_is_held_is_skipped(void **state)
{
	struct cluster_found found = { 0 };

	(void)state;
	strv_add(&found.host_addresses, "192.168.49.77");
	strv_add(&found.host_addresses, "127.0.0.1");
	strv_add(&found.host_addresses, "not an address");
	choose(&found, "192.168.58.0/24");
	strv_add(&found.bad_subnets, "192.168.58.0/24");
	choose(&found, "192.168.67.0/24");
	add_network(&found, "192.168.64.0/19"); /* .64 to .95 */
	add_network(&found, "");
	add_network(&found, "fd00::/64");
	choose(&found, "192.168.103.0/24");
	cluster_found_release(&found);
}

/* CN-054 */
static void twenty_candidates_then_it_says_so(void **state)
{
	struct cluster_found found = { 0 };
	char cidr[32] = "untouched";
	struct err err;

	(void)state;
	add_network(&found, "192.168.0.0/16");
	assert_int_equal(subnet_choose(&found, "", cidr, sizeof(cidr), &err), -1);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(err.reason, "SUBNETS_EXHAUSTED");
	assert_string_equal(cidr, "untouched");
	cluster_found_release(&found);
}

/* CN-060 */
static void cidrs_are_read_strictly(void **state)
{
	static const char *const bad[] = { "",         "1.2.3.4",     "1.2.3.4/33", "1.2.3.4/-1",
					   "1.2.3/24", "1.2.3.400/8", "1.2.3.4/8x", "/8",
					   "::1/64",   "1.2.3.4/" };
	struct subnet subnet;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(subnet_parse(bad[i], &subnet));
	assert_true(subnet_parse("10.1.2.3/8", &subnet));
	assert_int_equal(subnet.base, 0x0a000000);
	assert_true(subnet_contains(subnet, "10.255.255.255"));
	assert_false(subnet_contains(subnet, "11.0.0.0"));
	assert_true(subnet_parse("0.0.0.0/0", &subnet));
	assert_true(subnet_contains(subnet, "255.1.1.1"));
}

/* CN-080 CN-081: .1 is the gateway, the first node has .2, and it ends before the broadcast address. */
static void node_address_is_gateway_plus_index(void **state)
{
	struct subnet subnet;
	char ip[16];

	(void)state;
	assert_true(subnet_parse("192.168.49.0/24", &subnet));
	assert_true(subnet_node_ip(subnet, "", 1, ip, sizeof(ip)));
	assert_string_equal(ip, "192.168.49.2");
	assert_true(subnet_node_ip(subnet, "", 252, ip, sizeof(ip)));
	assert_string_equal(ip, "192.168.49.253");
	assert_false(subnet_node_ip(subnet, "", 253, ip, sizeof(ip)));
	assert_false(subnet_node_ip(subnet, "", 0, ip, sizeof(ip)));
	assert_true(subnet_parse("10.0.0.0/30", &subnet));
	assert_true(subnet_node_ip(subnet, "", 1, ip, sizeof(ip)));
	assert_false(subnet_node_ip(subnet, "", 2, ip, sizeof(ip)));
}

static void choose_from(const struct cluster_found *found, const char *first, const char *expected)
{
	char cidr[32] = "";
	struct err err;

	if (subnet_choose(found, first, cidr, sizeof(cidr), &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(cidr, expected);
}

/* CN-053: by the class of the address. */
static void search_begins_where_the_user_says(void **state)
{
	struct cluster_found found = { 0 };
	char cidr[32];
	struct err err;

	(void)state;
	choose_from(&found, "10.20.30.0/24", "10.20.30.0/24");
	choose_from(&found, "192.168.200.7/24", "192.168.200.0/24");
	add_network(&found, "10.20.30.0/24");
	choose_from(&found, "10.20.30.0/24", "10.29.30.0/24");
	add_network(&found, "172.16.0.0/16");
	choose_from(&found, "172.16.0.0/16", "172.25.0.0/16");
	add_network(&found, "192.168.200.0/24");
	choose_from(&found, "192.168.200.0/24", "192.168.209.0/24");
	/* The next ones would be somebody's on the Internet. */
	add_network(&found, "192.168.254.0/24");
	assert_int_equal(subnet_choose(&found, "192.168.254.0/24", cidr, sizeof(cidr), &err), -1);
	assert_string_equal(err.reason, "SUBNETS_EXHAUSTED");
	cluster_found_release(&found);
}

/* CN-054 CN-060 */
static void only_private_subnets_and_addresses_are_used(void **state)
{
	static const struct {
		const char *cidr;
		bool is_private;
	} subnets[] = {
		{ "10.0.0.0/8", true },      { "10.255.0.0/16", true },  { "172.16.0.0/12", true },
		{ "172.31.9.0/24", true },   { "192.168.0.0/16", true }, { "172.32.0.0/16", false },
		{ "192.169.0.0/16", false }, { "11.0.0.0/8", false },    { "8.0.0.0/6", false },
		{ "172.0.0.0/8", false },
	};
	static const char *const bad[] = { "8.8.8.8",        "192.168.1.1", "192.168.1.0",
					   "192.168.1.255",  "x",           "",
					   "192.168.1.7/24", "fd00::2" };
	struct subnet subnet;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(subnets); i++) {
		assert_true(subnet_parse(subnets[i].cidr, &subnet));
		assert_int_equal(subnet_is_private(subnet), subnets[i].is_private);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(subnet_address_is_static(bad[i]));
	assert_true(subnet_address_is_static("192.168.1.2"));
	assert_true(subnet_address_is_static("10.1.1.254"));
}

/* CN-051: whatever is read back of a network that exists. */
static void nodes_keep_clear_of_an_odd_gateway(void **state)
{
	static const struct {
		const char *gateway;
		int index;
		const char *ip;
	} rows[] = {
		{ "192.168.49.1", 1, "192.168.49.2" }, { "192.168.49.254", 1, "192.168.49.1" },
		{ "192.168.49.5", 4, "192.168.49.4" }, { "192.168.49.5", 5, "192.168.49.6" },
		{ "10.0.0.1", 1, "192.168.49.2" },
	};
	struct subnet subnet;
	char ip[16];

	(void)state;
	assert_true(subnet_parse("192.168.49.0/24", &subnet));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(subnet_node_ip(subnet, rows[i].gateway, rows[i].index, ip, sizeof(ip)));
		assert_string_equal(ip, rows[i].ip);
	}
	assert_true(subnet_parse("10.0.0.0/16", &subnet));
	assert_true(subnet_node_ip(subnet, "", 252, ip, sizeof(ip)));
	assert_false(subnet_node_ip(subnet, "", 253, ip, sizeof(ip))); /* 10.0.0.254 */
	assert_true(subnet_node_ip(subnet, "", 254, ip, sizeof(ip)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_candidate_is_49_then_steps_of_9),
		cmocka_unit_test(whatever_overlaps_or_is_held_is_skipped),
		cmocka_unit_test(twenty_candidates_then_it_says_so),
		cmocka_unit_test(cidrs_are_read_strictly),
		cmocka_unit_test(node_address_is_gateway_plus_index),
		cmocka_unit_test(search_begins_where_the_user_says),
		cmocka_unit_test(only_private_subnets_and_addresses_are_used),
		cmocka_unit_test(nodes_keep_clear_of_an_odd_gateway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
