#include "agent/server/journal.h"

#include "shared/base/cleanup.h"
#include "tests/support/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDS   20
#define BIT_FLIPS 10000

struct rig {
	char dir[64];
	char path[80];
	struct journal *journal;
	size_t damaged;
};

/* What a journal told: the number in each record's digest, in order. */
struct told {
	unsigned numbers[8 * RECORDS];
	size_t count;
	size_t reply_bytes;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	make_dir(rig->dir);
	snprintf(rig->path, sizeof(rig->path), "%s/calls", rig->dir);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	journal_close(rig->journal);
	remove_dir(rig->dir);
	free(rig);
	return 0;
}

/* Each record can be checked by itself: all of it follows from its number. */
static void make(unsigned n, uint8_t reply[256], struct journal_record *ret)
{
	*ret = (struct journal_record){ .digest = n, .at_ms = 1000 + n };
	memset(ret->id, (int)n, sizeof(ret->id));
	if (n % 2) {
		memset(reply, (int)n, 256);
		ret->reply = reply;
		ret->reply_len = n % 256;
	}
}

static void tell(void *arg, const struct journal_record *r)
{
	struct told *told = arg;
	struct journal_record want;
	uint8_t reply[256];

	make((unsigned)r->digest, reply, &want);
	assert_memory_equal(r->id, want.id, sizeof(want.id));
	assert_int_equal(r->at_ms, want.at_ms);
	assert_int_equal(!r->reply, !want.reply);
	assert_int_equal(r->reply_len, want.reply_len);
	if (r->reply)
		assert_memory_equal(r->reply, want.reply, want.reply_len);
	told->reply_bytes += r->reply_len;
	if (told->count < ARRAY_LEN(told->numbers))
		told->numbers[told->count++] = (unsigned)r->digest;
}

static void open_it(struct rig *rig, struct told *told)
{
	struct err err;

	memset(told, 0, sizeof(*told));
	journal_close(rig->journal);
	rig->journal = NULL;
	assert_int_equal(journal_open(rig->path, tell, told, &rig->journal, &rig->damaged, &err),
			 0);
}

static void add(struct rig *rig, unsigned n)
{
	struct journal_record r;
	uint8_t reply[256];
	struct err err;

	make(n, reply, &r);
	assert_int_equal(journal_add(rig->journal, &r, &err), 0);
}

/* RECORDS records as bytes; 'ends[i]' is where record i ends. */
static void put_all(struct text *t, size_t ends[RECORDS])
{
	struct journal_record r;
	uint8_t reply[256];

	for (unsigned n = 0; n < RECORDS; n++) {
		make(n, reply, &r);
		journal_put(t, &r);
		ends[n] = t->len;
	}
	assert_false(text_failed(t));
}

