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

	return process_read_file(proc_root, pid, "cmdline", buf, sizeof(buf)) > 0 &&
	       strcmp(base_name(buf), name) == 0;
}

/* A name that the kernel cut off says nothing: argv and exe must tell then. */
static bool comm_is(const struct process_stat *stat, const char *name)
{
	return strlen(name) <= COMM_MAX && strcmp(stat->comm, name) == 0;
}

static bool is_victim(const char *proc_root, pid_t pid, const char *name, struct process_stat *stat)
{
	if (pid == getpid() || !process_read_stat(proc_root, pid, stat))
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
	cleanup_with(dir) DIR *dir = opendir(proc_root);
	struct process_ids ids = { 0 };
	struct process_stat stat;
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
	struct process_stat stat;

	if (fd < 0 && errno != ESRCH)
		return err_set(err, ERR_INTERNAL, errno, "pidfd_open of %d", (int)id.pid);
	/* From here on the pidfd holds whatever process has the pid: is it still the one? */
	if (fd < 0 || !process_read_stat(proc_root, id.pid, &stat) ||
	    stat.start_ticks != id.start_ticks || stat.state == 'Z' || stat.state == 'X')
		return err_set(err, ERR_NOT_FOUND, 0, "process %d is gone", (int)id.pid);
	*ret_fd = take_fd(&fd);
	return 0;
}
