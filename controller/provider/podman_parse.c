#include "controller/provider/podman_parse.h"

#include "controller/provider/facts.h"
#include "controller/provider/oci_parse.h"
#include "shared/base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One entry stands for 'range' ports in a row. */
static int parse_ports(struct node *node, struct json_object *entry, struct err *err)
{
	int64_t range = oci_json_number(entry, "range");

	return oci_add_node_ports(node, oci_json_text(entry, "host_ip"),
				  oci_json_number(entry, "host_port"),
				  oci_json_number(entry, "container_port"), range < 1 ? 1 : range,
				  oci_json_text(entry, "protocol"), err);
}

static int fill_ports(struct node *node, struct json_object *ports, struct err *err)
{
	for (size_t i = 0; i < oci_json_count(ports); i++) {
		if (parse_ports(node, json_object_array_get_idx(ports, i), err) < 0)
			return -1;
	}
	return 0;
}

static int fill(struct node *node, struct json_object *entry, struct err *err)
{
	int64_t created = oci_json_number(entry, "Created");

	node->state = oci_state(oci_json_text(entry, "State"));
	if (created > 0 && created < INT64_MAX / 1000000000)
		node->created_ns = created * 1000000000;
	if (node_set(&node->engine_id, oci_json_text(entry, "Id"), err) < 0 ||
	    node_set(&node->image, oci_json_text(entry, "Image"), err) < 0 ||
	    node_set(&node->state_text, oci_json_text(entry, "State"), err) < 0)
		return -1;
	return fill_ports(node, oci_json_member(entry, "Ports"), err);
}

static int parse_node(const char *name, struct json_object *entry, struct json_object *labels,
		      struct node_list *list, struct err *err)
{
	cleanup_with(node) struct node *node = NULL;

	if (oci_node_new("podman", name, labels, &node, err) < 0 || fill(node, entry, err) < 0)
		return -1;
	return node_list_add(list, TAKE(node), err);
}

static int parse_container(struct json_object *entry, const char *cluster, struct node_list *list,
			   struct strv *foreign, struct err *err)
{
	struct json_object *labels = oci_json_member(entry, "Labels"),
			   *names = oci_json_member(entry, "Names"), *first;
	const char *name;

	if (!json_object_is_type(names, json_type_array) || json_object_array_length(names) == 0)
		return oci_garbled("a container has no name", err);
	first = json_object_array_get_idx(names, 0);
	if (!json_object_is_type(first, json_type_string))
		return oci_garbled("a container's name is no text", err);
	name = json_object_get_string(first);

	if (!oci_is_ours(labels)) {
		strv_add(foreign, name);
		return 0;
	}
	if (cluster && strcmp(cluster, oci_json_text(labels, OCI_LABEL_CLUSTER)) != 0)
		return 0;
	return parse_node(name, entry, labels, list, err);
}

int podman_parse_nodes(const char *text, size_t len, const char *cluster, struct node_list *list,
		       struct strv *foreign, struct err *err)
{
	struct json_object *json;
	int rc = 0;

	if (oci_json_parse(text, len, json_type_array, &json, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < json_object_array_length(json); i++)
		rc = parse_container(json_object_array_get_idx(json, i), cluster, list, foreign,
				     err);
	json_object_put(json);
	return rc;
}

/* The first entry of that family; NULL when there is none. */
static struct json_object *first_subnet(struct json_object *network, bool six)
{
	struct json_object *subnets = oci_json_member(network, "subnets");
	size_t count = json_object_is_type(subnets, json_type_array)
			       ? json_object_array_length(subnets)
			       : 0;

