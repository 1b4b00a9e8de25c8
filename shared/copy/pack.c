#include "shared/copy/pack.h"

#include "shared/base/cleanup.h"
#include "shared/copy/path.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 * 1024)
/* Headers and small files are gathered to this size; larger pieces go out as they are. */
#define GATHER_BYTES ((size_t)64 * 1024)
/* Directories inside one another; each holds a descriptor. */
#define DEPTH_MAX 256
/* Of a file that says it is empty and is not (/proc, /sys), this much is taken. */
#define SIZELESS_BYTES ((size_t)1024 * 1024)

struct packer {
	const struct copy_pack *pack;
	struct copy_totals totals;
	struct archive *out;
	struct archive_entry_linkresolver *links;
	uint8_t *buffer;
	uint8_t *gathered;
	size_t gathered_len;
	char path[COPY_PATH_BYTES]; /* in the archive, of the entry at hand */
	struct err *err;            /* where the sink's failure stands */
	bool sink_failed;
};

/* --- out ---------------------------------------------------------------------------------------- */

int copy_sink_fd(void *arg, const void *bytes, size_t len, struct err *err)
{
	const uint8_t *next = bytes;
	int fd = *(int *)arg;

	while (len) {
		ssize_t n = write(fd, next, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_UNAVAILABLE, errno, "write the archive");
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

static bool sink(struct packer *p, const void *bytes, size_t len)
{
	if (!p->sink_failed && p->pack->sink(p->pack->arg, bytes, len, p->err) < 0)
		p->sink_failed = true;
	return !p->sink_failed;
}

static bool flush(struct packer *p)
{
	size_t len = p->gathered_len;

	p->gathered_len = 0;
	return len == 0 || sink(p, p->gathered, len);
}

/* Never fails for libarchive, which would not free all of what it has then; 'sink_failed' tells. */
static la_ssize_t on_write(struct archive *out, void *arg, const void *bytes, size_t len)
{
	struct packer *p = arg;
	bool ok = !p->sink_failed;

	(void)out;
	if (ok && p->gathered_len + len > GATHER_BYTES)
		ok = flush(p);
	if (ok && len > GATHER_BYTES / 2) {
		ok = flush(p) && sink(p, bytes, len);
	} else if (ok) {
		memcpy(p->gathered + p->gathered_len, bytes, len);
		p->gathered_len += len;
	}
	p->sink_failed = p->sink_failed || !ok;
	return (la_ssize_t)len;
}

static int archive_failed(struct packer *p, struct err *err)
{
	const char *why = archive_error_string(p->out);

	if (p->sink_failed)
		return -1; /* it has said why */
	return err_set(err, ERR_INTERNAL, 0, "pack '%s': %s", p->path, why ? why : "unknown error");
}

/* --- one entry ------------------------------------------------------------------------------------ */

static int failed(const struct packer *p, const char *what, struct err *err)
{
	enum err_code code = errno == EACCES || errno == EPERM ? ERR_PERMISSION_DENIED
			     : errno == ENOENT                 ? ERR_NOT_FOUND
							       : ERR_INTERNAL;

	return err_set(err, code, errno, "%s '%s'", what, p->path);
}

/* Names are bytes here, whatever the locale: the archive says so by hdrcharset=BINARY. */
static int write_header(struct packer *p, const struct stat *st, const char *link, bool *ret_data,
			struct err *err)
{
	struct archive_entry *entry = archive_entry_new(), *sparse = NULL;
	int rc = ARCHIVE_FATAL;

	if (!entry)
		return err_oom(err);
	archive_entry_copy_stat(entry, st);
	archive_entry_unset_atime(entry);
	archive_entry_unset_ctime(entry);
	archive_entry_unset_birthtime(entry);
	archive_entry_copy_pathname(entry, p->path);
	if (link)
		archive_entry_copy_symlink(entry, link);
	archive_entry_linkify(p->links, &entry, &sparse);
	if (entry) {
		*ret_data = S_ISREG(st->st_mode) && !archive_entry_hardlink(entry);
		rc = archive_write_header(p->out, entry);
	}
	archive_entry_free(sparse);
	archive_entry_free(entry);
	if (rc < ARCHIVE_WARN || p->sink_failed)
		return archive_failed(p, err);
	p->totals.entries++;
	return 0;
}

static int put(struct packer *p, const void *bytes, size_t len, struct err *err)
{
	if (archive_write_data(p->out, bytes, len) != (la_ssize_t)len || p->sink_failed)
		return archive_failed(p, err);
	p->totals.bytes += len;
	return 0;
}

static ssize_t read_some(int fd, void *to, size_t len)
{
	ssize_t n;

	do
		n = read(fd, to, len);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Exactly as much as the header says. */
static int put_file(struct packer *p, int fd, uint64_t left, struct err *err)
{
	while (left) {
		ssize_t n = read_some(fd, p->buffer, left < READ_BYTES ? left : READ_BYTES);

		if (n < 0)
			return failed(p, "read", err);
		if (n == 0) {
			err_set(err, ERR_ABORTED, 0, "'%s' shrank while it was read", p->path);
			return err_explain(err, "FILE_CHANGED", "copy it again");
		}
		if (put(p, p->buffer, (size_t)n, err) < 0)
			return -1;
		left -= (uint64_t)n;
	}
	return 0;
}

/* Fills 'ret' with what a file without a size really holds. Returns its length, or -1 with errno. */
static ssize_t read_sizeless(int fd, uint8_t *ret)
{
	size_t len = 0;

	while (len < SIZELESS_BYTES) {
		ssize_t n = read_some(fd, ret + len, SIZELESS_BYTES - len);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int pack_sizeless(struct packer *p, int fd, struct stat *st, struct err *err)
{
	cleanup_free uint8_t *all = malloc(SIZELESS_BYTES);
	ssize_t len = all ? read_sizeless(fd, all) : 0;
	bool data = false;

	if (!all)
		return err_oom(err);
	if (len < 0)
		return failed(p, "read", err);
	st->st_size = len;
	if (write_header(p, st, NULL, &data, err) < 0)
		return -1;
	return data ? put(p, all, (size_t)len, err) : 0;
}

static int pack_file(struct packer *p, int fd, struct err *err)
{
	struct stat st;
	bool data = false;

	if (fstat(fd, &st) < 0)
		return failed(p, "look at", err);
	if (!S_ISREG(st.st_mode)) {
		p->totals.skipped++;
		return 0;
	}
	if (st.st_size == 0)
		return pack_sizeless(p, fd, &st, err);
	if (write_header(p, &st, NULL, &data, err) < 0)
		return -1;
	return data ? put_file(p, fd, (uint64_t)st.st_size, err) : 0;
}

static int pack_link(struct packer *p, int dir_fd, const char *name, const struct stat *st,
		     struct err *err)
{
	char link[COPY_PATH_BYTES];
	ssize_t n = readlinkat(dir_fd, name, link, sizeof(link) - 1);
	bool data;

	if (n < 0)
		return failed(p, "read the link", err);
	link[n] = '\0';
	return write_header(p, st, link, &data, err);
}

/* --- the tree ------------------------------------------------------------------------------------- */

static int pack_entry(struct packer *p, int dir_fd, const char *name, unsigned depth,
		      struct err *err);

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int pack_names(struct packer *p, DIR *dir, unsigned depth, struct err *err)
{
	size_t used = strlen(p->path);
	const struct dirent *one;

	for (errno = 0; (one = readdir(dir)); errno = 0) {
		if (is_dots(one->d_name))
			continue;
		if (used + 1 + strlen(one->d_name) >= sizeof(p->path))
			return err_set(err, ERR_OUT_OF_RANGE, 0,
				       "a path in '%.100s...' is too long", p->path);
		snprintf(p->path + used, sizeof(p->path) - used, "/%s", one->d_name);
		if (pack_entry(p, dirfd(dir), one->d_name, depth, err) < 0)
			return -1;
		p->path[used] = '\0';
	}
	return errno ? failed(p, "list", err) : 0;
}

/* Takes over 'fd'. */
static int pack_directory(struct packer *p, int fd, unsigned depth, struct err *err)
{
	__attribute__((cleanup(cleanup_dir))) DIR *dir = fdopendir(fd);
	struct stat st;
	bool data;

	if (!dir) {
		close(fd);
		return failed(p, "list", err);
	}
	if (depth == DEPTH_MAX)
		return err_set(err, ERR_OUT_OF_RANGE, 0,
			       "'%.100s...' lies more than %d directories deep", p->path,
			       DEPTH_MAX);
	if (fstat(fd, &st) < 0)
		return failed(p, "look at", err);
	if (write_header(p, &st, NULL, &data, err) < 0)
		return -1;
	return pack_names(p, dir, depth + 1, err);
}

/* What 'flags' opens, by what it turns out to be. */
static int pack_opened(struct packer *p, int dir_fd, const char *name, bool is_directory, int flags,
		       unsigned depth, struct err *err)
{
	int fd = openat(dir_fd, name,
			O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags |
				(is_directory ? O_DIRECTORY : 0));
	int result;

	if (fd < 0 && depth && errno == ENOENT) {
		p->totals.skipped++;
		return 0;
	}
	if (fd < 0)
		return failed(p, "open", err);
	if (is_directory)
		return pack_directory(p, fd, depth, err);
	result = pack_file(p, fd, err);
	close(fd);
	return result;
}

static int pack_entry(struct packer *p, int dir_fd, const char *name, unsigned depth,
		      struct err *err)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return failed(p, "look at", err);
		p->totals.skipped++;
		return 0;
	}
	if (S_ISLNK(st.st_mode))
		return pack_link(p, dir_fd, name, &st, err);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return pack_opened(p, dir_fd, name, S_ISDIR(st.st_mode), O_NOFOLLOW, depth, err);
	p->totals.skipped++;
	return 0;
}

static int pack_top(struct packer *p, struct err *err)
{
	const struct copy_pack *pack = p->pack;
	struct stat st;

	if (fstatat(AT_FDCWD, pack->path, &st, pack->follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0) {
		snprintf(p->path, sizeof(p->path), "%s", pack->path);
		return failed(p, "look at", err);
	}
	if (S_ISLNK(st.st_mode))
		return pack_link(p, AT_FDCWD, pack->path, &st, err);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID_ARGUMENT, 0,
			       "'%s' is neither a file nor a directory", pack->path);
	return pack_opened(p, AT_FDCWD, pack->path, S_ISDIR(st.st_mode),
			   pack->follow ? 0 : O_NOFOLLOW, 0, err);
}

/* --- the whole ------------------------------------------------------------------------------------- */

static int open_archive(struct packer *p, struct err *err)
{
	p->out = archive_write_new();
	p->links = archive_entry_linkresolver_new();
	p->buffer = malloc(READ_BYTES);
	p->gathered = malloc(GATHER_BYTES);
	if (!p->out || !p->links || !p->buffer || !p->gathered)
		return err_oom(err);
	archive_entry_linkresolver_set_strategy(p->links, ARCHIVE_FORMAT_TAR);
	if (archive_write_set_format_pax(p->out) != ARCHIVE_OK ||
	    archive_write_set_options(p->out, "hdrcharset=BINARY") != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(p->out, 0) != ARCHIVE_OK ||
	    archive_write_open(p->out, p, NULL, on_write, NULL) != ARCHIVE_OK)
		return archive_failed(p, err);
	return 0;
}

static void packer_release(struct packer *p)
{
	if (p->links)
		archive_entry_linkresolver_free(p->links);
	if (p->out)
		archive_write_free(p->out);
	free(p->buffer);
	free(p->gathered);
}

static int pack_all(struct packer *p, struct err *err)
{
	if (open_archive(p, err) < 0)
		return -1;
	snprintf(p->path, sizeof(p->path), "%s", is_dots(p->pack->name) ? "top" : p->pack->name);
	if (pack_top(p, err) < 0) {
		/* No end of the archive: it is broken off, and looks it. */
		p->sink_failed = true;
		return -1;
	}
	if (archive_write_close(p->out) != ARCHIVE_OK || p->sink_failed)
		return archive_failed(p, err);
	return flush(p) ? 0 : -1;
}

int copy_pack(const struct copy_pack *pack, struct copy_totals *ret, struct err *err)
{
	struct packer packer = { .pack = pack, .err = err };
	int result = pack_all(&packer, err);

	packer_release(&packer);
	if (result < 0)
		return -1;
	*ret = packer.totals;
	return 0;
}
