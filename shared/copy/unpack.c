#include "shared/copy/unpack.h"

#include "shared/base/cleanup.h"
#include "shared/base/utf8.h"
#include "shared/copy/path.h"
#include "shared/copy/walk.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 * 1024)
/* So many files are each on disk before they get their name; of more, the file system as a whole is,
 * at the end: a synced write each would cost minutes. */
#define SYNC_EACH 32
/* What may follow the end of an archive: padding to a record, generously. */
#define TRAILER_BYTES ((uint64_t)1024 * 1024)
/* While a large file comes in, this much at a time is started on its way to the disk. */
#define WRITE_OUT_BYTES ((off_t)8 * 1024 * 1024)

/* A directory that was made here: what the archive says of it holds once nothing is added to it. */
struct made {
	char *path;
	mode_t mode;
	struct timespec modified;
	uid_t uid;
	gid_t gid;
};

struct unpacker {
	const struct copy_unpack *unpack;
	struct copy_totals totals;
	struct archive *in;
	struct archive_entry *entry;  /* at hand; libarchive's */
	char path[COPY_PATH_BYTES];   /* its clean name */
	const char *base;             /* the last component of that */
	char parent[COPY_PATH_BYTES]; /* the directory it is in */
	int parent_fd;                /* opened; -1: none */
	char opened[COPY_PATH_BYTES]; /* the path of that one */
	struct made *made;
	size_t made_count;
	size_t made_cap;
	uint64_t files;
	uint64_t seen;
	struct err *err; /* where the source's failure stands */
	bool source_failed;
};

/* --- in ----------------------------------------------------------------------------------------- */

ssize_t copy_source_fd(void *arg, const void **ret_bytes, struct err *err)
{
	struct copy_fd *source = arg;
	ssize_t n;

	if (!source->buffer)
		source->buffer = malloc(READ_BYTES);
	if (!source->buffer)
		return err_oom(err);
	do
		n = read(source->fd, source->buffer, READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "read the archive");
	*ret_bytes = source->buffer;
	return n;
}

void copy_fd_release(struct copy_fd *source)
{
	free(source->buffer);
	source->buffer = NULL;
}

ssize_t copy_source_memory(void *arg, const void **ret_bytes, struct err *err)
{
	struct copy_memory *source = arg;
	size_t len = source->len;

	(void)err;
	*ret_bytes = source->bytes;
	source->len = 0;
	return (ssize_t)len;
}

static la_ssize_t on_read(struct archive *in, void *arg, const void **ret_bytes)
{
	struct unpacker *u = arg;
	ssize_t n = u->source_failed ? -1 : u->unpack->source(u->unpack->arg, ret_bytes, u->err);

	if (n >= 0)
		return n;
	u->source_failed = true;
	archive_set_error(in, EIO, "the archive cannot be read");
	return -1;
}

static int archive_failed(struct unpacker *u, struct err *err)
{
	const char *why = archive_error_string(u->in);
	char shown[200];

	if (u->source_failed)
		return -1; /* it has said why */
	utf8_copy(shown, sizeof(shown), why ? why : "unknown error");
	err_set(err, ERR_DATA_LOSS, 0, "read the archive: %s", shown);
	return err_explain(err, "BAD_ARCHIVE", NULL);
}

/* --- one entry ------------------------------------------------------------------------------------ */

static int failed(const struct unpacker *u, const char *what, struct err *err)
{
	enum err_code code = ERR_INTERNAL;
	char shown[200];

	if (errno == EACCES || errno == EPERM || errno == EROFS)
		code = ERR_PERMISSION_DENIED;
	if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
		code = ERR_RESOURCE_EXHAUSTED;
	if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST)
		code = ERR_FAILED_PRECONDITION;
	if (errno == ENOENT)
		code = ERR_NOT_FOUND;
	utf8_copy(shown, sizeof(shown), u->path);
	return err_set(err, code, errno, "%s '%s'", what, shown);
}

static int refuse(const struct unpacker *u, const char *why, struct err *err)
{
	char shown[200];

	utf8_copy(shown, sizeof(shown), u->path);
	err_set(err, ERR_INVALID_ARGUMENT, 0, "the archive's '%s' %s", shown, why);
	return err_explain(err, "UNSAFE_ARCHIVE",
			   "nothing was written outside; what came before it is there");
}

