#include "controller/cli/redact.h"

#include "controller/exec/exec.h"
#include "shared/base/cleanup.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MASK "***"

static bool is_harmless(const char *name, size_t len)
{
	static const char *const known[] = { "PATH",          "TERM",       "HOME",
					     "HOSTNAME",      "LANG",       "container",
					     "BERTH_CLUSTER", "BERTH_NODE", "BERTH_ROLE" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strlen(known[i]) == len && strncmp(known[i], name, len) == 0)
			return true;
	}
	return false;
}

static bool is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	}
	return len > 0;
}

/* "NAME=value", perhaps behind "--env=" or "-e". */
static char *redact_pair(const char *word)
{
	const char *name = strncmp(word, "--env=", 6) == 0 ? word + 6 : word;
	const char *equals = strchr(name, '=');

	if (!equals || !is_name(name, (size_t)(equals - name)) ||
	    is_harmless(name, (size_t)(equals - name)))
		return NULL;
	return text_format("%.*s=" MASK, (int)(equals - word), word);
}

char *redact_text(const char *text)
{
	struct text out = { 0 };

	for (const char *s = text; *s;) {
		const char *slashes = strstr(s, "//");
		size_t len = slashes ? strcspn(slashes + 2, "@/ \t\r\n\"'") : 0;

		if (!slashes) {
			text_add(&out, s);
			break;
		}
		text_add_bytes(&out, s, (size_t)(slashes + 2 - s));
		s = slashes + 2;
		if (s[len] != '@')
			continue;
		text_add(&out, MASK);
		s += len;
	}
	return text_take(&out);
}

char *redact_variable(const char *pair)
{
	if (!exec_is_secret(pair))
		return text_format("%s", pair);
	return text_format("%.*s=" MASK, (int)strcspn(pair, "="), pair);
}

static bool is_secret_key(const char *key)
{
	static const char *const marks[] = { "password", "secret", "token", "credential",
					     "privatekey" };

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		if (strcasestr(key, marks[i]))
			return true;
	}
	return false;
}

static struct json_object *redacted_string(const char *s, bool pairs)
{
	cleanup_free char *masked = pairs ? redact_pair(s) : NULL;

	if (!masked)
		masked = redact_text(s);
	return json_object_new_string(masked ? masked : MASK);
}

static void redact_value(struct json_object *value, bool pairs);

static void redact_array(struct json_object *array, bool pairs)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		if (json_object_is_type(item, json_type_string))
			json_object_array_put_idx(
				array, i, redacted_string(json_object_get_string(item), pairs));
		else
			redact_value(item, pairs);
	}
}

static void redact_object(struct json_object *object)
{
	struct json_object_iterator at = json_object_iter_begin(object);
	struct json_object_iterator end = json_object_iter_end(object);

	for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
		const char *key = json_object_iter_peek_name(&at);
		struct json_object *item = json_object_iter_peek_value(&at);
		bool pairs = strcasecmp(key, "env") == 0 || strcmp(key, "CreateCommand") == 0;

		if (!json_object_is_type(item, json_type_string))
			redact_value(item, pairs);
		else if (is_secret_key(key))
			json_object_set_string(item, MASK);
		else {
			cleanup_free char *clean = redact_text(json_object_get_string(item));

			json_object_set_string(item, clean ? clean : MASK);
		}
	}
}

static void redact_value(struct json_object *value, bool pairs)
{
	if (json_object_is_type(value, json_type_array))
		redact_array(value, pairs);
	else if (json_object_is_type(value, json_type_object))
		redact_object(value);
}

void redact_json(struct json_object *value)
{
	redact_value(value, false);
}
