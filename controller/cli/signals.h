#pragma once
/*
 * Signals, both ways: the names and Linux numbers of those sent to nodes, and what SIGINT and SIGTERM
 * do to berth itself.
 */
#include "controller/exec/exec.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* "TERM", "SIGTERM", "sigterm", "15": the number Linux gives it, whatever this host is. 1 to 64. */
bool signal_parse(const char *s, int64_t *ret);

/*
 * Handles SIGINT and SIGTERM and ignores SIGPIPE. A command that has nothing to clean up ends at once
 * with exit code 130. Between signals_graceful(true) and (false) the first signal makes
 * '*ret_interrupt' readable and the command winds up by itself; so does the second; the third ends
 * berth where it stands. Once a process.
 */
int signals_install(struct interrupt *ret_interrupt, struct err *err);
void signals_graceful(bool graceful);
/*
 * From now on SIGINT, SIGTERM, SIGHUP and SIGWINCH do nothing here but write their number, one byte each,
 * into a pipe, for a command that hands them on to a node: '*ret_fd' is its other end, ours. Once a process.
 */
int signals_divert(int *ret_fd, struct err *err);
/* Whether any came that was not diverted. */
bool signals_came(void);
