#pragma once
/*
 * Complete calls through one of the agent's sockets, as a client would make them: SP header, framed
 * request, framed reply, all on the loop and without nng. The watchdog pings with it, `berthd check` and
 * the front ask with it.
 */
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

struct probe;
struct sd_event;

/* On success with 'reply', the method's output, borrowed, else with 'err'. The probe may be asked again,
 * or freed, from within. */
typedef void probe_fn(void *arg, const ProtobufCMessage *reply, const struct err *err);

/* No I/O yet. ERR_INVALID_ARGUMENT when the path does not fit in sun_path; it is copied. */
int probe_new(struct sd_event *loop, const char *socket_path, struct probe **ret_probe,
	      struct err *err);
/* Ends a call without its 'done'. NULL is fine. */
void probe_free(struct probe *probe);
DEFINE_CLEANUP(probe, struct probe *, probe_free)

/* One call of a method whose request is empty; one that is still under way ends without its 'done'. It
 * goes over the connection of the call before, if that went well and is still there, unless 'fresh'.
 * 'done' comes once, from the loop, at 'by' at the latest; not when this fails (ERR_UNAVAILABLE: nothing
 * listens). */
int probe_ask(struct probe *probe, const ProtobufCServiceDescriptor *service, const char *method,
	      struct deadline by, bool fresh, probe_fn *done, void *arg, struct err *err);
