/* Log files as a runtime, a rotation and an enemy leave them. */
#include "agent/streams/logs.h"
#include "shared/base/cleanup.h"
#include "shared/base/stamp.h"
#include "shared/base/text.h"
#include "tests/support/streams.h"
#include "tests/support/units.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define POD  "default_web_11111111-2222"
#define HOUR INT64_C(3600000000000)

struct rig {
	struct st_rig *st;
	char root[64];
	char dir[128]; /* of the container "app" */
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	st_setup((void **)&rig->st);
	make_dir(rig->root);
	snprintf(rig->dir, sizeof(rig->dir), "%s/" POD, rig->root);
	assert_int_equal(mkdir(rig->dir, 0755), 0);
	snprintf(rig->dir, sizeof(rig->dir), "%s/" POD "/app", rig->root);
	assert_int_equal(mkdir(rig->dir, 0755), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	st_teardown((void **)&rig->st);
	remove_dir(rig->root);
	free(rig);
	return 0;
}

static const char *path_of(const struct rig *rig, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", rig->dir, name);
	return path;
}

static void append(const struct rig *rig, const char *name, const char *text)
{
	char path[256];
	cleanup_fd int fd = open(path_of(rig, name, path), O_WRONLY | O_APPEND | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void rename_log(const struct rig *rig, const char *from, const char *to)
{
	char a[256], b[256];

	assert_int_equal(rename(path_of(rig, from, a), path_of(rig, to, b)), 0);
}

static struct container_logs_spec spec_of(const struct rig *rig)
{
	return (struct container_logs_spec){
		.root = rig->root,
		.namespace = "default",
		.pod = "web",
		.range = { .tail_lines = -1 },
	};
}

static struct stream *open_logs(struct rig *rig, const struct container_logs_spec *spec)
{
	struct stream *s = NULL;
	struct err err;

	if (container_logs_open(rig->st->streams, rig->st->loop, spec, ROLE_READ, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static void assert_text(struct rig *rig, const struct container_logs_spec *spec, const char *wanted)
{
	struct stream *s = open_logs(rig, spec);
	struct st_output out;

	st_read_all(rig->st, s, 0, &out);
	assert_string_equal(out.text, wanted);
	assert_int_equal(out.end.err.code, ERR_OK);
	stream_close(s);
}

static void assert_refused(struct rig *rig, const struct container_logs_spec *spec,
			   enum err_code code, const char *reason)
{
	struct stream *s = NULL;
	struct err err = { 0 };

	assert_int_equal(container_logs_open(rig->st->streams, rig->st->loop, spec, ROLE_READ, &s,
					     &err),
			 -1);
	assert_int_equal(err.code, code);
	assert_string_equal(err.reason, reason);
	assert_int_equal(streams_count(rig->st->streams), 0);
}

/* --- where to begin ------------------------------------------------------------------------------- */

/* NS-086 */
static void all_the_last_and_none_of_the_lines(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);

	append(rig, "0.log", "a\nb\nc\n");
	assert_text(rig, &spec, "a\nb\nc\n");
	spec.range.tail_lines = 2;
	assert_text(rig, &spec, "b\nc\n");
	spec.range.tail_lines = 3;
	assert_text(rig, &spec, "a\nb\nc\n");
	spec.range.tail_lines = 100;
	assert_text(rig, &spec, "a\nb\nc\n");
	spec.range.tail_lines = 0;
	assert_text(rig, &spec, "");
	append(rig, "0.log", "unfinished");
	spec.range.tail_lines = 2;
	assert_text(rig, &spec, "c\nunfinished\n");
}

/* NS-086: what rotation has put aside is part of the log. */
static void tail_goes_back_over_rotations(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);

	append(rig, "0.log.20260101-000000", "a\nb\n");
	append(rig, "0.log.20260102-000000", "c\nd\n");
	append(rig, "0.log", "e\n");
	append(rig, "0.log.20251231-000000.gz", "compressed");
	append(rig, "0.log.20260103-000000.tmp", "being compressed");
	assert_text(rig, &spec, "a\nb\nc\nd\ne\n");
	spec.range.tail_lines = 4;
	assert_text(rig, &spec, "b\nc\nd\ne\n");
	spec.range.tail_lines = 3;
	assert_text(rig, &spec, "c\nd\ne\n");
	spec.range.tail_lines = 9;
	assert_text(rig, &spec, "a\nb\nc\nd\ne\n");
}

static void append_stamped(struct rig *rig, const char *name, int from, int to)
{
	cleanup_with(text) struct text text = { 0 };
	char stamp[STAMP_BYTES];

	for (int i = from; i < to; i++) {
		stamp_format(i * HOUR, stamp);
		text_addf(&text, "%s stdout F line %d with some words to make it longer\n", stamp,
			  i);
	}
	append(rig, name, text_str(&text));
}

/* The bytes from line 'i' on. */
static uint64_t length_from(struct rig *rig, int i, int to)
{
	char line[128], stamp[STAMP_BYTES];
	uint64_t len = 0;

	(void)rig;
	for (; i < to; i++) {
		stamp_format(i * HOUR, stamp);
		len += (uint64_t)snprintf(line, sizeof(line),
					  "%s stdout F line %d with some words to make it longer\n",
					  stamp, i);
	}
	return len;
}

/* NS-267: found by halves, in a file of many blocks, at every kind of place. */
static void since_begins_at_the_first_line_of_that_time(void **state)
{
	static const int wanted[] = { 1, 2, 1500, 2998, 2999, 3000, 3001, 4711, 5998, 5999 };
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);
	struct st_output out;
	struct stream *s;

	append_stamped(rig, "0.log.20260101-000000", 0, 3000);
	append_stamped(rig, "0.log", 3000, 6000);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		char beginning[48], stamp[STAMP_BYTES];

		spec.range.since_ns = wanted[i] * HOUR - HOUR / 2;
		s = open_logs(rig, &spec);
		st_read_all(rig->st, s, 0, &out);
		stamp_format(wanted[i] * HOUR, stamp);
		snprintf(beginning, sizeof(beginning), "%s", stamp);
		assert_memory_equal(out.text, beginning, strlen(beginning));
		assert_int_equal(out.bytes, length_from(rig, wanted[i], 6000));
		stream_close(s);
	}
	/* Both: whichever begins later. */
	spec.range.since_ns = 5000 * HOUR;
	spec.range.tail_lines = 10;
	s = open_logs(rig, &spec);
	st_read_all(rig->st, s, 0, &out);
	assert_int_equal(out.bytes, length_from(rig, 5990, 6000));
	stream_close(s);
	spec.range.since_ns = 5995 * HOUR;
	s = open_logs(rig, &spec);
	st_read_all(rig->st, s, 0, &out);
	assert_int_equal(out.bytes, length_from(rig, 5995, 6000));
	stream_close(s);
	spec.range.since_ns = 6000 * HOUR;
	assert_text(rig, &spec, "");
}

static void newest_run_is_read_and_the_one_before_on_request(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);

	append(rig, "9.log", "ninth\n");
	assert_text(rig, &spec, "ninth\n");
	spec.previous = true;
	assert_refused(rig, &spec, ERR_NOT_FOUND, "NO_PREVIOUS_RUN");
	append(rig, "10.log", "tenth\n");
	append(rig, "9.log.20260101-000000", "eighth\n");
	spec.range.follow = true; /* what is over is not followed */
	assert_text(rig, &spec, "eighth\nninth\n");
	spec = spec_of(rig);
	assert_text(rig, &spec, "tenth\n");
}

/* --- which -------------------------------------------------------------------------------------------- */

/* A directory of another pod called "web", which was changed when it is said. */
static void add_pod(const struct rig *rig, const char *uid, const char *text, time_t changed)
{
	const struct timespec times[2] = { { changed, 0 }, { changed, 0 } };
	char dir[200], path[256];
	FILE *file;

	snprintf(dir, sizeof(dir), "%s/default_web_%s", rig->root, uid);
	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/app", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/app/0.log", dir);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "%s\n", text);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(utimensat(AT_FDCWD, dir, times, 0), 0);
}

