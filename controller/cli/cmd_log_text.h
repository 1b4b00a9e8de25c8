#pragma once
/* A log of a node as it is now, whole, as one text: for the support bundle. */
#include "controller/cli/cmd_log_open.h"

/* Appends the log to 'ret', the last 'max' bytes of it, from the beginning of a line, as lines of
 * streams.proto; a NUL in it becomes a blank. On failure 'ret' has what came until then: ERR_NOT_FOUND
 * for a container without a log, reason NO_PREVIOUS_RUN for one without a run before, ERR_DEADLINE_EXCEEDED, or what else the agent says. */
int log_text(struct node *node, const struct log_wanted *wanted, struct deadline by, size_t max,
	     struct text *ret, struct err *err);
