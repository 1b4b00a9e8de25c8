#include "controller/provider/docker_parse.h"

#include "controller/provider/oci_parse.h"
#include "shared/base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The labels are one text here, "a=b,c=d": enough to tell whom to look at. */
static bool says_ours(const char *labels)
{
	return strstr(labels, OCI_LABEL_CREATED_BY "=" OCI_CREATED_BY) != NULL;
}

static int parse_line(const char *line, size_t len, struct strv *ids, struct strv *foreign,
		      struct err *err)
{
	struct json_object *json;
	bool has_id;

	if (oci_json_parse(line, len, json_type_object, &json, err) < 0)
		return -1;
	has_id = *oci_json_text(json, "ID");
	if (has_id && says_ours(oci_json_text(json, "Labels")))
		strv_add(ids, oci_json_text(json, "ID"));
	else
		strv_add(foreign, oci_json_text(json, "Names"));
	json_object_put(json);
	return has_id ? 0 : oci_garbled("a container has no id", err);
}

int docker_parse_list(const char *text, struct strv *ids, struct strv *foreign, struct err *err)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len && parse_line(text, len, ids, foreign, err) < 0)
			return -1;
		text += len + (text[len] == '\n');
	}
	return 0;
}

void docker_parse_ids(const char *text, struct strv *ids)
{
	while (*text) {
		size_t len = strcspn(text, "\r\n");

		if (len)
			strv_addf(ids, "%.*s", (int)len, text);
		text += len + strspn(text + len, "\r\n");
	}
}

/* Docker Desktop's word counts more than the engine's inside its machine (CN-235). */
static const char *desktop_port(struct json_object *labels, const char *key)
{
	char label[64];

	snprintf(label, sizeof(label), "desktop.docker.io/ports/%s", key);
	return oci_json_text(labels, label);
}

/* "HOST:PORT", HOST perhaps empty. */
static bool split_address(const char *address, char *ret_host, size_t size, int64_t *ret_port)
{
	const char *colon = strrchr(address, ':');

	if (!colon || !parse_int(colon + 1, 1, 65535, ret_port))
		return false;
	snprintf(ret_host, size, "%.*s", (int)(colon - address), address);
	return true;
}

/* "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}]. A port of the engine's choice has none while
 * the node is stopped. */
static int add_bindings(struct node *node, const char *key, struct json_object *bindings,
			struct json_object *labels, struct err *err)
{
	const char *slash = strchr(key, '/'), *desktop = desktop_port(labels, key);
	char host[64], number[8];
	int64_t port, host_port;

	snprintf(number, sizeof(number), "%.*s", (int)strcspn(key, "/"), key);
	if (!parse_int(number, 1, 65535, &port))
		return oci_garbled("a port is out of range", err);
	if (split_address(desktop, host, sizeof(host), &host_port))
		return oci_add_node_ports(node, host, host_port, port, 1, slash ? slash + 1 : "",
					  err);
	for (size_t i = 0; i < oci_json_count(bindings); i++) {
		struct json_object *binding = json_object_array_get_idx(bindings, i);
		const char *text = oci_json_text(binding, "HostPort");

		if (!*text || strcmp(text, "0") == 0)
			continue;
		if (!parse_int(text, 1, 65535, &host_port))
			return oci_garbled("a port is out of range", err);
		if (oci_add_node_ports(node, oci_json_text(binding, "HostIp"), host_port, port, 1,
				       slash ? slash + 1 : "", err) < 0)
			return -1;
	}
	return 0;
}

static int fill_ports(struct node *node, struct json_object *entry, struct json_object *labels,
		      struct err *err)
{
	struct json_object *ports =
		oci_json_member(oci_json_member(entry, "NetworkSettings"), "Ports");

	if (!json_object_is_type(ports, json_type_object) || json_object_object_length(ports) == 0)
		ports = oci_json_member(oci_json_member(entry, "HostConfig"), "PortBindings");
	if (!json_object_is_type(ports, json_type_object))
		return 0;
	json_object_object_foreach(ports, key, bindings)
	{
		if (add_bindings(node, key, bindings, labels, err) < 0)
			return -1;
	}
	return 0;
}

static int fill(struct node *node, struct json_object *entry, struct json_object *labels,
		struct err *err)
{
	const char *status = oci_json_text(oci_json_member(entry, "State"), "Status");
	struct json_object *settings = oci_json_member(entry, "NetworkSettings");

	node->state = oci_state(status);
	node->created_ns = time_parse_ns(oci_json_text(entry, "Created"));
	if (node_set(&node->engine_id, oci_json_text(entry, "Id"), err) < 0 ||
	    node_set(&node->image, oci_json_text(oci_json_member(entry, "Config"), "Image"), err) <
		    0 ||
	    node_set(&node->state_text, status, err) < 0 ||
	    oci_fill_addresses(node, oci_json_member(settings, "Networks"), err) < 0)
		return -1;
	return fill_ports(node, entry, labels, err);
}

