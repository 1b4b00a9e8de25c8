#include "shared/base/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000LL

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z');
}

bool parse_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	const char *digits = *s == '-' ? s + 1 : s;
	long long value;
	char *end;

	if (!is_digit(*digits))
		return false;
	errno = 0;
	value = strtoll(s, &end, 10);
	if (errno || *end || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

static bool unit_to_us(const char **s, double *ret)
{
	static const struct {
		const char *name;
		double us;
	} units[] = {
		{ "ns", 1e-3 }, { "us", 1 },   { "ms", 1e3 },
		{ "s", 1e6 },   { "m", 60e6 }, { "h", 3600e6 },
	};

	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(*s, units[i].name, len) == 0) {
			*s += len;
			*ret = units[i].us;
			return true;
		}
	}
	return false;
}

/* digits[.digits], no sign, no exponent: strtod alone would accept "inf" and "0x1p3". */
static bool number(const char **s, double *ret)
{
	double value = 0, scale = 1;
	const char *p = *s;
	bool any = false;

	for (; is_digit(*p); p++, any = true)
		value = value * 10 + (*p - '0');
	if (*p == '.') {
		for (p++; is_digit(*p); p++, any = true)
			value += (*p - '0') * (scale /= 10);
	}
	*s = p;
	*ret = value;
	return any;
}

bool parse_duration_ms(const char *s, int64_t *ret_ms)
{
	double us = 0, value, unit;

	if (strcmp(s, "0") == 0) {
		*ret_ms = 0;
		return true;
	}
	if (!*s)
		return false;
	while (*s) {
		if (!number(&s, &value) || !unit_to_us(&s, &unit))
			return false;
		us += value * unit;
	}
	if (us > 9e15) /* 285 years: no deadline anyone meant */
		return false;
	*ret_ms = (int64_t)((us + 999.999) / 1000);
	return true;
}

bool name_is_valid(const char *s, unsigned max)
{
	size_t len = strlen(s);

	if (len == 0 || len > max || !is_lower_alnum(s[0]) || !is_lower_alnum(s[len - 1]))
		return false;
	for (; *s; s++) {
		if (!is_lower_alnum(*s) && *s != '-' && *s != '.')
			return false;
	}
	return true;
}

static bool label_is_valid(const char *s, size_t len)
{
	if (len == 0 || len > 63 || !is_lower_alnum(s[0]) || !is_lower_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_lower_alnum(s[i]) && s[i] != '-')
			return false;
	}
	return true;
}

bool name_is_label(const char *s)
{
	return label_is_valid(s, strlen(s));
}

bool name_is_subdomain(const char *s)
{
	if (strlen(s) > 253)
		return false;
	for (;;) {
		size_t len = strcspn(s, ".");

		if (!label_is_valid(s, len))
			return false;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

bool name_matches(const char *glob, const char *name)
{
	const char *star = NULL, *retry = NULL;

	while (*name) {
		if (*glob == '*') {
			star = glob++;
			retry = name;
		} else if (*glob == '?' || *glob == *name) {
			glob++;
			name++;
		} else if (star) {
			glob = star + 1;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

int64_t time_parse_ns(const char *s)
{
	struct tm tm = { 0 };
	const char *end = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ns = 0, seconds_ns, digit = NS_PER_S / 10;

	if (end && *end == '.') {
		for (end++; is_digit(*end); end++, digit /= 10)
			ns += (*end - '0') * digit;
	}
	if (!end || strcmp(end, "Z") != 0)
		return 0;
	if (__builtin_mul_overflow((int64_t)timegm(&tm), NS_PER_S, &seconds_ns) ||
	    __builtin_add_overflow(seconds_ns, ns, &ns))
		return 0;
	return ns;
}
