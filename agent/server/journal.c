#include "agent/server/journal.h"

#include "shared/base/cleanup.h"
#include "shared/base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC      "BCJ1"
#define MAGIC_LEN  4
#define HEAD_BYTES 12
#define BODY_BYTES (WIRE_CALL_ID_BYTES + 8 + 8 + 1)

enum kind { KIND_BEGUN = 1, KIND_DONE = 2 };

/* The file may grow to this and twice what is alive in it. */
#define SLACK_BYTES (256 * 1024)

/* What is read of a file that somebody else has made too long: its end. */
#define READ_MAX (16 * 1024 * 1024)

struct journal {
	char *path;
	char *new_path;
	int fd;
	uint64_t size;
	uint64_t long_at; /* size from which on it is to be rewritten */
};

/* --- bytes ---------------------------------------------------------------------------------------- */

static void put_number(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++, value >>= 8)
		at[i] = (uint8_t)value;
}

static uint64_t get_number(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes > 0)
		value = value << 8 | at[--bytes];
	return value;
}

void journal_put(struct text *t, const struct journal_record *r)
{
	bool done = r->reply && r->reply_len <= JOURNAL_REPLY_MAX;
	size_t reply_len = done ? r->reply_len : 0;
	uint8_t head[HEAD_BYTES + BODY_BYTES], *body = head + HEAD_BYTES;
	uint32_t crc;

	memcpy(head, MAGIC, MAGIC_LEN);
	put_number(head + 4, BODY_BYTES + reply_len, 4);
	memcpy(body, r->id, WIRE_CALL_ID_BYTES);
	put_number(body + 16, r->digest, 8);
	put_number(body + 24, (uint64_t)r->at_ms, 8);
	body[32] = done ? KIND_DONE : KIND_BEGUN;
	crc = crc32c(0, head + 4, 4);
	crc = crc32c(crc, body, BODY_BYTES);
	put_number(head + 8, crc32c(crc, r->reply, reply_len), 4);
	text_add_bytes(t, head, sizeof(head));
	if (reply_len)
		text_add_bytes(t, r->reply, reply_len);
}

/* Length of the good record at 'p', 0: there is none. */
static size_t read_record(const uint8_t *p, size_t left, struct journal_record *ret)
{
	const uint8_t *body = p + HEAD_BYTES;
	size_t len;

	if (left < HEAD_BYTES + BODY_BYTES || memcmp(p, MAGIC, MAGIC_LEN) != 0)
		return 0;
	len = get_number(p + 4, 4);
	if (len < BODY_BYTES || len > BODY_BYTES + JOURNAL_REPLY_MAX || len > left - HEAD_BYTES)
		return 0;
	if (crc32c(crc32c(0, p + 4, 4), body, len) != get_number(p + 8, 4))
		return 0;
	if (body[32] != KIND_DONE && !(body[32] == KIND_BEGUN && len == BODY_BYTES))
		return 0;
	memcpy(ret->id, body, WIRE_CALL_ID_BYTES);
	ret->digest = get_number(body + 16, 8);
	ret->at_ms = (int64_t)get_number(body + 24, 8);
	ret->reply = body[32] == KIND_DONE ? body + BODY_BYTES : NULL;
	ret->reply_len = len - BODY_BYTES;
	return HEAD_BYTES + len;
}

size_t journal_scan(const uint8_t *bytes, size_t len, journal_each_fn *each, void *arg)
{
	struct journal_record r;
	size_t at = 0, damaged = 0;

	while (at < len) {
		size_t record = read_record(bytes + at, len - at, &r);

		if (record)
			each(arg, &r);
		else
			damaged++;
		at += record ? record : 1;
	}
	return damaged;
}

/* --- the file ------------------------------------------------------------------------------------- */

static int open_file(const char *path, int flags, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	if (fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "open '%s'", path);
	return fd;
}

/* Reads [at, at + len), or what there is of it. */
static int read_bytes(const struct journal *journal, uint64_t at, size_t len, struct text *ret,
		      struct err *err)
{
	uint8_t buffer[16 * 1024];

