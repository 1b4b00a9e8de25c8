#include "controller/cli/fields.h"

#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000LL

void field_text(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value ? value : ""));
}

void field_int(struct json_object *object, const char *key, int64_t value)
{
	json_object_object_add(object, key, json_object_new_int64(value));
}

void field_bool(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

void field_time_ns(struct json_object *object, const char *key, int64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct json_object *value = NULL;
	char text[32];
	struct tm tm;

	if (wall_ns > 0 && gmtime_r(&seconds, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		value = json_object_new_string(text);
	json_object_object_add(object, key, value);
}

struct json_object *field_object(struct json_object *object, const char *key)
{
	struct json_object *child = json_object_new_object();

	json_object_object_add(object, key, child);
	return child;
}

struct json_object *field_array(struct json_object *object, const char *key)
{
	struct json_object *child = json_object_new_array();

	json_object_object_add(object, key, child);
	return child;
}

struct json_object *row_add(struct json_object *rows)
{
	struct json_object *row = json_object_new_object();

	json_object_array_add(rows, row);
	return row;
}

struct json_object *field_get(struct json_object *object, const char *path)
{
	while (object && *path) {
		size_t len = strcspn(path, ".");
		struct json_object *child = NULL;
		char key[64];

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		json_object_object_get_ex(object, key, &child);
		object = child;
		path += len + (path[len] == '.');
	}
	return object;
}

const char *field_str(struct json_object *object, const char *path)
{
	struct json_object *value = field_get(object, path);

	return value ? json_object_get_string(value) : "";
}