/* I11: the uid decides, and where nobody knows it the time does, and then again the uid. */
static void of_several_pods_of_a_name_the_uid_decides(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);

	add_pod(rig, "cccc", "now", 2000000000);
	add_pod(rig, "aaaa", "gone", 2000000000);
	add_pod(rig, "bbbb", "gone too", 2000000000);
	add_pod(rig, "dddd", "long ago", -5);
	assert_text(rig, &spec, "now\n");
	spec.uid = "aaaa";
	assert_text(rig, &spec, "gone\n");
	spec.uid = "dddd";
	assert_text(rig, &spec, "long ago\n");
	spec.uid = "eeee";
	assert_text(rig, &spec, "now\n");
}

static void several_containers_want_a_name(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);
	struct stream *s;
	struct err err;
	char path[256];

	append(rig, "0.log", "app\n");
	snprintf(path, sizeof(path), "%s/" POD "/side", rig->root);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_refused(rig, &spec, ERR_INVALID_ARGUMENT, "CONTAINER_REQUIRED");
	container_logs_open(rig->st->streams, rig->st->loop, &spec, ROLE_READ, &s, &err);
	assert_string_equal(err.msg, "the pod has several containers: app, side");
	spec.container = "app";
	assert_text(rig, &spec, "app\n");
	spec.container = "side";
	assert_refused(rig, &spec, ERR_NOT_FOUND, "CONTAINER_LOG_NOT_FOUND");
	spec.container = "nosuch";
	assert_refused(rig, &spec, ERR_NOT_FOUND, "CONTAINER_LOG_NOT_FOUND");
	spec.pod = "nosuch";
	assert_refused(rig, &spec, ERR_NOT_FOUND, "POD_LOG_NOT_FOUND");
}

