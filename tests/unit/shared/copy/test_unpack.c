/*
 * Archives from whomever: each case gets a place of its own, "root" to unpack into beside "outside",
 * which must look afterwards as it looked before.
 */
#include "shared/copy/unpack.h"

#include "shared/base/cleanup.h"
#include "tests/support/tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CANARY    "the canary sings"
#define auto_text __attribute__((cleanup(cleanup_text)))

struct place {
	char dir[64];
	int root;
	struct stat canary;
};

static void write_file(const char *dir, const char *name, const char *content)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fclose(file), 0);
}

static char *read_file(const char *dir, const char *name)
{
	static char content[256];
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "r");
	assert_non_null(file);
	content[fread(content, 1, sizeof(content) - 1, file)] = '\0';
	fclose(file);
	return content;
}

static struct stat look(const char *dir, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void make_dir(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void place_make(struct place *place)
{
	char root[96];

	snprintf(place->dir, sizeof(place->dir), "/tmp/berth-unpack-XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	make_dir(place->dir, "root");
	make_dir(place->dir, "outside");
	write_file(place->dir, "outside/canary", CANARY);
	place->canary = look(place->dir, "outside/canary");
	snprintf(root, sizeof(root), "%s/root", place->dir);
	place->root = open(root, O_RDONLY | O_DIRECTORY);
	assert_true(place->root >= 0);
}

static size_t names_in(const char *dir, const char *name)
{
	char path[256];
	size_t count = 0;
	DIR *open_dir;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	open_dir = opendir(path);
	assert_non_null(open_dir);
	while (readdir(open_dir))
		count++;
	closedir(open_dir);
	return count - 2;
}

/* Nothing new, nothing changed, nothing linked to. */
static void assert_nothing_outside(const struct place *place)
{
	struct stat now = look(place->dir, "outside/canary");

	assert_int_equal(names_in(place->dir, "."), 2);
	assert_int_equal(names_in(place->dir, "outside"), 1);
	assert_string_equal(read_file(place->dir, "outside/canary"), CANARY);
	assert_int_equal(now.st_mode, place->canary.st_mode);
	assert_int_equal(now.st_nlink, 1);
	assert_int_equal(now.st_mtim.tv_nsec, place->canary.st_mtim.tv_nsec);
	assert_int_equal(now.st_ctim.tv_nsec, place->canary.st_ctim.tv_nsec);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void place_remove(struct place *place)
{
	close(place->root);
	assert_int_equal(nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static int unpack_with(const struct place *place, const struct text *archive,
		       struct copy_unpack unpack, struct err *err)
{
	struct copy_memory memory = { archive->data, archive->len };
	struct copy_totals totals;

	unpack.dir_fd = place->root;
	unpack.source = copy_source_memory;
	unpack.arg = &memory;
	if (!unpack.name)
		unpack.name = "";
	return copy_unpack(&unpack, &totals, err);
}

static int unpack(const struct place *place, const struct text *archive, struct err *err)
{
	return unpack_with(place, archive, (struct copy_unpack){ 0 }, err);
}

static void add(struct text *archive, const char *name, char type, const char *link)
{
	struct tar_entry entry = { .name = name, .type = type, .link = link, .mode = 0644 };

	if (type == '0') {
		entry.data = "poison";
		entry.size = 6;
	}
	if (type == '5')
		entry.mode = 0755;
	tar_add(archive, &entry);
}

/* --- the corpus ------------------------------------------------------------------------------------ */

#define LONG_PART "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_NAME LONG_PART LONG_PART LONG_PART LONG_PART "x"

static const char *const hostile_names[] = {
	"../poison",
	"..",
	"../outside/canary",
	"a/../../outside/canary",
	"./../outside/new",
	"a/./../../outside/new",
	"a//..//..//outside/new",
	"up/new",
	"up/canary",
	"up/../poison",
	"out/new",
	"out/canary",
	"chain/canary",
	"file/new",
	"out",
	"a/",
	"...",
	LONG_NAME,
	"%s/outside/new",
	"%s/outside/canary",
};

static const char hostile_types[] = "01234567";

static const char *const hostile_links[] = {
	"..",
	"../outside",
	"../outside/canary",
	"%s/outside/canary",
	"out/canary",
	"up/outside/canary",
	"/",
};

/* Links that lead out, made by the archive itself, then the entry in question, then one more through
 * what it may have made. */
static void hostile_archive(struct text *archive, const char *name, char type, const char *link)
{
	add(archive, "a", '5', NULL);
	add(archive, "file", '0', NULL);
	add(archive, "up", '2', "..");
	add(archive, "out", '2', "../outside");
	add(archive, "chain", '2', "out");
	add(archive, name, type, link);
	add(archive, "a/through", type, link);
	add(archive, "a/through/new", '0', NULL);
	tar_end(archive);
}

static void try_hostile(const char *name, char type, const char *link, bool steps)
{
	auto_text struct text archive = { 0 };
	char full_name[512], full_link[512];
	struct place place;
	struct err err = { 0 };

	place_make(&place);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(full_name, sizeof(full_name), name, place.dir);
	snprintf(full_link, sizeof(full_link), link, place.dir);
#pragma GCC diagnostic pop
	hostile_archive(&archive, full_name, type, full_link);
	/* "a/through/new" goes through a link, or its name was refused before. */
	if (unpack_with(&place, &archive, (struct copy_unpack){ .steps = steps }, &err) == 0)
		assert_true(type == '5');
	else
		assert_true(err.code != ERR_OK && err.msg[0]);
	assert_nothing_outside(&place);
	place_remove(&place);
}

/* I10, A5: names x types x link targets, by openat2 and without */
static void hostile_archives_put_nothing_outside(void **state)
{
	size_t tried = 0;

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(hostile_names); n++) {
		for (const char *type = hostile_types; *type; type++) {
			for (size_t l = 0; l < ARRAY_LEN(hostile_links); l++) {
				try_hostile(hostile_names[n], *type, hostile_links[l], tried % 2);
				tried++;
				if (*type != '1' && *type != '2')
					break; /* it has no link */
			}
		}
	}
	assert_true(tried >= 200);
}

static void refused_with(const struct place *place, const struct text *archive, const char *reason)
{
	struct err err = { 0 };

	assert_int_equal(unpack(place, archive, &err), -1);
	assert_string_equal(err.reason, reason);
}

/* I10 */
static void devices_and_pipes_are_refused(void **state)
{
	(void)state;
	for (const char *type = "346"; *type; type++) {
		auto_text struct text archive = { 0 };
		struct place place;

		place_make(&place);
		add(&archive, "x", *type, NULL);
		tar_end(&archive);
		refused_with(&place, &archive, "UNSAFE_ARCHIVE");
		assert_int_equal(names_in(place.dir, "root"), 0);
		place_remove(&place);
	}
}

/* I9: a link that was there before is not followed either */
static void links_below_the_directory_are_not_followed(void **state)
{
	auto_text struct text archive = { 0 };
	struct place place;

	(void)state;
	place_make(&place);
	assert_int_equal(symlinkat("../outside", place.root, "d"), 0);
	add(&archive, "d/canary", '0', NULL);
	tar_end(&archive);
	refused_with(&place, &archive, "NOT_A_DIRECTORY");
	assert_nothing_outside(&place);
	place_remove(&place);
}

/* NS-282: a link in the file's own place is replaced, what it leads to is not */
static void links_in_a_files_place_are_replaced(void **state)
{
	auto_text struct text archive = { 0 };
	struct place place;
	struct err err;

	(void)state;
	place_make(&place);
	assert_int_equal(symlinkat("../outside/canary", place.root, "x"), 0);
	add(&archive, "x", '0', NULL);
	tar_end(&archive);
	assert_int_equal(unpack(&place, &archive, &err), 0);
	assert_string_equal(read_file(place.dir, "root/x"), "poison");
	assert_nothing_outside(&place);
	place_remove(&place);
}

/* I10 */
static void set_id_bits_are_dropped(void **state)
{
	auto_text struct text archive = { 0 };
	struct tar_entry entry = {
		.name = "x", .type = '0', .mode = 06755, .data = "x", .size = 1
	};
	struct place place;
	struct err err;

	(void)state;
	place_make(&place);
	tar_add(&archive, &entry);
	entry = (struct tar_entry){ .name = "d", .type = '5', .mode = 07755 };
	tar_add(&archive, &entry);
	tar_end(&archive);
	assert_int_equal(unpack(&place, &archive, &err), 0);
	assert_int_equal(look(place.dir, "root/x").st_mode & 07777, 0755);
	assert_int_equal(look(place.dir, "root/d").st_mode & 07777, 01755);
	place_remove(&place);
}

/* I10 */
static void too_many_entries_are_refused(void **state)
{
	auto_text struct text archive = { 0 };
	struct place place;
	struct err err;

	(void)state;
	place_make(&place);
	for (int i = 0; i < 11; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		add(&archive, name, '0', NULL);
	}
	tar_end(&archive);
	assert_int_equal(
		unpack_with(&place, &archive, (struct copy_unpack){ .max_entries = 10 }, &err), -1);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(err.reason, "TOO_MANY_FILES");
	assert_int_equal(names_in(place.dir, "root"), 10);
	assert_int_equal(
		unpack_with(&place, &archive, (struct copy_unpack){ .max_entries = 11 }, &err), 0);
	place_remove(&place);
}

/* NS-282: what breaks off leaves neither half a file nor a temporary name */
static void broken_archives_leave_no_half_files(void **state)
{
	auto_text struct text archive = { 0 };
	struct tar_entry entry = { .name = "x", .type = '0', .mode = 0644, .size = 5000 };
	struct place place;
	struct err err;

	(void)state;
	place_make(&place);
	tar_add(&archive, &entry);
	text_add_bytes(&archive, LONG_PART, 64);
	assert_int_equal(unpack(&place, &archive, &err), -1);
	assert_int_equal(err.code, ERR_DATA_LOSS);
	assert_int_equal(names_in(place.dir, "root"), 0);
	place_remove(&place);
}

/* The file's lie about its size ends at its own end: no archive within compressed noise, no gigabytes. */
static void what_is_no_archive_is_told(void **state)
{
	auto_text struct text archive = { 0 };
	struct place place;
	struct err err;

	(void)state;
	place_make(&place);
	text_add(&archive, "#!/bin/sh\necho this is no archive\n");
	assert_int_equal(unpack(&place, &archive, &err), -1);
	assert_int_equal(err.code, ERR_DATA_LOSS);
	archive.len = 0;
	assert_int_equal(unpack(&place, &archive, &err), -1);
	assert_int_equal(err.code, ERR_DATA_LOSS);
	text_add_bytes(&archive, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10);
	assert_int_equal(unpack(&place, &archive, &err), -1);
	assert_int_equal(err.code, ERR_DATA_LOSS);
	place_remove(&place);
}

/* A5: a node that was asked for one file does not choose what it is called here */
static void the_first_component_is_the_callers_choice(void **state)
{
	auto_text struct text archive = { 0 };
	struct place place;
	struct err err;

	(void)state;
	place_make(&place);
	add(&archive, ".bashrc", '0', NULL);
	add(&archive, ".ssh", '0', NULL);
	tar_end(&archive);
	assert_int_equal(
		unpack_with(&place, &archive, (struct copy_unpack){ .name = "motd" }, &err), 0);
	assert_int_equal(names_in(place.dir, "root"), 1);
	assert_string_equal(read_file(place.dir, "root/motd"), "poison");
	place_remove(&place);
}

/* --- races ------------------------------------------------------------------------------------------ */

struct swapper {
	int root;
	atomic_bool stop;
	atomic_ulong swaps;
};

static void *swap_all_the_time(void *arg)
{
	struct swapper *s = arg;

	while (!atomic_load(&s->stop)) {
		if (renameat2(s->root, "d", s->root, "swap", RENAME_EXCHANGE) == 0)
			atomic_fetch_add(&s->swaps, 1);
	}
	return NULL;
}

/* One entry an archive: a try ends with the first refusal. */
static void race_archive(struct text *archive, unsigned i)
{
	static const char types[] = "0250";
	char name[32];

	archive->len = 0;
	snprintf(name, sizeof(name), i % 4 == 3 ? "d/canary" : "d/n%u", i % 8);
	add(archive, name, types[i % 4], i % 4 == 1 ? "../outside/canary" : NULL);
	if (i % 4 == 0) {
		char link[32];

		snprintf(link, sizeof(link), "d/l%u", i % 8);
		add(archive, link, '1', i % 8 == 0 ? name : "d/canary");
	}
	tar_end(archive);
}

static void race(bool steps, unsigned tries)
{
	auto_text struct text archive = { 0 };
	unsigned done = 0, refused = 0;
	struct swapper swapper = { 0 };
	struct place place;
	pthread_t thread;

	place_make(&place);
	make_dir(place.dir, "root/d");
	assert_int_equal(symlinkat("../outside", place.root, "swap"), 0);
	swapper.root = place.root;
	assert_int_equal(pthread_create(&thread, NULL, swap_all_the_time, &swapper), 0);
	for (unsigned i = 0; i < tries; i++) {
		struct err err;

		race_archive(&archive, i);
		if (unpack_with(&place, &archive, (struct copy_unpack){ .steps = steps }, &err) ==
		    0)
			done++;
		else
			refused++;
	}
	atomic_store(&swapper.stop, true);
	pthread_join(thread, NULL);
	assert_nothing_outside(&place);
	/* Both happened, or nothing was raced. */
	assert_true(done > 0 && refused > 0 && atomic_load(&swapper.swaps) > tries / 10);
	place_remove(&place);
}

/* I9, G16 */
static void a_directory_that_turns_into_a_link_is_no_way_out(void **state)
{
	(void)state;
	race(false, 20000);
	race(true, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_archives_put_nothing_outside),
		cmocka_unit_test(devices_and_pipes_are_refused),
		cmocka_unit_test(links_below_the_directory_are_not_followed),
		cmocka_unit_test(links_in_a_files_place_are_replaced),
		cmocka_unit_test(set_id_bits_are_dropped),
		cmocka_unit_test(too_many_entries_are_refused),
		cmocka_unit_test(broken_archives_leave_no_half_files),
		cmocka_unit_test(what_is_no_archive_is_told),
		cmocka_unit_test(the_first_component_is_the_callers_choice),
		cmocka_unit_test(a_directory_that_turns_into_a_link_is_no_way_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
