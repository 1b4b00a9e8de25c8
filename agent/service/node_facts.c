#include "agent/service/node_facts.h"

#include "shared/base/utf8.h"

#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

static FILE *open_below(const char *root, const char *path)
{
	char full[512];

	if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full))
		return NULL;
	return fopen(full, "re");
}

static void read_first_line(const char *root, const char *path, char *ret, size_t size)
{
	FILE *file = open_below(root, path);
	char line[256] = "";

	if (file && fgets(line, sizeof(line), file))
		line[strcspn(line, "\n")] = '\0';
	if (file)
		fclose(file);
	utf8_copy(ret, size, line);
}

/* os-release(5) values are shell words: quotes around, backslashes before what a shell would eat. */
static void unquote(char *value)
{
	char quote = *value == '"' || *value == '\'' ? *value : '\0';
	char *out = value;

	for (char *in = value + (quote ? 1 : 0); *in && *in != '\n' && *in != quote; in++) {
		if (*in == '\\' && quote != '\'' && in[1])
			in++;
		*out++ = *in;
	}
	*out = '\0';
}

static bool read_pretty_name(const char *root, const char *path, char *ret, size_t size)
{
	static const char key[] = "PRETTY_NAME=";
	FILE *file = open_below(root, path);
	char line[512];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strncmp(line, key, strlen(key)) == 0;
	if (file)
		fclose(file);
	if (!found)
		return false;
	unquote(line + strlen(key));
	utf8_copy(ret, size, line + strlen(key));
	return true;
}

static uint32_t read_cgroup_version(const char *root)
{
	struct statfs fs;
	char path[512];

	if ((size_t)snprintf(path, sizeof(path), "%s/sys/fs/cgroup", root) >= sizeof(path) ||
	    statfs(path, &fs) < 0)
		return 0;
	if (fs.f_type == CGROUP2_SUPER_MAGIC)
		return 2;
	return fs.f_type == TMPFS_MAGIC || fs.f_type == CGROUP_SUPER_MAGIC ? 1 : 0;
}

void node_facts_read(const char *root, struct node_facts *ret)
{
	struct utsname name;

	memset(ret, 0, sizeof(*ret));
	if (uname(&name) == 0) {
		utf8_copy(ret->host_name, sizeof(ret->host_name), name.nodename);
		utf8_copy(ret->kernel, sizeof(ret->kernel), name.release);
		utf8_copy(ret->arch, sizeof(ret->arch), name.machine);
	}
	if (!read_pretty_name(root, "/etc/os-release", ret->os, sizeof(ret->os)))
		read_pretty_name(root, "/usr/lib/os-release", ret->os, sizeof(ret->os));
	read_first_line(root, "/proc/sys/kernel/random/boot_id", ret->boot_id,
			sizeof(ret->boot_id));
	read_first_line(root, "/proc/1/comm", ret->init, sizeof(ret->init));
	ret->cgroup_version = read_cgroup_version(root);
}
