#include "agent/streams/cgroup.h"

#include "shared/base/cleanup.h"
#include "shared/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* Deepest cgroup below one of ours that is looked after: a command may have made some. */
#define DEPTH_MAX 8
/* A group that goes on forking is killed again and again, this often. */
#define ROUNDS_MAX 16

struct cgroup_place {
	char *root;
	char *name;
	bool v2;
	/* Open directories, -1: there is none. The first is the one that knows all processes; on v1 the
	 * others are memory and pids, on v2 it is the only one. */
	int trees[CGROUP_TREES];
};

enum { TREE_ALL, TREE_MEMORY, TREE_PIDS };

bool cgroup_is_service(void)
{
	char line[512];
	bool found = false;
	FILE *file = fopen("/proc/self/cgroup", "re");

	while (file && fgets(line, sizeof(line), file))
		found |= strstr(line, "/berthd.service") != NULL;
	if (file)
		fclose(file);
	return found;
}

/* --- files ----------------------------------------------------------------------------------------- */

static bool write_file(int dir, const char *name, const char *text)
{
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);

	return fd >= 0 && write(fd, text, len) == (ssize_t)len;
}

/* Made when it is not there; -1 with errno. */
static int open_below(int dir, const char *name)
{
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return -1;
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static DIR *list_dir(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;

	if (!list && fd >= 0)
		close(fd);
	return list;
}

/* The next cgroup below, NULL at the end. */
static const char *next_below(DIR *list)
{
	struct dirent *entry;

	while (list && (entry = readdir(list))) {
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			return entry->d_name;
	}
	return NULL;
}

/* --- the place ------------------------------------------------------------------------------------- */

static int open_tree(const char *root, const char *tree, const char *name, __fsword_t magic)
{
	cleanup_free char *path = text_format("%s/%s", root, tree);
	cleanup_fd int dir = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct statfs fs;

	if (dir < 0 || fstatfs(dir, &fs) < 0 || fs.f_type != magic)
		return -1;
	/* Helpers' limits need them; without, they go unlimited. */
	if (magic == CGROUP2_SUPER_MAGIC)
		write_file(dir, "cgroup.subtree_control", "+memory +pids");
	return open_below(dir, name);
}

static void close_trees(struct cgroup_place *place)
{
	for (size_t i = 0; i < CGROUP_TREES; i++) {
		if (place->trees[i] >= 0)
			close(place->trees[i]);
		place->trees[i] = -1;
	}
}

static void open_trees(struct cgroup_place *place)
{
	const char *root = place->root, *name = place->name;

	place->trees[TREE_ALL] = open_tree(root, ".", name, CGROUP2_SUPER_MAGIC);
	place->trees[TREE_MEMORY] = place->trees[TREE_PIDS] = -1;
	place->v2 = place->trees[TREE_ALL] >= 0;
	if (place->v2) {
		write_file(place->trees[TREE_ALL], "cgroup.subtree_control", "+memory +pids");
		return;
	}
	place->trees[TREE_ALL] = open_tree(root, "systemd", name, CGROUP_SUPER_MAGIC);
	place->trees[TREE_MEMORY] = open_tree(root, "memory", name, CGROUP_SUPER_MAGIC);
	place->trees[TREE_PIDS] = open_tree(root, "pids", name, CGROUP_SUPER_MAGIC);
}

void cgroup_place_close(struct cgroup_place *place)
{
	if (!place)
		return;
	close_trees(place);
	free(place->root);
	free(place->name);
	free(place);
}
DEFINE_CLEANUP(cgroup_place, struct cgroup_place *, cgroup_place_close)

int cgroup_place_open(const char *root, const char *name, struct cgroup_place **ret_place,
		      struct err *err)
{
	cleanup_with(cgroup_place) struct cgroup_place *place = malloc(sizeof(*place));

	if (!place)
		return err_oom(err);
	*place = (struct cgroup_place){
		.root = strdup(root),
		.name = strdup(name),
		.trees = { -1, -1, -1 },
	};
	if (!place->root || !place->name)
		return err_oom(err);
	open_trees(place);
	if (place->trees[TREE_ALL] < 0)
		return err_set(err, ERR_UNIMPLEMENTED, 0, "no cgroup below '%s' can be made", root);
	*ret_place = TAKE(place);
	return 0;
}

/* --- one of them ----------------------------------------------------------------------------------- */

void cgroup_entry_close(struct cgroup_entry *entry)
{
	if (entry->dir >= 0)
		close(entry->dir);
	for (size_t i = 0; i < CGROUP_TREES; i++) {
		if (entry->tasks[i] >= 0)
			close(entry->tasks[i]);
	}
}

static void limit(const struct cgroup_place *place, int dir, size_t tree)
{
	if (place->v2 || tree == TREE_MEMORY)
		write_file(dir, place->v2 ? "memory.max" : "memory.limit_in_bytes",
			   CGROUP_HELPER_BYTES);
	if (place->v2 || tree == TREE_PIDS)
		write_file(dir, "pids.max", CGROUP_HELPER_PIDS);
}

static bool make_in_tree(struct cgroup_place *place, size_t tree, const char *name, bool helper,
			 struct cgroup_entry *entry)
{
	cleanup_fd int dir = -1;

	if (place->trees[tree] < 0)
		return true;
	dir = open_below(place->trees[tree], name);
	if (dir < 0)
		return false;
	if (helper)
		limit(place, dir, tree);
	if (place->v2)
		entry->dir = take_fd(&dir);
	else
		/* Not cgroup.procs: a single thread that moves itself needs no lock of the whole
		 * machine's (10 ms), and after a fork there is only one. */
		entry->tasks[tree] = openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
	return place->v2 || entry->tasks[tree] >= 0;
}

/* -1 with errno, and nothing is left of it. */
static int make_in_all(struct cgroup_place *place, const char *name, bool helper,
		       struct cgroup_entry *ret_entry)
{
	struct cgroup_entry entry = CGROUP_NOWHERE;

	if (place->trees[TREE_ALL] < 0) {
		errno = ENOENT;
		return -1;
	}
	for (size_t tree = 0; tree < CGROUP_TREES; tree++) {
		int sys;

		if (make_in_tree(place, tree, name, helper, &entry))
			continue;
		sys = errno;
		cgroup_entry_close(&entry);
		cgroup_remove(place, name);
		errno = sys;
		return -1;
	}
	*ret_entry = entry;
	return 0;
}

int cgroup_make(struct cgroup_place *place, const char *name, bool helper,
		struct cgroup_entry *ret_entry, struct err *err)
{
	if (make_in_all(place, name, helper, ret_entry) == 0)
		return 0;
	/* A systemd that sees this hierarchy as its own removes what is empty in it: that of another
	 * container to which the host's cgroup v1 was given whole. */
	if (errno == ENOENT) {
		close_trees(place);
		open_trees(place);
		if (make_in_all(place, name, helper, ret_entry) == 0)
			return 0;
	}
	return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a cgroup for a program");
}

/* --- the end of one -------------------------------------------------------------------------------- */

/* The number may have come to name another process since it was read; what the pidfd stands for has not
 * when its cgroup is still this one (I13). */
static bool is_in(pid_t pid, const char *name)
{
	cleanup_free char *path = text_format("/proc/%d/cgroup", (int)pid);
	FILE *file = path ? fopen(path, "re") : NULL;
	size_t len = strlen(name);
	bool found = false;
	char line[1024];

	while (file && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, name);

		found |= at && at > line && at[-1] == '/' && strchr("/\n", at[len]);
	}
	if (file)
		fclose(file);
	return found;
}

