#include "controller/provider/podman_parse.h"

#include "controller/provider/oci_cli.h"
#include "shared/base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PORTS 4096

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *found = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &found);
	return found;
}

static int64_t number(struct json_object *object, const char *key)
{
	struct json_object *found = member(object, key);

	return json_object_is_type(found, json_type_int) ? json_object_get_int64(found) : 0;
}

static bool is_port(int64_t port)
{
	return port > 0 && port <= 65535;
}

static int garbled(const char *what, struct err *err)
{
	err_set(err, ERR_DATA_LOSS, 0, "cannot make sense of the engine's answer: %s", what);
	return err_explain(err, "ENGINE_ANSWER_GARBLED",
			   "see whether the engine's version is supported with 'berth doctor'");
}

static int add_port(struct node *node, const char *host, int host_port, int container_port,
		    enum port_protocol protocol, struct err *err)
{
	struct node_port *ports =
		realloc(node->ports, (node->port_count + 1) * sizeof(*node->ports));
	struct node_port *port;

	if (!ports)
		return err_oom(err);
	node->ports = ports;
	port = &ports[node->port_count];
	*port = (struct node_port){ strdup(host), host_port, container_port, protocol };
	if (!port->host)
		return err_oom(err);
	node->port_count++;
	return 0;
}

static enum port_protocol to_protocol(const char *name)
{
	if (strcmp(name, "udp") == 0)
		return PORT_UDP;
	return strcmp(name, "sctp") == 0 ? PORT_SCTP : PORT_TCP;
}

/* One entry stands for 'range' ports in a row. */
static int parse_ports(struct node *node, struct json_object *entry, struct err *err)
{
	int64_t host_port = number(entry, "host_port");
	int64_t container_port = number(entry, "container_port");
	int64_t range = number(entry, "range");
	const char *host = oci_json_text(entry, "host_ip");

	if (range < 1)
		range = 1;
	if (!is_port(container_port) || host_port < 0 || host_port > 65535 || range > 65535 ||
	    !is_port(container_port + range - 1) || host_port + range - 1 > 65535 ||
	    node->port_count + (size_t)range > MAX_PORTS)
		return garbled("a port is out of range", err);
	for (int64_t i = 0; i < range; i++) {
		if (add_port(node, *host ? host : "0.0.0.0", (int)(host_port + i),
			     (int)(container_port + i),
			     to_protocol(oci_json_text(entry, "protocol")), err) < 0)
			return -1;
	}
	return 0;
}

static int fill_ports(struct node *node, struct json_object *ports, struct err *err)
{
	size_t count =
		json_object_is_type(ports, json_type_array) ? json_object_array_length(ports) : 0;

	for (size_t i = 0; i < count; i++) {
		if (parse_ports(node, json_object_array_get_idx(ports, i), err) < 0)
			return -1;
	}
	return 0;
}

static int fill(struct node *node, struct json_object *entry, struct json_object *labels,
		struct err *err)
{
	int64_t created = number(entry, "Created"), index;

	node->state = oci_state(oci_json_text(entry, "State"));
	if (created > 0 && created < INT64_MAX / 1000000000)
		node->created_ns = created * 1000000000;
	if (parse_int(oci_json_text(labels, OCI_LABEL_INDEX), 1, 65535, &index))
		node->index = (int)index;
	if (node_set(&node->engine_id, oci_json_text(entry, "Id"), err) < 0 ||
	    node_set(&node->image, oci_json_text(entry, "Image"), err) < 0 ||
	    node_set(&node->state_text, oci_json_text(entry, "State"), err) < 0 ||
	    node_set(&node->ip, oci_json_text(labels, OCI_LABEL_IP), err) < 0)
		return -1;
	return fill_ports(node, member(entry, "Ports"), err);
}

static int parse_node(const char *name, struct json_object *entry, struct json_object *labels,
		      struct node_list *list, struct err *err)
{
	cleanup_with(node) struct node *node = NULL;
	const char *cluster = oci_json_text(labels, OCI_LABEL_CLUSTER);
	enum node_role role = NODE_WORKER;

	if (!name_is_valid(name, 63) || !name_is_valid(cluster, 63))
		return garbled("a node's name is not one that we give", err);
	node_role_parse(oci_json_text(labels, OCI_LABEL_ROLE), &role);
	node = node_new(name, cluster, role, "podman", oci_json_text(labels, OCI_LABEL_RUN_DIR));
	if (!node)
		return err_oom(err);
	if (fill(node, entry, labels, err) < 0)
		return -1;
	return node_list_add(list, TAKE(node), err);
}

/* Ours is what carries both marks: another's cluster label alone makes no node. */
static bool is_ours(struct json_object *labels)
{
	return strcmp(oci_json_text(labels, OCI_LABEL_CREATED_BY), OCI_CREATED_BY) == 0 &&
	       *oci_json_text(labels, OCI_LABEL_CLUSTER);
}

static int parse_container(struct json_object *entry, const char *cluster, struct node_list *list,
			   struct strv *foreign, struct err *err)
{
	struct json_object *labels = member(entry, "Labels"), *names = member(entry, "Names"),
			   *first;
	const char *name;

	if (!json_object_is_type(names, json_type_array) || json_object_array_length(names) == 0)
		return garbled("a container has no name", err);
	first = json_object_array_get_idx(names, 0);
	if (!json_object_is_type(first, json_type_string))
		return garbled("a container's name is no text", err);
	name = json_object_get_string(first);

	if (!is_ours(labels)) {
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
	struct json_object *subnets = member(network, "subnets");
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
	struct json_object *labels = member(network, "labels");
	struct json_object *four = first_subnet(network, false), *six = first_subnet(network, true);
	const char *name = oci_json_text(network, "name");
	struct network *last;
	int64_t mtu;

	if (!*name)
		return garbled("a network has no name", err);
	if (network_list_add(list, name, oci_json_text(four, "subnet"),
			     is_ours(labels) ? oci_json_text(labels, OCI_LABEL_CLUSTER) : "",
			     err) < 0)
		return -1;
	last = &list->items[list->count - 1];
	if (parse_int(oci_json_text(member(network, "options"), "mtu"), 1, 65535, &mtu))
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
	size_t count =
		json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < count && len < size; i++)
		len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? " " : "",
					json_object_get_string(
						json_object_array_get_idx(array, i)));
}

int podman_parse_info(const char *text, size_t len, struct engine_info *ret, struct err *err)
{
	struct engine_info info = { 0 };
	struct json_object *json, *host, *rootless;

	if (oci_json_parse(text, len, json_type_object, &json, err) < 0)
		return -1;
	host = member(json, "host");
	rootless = member(member(host, "security"), "rootless");
	snprintf(info.version, sizeof(info.version), "%s",
		 oci_json_text(member(json, "version"), "Version"));
	snprintf(info.runtime, sizeof(info.runtime), "%s",
		 oci_json_text(member(host, "ociRuntime"), "name"));
	snprintf(info.cgroup, sizeof(info.cgroup), "%s", oci_json_text(host, "cgroupVersion"));
	join(member(host, "cgroupControllers"), info.controllers, sizeof(info.controllers));
	snprintf(info.storage, sizeof(info.storage), "%s",
		 oci_json_text(member(json, "store"), "graphRoot"));
	info.rootless = json_object_is_type(rootless, json_type_boolean) &&
			json_object_get_boolean(rootless);
	json_object_put(json);
	if (!info.version[0])
		return garbled("it names no version", err);
	*ret = info;
	return 0;
}
