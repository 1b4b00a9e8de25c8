#include "controller/cluster/ports.h"

#include "shared/base/inet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A socket that keeps a port from being taken. */
struct port_hold {
	int fd; /* -1: let go */
	const char *node;
};

static int socket_type(enum port_protocol protocol)
{
	return protocol == PORT_UDP ? SOCK_DGRAM : SOCK_STREAM;
}

const char *ports_listen_default(enum ip_family family, bool remote)
{
	if (family == IP_FAMILY_V6)
		return remote ? "::" : "::1";
	return remote ? "0.0.0.0" : "127.0.0.1";
}

static int add_hold(struct ported_config *ported, const char *node, int fd, struct err *err)
{
	struct port_hold *holds = realloc(ported->holds, (ported->hold_count + 1) * sizeof(*holds));

	if (!holds)
		return err_oom(err);
	ported->holds = holds;
	holds[ported->hold_count++] = (struct port_hold){ fd, node };
	return 0;
}

static int port_in_use(const struct node_config *node, const struct port_mapping *port,
		       struct err *err)
{
	err_set(err, ERR_ALREADY_EXISTS, 0, "node '%s': host port %d on %s is in use", node->name,
		port->host_port, port->listen_address);
	snprintf(err->node, sizeof(err->node), "%s", node->name);
	return err_explain(err, "PORT_IN_USE",
			   "choose another host port, or stop what listens there");
}

/* A connection that has ended keeps its port for a minute: that is nobody who listens. Not for a port
 * of our choice, which must be free altogether. */
static void allow_lingering(int fd, const struct port_mapping *port)
{
	const int on = 1;

	if (port->host_port != 0 && port->protocol == PORT_TCP)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

/* A low port that we may not bind may well be the engine's to give. */
static int cannot_bind(const struct node_config *node, const struct port_mapping *port,
		       struct err *err)
{
	if (port->host_port != 0 && errno == EADDRINUSE)
		return port_in_use(node, port, err);
	if (port->host_port != 0 && errno == EACCES)
		return 0;
	err_set(err, ERR_UNAVAILABLE, errno, "node '%s': cannot listen on %s", node->name,
		port->listen_address);
	return err_explain(err, "LISTEN_ADDRESS_INVALID",
			   "name an address of this host, or leave it out");
}

/* Without SCTP sockets a port is picked among TCP's, and one that was asked for cannot be looked at. */
static int hold(struct ported_config *ported, const struct node_config *node,
		struct port_mapping *port, struct err *err)
{
	union inet_address address;
	cleanup_fd int fd = -1;
	socklen_t len;

	if (port->host_port < 0 || (port->host_port > 0 && port->protocol == PORT_SCTP))
		return 0;
	len = inet_parse(port->listen_address, (uint16_t)port->host_port, &address);
	if (!len)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is not an address",
			       port->listen_address);
	fd = socket(address.any.sa_family, socket_type(port->protocol), 0);
	if (fd >= 0) {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		allow_lingering(fd, port);
	}
	if (fd < 0 || bind(fd, &address.any, len) < 0)
		return cannot_bind(node, port, err);
	port->host_port = inet_bound_port(fd);
	if (add_hold(ported, node->name, fd, err) < 0)
		return -1;
	take_fd(&fd);
	return 0;
}

static int settle(struct ported_config *ported, const struct node_config *node,
		  struct port_mapping *port, bool remote, struct err *err)
{
	if (!port->listen_address || !*port->listen_address)
		port->listen_address =
			(char *)ports_listen_default(ported->config.ip_family, remote);
	if (remote) {
		port->host_port = port->host_port == 0 ? -1 : port->host_port;
		return 0;
	}
	return hold(ported, node, port, err);
}

/* An array of its own for a node that has been copied. */
static int own_ports(struct node_config *node, struct err *err)
{
	const struct port_mapping *original = node->ports;

	node->ports = calloc(node->port_count + 1, sizeof(*node->ports));
	if (!node->ports)
		return err_oom(err);
	if (node->port_count)
		memcpy(node->ports, original, node->port_count * sizeof(*original));
	return 0;
}

static int settle_all(struct ported_config *ported, bool given, bool remote, struct err *err)
{
	for (size_t i = 0; i < ported->config.node_count; i++) {
		struct node_config *node = &ported->config.nodes[i];

		for (size_t k = 0; k < node->port_count; k++) {
			if ((node->ports[k].host_port > 0) == given &&
			    settle(ported, node, &node->ports[k], remote, err) < 0)
				return -1;
		}
	}
	return 0;
}

int ports_choose(const struct cluster_config *config, bool remote, struct ported_config *ret,
		 struct err *err)
{
	struct ported_config ported = { .config = *config };
	int rc = 0;

	ported.config.node_count = 0;
	ported.config.nodes = calloc(config->node_count + 1, sizeof(*config->nodes));
	if (!ported.config.nodes)
		return err_oom(err);
	for (size_t i = 0; rc == 0 && i < config->node_count; i++) {
		ported.config.nodes[i] = config->nodes[i];
		ported.config.node_count++;
		rc = own_ports(&ported.config.nodes[i], err);
	}
	/* Those that were asked for come first: none of ours may take one of them. */
	if (rc == 0)
		rc = settle_all(&ported, true, remote, err);
	if (rc == 0)
		rc = settle_all(&ported, false, remote, err);
	if (rc < 0) {
		ported_config_release(&ported);
		return -1;
	}
	*ret = ported;
	return 0;
}

void ports_let_go(struct ported_config *ported, const char *node)
{
	for (size_t i = 0; i < ported->hold_count; i++) {
		struct port_hold *hold = &ported->holds[i];

		if (hold->fd < 0 || (*node && strcmp(hold->node, node) != 0))
			continue;
		close(hold->fd);
		hold->fd = -1;
	}
}

void ported_config_release(struct ported_config *ported)
{
	ports_let_go(ported, "");
	for (size_t i = 0; i < ported->config.node_count; i++)
		free(ported->config.nodes[i].ports);
	free(ported->config.nodes);
	free(ported->holds);
	*ported = (struct ported_config){ 0 };
}
