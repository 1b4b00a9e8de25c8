#pragma once
/*
 * One running call, from its request to its one answer. agent/service/call.h is the part of it that
 * handlers see.
 *
 * Two things end at their own time: the callers get their answer (from the handler, or at the
 * deadline + CALL_BACKUP_MS from the server itself), and the handler ends. The call lives until the
 * handler has ended, so a late handler finds it and its answer goes nowhere.
 */
#include "agent/server/dispatch.h"
#include "agent/server/limits.h"
#include "agent/service/call.h"
#include "shared/wire/wire.h"

#include <stdint.h>

struct call;
struct recorder;
struct worker;

/* How long after its deadline a handler may still answer for itself. */
#define CALL_BACKUP_MS 200

/* A request's timeout_ms of 0, and the most that counts. */
#define CALL_TIMEOUT_DEFAULT_MS (60 * 1000)
#define CALL_TIMEOUT_MAX_MS     (60 * 60 * 1000)

/* Called once, when the callers are to be answered: 'msg' on success, else 'err'. Both borrowed. */
typedef void call_answer_fn(void *arg, struct call *call, const ProtobufCMessage *msg,
			    const struct err *err);

struct call {
	unsigned magic;
	struct agent *agent;
	struct recorder *recorder; /* the server's, for notes; may be NULL */
	struct dispatch_target target;
	enum method_role role; /* the caller's */
	uint8_t id[WIRE_CALL_ID_BYTES];
	struct deadline by;
	int64_t started_us;
	ProtobufCMessage *request; /* lives as long as the call: a handler may go on reading it */
	struct limits *limits;     /* the door's, which counts the call as 'class'; may be NULL */
	enum limit_class class;
	bool invoking;          /* the handler has not returned yet */
	bool ended;             /* by the handler */
	call_answer_fn *answer; /* NULL once the callers have their answer */
	void *answer_arg;
	struct worker *waiters; /* the server's: who gets the answer */
	struct call *prev, *next;
};

/* Takes over 'request' (also on failure). */
int call_new(struct agent *agent, const struct dispatch_target *target, enum method_role role,
	     const uint8_t id[WIRE_CALL_ID_BYTES], uint32_t timeout_ms, ProtobufCMessage *request,
	     struct call **ret_call, struct err *err);

/* Runs the handler. The call may be gone when this returns. */
void call_invoke(struct call *call);

/* Answers the callers in the handler's stead; what it says later is dropped. */
void call_give_up(struct call *call, const struct err *err);
