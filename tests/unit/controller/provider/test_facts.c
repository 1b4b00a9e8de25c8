#include "controller/provider/facts.h"

#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void empty_host_is_harmless(void **state)
{
	char *root = control_scratch();
	struct host_facts facts;

	(void)state;
	host_facts_read_below(root, NULL, &facts);
	assert_false(facts.cgroup_v2);
	assert_false(facts.cgroup_hybrid);
	assert_false(facts.has_systemd);
	assert_false(facts.has_runc);
	assert_false(facts.has_crun);
	assert_false(facts.has_modules);
	assert_false(facts.has_fuse);
	assert_false(facts.can_raise_limits);
	assert_int_equal(facts.rootless, geteuid() != 0);
	control_scratch_remove(root);
}

/* test-hosts.md: v1, v2, both. */
static void files_tell_what_the_host_is(void **state)
{
	char *root = control_scratch();
	char *path = text_format("/nowhere:%s/bin", root);
	char *runc = text_format("%s/bin/runc", root);
	struct host_facts facts;

	(void)state;
	control_write(root, "sys/fs/cgroup/unified/cgroup.procs", "");
	control_write(root, "run/systemd/system/x", "");
	control_write(root, "lib/modules/x", "");
	control_write(root, "dev/fuse", "");
	control_write(root, "dev/mapper/control", "");
	control_write(root, "run/current-system/kernel-modules/lib/modules/x", "");
	control_write(root, "bin/runc", "");
	control_write(root, "proc/self/status", "Name:\tx\nCapEff:\t0000000001000000\n");
	assert_int_equal(chmod(runc, 0755), 0);
	host_facts_read_below(root, path, &facts);
	assert_true(facts.cgroup_hybrid);
	assert_false(facts.cgroup_v2);
	assert_true(facts.has_systemd);
	assert_true(facts.has_modules);
	assert_true(facts.has_fuse);
	assert_true(facts.has_mapper);
	assert_true(facts.has_nixos_modules);
	assert_false(facts.has_swap_limit);
	assert_false(facts.has_cpu_quota);
	assert_true(facts.has_runc);
	assert_false(facts.has_crun);
	assert_true(facts.can_raise_limits);

	control_write(root, "sys/fs/cgroup/cgroup.controllers", "cpu");
	control_write(root, "proc/self/status", "Name:\tx\nCapEff:\t000001fffeffffff\n");
	host_facts_read_below(root, path, &facts);
	assert_true(facts.cgroup_v2);
	assert_false(facts.can_raise_limits);
	free(path);
	free(runc);
	control_scratch_remove(root);
}

/* podman lowers its own limit to pid_max, so nodes can have no more. */
static void processes_are_bounded_by_pid_max(void **state)
{
	char *root = control_scratch();
	struct host_facts facts;
	struct rlimit limit;

	(void)state;
	control_write(root, "proc/sys/kernel/pid_max", "1234\n");
	host_facts_read_below(root, NULL, &facts);
	assert_int_equal(getrlimit(RLIMIT_NPROC, &limit), 0);
	assert_true(limit.rlim_max > 1234);
	assert_int_equal(facts.nproc_hard, 1234);
	control_write(root, "proc/sys/kernel/pid_max", "rubbish");
	host_facts_read_below(root, NULL, &facts);
	assert_int_not_equal(facts.nproc_hard, 1234);
	control_scratch_remove(root);
}

/* CN-022 CN-023: v1 has a file for each, on v2 any child cgroup shows swap's. */
static void files_tell_which_limits_hold(void **state)
{
	static const struct {
		const char *file, *text;
		bool swap, cpu;
	} rows[] = {
		{ "sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "0", true, false },
		{ "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1", false, true },
		{ "sys/fs/cgroup/init.scope/memory.swap.max", "max", true, false },
		{ "sys/fs/cgroup/memory.swap.max", "max", false, false },
		{ "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io\n", false, true },
		{ "sys/fs/cgroup/cgroup.controllers", "cpuset io\n", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *root = control_scratch();
		struct host_facts facts;

		control_write(root, rows[i].file, rows[i].text);
		host_facts_read_below(root, NULL, &facts);
		assert_int_equal(facts.has_swap_limit, rows[i].swap);
		assert_int_equal(facts.has_cpu_quota, rows[i].cpu);
		control_scratch_remove(root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_host_is_harmless),
		cmocka_unit_test(files_tell_what_the_host_is),
		cmocka_unit_test(files_tell_which_limits_hold),
		cmocka_unit_test(processes_are_bounded_by_pid_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
