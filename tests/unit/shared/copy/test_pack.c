/* A tree packed and unpacked again is the same tree. */
#include "shared/copy/pack.h"

#include "shared/base/cleanup.h"
#include "shared/base/text.h"
#include "shared/copy/unpack.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define auto_text __attribute__((cleanup(cleanup_text)))

struct rig {
	char dir[64];
	char from[96];
	int to;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char to[96];

	snprintf(rig->dir, sizeof(rig->dir), "/tmp/berth-pack-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->from, sizeof(rig->from), "%s/from", rig->dir);
	snprintf(to, sizeof(to), "%s/to", rig->dir);
	assert_int_equal(mkdir(rig->from, 0755), 0);
	assert_int_equal(mkdir(to, 0755), 0);
	rig->to = open(to, O_RDONLY | O_DIRECTORY);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	close(rig->to);
	assert_int_equal(nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(rig);
	return 0;
}

static void in_from(const struct rig *rig, const char *name, char ret[256])
{
	snprintf(ret, 256, "%s/%s", rig->from, name);
}

static void write_file(const struct rig *rig, const char *name, size_t size, mode_t mode)
{
	char path[256];
	FILE *file;

	in_from(rig, name, path);
	file = fopen(path, "w");
	assert_non_null(file);
	for (size_t i = 0; i < size; i++)
		fputc((int)(i * 7 + i / 251) & 0xff, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void make_dir(const struct rig *rig, const char *name, mode_t mode)
{
	char path[256];

	in_from(rig, name, path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int to_text(void *arg, const void *bytes, size_t len, struct err *err)
{
	(void)err;
	text_add_bytes(arg, bytes, len);
	return 0;
}

static int pack_path(const char *path, bool follow, struct text *archive,
		     struct copy_totals *totals, struct err *err)
{
	struct copy_pack pack = {
		.path = path, .name = "top", .follow = follow, .sink = to_text, .arg = archive
	};

	return copy_pack(&pack, totals, err);
}

static void unpack_as(const struct rig *rig, const struct text *archive, const char *name)
{
	struct copy_memory memory = { archive->data, archive->len };
	struct copy_unpack unpack = {
		.dir_fd = rig->to, .name = name, .source = copy_source_memory, .arg = &memory
	};
	struct copy_totals totals;
	struct err err;

	assert_int_equal(copy_unpack(&unpack, &totals, &err), 0);
}

static void copy_tree(const struct rig *rig, struct copy_totals *totals)
{
	auto_text struct text archive = { 0 };
	struct err err;

	assert_int_equal(pack_path(rig->from, false, &archive, totals, &err), 0);
	unpack_as(rig, &archive, "copy");
}

static struct stat look(const struct rig *rig, const char *root, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/%s", rig->dir, root, name);
	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void assert_same(const struct rig *rig, const char *name)
{
	struct stat a = look(rig, "from", name), b = look(rig, "to/copy", name);
	char command[512];
	char path[2][256];

	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
	assert_int_equal(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
	assert_int_equal(a.st_nlink, b.st_nlink);
	snprintf(path[0], sizeof(path[0]), "%s/from/%s", rig->dir, name);
	snprintf(path[1], sizeof(path[1]), "%s/to/copy/%s", rig->dir, name);
	if (S_ISLNK(a.st_mode)) {
		ssize_t n = readlink(path[0], command, sizeof(command));
		char other[512];

		assert_int_equal(n, readlink(path[1], other, sizeof(other)));
		assert_memory_equal(command, other, (size_t)n);
	}
	if (S_ISREG(a.st_mode)) {
		FILE *x = fopen(path[0], "r"), *y = fopen(path[1], "r");
		int c;

		assert_int_equal(a.st_size, b.st_size);
		while ((c = fgetc(x)) != EOF)
			assert_int_equal(c, fgetc(y));
		fclose(x);
		fclose(y);
	}
}

static void set_time(const struct rig *rig, const char *name, time_t seconds, long nanos)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { seconds, nanos } };
	char path[256];

	in_from(rig, name, path);
	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* NS-208: modes, times, links of both kinds, names that are no UTF-8, sizes round the buffers' */
static void a_tree_comes_out_as_it_went_in(void **state)
{
	static const char *const names[] = { "",         "d",           "d/e",     "d/e/small",
					     "d/link",   "empty",       "gone",    "d/hard",
					     "\xff\xfe", "caf\xc3\xa9", "a-block", "big",
					     "read-only" };
	char path[2][256];
	struct copy_totals totals;
	struct rig *rig = *state;

	make_dir(rig, "d", 0750);
	make_dir(rig, "d/e", 0700);
	write_file(rig, "d/e/small", 5, 0600);
	write_file(rig, "empty", 0, 0644);
	write_file(rig, "\xff\xfe", 3, 0640);
	write_file(rig, "caf\xc3\xa9", 3, 0755);
	write_file(rig, "a-block", 512, 0644);
	write_file(rig, "big", 600 * 1000 + 1, 0644);
	write_file(rig, "read-only", 9, 0444);
	in_from(rig, "d/hard", path[0]);
	in_from(rig, "d/e/small", path[1]);
	assert_int_equal(link(path[1], path[0]), 0);
	in_from(rig, "d/link", path[0]);
	assert_int_equal(symlink("../../nowhere", path[0]), 0);
	in_from(rig, "gone", path[0]);
	assert_int_equal(symlink("/absolute/elsewhere", path[0]), 0);
	set_time(rig, "d/link", 1000000001, 5);
	set_time(rig, "big", 1234567890, 123456789);
	set_time(rig, "d/e", 1000000000, 1);
	set_time(rig, "d", 1, 999999999);
	copy_tree(rig, &totals);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_same(rig, names[i]);
	assert_int_equal(totals.entries, ARRAY_LEN(names));
	assert_int_equal(totals.skipped, 0);
	assert_int_equal(look(rig, "to/copy", "d/hard").st_ino,
			 look(rig, "to/copy", "d/e/small").st_ino);
}

static void pipes_are_left_out_and_counted(void **state)
{
	struct copy_totals totals;
	struct rig *rig = *state;
	char path[256];

	in_from(rig, "pipe", path);
	assert_int_equal(mkfifo(path, 0644), 0);
	write_file(rig, "file", 3, 0644);
	copy_tree(rig, &totals);
	assert_int_equal(totals.skipped, 1);
	assert_int_equal(totals.entries, 2);
	assert_same(rig, "file");
}

static void a_link_itself_is_followed_when_asked(void **state)
{
	auto_text struct text followed = { 0 }, kept = { 0 };
	struct copy_totals totals;
	struct rig *rig = *state;
	char path[256];
	struct err err;

	write_file(rig, "file", 7, 0640);
	in_from(rig, "link", path);
	assert_int_equal(symlink("file", path), 0);
	assert_int_equal(pack_path(path, true, &followed, &totals, &err), 0);
	assert_int_equal(pack_path(path, false, &kept, &totals, &err), 0);
	unpack_as(rig, &followed, "followed");
	unpack_as(rig, &kept, "kept");
	assert_int_equal(look(rig, "to", "followed").st_mode, S_IFREG | 0640);
	assert_true(S_ISLNK(look(rig, "to", "kept").st_mode));
}

static void files_without_a_size_have_their_content(void **state)
{
	auto_text struct text archive = { 0 };
	struct copy_totals totals;
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(pack_path("/proc/self/status", true, &archive, &totals, &err), 0);
	unpack_as(rig, &archive, "status");
	assert_true(look(rig, "to", "status").st_size > 100);
}

static void what_is_not_there_is_told(void **state)
{
	auto_text struct text archive = { 0 };
	struct copy_totals totals;
	struct err err;

	(void)state;
	assert_int_equal(pack_path("/nonexistent/x", true, &archive, &totals, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "look at '/nonexistent/x': No such file or directory");
	assert_int_equal(pack_path("/dev/null", true, &archive, &totals, &err), -1);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
}

static int refuse_later(void *arg, const void *bytes, size_t len, struct err *err)
{
	size_t *left = arg;

	(void)bytes;
	if (len > *left)
		return err_set(err, ERR_UNAVAILABLE, 0, "nobody reads this");
	*left -= len;
	return 0;
}

static void a_sink_that_fails_ends_it_with_its_own_words(void **state)
{
	struct rig *rig = *state;
	size_t left = 300 * 1000;
	struct copy_pack pack = {
		.path = rig->from, .name = "top", .sink = refuse_later, .arg = &left
	};
	struct copy_totals totals;
	struct err err;

	write_file(rig, "big", 600 * 1000, 0644);
	assert_int_equal(copy_pack(&pack, &totals, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.msg, "nobody reads this");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_tree_comes_out_as_it_went_in, setup, teardown),
		cmocka_unit_test_setup_teardown(pipes_are_left_out_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_link_itself_is_followed_when_asked, setup,
						teardown),
		cmocka_unit_test_setup_teardown(files_without_a_size_have_their_content, setup,
						teardown),
		cmocka_unit_test(what_is_not_there_is_told),
		cmocka_unit_test_setup_teardown(a_sink_that_fails_ends_it_with_its_own_words, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
