#include "shared/pod/render_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PS-232 */
#define MAX_SERVERS  3
#define MAX_SEARCHES 32

/* --- volumes -------------------------------------------------------------------------------------- */

char *render_pod_dir(const K8s__Core__V1__Pod *pod, const struct render_node *node)
{
	return text_format("%s/%s", node->pods_dir, pod_uid(pod));
}

char *render_volume_path(const K8s__Core__V1__Pod *pod, const K8s__Core__V1__Volume *v,
			 const struct render_node *node)
{
	const K8s__Core__V1__VolumeSource *source = v->volumesource;

	if (source && source->hostpath)
		return strdup(source->hostpath->path);
	if (source && source->emptydir)
		return text_format("%s/%s/volumes/kubernetes.io~empty-dir/%s", node->pods_dir,
				   pod_uid(pod), v->name);
	return NULL;
}

void render_directories(const K8s__Core__V1__Pod *pod, const struct render_node *node,
			struct strv *empty_dirs, struct strv *host_dirs)
{
	for (size_t i = 0; i < pod->spec->n_volumes; i++) {
		const K8s__Core__V1__Volume *v = pod->spec->volumes[i];
		const K8s__Core__V1__VolumeSource *source = v->volumesource;
		cleanup_free char *path = render_volume_path(pod, v, node);

		if (source && source->emptydir)
			strv_addf(empty_dirs, "%s", path ? path : "");
		else if (source && source->hostpath && source->hostpath->type &&
			 strcmp(source->hostpath->type, "DirectoryOrCreate") == 0)
			strv_add(host_dirs, source->hostpath->path);
	}
}

/* --- DNS ------------------------------------------------------------------------------------------ */

/* The words behind 'keyword' on every line of a resolv.conf(5) that begins with it. */
static void read_resolv_conf(const char *text, const char *keyword, struct strv *ret)
{
	size_t len = strlen(keyword);

	for (const char *line = text; *line;) {
		size_t line_len = strcspn(line, "\n");
		const char *end = line + line_len, *p = line + len;

		if (line_len > len && strncmp(line, keyword, len) == 0 && strchr(" \t", *p)) {
			while (p < end) {
				size_t blank = strspn(p, " \t\r");
				size_t word = strcspn(p + blank, " \t\r\n");

				if (word)
					strv_addf(ret, "%.*s", (int)word, p + blank);
				p += blank + word;
				if (!blank && !word)
					break;
			}
		}
		line = *end ? end + 1 : end;
	}
}

static void add_unique(struct strv *list, const char *word, size_t max)
{
	if (word && !strv_has(list, word) && list->count < max)
		strv_add(list, word);
}

static void add_option(struct strv *list, const K8s__Core__V1__PodDNSConfigOption *option)
{
	if (option->value && *option->value)
		strv_addf(list, "%s:%s", option->name ? option->name : "", option->value);
	else
		strv_add(list, option->name ? option->name : "");
}

int render_dns(const K8s__Core__V1__PodSpec *spec, const struct render_node *node,
	       struct sandbox_request *r, struct err *err)
{
	const K8s__Core__V1__PodDNSConfig *config = spec->dnsconfig;
	bool none = spec->dnspolicy && strcmp(spec->dnspolicy, "None") == 0;
	const char *nodes = node->resolv_conf ? node->resolv_conf : "";

	/* There is no cluster DNS, so every policy but None is the node's own: empty lists say that. */
	if (!config)
		return 0;
	if (!none) {
		read_resolv_conf(nodes, "nameserver", &r->dns_servers);
		read_resolv_conf(nodes, "search", &r->dns_searches);
		read_resolv_conf(nodes, "options", &r->dns_options);
	}
	for (size_t i = 0; i < config->n_nameservers; i++)
		add_unique(&r->dns_servers, config->nameservers[i], MAX_SERVERS);
	for (size_t i = 0; i < config->n_searches; i++)
		add_unique(&r->dns_searches, config->searches[i], MAX_SEARCHES);
	for (size_t i = 0; i < config->n_options; i++)
		add_option(&r->dns_options, config->options[i]);
	if (strv_failed(&r->dns_servers) || strv_failed(&r->dns_searches) ||
	    strv_failed(&r->dns_options))
		return err_oom(err);
	return 0;
}
