#include "controller/cluster/engine_check.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct engine_info good = {
	.version = "28.2.2",
	.cgroup = "v2",
	.controllers = "cpuset cpu io memory pids",
	.os_type = "linux",
	.cpus = 4,
	.memory_bytes = (int64_t)8 << 30,
	.memory_limit = true,
	.swap_limit = true,
	.cpu_limit = true,
};

struct rig {
	struct cluster_config *config;
	struct engine_info info;
	struct strv warnings;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->info = good;
	rig->config = cluster_config_new();
	assert_int_equal(cluster_spec_check("c", NULL, rig->config, NULL, &err), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	cluster_config_free(rig->config);
	strv_release(&rig->warnings);
	free(rig);
	return 0;
}

static void assert_fine(struct rig *rig)
{
	struct err err;

	if (engine_check(&rig->info, rig->config, &rig->warnings, &err) < 0)
		fail_msg("%s", err.msg);
}

static void assert_warning(struct rig *rig, const char *words)
{
	for (size_t i = 0; i < rig->warnings.count; i++) {
		if (strstr(rig->warnings.items[i], words))
			return;
	}
	fail_msg("no warning of '%s'", words);
}

static void ordinary_engine_is_fine(void **state)
{
	struct rig *rig = *state;

	rig->config->nodes[0].memory_bytes = (int64_t)8 << 30;
	assert_fine(rig);
	assert_int_equal(rig->warnings.count, 0);
}

/* CN-041 */
static void old_cgroups_are_warned_of(void **state)
{
	struct rig *rig = *state;

	snprintf(rig->info.cgroup, sizeof(rig->info.cgroup), "v1");
	assert_fine(rig);
	assert_int_equal(rig->warnings.count, 1);
	assert_warning(rig, "cgroup v1");
}

/* CN-007 */
static void more_memory_than_the_host_has_is_refused(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->config->nodes[0].memory_bytes = (int64_t)9 << 30;
	assert_int_equal(engine_check(&rig->info, rig->config, &rig->warnings, &err), -1);
	assert_string_equal(err.reason, "TOO_MUCH_MEMORY");
	assert_string_equal(err.msg, "node 'c-control-plane' is to have 9216 MiB of memory, the "
				     "engine's host has 8192");
	rig->config->nodes[0].force = true;
	assert_fine(rig);
	assert_warning(rig, "9216 MiB");
	/* Not told: nothing to hold it against. */
	rig->info.memory_bytes = 0;
	rig->config->nodes[0].force = false;
	assert_fine(rig);
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(ordinary_engine_is_fine),
		RIGGED(old_cgroups_are_warned_of),
		RIGGED(more_memory_than_the_host_has_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
