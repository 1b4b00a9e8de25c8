#include "agent/units/utf8.h"

/* Length of the character at 's', 0 when it is none (RFC 3629: shortest form, no surrogates). */
static size_t char_len(const unsigned char *s)
{
	size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	unsigned char low = 0x80, high = 0xbf;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

size_t utf8_copy(char *dst, size_t size, const char *src)
{
	const unsigned char *s = (const unsigned char *)src;
	size_t used = 0;

	while (*s) {
		size_t len = char_len(s);
		size_t step = len ? len : 1;

		if (used + step >= size)
			break;
		for (size_t i = 0; i < step; i++)
			dst[used + i] = (char)s[i];
		if (!len)
			dst[used] = '?';
		else if (s[0] < ' ' || s[0] == 0x7f)
			dst[used] = ' ';
		used += step;
		s += step;
	}
	dst[used] = '\0';
	return used;
}
