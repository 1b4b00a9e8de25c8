#pragma once
/*
 * Pausing, which CRI does not know, by containerd's own task service on the same socket. A runtime
 * without it is ERR_UNIMPLEMENTED, reason PAUSE_UNSUPPORTED. Calling rules are runtime.h's; a call that
 * is pending when the transport closes ends with ERR_CANCELLED.
 */
#include "agent/runtime/runtime.h"

struct transport;

/* See runtime_pause_container() and runtime_unpause_container(). */
void tasks_set_frozen(struct transport *t, const char *id, bool frozen, struct deadline by,
		      runtime_done_fn *done, void *arg);

/* One attempt to thaw, whatever the state: an error mostly means that there was nothing to thaw. */
void tasks_thaw(struct transport *t, const char *id, struct deadline by, runtime_done_fn *done,
		void *arg);

/* See runtime_list_paused(). */
void tasks_list_paused(struct transport *t, struct deadline by, runtime_containers_fn *done,
		       void *arg);
