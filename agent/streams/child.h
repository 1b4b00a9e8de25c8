#pragma once
/*
 * A program as the source of a session: pipes or a terminal, a process group and a cgroup of its own
 * below the agent's delegated one, emptied when the session ends (NS-283, I16). Exec runs users' commands
 * with it; logs, copies and image imports run helpers.
 */
#include "agent/streams/stream.h"

#include <stdbool.h>
#include <stddef.h>

struct child_spec {
	const char *kind;        /* of the session; static */
	const char *const *argv; /* ends with NULL; argv[0] is looked up in PATH */
	const char *const
		*env; /* "NAME=VALUE" in addition to the plain ones; ends with NULL; may be NULL */
	const char *directory; /* absolute; NULL: the user's home */
	const char *user;      /* as in ExecStartRequest; NULL: root */
	bool tty;
	unsigned rows, columns; /* of the terminal; 0: 24 by 80 */
	bool input;             /* keep stdin open; else /dev/null */
	/* One of Berth's own helpers: it gets a memory and a process limit, and what it says on stderr
	 * becomes the end's err.msg when it exits with a code other than 0 (ERR_FAILED_PRECONDITION). */
	bool helper;
};

/* Starts it. ERR_NOT_FOUND: no such program (reason PROGRAM_NOT_FOUND), directory or user. Everything in
 * 'spec' is borrowed for the call only. */
int child_stream_open(struct streams *streams, const struct child_spec *spec, enum method_role role,
		      struct stream **ret_stream, struct err *err);
