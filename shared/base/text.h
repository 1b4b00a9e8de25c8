#pragma once
/*
 * Text that grows, and lists of text. Both remember an allocation failure instead of returning it
 * at each step: build, then ask once with text_failed() or strv_failed().
 */
#include "shared/base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

/* A growing string. Zero-initialise; release with text_release(). 'data' is NULL until the first
 * byte, then always NUL-terminated. */
struct text {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const void *bytes, size_t len);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool text_failed(const struct text *t);

/* The text so far, "" when there is none. Borrowed until the next change. */
const char *text_str(const struct text *t);

/* Moves the string out (caller frees); NULL when an allocation failed. Leaves 't' empty. */
char *text_take(struct text *t);
void text_release(struct text *t);

/* A NULL-terminated list of strings, all owned. Zero-initialise; release with strv_release(). */
struct strv {
	char **items; /* NULL while empty; else items[count] == NULL, as execv(3) wants it */
	size_t count;
	size_t cap;
	bool failed;
};

void strv_add(struct strv *v, const char *s);
void strv_addf(struct strv *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strv_add_all(struct strv *v, const struct strv *more);
bool strv_failed(const struct strv *v);
bool strv_has(const struct strv *v, const char *s);
void strv_release(struct strv *v);

/* The words quoted for a POSIX shell and joined by blanks: for people, never for execution. Caller
 * frees; NULL on allocation failure. */
char *strv_quote(const struct strv *v);

/* malloc'd printf; NULL on failure. */
char *text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline __attribute__((unused)) void cleanup_text(struct text *t)
{
	text_release(t);
}

static inline __attribute__((unused)) void cleanup_strv(struct strv *v)
{
	strv_release(v);
}
