#pragma once
/* --dry-run: the plan as people and programs read it (cli.md section 3). */
#include "controller/cli/options.h"
#include "controller/provider/step.h"
#include "shared/base/err.h"

#include <stdio.h>

/* JSON: {"steps":[{"id","node","action","argv","after"}]}. Table: one line a step, and below it the
 * command quoted for a shell, which is exactly what would be executed. */
int plan_print(FILE *out, enum output_format format, const struct plan *plan, struct err *err);
