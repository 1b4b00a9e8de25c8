#include "shared/copy/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void clean_is(const char *name, const char *top, const char *expected)
{
	char path[COPY_PATH_BYTES];
	struct err err;

	assert_int_equal(copy_path_clean(name, top, path, &err), 0);
	assert_string_equal(path, expected);
}

static void names_lose_what_means_nothing(void **state)
{
	(void)state;
	clean_is("a/b", "", "a/b");
	clean_is("./a//b/./c/", "", "a/b/c");
	clean_is("./", "", "");
	clean_is("...", "", "...");
	clean_is("..a/b..", "", "..a/b..");
	clean_is("a", "new", "new");
	clean_is("./a/b", "new", "new/b");
	clean_is("a/b/c", ".", "b/c");
	clean_is("a/", ".", "");
}

/* I10 */
static void names_that_lead_out_are_refused(void **state)
{
	static const char *const bad[] = { "/",      "/a",     "..",       "../a",
					   "a/..",   "a/../b", "./../a",   "a//../../b",
					   "../../", "a/b/..", "a/./../.." };
	char path[COPY_PATH_BYTES] = "untouched";
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(copy_path_clean(bad[i], i % 2 ? "top" : "", path, &err), -1);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.reason, "UNSAFE_ARCHIVE");
		assert_string_equal(path, "untouched");
	}
}

/* I10 */
static void names_that_are_too_long_are_refused(void **state)
{
	char path[COPY_PATH_BYTES], name[2 * COPY_PATH_BYTES];
	struct err err;

	(void)state;
	memset(name, 'a', COPY_NAME_BYTES);
	name[COPY_NAME_BYTES] = '\0';
	assert_int_equal(copy_path_clean(name, "", path, &err), -1);
	name[COPY_NAME_BYTES - 1] = '\0';
	assert_int_equal(copy_path_clean(name, "", path, &err), 0);
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '/' : 'b';
	name[COPY_PATH_BYTES] = '\0';
	assert_int_equal(copy_path_clean(name, "", path, &err), 0);
	assert_int_equal(strlen(path), COPY_PATH_BYTES - 1);
	name[COPY_PATH_BYTES] = '/';
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(copy_path_clean(name, "", path, &err), -1);
}

/* NS-208 */
static void copies_go_where_cp_puts_them(void **state)
{
	static const struct {
		const char *source, *target;
		bool is_directory;
		const char *directory, *name;
	} cases[] = {
		{ "/etc/motd", "/tmp", true, "/tmp", "motd" },
		{ "/etc/motd", "/tmp/", true, "/tmp/", "motd" },
		{ "/etc/motd", "/tmp/new", false, "/tmp/", "new" },
		{ "/etc/", "/tmp", true, "/tmp", "etc" },
		{ "/etc/", "here", false, ".", "here" },
		{ "dir", "/new", false, "/", "new" },
		{ "dir/.", "/tmp", true, "/tmp", "." },
		{ "dir/.", "/tmp/new", false, "/tmp/", "new" },
		{ "/", "/tmp", true, "/tmp", "." },
		{ ".", "/tmp", true, "/tmp", "." },
		{ "a//b//", "c//d", false, "c//", "d" },
	};
	struct copy_target target;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(copy_target_find(cases[i].source, cases[i].target,
						  cases[i].is_directory, &target, &err),
				 0);
		assert_string_equal(target.directory, cases[i].directory);
		assert_string_equal(target.name, cases[i].name);
	}
}

static void targets_that_cannot_be_are_told(void **state)
{
	struct copy_target target;
	struct err err;

	(void)state;
	assert_int_equal(copy_target_find("a", "/tmp/new/", false, &target, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "there is no directory '/tmp/new/'");
	assert_int_equal(copy_target_find("a", "x/..", false, &target, &err), -1);
	assert_int_equal(copy_target_find("../..", "/tmp", true, &target, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lose_what_means_nothing),
		cmocka_unit_test(names_that_lead_out_are_refused),
		cmocka_unit_test(names_that_are_too_long_are_refused),
		cmocka_unit_test(copies_go_where_cp_puts_them),
		cmocka_unit_test(targets_that_cannot_be_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