/* Splits a clean path; the name's part is borrowed from 'path'. */
static const char *split(const char *path, char ret_parent[COPY_PATH_BYTES])
{
	const char *slash = strrchr(path, '/');

	ret_parent[0] = '\0';
	if (!slash)
		return path;
	snprintf(ret_parent, COPY_PATH_BYTES, "%.*s", (int)(slash - path), path);
	return slash + 1;
}

/* Entries of one directory mostly follow each other: it stays open. */
static int open_parent(struct unpacker *u, struct err *err)
{
	int fd;

	u->base = split(u->path, u->parent);
	if (u->parent_fd >= 0 && strcmp(u->parent, u->opened) == 0)
		return 0;
	if (walk_open(u->unpack->dir_fd, u->parent, u->unpack->steps, &fd, err) < 0)
		return -1;
	if (u->parent_fd >= 0)
		close(u->parent_fd);
	u->parent_fd = fd;
	snprintf(u->opened, sizeof(u->opened), "%s", u->parent);
	return 0;
}

/* A name that nobody else has. */
static void temporary_name(char ret[32])
{
	snprintf(ret, 32, ".berth-%08x%08x", arc4random(), arc4random());
}

/* 'temporary' gets its name, or goes. */
static int rename_into_place(struct unpacker *u, const char *temporary, struct err *err)
{
	if (renameat(u->parent_fd, temporary, u->parent_fd, u->base) == 0)
		return 0;
	failed(u, "put in place", err);
	unlinkat(u->parent_fd, temporary, 0);
	return -1;
}

static struct timespec modified_of(struct archive_entry *entry)
{
	struct timespec none = { .tv_nsec = UTIME_NOW };

	if (!archive_entry_mtime_is_set(entry))
		return none;
	return (struct timespec){ .tv_sec = archive_entry_mtime(entry),
				  .tv_nsec = archive_entry_mtime_nsec(entry) };
}

/* A time that the file system cannot keep, or an owner that we may not give, is no failure. */
static void set_times(int fd, const char *name, struct timespec modified)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, modified };

	if (name)
		(void)!utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW);
	else
		(void)!futimens(fd, times);
}

