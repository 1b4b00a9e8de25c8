#pragma once
/*
 * Results: every command builds rows of JSON and says how they look as a table. All five formats of
 * cli.md section 1 come from those two.
 */
#include "controller/cli/fields.h"
#include "controller/cli/options.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum column_kind {
	COLUMN_TEXT,
	COLUMN_AGE,     /* from an RFC 3339 time */
	COLUMN_ID,      /* first 13 characters, unless wide */
	COLUMN_YESNO,   /* from a boolean */
	COLUMN_MILLIS,  /* "1.2s" */
	COLUMN_NONZERO, /* a number; 0 is none */
	COLUMN_CUSTOM,  /* by 'render' */
};

struct column {
	const char *title;
	const char *path; /* "agent.state" */
	enum column_kind kind;
	bool wide; /* only with -o wide */
	/* COLUMN_CUSTOM: appends the cell's text, not yet escaped. */
	void (*render)(struct json_object *row, struct text *cell);
};

struct listing {
	const char *noun;             /* "node": -o name prints "node/<name>" */
	const char *name_path;        /* "name" */
	const struct column *columns; /* ends with a NULL title */
	/* Instead of columns: one line a row, without newline, not yet escaped. */
	void (*line)(struct json_object *row, struct text *line);
};

/* Rows in any format. An empty table prints nothing. ERR_INTERNAL when 'out' cannot be written. */
int print_rows(FILE *out, enum output_format format, struct json_object *rows,
	       const struct listing *listing, struct err *err);

/* JSON (also for table: the caller has printed that itself) or YAML of any value. */
int print_value(FILE *out, enum output_format format, struct json_object *value, struct err *err);

/* YAML of any JSON value, block style. Caller frees. */
int yaml_from_json(struct json_object *value, char **ret_yaml, struct err *err);
