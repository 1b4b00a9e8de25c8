#include "agent/gate/listener.h"

#include "shared/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int unix_address(const char *path, struct sockaddr_un *ret, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(address.sun_path))
		return err_set(err, ERR_INVALID_ARGUMENT, 0,
			       "socket path '%s' must have 1 to %zu bytes", path,
			       sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, len + 1);
	*ret = address;
	return 0;
}

static int make_parent(const char *path, gid_t gid, struct err *err)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	if (mkdir(dir, 0700) < 0)
		return errno == EEXIST ? 0
				       : err_set(err, ERR_FAILED_PRECONDITION, errno,
						 "make directory '%s'", dir);
	if (gid && (chown(dir, (uid_t)-1, gid) < 0 || chmod(dir, 0710) < 0))
		return err_set(err, ERR_FAILED_PRECONDITION, errno,
			       "open directory '%s' to group %u", dir, (unsigned)gid);
	return 0;
}

static int check_replaceable(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set(err, ERR_FAILED_PRECONDITION, 0,
			       "'%s' exists and is not a socket; it stays as it is", path);
	return 0;
}

/* The mode is right from the first moment on: chmod(2) afterwards would leave a gap. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t old = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	umask(old);
	return rc;
}

/* Under its temporary name, so that it is right before anybody can find it. */
static int share_with(const char *fresh, gid_t gid)
{
	if (!gid)
		return 0;
	return chown(fresh, (uid_t)-1, gid) < 0 ? -1 : chmod(fresh, 0660);
}

int listener_open(const char *path, gid_t gid, int *ret_fd, struct err *err)
{
	char fresh[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct sockaddr_un address;
	cleanup_fd int fd = -1;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return err_set(err, ERR_INVALID_ARGUMENT, 0,
			       "socket path '%s' has more than %zu bytes", path, sizeof(fresh) - 5);
	if (unix_address(fresh, &address, err) < 0 || make_parent(path, gid, err) < 0 ||
	    check_replaceable(path, err) < 0)
		return -1;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	unlink(fresh);
	if (bind_private(fd, &address) < 0 || listen(fd, SOMAXCONN) < 0 ||
	    share_with(fresh, gid) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "listen on '%s'", path);
	if (rename(fresh, path) < 0) {
		int sys = errno;

		unlink(fresh);
		return err_set(err, ERR_FAILED_PRECONDITION, sys, "listen on '%s'", path);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}
