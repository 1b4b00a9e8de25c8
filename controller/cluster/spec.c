/*
 * Is what is wanted possible at all? Said before anything is made, in the words of the config file.
 */
#include "controller/cluster/cluster.h"
#include "shared/base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_MAX_BYTES   63
#define CLUSTER_NAME_MAX 50
#define MAX_NODES        100

static int invalid(struct err *err, const char *reason, const char *advice)
{
	return err_explain(err, reason, advice);
}

static int check_cluster_name(const char *name, struct err *err)
{
	if (name_is_valid(name, CLUSTER_NAME_MAX))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' cannot be the name of a cluster", name);
	return invalid(err, "NAME_INVALID",
		       "use at most 50 of a-z, 0-9, '-' and '.', a letter or digit first and last");
}

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

static int check_node_name(const struct cluster_config *config, const struct node_config *node,
			   struct err *err)
{
	for (const struct node_config *other = config->nodes; other < node; other++) {
		if (strcmp(other->name, node->name) != 0)
			continue;
		err_set(err, ERR_INVALID_ARGUMENT, 0, "two nodes are called '%s'", node->name);
		return invalid(err, "NAME_TWICE", NULL);
	}
	if (name_is_valid(node->name, NAME_MAX_BYTES))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' cannot be the name of a node", node->name);
	return invalid(err, "NAME_INVALID",
		       "use at most 63 of a-z, 0-9, '-' and '.', a letter or digit first and last");
}

static int fill_image(const char *image, struct node_config *node, struct err *err)
{
	const char *chosen = image && *image ? image
			     : *node->image  ? node->image
					     : CLUSTER_DEFAULT_IMAGE;
	char *copy = strdup(chosen);

	if (!copy)
		return err_oom(err);
	free(node->image);
	node->image = copy;
	return 0;
}

static const char *listen_address(const struct port_mapping *port)
{
	return port->listen_address && *port->listen_address ? port->listen_address : "127.0.0.1";
}

static bool is_wildcard(const char *address)
{
	return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static bool is_address(const char *s)
{
	struct in6_addr six;
	struct in_addr four;

	return inet_pton(AF_INET, s, &four) == 1 || inet_pton(AF_INET6, s, &six) == 1;
}

/* CN-091, CN-094, CN-097. */
static int check_port(const struct node_config *node, const struct port_mapping *port,
		      struct strv *warnings, struct err *err)
{
	const char *address = listen_address(port);

	if (port->container_port < 1 || port->container_port > 65535 || port->host_port < -1 ||
	    port->host_port > 65535) {
		err_set(err, ERR_INVALID_ARGUMENT, 0,
			"node '%s': port mapping %d:%d is out of range", node->name,
			port->host_port, port->container_port);
		return invalid(err, "PORT_INVALID",
			       "containerPort is 1 to 65535, hostPort -1 to 65535");
	}
	if (!is_address(address)) {
		err_set(err, ERR_INVALID_ARGUMENT, 0,
			"node '%s': '%s' is not an address to listen on", node->name, address);
		return invalid(err, "LISTEN_ADDRESS_INVALID", NULL);
	}
	if (warnings && is_wildcard(address))
		strv_addf(warnings,
			  "node '%s': port %d is open to everybody who reaches this host (%s)",
			  node->name, port->container_port, address);
	return 0;
}

static bool ports_clash(const struct port_mapping *a, const struct port_mapping *b)
{
	const char *x = listen_address(a), *y = listen_address(b);

	if (a->host_port <= 0 || a->host_port != b->host_port || a->protocol != b->protocol)
		return false;
	return strcmp(x, y) == 0 || is_wildcard(x) || is_wildcard(y);
}

static int check_clashes(const struct cluster_config *config, const struct node_config *node,
			 size_t index, struct err *err)
{
	for (const struct node_config *other = config->nodes; other <= node; other++) {
		size_t count = other == node ? index : other->port_count;

		for (size_t i = 0; i < count; i++) {
			if (!ports_clash(&other->ports[i], &node->ports[index]))
				continue;
			err_set(err, ERR_INVALID_ARGUMENT, 0,
				"nodes '%s' and '%s' both want host port %d", other->name,
				node->name, node->ports[index].host_port);
			return invalid(err, "PORT_TWICE", "give one of them another hostPort");
		}
	}
	return 0;
}

static int mount_refused(const struct node_config *node, const struct mount_config *mount,
			 const char *why, struct err *err)
{
	err_set(err, ERR_INVALID_ARGUMENT, 0, "node '%s': cannot mount '%s' on '%s': %s",
		node->name, mount->host_path, mount->container_path, why);
	return invalid(err, "MOUNT_INVALID", NULL);
}

/* Relative ones count from the current directory (CN-101). */
static int make_absolute(struct mount_config *mount, struct err *err)
{
	char here[PATH_MAX];
	char *path;

	if (mount->host_path[0] == '/')
		return 0;
	if (!getcwd(here, sizeof(here)))
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "no current directory");
	path = text_format("%s/%s", here, mount->host_path);
	if (!path)
		return err_oom(err);
	free(mount->host_path);
	mount->host_path = path;
	return 0;
}

