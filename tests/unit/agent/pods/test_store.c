#include "agent/pods/store.h"

#include "shared/base/log.h"
#include "tests/support/pods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>

struct rig {
	char dir[64];
	struct store *store;
	struct store_record found[4];
	size_t count;
	size_t corrupt;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	log_set_level(LOG_LEVEL_QUIET);
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/berth-store-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	assert_int_equal(store_open(rig->dir, &rig->store, &err), 0);
	*state = rig;
	return 0;
}

static void forget(struct rig *rig)
{
	for (size_t i = 0; i < rig->count; i++)
		store_record_release(&rig->found[i]);
	rig->count = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	forget(rig);
	store_close(rig->store);
	nftw(rig->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(rig);
	return 0;
}

static void on_found(void *arg, struct store_record *r)
{
	struct rig *rig = arg;

	assert_true(rig->count < ARRAY_LEN(rig->found));
	rig->found[rig->count++] = *r;
}

static void load(struct rig *rig)
{
	struct err err;

	forget(rig);
	assert_int_equal(store_load(rig->store, on_found, rig, &rig->corrupt, &err), 0);
}

static void put(struct rig *rig, const char *uid, bool deleted)
{
	struct store_record r = { .created_ns = 1234567890123, .deleted = deleted, .grace_s = -1 };
	struct err err;

	r.pod = podtest_pod("Never c1 c2");
	free(r.pod->metadata->uid);
	r.pod->metadata->uid = strdup(uid);
	strv_add(&r.restart, "id-1");
	strv_add(&r.restart, "");
	assert_int_equal(store_put(rig->store, &r, &err), 0);
	store_record_release(&r);
}

static char *path_of(struct rig *rig, const char *name)
{
	return text_format("%s/pods/%s", rig->dir, name);
}

static bool exists(struct rig *rig, const char *name)
{
	cleanup_free char *path = path_of(rig, name);

	return access(path, F_OK) == 0;
}

static size_t read_bytes(struct rig *rig, const char *name, uint8_t *ret, size_t size)
{
	cleanup_free char *path = path_of(rig, name);
	cleanup_fd int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, ret, size);

	assert_true(n > 0);
	return (size_t)n;
}

static void write_bytes(struct rig *rig, const char *name, const uint8_t *bytes, size_t len)
{
	cleanup_free char *path = path_of(rig, name);
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, len), len);
}

/* PS-326 */
static void what_was_stored_is_loaded(void **state)
{
	struct rig *rig = *state;
	struct err err;

	put(rig, "u1", false);
	put(rig, "u2", true);
	load(rig);
	assert_int_equal(rig->count, 2);
	assert_int_equal(rig->corrupt, 0);
	assert_string_equal(pod_uid(rig->found[0].pod), "u1");
	assert_int_equal(rig->found[0].created_ns, 1234567890123);
	assert_false(rig->found[0].deleted);
	assert_int_equal(rig->found[0].grace_s, -1);
	assert_int_equal(rig->found[0].restart.count, 2);
	assert_string_equal(rig->found[0].restart.items[0], "id-1");
	assert_int_equal(rig->found[0].pod->spec->n_containers, 2);
	assert_true(rig->found[1].deleted);

	assert_int_equal(store_remove(rig->store, "u1", &err), 0);
	assert_int_equal(store_remove(rig->store, "u1", &err), 0);
	load(rig);
	assert_int_equal(rig->count, 1);
}

static void every_flipped_byte_and_every_cut_is_noticed(void **state)
{
	struct rig *rig = *state;
	uint8_t good[4096], bad[4096];
	size_t len;

	put(rig, "u1", false);
	len = read_bytes(rig, "u1", good, sizeof(good));
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, good, len);
		bad[i] ^= 0x10;
		write_bytes(rig, "u1", bad, len);
		load(rig);
		assert_int_equal(rig->count, 0);
		assert_int_equal(rig->corrupt, 1);
		assert_true(exists(rig, "u1.corrupt"));
		assert_false(exists(rig, "u1"));
	}
	for (size_t cut = 0; cut < len; cut++) {
		write_bytes(rig, "u1", good, cut);
		load(rig);
		assert_int_equal(rig->count, 0);
	}
	write_bytes(rig, "u1", good, len);
	load(rig);
	assert_int_equal(rig->count, 1);
}

static void a_bad_file_does_not_stop_the_good_ones(void **state)
{
	struct rig *rig = *state;

	put(rig, "u1", false);
	put(rig, "u3", false);
	write_bytes(rig, "u2", (const uint8_t *)"nonsense", 8);
	write_bytes(rig, "u4.new", (const uint8_t *)"half", 4);
	load(rig);
	assert_int_equal(rig->count, 2);
	assert_int_equal(rig->corrupt, 1);
	assert_true(exists(rig, "u2.corrupt"));
	assert_false(exists(rig, "u4.new"));
	/* Set aside once, silent from then on. */
	load(rig);
	assert_int_equal(rig->corrupt, 0);
}

static void a_record_under_another_name_is_refused(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[4096];
	size_t len;

	put(rig, "u1", false);
	len = read_bytes(rig, "u1", bytes, sizeof(bytes));
	write_bytes(rig, "u9", bytes, len);
	load(rig);
	assert_int_equal(rig->count, 1);
	assert_true(exists(rig, "u9.corrupt"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(what_was_stored_is_loaded),
		T(every_flipped_byte_and_every_cut_is_noticed),
		T(a_bad_file_does_not_stop_the_good_ones),
		T(a_record_under_another_name_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
