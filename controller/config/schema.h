#pragma once
/*
 * YAML into C structs by table. A schema describes one map of the file: its fields, and where each
 * goes in the struct; the same table makes defaults and frees. To add a field: one row.
 */
#include "controller/config/report.h"
#include "controller/config/yaml.h"

#include <stdbool.h>
#include <stddef.h>

enum field_type {
	FIELD_STRING,     /* char *, "" by default */
	FIELD_WORD,       /* an enum: the index of the word in 'words' */
	FIELD_PORT,       /* int, -1 to 65535 */
	FIELD_BOOL,       /* bool */
	FIELD_STRINGS,    /* struct strv */
	FIELD_STRING_MAP, /* struct kv_list */
	FIELD_BOOL_MAP,   /* only checked: no struct has one */
	FIELD_STRUCT,     /* 'schema', with offsets in the struct that this field is in */
	FIELD_STRUCTS,    /* a pointer to items of 'schema'; their count (size_t) is at 'aux' */
};

#define FIELD_NOWHERE ((size_t)-1)

struct field {
	const char *name; /* NULL: not in the file, storage only */
	enum field_type type;
	size_t offset; /* FIELD_NOWHERE: checked, then forgotten */
	size_t aux;    /* FIELD_STRINGS: 0, or a bool's that says "was given" */
	const struct schema *schema;
	const char *const *words; /* NULL-terminated; on a FIELD_STRING: all that it may be */
	bool (*is_valid)(const char *text); /* of a FIELD_STRING that is not empty; may be NULL */
	const char *wanted;                 /* "an IP address": what is_valid asks for */
	bool any_case;                      /* words: upper and lower case are equal */
	bool lenient;                       /* an unknown word is the first one, with a warning */
	bool unused;                        /* given: one warning that Berth does not use it */
};

struct schema {
	const struct field *fields;
	size_t count;
	size_t size; /* of the struct; 0: nowhere */
};

/* Defaults for zeroed storage; false on allocation failure (release anyway). */
bool schema_init(const struct schema *schema, void *base);
void schema_release(const struct schema *schema, void *base);

/* Reads a map into initialised storage; 'base' NULL: only checks. Faults go to the report. */
void schema_read(const struct schema *schema, const struct yaml *map, void *base,
		 struct report *report);

/* Grows an array of 'item' structs by an initialised one; 'items' is the address of the array's
 * pointer. Borrowed until the next growth; NULL on allocation failure. */
void *schema_append(const struct schema *item, void *items, size_t *count);
