#pragma once
/*
 * Building and reading the JSON that every result is first: tables are made from it (print.h). Text
 * is copied. An allocation failure drops the field, as json-c does.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

void field_text(struct json_object *object, const char *key, const char *value); /* NULL: "" */
void field_int(struct json_object *object, const char *key, int64_t value);
void field_bool(struct json_object *object, const char *key, bool value);
/* RFC 3339 in UTC, seconds; null for 0. */
void field_time_ns(struct json_object *object, const char *key, int64_t wall_ns);
/* Adds an empty object or array and lends it. */
struct json_object *field_object(struct json_object *object, const char *key);
struct json_object *field_array(struct json_object *object, const char *key);
/* Appends an empty object to 'rows' and lends it. */
struct json_object *row_add(struct json_object *rows);

/* The value at "agent.state", or NULL. Borrowed. */
struct json_object *field_get(struct json_object *object, const char *path);
/* Its text, "" when it is absent or null. Borrowed. */
const char *field_str(struct json_object *object, const char *path);

static inline __attribute__((unused)) void cleanup_json_object(struct json_object **object)
{
	json_object_put(*object);
}

/* For struct json_object *. */
#define cleanup_json __attribute__((cleanup(cleanup_json_object)))
