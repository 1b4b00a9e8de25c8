#pragma once
/* A real `berthd relay`, started as an engine's exec would start it, by one who means no good. */
#include "tests/support/hostile.h"

struct hostile_relay {
	struct hostile_way way;
	const char *binary, *socket;
	pid_t pid;
	int in, out; /* what it reads, what it writes */
	bool murder; /* closing kills it, as an engine does that loses its client */
};

/* Each opening starts a process. Closing ends its input and waits; a process that then does not end by itself,
 * with 0, ends the caller with 90. */
struct hostile_relay hostile_relay(const char *binary, const char *socket);
