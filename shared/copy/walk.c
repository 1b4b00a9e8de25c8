#include "shared/copy/walk.h"

#include "shared/base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#ifdef __linux__
#include <linux/openat2.h>
#include <sys/syscall.h>
#endif

/* A walk that a rename elsewhere disturbs is begun again, this often. */
#define WALK_TRIES 8

/* -1 with errno; ENOSYS where the kernel does not have it, or a filter keeps it from us. */
static int open_beneath(int root_fd, const char *path)
{
#ifdef SYS_openat2
	struct open_how how = {
		.flags = WALK_OPEN_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	for (int i = 0; i < WALK_TRIES; i++) {
		long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno == EPERM)
			errno = ENOSYS;
		if (errno != EAGAIN && errno != EINTR)
			return -1;
	}
	return -1;
#else
	(void)root_fd;
	(void)path;
	errno = ENOSYS;
	return -1;
#endif
}

static int open_by_steps(int root_fd, const char *path)
{
	int fd = openat(root_fd, ".", WALK_OPEN_FLAGS);

	while (fd >= 0 && *path) {
		size_t len = strcspn(path, "/");
		char name[NAME_MAX + 1];
		int next = -1;

		if (len < sizeof(name)) {
			memcpy(name, path, len);
			name[len] = '\0';
			next = openat(fd, name, WALK_OPEN_FLAGS);
		} else {
			errno = ENAMETOOLONG;
		}
		close(fd);
		fd = next;
		path += len + (path[len] == '/');
	}
	return fd;
}

int walk_open(int root_fd, const char *path, bool steps, int *ret_fd, struct err *err)
{
	int fd = -1;

	if (!steps)
		fd = open_beneath(root_fd, *path ? path : ".");
	if (steps || (fd < 0 && errno == ENOSYS))
		fd = open_by_steps(root_fd, path);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, 0, "there is no directory '%s'", path);
	if (errno == ELOOP || errno == ENOTDIR) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "'%s' is, or lies behind, no directory",
			path);
		return err_explain(err, "NOT_A_DIRECTORY",
				   "links are not followed below the directory copied to");
	}
	return err_set(err, errno == EACCES ? ERR_PERMISSION_DENIED : ERR_INTERNAL, errno,
		       "open directory '%s'", path);
}
