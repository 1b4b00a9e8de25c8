#pragma once
/* The command line as one function: argv in, exit code out. */
#include "controller/exec/exec.h"

#include <stdio.h>

/* 'interrupt' may be NULL. Results go to 'out', everything else to 'errs'. */
int cli_main(int argc, char **argv, const struct interrupt *interrupt, FILE *out, FILE *errs);
