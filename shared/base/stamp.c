#include "shared/base/stamp.h"

#include <string.h>

#define NS_PER_S  INT64_C(1000000000)
#define S_PER_DAY 86400

/* Days between 1970-01-01 and a date of the Gregorian calendar: years begin in March here, so that the
 * leap day is the last of its year. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t century = (y >= 0 ? y : y - 399) / 400;
	int64_t of_century = y - century * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return century * 146097 + of_century * 365 + of_century / 4 - of_century / 100 + of_year -
	       719468;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
	int64_t z = days + 719468;
	int64_t century = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_century = z - century * 146097;
	int64_t y =
		(of_century - of_century / 1460 + of_century / 36524 - of_century / 146096) / 365;
	int64_t of_year = of_century - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;

	*day = of_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = y + century * 400 + (*month <= 2);
}

/* 'count' digits at 's' as a number; -1 when they are none. */
static int64_t digits(const char *s, size_t count)
{
	int64_t value = 0;

	for (size_t i = 0; i < count; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		value = value * 10 + (s[i] - '0');
	}
	return value;
}

static bool parse_seconds(const char *s, int64_t *ret)
{
	int64_t year = digits(s, 4), month = digits(s + 5, 2), day = digits(s + 8, 2);
	int64_t hour = digits(s + 11, 2), minute = digits(s + 14, 2), second = digits(s + 17, 2);

	if (s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != ' ') || s[13] != ':' ||
	    s[16] != ':' || year < 0 || month < 1 || month > 12 || day < 1 || day > 31 ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	*ret = days_of(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second;
	return true;
}

static size_t parse_fraction(const char *s, size_t len, int64_t *ret_ns)
{
	int64_t unit = NS_PER_S;
	size_t at = 1;

	*ret_ns = 0;
	if (len == 0 || s[0] != '.')
		return 0;
	for (; at < len && s[at] >= '0' && s[at] <= '9'; at++) {
		unit /= 10;
		*ret_ns += (s[at] - '0') * unit;
	}
	return at;
}

/* "Z", "+01:00"; 0 when it is neither. */
static size_t parse_zone(const char *s, size_t len, int64_t *ret_s)
{
	int64_t hours, minutes;

	*ret_s = 0;
	if (len >= 1 && s[0] == 'Z')
		return 1;
	if (len < 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':')
		return 0;
	hours = digits(s + 1, 2);
	minutes = digits(s + 4, 2);
	if (hours < 0 || minutes < 0)
		return 0;
	*ret_s = (hours * 3600 + minutes * 60) * (s[0] == '-' ? -1 : 1);
	return 6;
}

bool stamp_parse(const char *s, size_t len, int64_t *ret_ns, size_t *ret_used)
{
	int64_t seconds, ns, zone_s;
	size_t at = 19, zone_len;

	if (len < at + 1 || !parse_seconds(s, &seconds))
		return false;
	at += parse_fraction(s + at, len - at, &ns);
	zone_len = parse_zone(s + at, len - at, &zone_s);
	if (!zone_len)
		return false;
	if (__builtin_mul_overflow(seconds - zone_s, NS_PER_S, &seconds) ||
	    __builtin_add_overflow(seconds, ns, &ns))
		return false;
	*ret_ns = ns;
	if (ret_used)
		*ret_used = at + zone_len;
	return true;
}

static void put(char *at, size_t count, int64_t value)
{
	while (count-- > 0) {
		at[count] = (char)('0' + value % 10);
		value /= 10;
	}
}

size_t stamp_format(int64_t ns, char ret[STAMP_BYTES])
{
	int64_t seconds = ns / NS_PER_S - (ns % NS_PER_S < 0);
	int64_t days = seconds / S_PER_DAY - (seconds % S_PER_DAY < 0);
	int64_t of_day = seconds - days * S_PER_DAY, year, month, day;

	date_of(days, &year, &month, &day);
	memcpy(ret, "0000-00-00T00:00:00.000000000Z", STAMP_BYTES);
	put(ret, 4, year);
	put(ret + 5, 2, month);
	put(ret + 8, 2, day);
	put(ret + 11, 2, of_day / 3600);
	put(ret + 14, 2, of_day / 60 % 60);
	put(ret + 17, 2, of_day % 60);
	put(ret + 20, 9, ns - seconds * NS_PER_S);
	return STAMP_BYTES - 1;
}
