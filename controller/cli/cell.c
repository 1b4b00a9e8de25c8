#include "controller/cli/cell.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* The code point at 's', and its length; 0 when the bytes are not UTF-8. */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0x80             ? 1
		     : (s[0] & 0xe0) == 0xc0 ? 2
		     : (s[0] & 0xf0) == 0xe0 ? 3
		     : (s[0] & 0xf8) == 0xf0 ? 4
					     : 0;
	uint32_t point;

	if (len <= 1) {
		*ret = s[0];
		return len;
	}
	point = s[0] & (0xffU >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3fU);
	}
	if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret = point;
	return len;
}

static bool is_printable(uint32_t p)
{
	static const uint32_t hidden[][2] = {
		{ 0, 0x1f },        { 0x7f, 0x9f },       { 0xad, 0xad },     { 0x61c, 0x61c },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e },   { 0x2060, 0x206f }, { 0xfeff, 0xfeff },
		{ 0xfff9, 0xfffb }, { 0xe0000, 0xe0fff },
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (p >= hidden[i][0] && p <= hidden[i][1])
			return false;
	}
	return true;
}

static void escape_point(struct text *text, uint32_t point)
{
	if (point == '\n')
		text_add(text, "\\n");
	else if (point == '\t')
		text_add(text, "\\t");
	else if (point <= 0xff)
		text_addf(text, "\\x%02x", point);
	else
		text_addf(text, "\\u{%x}", point);
}

void cell_escape(struct text *text, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p) {
		uint32_t point;
		size_t len = decode(p, &point);

		if (len == 0)
			text_addf(text, "\\x%02x", *p);
		else if (is_printable(point))
			text_add_bytes(text, p, len);
		else
			escape_point(text, point);
		p += len ? len : 1;
	}
}

size_t cell_width(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t width = 0;

	while (*p) {
		uint32_t point;
		size_t len = decode(p, &point);
		int columns = len > 1 ? wcwidth((wchar_t)point) : 1;

		width += columns >= 0 ? (size_t)columns : 1;
		p += len ? len : 1;
	}
	return width;
}

void cell_age(int64_t then_ns, int64_t now_ns, char *ret, size_t size)
{
	long long s = (long long)((now_ns - then_ns) / 1000000000);

	if (then_ns == 0)
		s = -1;
	else if (s < 0) /* the node's clock is ahead */
		s = 0;
	if (s < 0)
		snprintf(ret, size, "%s", "");
	else if (s < 120)
		snprintf(ret, size, "%llds", s);
	else if (s < 2 * 3600)
		snprintf(ret, size, "%lldm", s / 60);
	else if (s < 48 * 3600)
		snprintf(ret, size, "%lldh", s / 3600);
	else
		snprintf(ret, size, "%lldd", s / 86400);
}

void cell_millis(int64_t millis, char *ret, size_t size)
{
	long long ms = (long long)millis;

	if (ms < 1000)
		snprintf(ret, size, "%lldms", ms);
	else if (ms < 60000)
		snprintf(ret, size, "%lld.%llds", ms / 1000, ms % 1000 / 100);
	else
		snprintf(ret, size, "%lldm%llds", ms / 60000, ms % 60000 / 1000);
}
