#pragma once
/*
 * For those who write a way to an agent. To add one: a channel_<name>.{h,c} here whose opening function
 * checks what it is given, makes its 'arg' and ends in bridge_open() with its ops; node.c chooses it.
 */
#include "controller/client/bridge.h"
#include "shared/base/deadline.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One byte pipe to the agent's public socket. */
struct bridge_pipe {
	void *arg;    /* the way's own */
	int read_fd;  /* non-blocking; polled for what comes */
	int write_fd; /* non-blocking; polled for what goes; may be the same */
};

/* Every slot is called from the thread of one connection; SIGPIPE is blocked there. */
struct bridge_ops {
	const char *name; /* as in --channel; [a-z]+ */

	/* Opens a pipe. Blocks up to 'by', ends early when 'stop_fd' becomes readable. Several may be open
	 * at once, and several open() run at once: 'arg' is shared between them. ERR_UNAVAILABLE for what
	 * may go better next time. */
	int (*open)(void *arg, int stop_fd, struct deadline by, struct bridge_pipe *ret_pipe,
		    struct err *err);

	/* Optional, as read(2): EAGAIN when there is nothing yet. NULL: read(read_fd). */
	ssize_t (*read)(struct bridge_pipe *pipe, uint8_t *bytes, size_t size);

	/* Optional, as write(2). NULL: write(write_fd). */
	ssize_t (*write)(struct bridge_pipe *pipe, const uint8_t *bytes, size_t len);

	/* Optional: whether read() has something that poll(2) on read_fd does not show. NULL: never. */
	bool (*has_pending)(struct bridge_pipe *pipe);

	/* The pipe has ended before the agent said a byte: fills '*err' with why. Returns -1. Optional:
	 * NULL says that the connection was closed. */
	int (*explain)(struct bridge_pipe *pipe, struct err *err);

	/* Closes the pipe and all that belongs to it. */
	void (*close)(struct bridge_pipe *pipe);

	/* Frees 'arg', once, when no pipe is open any more. */
	void (*release)(void *arg);
};

/* Listens; no pipe is opened before nng connects and has sent its first byte. 'ops' is borrowed for
 * good, 'arg' is the bridge's from here on, also on failure. */
int bridge_open(const struct bridge_ops *ops, void *arg, struct bridge **ret_bridge,
		struct err *err);
