#include "agent/server/replay.h"

#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"

#include <string.h>

/* An allocation failure shows as an entry that is not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	uint8_t id[WIRE_CALL_ID_BYTES];
	uint64_t digest;
	struct call *call; /* NULL: finished */
	uint8_t *reply;
	size_t reply_len;
	int64_t finished_ms;
	UT_hash_handle hh;
};

/* Two tables: uthash keeps the order of insertion, so 'finished' is sorted by age. */
struct replay {
	struct replay_limits limits;
	struct entry *running;
	struct entry *finished;
	size_t bytes;
};

const struct replay_limits replay_limits_default = {
	.age_ms = 10 * 60 * 1000,
	.replies = 1024,
	.bytes = 1024 * 1024,
};

int replay_new(const struct replay_limits *limits, struct replay **ret_replay, struct err *err)
{
	struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return err_oom(err);
	replay->limits = *limits;
	*ret_replay = replay;
	return 0;
}

static void entry_free(struct entry *e)
{
	free(e->reply);
	free(e);
}

static void forget_finished(struct replay *replay, struct entry *e)
{
	HASH_DEL(replay->finished, e);
	replay->bytes -= e->reply_len;
	entry_free(e);
}

void replay_free(struct replay *replay)
{
	struct entry *e, *next;

	if (!replay)
		return;
	HASH_ITER (hh, replay->running, e, next) {
		HASH_DEL(replay->running, e);
		entry_free(e);
	}
	HASH_ITER (hh, replay->finished, e, next) {
		forget_finished(replay, e);
	}
	free(replay);
}

bool replay_find(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES], uint64_t digest,
		 struct replay_found *ret, struct err *err)
{
	struct entry *e;

	replay_expire(replay);
	HASH_FIND(hh, replay->running, id, WIRE_CALL_ID_BYTES, e);
	if (!e)
		HASH_FIND(hh, replay->finished, id, WIRE_CALL_ID_BYTES, e);
	if (!e)
		return false;

	*ret = (struct replay_found){ 0 };
	if (e->digest != digest) {
		err_set(err, ERR_INVALID_ARGUMENT, 0,
			"this call id was used for a different request");
		err_explain(err, "CALL_ID_REUSED", NULL);
		return true;
	}
	*ret = (struct replay_found){ e->call, e->reply, e->reply_len };
	return true;
}

int replay_begin(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES], uint64_t digest,
		 struct call *call, struct err *err)
{
	struct entry *e = calloc(1, sizeof(*e)), *found;

	if (!e)
		return err_oom(err);
	memcpy(e->id, id, sizeof(e->id));
	e->digest = digest;
	e->call = call;
	HASH_ADD(hh, replay->running, id, sizeof(e->id), e);
	HASH_FIND(hh, replay->running, id, sizeof(e->id), found);
	if (!found) {
		free(e);
		return err_oom(err);
	}
	return 0;
}

static void make_room(struct replay *replay, size_t bytes)
{
	while (replay->finished && (replay->bytes + bytes > replay->limits.bytes ||
				    HASH_COUNT(replay->finished) >= replay->limits.replies))
		forget_finished(replay, replay->finished);
}

static void keep(struct replay *replay, struct entry *e, const uint8_t *reply, size_t len)
{
	struct entry *found;

	if (len > replay->limits.bytes || !(e->reply = malloc(len ? len : 1))) {
		entry_free(e);
		return;
	}
	make_room(replay, len);
	if (len)
		memcpy(e->reply, reply, len);
	e->reply_len = len;
	e->call = NULL;
	e->finished_ms = clock_now_ms();
	HASH_ADD(hh, replay->finished, id, sizeof(e->id), e);
	HASH_FIND(hh, replay->finished, e->id, sizeof(e->id), found);
	if (!found)
		entry_free(e);
	else
		replay->bytes += len;
}

void replay_finish(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES],
		   const uint8_t *reply, size_t reply_len)
{
	struct entry *e;

	HASH_FIND(hh, replay->running, id, WIRE_CALL_ID_BYTES, e);
	if (!e)
		return;
	HASH_DEL(replay->running, e);
	if (reply)
		keep(replay, e, reply, reply_len);
	else
		entry_free(e);
}

int64_t replay_expire(struct replay *replay)
{
	int64_t now = clock_now_ms();

	while (replay->finished) {
		int64_t left = replay->finished->finished_ms + replay->limits.age_ms - now;

		if (left > 0)
			return left;
		forget_finished(replay, replay->finished);
	}
	return -1;
}

size_t replay_count(const struct replay *replay)
{
	return HASH_COUNT(replay->finished);
}

uint64_t replay_digest(uint64_t digest, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	/* Eight at a time: a write to a session has a quarter of a megabyte. */
	for (; len >= sizeof(uint64_t); p += sizeof(uint64_t), len -= sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		digest = (digest ^ word) * 0x100000001b3u;
		digest ^= digest >> 32;
	}
	for (; len > 0; p++, len--)
		digest = (digest ^ *p) * 0x100000001b3u;
	return digest;
}
