#include "controller/provider/docker_config.h"

#include "controller/provider/oci_parse.h"
#include "shared/base/text.h"

#include <fcntl.h>
#include <openssl/evp.h>
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
	struct json_object *endpoint =
		oci_json_member(oci_json_member(meta, "Endpoints"), "docker");
	char *host = strdup(oci_json_text(endpoint, "Host"));

	json_object_put(meta);
	return host;
}

/* Caller puts; NULL when there is none. */
static struct json_object *read_config(const char *dir)
{
	cleanup_free char *path = text_format("%s/config.json", dir);

	return path ? read_json(path) : NULL;
}

static char *find_host(const char *(*lookup)(const char *name), const char *dir,
		       struct json_object *config)
{
	const char *host = lookup("DOCKER_HOST"), *context = lookup("DOCKER_CONTEXT");

	if (host && *host)
		return strdup(host);
	if (!context || !*context)
		context = oci_json_text(config, "currentContext");
	if (!*context || strcmp(context, "default") == 0)
		return strdup("");
	return context_host(dir, context);
}

char *docker_config_host(const char *(*lookup)(const char *name))
{
	cleanup_free char *dir = config_dir(lookup);
	struct json_object *config = dir ? read_config(dir) : NULL;
	char *host = dir ? find_host(lookup, dir, config) : NULL;

	json_object_put(config);
	return host;
}

struct json_object *docker_config_proxies(const char *(*lookup)(const char *name))
{
	cleanup_free char *dir = config_dir(lookup), *host = NULL;
	struct json_object *config = dir ? read_config(dir) : NULL;
	struct json_object *all = oci_json_member(config, "proxies"), *entry = NULL;

	host = dir ? find_host(lookup, dir, config) : NULL;
	if (host && *host)
		entry = oci_json_member(all, host);
	if (!entry)
		entry = oci_json_member(all, "default");
	json_object_get(entry);
	json_object_put(config);
	return entry;
}
