#include "controller/cli/print.h"

#include "controller/cli/cell.h"
#include "shared/base/deadline.h"
#include "shared/base/parse.h"

#include <errno.h>
#include <string.h>

#define SHORT_ID 13
#define GAP      3

static void render_id(const char *value, bool wide, struct text *cell)
{
	char id[SHORT_ID + 1];

	snprintf(id, sizeof(id), "%s", value);
	cell_escape(cell, wide ? value : id);
}

static void render_custom(const struct column *column, struct json_object *row, struct text *cell)
{
	cleanup_with(text) struct text raw = { 0 };

	column->render(row, &raw);
	cell_escape(cell, text_str(&raw));
}

static void render(const struct column *column, struct json_object *row, bool wide,
		   struct text *cell)
{
	struct json_object *field = field_get(row, column->path ? column->path : "");
	const char *value = field_str(row, column->path ? column->path : "");
	char text[32] = "";

	switch (column->kind) {
	case COLUMN_TEXT:
		cell_escape(cell, value);
		break;
	case COLUMN_AGE:
		cell_age(time_parse_ns(value), clock_wall_ns(), text, sizeof(text));
		break;
	case COLUMN_ID:
		render_id(value, wide, cell);
		break;
	case COLUMN_YESNO:
		text_add(cell, json_object_get_boolean(field) ? "yes" : "no");
		break;
	case COLUMN_NONZERO:
		if (json_object_get_int64(field) != 0)
			cell_escape(cell, value);
		break;
	case COLUMN_MILLIS:
		cell_millis(json_object_get_int64(field), text, sizeof(text));
		break;
	case COLUMN_CUSTOM:
		render_custom(column, row, cell);
		break;
	}
	text_add(cell, text);
	if (cell->len == 0)
		text_add(cell, "-");
}

struct table {
	struct strv cells; /* row by row, titles first */
	size_t columns;
	size_t widths[32];
};

static void table_add_row(struct table *table, const struct column *columns,
			  struct json_object *row, bool wide)
{
	size_t at = 0;

	for (; columns->title; columns++) {
		cleanup_with(text) struct text cell = { 0 };
		size_t width;

		if ((columns->wide && !wide) || at == ARRAY_LEN(table->widths))
			continue;
		if (row)
			render(columns, row, wide, &cell);
		else
			text_add(&cell, columns->title);
		width = cell_width(text_str(&cell));
		if (width > table->widths[at])
			table->widths[at] = width;
		strv_add(&table->cells, text_str(&cell));
		at++;
	}
	table->columns = at;
}

static void table_write(FILE *out, const struct table *table)
{
	for (size_t i = 0; i < table->cells.count; i++) {
		const char *cell = table->cells.items[i];
		size_t column = i % table->columns;

		fputs(cell, out);
		if (column + 1 == table->columns)
			fputc('\n', out);
		else
			fprintf(out, "%*s", (int)(table->widths[column] - cell_width(cell)) + GAP,
				"");
	}
}

static int print_table(FILE *out, bool wide, struct json_object *rows,
		       const struct listing *listing, struct err *err)
{
	size_t count = json_object_array_length(rows);
	struct table table = { 0 };
	bool failed;

	if (count == 0)
		return 0;
	table_add_row(&table, listing->columns, NULL, wide);
	for (size_t i = 0; i < count; i++)
		table_add_row(&table, listing->columns, json_object_array_get_idx(rows, i), wide);
	failed = strv_failed(&table.cells);
	if (!failed)
		table_write(out, &table);
	strv_release(&table.cells);
	return failed ? err_oom(err) : 0;
}

static void print_lines(FILE *out, struct json_object *rows, const struct listing *listing)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		cleanup_with(text) struct text raw = { 0 };
		cleanup_with(text) struct text line = { 0 };

		listing->line(json_object_array_get_idx(rows, i), &raw);
		cell_escape(&line, text_str(&raw));
		fprintf(out, "%s\n", text_str(&line));
	}
}

static void print_names(FILE *out, struct json_object *rows, const struct listing *listing)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		cleanup_with(text) struct text name = { 0 };

		cell_escape(&name, field_str(row, listing->name_path));
		fprintf(out, "%s/%s\n", listing->noun, text_str(&name));
	}
}

/* A full disk or a closed pipe must not look like success. */
static int check_stream(FILE *out, struct err *err)
{
	if (fflush(out) == 0 && !ferror(out))
		return 0;
	return err_set(err, ERR_INTERNAL, errno, "cannot write the result");
}

int print_value(FILE *out, enum output_format format, struct json_object *value, struct err *err)
{
	if (format == OUTPUT_YAML) {
		cleanup_free char *yaml = NULL;

		if (yaml_from_json(value, &yaml, err) < 0)
			return -1;
		fputs(yaml, out);
	} else if (json_object_is_type(value, json_type_array) &&
		   json_object_array_length(value) == 0) {
		fputs("[]\n", out); /* json-c would break the line */
	} else {
		fprintf(out, "%s\n",
			json_object_to_json_string_ext(
				value, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					       JSON_C_TO_STRING_NOSLASHESCAPE));
	}
	return check_stream(out, err);
}

int print_rows(FILE *out, enum output_format format, struct json_object *rows,
	       const struct listing *listing, struct err *err)
{
	switch (format) {
	case OUTPUT_JSON:
	case OUTPUT_YAML:
		return print_value(out, format, rows, err);
	case OUTPUT_NAME:
		print_names(out, rows, listing);
		break;
	case OUTPUT_TABLE:
	case OUTPUT_WIDE:
		if (listing->line)
			print_lines(out, rows, listing);
		else if (print_table(out, format == OUTPUT_WIDE, rows, listing, err) < 0)
			return -1;
		break;
	}
	return check_stream(out, err);
}
