#include "shared/copy/path.h"

#include "shared/base/utf8.h"

#include <stdio.h>
#include <string.h>

static int refuse(const char *name, const char *why, struct err *err)
{
	char shown[200];

	utf8_copy(shown, sizeof(shown), name);
	err_set(err, ERR_INVALID_ARGUMENT, 0, "the archive's name '%s' %s", shown, why);
	return err_explain(err, "UNSAFE_ARCHIVE",
			   "nothing was written outside; what came before it is there");
}

static bool is_dots(const char *s, size_t len, size_t dots)
{
	return len == dots && strncmp(s, "..", dots) == 0;
}

/* Appends one component; false when it does not fit. */
static bool add(char ret[COPY_PATH_BYTES], size_t *used, const char *s, size_t len)
{
	size_t slash = *used ? 1 : 0;

	if (len >= COPY_NAME_BYTES || *used + slash + len >= COPY_PATH_BYTES)
		return false;
	if (slash)
		ret[(*used)++] = '/';
	memcpy(ret + *used, s, len);
	*used += len;
	ret[*used] = '\0';
	return true;
}

int copy_path_clean(const char *name, const char *top, char ret[COPY_PATH_BYTES], struct err *err)
{
	char path[COPY_PATH_BYTES] = "";
	bool first = true;
	size_t used = 0;

	if (*name == '/')
		return refuse(name, "is absolute", err);
	for (const char *s = name; *s;) {
		size_t len = strcspn(s, "/");
		bool replaced = first && *top;

		if (is_dots(s, len, 2))
			return refuse(name, "leads out of the directory", err);
		if (len && !is_dots(s, len, 1)) {
			first = false;
			if (replaced && strcmp(top, ".") != 0 &&
			    !add(path, &used, top, strlen(top)))
				return refuse(name, "is too long", err);
			if (!replaced && !add(path, &used, s, len))
				return refuse(name, "is too long", err);
		}
		s += len + (s[len] == '/');
	}
	memcpy(ret, path, used + 1);
	return 0;
}

/* Length without the slashes at the end. */
static size_t trimmed(const char *path)
{
	size_t len = strlen(path);

	while (len && path[len - 1] == '/')
		len--;
	return len;
}

static size_t base_start(const char *path, size_t len)
{
	while (len && path[len - 1] != '/')
		len--;
	return len;
}

bool copy_base_name(const char *path, char ret[COPY_NAME_BYTES])
{
	size_t end = trimmed(path);
	size_t start = base_start(path, end);

	if (end - start >= COPY_NAME_BYTES)
		return false;
	snprintf(ret, COPY_NAME_BYTES, "%.*s", (int)(end - start), path + start);
	if (!*ret)
		snprintf(ret, COPY_NAME_BYTES, ".");
	return true;
}

static int too_long(const char *path, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, 0, "the path '%.100s...' is too long", path);
}

/* 'target' is the new name, below what stands before it. */
static int new_name(const char *target, struct copy_target *ret, struct err *err)
{
	size_t start = base_start(target, strlen(target));
	char base[COPY_NAME_BYTES];

	if (!copy_base_name(target, base) || start >= sizeof(ret->directory))
		return too_long(target, err);
	if (!target[start] || strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
		err_set(err, ERR_NOT_FOUND, 0, "there is no directory '%s'", target);
		return err_explain(err, NULL, "without the slash at the end it is the new name");
	}
	snprintf(ret->name, sizeof(ret->name), "%s", base);
	if (start)
		snprintf(ret->directory, sizeof(ret->directory), "%.*s", (int)start, target);
	else
		snprintf(ret->directory, sizeof(ret->directory), ".");
	return 0;
}

int copy_target_find(const char *source, const char *target, bool target_is_directory,
		     struct copy_target *ret, struct err *err)
{
	struct copy_target found;

	if (!copy_base_name(source, found.name))
		return too_long(source, err);
	if (strcmp(found.name, "..") == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, 0,
			       "'%s' has no name to copy: say it by its own name, or '%s/.'",
			       source, source);
	if (!target_is_directory) {
		if (new_name(target, &found, err) < 0)
			return -1;
	} else if ((size_t)snprintf(found.directory, sizeof(found.directory), "%s", target) >=
		   sizeof(found.directory)) {
		return too_long(target, err);
	}
	*ret = found;
	return 0;
}
