#include "controller/cluster/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A program of one line, in a directory of its own. */
static void write_program(const char *path, const char *line)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", line);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

static void every_wish_becomes_words_in_order(void **state)
{
	struct strv packages = { 0 }, preloads = { 0 };
	const struct image_build build = { .tag = "t:1",
					   .engine = "docker",
					   .kubelet = "/k",
					   .packages = &packages,
					   .preloads = &preloads };
	cleanup_free char *text = NULL;
	struct strv argv;
	struct err err;

	(void)state;
	strv_add(&packages, "jq");
	strv_add(&packages, "tcpdump");
	strv_add(&preloads, "/a.tar");
	assert_int_equal(image_build_argv(&build, "/s/build", "/s/berthd", &argv, &err), 0);
	text = exec_argv_text(&argv);
	assert_string_equal(text,
			    "/s/build --tag t:1 --berthd /s/berthd --engine docker --kubelet /k "
			    "--package jq --package tcpdump --preload /a.tar");
	strv_release(&argv);
	strv_release(&packages);
	strv_release(&preloads);
}

static void what_was_not_wished_for_is_not_said(void **state)
{
	const struct image_build build = { .tag = "t", .engine = "podman", .base = "mine" };
	cleanup_free char *text = NULL;
	struct strv argv;
	struct err err;

	(void)state;
	assert_int_equal(image_build_argv(&build, "b", "d", &argv, &err), 0);
	text = exec_argv_text(&argv);
	assert_string_equal(text, "b --tag t --berthd d --engine podman --base-tag mine");
	strv_release(&argv);
}

static void a_failed_build_says_its_last_line(void **state)
{
	char path[] = "/tmp/berth-image-XXXXXX";
	struct strv argv = { 0 };
	struct err err;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_program(path, "echo working >&2; echo 'build: no such archive: x.tar' >&2; exit 1");
	strv_add(&argv, path);
	assert_int_equal(image_build_run(&argv, NULL, deadline_in_ms(10000), &err), -1);
	assert_string_equal(err.reason, "IMAGE_BUILD_FAILED");
	assert_string_equal(err.msg,
			    "the node image could not be built: build: no such archive: x.tar");
	write_program(path, "exit 0");
	assert_int_equal(image_build_run(&argv, NULL, deadline_in_ms(10000), &err), 0);
	strv_release(&argv);
	unlink(path);
}

static void parts_are_found_where_berth_share_says(void **state)
{
	char dir[] = "/tmp/berth-share-XXXXXX", path[128];
	cleanup_free char *script = NULL, *berthd = NULL;
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/images", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/images/node", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/images/node/build", dir);
	write_program(path, "exit 0");
	setenv("BERTH_SHARE", dir, 1);
	/* Without the agent it is no set of parts; this test's own tree has none either. */
	assert_int_equal(image_find_parts(&script, &berthd, &err), -1);
	assert_string_equal(err.reason, "IMAGE_PARTS_MISSING");
	snprintf(path, sizeof(path), "%s/berthd", dir);
	write_program(path, "exit 0");
	assert_int_equal(image_find_parts(&script, &berthd, &err), 0);
	assert_string_equal(berthd, path);
	unsetenv("BERTH_SHARE");
	unlink(berthd);
	unlink(script);
	snprintf(path, sizeof(path), "%s/images/node", dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/images", dir);
	rmdir(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wish_becomes_words_in_order),
		cmocka_unit_test(what_was_not_wished_for_is_not_said),
		cmocka_unit_test(a_failed_build_says_its_last_line),
		cmocka_unit_test(parts_are_found_where_berth_share_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
