#include "controller/provider/podman_stamp.h"

#include "controller/provider/facts.h"
#include "shared/base/file.h"
#include "shared/base/version.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATABASE_MAX ((size_t)64 * 1024 * 1024)
/* Files' times move on by a tick of the kernel, at most 10 ms. */
#define SETTLED_NS 100000000

#ifdef __linux__

/* Where configuration may be, and what may say that it is elsewhere. */
static const char *const files[] = {
	"/usr/share/containers/containers.conf",
	"/etc/containers/containers.conf",
	"/usr/share/containers/storage.conf",
	"/etc/containers/storage.conf",
};
static const char *const directories[] = {
	"/usr/share/containers/containers.conf.d",
	"/usr/share/containers/containers.rootful.conf.d",
	"/etc/containers/containers.conf.d",
	"/etc/containers/containers.rootful.conf.d",
	"/etc/containers/storage.conf.d",
	"/etc/containers/storage.rootful.conf.d",
};
static const char *const file_names[] = {
	"CONTAINERS_CONF",
	"CONTAINERS_CONF_OVERRIDE",
	"CONTAINERS_STORAGE_CONF",
};
static const char *const names[] = {
	"PATH",           "HOME",         "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
	"STORAGE_DRIVER", "STORAGE_OPTS", "TMPDIR",
};

static int64_t ns_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* False when there is no such file, which is said, too. */
static bool add_file(struct text *ret, const char *path, int64_t *ret_changed_ns)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		text_addf(ret, "%s: none\n", path);
		return false;
	}
	text_addf(ret, "%s: %ju:%ju %jd %" PRId64 " %" PRId64 "\n", path, (uintmax_t)st.st_dev,
		  (uintmax_t)st.st_ino, (intmax_t)st.st_size, ns_of(&st.st_mtim),
		  ns_of(&st.st_ctim));
	if (!ret_changed_ns)
		return true;
	*ret_changed_ns = later(*ret_changed_ns, later(ns_of(&st.st_mtim), ns_of(&st.st_ctim)));
	return true;
}

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void add_directory(struct text *ret, const char *path)
{
	struct dirent **list;
	int count = scandir(path, &list, is_file, alphasort);

	for (int i = 0; i < count; i++) {
		char full[PATH_MAX];

		if (snprintf(full, sizeof(full), "%s/%s", path, list[i]->d_name) <
		    (int)sizeof(full))
			add_file(ret, full, NULL);
		free(list[i]);
	}
	if (count >= 0)
		free(list);
}

static void add_environment(struct text *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);

		text_addf(ret, "%s=%s\n", names[i], value ? value : "");
	}
	for (size_t i = 0; i < ARRAY_LEN(file_names); i++) {
		const char *path = getenv(file_names[i]);

		text_addf(ret, "%s=%s\n", file_names[i], path ? path : "");
		if (path && *path)
			add_file(ret, path, NULL);
	}
}

bool podman_stamp(const struct provider *p, struct text *ret)
{
	char boot[64], program[PATH_MAX];

	if (p->facts.rootless || p->engine.service || p->engine.remote ||
	    !host_find_program(getenv("PATH"), p->ops->program, program, sizeof(program)) ||
	    !host_file_read("", "/proc/sys/kernel/random/boot_id", boot, sizeof(boot)))
		return false;
	text_addf(ret, "berth %s\nboot %s\ncpus %ld\npages %ld\n", version_number(), boot,
		  sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_PHYS_PAGES));
	add_file(ret, program, NULL);
	add_environment(ret);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		add_file(ret, files[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		add_directory(ret, directories[i]);
	return !text_failed(ret);
}

/* Bolt's until podman 4, SQLite's since, which writes beside the file first. */
static const char *const databases[] = { "bolt_state.db", "db.sqlite", "db.sqlite-wal" };

static bool database_path(char *ret, const char *storage, size_t i)
{
	return snprintf(ret, PATH_MAX, "%s/libpod/%s", storage, databases[i]) < PATH_MAX;
}

bool podman_stamp_containers(const char *storage, struct text *ret)
{
	int64_t changed_ns = 0;
	char path[PATH_MAX];
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(databases); i++)
		found |= database_path(path, storage, i) && add_file(ret, path, &changed_ns);
	return found && !text_failed(ret) && changed_ns + SETTLED_NS < clock_wall_ns();
}

static void strike_out(const char *path, const struct node_list *nodes, bool *found)
{
	cleanup_free char *text = NULL;
	struct err ignored;
	size_t len;

	if (file_read(path, DATABASE_MAX, &text, &len, &ignored) < 0)
		return;
	for (size_t i = 0; i < nodes->count; i++) {
		const char *id = nodes->items[i]->engine_id;

		found[i] |= id && *id && memmem(text, len, id, strlen(id));
	}
}

bool podman_has_nodes(const char *storage, const struct node_list *nodes)
{
	cleanup_free bool *found = calloc(nodes->count + 1, sizeof(*found));
	char path[PATH_MAX];

	for (size_t i = 0; found && i < ARRAY_LEN(databases); i++) {
		if (database_path(path, storage, i))
			strike_out(path, nodes, found);
	}
	for (size_t i = 0; found && i < nodes->count; i++) {
		if (!found[i])
			return false;
	}
	return found && nodes->count > 0;
}

#else

bool podman_stamp(const struct provider *p, struct text *ret)
{
	(void)p;
	(void)ret;
	return false;
}

bool podman_stamp_containers(const char *storage, struct text *ret)
{
	(void)storage;
	(void)ret;
	return false;
}

bool podman_has_nodes(const char *storage, const struct node_list *nodes)
{
	(void)storage;
	(void)nodes;
	return false;
}

#endif