/* I11 */
static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = { "..", "../x", "a/b", "", "web_1", "-x", "WEB" };
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct container_logs_spec spec = spec_of(rig);

		spec.pod = names[i];
		assert_refused(rig, &spec, ERR_INVALID_ARGUMENT, "INVALID_ARGUMENT");
		spec = spec_of(rig);
		spec.namespace = names[i];
		assert_refused(rig, &spec, ERR_INVALID_ARGUMENT, "INVALID_ARGUMENT");
		spec = spec_of(rig);
		spec.container = names[i];
		if (*names[i])
			assert_refused(rig, &spec, ERR_INVALID_ARGUMENT, "INVALID_ARGUMENT");
	}
}

static void write_secret(const struct rig *rig, char path[256])
{
	cleanup_fd int fd = -1;

	snprintf(path, 256, "%s/secret", rig->root);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "secret\n", 7), 7);
}

/* I11: links of any kind, at every level. */
static void links_are_not_followed(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);
	char secret[256], log[256], dir[256];

	write_secret(rig, secret);
	assert_int_equal(symlink(secret, path_of(rig, "0.log", log)), 0);
	assert_refused(rig, &spec, ERR_FAILED_PRECONDITION, "LOG_NOT_A_FILE");
	assert_int_equal(unlink(log), 0);
	assert_int_equal(link(secret, log), 0);
	assert_refused(rig, &spec, ERR_FAILED_PRECONDITION, "LOG_NOT_A_FILE");
	assert_int_equal(unlink(log), 0);
	assert_int_equal(mkfifo(log, 0600), 0);
	assert_refused(rig, &spec, ERR_FAILED_PRECONDITION, "LOG_NOT_A_FILE");
	assert_int_equal(unlink(log), 0);

	/* A directory in place of the container's, and of the pod's. */
	append(rig, "0.log", "app\n");
	snprintf(dir, sizeof(dir), "%s/elsewhere", rig->root);
	assert_int_equal(rename(rig->dir, dir), 0);
	assert_int_equal(symlink(dir, rig->dir), 0);
	spec.container = "app";
	assert_refused(rig, &spec, ERR_NOT_FOUND, "CONTAINER_LOG_NOT_FOUND");
	spec.pod = "linked";
	snprintf(dir, sizeof(dir), "%s/default_linked_1", rig->root);
	snprintf(log, sizeof(log), "%s/" POD, rig->root);
	assert_int_equal(symlink(log, dir), 0);
	assert_refused(rig, &spec, ERR_NOT_FOUND, "POD_LOG_NOT_FOUND");
}

struct swapper {
	const struct rig *rig;
	char secret[256];
	unsigned swaps;
	atomic_bool over;
};

/* Now a file, now a link: always there, always by rename. */
static void *swap(void *arg)
{
	struct swapper *sw = arg;
	char log[256], link_path[256], file_path[256];

	path_of(sw->rig, "0.log", log);
	path_of(sw->rig, "next-link", link_path);
	path_of(sw->rig, "next-file", file_path);
	for (sw->swaps = 0; sw->swaps < 1000; sw->swaps++) {
		if (symlink(sw->secret, link_path) < 0 || rename(link_path, log) < 0)
			break;
		append(sw->rig, "next-file", "harmless\n");
		if (rename(file_path, log) < 0)
			break;
	}
	atomic_store(&sw->over, true);
	return NULL;
}

