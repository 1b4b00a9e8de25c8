#include "controller/cluster/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CN-084; by family. */
static const struct {
	const char *service;
	const char *pod;
} defaults[] = {
	[IP_FAMILY_V4] = { "10.96.0.0/16", "10.244.0.0/16" },
	[IP_FAMILY_V6] = { "fd00:10:96::/112", "fd00:10:244::/56" },
	[IP_FAMILY_DUAL] = { "10.96.0.0/16,fd00:10:96::/112", "10.244.0.0/16,fd00:10:244::/56" },
};

static const struct {
	const char *upper;
	const char *lower;
} names[] = {
	{ "HTTPS_PROXY", "https_proxy" },
	{ "HTTP_PROXY", "http_proxy" },
	{ "NO_PROXY", "no_proxy" },
};

/* The host part of "http://user:pass@host:port/". */
static bool is_loopback(const char *proxy)
{
	const char *host = strstr(proxy, "://"), *at;

	host = host ? host + 3 : proxy;
	at = strrchr(host, '@');
	host = at ? at + 1 : host;
	return strncmp(host, "localhost", 9) == 0 || strncmp(host, "127.", 4) == 0 ||
	       strncmp(host, "[::1]", 5) == 0;
}

bool proxy_add(const char *name, const char *value, struct kv_list *ret_env, struct strv *warnings)
{
	if (strcmp(name, "NO_PROXY") == 0 || !is_loopback(value))
		return kv_add(ret_env, name, value);
	strv_addf(warnings,
		  "the proxy of %s is this host's own loopback, where no node reaches it: "
		  "it is left out",
		  name);
	return true;
}

bool proxy_read(const char *(*lookup)(const char *name), struct kv_list *ret_env,
		struct strv *warnings)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = lookup(names[i].upper);

		if (!value || !*value)
			value = lookup(names[i].lower);
		if (value && *value && !proxy_add(names[i].upper, value, ret_env, warnings))
			return false;
	}
	return true;
}

/* An empty one, or one that was not given, is the default (CN-084). */
static const char *or_default(const char *value, const char *fallback)
{
	return value && *value ? value : fallback;
}

static void add_part(struct text *t, const char *part)
{
	if (part && *part)
		text_addf(t, "%s%s", t->len ? "," : "", part);
}

static char *no_proxy(const char *given, const char *subnet, const char *subnet6,
		      const struct cluster_config *config)
{
	struct text t = { 0 };

	add_part(&t, subnet);
	add_part(&t, subnet6);
	add_part(&t, given);
	add_part(&t, or_default(config->service_subnet, defaults[config->ip_family].service));
	add_part(&t, or_default(config->pod_subnet, defaults[config->ip_family].pod));
	for (size_t i = 0; i < config->node_count; i++)
		text_addf(&t, ",%s", config->nodes[i].name);
	text_add(&t, ",.svc,.svc.cluster,.svc.cluster.local");
	return text_take(&t);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct kv *)a)->key, ((const struct kv *)b)->key);
}

bool proxy_for_nodes(const struct kv_list *env, const char *subnet, const char *subnet6,
		     const struct cluster_config *config, struct kv_list *ret_env)
{
	cleanup_free char *none = NULL;

	if (!kv_get(env, "HTTP_PROXY") && !kv_get(env, "HTTPS_PROXY"))
		return true;
	none = no_proxy(kv_get(env, "NO_PROXY"), subnet, subnet6, config);
	if (!none)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = i + 1 == ARRAY_LEN(names) ? none : kv_get(env, names[i].upper);

		if (value && (!kv_add(ret_env, names[i].upper, value) ||
			      !kv_add(ret_env, names[i].lower, value)))
			return false;
	}
	qsort(ret_env->items, ret_env->count, sizeof(*ret_env->items), by_key);
	return true;
}
