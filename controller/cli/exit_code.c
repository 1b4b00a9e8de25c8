#include "controller/cli/exit_code.h"

#include <stddef.h>
#include <string.h>

const struct exit_code_row exit_code_table[] = {
	{ EXIT_CODE_OK, "done" },
	{ EXIT_CODE_FAILED, "failed, or not healthy" },
	{ EXIT_CODE_USAGE,
	  "wrong command, flag, name, configuration or manifest; nothing was touched" },
	{ EXIT_CODE_NOT_FOUND, "not found" },
	{ EXIT_CODE_CONFLICT,
	  "already exists, or its state forbids it (kubelet active, container running)" },
	{ EXIT_CODE_DEADLINE, "not done by the deadline" },
	{ EXIT_CODE_UNREACHABLE, "node or engine not reachable" },
	{ EXIT_CODE_NOT_PERMITTED, "not permitted" },
	{ EXIT_CODE_NOT_SUPPORTED, "not supported here" },
	{ EXIT_CODE_EXEC_FAILED, "exec, attach: berth itself failed; else the command's own code" },
	{ EXIT_CODE_EXEC_REFUSED, "exec: the command cannot be run" },
	{ EXIT_CODE_EXEC_NO_PROGRAM, "exec: there is no such command" },
	{ EXIT_CODE_INTERRUPTED, "interrupted" },
	{ 0, NULL },
};

/* Where the reason says more than the code: an engine that is not installed cannot be reached, and a
 * provider that this build does not have is not supported. */
static const struct {
	const char *reason;
	enum exit_code code;
} reasons[] = {
	{ "ENGINE_NOT_INSTALLED", EXIT_CODE_UNREACHABLE },
	{ "PROVIDER_UNKNOWN", EXIT_CODE_NOT_SUPPORTED },
};

enum exit_code exit_code_of(const struct err *err)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strcmp(err->reason, reasons[i].reason) == 0)
			return reasons[i].code;
	}
	switch (err->code) {
	case ERR_INVALID_ARGUMENT:
		return EXIT_CODE_USAGE;
	case ERR_NOT_FOUND:
		return EXIT_CODE_NOT_FOUND;
	case ERR_ALREADY_EXISTS:
	case ERR_ABORTED:
	case ERR_FAILED_PRECONDITION:
		return EXIT_CODE_CONFLICT;
	case ERR_DEADLINE_EXCEEDED:
		return EXIT_CODE_DEADLINE;
	case ERR_UNAVAILABLE:
		return EXIT_CODE_UNREACHABLE;
	case ERR_PERMISSION_DENIED:
	case ERR_UNAUTHENTICATED:
		return EXIT_CODE_NOT_PERMITTED;
	case ERR_UNIMPLEMENTED:
		return EXIT_CODE_NOT_SUPPORTED;
	case ERR_CANCELLED:
		return EXIT_CODE_INTERRUPTED;
	default:
		return EXIT_CODE_FAILED;
	}
}
