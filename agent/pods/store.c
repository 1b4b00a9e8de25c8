#include "agent/pods/store.h"

#include "shared/base/crc32c.h"
#include "shared/base/file.h"
#include "shared/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC     "BERTHPOD"
#define MAGIC_LEN 8
#define FORMAT    1
#define HEAD_LEN  (MAGIC_LEN + 12)
#define MAX_BYTES (4 * 1024 * 1024)

struct store {
	char *path;
	int dir_fd;
};

void store_record_release(struct store_record *r)
{
	pod_free(r->pod);
	strv_release(&r->restart);
	*r = (struct store_record){ 0 };
}

/* --- bytes ---------------------------------------------------------------------------------------- */

static void put_number(struct text *t, uint64_t value, unsigned bytes)
{
	for (; bytes; bytes--, value >>= 8)
		text_add_bytes(t, &(uint8_t){ (uint8_t)value }, 1);
}

/* What is left of a payload. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static const uint8_t *take(struct reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->failed || len > r->left) {
		r->failed = true;
		return NULL;
	}
	r->at += len;
	r->left -= len;
	return at;
}

static uint64_t take_number(struct reader *r, unsigned bytes)
{
	const uint8_t *at = take(r, bytes);
	uint64_t value = 0;

	for (unsigned i = bytes; at && i-- > 0;)
		value = value << 8 | at[i];
	return value;
}

static void put_payload(struct text *t, const struct store_record *r)
{
	size_t len = k8s__core__v1__pod__get_packed_size(r->pod);
	cleanup_free uint8_t *packed = malloc(len ? len : 1);

	put_number(t, (uint64_t)r->created_ns, 8);
	put_number(t, (uint64_t)r->grace_s, 8);
	put_number(t, r->deleted, 1);
	put_number(t, r->restart.count, 4);
	for (size_t i = 0; i < r->restart.count; i++) {
		put_number(t, strlen(r->restart.items[i]), 4);
		text_add(t, r->restart.items[i]);
	}
	if (!packed) {
		t->failed = true;
		return;
	}
	k8s__core__v1__pod__pack(r->pod, packed);
	text_add_bytes(t, packed, len);
}

static void put_file(struct text *t, const struct store_record *r)
{
	cleanup_with(text) struct text payload = { 0 };

	put_payload(&payload, r);
	text_add_bytes(t, MAGIC, MAGIC_LEN);
	put_number(t, FORMAT, 4);
	put_number(t, payload.len, 4);
	put_number(t, crc32c(0, (const uint8_t *)text_str(&payload), payload.len), 4);
	text_add_bytes(t, text_str(&payload), payload.len);
	t->failed |= payload.failed;
}

static bool take_payload(struct reader *r, struct store_record *ret)
{
	uint32_t ids;

	ret->created_ns = (int64_t)take_number(r, 8);
	ret->grace_s = (int64_t)take_number(r, 8);
	ret->deleted = take_number(r, 1);
	ids = (uint32_t)take_number(r, 4);
	for (; ids && !r->failed; ids--) {
		size_t len = take_number(r, 4);
		const uint8_t *id = take(r, len);

		if (id)
			strv_addf(&ret->restart, "%.*s", (int)len, (const char *)id);
	}
	if (r->failed || strv_failed(&ret->restart))
		return false;
	ret->pod = k8s__core__v1__pod__unpack(NULL, r->left, r->at);
	return ret->pod != NULL;
}

/* Why the file cannot be used, or NULL. */
static const char *parse(const uint8_t *bytes, size_t len, const char *uid,
			 struct store_record *ret)
{
	struct reader r = { .at = bytes, .left = len };
	const uint8_t *magic = take(&r, MAGIC_LEN);
	uint32_t format = (uint32_t)take_number(&r, 4), payload = (uint32_t)take_number(&r, 4);
	uint32_t crc = (uint32_t)take_number(&r, 4);
	struct err err;

	if (r.failed || memcmp(magic, MAGIC, MAGIC_LEN) != 0)
		return "it is no pod record";
	if (format != FORMAT)
		return "its format is unknown";
	if (payload != r.left)
		return "its length is wrong";
	if (crc32c(0, r.at, r.left) != crc)
		return "its checksum is wrong";
	if (!take_payload(&r, ret))
		return "its content cannot be read";
	if (pod_check(ret->pod, &err) < 0 || strcmp(pod_uid(ret->pod), uid) != 0)
		return "its pod is not valid";
	return NULL;
}