static void what_was_added_is_told_in_order(void **state)
{
	struct rig *rig = *state;
	struct told told;
	struct stat st;

	open_it(rig, &told);
	assert_int_equal(told.count, 0);
	for (unsigned n = 0; n < RECORDS; n++)
		add(rig, n);
	open_it(rig, &told);
	assert_int_equal(told.count, RECORDS);
	for (unsigned n = 0; n < RECORDS; n++)
		assert_int_equal(told.numbers[n], n);
	assert_int_equal(rig->damaged, 0);
	assert_int_equal(stat(rig->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* F11, F12: every prefix opens, and holds every whole record */
static void a_journal_cut_at_any_byte_keeps_what_is_whole(void **state)
{
	cleanup_with(text) struct text bytes = { 0 };
	size_t ends[RECORDS], whole = 0;

	(void)state;
	put_all(&bytes, ends);
	for (size_t len = 0; len <= bytes.len; len++) {
		struct told told = { 0 };
		uint8_t *copy = malloc(len ? len : 1);
		size_t damaged;

		memcpy(copy, bytes.data, len);
		while (whole < RECORDS && ends[whole] <= len)
			whole++;
		damaged = journal_scan(copy, len, tell, &told);
		assert_int_equal(told.count, whole);
		assert_int_equal(damaged, len - (whole ? ends[whole - 1] : 0));
		free(copy);
	}
}

/* F12: 'tell' would fail on a record that is not as it was made */
static void a_flipped_bit_costs_one_record_and_is_seen(void **state)
{
	cleanup_with(text) struct text bytes = { 0 };
	size_t ends[RECORDS];

	(void)state;
	srandom(1);
	put_all(&bytes, ends);
	for (int i = 0; i < BIT_FLIPS; i++) {
		size_t at = (size_t)random() % bytes.len;
		char was = bytes.data[at];
		struct told told = { 0 };
		size_t damaged;

		bytes.data[at] = (char)(was ^ 1 << random() % 8);
		damaged = journal_scan((const uint8_t *)bytes.data, bytes.len, tell, &told);
		assert_int_equal(told.count, RECORDS - 1);
		assert_true(damaged > 0);
		bytes.data[at] = was;
	}
}

static void what_follows_a_torn_record_counts(void **state)
{
	struct rig *rig = *state;
	struct told told;

	open_it(rig, &told);
	add(rig, 1);
	add(rig, 2);
	assert_int_equal(truncate(rig->path, 80), 0);
	open_it(rig, &told);
	assert_true(rig->damaged > 0);
	add(rig, 3);
	open_it(rig, &told);
	assert_int_equal(told.count, 2);
	assert_int_equal(told.numbers[0], 1);
	assert_int_equal(told.numbers[1], 3);
}

static void a_long_reply_is_only_known_to_have_begun(void **state)
{
	uint8_t *reply = calloc(1, JOURNAL_REPLY_MAX + 1);
	struct journal_record r = { .digest = 4, .at_ms = 1004, .reply = reply };
	struct rig *rig = *state;
	struct told told;
	struct err err;

	memset(r.id, 4, sizeof(r.id));
	r.reply_len = JOURNAL_REPLY_MAX + 1;
	open_it(rig, &told);
	assert_int_equal(journal_add(rig->journal, &r, &err), 0);
	open_it(rig, &told);
	assert_int_equal(told.count, 1); /* 'tell' has seen that it has no reply */
	free(reply);
}

static void a_long_journal_is_rewritten_in_place(void **state)
{
	cleanup_with(text) struct text records = { 0 };
	struct rig *rig = *state;
	struct told told;
	struct stat st;
	struct err err;
	size_t ends[RECORDS];
	unsigned added = 0;

	open_it(rig, &told);
	for (; !journal_is_long(rig->journal); added++)
		add(rig, added % 200);
	assert_in_range(added, 1000, 10000);
	put_all(&records, ends);
	assert_int_equal(journal_rewrite(rig->journal, &records, &err), 0);
	assert_false(journal_is_long(rig->journal));
	add(rig, 77);
	assert_int_equal(stat(rig->path, &st), 0);
	assert_in_range(st.st_size, records.len + 1, records.len + 200);
	open_it(rig, &told);
	assert_int_equal(told.count, RECORDS + 1);
	assert_int_equal(told.numbers[RECORDS], 77);
}

static void a_failed_rewrite_changes_nothing(void **state)
{
	cleanup_with(text) struct text records = { 0 };
	struct rig *rig = *state;
	struct told told;
	char new_path[96];
	struct err err;

	open_it(rig, &told);
	add(rig, 5);
	snprintf(new_path, sizeof(new_path), "%s.new", rig->path);
	assert_int_equal(mkdir(new_path, 0700), 0);
	assert_int_equal(journal_rewrite(rig->journal, &records, &err), -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	add(rig, 6);
	open_it(rig, &told);
	assert_int_equal(told.count, 2);
	rmdir(new_path);
}

static void what_is_no_plain_file_is_refused(void **state)
{
	struct rig *rig = *state;
	struct told told = { 0 };
	struct err err;

	assert_int_equal(symlink("/etc/passwd", rig->path), 0);
	assert_int_equal(journal_open(rig->path, tell, &told, &rig->journal, &rig->damaged, &err),
			 -1);
	assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
}

/* F10: a limit on the size of files stands in for a disk that fills up in the middle of a record */
static void a_record_that_the_disk_does_not_take_leaves_no_trace(void **state)
{
	struct rlimit was, limit;
	struct rig *rig = *state;
	struct journal_record r;
	struct told told;
	uint8_t reply[256];
	struct stat st;
	struct err err;

	open_it(rig, &told);
	add(rig, 1);
	assert_int_equal(stat(rig->path, &st), 0);
	make(199, reply, &r);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = (struct rlimit){ (rlim_t)st.st_size + 20, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(journal_add(rig->journal, &r, &err), -1);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	add(rig, 2);
	open_it(rig, &told);
	assert_int_equal(rig->damaged, 0);
	assert_int_equal(told.count, 2);
	assert_int_equal(told.numbers[1], 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_added_is_told_in_order),
		TEST(a_journal_cut_at_any_byte_keeps_what_is_whole),
		TEST(a_flipped_bit_costs_one_record_and_is_seen),
		TEST(what_follows_a_torn_record_counts),
		TEST(a_long_reply_is_only_known_to_have_begun),
		TEST(a_long_journal_is_rewritten_in_place),
		TEST(a_failed_rewrite_changes_nothing),
		TEST(what_is_no_plain_file_is_refused),
		TEST(a_record_that_the_disk_does_not_take_leaves_no_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
