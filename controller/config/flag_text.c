#include "controller/config/flag_text.h"

#include "shared/base/parse.h"
#include "shared/pod/quantity.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int bad(const char *text, const char *what, const char *advice, struct err *err)
{
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is no %s", text, what);
	return err_explain(err, "BAD_VALUE", advice);
}

/* --- ports ------------------------------------------------------------------------------------- */

static int bad_port(const char *text, struct err *err)
{
	return bad(text, "published port",
		   "write [ADDRESS:][HOSTPORT:]PORT[/PROTOCOL], such as 8080:80 or "
		   "[::1]:5353:53/udp",
		   err);
}

static bool parse_protocol(const char *text, enum port_protocol *ret)
{
	static const char *const words[] = { "tcp", "udp", "sctp" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(words[i], text) != 0)
			continue;
		*ret = (enum port_protocol)i;
		return true;
	}
	return false;
}

/* Cuts "[::1]:" or "127.0.0.1:" off the front. */
static bool cut_address(char **at, const char **ret_address)
{
	char *end;

	if (**at == '[') {
		end = strstr(*at, "]:");
		if (!end)
			return false;
		*ret_address = *at + 1;
		*end = '\0';
		*at = end + 2;
		return true;
	}
	end = strchr(*at, ':');
	if (!end || !strchr(end + 1, ':'))
		return true;
	*ret_address = *at;
	*end = '\0';
	*at = end + 1;
	return true;
}

/* "8080:80", ":80", "80" */
static bool parse_numbers(char *text, int *ret_host, int *ret_container)
{
	char *colon = strchr(text, ':');
	int64_t host = 0, container;

	if (colon)
		*colon = '\0';
	if (colon && *text && !parse_int(text, -1, 65535, &host))
		return false;
	if (!parse_int(colon ? colon + 1 : text, 1, 65535, &container))
		return false;
	*ret_host = (int)host;
	*ret_container = (int)container;
	return true;
}

int flag_port_parse(const char *text, struct node_config *node, struct err *err)
{
	cleanup_free char *copy = strdup(text);
	struct port_mapping parsed = { 0 }, *port;
	const char *address = "";
	char *slash, *at = copy;

	if (!copy)
		return err_oom(err);
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if ((slash && !parse_protocol(slash + 1, &parsed.protocol)) ||
	    !cut_address(&at, &address) ||
	    !parse_numbers(at, &parsed.host_port, &parsed.container_port))
		return bad_port(text, err);
	port = node_config_add_port(node);
	if (!port)
		return err_oom(err);
	port->container_port = parsed.container_port;
	port->host_port = parsed.host_port;
	port->protocol = parsed.protocol;
	return node_set(&port->listen_address, address, err);
}

/* --- mounts ------------------------------------------------------------------------------------ */

static int bad_mount(const char *text, struct err *err)
{
	return bad(text, "mount",
		   "write HOSTPATH:PATH[:ro,z,rslave,rshared,create], or "
		   "type=bind,source=HOSTPATH,target=PATH[,readonly]",
		   err);
}

static bool set_propagation(const char *word, struct mount_config *mount)
{
	static const char *const words[] = { "private", "rslave", "rshared" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		/* "shared" and "slave" are the same of the mount itself, which docker takes too. */
		if (strcmp(words[i], word) != 0 &&
		    (words[i][0] != 'r' || strcmp(words[i] + 1, word) != 0) &&
		    (i != 0 || strcmp(word, "rprivate") != 0))
			continue;
		mount->propagation = (enum mount_propagation)i;
		return true;
	}
	return false;
}

static bool set_mount_word(const char *word, struct mount_config *mount)
{
	if (strcmp(word, "ro") == 0 || strcmp(word, "readonly") == 0 ||
	    strcmp(word, "readonly=true") == 0)
		mount->readonly = true;
	else if (strcmp(word, "z") == 0 || strcmp(word, "Z") == 0)
		mount->selinux_relabel = true;
	else if (strcmp(word, "create") == 0)
		mount->create = true;
	else if (strcmp(word, "rw") != 0)
		return set_propagation(word, mount);
	return true;
}

/* docker's long form: one "key=value" or word. */
static bool set_mount_pair(char *word, struct mount_config *mount, struct err *err)
{
	static const char *const sources[] = { "source", "src" };
	static const char *const targets[] = { "target", "destination", "dst" };
	char *value = strchr(word, '=');

	if (!value || strncmp(word, "readonly", 8) == 0)
		return set_mount_word(word, mount);
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		if (strcmp(word, sources[i]) == 0)
			return node_set(&mount->host_path, value, err) == 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		if (strcmp(word, targets[i]) == 0)
			return node_set(&mount->container_path, value, err) == 0;
	}
	if (strcmp(word, "bind-propagation") == 0)
		return set_propagation(value, mount);
	return strcmp(word, "type") == 0 && strcmp(value, "bind") == 0;
}

/* Calls one of the above for each part between commas. */
static bool each_word(char *words, bool pairs, struct mount_config *mount, struct err *err)
{
	for (char *word = words, *comma; word; word = comma) {
		comma = strchr(word, ',');
		if (comma)
			*comma++ = '\0';
		if (pairs ? !set_mount_pair(word, mount, err) : !set_mount_word(word, mount))
			return false;
	}
	return true;
}

