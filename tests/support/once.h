#pragma once
/*
 * Exactly once, tried: mutating calls are sent over and over, each time over a new connection, some of which
 * hang up before the answer, while the agent is killed in the middle of them. A case says how a call is made
 * and how often its side effect is seen; what is not as promised fails the test by the method's name.
 */
#include "tests/support/frames.h"
#include "tests/support/front.h"

#include "shared/wire/methods.h"

/* A side effect has a name of its own in every round. */
#define ONCE_ROUNDS 8

enum once_way { ONCE_IPC, ONCE_TLS, ONCE_RELAY };

struct once_rig {
	struct front_rig front; /* its agent is the one; a front runs for ONCE_TLS only */
	struct agent_process *agent;
	struct bridge *bridge; /* NULL for ONCE_IPC */
	const char *socket;    /* what a client dials */
	char dir[40];          /* removed at the end */
	char bin[56];          /* first in PATH; the agent's own program is there */
	char log[56];          /* what programs of the test note down */
	char units_log[64];    /* of the fake units */
	char proc[56];         /* the agent's /proc: links to what it may see */
	char path[512];        /* PATH as it was */
	unsigned life;         /* of the agent */
	unsigned sessions;     /* that this life was asked for */
	unsigned sends, unknown;
	unsigned random;
	uint8_t *request; /* what once_request() was told */
	size_t request_len;
	const uint8_t *opened; /* id of the session that a case may use */
};

struct once_case;
typedef void once_step_fn(struct once_rig *rig, const struct once_case *c, unsigned round);

struct once_case {
	const char *service, *method; /* "Units", "Start" */
	int house;        /* cases of one house are sent to one agent at the same time */
	const char *word; /* the case's own; may be NULL */
	/* Before a round: what the call needs. NULL: nothing. */
	once_step_fn *prepare;
	/* Tells the request by once_request(). */
	once_step_fn *request;
	/* How often the side effect has been seen so far. NULL: it is nothing but a session. */
	unsigned (*count)(struct once_rig *rig, const struct once_case *c, unsigned round);
	/* Takes the effect back once it was acknowledged, so that doing it again would show. NULL: cannot be. */
	once_step_fn *undo;
	/* Uses what was acknowledged in this life of the agent (once_rig.opened). NULL: nothing. */
	once_step_fn *use;
	bool opens;    /* a session, of which there must be one */
	bool live;     /* count() says what is there now, and ends with the agent */
	bool per_life; /* IDEMPOTENT: done again if the agent went before it had answered */
	bool may_miss; /* after the agent was killed there may be nothing to do any more: NOT_FOUND */
};

/* Before the agent starts: what its programs and fakes need. */
void once_setup(struct once_rig *rig);
/* Starts the agent with more words for `serve` (NULL: none), and opens the way to it. */
void once_start(struct once_rig *rig, enum once_way way, const char *const *args);
void once_stop(struct once_rig *rig);

/* Sends every case of 'house' at least 'sends' times. */
void once_run(struct once_rig *rig, const struct once_case *cases, size_t count, int house,
	      unsigned sends);

/* From within once_case.request. */
void once_request(struct once_rig *rig, const ProtobufCMessage *req);
/* A call of its own, which must succeed. Caller frees with frames_free(). */
struct frames_reply *once_call(struct once_rig *rig, const char *service, const char *method,
			       const ProtobufCMessage *req);

/* Lines of 'path' in which every word of the list stands, which ends with NULL. */
unsigned once_lines(const char *path, const char *const *words);
/* Adds a line to 'path'. */
void once_note(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes a program of that name in 'bin'. */
void once_script(const struct once_rig *rig, const char *name, const char *text);
