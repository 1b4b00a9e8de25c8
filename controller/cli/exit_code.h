#pragma once
/* Exit codes are a contract (cli.md section 3). */
#include "shared/base/err.h"

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILED = 1,
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_NOT_FOUND = 3,
	EXIT_CODE_CONFLICT = 4,
	EXIT_CODE_DEADLINE = 5,
	EXIT_CODE_UNREACHABLE = 6,
	EXIT_CODE_NOT_PERMITTED = 7,
	EXIT_CODE_NOT_SUPPORTED = 8,
	/* Of `exec` and its like, whose other codes are the command's own; as in docker and env(1). */
	EXIT_CODE_EXEC_FAILED = 125,
	EXIT_CODE_EXEC_REFUSED = 126,
	EXIT_CODE_EXEC_NO_PROGRAM = 127,
	EXIT_CODE_INTERRUPTED = 130,
};

struct exit_code_row {
	int code;
	const char *meaning; /* NULL ends the table */
};

/* For help and the manual. */
extern const struct exit_code_row exit_code_table[];

/* Never EXIT_CODE_OK: what has an error has failed. */
enum exit_code exit_code_of(const struct err *err);
