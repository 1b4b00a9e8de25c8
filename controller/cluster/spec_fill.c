/*
 * What a config leaves out: names, images, the way to the API server.
 */
#include "controller/cluster/spec_fill.h"

#include "controller/cluster/ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_SERVER_PORT 6443

static bool is_named(const struct cluster_config *config, const char *name)
{
	for (size_t i = 0; i < config->node_count; i++) {
		if (strcmp(config->nodes[i].name, name) == 0)
			return true;
	}
	return false;
}

/* CN-083: C-control-plane, C-control-plane2, C-worker, C-worker2 ... */
static int name_node(const char *cluster, const struct cluster_config *config,
		     struct node_config *node, struct err *err)
{
	for (unsigned nth = 1;; nth++) {
		char suffix[16] = "";
		char *name;

		if (nth > 1)
			snprintf(suffix, sizeof(suffix), "%u", nth);
		name = text_format("%s-%s%s", cluster, node_role_name(node->role), suffix);
		if (!name)
			return err_oom(err);
		if (is_named(config, name)) {
			free(name);
			continue;
		}
		free(node->name);
		node->name = name;
		return 0;
	}
}

static int fill_image(const char *image, struct node_config *node, struct err *err)
{
	bool balancer = node->role == NODE_LOAD_BALANCER;
	const char *chosen = image && *image && !balancer ? image
			     : *node->image               ? node->image
			     : balancer                   ? CLUSTER_LB_IMAGE
							  : CLUSTER_DEFAULT_IMAGE;
	char *copy = strdup(chosen);

	if (!copy)
		return err_oom(err);
	free(node->image);
	node->image = copy;
	return 0;
}

static size_t count_role(const struct cluster_config *config, enum node_role role)
{
	size_t count = 0;

	for (size_t i = 0; i < config->node_count; i++)
		count += config->nodes[i].role == role;
	return count;
}

/* CN-260: several control planes have one address. */
static int add_balancer(struct cluster_config *config, struct err *err)
{
	if (count_role(config, NODE_CONTROL_PLANE) < 2 ||
	    count_role(config, NODE_LOAD_BALANCER) > 0)
		return 0;
	return cluster_config_add_node(config, NODE_LOAD_BALANCER) ? 0 : err_oom(err);
}

static bool publishes_api(const struct node_config *node)
{
	for (size_t i = 0; i < node->port_count; i++) {
		if (node->ports[i].container_port == API_SERVER_PORT &&
		    node->ports[i].protocol == PORT_TCP)
			return true;
	}
	return false;
}

/* As in kind, the API server can be reached from the host. Behind a balancer, which then has the
 * configured address, a control plane listens on a loopback port of our choice (CN-261). */
static int publish_api(const struct cluster_config *config, struct node_config *node,
		       struct err *err)
{
	bool balanced = count_role(config, NODE_LOAD_BALANCER) > 0;
	bool is_door = node->role == (balanced ? NODE_LOAD_BALANCER : NODE_CONTROL_PLANE);
	struct port_mapping *port;

	if (node->role == NODE_WORKER || publishes_api(node))
		return 0;
	port = node_config_add_port(node);
	if (!port)
		return err_oom(err);
	port->container_port = API_SERVER_PORT;
	port->host_port = is_door ? config->api_server_port : 0;
	return node_set(&port->listen_address,
			!is_door                     ? ports_listen_default(config->ip_family)
			: config->api_server_address ? config->api_server_address
						     : "",
			err);
}

int spec_fill_node(const char *image, const struct cluster_config *config, struct node_config *node,
		   struct err *err)
{
	return fill_image(image, node, err) < 0 ? -1 : publish_api(config, node, err);
}

int spec_fill(const char *name, const char *image, struct cluster_config *config, struct err *err)
{
	if (add_balancer(config, err) < 0)
		return -1;
	for (size_t i = 0; i < config->node_count; i++) {
		struct node_config *node = &config->nodes[i];

		if ((!*node->name && name_node(name, config, node, err) < 0) ||
		    spec_fill_node(image, config, node, err) < 0)
			return -1;
	}
	return 0;
}
