/*
 * Proxies that docker's own configuration names (CN-112). A file that is not there, or is not what it
 * should be, is docker's to complain about: here it says nothing.
 */
#include "controller/cluster/proxy.h"

#include "controller/provider/docker_config.h"

#include <json-c/json.h>
#include <stdlib.h>

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *found = NULL;

	if (object && json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &found);
	return found && json_object_is_type(found, json_type_string) ? json_object_get_string(found)
								     : "";
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
	struct json_object *proxies;
	bool ok;

	if (has_proxy(lookup))
		return true;
	proxies = docker_config_proxies(lookup);
	ok = add_entry(proxies, env, warnings);
	json_object_put(proxies);
	return ok;
}
