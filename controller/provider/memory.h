#pragma once
/*
 * Answers of an engine, kept in small files for as long as what they rest on is as it was: a question that
 * takes a quarter of a second is not asked again at once. Whoever keeps an answer says by a stamp what it
 * rests on. A cache: what cannot be read, is not exactly as it was written, has another stamp or is too old
 * counts as not there, and failing to keep is no matter.
 */
#include "shared/base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* For as long as the stamp holds. */
#define MEMORY_ANY_AGE INT64_MAX

/* Appends to 'ret' what was kept as 'name' in 'dir' under this very stamp, at most 'max_age_s' seconds ago.
 * False, with 'ret' untouched, when there is nothing such. */
bool memory_recall(const char *dir, const char *name, const char *stamp, int64_t max_age_s,
		   struct text *ret);

/* Puts it into <dir>/engine/<name> (0600), whole or not at all. */
void memory_keep(const char *dir, const char *name, const char *stamp, const struct text *answer);
