#include "shared/base/err.h"

#include "shared/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
	[ERR_OK] = "OK",
	[ERR_CANCELLED] = "CANCELLED",
	[ERR_UNKNOWN] = "UNKNOWN",
	[ERR_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[ERR_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[ERR_NOT_FOUND] = "NOT_FOUND",
	[ERR_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[ERR_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[ERR_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[ERR_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[ERR_ABORTED] = "ABORTED",
	[ERR_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[ERR_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[ERR_INTERNAL] = "INTERNAL",
	[ERR_UNAVAILABLE] = "UNAVAILABLE",
	[ERR_DATA_LOSS] = "DATA_LOSS",
	[ERR_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *err_code_name(enum err_code code)
{
	if ((unsigned)code >= sizeof(names) / sizeof(names[0]))
		return names[ERR_UNKNOWN];
	return names[code];
}

/* The message promises to be one line of UTF-8: what a lower layer printed may not be, and where it
 * was cut may lie within a character. */
static void clean(char *msg, size_t size)
{
	utf8_copy(msg, size, msg);
}

int err_set(struct err *err, enum err_code code, int sys, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	memset(err, 0, sizeof(*err));
	err->code = code;
	err->sys = sys;
	snprintf(err->reason, sizeof(err->reason), "%s", err_code_name(code));

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);

	len = strlen(err->msg);
	if (sys)
		snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(sys));
	clean(err->msg, sizeof(err->msg));
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	va_list ap;
	size_t len;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);

	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", old);
	clean(err->msg, sizeof(err->msg));
	return -1;
}

int err_explain(struct err *err, const char *reason, const char *advice)
{
	if (reason)
		snprintf(err->reason, sizeof(err->reason), "%s", reason);
	if (advice)
		snprintf(err->advice, sizeof(err->advice), "%s", advice);
	return -1;
}

int err_oom(struct err *err)
{
	return err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "out of memory");
}
