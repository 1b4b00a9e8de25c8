#include "agent/copy/list.h"

#include "shared/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

struct list {
	FILE *out;
	size_t count;
	size_t bytes;
	char name[PATH_MAX]; /* relative, of the entry at hand */
};

static bool is_full(const struct list *list)
{
	return list->count >= LIST_MAX || list->bytes >= LIST_BYTES_MAX;
}

static void put_text(struct list *list, const char *s)
{
	list->bytes += strlen(s) + 1;
	fputs(s, list->out);
	fputc('\0', list->out);
}

static void put_number(struct list *list, long long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", number);
	put_text(list, text);
}

static void put_record(struct list *list, const struct stat *st, const char *link, int error)
{
	put_text(list, list->name);
	put_number(list, st->st_size);
	put_number(list, st->st_mode);
	put_number(list, st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec);
	put_number(list, st->st_uid);
	put_number(list, st->st_gid);
	put_text(list, link);
	put_text(list, error ? strerror(error) : "");
	list->count++;
}

static void put_entry(struct list *list, int dir_fd, const char *name, struct stat *ret)
{
	char link[PATH_MAX] = "";
	int error = 0;
	ssize_t n = 0;

	*ret = (struct stat){ 0 };
	if (fstatat(dir_fd, name, ret, AT_SYMLINK_NOFOLLOW) < 0)
		error = errno;
	else if (S_ISLNK(ret->st_mode))
		n = readlinkat(dir_fd, name, link, sizeof(link) - 1);
	if (n < 0)
		error = errno;
	else
		link[n] = '\0';
	put_record(list, ret, link, error);
}

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void list_directory(struct list *list, int fd, unsigned depth);

static void list_entry(struct list *list, DIR *dir, const char *name, unsigned depth)
{
	struct stat st;
	int fd;

	put_entry(list, dirfd(dir), name, &st);
	if (!depth || !S_ISDIR(st.st_mode))
		return;
	fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		list_directory(list, fd, depth - 1);
}

/* Takes over 'fd'. */
static void list_directory(struct list *list, int fd, unsigned depth)
{
	__attribute__((cleanup(cleanup_dir))) DIR *dir = fdopendir(fd);
	size_t used = strcmp(list->name, ".") == 0 ? 0 : strlen(list->name);
	const struct dirent *one;

	if (!dir) {
		close(fd);
		return;
	}
	while (!is_full(list) && (one = readdir(dir))) {
		size_t room = sizeof(list->name) - used;

		if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0 ||
		    strlen(one->d_name) + 2 > room)
			continue;
		snprintf(list->name + used, room, "%s%s", used ? "/" : "", one->d_name);
		list_entry(list, dir, one->d_name, depth);
	}
	list->name[used] = '\0';
}

/* The path itself: what it leads to, or the link when it leads nowhere. */
static int list_self(struct list *list, const char *path, struct stat *ret, struct err *err)
{
	snprintf(list->name, sizeof(list->name), ".");
	if (stat(path, ret) == 0) {
		put_record(list, ret, "", 0);
		return 0;
	}
	if (lstat(path, ret) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return err_set(err, ERR_NOT_FOUND, 0, "there is no '%s'", path);
		return err_set(err, ERR_PERMISSION_DENIED, errno, "look at '%s'", path);
	}
	put_entry(list, AT_FDCWD, path, ret);
	return 0;
}

int list_files(const char *path, unsigned depth, FILE *out, struct err *err)
{
	struct list list = { .out = out };
	struct stat st;
	int fd;

	if (list_self(&list, path, &st, err) < 0)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_set(err, ERR_PERMISSION_DENIED, errno, "list '%s'", path);
		list_directory(&list, fd, depth);
	}
	if (is_full(&list)) {
		list.name[0] = '\0';
		put_record(&list, &(struct stat){ 0 }, "", 0);
	}
	if (fflush(out) != 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "write the list");
	return 0;
}
