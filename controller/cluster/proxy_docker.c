/*
 * Proxies that docker's own configuration names (CN-112). A file that is not there, or is not what it
 * should be, is docker's to complain about: here it says nothing.
 */
#include "controller/cluster/proxy.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1 << 20)

/* At most FILE_MAX bytes of JSON; NULL when there are none. Caller puts. */
static struct json_object *read_json(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup_with(text) struct text text = { 0 };
	char chunk[4096];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0 && text.len < FILE_MAX)
		text_add_bytes(&text, chunk, (size_t)n);
	return text.len && !text_failed(&text) ? json_tokener_parse(text_str(&text)) : NULL;
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *found = NULL;

	if (object && json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &found);
	return found;
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *found = member(object, key);

	return found && json_object_is_type(found, json_type_string) ? json_object_get_string(found)
								     : "";
}

static char *config_dir(const char *(*lookup)(const char *name))
{
	const char *dir = lookup("DOCKER_CONFIG"), *home = lookup("HOME");

	if (dir && *dir)
		return strdup(dir);
	return text_format("%s/.docker", home ? home : "");
}

/* docker keeps a context below the SHA-256 of its name. */
static char *context_path(const char *dir, const char *name)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	struct text t = { 0 };
	unsigned len = 0;

	if (EVP_Digest(name, strlen(name), hash, &len, EVP_sha256(), NULL) != 1)
		return NULL;
	text_addf(&t, "%s/contexts/meta/", dir);
	for (unsigned i = 0; i < len; i++)
		text_addf(&t, "%02x", hash[i]);
	text_add(&t, "/meta.json");
	return text_take(&t);
}

static char *context_host(const char *dir, const char *name)
{
	cleanup_free char *path = context_path(dir, name);
	struct json_object *meta = path ? read_json(path) : NULL;
	char *host = strdup(text_of(member(member(meta, "Endpoints"), "docker"), "Host"));

	json_object_put(meta);
	return host;
}

/* The daemon's address as docker would find it; "" for its usual one. Caller frees. */
static char *daemon_host(const char *(*lookup)(const char *name), const char *dir,
			 struct json_object *config)
{
	const char *host = lookup("DOCKER_HOST"), *context = lookup("DOCKER_CONTEXT");

	if (host && *host)
		return strdup(host);
	if (!context || !*context)
		context = text_of(config, "currentContext");
	if (!*context || strcmp(context, "default") == 0)
		return strdup("");
	return context_host(dir, context);
}

static bool add_entry(struct json_object *entry, struct kv_list *env, struct strv *warnings)
{
	static const char *const pairs[][2] = { { "HTTPS_PROXY", "httpsProxy" },
						{ "HTTP_PROXY", "httpProxy" },
						{ "NO_PROXY", "noProxy" } };

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		const char *value = text_of(entry, pairs[i][1]);

		if (*value && !kv_get(env, pairs[i][0]) &&
		    !proxy_add(pairs[i][0], value, env, warnings))
			return false;
	}
	return true;
}

static bool has_proxy(const char *(*lookup)(const char *name))
{
	static const char *const words[] = { "HTTP_PROXY", "http_proxy", "HTTPS_PROXY",
					     "https_proxy" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *value = lookup(words[i]);

		if (value && *value)
			return true;
	}
	return false;
}

bool proxy_read_docker(const char *(*lookup)(const char *name), struct kv_list *env,
		       struct strv *warnings)
{
	cleanup_free char *dir = config_dir(lookup), *path = NULL, *host = NULL;
	struct json_object *config, *proxies, *entry;
	bool ok;

	if (has_proxy(lookup))
		return true;
	path = dir ? text_format("%s/config.json", dir) : NULL;
	if (!path)
		return false;
	config = read_json(path);
	host = daemon_host(lookup, dir, config);
	proxies = member(config, "proxies");
	entry = host && *host ? member(proxies, host) : NULL;
	ok = host && add_entry(entry ? entry : member(proxies, "default"), env, warnings);
	json_object_put(config);
	return ok;
}
