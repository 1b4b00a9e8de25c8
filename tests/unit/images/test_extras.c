/*
 * images/node/extras.sh: what a user adds to the node image, in a root of the test's own.
 */
#include "controller/exec/exec.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static int set_up(void **state)
{
	*state = control_scratch();
	return 0;
}

static int tear_down(void **state)
{
	control_scratch_remove(*state);
	return 0;
}

/* Runs lines of bash after extras.sh, with $root and the directory $here; asserts the exit code. */
static void extras(const char *dir, int exit_code, const char *script)
{
	const struct exec_options options = { .by = deadline_in_ms(60000) };
	cleanup_with(exec_result) struct exec_result result = { 0 };
	cleanup_free char *whole = text_format(
		"set -eu; base= packages=() preloads=(); kubelet=%1$s/programs root=%1$s/root; "
		"die() { echo \"$*\" >&2; exit 1; }; . images/node/extras.sh; %2$s",
		dir, script);
	cleanup_with(strv) struct strv argv = { 0 };
	struct err err;

	strv_add(&argv, "/bin/bash");
	strv_add(&argv, "-c");
	strv_add(&argv, whole);
	if (exec_run(&argv, &options, &result, &err) < 0)
		fail_msg("%s", err.msg);
	if (result.exit_code != exit_code)
		fail_msg("exit code %d: %s", result.exit_code, text_str(&result.errs));
}

/* CN-135 */
static void kubelet_runs_under_kinds_rules(void **state)
{
	static const char *const rules[] = { "Restart=always",    "RestartSec=1s",
					     "KillMode=process",  "Slice=kubelet.slice",
					     "CPUAccounting=yes", "MemoryAccounting=yes" };
	cleanup_free char *unit = NULL;

	extras(*state, 0,
	       "mkdir -p $kubelet $root/etc/systemd/system/multi-user.target.wants; "
	       "echo x > $kubelet/kubelet; echo y > $kubelet/kubectl; check_extras; "
	       "stage_extras $root; test -x $root/usr/bin/kubelet -a -x $root/usr/bin/kubectl; "
	       "test ! -e $root/usr/bin/kubeadm; "
	       "test -L $root/etc/systemd/system/multi-user.target.wants/kubelet.service");
	unit = control_read(*state, "root/usr/lib/systemd/system/kubelet.service");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		cleanup_free char *line = text_format("\n%s\n", rules[i]);

		if (!strstr(unit, line))
			fail_msg("no \"%s\" in: %s", rules[i], unit);
	}
	assert_non_null(strstr(unit, "\nAfter=containerd.service berthd.service\n"));
}

static void directory_without_kubelet_is_refused(void **state)
{
	extras(*state, 1, "mkdir -p $kubelet; check_extras");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kubelet_runs_under_kinds_rules, set_up, tear_down),
		cmocka_unit_test_setup_teardown(directory_without_kubelet_is_refused, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
