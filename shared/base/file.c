#include "shared/base/file.h"

#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_make_directories(const char *path, struct err *err)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return err_set(err, ERR_INVALID_ARGUMENT, ENAMETOOLONG, "'%s'", path);
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return err_set(err,
				       errno == EACCES ? ERR_PERMISSION_DENIED
						       : ERR_FAILED_PRECONDITION,
				       errno, "cannot make the directory '%s'", part);
		if (i < len)
			part[i] = '/';
	}
	return 0;
}

int file_write_all(int fd, const void *bytes, size_t len)
{
	const char *from = bytes;

	while (len > 0) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

#define TEMP_TRIES 100

/* mkostemp(3) for an open directory. */
static int open_temp(int dir_fd, const char *name, char **ret_temp)
{
	for (int i = 0; i < TEMP_TRIES; i++) {
		cleanup_free char *temp = text_format(".%s.%ld-%d", name, (long)getpid(), i);
		int fd;

		if (!temp)
			break;
		fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
		if (fd >= 0)
			*ret_temp = TAKE(temp);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

static int replace_at(int dir_fd, const char *name, const void *bytes, size_t len, bool synced,
		      struct err *err)
{
	cleanup_free char *temp = NULL;
	cleanup_fd int fd = open_temp(dir_fd, name, &temp);

	if (fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot write '%s'", name);
	if (file_write_all(fd, bytes, len) < 0 || (synced && fsync(fd) < 0) ||
	    renameat(dir_fd, temp, dir_fd, name) < 0 || (synced && fsync(dir_fd) < 0)) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "cannot write '%s'", name);
		unlinkat(dir_fd, temp, 0);
		return -1;
	}
	return 0;
}

int file_replace_at(int dir_fd, const char *name, const void *bytes, size_t len, struct err *err)
{
	return replace_at(dir_fd, name, bytes, len, true, err);
}

static int replace(const char *path, const void *bytes, size_t len, bool synced, struct err *err)
{
	cleanup_free char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	cleanup_fd int fd = -1;

	if (!dir)
		return err_oom(err);
	if (!slash || slash == dir)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "cannot write '%s'", path);
	*slash = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot write '%s'", path);
	return replace_at(fd, slash + 1, bytes, len, synced, err);
}

int file_replace(const char *path, const void *bytes, size_t len, struct err *err)
{
	return replace(path, bytes, len, true, err);
}

int file_replace_cache(const char *path, const void *bytes, size_t len, struct err *err)
{
	return replace(path, bytes, len, false, err);
}

int file_open_directory(const char *path, const char *name, int *ret_fd, struct err *err)
{
	cleanup_fd int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	if (parent >= 0 && (mkdirat(parent, name, 0700) == 0 || errno == EEXIST))
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot open '%s/%s'", path,
			       name);
	*ret_fd = fd;
	return 0;
}

static int read_all(int fd, const char *name, size_t max, char **ret_text, size_t *ret_len,
		    struct err *err)
{
	cleanup_free char *text = malloc(max + 2);
	size_t len = 0;
	ssize_t n = 1;

	if (!text)
		return err_oom(err);
	while (n != 0 && len <= max) {
		n = read(fd, text + len, max + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot read '%s'",
				       name);
		len += (size_t)n;
	}
	if (len > max)
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "'%s' has more than %zu bytes",
			       name, max);
	text[len] = '\0';
	*ret_text = TAKE(text);
	*ret_len = len;
	return 0;
}

static int cannot_open(const char *name, struct err *err)
{
	return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED_PRECONDITION, errno,
		       "cannot read '%s'", name);
}

int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len, struct err *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? cannot_open(path, err) : read_all(fd, path, max, ret_text, ret_len, err);
}

int file_read_at(int dir_fd, const char *name, size_t max, char **ret_text, size_t *ret_len,
		 struct err *err)
{
	cleanup_fd int fd =
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return cannot_open(name, err);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "'%s' is not a plain file", name);
	return read_all(fd, name, max, ret_text, ret_len, err);
}

/* Takes 'fd'. */
static int remove_entries(int fd, const char *path, struct err *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!dir) {
		close(fd);
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot read '%s'", path);
	}
	while (rc == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		int sub;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
			continue;
		sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			rc = remove_entries(sub, path, err);
		if (rc == 0 && unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			rc = err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot remove '%s/%s'",
				     path, name);
	}
	closedir(dir);
	return rc;
}

int file_remove_tree(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot read '%s'", path);
	if (remove_entries(fd, path, err) < 0)
		return -1;
	if (rmdir(path) < 0 && errno != ENOENT)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot remove '%s'", path);
	return 0;
}
