#pragma once
/*
 * One complete call of Health.Check through the agent's public socket, as a client would make it:
 * SP header, one framed request, one framed reply, all on the loop and without nng. The watchdog
 * pings with it; `berthd check` asks with it.
 *
 * Each probe is a connection of its own. That is the point: an nng 1.5.2 listener that has died goes
 * on serving the connections it has (security-faults.md P1).
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

struct Berth__Node__V1__HealthReply;
struct probe;
struct sd_event;

/* Once; on success with 'reply', borrowed, else with 'err'. The probe is gone when it is called. */
typedef void probe_fn(void *arg, const struct Berth__Node__V1__HealthReply *reply,
		      const struct err *err);

/* 'done' comes from the loop, at 'by' at the latest. When this fails there is no probe and 'done'
 * does not come. ERR_UNAVAILABLE when nothing listens at 'socket_path'. */
int probe_start(struct sd_event *loop, const char *socket_path, struct deadline by, probe_fn *done,
		void *arg, struct probe **ret_probe, struct err *err);

/* Ends it without 'done'. NULL is fine. */
void probe_cancel(struct probe *probe);
