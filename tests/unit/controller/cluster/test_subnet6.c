#include "controller/cluster/subnet6.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

/* CN-072: the first is the subnet that kind's network has on every host. */
static void subnets_are_derived_as_in_kind(void **state)
{
	char one[SUBNET6_TEXT_MAX], two[SUBNET6_TEXT_MAX];

	(void)state;
	assert_true(subnet6_derive("kind", 0, one, sizeof(one)));
	assert_string_equal(one, "fc00:f853:ccd:e793::/64");
	assert_true(subnet6_derive("kind", 1, two, sizeof(two)));
	assert_string_not_equal(one, two);
	assert_int_equal(strncmp(two, "fc00:", 5), 0);
	assert_true(subnet6_derive("kind", 1, one, sizeof(one)));
	assert_string_equal(one, two);
	assert_true(subnet6_derive("kind", 256, two, sizeof(two)));
	assert_string_not_equal(one, two);
}

static void choose(const struct cluster_found *found, uint32_t attempt)
{
	char expected[SUBNET6_TEXT_MAX], got[SUBNET6_TEXT_MAX] = "";
	struct err err;

	assert_true(subnet6_derive("c", attempt, expected, sizeof(expected)));
	assert_int_equal(subnet6_choose("c", found, got, sizeof(got), &err), 0);
	assert_string_equal(got, expected);
}

/* CN-074: five in all. */
static void taken_subnets_give_way_to_the_next_attempt(void **state)
{
	struct cluster_found found = { 0 };
	char cidr[SUBNET6_TEXT_MAX];
	struct err err;

	(void)state;
	choose(&found, 0);
	assert_int_equal(network_list_add(&found.networks, "n", "10.0.0.0/8", "", &err), 0);
	assert_true(subnet6_derive("c", 0, cidr, sizeof(cidr)));
	assert_int_equal(node_set(&found.networks.items[0].subnet6, cidr, &err), 0);
	choose(&found, 1);
	strv_add(&found.bad_subnets, "192.168.49.0/24");
	for (uint32_t attempt = 1; attempt < 5; attempt++) {
		choose(&found, attempt);
		assert_true(subnet6_derive("c", attempt, cidr, sizeof(cidr)));
		strv_add(&found.bad_subnets, cidr);
	}
	assert_int_equal(subnet6_choose("c", &found, cidr, sizeof(cidr), &err), -1);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(err.reason, "SUBNETS_EXHAUSTED");
	cluster_found_release(&found);
}

static void overlap_is_by_the_shorter_prefix(void **state)
{
	(void)state;
	assert_true(subnet6_overlaps("fd00::/8", "fd12:3456::/64"));
	assert_true(subnet6_overlaps("fd12:3456::/64", "fd00::/8"));
	assert_true(subnet6_overlaps("fd00::/63", "fd00:0:0:1::/64"));
	assert_false(subnet6_overlaps("fd00::/64", "fd00:0:0:1::/64"));
	assert_true(subnet6_overlaps("::/0", "fd00::/64"));
	assert_false(subnet6_overlaps("fd00::/64", "10.0.0.0/8"));
	assert_false(subnet6_overlaps("", "fd00::/64"));
	assert_true(subnet6_is_valid("fd00::1/64"));
	assert_false(subnet6_is_valid("fd00::/129"));
	assert_false(subnet6_is_valid("fd00::"));
}

static void assert_ip(const char *cidr, int index, const char *expected)
{
	char ip[46] = "";

	assert_int_equal(subnet6_node_ip(cidr, index, ip, sizeof(ip)), *expected != '\0');
	assert_string_equal(ip, expected);
}

/* CN-080 of IPv6: the gateway is the first address, nodes follow. */
static void node_address_is_gateway_plus_index(void **state)
{
	(void)state;
	assert_ip("fc00:f853:ccd:e793::/64", 1, "fc00:f853:ccd:e793::2");
	assert_ip("fc00:f853:ccd:e793::/64", 300, "fc00:f853:ccd:e793::12d");
	assert_ip("fd00::5/64", 1, "fd00::2");
	assert_ip("fd00::/126", 2, "fd00::3");
	assert_ip("fd00::/126", 3, "");
	assert_ip("fd00::/127", 1, "");
	assert_ip("fd00::/64", 0, "");
	assert_ip("10.0.0.0/8", 1, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subnets_are_derived_as_in_kind),
		cmocka_unit_test(taken_subnets_give_way_to_the_next_attempt),
		cmocka_unit_test(overlap_is_by_the_shorter_prefix),
		cmocka_unit_test(node_address_is_gateway_plus_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
