#include "controller/cli/failure.h"

#include "controller/cli/cell.h"
#include "controller/cli/fields.h"

#include <string.h>

bool stream_is_terminal(FILE *stream)
{
	const char *term = getenv("TERM");
	int fd = fileno(stream);

	return fd >= 0 && isatty(fd) && term && strcmp(term, "dumb") != 0;
}

static bool may_colour(FILE *stream)
{
	const char *no_color = getenv("NO_COLOR");

	return !(no_color && *no_color) && stream_is_terminal(stream);
}

static void failure_json(FILE *out, const struct err *err)
{
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *error = field_object(object, "error");

	field_text(error, "code", err_code_name(err->code));
	field_text(error, "reason", err->reason);
	field_text(error, "message", err->msg);
	field_text(error, "advice", err->advice);
	field_text(error, "node", err->node);
	field_text(error, "callId", err->call_id);
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void failure_text(FILE *out, const struct err *err)
{
	cleanup_with(text) struct text line = { 0 };
	bool red = may_colour(out);

	text_add(&line, red ? "\033[31mberth: " : "berth: ");
	/* "node 'x': ..." unless the sentence names it already */
	if (err->node[0] && !strstr(err->msg, err->node)) {
		cell_escape(&line, err->node);
		text_add(&line, ": ");
	}
	cell_escape(&line, err->msg);
	text_add(&line, red ? "\033[0m\n" : "\n");
	if (err->advice[0]) {
		text_add(&line, "  ");
		cell_escape(&line, err->advice);
		text_add(&line, "\n");
	}
	if (err->call_id[0])
		text_addf(&line, "  (call id %s; on the node: journalctl CALL_ID=%s)\n",
			  err->call_id, err->call_id);
	fputs(text_str(&line), out);
}

void failure_print(FILE *out, const struct err *err, bool json)
{
	if (json)
		failure_json(out, err);
	else
		failure_text(out, err);
	fflush(out);
}
