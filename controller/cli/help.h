#pragma once
/* Help, written from the command table. */
#include "controller/cli/command.h"

#include <stdio.h>

/* All commands, one line each, with the global flags and the exit codes. */
void help_overview(FILE *out);
void help_exit_codes(FILE *out);
/* Whether the verb wants a noun: "get" does, "status" does not. */
bool help_has_nouns(const char *verb);
/* The commands of one verb. */
void help_verb(FILE *out, const char *verb);
void help_command(FILE *out, const struct command *command);
/* docs/commands.md. */
void help_reference(FILE *out);
