#pragma once
/* What the .proto files say of an RPC and protoc-c's descriptors do not carry. */
#include "shared/base/err.h"

#include <stdbool.h>

/* Who a caller is. Each role may do what the ones before it may. */
enum method_role {
	ROLE_READ,  /* look, but no file content, no command, no environment, no secret (S4) */
	ROLE_ADMIN, /* everything */
};

/* What happens when a request is carried out twice; idempotency_level of the .proto. */
enum method_effect {
	METHOD_ONCE, /* nothing said: must not happen twice, also across a restart of the agent */
	METHOD_REPEATABLE, /* IDEMPOTENT: the same state; done again if the agent restarted meanwhile */
	METHOD_READS,      /* NO_SIDE_EFFECTS: nothing, so no reply is kept */
};

/* ROLE_ADMIN and METHOD_ONCE for an RPC that is not known: the strictest. 'service' is the full name. */
enum method_role method_role(const char *service, const char *method);
enum method_effect method_effect(const char *service, const char *method);
/* method_effect() is METHOD_READS. */
bool method_reads(const char *service, const char *method);

const char *method_role_name(enum method_role role); /* "read", "admin" */
bool method_role_parse(const char *name, enum method_role *ret);

/* The one place where a role is held against an RPC: ERR_PERMISSION_DENIED, reason ROLE_TOO_LOW,
 * unless 'caller' may call it. */
int method_check_role(const char *service, const char *method, enum method_role caller,
		      struct err *err);
