#include "shared/pod/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void added_pairs_are_found_and_kept_in_order(void **state)
{
	struct kv_list list = { 0 };
	char key[16];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_true(kv_add(&list, key, key + 4));
	}
	assert_int_equal(list.count, 20);
	assert_string_equal(kv_get(&list, "key-0"), "0");
	assert_string_equal(kv_get(&list, "key-19"), "19");
	assert_string_equal(list.items[7].key, "key-7");
	assert_null(kv_get(&list, "key-20"));
	kv_release(&list);
	assert_int_equal(list.count, 0);
	assert_null(list.items);
}

static void a_pair_is_a_copy(void **state)
{
	struct kv_list list = { 0 };
	char value[] = "before";

	(void)state;
	assert_true(kv_add(&list, "k", value));
	memcpy(value, "after!", sizeof(value));
	assert_string_equal(kv_get(&list, "k"), "before");
	kv_release(&list);
}

static void an_empty_or_absent_list_has_nothing(void **state)
{
	struct kv_list list = { 0 };

	(void)state;
	assert_null(kv_get(&list, ""));
	assert_null(kv_get(NULL, "k"));
	kv_release(&list);
	assert_null(list.items);
}

/* Leaks show under AddressSanitizer. */
static void a_full_sandbox_request_is_released(void **state)
{
	struct sandbox_request r = { .name = strdup("web"), .attempt = 3 };

	(void)state;
	assert_true(kv_add(&r.labels, "a", "b"));
	assert_true(kv_add(&r.sysctls, "net.core.somaxconn", "9"));
	strv_add(&r.dns_servers, "10.0.0.10");
	r.ports = calloc(2, sizeof(*r.ports));
	r.port_count = 2;
	r.ports[0].host_ip = strdup("127.0.0.1");
	sandbox_request_release(&r);
	assert_null(r.name);
	assert_int_equal(r.port_count, 0);
	assert_int_equal(r.attempt, 0);
}

static void a_full_container_request_is_released(void **state)
{
	struct container_request r = { .name = strdup("app"), .image = strdup("demo:1") };

	(void)state;
	assert_true(kv_add(&r.envs, "A", "1"));
	strv_add(&r.command, "/demo");
	strv_add(&r.capabilities_drop, "ALL");
	r.mounts = calloc(1, sizeof(*r.mounts));
	r.mount_count = 1;
	r.mounts[0].host_path = strdup("/srv");
	r.mounts[0].container_path = strdup("/data");
	container_request_release(&r);
	assert_null(r.image);
	assert_null(r.mounts);
	assert_int_equal(r.command.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(added_pairs_are_found_and_kept_in_order),
		cmocka_unit_test(a_pair_is_a_copy),
		cmocka_unit_test(an_empty_or_absent_list_has_nothing),
		cmocka_unit_test(a_full_sandbox_request_is_released),
		cmocka_unit_test(a_full_container_request_is_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
