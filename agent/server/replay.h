#pragma once
/*
 * Calls by their ids, so that a side effect happens once (DESIGN.md D4b, F20). A running call is
 * found, so that a duplicate joins it; the reply of a finished mutation is kept for a while, so that
 * a duplicate gets the same bytes. Bounded in age, number and bytes; the oldest reply goes first.
 *
 * With a journal (agent/server/journal.h) all this outlives the agent, but for the running calls: of one
 * that must not happen twice it is then known that its outcome is not; any other is new again.
 *
 * What is new may also be late (F21): a request that was held up on its way must not undo what was asked for
 * since, and a repetition must not find its call forgotten. Requests therefore tell when they were made, by
 * the agent's clock, and replay_check_fresh() refuses those of which a reply might have been forgotten.
 */
#include "shared/base/err.h"
#include "shared/wire/methods.h"
#include "shared/wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct replay;

struct replay_limits {
	int64_t age_ms;
	size_t replies;
	size_t bytes;
};

/* 10 min, 1024 replies, 1 MiB. */
extern const struct replay_limits replay_limits_default;

/* A call may be this old and still begin; less than what replies are kept for, with the call's own time. */
#define REPLAY_FRESH_MS (5 * 60 * 1000)

/* As the request tells it (Request.made_ms, until_ms): by replay_clock_ms(), 0 where it does not. */
struct replay_time {
	int64_t made_ms;
	int64_t until_ms;
};

/* What is known of an id. Borrowed until the next replay_ call. */
struct replay_found {
	struct call *call;    /* it runs, or NULL */
	const uint8_t *reply; /* what it was answered, or NULL */
	size_t reply_len;
	bool lost; /* it was running when the agent went: nobody knows how it ended */
};

/* 'journal_path' NULL: in memory only. A journal that cannot be opened is an error; one that is damaged,
 * or cannot be written later, is not: what cannot be kept is not known after a restart. A full disk
 * refuses no call, for somebody has to be able to tidy it up. */
int replay_new(const struct replay_limits *limits, const char *journal_path,
	       struct replay **ret_replay, struct err *err);
void replay_free(struct replay *replay);

/* False when the id is new. ERR_INVALID_ARGUMENT in '*err' (and true) when the id belongs to a
 * different request: 'digest' is of the request's service, method and payload. */
bool replay_find(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES], uint64_t digest,
		 struct replay_found *ret, struct err *err);

/* Milliseconds since 1970 as they were when 'replay' was made, and what has passed since: setting the wall
 * clock does not move it. */
int64_t replay_clock_ms(const struct replay *replay);

/* For an id that is new and has a side effect: ERR_ABORTED, reason CALL_STALE, when it may be a repetition of
 * a call that is forgotten, or when nobody waits for it any more. */
int replay_check_fresh(const struct replay *replay, const struct replay_time *time,
		       struct err *err);

/* The call is about to run; 'id' must be new. METHOD_ONCE is in the journal when this returns. 'made_ms': see
 * struct replay_time. */
int replay_begin(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES], uint64_t digest,
		 enum method_effect effect, int64_t made_ms, struct call *call, struct err *err);

/* The call was answered. With 'reply' a copy of it is kept, else the id is forgotten; it is
 * forgotten, too, when there is no memory for it. An id that is not running is ignored. */
void replay_finish(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES],
		   const uint8_t *reply, size_t reply_len);

/* Drops what is too old. Milliseconds until the next one is, -1 when no reply is kept. */
int64_t replay_expire(struct replay *replay);

/* Replies kept. */
size_t replay_count(const struct replay *replay);

/* After FNV-1a, 64 bits, by words, and of much at once by four words; begin with REPLAY_DIGEST_START. */
#define REPLAY_DIGEST_START 0xcbf29ce484222325u
uint64_t replay_digest(uint64_t digest, const void *bytes, size_t len);