static bool parse_short_mount(char *text, struct mount_config *mount, struct err *err)
{
	char *path = strchr(text, ':'), *options;

	if (!path)
		return false;
	*path++ = '\0';
	options = strchr(path, ':');
	if (options)
		*options++ = '\0';
	if (options && !each_word(options, false, mount, err))
		return false;
	return node_set(&mount->host_path, text, err) == 0 &&
	       node_set(&mount->container_path, path, err) == 0;
}

int flag_mount_parse(const char *text, struct node_config *node, struct err *err)
{
	cleanup_free char *copy = strdup(text);
	struct mount_config *mount = node_config_add_mount(node);
	bool pairs = strstr(text, "type=") == text || strstr(text, "target=") ||
		     strstr(text, "dst=") || strstr(text, "destination=");
	bool ok;

	if (!copy || !mount)
		return err_oom(err);
	ok = pairs ? each_word(copy, true, mount, err) : parse_short_mount(copy, mount, err);
	if (!ok || !*mount->host_path || !*mount->container_path)
		return bad_mount(text, err);
	return 0;
}

/* --- archives ---------------------------------------------------------------------------------- */

static size_t count_preloads(const struct node_config *node)
{
	size_t count = 0;

	for (size_t i = 0; i < node->mount_count; i++)
		count += strncmp(node->mounts[i].container_path, PRELOAD_DIR "/",
				 strlen(PRELOAD_DIR "/")) == 0;
	return count;
}

/* The node names it so when something is wrong with it; what engines read otherwise is left out. */
static char *preload_path(const char *file, size_t number)
{
	const char *slash = strrchr(file, '/');
	char *path = text_format(PRELOAD_DIR "/%02zu-%s", number, slash ? slash + 1 : file);

	for (char *s = path ? path + strlen(PRELOAD_DIR "/") : NULL; s && *s; s++) {
		if (!isalnum((unsigned char)*s) && !strchr("._+-", *s))
			*s = '_';
	}
	return path;
}

int flag_preload_parse(const char *text, struct node_config *node, struct err *err)
{
	cleanup_free char *path = preload_path(text, count_preloads(node) + 1);
	struct mount_config *mount = node_config_add_mount(node);

	if (!path || !mount)
		return err_oom(err);
	mount->readonly = true;
	return node_set(&mount->host_path, text, err) < 0
		       ? -1
		       : node_set(&mount->container_path, path, err);
}

/* --- pairs, sizes ------------------------------------------------------------------------------ */

static int replace(struct kv *pair, const char *value, struct err *err)
{
	return node_set(&pair->value, value, err);
}

int flag_pair_parse(const char *text, struct kv_list *list, struct err *err)
{
	const char *equals = strchr(text, '=');
	cleanup_free char *key = NULL;

	if (!equals || equals == text)
		return bad(text, "pair", "write KEY=VALUE", err);
	key = strndup(text, (size_t)(equals - text));
	if (!key)
		return err_oom(err);
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].key, key) == 0)
			return replace(&list->items[i], equals + 1, err);
	}
	return kv_add(list, key, equals + 1) ? 0 : err_oom(err);
}

/* "b", "k", "kb", "Ki", "KiB", in any case: the power of 1024; -1 for anything else. */
static int unit_power(const char *unit)
{
	static const char powers[] = "bkmgt";
	const char *found = *unit ? strchr(powers, tolower((unsigned char)*unit)) : NULL;

	if (!found)
		return -1;
	unit++;
	if (found != powers) {
		unit += *unit == 'i';
		unit += *unit == 'b' || *unit == 'B';
	}
	return *unit ? -1 : (int)(found - powers);
}

int flag_size_parse(const char *text, int64_t *ret_bytes, struct err *err)
{
	static const char advice[] = "write a number with its unit, such as 2g, 1800m or 4Gi; 0 is "
				     "no limit";
	size_t digits = strspn(text, "0123456789.");
	cleanup_free char *number = NULL;
	struct quantity q;
	int64_t milli;
	int power;

	if (strcmp(text, "0") == 0 || strcmp(text, "no-limit") == 0) {
		*ret_bytes = 0;
		return 0;
	}
	number = strndup(text, digits);
	if (!number)
		return err_oom(err);
	power = unit_power(text + digits);
	if (power < 0 || !quantity_parse(number, &q))
		return bad(text, "size", advice, err);
	milli = quantity_milli(&q);
	if (milli < 0 || milli > INT64_MAX >> (10 * power))
		return bad(text, "size", advice, err);
	*ret_bytes = (milli << (10 * power)) / 1000;
	return 0;
}

int flag_cpus_parse(const char *text, int64_t *ret_milli, struct err *err)
{
	struct quantity q;

	if (strcmp(text, "no-limit") == 0) {
		*ret_milli = 0;
		return 0;
	}
	if (strspn(text, "0123456789.") != strlen(text) || !quantity_parse(text, &q) ||
	    quantity_milli(&q) > 1000000)
		return bad(text, "number of CPUs", "write a number such as 2 or 1.5; 0 is no limit",
			   err);
	*ret_milli = quantity_milli(&q);
	return 0;
}
