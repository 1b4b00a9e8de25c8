#include "controller/config/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(s, *words) == 0)
			return true;
	}
	return false;
}

static const char *const null_words[] = { "", "~", "null", "Null", "NULL", NULL };
static const char *const true_words[] = { "true", "True", "TRUE", "y",  "Y",  "yes",
					  "Yes",  "YES",  "on",   "On", "ON", NULL };
static const char *const false_words[] = { "false", "False", "FALSE", "n",   "N",   "no",
					   "No",    "NO",    "off",   "Off", "OFF", NULL };
static const char *const odd_floats[] = { ".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",
					  ".INF",  "+.inf", "+.Inf", "+.INF", "-.inf",
					  "-.Inf", "-.INF", NULL };

/* An integer's digits and their base; 'digits' still holds '_'. */
static int integer_base(const char **digits)
{
	static const struct {
		char prefix[3];
		int base;
	} bases[] = {
		{ "0x", 16 }, { "0X", 16 }, { "0o", 8 }, { "0O", 8 }, { "0b", 2 }, { "0B", 2 }
	};

	for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
		if (strncmp(*digits, bases[i].prefix, 2) == 0) {
			*digits += 2;
			return bases[i].base;
		}
	}
	return **digits == '0' && (*digits)[1] ? 8 : 10;
}

static bool is_digit_of(char c, int base)
{
	const char *all = "0123456789abcdef";
	const char *at = c ? strchr(all, tolower((unsigned char)c)) : NULL;

	return at && at - all < base;
}

static const char *skip_sign(const char *s)
{
	return *s == '-' || *s == '+' ? s + 1 : s;
}

static bool is_integer(const char *s)
{
	const char *digits = skip_sign(s);
	bool any = false;
	int base;

	if (!isdigit((unsigned char)*digits))
		return false;
	base = integer_base(&digits);
	for (; *digits; digits++) {
		if (*digits != '_' && !is_digit_of(*digits, base))
			return false;
		any |= *digits != '_';
	}
	return any;
}

static const char *skip_digits(const char *s, bool *any)
{
	for (; isdigit((unsigned char)*s) || (*any && *s == '_'); s++)
		*any = true;
	return s;
}

/* [-+]? digits [. digits] [e [-+]? digits], digits on at least one side of the point. */
static bool is_float(const char *s)
{
	bool any = false, exponent = false;

	s = skip_digits(skip_sign(s), &any);
	if (*s == '.')
		s = skip_digits(s + 1, &any);
	if (!any)
		return false;
	if (*s != 'e' && *s != 'E')
		return *s == '\0';
	s = skip_digits(skip_sign(s + 1), &exponent);
	return exponent && *s == '\0';
}

enum yaml_type yaml_plain_type(const char *text)
{
	if (is_one_of(text, null_words))
		return YAML_NULL;
	if (is_one_of(text, true_words) || is_one_of(text, false_words))
		return YAML_BOOL;
	if (is_integer(text))
		return YAML_INT;
	if (is_float(text) || is_one_of(text, odd_floats))
		return YAML_FLOAT;
	return YAML_STRING;
}

const char *yaml_type_name(enum yaml_type type)
{
	static const char *const type_names[] = {
		[YAML_NULL] = "null",        [YAML_BOOL] = "a boolean",  [YAML_INT] = "a number",
		[YAML_FLOAT] = "a fraction", [YAML_STRING] = "a string", [YAML_LIST] = "a list",
		[YAML_MAP] = "a map",
	};

	return type_names[type];
}

bool yaml_bool(const struct yaml *node)
{
	return is_one_of(node->text, true_words);
}

bool yaml_int(const struct yaml *node, int64_t min, int64_t max, int64_t *ret)
{
	const char *digits = skip_sign(node->text);
	char plain[80] = "";
	size_t n = 0;
	int base = integer_base(&digits);
	long long value;

	if (node->text[0] == '-')
		plain[n++] = '-';
	for (; *digits; digits++) {
		if (*digits == '_')
			continue;
		if (n + 1 == sizeof(plain))
			return false;
		plain[n++] = *digits;
	}
	errno = 0;
	value = strtoll(plain, NULL, base);
	if (errno || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

const struct yaml *yaml_get(const struct yaml *node, const char *key)
{
	if (!node || node->type != YAML_MAP)
		return NULL;
	for (const struct yaml *child = node->first; child; child = child->next) {
		if (strcmp(child->key, key) == 0)
			return child;
	}
	return NULL;
}

int yaml_clip(const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);

	if (len <= max)
		return (int)len;
	for (len = max; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80;)
		len--;
	return (int)len;
}

static size_t index_of(const struct yaml *node)
{
	const struct yaml *item = node->parent->first;
	size_t i = 0;

	for (; item != node; item = item->next)
		i++;
	return i;
}

/* One step of the path, as it stands after its parent's. */
static void path_step(const struct yaml *node, char *ret, size_t size)
{
	const char *dot = node->parent->parent ? "." : "";

	if (node->key)
		snprintf(ret, size, "%s%.*s", dot, yaml_clip(node->key, size - 2), node->key);
	else
		snprintf(ret, size, "[%zu]", index_of(node));
}

void yaml_path(const struct yaml *node, char *ret, size_t size)
{
	char step[64];
	size_t used = 0, len;

	ret[0] = '\0';
	for (; node->parent; node = node->parent) {
		path_step(node, step, sizeof(step));
		len = strlen(step);
		if (used + len + sizeof("...") > size) {
			memmove(ret + 3, ret, used + 1);
			memcpy(ret, "...", 3);
			return;
		}
		memmove(ret + len, ret, used + 1);
		memcpy(ret, step, len);
		used += len;
	}
}