/* I11: 1,000 swaps of file and link under the reader, 0 leaks. */
static void thousand_swaps_of_file_and_link_leak_nothing(void **state)
{
	struct rig *rig = *state;
	struct swapper sw = { .rig = rig };
	unsigned read = 0, refused = 0;
	pthread_t thread;

	write_secret(rig, sw.secret);
	append(rig, "0.log", "harmless\n");
	assert_int_equal(pthread_create(&thread, NULL, swap, &sw), 0);
	while (!atomic_load(&sw.over)) {
		struct container_logs_spec spec = spec_of(rig);
		struct stream *s = NULL;
		struct st_output out;
		struct err err;

		if (container_logs_open(rig->st->streams, rig->st->loop, &spec, ROLE_READ, &s,
					&err) < 0) {
			refused++;
			continue;
		}
		st_read_all(rig->st, s, 0, &out);
		assert_null(strstr(out.text, "secret"));
		stream_close(s);
		read++;
	}
	pthread_join(thread, NULL);
	assert_int_equal(sw.swaps, 1000);
	assert_true(read + refused > 0);
}

/* I11 */
static void endless_line_is_cut_and_the_next_one_is_whole(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);
	cleanup_free char *line = malloc(3 * LOG_LINE_MAX);
	struct st_output out;
	struct stream *s;

	assert_non_null(line);
	memset(line, 'x', 3 * LOG_LINE_MAX - 1);
	line[3 * LOG_LINE_MAX - 1] = '\0';
	append(rig, "0.log", line);
	append(rig, "0.log", "\nnext\n");
	s = open_logs(rig, &spec);
	st_read_all(rig->st, s, 0, &out);
	assert_int_equal(out.bytes, LOG_LINE_MAX + strlen("\nnext\n"));
	stream_close(s);
}

/* --- while it grows ------------------------------------------------------------------------------------- */

/* What has come so far. */
struct follower {
	struct rig *rig;
	struct stream *s;
	uint64_t offset;
	struct text text;
	bool ended;
	struct st_answer answer;
};

static void follow(struct follower *f, struct rig *rig, const struct container_logs_spec *spec)
{
	*f = (struct follower){ .rig = rig, .s = open_logs(rig, spec) };
}

/* Reads until the text is that; fails after ten seconds. */
static void until_text(struct follower *f, const char *wanted)
{
	while (!f->ended && strcmp(text_str(&f->text), wanted) != 0) {
		memset(&f->answer, 0, sizeof(f->answer));
		st_read(f->s, f->offset, sizeof(f->answer.text) - 1, 10000, &f->answer);
		st_wait(f->rig->st, &f->answer);
		assert_int_equal(f->answer.err.code, ERR_OK);
		assert_true(f->answer.len > 0 || f->answer.ended);
		text_add_bytes(&f->text, f->answer.text, f->answer.len);
		f->offset = f->answer.next_offset;
		f->ended = f->answer.ended;
		assert_memory_equal(text_str(&f->text), wanted,
				    f->text.len < strlen(wanted) ? f->text.len : strlen(wanted));
	}
	assert_string_equal(text_str(&f->text), wanted);
}

static void unfollow(struct follower *f)
{
	stream_close(f->s);
	text_release(&f->text);
}

/* NS-086, F38 */
static void following_goes_on_over_rotation_and_restart(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);
	struct follower f;

	spec.range.follow = true;
	append(rig, "0.log", "a\n");
	follow(&f, rig, &spec);
	until_text(&f, "a\n");
	append(rig, "0.log", "b\n");
	until_text(&f, "a\nb\n");
	/* The runtime writes to the file that was put aside until it opens a new one. */
	rename_log(rig, "0.log", "0.log.20260101-000000");
	append(rig, "0.log.20260101-000000", "c\n");
	until_text(&f, "a\nb\nc\n");
	append(rig, "0.log", "");
	append(rig, "0.log.20260101-000000", "d\n");
	until_text(&f, "a\nb\nc\nd\n");
	append(rig, "0.log", "e\n");
	until_text(&f, "a\nb\nc\nd\ne\n");
	/* The next run of the container; the last line of this one has no end. */
	append(rig, "0.log", "f");
	append(rig, "1.log", "g\n");
	until_text(&f, "a\nb\nc\nd\ne\nf\ng\n");
	unfollow(&f);
}

/* F38 */
static void truncated_file_is_read_from_its_start(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);
	struct follower f;
	char path[256];

	spec.range.follow = true;
	append(rig, "0.log", "first\nsecond\n");
	follow(&f, rig, &spec);
	until_text(&f, "first\nsecond\n");
	assert_int_equal(truncate(path_of(rig, "0.log", path), 0), 0);
	append(rig, "0.log", "third\n");
	until_text(&f, "first\nsecond\nthird\n");
	unfollow(&f);
}

