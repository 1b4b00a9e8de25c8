#include "controller/provider/facts.h"

#include "shared/base/parse.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAP_SYS_RESOURCE_BIT 24

static bool exists(const char *root, const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return access(full, F_OK) == 0;
}

bool host_file_read(const char *root, const char *path, char *ret, size_t size)
{
	char full[PATH_MAX];
	cleanup_fd int fd = -1;
	size_t len = 0;
	ssize_t n;

	snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (len < size - 1 && (n = read(fd, ret + len, size - 1 - len)) > 0)
		len += (size_t)n;
	if (len > 0 && ret[len - 1] == '\n')
		len--;
	ret[len] = '\0';
	return true;
}

bool host_number_read(const char *root, const char *path, int64_t *ret)
{
	char text[64];

	return host_file_read(root, path, text, sizeof(text)) && parse_int(text, 0, INT64_MAX, ret);
}

bool host_find_program(const char *path, const char *program, char *ret, size_t size)
{
	while (path && *path) {
		size_t len = strcspn(path, ":");

		if (snprintf(ret, size, "%.*s/%s", (int)len, path, program) < (int)size &&
		    access(ret, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

bool host_has_program(const char *path, const char *program)
{
	char full[PATH_MAX];

	return host_find_program(path, program, full, sizeof(full));
}

static int64_t hard_limit(int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0 || limit.rlim_max == RLIM_INFINITY ||
	    limit.rlim_max > INT64_MAX)
		return -1;
	return (int64_t)limit.rlim_max;
}

/* podman lowers its own limit of processes to pid_max, so a node cannot be given more than that by
 * those who may not raise limits. */
static int64_t nproc_limit(const char *root)
{
	int64_t hard = hard_limit(RLIMIT_NPROC), pid_max;

	if (!host_number_read(root, "/proc/sys/kernel/pid_max", &pid_max))
		return hard;
	return hard < 0 || hard > pid_max ? pid_max : hard;
}

/* The effective capabilities, from /proc: no library for one bit. */
static bool has_cap_sys_resource(const char *root)
{
	char text[4096];
	const char *line;

	if (!host_file_read(root, "/proc/self/status", text, sizeof(text)))
		return false;
	line = strstr(text, "\nCapEff:");
	if (!line)
		return false;
	return strtoull(line + strlen("\nCapEff:"), NULL, 16) >> CAP_SYS_RESOURCE_BIT & 1;
}

/* CN-022: v1 has one file; on v2 the root cgroup has none, but any child shows it. */
static bool has_swap_limit(const char *root)
{
	char pattern[PATH_MAX];
	glob_t found;
	bool has;

	if (exists(root, "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"))
		return true;
	snprintf(pattern, sizeof(pattern), "%s/sys/fs/cgroup/*/memory.swap.max", root);
	has = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
	if (has)
		globfree(&found);
	return has;
}

/* CN-023: v1 has the file, on v2 the controller is enough. */
static bool has_cpu_quota(const char *root)
{
	char controllers[256];

	if (exists(root, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
		return true;
	return host_file_read(root, "/sys/fs/cgroup/cgroup.controllers", controllers,
			      sizeof(controllers)) &&
	       host_has_word(controllers, "cpu");
}

bool host_has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *s = strstr(list, word); s; s = strstr(s + 1, word)) {
		if ((s == list || s[-1] == ' ') && (s[len] == ' ' || !s[len]))
			return true;
	}
	return false;
}

void host_facts_read_below(const char *root, const char *path, struct host_facts *ret)
{
	*ret = (struct host_facts){
		.cgroup_v2 = exists(root, "/sys/fs/cgroup/cgroup.controllers"),
		.cgroup_hybrid = exists(root, "/sys/fs/cgroup/unified/cgroup.procs"),
		.has_systemd = exists(root, "/run/systemd/system"),
		.has_runc = host_has_program(path, "runc"),
		.has_crun = host_has_program(path, "crun"),
		.has_modules = exists(root, "/lib/modules"),
		.has_nixos_modules = exists(root, "/run/current-system/kernel-modules/lib/modules"),
		.has_fuse = exists(root, "/dev/fuse"),
		.has_mapper = exists(root, "/dev/mapper"),
		.has_swap_limit = has_swap_limit(root),
		.has_cpu_quota = has_cpu_quota(root),
		.rootless = geteuid() != 0,
		.nofile_hard = hard_limit(RLIMIT_NOFILE),
		.nproc_hard = nproc_limit(root),
		.can_raise_limits = has_cap_sys_resource(root),
	};
}

void host_facts_read(struct host_facts *ret)
{
#ifdef __linux__
	host_facts_read_below("", getenv("PATH"), ret);
#else
	/* The engine runs in a Linux machine of its own, which is an ordinary one. */
	*ret = (struct host_facts){ .cgroup_v2 = true,
				    .has_systemd = true,
				    .has_crun = true,
				    .has_modules = true,
				    .has_swap_limit = true,
				    .has_cpu_quota = true,
				    .nofile_hard = -1,
				    .nproc_hard = -1,
				    .can_raise_limits = true };
#endif
}
