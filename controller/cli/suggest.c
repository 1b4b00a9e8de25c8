#include "controller/cli/suggest.h"

#include <stdio.h>
#include <string.h>

#define MAX_WORD 64

static size_t least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][MAX_WORD + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2], *swap;
	size_t la = strlen(a), lb = strlen(b);

	for (size_t j = 0; j <= lb; j++)
		last[j] = j;
	for (size_t i = 1; i <= la; i++) {
		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

			now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1, now[j]);
		}
		swap = before;
		before = last;
		last = now;
		now = swap;
	}
	return last[lb];
}

void suggest_init(struct suggest *suggest, const char *typed, size_t len)
{
	memset(suggest, 0, sizeof(*suggest));
	if (len < sizeof(suggest->typed))
		memcpy(suggest->typed, typed, len);
	suggest->distance = (size_t)-1;
}

void suggest_try(struct suggest *suggest, const char *known)
{
	size_t len = strlen(suggest->typed), distance;

	if (len == 0 || strlen(known) >= sizeof(suggest->best))
		return;
	distance = edit_distance(suggest->typed, known);
	/* What is typed short is often the beginning: "conf" for "config". */
	if (len >= 3 && strncmp(known, suggest->typed, len) == 0)
		distance = 1;
	if (distance > 2 || distance * 2 > len || distance >= suggest->distance)
		return;
	suggest->distance = distance;
	snprintf(suggest->best, sizeof(suggest->best), "%s", known);
}

void suggest_advise(const struct suggest *suggest, const char *prefix, struct err *err)
{
	char advice[128];

	if (!suggest->best[0])
		return;
	snprintf(advice, sizeof(advice), "did you mean '%s%s'?", prefix, suggest->best);
	err_explain(err, NULL, advice);
}
