#include "controller/exec/exec.h"

#include <stdio.h>
#include <string.h>

/* Of "--env=KEY=value" the value's place when KEY or the value look secret: passwords, tokens, and
 * URLs that carry a user (proxies do). */
static const char *secret_value(const char *word)
{
	static const char *const marks[] = { "PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL" };
	const char *key, *equals;
	char upper[64] = "";

	if (strncmp(word, "--env=", 6) != 0)
		return NULL;
	key = word + 6;
	equals = strchr(key, '=');
	if (!equals)
		return NULL;
	for (size_t i = 0; key + i < equals && i < sizeof(upper) - 1; i++)
		upper[i] = (char)(key[i] >= 'a' && key[i] <= 'z' ? key[i] - 32 : key[i]);
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		if (strstr(upper, marks[i]))
			return equals + 1;
	}
	return strstr(equals, "://") && strchr(equals, '@') ? equals + 1 : NULL;
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
