#include "shared/base/utf8.h"

#include <stdint.h>
#include <string.h>

size_t utf8_length(const void *text, size_t left)
{
	static const struct {
		uint8_t first, last, second_min, second_max, length;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const size_t count = sizeof(forms) / sizeof(forms[0]);
	const uint8_t *s = text;
	size_t i = 0;

	while (i < count && (*s < forms[i].first || *s > forms[i].last))
		i++;
	if (i == count || forms[i].length > left)
		return 0;
	if (forms[i].length > 1 && (s[1] < forms[i].second_min || s[1] > forms[i].second_max))
		return 0;
	for (size_t k = 2; k < forms[i].length; k++) {
		if ((s[k] & 0xc0) != 0x80)
			return 0;
	}
	return forms[i].length;
}

size_t utf8_copy(char *dst, size_t size, const char *src)
{
	size_t left = strlen(src), used = 0;

	while (left) {
		size_t length = utf8_length(src, left);
		size_t step = length ? length : 1;

		if (used + step >= size)
			break;
		memmove(dst + used, src, step);
		if (!length)
			dst[used] = '?';
		else if ((unsigned char)dst[used] < ' ' || dst[used] == 0x7f)
			dst[used] = ' ';
		used += step;
		src += step;
		left -= step;
	}
	dst[used] = '\0';
	return used;
}