	while (len > 0) {
		size_t most = len < sizeof(buffer) ? len : sizeof(buffer);
		ssize_t n = pread(journal->fd, buffer, most, (off_t)at);

		if (n < 0)
			return err_set(err, ERR_FAILED_PRECONDITION, errno, "read '%s'",
				       journal->path);
		if (n == 0)
			break;
		text_add_bytes(ret, buffer, (size_t)n);
		at += (size_t)n;
		len -= (size_t)n;
	}
	return text_failed(ret) ? err_oom(err) : 0;
}

static int read_file(struct journal *journal, journal_each_fn *each, void *arg, size_t *ret_damaged,
		     struct err *err)
{
	cleanup_with(text) struct text bytes = { 0 };
	uint64_t at = 0;
	struct stat st;

	if (fstat(journal->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "'%s' is not a plain file",
			       journal->path);
	journal->size = (uint64_t)st.st_size;
	if (journal->size > READ_MAX)
		at = journal->size - READ_MAX;
	if (read_bytes(journal, at, (size_t)(journal->size - at), &bytes, err) < 0)
		return -1;
	*ret_damaged = (size_t)at + journal_scan((const uint8_t *)bytes.data, bytes.len, each, arg);
	return 0;
}

DEFINE_CLEANUP(journal, struct journal *, journal_close)

int journal_open(const char *path, journal_each_fn *each, void *arg, struct journal **ret_journal,
		 size_t *ret_damaged, struct err *err)
{
	cleanup_with(journal) struct journal *journal = calloc(1, sizeof(*journal));

	if (!journal)
		return err_oom(err);
	journal->fd = -1;
	journal->path = strdup(path);
	journal->new_path = text_format("%s.new", path);
	if (!journal->path || !journal->new_path)
		return err_oom(err);
	journal->fd = open_file(path, 0, err);
	if (journal->fd < 0 || read_file(journal, each, arg, ret_damaged, err) < 0)
		return -1;
	journal->long_at = journal->size + SLACK_BYTES;
	*ret_journal = TAKE(journal);
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	if (journal->fd >= 0)
		close(journal->fd);
	free(journal->path);
	free(journal->new_path);
	free(journal);
}

/* A signal does not break off a write to a file, so a short one means that the disk is full. */
static int write_once(int fd, const struct text *bytes)
{
	ssize_t n = write(fd, text_str(bytes), bytes->len);

	if (n >= 0 && (size_t)n < bytes->len)
		errno = ENOSPC;
	return n == (ssize_t)bytes->len ? 0 : -1;
}

int journal_add(struct journal *journal, const struct journal_record *r, struct err *err)
{
	cleanup_with(text) struct text bytes = { 0 };

	journal_put(&bytes, r);
	if (text_failed(&bytes))
		return err_oom(err);
	if (write_once(journal->fd, &bytes) < 0) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "write '%s'", journal->path);
		if (ftruncate(journal->fd, (off_t)journal->size) < 0)
			journal->size += bytes.len; /* at most; the next reader steps over it */
		return -1;
	}
	journal->size += bytes.len;
	return 0;
}

bool journal_is_long(const struct journal *journal)
{
	return journal->size >= journal->long_at;
}

static int replace_file(struct journal *journal, const struct text *records, struct err *err)
{
	cleanup_fd int fd = open_file(journal->new_path, O_TRUNC, err);

	if (fd < 0)
		return -1;
	if (write_once(fd, records) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "write '%s'", journal->new_path);
	if (rename(journal->new_path, journal->path) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "rename '%s'",
			       journal->new_path);
	close(journal->fd);
	journal->fd = take_fd(&fd);
	return 0;
}

int journal_rewrite(struct journal *journal, const struct text *records, struct err *err)
{
	if (text_failed(records))
		return err_oom(err);
	if (replace_file(journal, records, err) < 0) {
		unlink(journal->new_path);
		journal->long_at = 2 * journal->size + SLACK_BYTES;
		return -1;
	}
	journal->size = records->len;
	journal->long_at = 2 * records->len + SLACK_BYTES;
	return 0;
}
