#pragma once
/*
 * What a handler may ask of the call it was handed. Implemented by agent/server/call.c.
 *
 * A handler ends in exactly one 'reply(&message, call)' or call_fail(), now or later from the loop;
 * 'call' and the request stay valid until then and not longer. Handlers run on the loop's thread and never block.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/wire/methods.h"

struct agent;

/* The agent that serves this call. Borrowed. */
struct agent *call_agent(void *call);

/* Who asks; already held against the RPC's own role. A handler asks only where the answer depends on
 * what the request names (a stream that somebody else's role opened). */
enum method_role call_role(void *call);

/* When the caller stops waiting; bounds the work in the node. Never DEADLINE_NEVER. */
struct deadline call_deadline(void *call);

/* The call waits for something that may be long in coming and does nothing meanwhile (a read of a session
 * without output): it does not count among those in flight. Once, before it is answered. */
void call_park(void *call);

/* One line for the node's journal beside the call's own record (NS-005): what was done to which unit or
 * container. For mutations; as cheap as a record, and lost rather than waited for. */
void call_note(void *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Ends the call with an error. */
void call_fail(void *call, const struct err *err);
