/*
 * Is what is wanted possible at all? Said before anything is made, in the words of the config file.
 */
#include "controller/cluster/cluster.h"
#include "controller/cluster/ports.h"
#include "controller/cluster/spec_fill.h"
#include "controller/cluster/subnet.h"
#include "shared/base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES   63
#define CLUSTER_NAME_MAX 50
#define MAX_NODES        100
/* CN-007 */
#define FLOOR_MIB        1800
#define FLOOR_CPUS_MILLI 2000
#define MIB              ((int64_t)1 << 20)

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

static const char *listen_address(const struct cluster_config *config,
				  const struct port_mapping *port)
{
	return port->listen_address && *port->listen_address
		       ? port->listen_address
		       : ports_listen_default(config->ip_family, false);
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
static int check_port(const struct cluster_config *config, const struct node_config *node,
		      const struct port_mapping *port, struct strv *warnings, struct err *err)
{
	const char *address = listen_address(config, port);

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

/* "::1" is "0:0:0:0:0:0:0:1". */
static bool same_address(const char *a, const char *b)
{
	struct in6_addr x, y;

	if (inet_pton(AF_INET6, a, &x) == 1 && inet_pton(AF_INET6, b, &y) == 1)
		return memcmp(&x, &y, sizeof(x)) == 0;
	return strcmp(a, b) == 0;
}

static bool ports_clash(const struct cluster_config *config, const struct port_mapping *a,
			const struct port_mapping *b)
{
	const char *x = listen_address(config, a), *y = listen_address(config, b);

	if (a->host_port <= 0 || a->host_port != b->host_port || a->protocol != b->protocol)
		return false;
	return same_address(x, y) || is_wildcard(x) || is_wildcard(y);
}

static int check_clashes(const struct cluster_config *config, const struct node_config *node,
			 size_t index, struct err *err)
{
	for (const struct node_config *other = config->nodes; other <= node; other++) {
		size_t count = other == node ? index : other->port_count;

		for (size_t i = 0; i < count; i++) {
			if (!ports_clash(config, &other->ports[i], &node->ports[index]))
				continue;
			if (other == node)
				err_set(err, ERR_INVALID_ARGUMENT, 0,
					"node '%s' wants host port %d twice", node->name,
					node->ports[index].host_port);
			else
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

static bool is_preload(const struct mount_config *mount)
{
	size_t len = strlen(PRELOAD_DIR "/");

	return strncmp(mount->container_path, PRELOAD_DIR "/", len) == 0 &&
	       !is_path(mount->container_path, PRELOAD_DIR);
}

/* What the node would only find out when it is there. */
static int check_preload(const struct node_config *node, struct mount_config *mount,
			 struct err *err)
{
	struct stat st;

	mount->readonly = true;
	if (stat(mount->host_path, &st) == 0 && !S_ISREG(st.st_mode)) {
		err_set(err, ERR_INVALID_ARGUMENT, 0, "node '%s': cannot preload '%s': no file",
			node->name, mount->host_path);
		return invalid(err, "PRELOAD_INVALID", "name an archive, of images or of /var");
	}
	if (access(mount->host_path, R_OK) == 0)
		return 0;
	err_set(err, errno == EACCES ? ERR_PERMISSION_DENIED : ERR_NOT_FOUND, errno,
		"node '%s': cannot preload '%s'", node->name, mount->host_path);
	return invalid(err, "PRELOAD_NOT_FOUND", "name an archive that can be read");
}

static int check_mount(const struct node_config *node, struct mount_config *mount, struct err *err)
{
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
	return is_preload(mount) ? check_preload(node, mount, err) : 0;
}

/* CN-007: Kubernetes does not start with less. */
static int check_resources(const struct node_config *node, struct strv *warnings, struct err *err)
{
	bool memory = node->memory_bytes > 0 && node->memory_bytes < FLOOR_MIB * MIB;
	bool cpus = node->cpus_milli > 0 && node->cpus_milli < FLOOR_CPUS_MILLI;

	if (node->role != NODE_CONTROL_PLANE || (!memory && !cpus))
		return 0;
	err_set(err, ERR_OUT_OF_RANGE, 0,
		"node '%s' is to have less than a control plane needs: %d MiB of memory and %d "
		"CPUs",
		node->name, FLOOR_MIB, FLOOR_CPUS_MILLI / 1000);
	if (!node->force)
		return invalid(err, "RESOURCES_TOO_SMALL",
			       "give it more, or --force when no Kubernetes is to run on it");
	if (warnings)
		strv_add(warnings, err->msg);
	return 0;
}

/* CN-060 */
static int check_static_ip(const struct node_config *node, struct err *err)
{
	if (!node->static_ip || !*node->static_ip || subnet_address_is_static(node->static_ip))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' cannot be the address of a node",
		node->static_ip);
	return invalid(err, "STATIC_IP_INVALID",
		       "use a private IPv4 address whose last number is 2 to 254");
}

static int check_node(const struct cluster_config *config, struct node_config *node,
		      struct strv *warnings, struct err *err)
{
	if (check_node_name(config, node, err) < 0 || check_resources(node, warnings, err) < 0 ||
	    check_static_ip(node, err) < 0)
		return -1;
	for (size_t i = 0; i < node->port_count; i++) {
		if (check_port(config, node, &node->ports[i], warnings, err) < 0 ||
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
	return 0;
}

/* CN-060 */
static int check_subnet(const struct cluster_config *config, struct err *err)
{
	struct subnet subnet;

	if (!*config->subnet || (subnet_parse(config->subnet, &subnet) &&
				 subnet_is_private(subnet) && subnet.bits <= 30))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' cannot be a cluster's subnet", config->subnet);
	return invalid(err, "SUBNET_INVALID",
		       "use a private IPv4 one of /30 or larger, such as 192.168.60.0/24");
}

/* Names that engines keep for networks in which no node can be. */
static int check_network(const char *network, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";

	if (!*network)
		return 0;
	if (strcmp(network, "host") != 0 && strcmp(network, "none") != 0 &&
	    strspn(network, allowed) == strlen(network) && !strchr("_.-", *network))
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' cannot be a cluster's network", network);
	return invalid(err, "NETWORK_UNUSABLE", "name a bridge network");
}

int cluster_spec_check(const char *name, const char *image, struct cluster_config *config,
		       struct strv *warnings, struct err *err)
{
	if (check_cluster_name(name, err) < 0 || check_size(config, err) < 0 ||
	    check_subnet(config, err) < 0 || check_network(config->network, err) < 0 ||
	    spec_fill(name, image, config, err) < 0)
		return -1;
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

	if (spec_fill_node(image, &one, node, err) < 0 || check_node(&one, node, warnings, err) < 0)
		return -1;
	return warnings && strv_failed(warnings) ? err_oom(err) : 0;
}
