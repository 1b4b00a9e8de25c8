#include "controller/cluster/doctor_look.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct rig {
	char *root;
	struct look look;
	struct doctor_check checks[DOCTOR_MAX_CHECKS];
	size_t count;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->root = control_scratch();
	rig->look = (struct look){ .root = rig->root,
				   .facts = control_plain_host,
				   .state_dir = "/tmp",
				   .by = control_soon() };
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	control_scratch_remove(rig->root);
	free(rig);
	return 0;
}

static const struct doctor_check *run(struct rig *rig, const char *id)
{
	rig->count = doctor_run_look(&rig->look, rig->checks);
	for (size_t i = 0; i < rig->count; i++) {
		if (strcmp(rig->checks[i].id, id) == 0)
			return &rig->checks[i];
	}
	fail_msg("no check '%s'", id);
	return NULL;
}

static void assert_state(struct rig *rig, const char *id, enum doctor_state state)
{
	const struct doctor_check *check = run(rig, id);

	if (check->state != state)
		fail_msg("%s is %s: %s", id, doctor_state_name(check->state), check->message);
}

static void ids_are_unique_and_problems_have_cause_and_fix(void **state)
{
	struct rig *rig = *state;

	rig->look.facts = control_hybrid_host;
	control_write(rig->root, "proc/sys/fs/inotify/max_user_instances", "128\n");
	run(rig, "cgroup");
	assert_in_range(rig->count, 20, DOCTOR_MAX_CHECKS);
	for (size_t i = 0; i < rig->count; i++) {
		const struct doctor_check *check = &rig->checks[i];

		assert_true(strlen(check->message) > 0);
		if (check->state == DOCTOR_WARN || check->state == DOCTOR_FAIL) {
			assert_true(strlen(check->cause) > 0);
			assert_true(strlen(check->fix) > 0);
		}
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(check->id, rig->checks[k].id);
	}
}

static void without_an_engine_its_checks_say_so(void **state)
{
	struct rig *rig = *state;

	assert_state(rig, "engine", DOCTOR_FAIL);
	assert_state(rig, "runtime", DOCTOR_SKIP);
	assert_state(rig, "subnet", DOCTOR_SKIP);
}

/* CN-295 */
static void engine_that_fails_is_a_failed_check_with_its_words(void **state)
{
	struct rig *rig = *state;
	struct err err;

	control_fake_podman(rig->root);
	control_write(rig->root, "info.err", "Error: the disk is on fire\n");
	control_write(rig->root, "info.rc", "125");
	assert_int_equal(provider_open("podman", NULL, &rig->look.provider, &err), 0);
	assert_state(rig, "engine", DOCTOR_FAIL);
	assert_non_null(strstr(run(rig, "engine")->message, "the disk is on fire"));
	assert_state(rig, "disk", DOCTOR_SKIP);
	provider_close(rig->look.provider);
	control_fake_podman(NULL);
}

/* CN-042 CN-041: what the engine says of itself. */
static void engine_version_runtime_and_controllers_are_judged(void **state)
{
	static const struct {
		const char *version, *runtime, *cgroup, *controllers, *rootless;
		const char *id;
		enum doctor_state state;
	} rows[] = {
		{ "4.3.1", "runc", "v2", "\"cpu\",\"memory\",\"pids\"", "false", "engine",
		  DOCTOR_OK },
		{ "3.4.4", "runc", "v2", "\"cpu\"", "false", "engine", DOCTOR_FAIL },
		{ "10.0", "runc", "v2", "\"cpu\"", "false", "engine", DOCTOR_OK },
		{ "4.3.1", "crun", "v1", "\"cpu\"", "false", "runtime", DOCTOR_WARN },
		{ "4.3.1", "runc", "v1", "\"cpu\"", "false", "runtime", DOCTOR_OK },
		{ "4.3.1", "runc", "v2", "\"cpu\",\"memory\",\"pids\"", "true",
		  "cgroup-controllers", DOCTOR_OK },
		{ "4.3.1", "runc", "v2", "\"cpuset\",\"memory\"", "true", "cgroup-controllers",
		  DOCTOR_FAIL },
		{ "4.3.1", "runc", "v1", "\"cpuset\",\"memory\"", "false", "cgroup-controllers",
		  DOCTOR_WARN },
		{ "4.3.1", "runc", "v1", "\"cpu\"", "true", "rootless", DOCTOR_FAIL },
		{ "4.3.1", "runc", "v2", "\"cpu\"", "true", "rootless", DOCTOR_OK },
	};
	struct rig *rig = *state;
	struct err err;

	control_fake_podman(rig->root);
	control_write(rig->root, "ps.out", "[]");
	control_write(rig->root, "network-ls.out", "[]");
	assert_int_equal(provider_open("podman", NULL, &rig->look.provider, &err), 0);
	rig->look.facts = control_hybrid_host;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *info = text_format(
			"{\"host\":{\"cgroupVersion\":\"%s\",\"cgroupControllers\":[%s],"
			"\"ociRuntime\":{\"name\":\"%s\"},\"security\":{\"rootless\":%s}},"
			"\"version\":{\"Version\":\"%s\"}}",
			rows[i].cgroup, rows[i].controllers, rows[i].runtime, rows[i].rootless,
			rows[i].version);

		control_write(rig->root, "info.out", info);
		assert_state(rig, rows[i].id, rows[i].state);
	}
	assert_state(rig, "subnet", DOCTOR_OK);
	rig->look.facts.has_runc = false;
	control_write(
		rig->root, "info.out",
		"{\"host\":{\"ociRuntime\":{\"name\":\"crun\"}},\"version\":{\"Version\":\"5\"}}");
	assert_state(rig, "runtime", DOCTOR_FAIL);
	provider_close(rig->look.provider);
	control_fake_podman(NULL);
}

