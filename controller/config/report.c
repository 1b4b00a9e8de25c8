#include "controller/config/report.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MORE_ROOM   sizeof(" (and 10000 more)")
#define PATH_BYTES  160
#define MAX_NAME    40 /* bytes of a name that is compared */
#define MAX_GUESSED 2

/* Adds "; sentence" while there is room for it and for the count of the others. */
static void append(struct report *report, const char *sentence)
{
	struct err *err = report->err;
	size_t used = strlen(err->msg);

	if (report->left_out || used + 2 + strlen(sentence) + MORE_ROOM > sizeof(err->msg)) {
		report->left_out++;
		return;
	}
	snprintf(err->msg + used, sizeof(err->msg) - used, "; %s", sentence);
}

static int add_error(struct report *report, struct yaml_mark at, const char *path, const char *fmt,
		     va_list ap)
{
	char sentence[sizeof(report->err->msg) - MORE_ROOM];
	size_t used;

	snprintf(sentence, sizeof(sentence), "%s:%d:%d: %s%s", report->source, at.line, at.column,
		 path, *path ? " " : "");
	used = strlen(sentence);
	vsnprintf(sentence + used, sizeof(sentence) - used, fmt, ap);
	if (report->errors++ == 0)
		return err_set(report->err, ERR_INVALID_ARGUMENT, 0, "%s", sentence);
	append(report, sentence);
	return -1;
}

int report_fault(struct report *report, const struct err *fault)
{
	if (report->errors++ == 0)
		*report->err = *fault;
	else
		append(report, fault->msg);
	return -1;
}

int report_error(struct report *report, struct yaml_mark at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_error(report, at, "", fmt, ap);
	va_end(ap);
	return -1;
}

int report_node_error(struct report *report, const struct yaml *node, const char *fmt, ...)
{
	char path[PATH_BYTES];
	va_list ap;

	yaml_path(node, path, sizeof(path));
	va_start(ap, fmt);
	add_error(report, node->at, *path ? path : "the document", fmt, ap);
	va_end(ap);
	return -1;
}

int report_unknown_field(struct report *report, const struct yaml *node, const char *guess)
{
	char path[PATH_BYTES];

	yaml_path(node->parent, path, sizeof(path));
	return report_error(report, node->key_at, "unknown field '%.*s'%s%s%s%s%s",
			    yaml_clip(node->key, 60), node->key, *path ? " in " : "", path,
			    guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
}

static bool is_plain_scalar(enum yaml_type type)
{
	return type == YAML_BOOL || type == YAML_INT || type == YAML_FLOAT;
}

int report_type_error(struct report *report, const struct yaml *node, const char *wanted)
{
	const char *found = yaml_type_name(node->type);

	if (strcmp(wanted, "a string") == 0 && is_plain_scalar(node->type))
		return report_node_error(report, node,
					 "must be a string, not %s; quote it: \"%.*s\"", found,
					 yaml_clip(node->text, 40), node->text);
	return report_node_error(report, node, "must be %s, not %s", wanted, found);
}

int report_no_memory(struct report *report)
{
	report->no_memory = true;
	return -1;
}

void report_warning(struct report *report, struct yaml_mark at, const char *topic, const char *fmt,
		    ...)
{
	char sentence[256];
	va_list ap;

	if (strv_has(&report->told, topic))
		return;
	strv_add(&report->told, topic);
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	strv_addf(report->warnings, "%s:%d:%d: %s", report->source, at.line, at.column, sentence);
}

int report_end(struct report *report)
{
	bool no_memory = report->no_memory || strv_failed(report->warnings);
	size_t used;

	strv_release(&report->told);
	if (no_memory)
		return err_oom(report->err);
	if (report->errors == 0)
		return 0;
	used = strlen(report->err->msg);
	if (report->left_out)
		snprintf(report->err->msg + used, sizeof(report->err->msg) - used,
			 " (and %zu more)", report->left_out);
	return -1;
}

/* --- guessing ---------------------------------------------------------------------------------- */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein's distance, one row at a time. Both are at most MAX_NAME bytes. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[MAX_NAME + 1], diagonal, above;
	size_t len = strlen(b);

	for (size_t j = 0; j <= len; j++)
		row[j] = (unsigned)j;
	for (; *a; a++) {
		diagonal = row[0]++;
		for (size_t j = 1; j <= len; j++) {
			bool differs =
				tolower((unsigned char)*a) != tolower((unsigned char)b[j - 1]);

			above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + differs);
			diagonal = above;
		}
	}
	return row[len];
}

void guess_offer(struct guess *guess, const char *name)
{
	size_t typed = strlen(guess->typed);
	unsigned distance;

	if (typed > MAX_NAME || strlen(name) > MAX_NAME)
		return;
	distance = edit_distance(guess->typed, name);
	/* Two edits make any short word of any other. */
	if (distance > MAX_GUESSED || distance * 2 > typed)
		return;
	if (!guess->best || distance < guess->distance) {
		guess->best = name;
		guess->distance = distance;
	}
}
