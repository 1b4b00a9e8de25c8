#include "agent/units/processes_impl.h"
#include "shared/base/cleanup.h"
#include "shared/base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define COMM_MAX 15         /* TASK_COMM_LEN - 1 */
#define KTHREAD  0x00200000 /* PF_KTHREAD of the kernel's sched.h */

static inline __attribute__((unused)) void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* What of proc_pid_stat(5) is of use here. */
struct stat_line {
	char comm[64];
	char state;
	unsigned flags;
	uint64_t start_ticks;
};

/* Up to 'size' - 1 bytes of a small file, NUL-terminated; its length, or -1. */
static ssize_t read_small(const char *proc_root, pid_t pid, const char *file, char *buf,
			  size_t size)
{
	char path[PATH_MAX];
	cleanup_fd int fd = -1;
	ssize_t len;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/%s", proc_root, (int)pid, file) >=
	    sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	len = read(fd, buf, size - 1);
	if (len >= 0)
		buf[len] = '\0';
	return len;
}

static bool read_stat(const char *proc_root, pid_t pid, struct stat_line *ret)
{
	char buf[1024], *open_at, *close_at;

	if (read_small(proc_root, pid, "stat", buf, sizeof(buf)) <= 0)
		return false;
	/* The name may hold anything, ')' too: it ends at the last one. */
	open_at = strchr(buf, '(');
	close_at = strrchr(buf, ')');
	if (!open_at || !close_at || close_at < open_at)
		return false;
	*close_at = '\0';
	snprintf(ret->comm, sizeof(ret->comm), "%s", open_at + 1);
	return sscanf(close_at + 1,
		      " %c %*s %*s %*s %*s %*s %u %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
		      " %" SCNu64,
		      &ret->state, &ret->flags, &ret->start_ticks) == 3;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool exe_is(const char *proc_root, pid_t pid, const char *name)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t len;
	size_t end;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/exe", proc_root, (int)pid) >= sizeof(path))
		return false;
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	base = base_name(target);
	end = strlen(name);
	return strncmp(base, name, end) == 0 && (!base[end] || strcmp(base + end, deleted) == 0);
}

static bool argv0_is(const char *proc_root, pid_t pid, const char *name)
{
	char buf[PATH_MAX];

	return read_small(proc_root, pid, "cmdline", buf, sizeof(buf)) > 0 &&
	       strcmp(base_name(buf), name) == 0;
}

/* A name that the kernel cut off says nothing: argv and exe must tell then. */
static bool comm_is(const struct stat_line *stat, const char *name)
{
	return strlen(name) <= COMM_MAX && strcmp(stat->comm, name) == 0;
}

static bool is_victim(const char *proc_root, pid_t pid, const char *name, struct stat_line *stat)
{
	if (pid == getpid() || !read_stat(proc_root, pid, stat))
		return false;
	if (stat->state == 'Z' || stat->state == 'X' || (stat->flags & KTHREAD))
		return false;
	return comm_is(stat, name) || argv0_is(proc_root, pid, name) ||
	       exe_is(proc_root, pid, name);
}

static int add(struct process_ids *ids, pid_t pid, uint64_t start_ticks, struct err *err)
{
	if (ids->count == ids->cap) {
		size_t cap = ids->cap ? ids->cap * 2 : 8;
		struct process_id *items = realloc(ids->items, cap * sizeof(*items));

		if (!items)
			return err_oom(err);
		ids->items = items;
		ids->cap = cap;
	}
	ids->items[ids->count++] = (struct process_id){ .pid = pid, .start_ticks = start_ticks };
	return 0;
}

int process_find(const char *proc_root, const char *name, struct process_ids *ret, struct err *err)
{
	__attribute__((cleanup(cleanup_dir))) DIR *dir = opendir(proc_root);
	struct process_ids ids = { 0 };
	struct stat_line stat;
	struct dirent *entry;
	int64_t pid;

	if (!dir)
		return err_set(err, ERR_INTERNAL, errno, "cannot list processes in %s", proc_root);
	while ((entry = readdir(dir))) {
		if (!parse_int(entry->d_name, 1, INT_MAX, &pid) ||
		    !is_victim(proc_root, (pid_t)pid, name, &stat))
			continue;
		if (add(&ids, (pid_t)pid, stat.start_ticks, err) < 0) {
			free(ids.items);
			return -1;
		}
	}
	*ret = ids;
	return 0;
}

int process_open(const char *proc_root, struct process_id id, int *ret_fd, struct err *err)
{
	cleanup_fd int fd = (int)syscall(SYS_pidfd_open, id.pid, 0);
	struct stat_line stat;

	if (fd < 0 && errno != ESRCH)
		return err_set(err, ERR_INTERNAL, errno, "pidfd_open of %d", (int)id.pid);
	/* From here on the pidfd holds whatever process has the pid: is it still the one? */
	if (fd < 0 || !read_stat(proc_root, id.pid, &stat) || stat.start_ticks != id.start_ticks ||
	    stat.state == 'Z' || stat.state == 'X')
		return err_set(err, ERR_NOT_FOUND, 0, "process %d is gone", (int)id.pid);
	*ret_fd = take_fd(&fd);
	return 0;
}