/* test-hosts.md: limits that Berth works round are warnings that say so, not failures. */
static void limits_that_are_worked_round_are_no_failures(void **state)
{
	struct rig *rig = *state;

	rig->look.facts = control_hybrid_host;
	assert_state(rig, "nofile", DOCTOR_WARN);
	assert_non_null(strstr(run(rig, "nofile")->fix, "Berth passes"));
	assert_state(rig, "nproc", DOCTOR_WARN);
	assert_state(rig, "sys-resource", DOCTOR_WARN);
	assert_state(rig, "cgroup", DOCTOR_WARN);
	assert_state(rig, "systemd", DOCTOR_OK);
	assert_state(rig, "modules", DOCTOR_OK);
	rig->look.facts.nofile_hard = 1024;
	assert_state(rig, "nofile", DOCTOR_FAIL);
	rig->look.facts = control_plain_host;
	assert_state(rig, "nofile", DOCTOR_OK);
	assert_state(rig, "nproc", DOCTOR_OK);
	assert_state(rig, "cgroup", DOCTOR_OK);
}

static void files_of_the_host_are_judged(void **state)
{
	static const struct {
		const char *path, *text, *id;
		enum doctor_state state;
	} rows[] = {
		{ "proc/sys/fs/inotify/max_user_instances", "128\n", "inotify-instances",
		  DOCTOR_WARN },
		{ "proc/sys/fs/inotify/max_user_instances", "1024\n", "inotify-instances",
		  DOCTOR_OK },
		{ "proc/sys/fs/inotify/max_user_watches", "8192\n", "inotify-watches",
		  DOCTOR_WARN },
		{ "proc/sys/fs/inotify/max_user_watches", "524288\n", "inotify-watches",
		  DOCTOR_OK },
		{ "proc/sys/net/ipv4/ip_forward", "0\n", "ip-forward", DOCTOR_WARN },
		{ "proc/sys/net/ipv4/ip_forward", "1\n", "ip-forward", DOCTOR_OK },
		{ "proc/sys/net/bridge/bridge-nf-call-iptables", "1\n", "bridge-netfilter",
		  DOCTOR_OK },
		{ "proc/filesystems", "nodev\tproc\n", "overlay", DOCTOR_WARN },
		{ "proc/filesystems", "nodev\tproc\nnodev\toverlay\n", "overlay", DOCTOR_OK },
		{ "proc/meminfo", "MemTotal: 9\nMemAvailable:  200000 kB\n", "memory",
		  DOCTOR_FAIL },
		{ "proc/meminfo", "MemTotal: 9\nMemAvailable:  600000 kB\n", "memory",
		  DOCTOR_WARN },
		{ "proc/meminfo", "MemTotal: 9\nMemAvailable: 9000000 kB\n", "memory", DOCTOR_OK },
		{ "proc/sys/kernel/pid_max", "32768\n", "pids", DOCTOR_SKIP },
		{ "proc/sys/kernel/threads-max", "1000\n", "pids", DOCTOR_WARN },
		{ "proc/sys/kernel/threads-max", "100000\n", "pids", DOCTOR_OK },
	};
	struct rig *rig = *state;

	assert_state(rig, "inotify-instances", DOCTOR_SKIP);
	assert_state(rig, "bridge-netfilter", DOCTOR_WARN);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		control_write(rig->root, rows[i].path, rows[i].text);
		assert_state(rig, rows[i].id, rows[i].state);
	}
}

static void state_directory_must_be_short_and_writable(void **state)
{
	struct rig *rig = *state;

	rig->look.state_dir = "/tmp/berth-not-there/yet";
	assert_state(rig, "state-dir", DOCTOR_OK);
	rig->look.state_dir = "/etc/passwd/state";
	assert_state(rig, "state-dir", DOCTOR_FAIL);
	rig->look.state_dir =
		"/tmp/01234567890123456789012345678901234567890123456789012345678901234"
		"567890";
	assert_state(rig, "state-dir", DOCTOR_FAIL);
}

static void loopback_proxy_is_warned_of(void **state)
{
	struct rig *rig = *state;

	unsetenv("HTTPS_PROXY");
	unsetenv("https_proxy");
	setenv("HTTP_PROXY", "http://127.0.0.1:3128", 1);
	assert_state(rig, "proxy", DOCTOR_WARN);
	setenv("HTTP_PROXY", "http://proxy:3128", 1);
	assert_state(rig, "proxy", DOCTOR_OK);
	unsetenv("HTTP_PROXY");
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(ids_are_unique_and_problems_have_cause_and_fix),
		RIGGED(without_an_engine_its_checks_say_so),
		RIGGED(engine_that_fails_is_a_failed_check_with_its_words),
		RIGGED(engine_version_runtime_and_controllers_are_judged),
		RIGGED(limits_that_are_worked_round_are_no_failures),
		RIGGED(files_of_the_host_are_judged),
		RIGGED(state_directory_must_be_short_and_writable),
		RIGGED(loopback_proxy_is_warned_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
