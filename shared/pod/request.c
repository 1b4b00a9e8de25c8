#include "shared/pod/request.h"

#include <stdlib.h>
#include <string.h>

bool kv_add(struct kv_list *list, const char *key, const char *value)
{
	cleanup_free char *k = strdup(key);
	cleanup_free char *v = strdup(value);
	struct kv *items;

	if (!k || !v)
		return false;
	/* Grows at powers of two, so that the capacity need not be kept. */
	if ((list->count & (list->count - 1)) == 0) {
		size_t cap = list->count ? list->count * 2 : 1;

		items = realloc(list->items, cap * sizeof(*items));
		if (!items)
			return false;
		list->items = items;
	}
	list->items[list->count++] = (struct kv){ .key = TAKE(k), .value = TAKE(v) };
	return true;
}

const char *kv_get(const struct kv_list *list, const char *key)
{
	for (size_t i = 0; list && i < list->count; i++) {
		if (strcmp(list->items[i].key, key) == 0)
			return list->items[i].value;
	}
	return NULL;
}

void kv_release(struct kv_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].key);
		free(list->items[i].value);
	}
	free(list->items);
	*list = (struct kv_list){ 0 };
}

void sandbox_request_release(struct sandbox_request *r)
{
	free(r->name);
	free(r->namespace);
	free(r->uid);
	free(r->hostname);
	free(r->log_directory);
	free(r->cgroup_parent);
	kv_release(&r->labels);
	kv_release(&r->annotations);
	for (size_t i = 0; i < r->port_count; i++)
		free(r->ports[i].host_ip);
	free(r->ports);
	strv_release(&r->dns_servers);
	strv_release(&r->dns_searches);
	strv_release(&r->dns_options);
	kv_release(&r->sysctls);
	*r = (struct sandbox_request){ 0 };
}

void container_request_release(struct container_request *r)
{
	free(r->name);
	free(r->image);
	free(r->image_ref);
	strv_release(&r->command);
	strv_release(&r->args);
	free(r->working_dir);
	kv_release(&r->envs);
	for (size_t i = 0; i < r->mount_count; i++) {
		free(r->mounts[i].host_path);
		free(r->mounts[i].container_path);
	}
	free(r->mounts);
	kv_release(&r->labels);
	kv_release(&r->annotations);
	free(r->log_path);
	strv_release(&r->capabilities_add);
	strv_release(&r->capabilities_drop);
	*r = (struct container_request){ 0 };
}
