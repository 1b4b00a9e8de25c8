#pragma once
/*
 * YAML read strictly into a small tree. libfyaml scans and parses; here its events become nodes
 * that know where they stand. JSON is read too, being a subset.
 *
 * Refused, with line and column: anchors, aliases and merge keys (security-faults.md I6), tags but
 * '!!str', directives but '%YAML', keys that are not strings, duplicate keys, NUL bytes and other
 * control characters, text that is not UTF-8, more than the YAML_MAX_ limits.
 */
#include "shared/base/cleanup.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define YAML_MAX_BYTES   (1024 * 1024)
#define YAML_MAX_DEPTH   64
#define YAML_MAX_ENTRIES 10000 /* of one document: a key with its value counts once */
#define YAML_MAX_FLOW    20000 /* of the text: "[]{},&!" wherever they stand */

/* What a value is. Plain scalars are typed as Kubernetes' and kind's readers type them: yes, no, on
 * and off are booleans, 0644 is octal; in quotes everything is a string. */
enum yaml_type {
	YAML_NULL,
	YAML_BOOL,
	YAML_INT,
	YAML_FLOAT,
	YAML_STRING,
	YAML_LIST,
	YAML_MAP,
};

/* Both count from 1. */
struct yaml_mark {
	int line;
	int column;
};

/* Everything in a node belongs to the document. Children: for (c = n->first; c; c = c->next). */
struct yaml {
	enum yaml_type type;
	struct yaml_mark at;     /* where the value starts; its key's place when it is empty */
	struct yaml_mark key_at; /* where the key starts */
	char *key;               /* of a child of a map; NULL elsewhere */
	char *text;              /* of a scalar, as written but without quotes; NULL elsewhere */
	struct yaml *parent;
	struct yaml *first;
	struct yaml *last;
	struct yaml *next;
	size_t count; /* of children */
};

struct yaml_reader;

/* Checks size and encoding. 'source' names the text in errors; it and 'text' are borrowed until
 * yaml_close(). ERR_INVALID_ARGUMENT: "source:line:column: what". */
int yaml_open(const char *source, const char *text, size_t len, struct yaml_reader **ret_reader,
	      struct err *err);
void yaml_close(struct yaml_reader *reader);
DEFINE_CLEANUP(yaml_reader, struct yaml_reader *, yaml_close)

/* The next document (YAML_NULL when there is nothing in it), NULL at the end. The caller frees it
 * with yaml_free(); it outlives the reader. After a failure only yaml_close() makes sense. */
int yaml_next(struct yaml_reader *reader, struct yaml **ret_doc, struct err *err);
void yaml_free(struct yaml *node);
DEFINE_CLEANUP(yaml, struct yaml *, yaml_free)

/* The child of that key; NULL when there is none or 'node' is NULL or no map. Borrowed. */
const struct yaml *yaml_get(const struct yaml *node, const char *key);

/* A plain scalar's type. */
enum yaml_type yaml_plain_type(const char *text);

/* "a string", "a number", "a list", ... Static. */
const char *yaml_type_name(enum yaml_type type);

/* The value of a YAML_BOOL. */
bool yaml_bool(const struct yaml *node);

/* The value of a YAML_INT (decimal, 0x, 0o or 0 for octal, 0b, '_' between digits); false when it
 * is not within [min, max]. */
bool yaml_int(const struct yaml *node, int64_t min, int64_t max, int64_t *ret);

/* "spec.containers[0].image"; "" for a document. Too long: the front is left out, "...". */
void yaml_path(const struct yaml *node, char *ret, size_t size);

/* How many bytes of 's' to print: at most 'max', not ending inside a character. */
int yaml_clip(const char *s, size_t max);
