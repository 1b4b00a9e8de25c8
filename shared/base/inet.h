#pragma once
/* Addresses of either family, as sockets want them. */
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

union inet_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "127.0.0.1" or "::1", without brackets, names or zones. The length for bind(2) and connect(2); 0 for what is
 * no address: then '*ret' is all zero. */
socklen_t inet_parse(const char *text, uint16_t port, union inet_address *ret);

/* The port that a socket is bound to; 0 when it has none, or is no such socket. */
uint16_t inet_bound_port(int fd);
