#include "shared/wire/wire.h"

#include <stdbool.h>
#include <string.h>

#define SAME(name)                                                            \
	_Static_assert((int)ERR_##name == (int)BERTH__NODE__V1__CODE__##name, \
		       "err.h and status.proto disagree")
SAME(OK);
SAME(CANCELLED);
SAME(UNKNOWN);
SAME(INVALID_ARGUMENT);
SAME(DEADLINE_EXCEEDED);
SAME(NOT_FOUND);
SAME(ALREADY_EXISTS);
SAME(PERMISSION_DENIED);
SAME(RESOURCE_EXHAUSTED);
SAME(FAILED_PRECONDITION);
SAME(ABORTED);
SAME(OUT_OF_RANGE);
SAME(UNIMPLEMENTED);
SAME(INTERNAL);
SAME(UNAVAILABLE);
SAME(DATA_LOSS);
SAME(UNAUTHENTICATED);

void status_from_err(const struct err *err, Berth__Node__V1__Status *ret)
{
	berth__node__v1__status__init(ret);
	ret->code = (Berth__Node__V1__Code)err->code;
	ret->reason = (char *)err->reason;
	ret->message = (char *)err->msg;
	ret->advice = (char *)err->advice;
	ret->sys = err->sys;
}

/* A node may be hostile, and its words reach a terminal: no control characters, neither ASCII's nor
 * Unicode's C1 (which are 0xc2 0x80 to 0xc2 0x9f). */
static void disarm(char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)s[0], next = (unsigned char)s[1];

		if (c < ' ' || c == 0x7f) {
			*s = ' ';
		} else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			s[0] = s[1] = ' ';
		}
	}
}

static bool is_reason(const char *s)
{
	size_t len = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return len > 0 && s[len] == '\0';
}

int status_to_err(const Berth__Node__V1__Status *status, struct err *err)
{
	enum err_code code;

	if (!status || status->code == BERTH__NODE__V1__CODE__OK)
		return err_set(err, ERR_INTERNAL, 0, "no status");

	code = (unsigned)status->code <= ERR_UNAUTHENTICATED ? (enum err_code)status->code
							     : ERR_UNKNOWN;
	err_set(err, code, 0, "%s", status->message);
	err_explain(err, is_reason(status->reason) ? status->reason : NULL, status->advice);
	err->sys = status->sys;
	disarm(err->msg);
	disarm(err->advice);
	return -1;
}
