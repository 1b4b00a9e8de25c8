#include "controller/cli/input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_BYTES (1024 * 1024)

static int unreadable(const char *path, int sys, struct err *err)
{
	err_set(err, ERR_INVALID_ARGUMENT, sys, "cannot read '%s'", path);
	return err_explain(err, "FILE_UNREADABLE", NULL);
}

static int read_all(int fd, const char *path, struct text *text, struct err *err)
{
	char buffer[16384];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return unreadable(path, errno, err);
		if (text->len + (size_t)n > MAX_BYTES) {
			err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is larger than 1 MiB", path);
			return err_explain(err, "FILE_TOO_LARGE", NULL);
		}
		text_add_bytes(text, buffer, (size_t)n);
	}
	return text_failed(text) ? err_oom(err) : 0;
}

int input_read(const char *path, struct text *ret_text, struct err *err)
{
	cleanup_with(text) struct text text = { 0 };
	cleanup_fd int opened = -1;
	int fd = STDIN_FILENO;

	if (strcmp(path, "-") != 0) {
		fd = opened = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return unreadable(path, errno, err);
	}
	if (read_all(fd, path, &text, err) < 0)
		return -1;
	*ret_text = text;
	text = (struct text){ 0 };
	return 0;
}

static int is_manifest(const struct dirent *entry)
{
	static const char *const endings[] = { ".yaml", ".yml", ".json" };
	size_t len = strlen(entry->d_name);

	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		size_t n = strlen(endings[i]);

		if (len > n && entry->d_name[0] != '.' &&
		    strcmp(entry->d_name + len - n, endings[i]) == 0)
			return 1;
	}
	return 0;
}

static int add_directory(const char *path, struct strv *files, struct err *err)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_manifest, alphasort);

	if (count < 0)
		return unreadable(path, errno, err);
	for (int i = 0; i < count; i++) {
		strv_addf(files, "%s/%s", path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (count == 0) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "no *.yaml, *.yml or *.json in '%s'", path);
		return err_explain(err, "FILE_UNREADABLE", NULL);
	}
	return 0;
}

int input_expand(const char *path, struct strv *files, struct err *err)
{
	struct stat st;

	if (strcmp(path, "-") != 0) {
		if (stat(path, &st) < 0)
			return unreadable(path, errno, err);
		if (S_ISDIR(st.st_mode))
			return add_directory(path, files, err);
	}
	strv_add(files, path);
	return strv_failed(files) ? err_oom(err) : 0;
}
