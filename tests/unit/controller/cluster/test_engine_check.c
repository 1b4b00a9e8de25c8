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

static void assert_fine(struct rig *rig, const char *engine)
{
	struct err err;

	if (engine_check(engine, &rig->info, rig->config, &rig->warnings, &err) < 0)
		fail_msg("%s", err.msg);
}

static void assert_refused(struct rig *rig, const char *engine, const char *reason,
			   const char *words)
{
	struct err err;

	assert_int_equal(engine_check(engine, &rig->info, rig->config, &rig->warnings, &err), -1);
	assert_string_equal(err.reason, reason);
	if (!strstr(err.msg, words))
		fail_msg("no \"%s\" in: %s", words, err.msg);
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

	rig->config->nodes[0].memory_bytes = (int64_t)4 << 30;
	rig->config->nodes[0].cpus_milli = 4000;
	assert_fine(rig, "podman");
	rig->info.rootless = true;
	assert_fine(rig, "docker");
	assert_int_equal(rig->warnings.count, 0);
}

/* CN-041 */
static void rootless_needs_its_controllers(void **state)
{
	struct rig *rig = *state;

	rig->info.rootless = true;
	snprintf(rig->info.controllers, sizeof(rig->info.controllers), "cpuset memory");
	assert_refused(rig, "podman", "CGROUP_CONTROLLERS_MISSING", "this user: cpu pids");
	snprintf(rig->info.cgroup, sizeof(rig->info.cgroup), "v1");
	assert_refused(rig, "podman", "CGROUP_V2_NEEDED", "cgroup v2");
	rig->info.rootless = false;
	assert_fine(rig, "podman");
	assert_int_equal(rig->warnings.count, 1);
	assert_warning(rig, "cgroup v1");
}

/* CN-022 CN-023 */
static void limits_that_cannot_hold_are_told_once(void **state)
{
	struct rig *rig = *state;

	rig->info.memory_limit = rig->info.cpu_limit = false;
	assert_fine(rig, "docker");
	assert_int_equal(rig->warnings.count, 0);
	assert_non_null(cluster_config_add_node(rig->config, NODE_WORKER));
	for (size_t i = 0; i < 2; i++) {
		rig->config->nodes[i].memory_bytes = (int64_t)2 << 30;
		rig->config->nodes[i].cpus_milli = 2000;
	}
	assert_fine(rig, "docker");
	assert_int_equal(rig->warnings.count, 2);
	assert_warning(rig, "--memory does not hold");
	assert_warning(rig, "--cpus does not hold");
	rig->info.memory_limit = rig->info.cpu_limit = true;
	rig->info.swap_limit = false;
	assert_fine(rig, "docker");
	assert_warning(rig, "swapping");
}

/* CN-240 */
static void more_than_the_host_has_is_refused(void **state)
{
	struct rig *rig = *state;

	rig->config->nodes[0].cpus_milli = 4001;
	assert_refused(rig, "docker", "TOO_MANY_CPUS", "4.001 CPUs, the engine's host has 4");
	rig->config->nodes[0].cpus_milli = 0;
	rig->config->nodes[0].memory_bytes = (int64_t)9 << 30;
	assert_refused(rig, "docker", "TOO_MUCH_MEMORY", "9216 MiB");
	rig->config->nodes[0].force = true;
	assert_fine(rig, "docker");
	assert_warning(rig, "9216 MiB");
	/* Not told: nothing to hold it against. */
	rig->info.cpus = 0;
	rig->config->nodes[0].cpus_milli = 64000;
	assert_fine(rig, "docker");
}

/* CN-042 CN-240 */
static void engines_that_cannot_serve_are_refused(void **state)
{
	static const struct {
		const char *engine;
		const char *version;
		bool refused;
		bool warned;
	} rows[] = {
		{ "docker", "18.06.3", true, false },   { "docker", "18.09.0", false, true },
		{ "docker", "20.10.24", false, false }, { "docker", "28.2.2", false, false },
		{ "podman", "3.4.4", true, false },     { "podman", "4.0.0", false, true },
		{ "podman", "4.3.1", false, false },    { "podman", "10.0", false, false },
		{ "fake", "0.1.0", false, false },      { "docker", "", false, false },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(rig->info.version, sizeof(rig->info.version), "%s", rows[i].version);
		strv_release(&rig->warnings);
		if (rows[i].refused)
			assert_refused(rig, rows[i].engine, "ENGINE_TOO_OLD", rows[i].version);
		else
			assert_fine(rig, rows[i].engine);
		assert_int_equal(rig->warnings.count, rows[i].warned);
	}
	snprintf(rig->info.os_type, sizeof(rig->info.os_type), "windows");
	assert_refused(rig, "docker", "WINDOWS_CONTAINERS", "Windows");
}

/* CN-091 */
static void remote_engine_is_named_when_it_publishes_everywhere(void **state)
{
	struct rig *rig = *state;
	struct err err;

	rig->info.remote = true;
	snprintf(rig->info.host, sizeof(rig->info.host), "far.example");
	assert_fine(rig, "docker");
	assert_int_equal(rig->warnings.count, 1);
	assert_warning(rig, "'far.example'");
	strv_release(&rig->warnings);
	assert_int_equal(
		node_set(&rig->config->nodes[0].ports[0].listen_address, "127.0.0.1", &err), 0);
	assert_fine(rig, "docker");
	assert_int_equal(rig->warnings.count, 0);
}

/* CN-122: it cannot see this host's files. */
static void remote_engine_cannot_preload(void **state)
{
	struct rig *rig = *state;
	struct mount_config *mount = node_config_add_mount(&rig->config->nodes[0]);
	struct err err;

	assert_non_null(mount);
	assert_int_equal(node_set(&mount->host_path, "/here/a.tar", &err), 0);
	assert_int_equal(node_set(&mount->container_path, PRELOAD_DIR "/01-a.tar", &err), 0);
	assert_fine(rig, "docker");
	rig->info.remote = true;
	snprintf(rig->info.host, sizeof(rig->info.host), "far.example");
	assert_refused(rig, "docker", "PRELOAD_REMOTE", "'/here/a.tar' cannot be preloaded");
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(ordinary_engine_is_fine),
		RIGGED(rootless_needs_its_controllers),
		RIGGED(limits_that_cannot_hold_are_told_once),
		RIGGED(more_than_the_host_has_is_refused),
		RIGGED(engines_that_cannot_serve_are_refused),
		RIGGED(remote_engine_cannot_preload),
		RIGGED(remote_engine_is_named_when_it_publishes_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