static void following_ends_with_the_directory(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);
	struct follower f;

	spec.range.follow = true;
	spec.range.tail_lines = 1;
	append(rig, "0.log", "a\nb\n");
	follow(&f, rig, &spec);
	until_text(&f, "b\n");
	remove_dir(rig->dir);
	while (!f.ended) {
		memset(&f.answer, 0, sizeof(f.answer));
		st_read(f.s, f.offset, 100, 10000, &f.answer);
		st_wait(rig->st, &f.answer);
		f.ended = f.answer.ended;
	}
	assert_int_equal(f.answer.end.err.code, ERR_OK);
	unfollow(&f);
}

#define ROTATED_LINES 100000

/* One rotation every few milliseconds, as fast as lines can be written. */
static void *rotate(void *arg)
{
	const struct rig *rig = arg;
	int64_t rotated_ms = clock_now_ms();
	unsigned rotations = 0;
	char from[256], to[300];
	FILE *file;

	path_of(rig, "0.log", from);
	file = fopen(from, "ae");
	for (int i = 0; file && i < ROTATED_LINES; i++) {
		if (clock_now_ms() - rotated_ms >= 3) {
			fflush(file);
			snprintf(to, sizeof(to), "%s.20260101-%06u", from, rotations++);
			rename(from, to);
			/* Late lines of the old file, as of a runtime that reopens. */
			fprintf(file, "%d\n", i++);
			fclose(file);
			file = fopen(from, "ae");
			rotated_ms = clock_now_ms();
		}
		fprintf(file, "%d\n", i);
		if (i % 10 == 0)
			fflush(file);
	}
	if (file) {
		fprintf(file, "end\n");
		fclose(file);
	}
	return NULL;
}

/* What the reader counts. */
struct counter {
	struct rig *rig;
	struct stream *s;
	char line[32];
	size_t len;
	int64_t next;
	unsigned wrong;
	unsigned calls;
	uint64_t offset;
	bool over;
};

static void count_bytes(struct counter *c, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\n') {
			if (c->len < sizeof(c->line) - 1)
				c->line[c->len++] = (char)bytes[i];
			continue;
		}
		c->line[c->len] = '\0';
		c->len = 0;
		if (strcmp(c->line, "end") == 0)
			c->over = true;
		else
			c->wrong += strtol(c->line, NULL, 10) != c->next++;
	}
}

static void on_count(void *arg, const struct stream_read *read, const struct err *err)
{
	struct counter *c = arg;

	c->calls++;
	assert_null(err);
	for (size_t i = 0; i < read->count; i++)
		count_bytes(c, read->pieces[i].bytes, read->pieces[i].len);
	c->offset = read->next_offset;
	assert_null(read->end);
}

/* F38: 10^5 lines over rotations every 3 ms: none lost, none doubled, none out of order. */
static void rotation_under_load_loses_and_doubles_nothing(void **state)
{
	struct rig *rig = *state;
	struct container_logs_spec spec = spec_of(rig);
	struct deadline by = deadline_in_ms(60000);
	struct counter c = { .rig = rig };
	pthread_t thread;

	spec.range.follow = true;
	append(rig, "0.log", "");
	c.s = open_logs(rig, &spec);
	assert_int_equal(pthread_create(&thread, NULL, rotate, rig), 0);
	while (!c.over) {
		unsigned calls = c.calls;

		assert_false(deadline_is_over(by));
		stream_read(c.s, c.offset, 0, deadline_in_ms(10000), on_count, &c);
		while (c.calls == calls)
			sd_event_run(rig->st->loop, 1000000);
	}
	pthread_join(thread, NULL);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(c.next, ROTATED_LINES);
	stream_close(c.s);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(all_the_last_and_none_of_the_lines),
		test(tail_goes_back_over_rotations),
		test(since_begins_at_the_first_line_of_that_time),
		test(newest_run_is_read_and_the_one_before_on_request),
		test(of_several_pods_of_a_name_the_uid_decides),
		test(several_containers_want_a_name),
		test(names_that_lead_elsewhere_are_refused),
		test(links_are_not_followed),
		test(thousand_swaps_of_file_and_link_leak_nothing),
		test(endless_line_is_cut_and_the_next_one_is_whole),
		test(following_goes_on_over_rotation_and_restart),
		test(truncated_file_is_read_from_its_start),
		test(following_ends_with_the_directory),
		test(rotation_under_load_loses_and_doubles_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
