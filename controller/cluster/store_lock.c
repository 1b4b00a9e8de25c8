#include "controller/cluster/store.h"
#include "shared/base/parse.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int busy(int fd, const char *cluster, struct err *err)
{
	char pid[16] = "";
	ssize_t len = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[len > 0 ? len : 0] = '\0';
	err_set(err, ERR_ABORTED, 0, "another berth (process %s) is changing cluster '%s'",
		*pid ? pid : "unknown", cluster);
	return err_explain(err, "CLUSTER_BUSY", "wait until it is done, then try again");
}

/* The holder removes the file when it lets go, so what was opened may be a file of the past. */
static bool is_current(int fd, const char *path)
{
	struct stat ours, now;

	return fstat(fd, &ours) == 0 && stat(path, &now) == 0 && ours.st_ino == now.st_ino &&
	       ours.st_dev == now.st_dev;
}

static int open_locked(const char *path, const char *cluster, int *ret_fd, struct err *err)
{
	for (;;) {
		cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot write '%s'",
				       path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno == EWOULDBLOCK)
				return busy(fd, cluster, err);
			return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot lock '%s'",
				       path);
		}
		if (is_current(fd, path)) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
	}
}

int store_lock_take(const char *state_dir, const char *cluster, struct store_lock *ret_lock,
		    struct err *err)
{
	cleanup_free char *dir = text_format("%s/locks", state_dir);
	cleanup_free char *path = text_format("%s/locks/%s", state_dir, cluster);
	int fd = -1;

	if (!name_is_valid(cluster, 63))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is not the name of a cluster",
			       cluster);
	if (!dir || !path)
		return err_oom(err);
	if (store_run_dir_create(dir, err) < 0 || open_locked(path, cluster, &fd, err) < 0)
		return -1;
	ret_lock->abandoned = lseek(fd, 0, SEEK_END) > 0;
	if (ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0)
		dprintf(fd, "%ld", (long)getpid());
	ret_lock->fd = fd;
	ret_lock->path = TAKE(path);
	return 0;
}

void store_lock_release(struct store_lock *lock)
{
	if (!lock->path)
		return;
	unlink(lock->path);
	close(lock->fd);
	free(lock->path);
	*lock = (struct store_lock){ .fd = -1 };
}
