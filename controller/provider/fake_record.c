#include "controller/provider/fake_record.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fake_dir(void)
{
	const char *dir = getenv("BERTH_FAKE_DIR");

	return dir && *dir ? dir : NULL;
}

static void record_path(const char *name, const char *kind, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s.%s", fake_dir(), name, kind);
}

bool fake_record_read(const char *name, const char *kind, struct kv_list *ret)
{
	char path[PATH_MAX], line[1024];
	FILE *file;

	record_path(name, kind, path);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		char *equals = strchr(line, '=');

		line[strcspn(line, "\n")] = '\0';
		if (!equals)
			continue;
		*equals = '\0';
		kv_add(ret, line, equals + 1);
	}
	fclose(file);
	return true;
}

const char *fake_record_value(const struct kv_list *record, const char *key)
{
	const char *value = kv_get(record, key);

	return value ? value : "";
}

int fake_record_write(const char *name, const char *kind, const char *mode, const struct strv *argv,
		      const char *state, struct err *err)
{
	char path[PATH_MAX];
	FILE *file;

	record_path(name, kind, path);
	file = fopen(path, mode);
	if (!file && errno == EEXIST) {
		bool network = strcmp(kind, "network") == 0;

		err_set(err, ERR_ALREADY_EXISTS, 0, "a %s of this name exists", kind);
		return err_explain(err, network ? "NETWORK_EXISTS" : "NAME_IN_USE", NULL);
	}
	if (!file)
		return err_set(err, ERR_UNAVAILABLE, errno, "cannot write '%s'", path);
	for (size_t i = 0; i < argv->count; i++) {
		if (strncmp(argv->items[i], "--", 2) == 0 && strchr(argv->items[i], '='))
			fprintf(file, "%s\n", argv->items[i] + 2);
	}
	fprintf(file, "state=%s\n", state);
	fclose(file);
	return 0;
}

int fake_record_set_state(const char *name, const char *state, struct err *err)
{
	struct kv_list record = { 0 };
	cleanup_with(strv) struct strv words = { 0 };
	int rc;

	if (!fake_record_read(name, "node", &record)) {
		err_set(err, ERR_NOT_FOUND, 0, "there is no such container");
		return err_explain(err, "NODE_NOT_FOUND", NULL);
	}
	for (size_t i = 0; i < record.count; i++) {
		if (strcmp(record.items[i].key, "state") != 0)
			strv_addf(&words, "--%s=%s", record.items[i].key, record.items[i].value);
	}
	kv_release(&record);
	rc = fake_record_write(name, "node", "we", &words, state, err);
	return rc;
}

int fake_record_remove(const char *name, const char *kind, struct err *err)
{
	char path[PATH_MAX];

	record_path(name, kind, path);
	if (remove(path) < 0 && errno != ENOENT)
		return err_set(err, ERR_UNAVAILABLE, errno, "cannot remove '%s'", path);
	return 0;
}

int fake_record_each(const char *kind, int (*fn)(const char *name, void *arg, struct err *err),
		     void *arg, struct err *err)
{
	DIR *dir = opendir(fake_dir());
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return err_set(err, ERR_UNAVAILABLE, errno, "cannot read '%s'", fake_dir());
	while (rc == 0 && (entry = readdir(dir))) {
		char *dot = strrchr(entry->d_name, '.');

		if (!dot || dot == entry->d_name || strcmp(dot + 1, kind) != 0)
			continue;
		*dot = '\0';
		rc = fn(entry->d_name, arg, err);
	}
	closedir(dir);
	return rc;
}
