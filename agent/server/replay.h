#pragma once
/*
 * Calls by their ids, so that a side effect happens once (DESIGN.md D4b, F20). A running call is
 * found, so that a duplicate joins it; the reply of a finished mutation is kept for a while, so that
 * a duplicate gets the same bytes. Bounded in age, number and bytes; the oldest reply goes first.
 *
 * With a journal (agent/server/journal.h) all this outlives the agent, but for the running calls: of one
 * that must not happen twice it is then known that its outcome is not; any other is new again.
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

/* The call is about to run; 'id' must be new. METHOD_ONCE is in the journal when this returns. */
int replay_begin(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES], uint64_t digest,
		 enum method_effect effect, struct call *call, struct err *err);

/* The call was answered. With 'reply' a copy of it is kept, else the id is forgotten; it is
 * forgotten, too, when there is no memory for it. An id that is not running is ignored. */
void replay_finish(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES],
		   const uint8_t *reply, size_t reply_len);

/* Drops what is too old. Milliseconds until the next one is, -1 when no reply is kept. */
int64_t replay_expire(struct replay *replay);

/* Replies kept. */
size_t replay_count(const struct replay *replay);

/* FNV-1a, 64 bits; begin with REPLAY_DIGEST_START. */
#define REPLAY_DIGEST_START 0xcbf29ce484222325u
uint64_t replay_digest(uint64_t digest, const void *bytes, size_t len);
