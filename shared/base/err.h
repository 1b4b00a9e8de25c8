#pragma once
/*
 * Errors: one struct on the caller's stack, from the backend to the terminal.
 *
 * A function that can fail returns 0 or -1 and takes a 'struct err *' last. On failure the err is
 * filled and no 'ret_' parameter has been touched. Each room wraps with what only it knows, so that
 * a user reads one line. Codes are gRPC's (https://grpc.io/docs/guides/status-codes/), equal to
 * berth.node.v1.Code; shared/wire/status.c asserts it.
 */
#include <stddef.h>

enum err_code {
	ERR_OK = 0,
	ERR_CANCELLED = 1,
	ERR_UNKNOWN = 2,
	ERR_INVALID_ARGUMENT = 3,
	ERR_DEADLINE_EXCEEDED = 4,
	ERR_NOT_FOUND = 5,
	ERR_ALREADY_EXISTS = 6,
	ERR_PERMISSION_DENIED = 7,
	ERR_RESOURCE_EXHAUSTED = 8,
	ERR_FAILED_PRECONDITION = 9,
	ERR_ABORTED = 10,
	ERR_OUT_OF_RANGE = 11,
	ERR_UNIMPLEMENTED = 12,
	ERR_INTERNAL = 13,
	ERR_UNAVAILABLE = 14,
	ERR_DATA_LOSS = 15,
	ERR_UNAUTHENTICATED = 16,
};

/* Lives on the caller's stack, owns nothing, needs no free. Zero-initialised means "no error". */
struct err {
	enum err_code code;
	int sys;          /* errno of the cause, or 0 */
	char reason[48];  /* stable UPPER_SNAKE id; the code's name when nobody gave a finer one */
	char msg[512];    /* one sentence, outermost context first, no newline */
	char advice[256]; /* what to do about it, or "" */
	char node[64];    /* the node it happened on, or "" */
	char call_id[33]; /* hex id of the agent call that failed, or "" */
};

/* Fills '*err' with a fresh error; the reason becomes the code's name. Returns -1, so that one
 * return is the whole failure path. 'sys' adds ": strerror" to the message unless it is 0. */
int err_set(struct err *err, enum err_code code, int sys, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "context: " in front of the message. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Names the finer reason (UPPER_SNAKE, stable) and the advice; either may be NULL to leave it as
 * it is. Returns -1. */
int err_explain(struct err *err, const char *reason, const char *advice);

/* The usual one: ERR_RESOURCE_EXHAUSTED, "out of memory". Returns -1. */
int err_oom(struct err *err);

/* "NOT_FOUND" for ERR_NOT_FOUND; "UNKNOWN" for anything outside the table. Static storage. */
const char *err_code_name(enum err_code code);
