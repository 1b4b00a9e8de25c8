/*
 * The one JSON text the agent reads, in the shape that Go's encoder gives it: keys in a fixed order, no
 * blanks. A library for it would be bigger than the whole room.
 */
#include "agent/streams/container.h"

#include "shared/base/parse.h"

#include <stdio.h>
#include <string.h>

/* The string behind 'key', with escapes undone as far as people need; false when there is none. */
static bool find_string(const char *json, const char *key, char *ret, size_t size)
{
	const char *at = strstr(json, key);
	size_t len = 0;

	if (!at)
		return false;
	for (at += strlen(key); *at && *at != '"' && len + 1 < size; at++) {
		if (*at == '\\' && at[1])
			at++;
		ret[len++] = *at;
	}
	ret[len] = '\0';
	return true;
}

static bool is_missing_program(const char *message)
{
	return strstr(message, "executable file not found") ||
	       strstr(message, "no such file or directory");
}

static void set_failure(const char *json, struct stream_end *ret)
{
	char message[400] = "the runtime does not say why";

	find_string(json, "\"message\":\"", message, sizeof(message));
	if (is_missing_program(message)) {
		err_set(&ret->err, ERR_NOT_FOUND, 0, "%s", message);
		err_explain(&ret->err, "PROGRAM_NOT_FOUND", NULL);
	} else if (strstr(message, "permission denied")) {
		err_set(&ret->err, ERR_FAILED_PRECONDITION, 0, "%s", message);
		err_explain(&ret->err, "PROGRAM_NOT_EXECUTABLE", NULL);
	} else {
		err_set(&ret->err, ERR_FAILED_PRECONDITION, 0, "%s", message);
	}
}

void container_read_status(const char *json, struct stream_end *ret)
{
	char text[32];
	int64_t code;

	*ret = (struct stream_end){ 0 };
	if (!*json) {
		err_set(&ret->err, ERR_UNAVAILABLE, 0, "the runtime broke off the session");
		err_explain(&ret->err, "RUNTIME_GONE", NULL);
		return;
	}
	if (strstr(json, "\"status\":\"Success\""))
		return;
	if (find_string(json, "\"reason\":\"ExitCode\",\"message\":\"", text, sizeof(text)) &&
	    parse_int(text, 0, 255, &code)) {
		ret->exit_code = (int)code;
		/* As a shell says it: all that the runtime tells of a signal. */
		ret->signal = code > 128 && code <= 128 + 64 ? (int)code - 128 : 0;
		return;
	}
	set_failure(json, ret);
}