static int put_block(struct unpacker *u, int fd, const uint8_t *bytes, size_t len, off_t offset,
		     struct err *err)
{
	while (len) {
		ssize_t n = pwrite(fd, bytes, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(u, "write", err);
		bytes += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

static void start_writing_out(const struct unpacker *u, int fd, off_t *started, off_t written)
{
#ifdef __linux__
	if (u->unpack->sync && written - *started >= WRITE_OUT_BYTES) {
		sync_file_range(fd, *started, written - *started, SYNC_FILE_RANGE_WRITE);
		*started = written;
	}
#else
	(void)u;
	(void)fd;
	(void)started;
	(void)written;
#endif
}

static int put_data(struct unpacker *u, int fd, struct err *err)
{
	off_t written = 0, started = 0;
	const void *bytes;
	int64_t offset;
	size_t len;
	int rc;

	while ((rc = archive_read_data_block(u->in, &bytes, &len, &offset)) == ARCHIVE_OK) {
		if (len && offset != written)
			return refuse(u, "has holes", err);
		if (put_block(u, fd, bytes, len, written, err) < 0)
			return -1;
		written += (off_t)len;
		start_writing_out(u, fd, &started, written);
	}
	if (rc != ARCHIVE_EOF)
		return archive_failed(u, err);
	u->totals.bytes += (uint64_t)written;
	return 0;
}

static int finish_file(struct unpacker *u, int fd, struct err *err)
{
	if (u->unpack->keep_owner &&
	    fchown(fd, (uid_t)archive_entry_uid(u->entry), (gid_t)archive_entry_gid(u->entry)) < 0)
		return failed(u, "give its owner to", err);
	if (fchmod(fd, archive_entry_perm(u->entry) & 0777) < 0)
		return failed(u, "set the mode of", err);
	set_times(fd, NULL, modified_of(u->entry));
	if (u->unpack->sync && u->files++ < SYNC_EACH && fsync(fd) < 0)
		return failed(u, "sync", err);
	return 0;
}

static int make_file(struct unpacker *u, struct err *err)
{
	char temporary[32];
	int result;
	int fd;

	temporary_name(temporary);
	fd = openat(u->parent_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return failed(u, "make", err);
	result = put_data(u, fd, err);
	if (result == 0)
		result = finish_file(u, fd, err);
	if (close(fd) < 0 && result == 0)
		result = failed(u, "write", err);
	if (result == 0)
		return rename_into_place(u, temporary, err);
	unlinkat(u->parent_fd, temporary, 0);
	return -1;
}

static int make_symlink(struct unpacker *u, struct err *err)
{
	const char *target = archive_entry_symlink(u->entry);
	char temporary[32];

	if (!target || !*target || strlen(target) >= COPY_PATH_BYTES)
		return refuse(u, "is a link to nothing", err);
	temporary_name(temporary);
	if (symlinkat(target, u->parent_fd, temporary) < 0)
		return failed(u, "make the link", err);
	if (u->unpack->keep_owner)
		(void)!fchownat(u->parent_fd, temporary, (uid_t)archive_entry_uid(u->entry),
				(gid_t)archive_entry_gid(u->entry), AT_SYMLINK_NOFOLLOW);
	set_times(u->parent_fd, temporary, modified_of(u->entry));
	return rename_into_place(u, temporary, err);
}

/* To a file that is below the directory too, and reached like everything else. */
static int make_hard_link(struct unpacker *u, const char *to, struct err *err)
{
	char path[COPY_PATH_BYTES], parent[COPY_PATH_BYTES], temporary[32];
	cleanup_fd int fd = -1;
	const char *base;
	struct stat st;
	int rc;

	if (copy_path_clean(to, u->unpack->name, path, err) < 0)
		return -1;
	base = split(path, parent);
	if (!*base || archive_entry_size(u->entry) > 0)
		return refuse(u, "is a hard link to no file", err);
	if (walk_open(u->unpack->dir_fd, parent, u->unpack->steps, &fd, err) < 0)
		return -1;
	if (fstatat(fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(u, "make the hard link", err);
	if (!S_ISREG(st.st_mode))
		return refuse(u, "is a hard link to no file", err);
	temporary_name(temporary);
	if (linkat(fd, base, u->parent_fd, temporary, 0) < 0)
		return failed(u, "make the hard link", err);
	rc = rename_into_place(u, temporary, err);
	/* Between two names of one file rename does nothing. */
	unlinkat(u->parent_fd, temporary, 0);
	return rc;
}

static int remember_made(struct unpacker *u, struct err *err)
{
	struct made *made;

	if (u->made_count == u->made_cap) {
		size_t cap = u->made_cap ? u->made_cap * 2 : 64;
		struct made *all = realloc(u->made, cap * sizeof(*all));

		if (!all)
			return err_oom(err);
		u->made = all;
		u->made_cap = cap;
	}
	made = &u->made[u->made_count];
	*made = (struct made){
		.path = strdup(u->path),
		.mode = archive_entry_perm(u->entry) & 01777,
		.modified = modified_of(u->entry),
		.uid = (uid_t)archive_entry_uid(u->entry),
		.gid = (gid_t)archive_entry_gid(u->entry),
	};
	if (!made->path)
		return err_oom(err);
	u->made_count++;
	return 0;
}

static int make_directory(struct unpacker *u, struct err *err)
{
	cleanup_fd int fd = -1;

	if (mkdirat(u->parent_fd, u->base, 0700) == 0)
		return remember_made(u, err);
	if (errno != EEXIST)
		return failed(u, "make the directory", err);
	return walk_open(u->unpack->dir_fd, u->path, u->unpack->steps, &fd, err);
}

static int make_entry(struct unpacker *u, struct err *err)
{
	const char *hard_link = archive_entry_hardlink(u->entry);
	mode_t type = archive_entry_filetype(u->entry);

	if (!u->path[0]) {
		if (type == AE_IFDIR && !hard_link)
			return 0;
		return refuse(u, "is no directory, and only what is in one was asked for", err);
	}
	if (open_parent(u, err) < 0)
		return -1;
	if (hard_link)
		return make_hard_link(u, hard_link, err);
	if (type == AE_IFREG)
		return make_file(u, err);
	if (type == AE_IFDIR)
		return make_directory(u, err);
	if (type == AE_IFLNK)
		return make_symlink(u, err);
	return refuse(u, "is a device, a pipe or a socket", err);
}

/* --- the whole ------------------------------------------------------------------------------------- */

static int next_entry(struct unpacker *u, bool *ret_end, struct err *err)
{
	uint64_t max = u->unpack->max_entries ? u->unpack->max_entries : COPY_MAX_ENTRIES;
	int rc = archive_read_next_header(u->in, &u->entry);
	const char *name;

	*ret_end = rc == ARCHIVE_EOF;
	if (*ret_end)
		return 0;
	if (rc < ARCHIVE_WARN)
		return archive_failed(u, err);
	name = archive_entry_pathname(u->entry);
	if (!name || !*name) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "the archive has an entry without a name");
		return err_explain(err, "UNSAFE_ARCHIVE", NULL);
	}
	if (++u->seen > max) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, 0,
			"the archive has more than %llu files and directories",
			(unsigned long long)max);
		return err_explain(err, "TOO_MANY_FILES", "copy its directories one by one");
	}
	u->totals.entries++;
	return copy_path_clean(name, u->unpack->name, u->path, err);
}

/* The deepest first: what is in them no longer changes their times. A directory that went away, or was
 * put in another's place, meanwhile, is left alone. */
static int finish_directories(struct unpacker *u, struct err *err)
{
	for (size_t i = u->made_count; i-- > 0;) {
		const struct made *made = &u->made[i];
		cleanup_fd int fd = -1;
		cleanup_fd int dir = -1;

		if (walk_open(u->unpack->dir_fd, made->path, u->unpack->steps, &fd, err) < 0)
			continue;
		dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		snprintf(u->path, sizeof(u->path), "%s", made->path);
		if (dir < 0 || (u->unpack->keep_owner && fchown(dir, made->uid, made->gid) < 0) ||
		    fchmod(dir, made->mode) < 0)
			return failed(u, "set the mode of", err);
		set_times(dir, NULL, made->modified);
	}
	return 0;
}

/* The writer is not left with a pipe that nobody reads. */
static int drain(struct unpacker *u, struct err *err)
{
	uint64_t seen = 0;
	const void *bytes;
	ssize_t n = 0;

	while (seen <= TRAILER_BYTES && (n = u->unpack->source(u->unpack->arg, &bytes, err)) > 0)
		seen += (uint64_t)n;
	if (n < 0)
		return -1;
	if (seen > TRAILER_BYTES)
		return err_set(err, ERR_DATA_LOSS, 0, "more comes after the end of the archive");
	return 0;
}

static int sync_all(struct unpacker *u, struct err *err)
{
	if (!u->unpack->sync)
		return 0;
#ifdef __linux__
	if (u->files > SYNC_EACH && syncfs(u->unpack->dir_fd) < 0)
		return failed(u, "sync", err);
#else
	(void)err;
	sync();
#endif
	return 0;
}

static int unpack_all(struct unpacker *u, struct err *err)
{
	bool end = false;

	u->in = archive_read_new();
	if (!u->in)
		return err_oom(err);
	if (archive_read_support_format_tar(u->in) != ARCHIVE_OK ||
	    archive_read_open(u->in, u, NULL, on_read, NULL) != ARCHIVE_OK)
		return archive_failed(u, err);
	while (next_entry(u, &end, err) == 0 && !end) {
		if (make_entry(u, err) < 0)
			return -1;
	}
	if (!end)
		return -1;
	if (u->seen == 0)
		return err_set(err, ERR_DATA_LOSS, 0, "the archive is empty");
	if (drain(u, err) < 0 || finish_directories(u, err) < 0)
		return -1;
	return sync_all(u, err);
}

static void unpacker_release(struct unpacker *u)
{
	for (size_t i = 0; i < u->made_count; i++)
		free(u->made[i].path);
	free(u->made);
	if (u->parent_fd >= 0)
		close(u->parent_fd);
	if (u->in)
		archive_read_free(u->in);
}

int copy_unpack(const struct copy_unpack *unpack, struct copy_totals *ret, struct err *err)
{
	struct unpacker unpacker = { .unpack = unpack, .parent_fd = -1, .err = err };
	int result = unpack_all(&unpacker, err);

	unpacker_release(&unpacker);
	if (result < 0)
		return -1;
	*ret = unpacker.totals;
	return 0;
}
