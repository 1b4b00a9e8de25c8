#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct host_facts control_plain_host = {
	.cgroup_v2 = true,
	.has_systemd = true,
	.has_runc = true,
	.has_crun = true,
	.has_modules = true,
	.has_fuse = true,
	.nofile_hard = 1048576,
	.nproc_hard = -1,
	.can_raise_limits = true,
};

const struct host_facts control_hybrid_host = {
	.cgroup_hybrid = true,
	.has_runc = true,
	.has_crun = true,
	.nofile_hard = 20000,
	.nproc_hard = 32768,
};

char *control_scratch(void)
{
	char *dir = strdup("/tmp/berth-control-XXXXXX");

	assert_non_null(dir);
	assert_non_null(mkdtemp(dir));
	return dir;
}

static void remove_tree(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) < 0)
			remove_tree(fd, entry->d_name);
	}
	if (dir)
		closedir(dir);
	unlinkat(parent, name, AT_REMOVEDIR);
}

void control_scratch_remove(char *dir)
{
	remove_tree(AT_FDCWD, dir);
	free(dir);
}

static void path_of(const char *dir, const char *name, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s", dir, name);
}

void control_write(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	path_of(dir, name, path);
	for (char *s = path + strlen(dir) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(path, 0700);
		*s = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

char *control_read(const char *dir, const char *name)
{
	char path[PATH_MAX], chunk[4096];
	struct text t = { 0 };
	FILE *file;
	size_t n;

	path_of(dir, name, path);
	file = fopen(path, "r");
	while (file && (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		text_add_bytes(&t, chunk, n);
	if (file)
		fclose(file);
	return text_take(&t);
}

bool control_exists(const char *dir, const char *name)
{
	char path[PATH_MAX];

	path_of(dir, name, path);
	return access(path, F_OK) == 0;
}

void control_fake_podman(const char *dir)
{
	static char *before;
	char here[PATH_MAX], path[2 * PATH_MAX];

	if (!before)
		before = strdup(getenv("PATH"));
	if (!dir) {
		setenv("PATH", before, 1);
		return;
	}
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(path, sizeof(path), "%s/tests/fake:%s", here, before);
	assert_int_equal(access("tests/fake/podman", X_OK), 0);
	setenv("PATH", path, 1);
	setenv("FAKE_PODMAN_DIR", dir, 1);
}

char *control_argv(const struct strv *argv)
{
	struct text t = { 0 };

	for (size_t i = 0; i < argv->count; i++)
		text_addf(&t, "%s%s", i ? " | " : "", argv->items[i]);
	return text_take(&t);
}

void control_assert_argv(const struct step *step, const char *expected)
{
	char *text;

	assert_non_null(step);
	text = control_argv(&step->argv);
	assert_string_equal(text, expected);
	free(text);
}

char *control_plan_text(const struct plan *plan)
{
	struct text t = { 0 };

	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = plan->steps[i];

		text_add(&t, step->id);
		for (size_t k = 0; k < step->after.count; k++)
			text_addf(&t, "%s%s", k ? " " : " <- ", step->after.items[k]);
		text_add(&t, "\n");
	}
	return text_take(&t);
}

struct deadline control_soon(void)
{
	return deadline_in_ms(10000);
}
