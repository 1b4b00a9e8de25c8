#pragma once
/* A call of the fake runtime (runtime_fake.c) and its answer. */
#include "agent/runtime/fake_state.h"
#include "agent/runtime/runtime_impl.h"

#include <systemd/sd-event.h>

struct fake_call;

struct fake {
	struct runtime rt;
	struct sd_event *loop;
	struct fake_state state;
	struct fake_call *calls;
};

/* A call that has not answered yet. 'finish' (may be NULL) is the last step before a late answer. */
struct fake_call {
	struct fake_call *next;
	struct fake *fake;
	struct runtime_reply to;
	struct deadline by;
	sd_event_source *source;
	char *text; /* the id or reference to answer with; the filter's id of a list */
	char *pod_uid;
	bool one; /* a status: exactly the one with that id */
	bool paused_only;
	int (*finish)(struct fake_call *call, struct err *err);
	struct err err;
};

/* Answers it from what the state is now, after its 'finish': with its 'err' when it has one. The call stays its
 * owner's. */
void fake_answer(struct fake_call *call);