/* --- files ---------------------------------------------------------------------------------------- */

int store_open(const char *state_dir, struct store **ret_store, struct err *err)
{
	cleanup_with(store) struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return err_oom(err);
	store->dir_fd = -1;
	store->path = text_format("%s/pods", state_dir);
	if (!store->path)
		return err_oom(err);
	if (mkdir(state_dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, ERR_UNAVAILABLE, errno, "make '%s'", state_dir);
	if (mkdir(store->path, 0700) < 0 && errno != EEXIST)
		return err_set(err, ERR_UNAVAILABLE, errno, "make '%s'", store->path);
	store->dir_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "open '%s'", store->path);
	*ret_store = TAKE(store);
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	free(store->path);
	free(store);
}

static int write_file(struct store *store, const char *name, const struct text *bytes)
{
	cleanup_fd int fd = openat(store->dir_fd, name,
				   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || file_write_all(fd, text_str(bytes), bytes->len) < 0 || fsync(fd) < 0)
		return -1;
	return 0;
}

int store_put(struct store *store, const struct store_record *r, struct err *err)
{
	const char *uid = pod_uid(r->pod);
	cleanup_free char *temporary = text_format("%s.new", uid);
	cleanup_with(text) struct text bytes = { 0 };

	put_file(&bytes, r);
	if (!temporary || text_failed(&bytes))
		return err_oom(err);
	if (write_file(store, temporary, &bytes) < 0 ||
	    renameat(store->dir_fd, temporary, store->dir_fd, uid) < 0 ||
	    fsync(store->dir_fd) < 0) {
		int sys = errno;

		unlinkat(store->dir_fd, temporary, 0);
		return err_set(err, sys == ENOSPC ? ERR_RESOURCE_EXHAUSTED : ERR_UNAVAILABLE, sys,
			       "store pod '%s' in '%s'", pod_name(r->pod), store->path);
	}
	return 0;
}

int store_remove(struct store *store, const char *uid, struct err *err)
{
	if (unlinkat(store->dir_fd, uid, 0) < 0 && errno != ENOENT)
		return err_set(err, ERR_UNAVAILABLE, errno, "remove '%s/%s'", store->path, uid);
	if (fsync(store->dir_fd) < 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "sync '%s'", store->path);
	return 0;
}

/* NULL when it cannot be read whole. */
static uint8_t *read_file(struct store *store, const char *name, size_t *ret_len)
{
	cleanup_fd int fd = openat(store->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_free uint8_t *bytes = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_BYTES)
		return NULL;
	bytes = malloc((size_t)st.st_size + 1);
	while (bytes && len < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		len += (size_t)n;
	}
	*ret_len = len;
	return TAKE(bytes);
}

static bool load_one(struct store *store, const char *name, store_found_fn *found, void *arg)
{
	struct store_record r = { 0 };
	size_t len = 0;
	cleanup_free uint8_t *bytes = read_file(store, name, &len);
	cleanup_free char *aside = text_format("%s.corrupt", name);
	const char *why = bytes ? parse(bytes, len, name, &r) : "it cannot be read";

	if (!why) {
		found(arg, &r);
		return true;
	}
	store_record_release(&r);
	log_note("pod record '%s/%s' is set aside as '%s.corrupt': %s", store->path, name, name,
		 why);
	if (aside)
		renameat(store->dir_fd, name, store->dir_fd, aside);
	return false;
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t a = strlen(name), b = strlen(suffix);

	return a > b && strcmp(name + a - b, suffix) == 0;
}

int store_load(struct store *store, store_found_fn *found, void *arg, size_t *ret_corrupt,
	       struct err *err)
{
	struct dirent **names = NULL;
	int count = scandirat(store->dir_fd, ".", &names, NULL, alphasort);

	if (count < 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "read '%s'", store->path);
	*ret_corrupt = 0;
	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name;

		if (ends_with(name, ".new"))
			unlinkat(store->dir_fd, name, 0);
		else if (*name != '.' && !ends_with(name, ".corrupt"))
			*ret_corrupt += !load_one(store, name, found, arg);
		free(names[i]);
	}
	free(names);
	return 0;
}