	for (size_t i = 0; i < count; i++) {
		struct json_object *entry = json_object_array_get_idx(subnets, i);
		const char *subnet = oci_json_text(entry, "subnet");

		if (*subnet && (strchr(subnet, ':') != NULL) == six)
			return entry;
	}
	return NULL;
}

static int parse_network(struct json_object *network, struct network_list *list, struct err *err)
{
	struct json_object *labels = oci_json_member(network, "labels");
	struct json_object *four = first_subnet(network, false), *six = first_subnet(network, true);
	const char *name = oci_json_text(network, "name");
	struct network *last;
	int64_t mtu;

	if (!*name)
		return oci_garbled("a network has no name", err);
	if (network_list_add(list, name, oci_json_text(four, "subnet"),
			     oci_is_ours(labels) ? oci_json_text(labels, OCI_LABEL_CLUSTER) : "",
			     err) < 0)
		return -1;
	last = &list->items[list->count - 1];
	if (parse_int(oci_json_text(oci_json_member(network, "options"), "mtu"), 1, 65535, &mtu))
		last->mtu = (int)mtu;
	if (node_set(&last->subnet6, oci_json_text(six, "subnet"), err) < 0 ||
	    node_set(&last->gateway, oci_json_text(four, "gateway"), err) < 0 ||
	    node_set(&last->gateway6, oci_json_text(six, "gateway"), err) < 0)
		return -1;
	return 0;
}

int podman_parse_networks(const char *text, size_t len, struct network_list *list, struct err *err)
{
	struct json_object *json;
	int rc = 0;

	if (oci_json_parse(text, len, json_type_array, &json, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < json_object_array_length(json); i++)
		rc = parse_network(json_object_array_get_idx(json, i), list, err);
	json_object_put(json);
	return rc;
}

static void join(struct json_object *array, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < oci_json_count(array) && len < size; i++)
		len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? " " : "",
					json_object_get_string(
						json_object_array_get_idx(array, i)));
}

static void copy(char *ret, size_t size, struct json_object *object, const char *key)
{
	snprintf(ret, size, "%s", oci_json_text(object, key));
}

static void fill_host(struct engine_info *info, struct json_object *host)
{
	copy(info->runtime, sizeof(info->runtime), oci_json_member(host, "ociRuntime"), "name");
	copy(info->cgroup, sizeof(info->cgroup), host, "cgroupVersion");
	copy(info->os_type, sizeof(info->os_type), host, "os");
	join(oci_json_member(host, "cgroupControllers"), info->controllers,
	     sizeof(info->controllers));
	info->rootless = oci_json_bool(oci_json_member(host, "security"), "rootless");
	info->service = oci_json_bool(host, "serviceIsRemote");
	info->cpus = (int)oci_json_number(host, "cpus");
	info->memory_bytes = oci_json_number(host, "memTotal");
	info->memory_limit = host_has_word(info->controllers, "memory");
	info->cpu_limit = host_has_word(info->controllers, "cpu");
	info->swap_limit = info->memory_limit;
}

static void fill_store(struct engine_info *info, struct json_object *store)
{
	copy(info->storage, sizeof(info->storage), store, "graphRoot");
	copy(info->driver, sizeof(info->driver), store, "graphDriverName");
	copy(info->backing_fs, sizeof(info->backing_fs), oci_json_member(store, "graphStatus"),
	     "Backing Filesystem");
}

int podman_parse_info(const char *text, size_t len, struct engine_info *ret, struct err *err)
{
	struct engine_info info = { 0 };
	struct json_object *json;

	if (oci_json_parse(text, len, json_type_object, &json, err) < 0)
		return -1;
	copy(info.version, sizeof(info.version), oci_json_member(json, "version"), "Version");
	fill_host(&info, oci_json_member(json, "host"));
	fill_store(&info, oci_json_member(json, "store"));
	json_object_put(json);
	if (!info.version[0])
		return oci_garbled("it names no version", err);
	*ret = info;
	return 0;
}

/* The connection called 'name', or, without a name, the default one. */
int podman_parse_connection(const char *text, size_t len, const char *name, char *ret_url,
			    size_t size, struct err *err)
{
	struct json_object *json;

	if (oci_json_parse(text, len, json_type_array, &json, err) < 0)
		return -1;
	ret_url[0] = '\0';
	for (size_t i = 0; i < oci_json_count(json); i++) {
		struct json_object *entry = json_object_array_get_idx(json, i);

		if (*name ? strcmp(oci_json_text(entry, "Name"), name) == 0
			  : oci_json_bool(entry, "Default"))
			copy(ret_url, size, entry, "URI");
	}
	json_object_put(json);
	return 0;
}

int podman_parse_addresses(const char *text, size_t len, struct node_list *list, struct err *err)
{
	struct json_object *json;
	int rc = 0;

	if (oci_json_parse(text, len, json_type_array, &json, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < oci_json_count(json); i++) {
		struct json_object *entry = json_object_array_get_idx(json, i);
		struct node *node = node_list_find(list, oci_json_text(entry, "Name"));
		struct json_object *settings = oci_json_member(entry, "NetworkSettings");
		struct json_object *networks = oci_json_member(settings, "Networks");

		if (node && !*node->ip)
			rc = node_set(&node->ip, oci_json_text(settings, "IPAddress"), err);
		if (rc == 0 && node)
			rc = oci_fill_addresses(node, networks, err);
	}
	json_object_put(json);
	return rc;
}