static void kill_one(pid_t pid, const char *name)
{
	cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd >= 0 && is_in(pid, name))
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static size_t kill_listed(int dir, const char *name)
{
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	size_t count = 0;
	int pid;

	if (!file && fd >= 0)
		close(fd);
	while (file && fscanf(file, "%d", &pid) == 1) {
		kill_one(pid, name);
		count++;
	}
	if (file)
		fclose(file);
	return count;
}

/* How many were there. */
static size_t kill_below(int dir, const char *name, int depth)
{
	size_t count = kill_listed(dir, name);
	DIR *list = depth < DEPTH_MAX ? list_dir(dir) : NULL;
	const char *below;

	while ((below = next_below(list))) {
		cleanup_fd int fd = openat(dir, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			count += kill_below(fd, name, depth + 1);
	}
	if (list)
		closedir(list);
	return count;
}

void cgroup_kill(struct cgroup_place *place, const char *name)
{
	cleanup_fd int dir =
		openat(place->trees[TREE_ALL], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int pids = -1;

	if (dir < 0 || (place->v2 && write_file(dir, "cgroup.kill", "1")))
		return;
	if (place->trees[TREE_PIDS] >= 0)
		pids = openat(place->trees[TREE_PIDS], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	write_file(pids >= 0 ? pids : dir, "pids.max", "0");
	/* The dead are listed until they are reaped: it ends by the count of rounds. */
	for (int round = 0; round < ROUNDS_MAX && kill_below(dir, name, 0) > 0; round++)
		;
}

static void remove_below(int dir, int depth)
{
	DIR *list = depth < DEPTH_MAX ? list_dir(dir) : NULL;
	const char *below;

	while ((below = next_below(list))) {
		cleanup_fd int fd = openat(dir, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			remove_below(fd, depth + 1);
		unlinkat(dir, below, AT_REMOVEDIR);
	}
	if (list)
		closedir(list);
}

static bool remove_in_tree(int tree, const char *name)
{
	cleanup_fd int dir = -1;

	if (tree < 0 || unlinkat(tree, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return true;
	dir = openat(tree, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		remove_below(dir, 0);
	return unlinkat(tree, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

bool cgroup_remove(struct cgroup_place *place, const char *name)
{
	bool gone = true;

	for (size_t i = 0; i < CGROUP_TREES; i++)
		gone &= remove_in_tree(place->trees[i], name);
	return gone;
}

void cgroup_each(struct cgroup_place *place, void (*fn)(void *arg, const char *name), void *arg)
{
	DIR *list = list_dir(place->trees[TREE_ALL]);
	const char *below;

	while ((below = next_below(list))) {
		if (strlen(below) < CGROUP_NAME_SIZE)
			fn(arg, below);
	}
	if (list)
		closedir(list);
}
