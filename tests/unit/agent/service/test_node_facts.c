#include "agent/service/node_facts.h"

#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void write_below(const char *root, const char *path, const char *text)
{
	char full[256];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* NS-230 */
static void facts_are_read_from_the_node(void **state)
{
	struct node_facts facts;
	char root[64];

	(void)state;
	make_dir(root);
	write_below(root, "/etc/os-release",
		    "NAME=\"x\"\nPRETTY_NAME=\"Debian \\\"12\\\"\"\nID=y\n");
	write_below(root, "/proc/sys/kernel/random/boot_id", "0123-4567\n");
	write_below(root, "/proc/1/comm", "systemd\n");
	node_facts_read(root, &facts);
	remove_dir(root);
	assert_string_equal(facts.os, "Debian \"12\"");
	assert_string_equal(facts.boot_id, "0123-4567");
	assert_string_equal(facts.init, "systemd");
	assert_int_equal(facts.cgroup_version, 0);
}

static void usr_lib_stands_in_for_etc(void **state)
{
	struct node_facts facts;
	char root[64];

	(void)state;
	make_dir(root);
	write_below(root, "/usr/lib/os-release", "PRETTY_NAME=Plain\n");
	node_facts_read(root, &facts);
	remove_dir(root);
	assert_string_equal(facts.os, "Plain");
}

static void what_is_missing_is_empty(void **state)
{
	struct node_facts facts;
	char root[64];

	(void)state;
	make_dir(root);
	node_facts_read(root, &facts);
	remove_dir(root);
	assert_string_equal(facts.os, "");
	assert_string_equal(facts.boot_id, "");
	assert_string_equal(facts.init, "");
}

static void this_machine_has_a_cgroup_version(void **state)
{
	struct node_facts facts;

	(void)state;
	node_facts_read("", &facts);
	assert_true(facts.cgroup_version == 1 || facts.cgroup_version == 2);
	assert_true(*facts.host_name && *facts.kernel && *facts.arch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_are_read_from_the_node),
		cmocka_unit_test(usr_lib_stands_in_for_etc),
		cmocka_unit_test(what_is_missing_is_empty),
		cmocka_unit_test(this_machine_has_a_cgroup_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
