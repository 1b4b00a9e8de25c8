#include "controller/exec/exec.h"

#include <stdio.h>
#include <string.h>

static bool has_secret_name(const char *upper)
{
	static const char *const marks[] = { "PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL" };

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		if (strstr(upper, marks[i]))
			return true;
	}
	return false;
}

bool exec_is_secret(const char *pair)
{
	const char *equals = strchr(pair, '=');
	char upper[64] = "";

	if (!equals)
		return false;
	for (size_t i = 0; pair + i < equals && i < sizeof(upper) - 1; i++)
		upper[i] = (char)(pair[i] >= 'a' && pair[i] <= 'z' ? pair[i] - 32 : pair[i]);
	if (has_secret_name(upper))
		return true;
	return strchr(equals, '@') && (strstr(equals, "://") || strstr(upper, "_PROXY"));
}

/* Of "--env=KEY=value" the value's place when it is secret. */
static const char *secret_value(const char *word)
{
	if (strncmp(word, "--env=", 6) != 0 || !exec_is_secret(word + 6))
		return NULL;
	return strchr(word + 6, '=') + 1;
}

char *exec_argv_text(const struct strv *argv)
{
	cleanup_with(strv) struct strv shown = { 0 };

	for (size_t i = 0; i < argv->count; i++) {
		const char *word = argv->items[i], *secret = secret_value(word);

		if (secret)
			strv_addf(&shown, "%.*s***", (int)(secret - word), word);
		else
			strv_add(&shown, word);
	}
	return strv_failed(&shown) ? NULL : strv_quote(&shown);
}

void exec_last_line(const struct exec_result *result, char *ret, size_t size)
{
	const char *s = text_str(&result->errs);
	size_t end = result->errs.len, begin;

	while (end > 0 && strchr("\r\n\t ", s[end - 1]))
		end--;
	begin = end;
	while (begin > 0 && s[begin - 1] != '\n')
		begin--;
	snprintf(ret, size, "%.*s", (int)(end - begin), s + begin);
}
