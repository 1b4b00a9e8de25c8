#include "shared/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool text_reserve(struct text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 64;
	char *data;

	if (t->failed || more > (size_t)-1 / 4 - t->len)
		goto fail;
	while (cap < t->len + more + 1)
		cap *= 2;
	if (cap == t->cap)
		return true;
	data = realloc(t->data, cap);
	if (!data)
		goto fail;
	t->data = data;
	t->cap = cap;
	return true;
fail:
	t->failed = true;
	return false;
}

void text_add_bytes(struct text *t, const void *bytes, size_t len)
{
	if (!text_reserve(t, len))
		return;
	if (len)
		memcpy(t->data + t->len, bytes, len);
	t->len += len;
	t->data[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_add_bytes(t, s, strlen(s));
}

static void text_add_va(struct text *t, const char *fmt, va_list ap)
{
	va_list again;
	int need;

	va_copy(again, ap);
	need = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (need < 0) {
		t->failed = true;
		return;
	}
	if (!text_reserve(t, (size_t)need))
		return;
	vsnprintf(t->data + t->len, (size_t)need + 1, fmt, ap);
	t->len += (size_t)need;
}

void text_addf(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_add_va(t, fmt, ap);
	va_end(ap);
}

bool text_failed(const struct text *t)
{
	return t->failed;
}

const char *text_str(const struct text *t)
{
	return t->data ? t->data : "";
}

char *text_take(struct text *t)
{
	char *s = NULL;

	if (!t->failed)
		s = t->data ? t->data : strdup("");
	else
		free(t->data);
	*t = (struct text){ 0 };
	return s;
}

void text_release(struct text *t)
{
	free(t->data);
	*t = (struct text){ 0 };
}

char *text_format(const char *fmt, ...)
{
	struct text t = { 0 };
	va_list ap;

	va_start(ap, fmt);
	text_add_va(&t, fmt, ap);
	va_end(ap);
	return text_take(&t);
}

static void strv_take(struct strv *v, char *s)
{
	if (!s || v->failed)
		goto fail;
	if (v->count + 2 > v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 16;
		char **items = realloc(v->items, cap * sizeof(*items));

		if (!items)
			goto fail;
		v->items = items;
		v->cap = cap;
	}
	v->items[v->count++] = s;
	v->items[v->count] = NULL;
	return;
fail:
	free(s);
	v->failed = true;
}

void strv_add(struct strv *v, const char *s)
{
	strv_take(v, strdup(s));
}

void strv_addf(struct strv *v, const char *fmt, ...)
{
	struct text t = { 0 };
	va_list ap;

	va_start(ap, fmt);
	text_add_va(&t, fmt, ap);
	va_end(ap);
	strv_take(v, text_take(&t));
}

void strv_add_all(struct strv *v, const struct strv *more)
{
	for (size_t i = 0; i < more->count; i++)
		strv_add(v, more->items[i]);
}

bool strv_failed(const struct strv *v)
{
	return v->failed;
}

bool strv_has(const struct strv *v, const char *s)
{
	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->items[i], s) == 0)
			return true;
	}
	return false;
}

void strv_release(struct strv *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct strv){ 0 };
}

static void quote_word(struct text *t, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789@%+=:,./-_";

	if (*word && strspn(word, plain) == strlen(word)) {
		text_add(t, word);
		return;
	}
	text_add(t, "'");
	for (; *word; word++) {
		if (*word == '\'')
			text_add(t, "'\\''");
		else
			text_add_bytes(t, word, 1);
	}
	text_add(t, "'");
}

char *strv_quote(const struct strv *v)
{
	struct text t = { 0 };

	for (size_t i = 0; i < v->count; i++) {
		if (i)
			text_add(&t, " ");
		quote_word(&t, v->items[i]);
	}
	return text_take(&t);
}
