#include "controller/cluster/proxy.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const struct kv *environment;
static size_t environment_count;

static const char *lookup(const char *name)
{
	for (size_t i = 0; i < environment_count; i++) {
		if (strcmp(environment[i].key, name) == 0)
			return environment[i].value;
	}
	return NULL;
}

static struct cluster_config *two_nodes(void)
{
	struct cluster_config *config = cluster_config_new();
	struct err err;

	assert_non_null(config);
	assert_non_null(cluster_config_add_node(config, NODE_WORKER));
	assert_int_equal(cluster_spec_check("c", NULL, config, NULL, &err), 0);
	return config;
}

static void for_nodes(const struct kv *items, size_t count, struct kv_list *ret)
{
	cleanup_with(cluster_config) struct cluster_config *config = two_nodes();
	cleanup_with(strv) struct strv warnings = { 0 };
	struct kv_list env = { 0 };

	environment = items;
	environment_count = count;
	assert_true(proxy_read(lookup, &env, &warnings));
	assert_true(proxy_for_nodes(&env, "192.168.49.0/24", "", config, ret));
	kv_release(&env);
}

/* CN-110 CN-111 */
static void both_cases_are_set_and_no_proxy_is_completed(void **state)
{
	static const struct kv items[] = {
		{ (char *)"http_proxy", (char *)"http://proxy:3128" },
		{ (char *)"NO_PROXY", (char *)"intra.example" },
		{ (char *)"no_proxy", (char *)"not this one" },
	};
	static const char no_proxy[] = "192.168.49.0/24,intra.example,10.96.0.0/16,10.244.0.0/16,"
				       "c-control-plane,c-worker,.svc,.svc.cluster,"
				       ".svc.cluster.local";
	struct kv_list ret = { 0 };

	(void)state;
	for_nodes(items, ARRAY_LEN(items), &ret);
	assert_int_equal(ret.count, 4);
	assert_string_equal(ret.items[0].key, "HTTP_PROXY");
	assert_string_equal(kv_get(&ret, "HTTP_PROXY"), "http://proxy:3128");
	assert_string_equal(kv_get(&ret, "http_proxy"), "http://proxy:3128");
	assert_string_equal(kv_get(&ret, "NO_PROXY"), no_proxy);
	assert_string_equal(kv_get(&ret, "no_proxy"), no_proxy);
	kv_release(&ret);
}

/* CN-084 CN-111: subnets of the network and of the cluster's family. */
static void no_proxy_knows_both_families(void **state)
{
	static const struct {
		enum ip_family family;
		const char *no_proxy;
	} rows[] = {
		{ IP_FAMILY_V6,
		  "192.168.49.0/24,fc00:1::/64,fd00:10:96::/112,fd00:10:244::/56,c-" },
		{ IP_FAMILY_DUAL, "192.168.49.0/24,fc00:1::/64,10.96.0.0/16,fd00:10:96::/112,"
				  "10.244.0.0/16,fd00:10:244::/56,c-" },
	};
	cleanup_with(cluster_config) struct cluster_config *config = two_nodes();
	struct kv_list env = { 0 };

	(void)state;
	assert_true(kv_add(&env, "HTTP_PROXY", "http://p:1"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kv_list ret = { 0 };

		config->ip_family = rows[i].family;
		assert_true(proxy_for_nodes(&env, "192.168.49.0/24", "fc00:1::/64", config, &ret));
		assert_int_equal(strncmp(kv_get(&ret, "NO_PROXY"), rows[i].no_proxy,
					 strlen(rows[i].no_proxy)),
				 0);
		kv_release(&ret);
	}
	kv_release(&env);
}

/* CN-111 */
static void without_a_proxy_nothing_is_set(void **state)
{
	static const struct kv items[] = { { (char *)"NO_PROXY", (char *)"intra.example" } };
	struct kv_list ret = { 0 };

	(void)state;
	for_nodes(items, ARRAY_LEN(items), &ret);
	assert_int_equal(ret.count, 0);
}

/* CN-113 */
static void loopback_proxies_are_left_out(void **state)
{
	static const char *const proxies[] = { "http://127.0.0.1:3128", "localhost:3128",
					       "http://me:pw@localhost:1", "http://[::1]:3128" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(proxies); i++) {
		const struct kv items[] = { { (char *)"HTTPS_PROXY", (char *)proxies[i] } };
		struct kv_list ret = { 0 };

		for_nodes(items, 1, &ret);
		assert_int_equal(ret.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_cases_are_set_and_no_proxy_is_completed),
		cmocka_unit_test(no_proxy_knows_both_families),
		cmocka_unit_test(without_a_proxy_nothing_is_set),
		cmocka_unit_test(loopback_proxies_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
