#include "controller/cluster/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Sockets that keep the chosen ports from being chosen again. */
struct holds {
	int *fds;
	size_t count;
};

static void holds_release(struct holds *holds)
{
	for (size_t i = 0; i < holds->count; i++)
		close(holds->fds[i]);
	free(holds->fds);
}

static bool to_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		*ret_len = sizeof(*four);
		return true;
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		*ret_len = sizeof(*six);
		return true;
	}
	return false;
}

static int socket_type(enum port_protocol protocol)
{
	return protocol == PORT_UDP ? SOCK_DGRAM : SOCK_STREAM;
}

static int bound_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int choose(struct port_mapping *port, struct holds *holds, struct err *err)
{
	const char *listen =
		port->listen_address && *port->listen_address ? port->listen_address : "127.0.0.1";
	struct sockaddr_storage address;
	int *fds = realloc(holds->fds, (holds->count + 1) * sizeof(*fds));
	cleanup_fd int fd = -1;
	socklen_t len;

	if (!fds)
		return err_oom(err);
	holds->fds = fds;
	if (!to_address(listen, &address, &len))
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "'%s' is not an address", listen);
	fd = socket(address.ss_family, socket_type(port->protocol), 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0)
		return err_set(err, ERR_UNAVAILABLE, errno, "cannot listen on %s", listen);
	port->host_port = bound_port(fd);
	holds->fds[holds->count++] = take_fd(&fd);
	return 0;
}

static int copy_node(struct node_config *node, struct holds *holds, struct err *err)
{
	const struct port_mapping *original = node->ports;

	if (!node->port_count) {
		node->ports = NULL;
		return 0;
	}
	node->ports = calloc(node->port_count, sizeof(*node->ports));
	if (!node->ports)
		return err_oom(err);
	for (size_t i = 0; i < node->port_count; i++) {
		node->ports[i] = original[i];
		if (node->ports[i].host_port == 0 && choose(&node->ports[i], holds, err) < 0)
			return -1;
	}
	return 0;
}

int ports_choose(const struct cluster_config *config, struct ported_config *ret, struct err *err)
{
	struct ported_config ported = { .config = *config };
	struct holds holds = { 0 };
	int rc = 0;

	ported.config.node_count = 0;
	ported.config.nodes = calloc(config->node_count + 1, sizeof(*config->nodes));
	if (!ported.config.nodes)
		return err_oom(err);
	for (size_t i = 0; rc == 0 && i < config->node_count; i++) {
		ported.config.nodes[i] = config->nodes[i];
		ported.config.node_count++;
		rc = copy_node(&ported.config.nodes[i], &holds, err);
	}
	holds_release(&holds);
	if (rc < 0) {
		ported_config_release(&ported);
		return -1;
	}
	*ret = ported;
	return 0;
}

void ported_config_release(struct ported_config *ported)
{
	for (size_t i = 0; i < ported->config.node_count; i++)
		free(ported->config.nodes[i].ports);
	free(ported->config.nodes);
	*ported = (struct ported_config){ 0 };
}
