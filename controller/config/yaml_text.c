#include "controller/config/yaml_text.h"

#include "shared/base/cleanup.h"
#include "shared/base/utf8.h"

#include <stdbool.h>
#include <string.h>

int yaml_fail(const char *source, struct yaml_mark at, const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, 0, "%s:%d:%d: %s", source, at.line, at.column,
		       what);
}

static const char *character_fault(const unsigned char *s, size_t length)
{
	if (length == 0)
		return "this is not UTF-8 text";
	if (*s == '\0')
		return "a NUL byte is not allowed";
	if ((*s < ' ' && !strchr("\t\r\n", *s)) || *s == 0x7f)
		return "a control character is not allowed";
	return NULL;
}

/* "%YAML 1.2" and no other: libfyaml 0.7.12 never returns from some malformed ones. */
static bool is_version_directive(const unsigned char *s, size_t left)
{
	static const char version[] = "%YAML 1.2";
	size_t len = sizeof(version) - 1;

	return left > len && memcmp(s, version, len) == 0 && (s[len] == '\n' || s[len] == '\r');
}

/* The library scans a whole flow collection ahead, at some 400 bytes a token: so their number is
 * bounded before it looks. */
static bool is_flow_token(unsigned char c)
{
	return c && strchr("[]{},&!", c) != NULL;
}

/* LF, CR LF or CR alone. */
static bool ends_line(const unsigned char *s, size_t left_behind)
{
	return *s == '\n' || (*s == '\r' && (left_behind == 0 || s[1] != '\n'));
}

int yaml_check_text(const char *source, const char *text, size_t len, struct err *err)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct yaml_mark at = { 1, 1 };
	size_t flow_tokens = 0, i = 0;

	if (len > YAML_MAX_BYTES)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "%s: larger than 1 MiB", source);
	if (len >= 3 && memcmp(text, bom, 3) == 0)
		i = 3;
	while (i < len) {
		const unsigned char *s = (const unsigned char *)text + i;
		size_t length = utf8_length(s, len - i);
		const char *fault = character_fault(s, length);

		if (*s == '%' && at.column == 1 && !is_version_directive(s, len - i))
			fault = "directives are not supported";
		if (is_flow_token(*s) && ++flow_tokens > YAML_MAX_FLOW)
			fault = "too many brackets and commas; split the file";
		if (fault)
			return yaml_fail(source, at, fault, err);
		i += length;
		if (ends_line(s, len - i))
			at = (struct yaml_mark){ at.line + 1, 1 };
		else
			at.column++;
	}
	return 0;
}