static int parse_node(struct json_object *entry, const char *cluster, struct node_list *list,
		      struct strv *foreign, struct err *err)
{
	struct json_object *labels = oci_json_member(oci_json_member(entry, "Config"), "Labels");
	const char *name = oci_json_text(entry, "Name");
	cleanup_with(node) struct node *node = NULL;

	name += *name == '/';
	if (!*name)
		return oci_garbled("a container has no name", err);
	if (!oci_is_ours(labels)) {
		strv_add(foreign, name);
		return 0;
	}
	if (cluster && strcmp(cluster, oci_json_text(labels, OCI_LABEL_CLUSTER)) != 0)
		return 0;
	if (oci_node_new("docker", name, labels, &node, err) < 0 ||
	    fill(node, entry, labels, err) < 0)
		return -1;
	return node_list_add(list, TAKE(node), err);
}

int docker_parse_nodes(const char *text, size_t len, const char *cluster, struct node_list *list,
		       struct strv *foreign, struct err *err)
{
	struct json_object *json;
	int rc = 0;

	if (oci_json_parse(text, len, json_type_array, &json, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < oci_json_count(json); i++)
		rc = parse_node(json_object_array_get_idx(json, i), cluster, list, foreign, err);
	json_object_put(json);
	return rc;
}

/* The first of that family in IPAM.Config; NULL when there is none. */
static struct json_object *first_subnet(struct json_object *network, bool six)
{
	struct json_object *config = oci_json_member(oci_json_member(network, "IPAM"), "Config");

	for (size_t i = 0; i < oci_json_count(config); i++) {
		struct json_object *entry = json_object_array_get_idx(config, i);
		const char *subnet = oci_json_text(entry, "Subnet");

		if (*subnet && (strchr(subnet, ':') != NULL) == six)
			return entry;
	}
	return NULL;
}

static int parse_network(struct json_object *network, struct network_list *list, struct err *err)
{
	struct json_object *labels = oci_json_member(network, "Labels");
	struct json_object *four = first_subnet(network, false), *six = first_subnet(network, true);
	const char *name = oci_json_text(network, "Name");
	struct network *last;
	int64_t mtu;

	if (!*name)
		return oci_garbled("a network has no name", err);
	if (network_list_add(list, name, oci_json_text(four, "Subnet"),
			     oci_is_ours(labels) ? oci_json_text(labels, OCI_LABEL_CLUSTER) : "",
			     err) < 0)
		return -1;
	last = &list->items[list->count - 1];
	if (parse_int(oci_json_text(oci_json_member(network, "Options"),
				    "com.docker.network.driver.mtu"),
		      1, 65535, &mtu))
		last->mtu = (int)mtu;
	if (node_set(&last->subnet6, oci_json_text(six, "Subnet"), err) < 0 ||
	    node_set(&last->gateway, oci_json_text(four, "Gateway"), err) < 0 ||
	    node_set(&last->gateway6, oci_json_text(six, "Gateway"), err) < 0)
		return -1;
	return 0;
}

int docker_parse_networks(const char *text, size_t len, struct network_list *list, struct err *err)
{
	struct json_object *json;
	int rc = 0;

	if (oci_json_parse(text, len, json_type_array, &json, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < oci_json_count(json); i++)
		rc = parse_network(json_object_array_get_idx(json, i), list, err);
	json_object_put(json);
	return rc;
}

static size_t attached(struct json_object *network)
{
	struct json_object *containers = oci_json_member(network, "Containers");

	return json_object_is_type(containers, json_type_object)
		       ? (size_t)json_object_object_length(containers)
		       : 0;
}

/* Whether 'a' rather than 'b' is kept: what is not ours always is. */
static bool is_before(struct json_object *a, struct json_object *b)
{
	bool a_ours = oci_is_ours(oci_json_member(a, "Labels"));
	bool b_ours = oci_is_ours(oci_json_member(b, "Labels"));

	if (a_ours != b_ours)
		return !a_ours;
	if (attached(a) != attached(b))
		return attached(a) > attached(b);
	return strcmp(oci_json_text(a, "Id"), oci_json_text(b, "Id")) < 0;
}

int docker_parse_twins(const char *text, size_t len, const char *name, char **ret_keep,
		       size_t *ret_count, struct err *err)
{
	struct json_object *json, *keep = NULL;
	size_t count = 0;

	if (oci_json_parse(text, len, json_type_array, &json, err) < 0)
		return -1;
	for (size_t i = 0; i < oci_json_count(json); i++) {
		struct json_object *network = json_object_array_get_idx(json, i);

		if (strcmp(oci_json_text(network, "Name"), name) != 0)
			continue;
		count++;
		if (!keep || is_before(network, keep))
			keep = network;
	}
	*ret_keep = strdup(oci_json_text(keep, "Id"));
	*ret_count = count;
	json_object_put(json);
	return *ret_keep ? 0 : err_oom(err);
}
