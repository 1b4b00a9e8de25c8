#include "agent/server/dispatch.h"

#include "agent/service/services.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void every_rpc_of_every_service_is_found(void **state)
{
	struct dispatch_target target;
	struct err err;
	unsigned found = 0;

	(void)state;
	for (size_t i = 0; i < services_count; i++) {
		const ProtobufCServiceDescriptor *d = services[i]->descriptor;

		for (unsigned m = 0; m < d->n_methods; m++, found++) {
			assert_int_equal(
				dispatch_find(d->name, d->methods[m].name, 1, &target, &err), 0);
			assert_ptr_equal(target.service, services[i]);
			assert_ptr_equal(target.method, &d->methods[m]);
			assert_int_equal(target.method_index, m);
		}
	}
	assert_true(found >= 3);
}

/* NS-006 */
static void unknown_rpc_is_unimplemented(void **state)
{
	struct dispatch_target target;
	struct err err;

	(void)state;
	assert_int_equal(dispatch_find("berth.node.v1.Nothing", "Check", 1, &target, &err), -1);
	assert_int_equal(err.code, ERR_UNIMPLEMENTED);
	assert_non_null(strstr(err.msg, "'berth.node.v1.Nothing/Check'"));
	assert_int_equal(dispatch_find("berth.node.v1.Health", "check", 1, &target, &err), -1);
	assert_int_equal(err.code, ERR_UNIMPLEMENTED);
	assert_string_equal(err.advice, "");
}

static void a_newer_caller_is_told_to_update_the_node(void **state)
{
	struct dispatch_target target;
	struct err err;

	(void)state;
	assert_int_equal(dispatch_find("berth.node.v1.Health", "Check", 99, &target, &err), 0);
	assert_int_equal(target.effect, METHOD_READS);
	assert_int_equal(dispatch_find("berth.node.v1.Health", "Sing", 99, &target, &err), -1);
	assert_non_null(strstr(err.advice, "newer"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rpc_of_every_service_is_found),
		cmocka_unit_test(unknown_rpc_is_unimplemented),
		cmocka_unit_test(a_newer_caller_is_told_to_update_the_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
