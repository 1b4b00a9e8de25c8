#pragma once
/*
 * Sessions on nodes in front of a person: keys and signals go there, output comes here, the terminal is
 * handed over and taken back. One set a command; its sessions may run in parallel, a thread each.
 */
#include "controller/cli/invocation.h"
#include "controller/client/stream.h"

struct session_set;

struct session_how {
	bool input;      /* standard input goes to the session; with one session only */
	bool tty;        /* the session has a terminal; keys go to it raw when input does, too */
	bool name_lines; /* each line begins with "NODE: " */
};

/* Diverts signals: SIGINT, SIGTERM and SIGHUP go to every session; the third one, and any before there is
 * a session, ends them. Borrows 'inv'. */
int session_set_open(struct invocation *inv, const struct session_how *how,
		     struct session_set **ret_set, struct err *err);
/* The terminal is as it was. NULL is fine. */
void session_set_close(struct session_set *set);
DEFINE_CLEANUP(session_set, struct session_set *, session_set_close)

/* Until the session ends. ERR_CANCELLED: by signals, or (reason OUTPUT_CLOSED) because nobody reads what
 * comes out. 'node' is for the lines. */
int session_run(struct session_set *set, struct client_stream *s, const char *node,
		struct client_stream_end *ret_end, struct err *err);
