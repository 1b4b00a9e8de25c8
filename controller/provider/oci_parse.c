#include "controller/provider/oci_parse.h"

#include "shared/base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PORTS 4096

struct json_object *oci_json_member(struct json_object *object, const char *key)
{
	struct json_object *found = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &found);
	return found;
}

const char *oci_json_text(struct json_object *object, const char *key)
{
	struct json_object *found = oci_json_member(object, key);

	return json_object_is_type(found, json_type_string) ? json_object_get_string(found) : "";
}

int64_t oci_json_number(struct json_object *object, const char *key)
{
	struct json_object *found = oci_json_member(object, key);

	return json_object_is_type(found, json_type_int) ? json_object_get_int64(found) : 0;
}

bool oci_json_bool(struct json_object *object, const char *key)
{
	struct json_object *found = oci_json_member(object, key);

	return json_object_is_type(found, json_type_boolean) && json_object_get_boolean(found);
}

size_t oci_json_count(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

int oci_garbled(const char *what, struct err *err)
{
	err_set(err, ERR_DATA_LOSS, 0, "cannot make sense of the engine's answer: %s", what);
	return err_explain(err, "ENGINE_ANSWER_GARBLED",
			   "see whether the engine's version is supported with 'berth doctor'");
}

bool oci_is_ours(struct json_object *labels)
{
	return strcmp(oci_json_text(labels, OCI_LABEL_CREATED_BY), OCI_CREATED_BY) == 0 &&
	       *oci_json_text(labels, OCI_LABEL_CLUSTER);
}

int oci_node_new(const char *provider, const char *name, struct json_object *labels,
		 struct node **ret_node, struct err *err)
{
	cleanup_with(node) struct node *node = NULL;
	const char *cluster = oci_json_text(labels, OCI_LABEL_CLUSTER);
	enum node_role role = NODE_WORKER;
	int64_t index;

	if (!name_is_valid(name, 63) || !name_is_valid(cluster, 63))
		return oci_garbled("a node's name is not one that we give", err);
	node_role_parse(oci_json_text(labels, OCI_LABEL_ROLE), &role);
	node = node_new(name, cluster, role, provider, oci_json_text(labels, OCI_LABEL_RUN_DIR));
	if (!node)
		return err_oom(err);
	if (parse_int(oci_json_text(labels, OCI_LABEL_INDEX), 1, 65535, &index))
		node->index = (int)index;
	if (node_set(&node->ip, oci_json_text(labels, OCI_LABEL_IP), err) < 0 ||
	    node_set(&node->ip6, oci_json_text(labels, OCI_LABEL_IP6), err) < 0)
		return -1;
	*ret_node = TAKE(node);
	return 0;
}

int oci_fill_addresses(struct node *node, struct json_object *networks, struct err *err)
{
	if (!json_object_is_type(networks, json_type_object))
		return 0;
	json_object_object_foreach(networks, name, network)
	{
		(void)name;
		if (!*node->ip && node_set(&node->ip, oci_json_text(network, "IPAddress"), err) < 0)
			return -1;
		if (!*node->ip6 &&
		    node_set(&node->ip6, oci_json_text(network, "GlobalIPv6Address"), err) < 0)
			return -1;
	}
	return 0;
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

static bool is_port(int64_t port)
{
	return port > 0 && port <= 65535;
}

int oci_add_node_ports(struct node *node, const char *host, int64_t host_port,
		       int64_t container_port, int64_t range, const char *protocol, struct err *err)
{
	if (!is_port(container_port) || host_port < 0 || host_port > 65535 || range < 1 ||
	    range > 65535 || !is_port(container_port + range - 1) ||
	    host_port + range - 1 > 65535 || node->port_count + (size_t)range > MAX_PORTS)
		return oci_garbled("a port is out of range", err);
	for (int64_t i = 0; i < range; i++) {
		if (add_port(node, *host ? host : "0.0.0.0", (int)(host_port + i),
			     (int)(container_port + i), to_protocol(protocol), err) < 0)
			return -1;
	}
	return 0;
}

bool oci_url_host(const char *url, char *ret, size_t size)
{
	const char *begin = strstr(url, "://"), *end, *at;
	size_t len;

	snprintf(ret, size, "%s", "");
	if (!begin || strncmp(url, "unix:", 5) == 0 || strncmp(url, "npipe:", 6) == 0 ||
	    strncmp(url, "fd:", 3) == 0)
		return false;
	begin += 3;
	len = strcspn(begin, "/");
	for (at = begin + len; at > begin && at[-1] != '@'; at--)
		;
	len -= (size_t)(at - begin);
	begin = at;
	if (*begin == '[') {
		begin++;
		end = memchr(begin, ']', len);
	} else {
		end = memchr(begin, ':', len);
	}
	snprintf(ret, size, "%.*s", end ? (int)(end - begin) : (int)len, begin);
	return *ret != '\0';
}
