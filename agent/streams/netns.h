#pragma once
/* Sockets in somebody else's network, made without the agent ever leaving its own. */
#include "shared/base/err.h"

#include <stdint.h>
#include <sys/types.h>

/* A process that was sent for a socket. 'from' becomes readable when it is back. */
struct netns_ask {
	pid_t child; /* 0: none was sent */
	int from;
};

/* Sends for a TCP socket of 'family' (AF_INET, AF_INET6) in the network of process 'pid'. Whoever asks waits
 * for '*ret_ask' to be readable, then calls netns_answer(); or netns_cancel() before. */
int netns_ask(uint32_t pid, int family, struct netns_ask *ret_ask, struct err *err);
/* What it has brought; non-blocking, the caller's. ERR_NOT_FOUND: process 'pid' is gone. The ask is over. */
int netns_answer(struct netns_ask *ask, uint32_t pid, int *ret_fd, struct err *err);
/* Harmless where none was sent. */
void netns_cancel(struct netns_ask *ask);
