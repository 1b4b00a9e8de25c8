#pragma once
/*
 * What is checked before libfyaml sees a text: it must be UTF-8 without control characters, and
 * hold nothing that is known to cost the library time or memory without bounds.
 */
#include "controller/config/yaml.h"
#include "shared/base/err.h"

#include <stddef.h>

/* ERR_INVALID_ARGUMENT, "source:line:column: what"; for a text that is too large without a place. */
int yaml_check_text(const char *source, const char *text, size_t len, struct err *err);

/* The error that every fault of a text is. Returns -1. */
int yaml_fail(const char *source, struct yaml_mark at, const char *what, struct err *err);
