#pragma once
/* "Did you mean": the known word nearest to what was typed, when it is near enough. */
#include "shared/base/err.h"

#include <stddef.h>

struct suggest {
	char typed[64];
	char best[64];
	size_t distance;
};

/* 'typed' need not end in NUL. Nothing is ever near an empty or very long word. */
void suggest_init(struct suggest *suggest, const char *typed, size_t len);
void suggest_try(struct suggest *suggest, const char *known);
/* Sets err's advice to "did you mean '<prefix><best>'?" when one was near. */
void suggest_advise(const struct suggest *suggest, const char *prefix, struct err *err);

/* Edits (insert, delete, replace, swap neighbours) from a to b; both shorter than 64 bytes. */
size_t edit_distance(const char *a, const char *b);
