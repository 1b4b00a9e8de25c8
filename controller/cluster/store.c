#include "controller/cluster/store.h"

#include "shared/base/file.h"
#include "shared/base/parse.h"
#include "shared/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MAX ((size_t)64 * 1024)

char *store_default_dir(const char *option)
{
	const char *env = getenv("BERTH_STATE_DIR"), *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (option && *option)
		return strdup(option);
	if (env && *env)
		return strdup(env);
	if (geteuid() == 0)
		return strdup("/var/lib/berth");
	if (xdg && *xdg == '/')
		return text_format("%s/berth", xdg);
	return text_format("%s/.local/state/berth", home && *home ? home : "");
}

char *store_engine_dir(const char *dir, const char *address)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	struct text t = { 0 };

	if (!*address)
		return strdup(dir);
	text_addf(&t, "%s/engines/", dir);
	for (const char *s = address; *s; s++) {
		if (strchr(plain, *s))
			text_addf(&t, "%c", *s);
		else
			text_addf(&t, "%%%02x", (unsigned char)*s);
	}
	return text_take(&t);
}

char *store_run_dir(const char *state_dir, const char *node)
{
	return text_format("%s/nodes/%s", state_dir, node);
}

static char *record_path(const char *state_dir, const char *node)
{
	return text_format("%s/nodes/%s.json", state_dir, node);
}

int store_run_dir_create(const char *run_dir, struct err *err)
{
	struct stat st;

	if (file_make_directories(run_dir, err) < 0)
		return -1;
	if (lstat(run_dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "'%s' is not a directory", run_dir);
	if ((st.st_mode & 0777) != 0700 && chmod(run_dir, 0700) < 0)
		return err_set(err, ERR_PERMISSION_DENIED, errno, "cannot close '%s' to others",
			       run_dir);
	return 0;
}

int store_node_create(const char *state_dir, const char *node, struct err *err)
{
	cleanup_free char *run_dir = store_run_dir(state_dir, node);

	if (!run_dir)
		return err_oom(err);
	return store_run_dir_create(run_dir, err);
}

int store_node_save(const char *state_dir, const struct node *node, struct err *err)
{
	cleanup_free char *path = record_path(state_dir, node->name);
	cleanup_free char *nodes = text_format("%s/nodes", state_dir);
	struct json_object *json;
	const char *text;
	int rc;

	if (!path || !nodes)
		return err_oom(err);
	if (file_make_directories(nodes, err) < 0)
		return -1;
	json = json_object_new_object();
	if (!json)
		return err_oom(err);
	json_object_object_add(json, "name", json_object_new_string(node->name));
	json_object_object_add(json, "cluster", json_object_new_string(node->cluster));
	json_object_object_add(json, "role", json_object_new_string(node_role_name(node->role)));
	json_object_object_add(json, "provider", json_object_new_string(node->provider));
	json_object_object_add(json, "runDir", json_object_new_string(node->run_dir));
	text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
	rc = file_replace_cache(path, text, strlen(text), err);
	json_object_put(json);
	return rc;
}

static const char *text_of(struct json_object *json, const char *key)
{
	struct json_object *member;

	if (!json_object_object_get_ex(json, key, &member) ||
	    !json_object_is_type(member, json_type_string))
		return "";
	return json_object_get_string(member);
}

/* NULL when it cannot be read or is no JSON object. */
static struct json_object *read_record(const char *path)
{
	cleanup_free char *text = malloc(RECORD_MAX);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct json_object *json;
	ssize_t len;

	if (!text || fd < 0)
		return NULL;
	len = read(fd, text, RECORD_MAX - 1);
	if (len <= 0)
		return NULL;
	text[len] = '\0';
	json = json_tokener_parse(text);
	if (json_object_is_type(json, json_type_object))
		return json;
	json_object_put(json);
	return NULL;
}

/* "" is for a node that has none here. */
static bool names_run_dir(struct json_object *json)
{
	const char *path = text_of(json, "runDir");

	return *path ? *path == '/' : json_object_object_get_ex(json, "runDir", NULL);
}

int store_node_load(const char *state_dir, const char *name, struct node **ret_node,
		    struct err *err)
{
	cleanup_free char *path = record_path(state_dir, name);
	struct json_object *json;
	enum node_role role;
	struct node *node = NULL;

	if (!path)
		return err_oom(err);
	json = name_is_valid(name, 63) ? read_record(path) : NULL;
	if (json && strcmp(text_of(json, "name"), name) == 0 && *text_of(json, "cluster") &&
	    names_run_dir(json) && node_role_parse(text_of(json, "role"), &role)) {
		node = node_new(name, text_of(json, "cluster"), role, text_of(json, "provider"),
				text_of(json, "runDir"));
		json_object_put(json);
		if (!node)
			return err_oom(err);
		*ret_node = node;
		return 0;
	}
	json_object_put(json);
	return err_set(err, ERR_NOT_FOUND, 0, "node '%s' is not remembered", name);
}

int store_node_delete(const char *state_dir, const char *node, struct err *err)
{
	cleanup_free char *path = record_path(state_dir, node);
	cleanup_free char *run_dir = store_run_dir(state_dir, node);

	if (!path || !run_dir)
		return err_oom(err);
	if (!name_is_valid(node, 63))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is not the name of a node",
			       node);
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "cannot remove '%s'", path);
	return file_remove_tree(run_dir, err);
}

static bool is_of_cluster(const char *state_dir, const char *name, const char *cluster,
			  const char *provider)
{
	cleanup_with(node) struct node *node = NULL;
	struct err ignored;

	return store_node_load(state_dir, name, &node, &ignored) == 0 &&
	       strcmp(node->cluster, cluster) == 0 && strcmp(node->provider, provider) == 0;
}

/* Names first: what is read of a directory while it changes is anybody's guess. */
static void list_remembered(const char *nodes, struct strv *names)
{
	DIR *dir = opendir(nodes);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0)
			strv_addf(names, "%.*s", (int)len - 5, entry->d_name);
	}
	if (dir)
		closedir(dir);
}

int store_cluster_delete(const char *state_dir, const char *cluster, const char *provider,
			 struct err *err)
{
	cleanup_free char *nodes = text_format("%s/nodes", state_dir);
	cleanup_with(strv) struct strv names = { 0 };

	if (!nodes)
		return err_oom(err);
	list_remembered(nodes, &names);
	for (size_t i = 0; i < names.count; i++) {
		if (is_of_cluster(state_dir, names.items[i], cluster, provider) &&
		    store_node_delete(state_dir, names.items[i], err) < 0)
			return -1;
	}
	return strv_failed(&names) ? err_oom(err) : 0;
}
