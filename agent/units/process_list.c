#include "agent/units/processes_impl.h"
#include "shared/base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define KTHREAD 0x00200000 /* PF_KTHREAD of the kernel's sched.h */

/* --- /proc/<pid> ---------------------------------------------------------------------------------- */

ssize_t process_read_file(const char *proc_root, pid_t pid, const char *file, char *buf,
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

bool process_read_stat(const char *proc_root, pid_t pid, struct process_stat *ret)
{
	char buf[1024], *open_at, *close_at;
	uint64_t user = 0, system = 0;
	int ppid = 0, found;

	if (process_read_file(proc_root, pid, "stat", buf, sizeof(buf)) <= 0)
		return false;
	/* The name may hold anything, ')' too: it ends at the last one. */
	open_at = strchr(buf, '(');
	close_at = strrchr(buf, ')');
	if (!open_at || !close_at || close_at < open_at)
		return false;
	*close_at = '\0';
	*ret = (struct process_stat){ 0 };
	snprintf(ret->comm, sizeof(ret->comm), "%s", open_at + 1);
	found = sscanf(close_at + 1,
		       " %c %d %*s %*s %*s %*s %u %*s %*s %*s %*s %" SCNu64 " %" SCNu64
		       " %*s %*s %*s %*s %" SCNu32 " %*s %" SCNu64 " %" SCNu64 " %" SCNu64,
		       &ret->state, &ppid, &ret->flags, &user, &system, &ret->threads,
		       &ret->start_ticks, &ret->virtual_bytes, &ret->resident_pages);
	ret->ppid = ppid;
	ret->cpu_ticks = user + system;
	/* The start time is the last that a decision hangs on. */
	return found >= 7;
}

/* --- the list --------------------------------------------------------------------------------------- */

static void read_label(const char *proc_root, struct process_info *info)
{
	if (process_read_file(proc_root, info->pid, "attr/current", info->label,
			      sizeof(info->label)) < 0)
		info->label[0] = '\0';
	info->label[strcspn(info->label, "\n")] = '\0';
}

static void read_executable(const char *proc_root, struct process_info *info)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/exe", proc_root, (int)info->pid) >=
	    sizeof(path))
		return;
	len = readlink(path, target, sizeof(target));
	if (len > 0 && (size_t)len < sizeof(target))
		info->executable = strndup(target, (size_t)len);
}

static void read_args(const char *proc_root, struct process_info *info)
{
	char buf[PROCESS_ARGS_MAX];
	ssize_t len = process_read_file(proc_root, info->pid, "cmdline", buf, sizeof(buf));

	if (len <= 0)
		return;
	/* One that was cut off, or set by the process itself, may lack its end. */
	info->args_len = buf[len - 1] ? (size_t)len + 1 : (size_t)len;
	info->args = malloc(info->args_len);
	if (info->args)
		memcpy(info->args, buf, info->args_len);
	else
		info->args_len = 0;
}

static void info_release(struct process_info *info)
{
	free(info->executable);
	free(info->args);
}

void process_list_release(struct process_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		info_release(&list->items[i]);
	free(list->items);
	*list = (struct process_list){ 0 };
}

static bool read_info(const char *proc_root, pid_t pid, bool with_args, struct process_info *ret)
{
	struct process_stat stat;

	if (!process_read_stat(proc_root, pid, &stat))
		return false;
	*ret = (struct process_info){
		.pid = pid,
		.ppid = stat.ppid,
		.state = stat.state,
		.kernel = stat.flags & KTHREAD,
		.threads = stat.threads,
		.cpu_ms = stat.cpu_ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK),
		.virtual_bytes = stat.virtual_bytes,
		.resident_bytes = stat.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE),
		.start_ticks = stat.start_ticks,
	};
	memcpy(ret->comm, stat.comm, sizeof(ret->comm));
	read_label(proc_root, ret);
	if (ret->kernel)
		return true;
	read_executable(proc_root, ret);
	if (with_args && ret->state != 'D')
		read_args(proc_root, ret);
	return true;
}

static int add_info(struct process_list *list, const struct process_info *info, struct err *err)
{
	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 64;
		struct process_info *items = realloc(list->items, cap * sizeof(*items));

		if (!items)
			return err_oom(err);
		list->items = items;
		list->cap = cap;
	}
	list->items[list->count++] = *info;
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	const struct process_info *first = a, *second = b;

	return (first->pid > second->pid) - (first->pid < second->pid);
}

int processes_list(const char *proc_root, bool with_args, struct process_list *ret, struct err *err)
{
	cleanup_with(process_list) struct process_list list = { 0 };
	cleanup_with(dir) DIR *dir = NULL;
	struct process_info info;
	struct dirent *entry;
	int64_t pid;

	if (proc_root && !(dir = opendir(proc_root)))
		return err_set(err, ERR_INTERNAL, errno, "cannot list processes");
	while (dir && (entry = readdir(dir))) {
		if (!parse_int(entry->d_name, 1, INT_MAX, &pid) ||
		    !read_info(proc_root, (pid_t)pid, with_args, &info))
			continue;
		if (add_info(&list, &info, err) < 0) {
			info_release(&info);
			return -1;
		}
	}
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), by_pid);
	*ret = list;
	list = (struct process_list){ 0 };
	return 0;
}

/* --- one of them ------------------------------------------------------------------------------------ */

static int is_gone(pid_t pid, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, 0, "there is no process %d", (int)pid);
	return err_explain(err, "PROCESS_GONE", "'berth get processes' lists those there are");
}

static int check_target(pid_t pid, int signal, struct err *err)
{
	if (signal < 1 || signal > 64)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "%d is no signal", signal);
	if (pid > 1)
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "process %d cannot be signalled", (int)pid);
	return err_explain(err, "PROCESS_IS_INIT",
			   pid == 1 ? "process 1 is the node itself: 'berth stop node' ends it"
				    : NULL);
}

int process_send_signal(const char *proc_root, pid_t pid, uint64_t start_ticks, int signal,
			char ret_comm[64], struct err *err)
{
	struct process_id id = { .pid = pid, .start_ticks = start_ticks };
	cleanup_fd int fd = -1;
	struct process_stat stat;

	if (check_target(pid, signal, err) < 0)
		return -1;
	if (!proc_root || !process_read_stat(proc_root, pid, &stat) ||
	    (start_ticks && stat.start_ticks != start_ticks))
		return is_gone(pid, err);
	id.start_ticks = stat.start_ticks;
	if (process_open(proc_root, id, &fd, err) < 0)
		return err->code == ERR_NOT_FOUND ? is_gone(pid, err) : -1;
	if (syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0)
		return errno == ESRCH ? is_gone(pid, err)
				      : err_set(err, ERR_PERMISSION_DENIED, errno,
						"cannot signal process %d", (int)pid);
	memcpy(ret_comm, stat.comm, sizeof(stat.comm));
	return 0;
}