/* "/var/" and "/var/." are "/var". */
static bool is_path(const char *path, const char *plain)
{
	size_t len = strlen(plain);

	if (strncmp(path, plain, len) != 0)
		return false;
	for (path += len; *path; path++) {
		if (*path != '/' &&
		    !(*path == '.' && path[-1] == '/' && (path[1] == '/' || !path[1])))
			return false;
	}
	return true;
}

static int check_mount(const struct node_config *node, struct mount_config *mount, struct err *err)
{
	struct stat st;

	if (!*mount->host_path || !*mount->container_path)
		return mount_refused(node, mount, "a path is missing", err);
	if (mount->container_path[0] != '/')
		return mount_refused(node, mount, "the path in the node is not absolute", err);
	if (strpbrk(mount->host_path, ":\n") || strpbrk(mount->container_path, ":\n"))
		return mount_refused(node, mount, "a path with ':' cannot be passed to the engine",
				     err);
	if (is_path(mount->container_path, "/"))
		return mount_refused(node, mount, "it is the node's root", err);
	if (is_path(mount->container_path, "/var"))
		return mount_refused(node, mount, "the node keeps its state there", err);
	if (is_path(mount->container_path, "/run") || is_path(mount->container_path, "/run/berth"))
		return mount_refused(node, mount, "the agent's socket is there", err);
	if (make_absolute(mount, err) < 0)
		return -1;
	if (stat(mount->host_path, &st) < 0) {
		err_set(err, ERR_NOT_FOUND, errno, "node '%s': cannot mount '%s'", node->name,
			mount->host_path);
		return invalid(err, "MOUNT_SOURCE_NOT_FOUND", "create it first");
	}
	return 0;
}

static int check_node(const struct cluster_config *config, struct node_config *node,
		      struct strv *warnings, struct err *err)
{
	if (check_node_name(config, node, err) < 0)
		return -1;
	for (size_t i = 0; i < node->port_count; i++) {
		if (check_port(node, &node->ports[i], warnings, err) < 0 ||
		    check_clashes(config, node, i, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < node->mount_count; i++) {
		if (check_mount(node, &node->mounts[i], err) < 0)
			return -1;
	}
	return 0;
}

static int check_size(const struct cluster_config *config, struct err *err)
{
	bool control_plane = false;

	for (size_t i = 0; i < config->node_count; i++)
		control_plane |= config->nodes[i].role == NODE_CONTROL_PLANE;
	if (!control_plane) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "a cluster needs a control-plane node");
		return invalid(err, "NO_CONTROL_PLANE", NULL);
	}
	if (config->node_count > MAX_NODES) {
		err_set(err, ERR_INVALID_ARGUMENT, 0,
			"%zu nodes are more than a cluster may have (%d)", config->node_count,
			MAX_NODES);
		return invalid(err, "TOO_MANY_NODES", NULL);
	}
	if (config->ip_family != IP_FAMILY_V4) {
		err_set(err, ERR_UNIMPLEMENTED, 0, "nodes have IPv4 addresses only, so far");
		return invalid(err, "IP_FAMILY_UNSUPPORTED",
			       "leave ipFamily out, or set it to ipv4");
	}
	return 0;
}

int cluster_spec_check(const char *name, const char *image, struct cluster_config *config,
		       struct strv *warnings, struct err *err)
{
	if (check_cluster_name(name, err) < 0 || check_size(config, err) < 0)
		return -1;
	for (size_t i = 0; i < config->node_count; i++) {
		struct node_config *node = &config->nodes[i];

		if ((!*node->name && name_node(name, config, node, err) < 0) ||
		    fill_image(image, node, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < config->node_count; i++) {
		if (check_node(config, &config->nodes[i], warnings, err) < 0)
			return -1;
	}
	return warnings && strv_failed(warnings) ? err_oom(err) : 0;
}

int cluster_node_check(const char *image, struct node_config *node, struct strv *warnings,
		       struct err *err)
{
	const struct cluster_config one = { .nodes = node, .node_count = 1 };

	if (fill_image(image, node, err) < 0 || check_node(&one, node, warnings, err) < 0)
		return -1;
	return warnings && strv_failed(warnings) ? err_oom(err) : 0;
}
