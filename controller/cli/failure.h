#pragma once
/* How a failure looks (cli.md section 3). */
#include "shared/base/err.h"

#include <stdbool.h>
#include <stdio.h>

/* One line, the advice, and where the node's half of the story is; or the JSON object. Red on a
 * terminal unless NO_COLOR or TERM=dumb say no. */
void failure_print(FILE *out, const struct err *err, bool json);

/* A terminal that colours and cursor movements may be sent to. */
bool stream_is_terminal(FILE *stream);
