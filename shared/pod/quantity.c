#include "shared/pod/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NANO 1000000000

static const __int128 limit_nano = (__int128)INT64_MAX * NANO;

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 10^exponent or 1024^(exponent / 10). */
struct scale {
	const char *suffix;
	int power10;
	int power2;
};

static const struct scale scales[] = {
	{ "n", -9, 0 },  { "u", -6, 0 },  { "m", -3, 0 },  { "", 0, 0 },
	{ "k", 3, 0 },   { "M", 6, 0 },   { "G", 9, 0 },   { "T", 12, 0 },
	{ "P", 15, 0 },  { "E", 18, 0 },  { "Ki", 0, 10 }, { "Mi", 0, 20 },
	{ "Gi", 0, 30 }, { "Ti", 0, 40 }, { "Pi", 0, 50 }, { "Ei", 0, 60 },
};

static bool parse_suffix(const char *s, struct scale *ret, enum quantity_format *ret_format)
{
	char *end;
	long e;

	for (unsigned i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		if (strcmp(s, scales[i].suffix) == 0) {
			*ret = scales[i];
			*ret_format = scales[i].power2 ? QUANTITY_BINARY : QUANTITY_DECIMAL;
			return true;
		}
	}
	if ((*s != 'e' && *s != 'E') ||
	    !(is_digit(s[1]) || ((s[1] == '-' || s[1] == '+') && is_digit(s[2]))))
		return false;
	e = strtol(s + 1, &end, 10);
	if (*end || e < -30 || e > 18)
		return false;
	*ret = (struct scale){ .power10 = (int)e };
	*ret_format = QUANTITY_EXPONENT;
	return true;
}

/* Digits before and after the point as one integer of 'fraction' decimals; 28 are as many as the largest
 * has in billionths, and __int128 holds them. */
static bool parse_digits(const char **s, __int128 *ret, int *ret_fraction)
{
	__int128 value = 0;
	int digits = 0, fraction = 0;
	bool any = false, point = false;

	for (; is_digit(**s) || (**s == '.' && !point); (*s)++) {
		if (**s == '.') {
			point = true;
			continue;
		}
		any = true;
		if (digits >= 28)
			return false;
		value = value * 10 + (**s - '0');
		digits += value != 0;
		fraction += point;
	}
	*ret = value;
	*ret_fraction = fraction;
	return any;
}

/* value * 10^power, rounded up when power < 0; false beyond the limit. */
static bool scale10(__int128 *value, int power)
{
	__int128 divisor = 1;

	for (; power > 0 && *value; power--) {
		if (*value > limit_nano / 10)
			return false;
		*value *= 10;
	}
	for (; power < 0 && divisor <= *value; power++)
		divisor *= 10;
	*value = (*value + divisor - 1) / divisor;
	return *value <= limit_nano;
}

bool quantity_parse(const char *s, struct quantity *ret)
{
	bool negative = *s == '-';
	enum quantity_format format;
	struct scale scale;
	__int128 value;
	int fraction;

	if (*s == '-' || *s == '+')
		s++;
	if (!parse_digits(&s, &value, &fraction) || !parse_suffix(s, &scale, &format))
		return false;
	/* Binary factors first: the fraction must not be rounded before it is multiplied. */
	for (int i = 0; i < scale.power2 && value; i++) {
		if (value > ((__int128)1 << 126) / 2)
			return false;
		value *= 2;
	}
	if (!scale10(&value, 9 + scale.power10 - fraction))
		return false;
	*ret = (struct quantity){ .nano = negative ? -value : value, .format = format };
	return true;
}

static void print_scaled(__int128 value, const char *sign, int step, const char *const *suffixes,
			 unsigned count, char ret[48])
{
	char digits[40];
	size_t at = sizeof(digits);
	unsigned i = 0;

	for (; i + 1 < count && value % step == 0; i++)
		value /= step;
	digits[--at] = '\0';
	for (; value; value /= 10)
		digits[--at] = (char)('0' + value % 10);
	snprintf(ret, 48, "%s%s%s", sign, digits + at, suffixes[i]);
}

void quantity_print(const struct quantity *q, char ret[48])
{
	static const char *const decimal[] = { "n", "u", "m", "", "k", "M", "G", "T", "P", "E" };
	static const char *const exponent[] = { "e-9", "e-6", "e-3", "",    "e3",
						"e6",  "e9",  "e12", "e15", "e18" };
	static const char *const binary[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
	__int128 value = q->nano < 0 ? -q->nano : q->nano;
	const char *sign = q->nano < 0 ? "-" : "";

	if (value == 0) {
		snprintf(ret, 48, "0");
		return;
	}
	/* Kubernetes rather leaves the powers of 1024 than say less than it was told. */
	if (q->format == QUANTITY_BINARY && value >= (__int128)1024 * NANO && value % NANO == 0)
		print_scaled(value / NANO, sign, 1024, binary, 7, ret);
	else
		print_scaled(value, sign, 1000, q->format == QUANTITY_EXPONENT ? exponent : decimal,
			     10, ret);
}

static int64_t divided(__int128 nano, int64_t by)
{
	__int128 value = nano > 0 ? (nano + by - 1) / by : nano / by;

	if (value > INT64_MAX)
		return INT64_MAX;
	return value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

int64_t quantity_milli(const struct quantity *q)
{
	return divided(q->nano, NANO / 1000);
}

int64_t quantity_value(const struct quantity *q)
{
	return divided(q->nano, NANO);
}
