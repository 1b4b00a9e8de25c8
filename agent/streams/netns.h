#pragma once
/* Sockets in somebody else's network, made without the agent ever leaving its own. */
#include "shared/base/err.h"

#include <stdint.h>

/* How long the process that makes one is waited for; it makes four system calls. */
#define NETNS_WAIT_MS 100

/* A TCP socket of 'family' (AF_INET, AF_INET6) in the network of process 'pid'; 0: in the agent's own.
 * Non-blocking. ERR_NOT_FOUND: that process is gone. The descriptor is the caller's. */
int netns_socket(uint32_t pid, int family, int *ret_fd, struct err *err);
