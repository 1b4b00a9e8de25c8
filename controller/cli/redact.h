#pragma once
/*
 * Taking secrets out of what leaves this machine. Pure.
 */
#include "shared/base/text.h"

#include <json-c/json.h>
#include <stddef.h>

/* In place: the value of every "NAME=value" in arrays called Env or CreateCommand, of every member of
 * objects whose name says that it is secret, and of "user:password@" in any text. What Berth itself has set
 * stays. */
void redact_json(struct json_object *value);

/* One "NAME=value" as it may be shown, the value masked when it is secret (exec_is_secret()). Caller frees;
 * NULL when out of memory. */
char *redact_variable(const char *pair);

/* A copy without "//user:password@"; caller frees, NULL when out of memory. */
char *redact_text(const char *text);
