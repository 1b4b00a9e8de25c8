#pragma once
/*
 * The only place that forks and execs. An argv, never a shell; output bounded; a deadline; a way to
 * be interrupted. Builds on Linux and macOS.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdbool.h>

/* What is kept of stdout; more is read and dropped. */
#define EXEC_OUT_MAX ((size_t)16 * 1024 * 1024)

/* Set once by main's SIGINT/SIGTERM handling; every wait in the controller looks at it. */
struct interrupt {
	int fd; /* becomes readable when interrupted and stays so; -1: cannot be interrupted */
};

struct exec_options {
	struct deadline by;
	const struct interrupt *interrupt; /* may be NULL */
	const char *stdin_text;            /* fed to the child, then closed; NULL: /dev/null */
	size_t stdin_len;
	/* "KEY=VALUE" each: the child's, in place of ours of that name; NULL: ours alone. */
	const struct strv *env;
};

struct exec_result {
	int exit_code;    /* 128 + signal when it died of one */
	struct text out;  /* first EXEC_OUT_MAX bytes of stdout */
	struct text errs; /* last 64 KiB of stderr */
	int64_t millis;
};

/* Runs argv[0] (looked up in PATH) and waits. Returns 0 whenever the program ran and ended by
 * itself, whatever its exit code. ERR_NOT_FOUND: no such program; ERR_DEADLINE_EXCEEDED and
 * ERR_CANCELLED: its process group was ended (SIGTERM, after 2 s SIGKILL) and reaped. Safe from any
 * thread. Caller releases with exec_result_release(). */
int exec_run(const struct strv *argv, const struct exec_options *options,
	     struct exec_result *ret_result, struct err *err);
void exec_result_release(struct exec_result *result);

static inline __attribute__((unused)) void cleanup_exec_result(struct exec_result *result)
{
	exec_result_release(result);
}

/* Last non-empty line of stderr, for messages; "" when there is none. 'ret' is NUL-terminated. */
void exec_last_line(const struct exec_result *result, char *ret, size_t size);

/* Whether nobody else may see the value of this variable: its name speaks of passwords, tokens or keys, or
 * it is a URL or a proxy that carries a user (S11). Takes one "KEY=VALUE". */
bool exec_is_secret(const char *pair);

/* The argv quoted for people, the values of secret --env words masked (CN-027). Caller frees; NULL on
 * allocation failure. */
char *exec_argv_text(const struct strv *argv);

/* How many programs this process has started; for the tests that count engine calls. */
unsigned exec_count(void);
