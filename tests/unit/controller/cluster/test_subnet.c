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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_candidate_is_49_then_steps_of_9),
		cmocka_unit_test(whatever_overlaps_or_is_held_is_skipped),
		cmocka_unit_test(twenty_candidates_then_it_says_so),
		cmocka_unit_test(cidrs_are_read_strictly),
		cmocka_unit_test(node_address_is_gateway_plus_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
