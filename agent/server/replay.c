#include "agent/server/replay.h"

#include "agent/server/journal.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/log.h"

#include <string.h>

/* Two clocks that agree are read at different moments of a millisecond. */
#define FUTURE_MS 5

/* From this size on a digest is made of blocks, not of words. */
#define BULK_BYTES ((size_t)16 * 1024)
#define BULK_BLOCK (4 * sizeof(uint64_t))

/* An allocation failure shows as an entry that is not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	uint8_t id[WIRE_CALL_ID_BYTES];
	uint64_t digest;
	struct call *call; /* NULL: finished */
	bool once;
	uint8_t *reply; /* NULL in 'finished': lost */
	size_t reply_len;
	int64_t finished_ms;
	int64_t made_ms; /* as its request tells */
	UT_hash_handle hh;
};

/* Two tables: uthash keeps the order of insertion, so 'finished' is sorted by age. */
struct replay {
	struct replay_limits limits;
	struct entry *running;
	struct entry *finished;
	size_t bytes;
	struct journal *journal; /* NULL: none */
	int64_t clock_base_ms;
	int64_t forgotten_ms; /* the latest of all forgotten calls was made then */
};

const struct replay_limits replay_limits_default = {
	.age_ms = 10 * 60 * 1000,
	.replies = 1024,
	.bytes = 1024 * 1024,
};

static void entry_free(struct entry *e)
{
	free(e->reply);
	free(e);
}

static void drop_finished(struct replay *replay, struct entry *e)
{
	HASH_DEL(replay->finished, e);
	replay->bytes -= e->reply_len;
	entry_free(e);
}

static void note_forgotten(struct replay *replay, int64_t made_ms)
{
	if (made_ms > replay->forgotten_ms)
		replay->forgotten_ms = made_ms;
}

static void forget_finished(struct replay *replay, struct entry *e)
{
	note_forgotten(replay, e->made_ms);
	drop_finished(replay, e);
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
		drop_finished(replay, e);
	}
	journal_close(replay->journal);
	free(replay);
}
DEFINE_CLEANUP(replay, struct replay *, replay_free)

/* --- the journal ---------------------------------------------------------------------------------- */

static struct journal_record record_of(const struct entry *e)
{
	struct journal_record r = {
		.digest = e->digest,
		.at_ms = e->call ? clock_now_ms() : e->finished_ms,
		.reply = e->reply,
		.reply_len = e->reply_len,
	};

	memcpy(r.id, e->id, sizeof(r.id));
	return r;
}

/* All that is still of use, in the order of its age. */
static void rewrite(struct replay *replay)
{
	cleanup_with(text) struct text records = { 0 };
	struct journal_record r;
	struct entry *e, *next;
	struct err err;

	HASH_ITER (hh, replay->finished, e, next) {
		r = record_of(e);
		journal_put(&records, &r);
	}
	HASH_ITER (hh, replay->running, e, next) {
		r = record_of(e);
		if (e->once)
			journal_put(&records, &r);
	}
	if (journal_rewrite(replay->journal, &records, &err) < 0)
		log_debug("%s", err.msg);
}

static void note(struct replay *replay, const struct entry *e)
{
	struct journal_record r = record_of(e);
	struct err err;

	if (!replay->journal)
		return;
	if (journal_add(replay->journal, &r, &err) < 0)
		log_debug("%s", err.msg);
	if (journal_is_long(replay->journal))
		rewrite(replay);
}

static void keep(struct replay *replay, struct entry *e, const uint8_t *reply, size_t len);

/* journal_each_fn. A time to come is of another boot. */
static void remember(void *arg, const struct journal_record *r)
{
	struct entry *e = calloc(1, sizeof(*e)), *known;
	struct replay *replay = arg;
	int64_t now = clock_now_ms();

	if (!e)
		return;
	HASH_FIND(hh, replay->finished, r->id, WIRE_CALL_ID_BYTES, known);
	if (known)
		drop_finished(replay, known); /* 'r' says more */
	memcpy(e->id, r->id, sizeof(e->id));
	e->digest = r->digest;
	e->finished_ms = r->at_ms >= 0 && r->at_ms < now ? r->at_ms : now;
	e->made_ms = replay->clock_base_ms + e->finished_ms; /* or before that */
	keep(replay, e, r->reply, r->reply_len);
}

static int open_journal(struct replay *replay, const char *path, struct err *err)
{
	size_t damaged;

	if (journal_open(path, remember, replay, &replay->journal, &damaged, err) < 0)
		return -1;
	if (damaged)
		log_note("%zu bytes of '%s' were damaged and are left out", damaged, path);
	replay_expire(replay);
	rewrite(replay);
	return 0;
}

int replay_new(const struct replay_limits *limits, const char *journal_path,
	       struct replay **ret_replay, struct err *err)
{
	cleanup_with(replay) struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return err_oom(err);
	replay->limits = *limits;
	replay->clock_base_ms = clock_wall_ns() / 1000000 - clock_now_ms();
	if (journal_path && open_journal(replay, journal_path, err) < 0)
		return -1;
	*ret_replay = TAKE(replay);
	return 0;
}

/* --- calls ---------------------------------------------------------------------------------------- */

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
	*ret = (struct replay_found){ e->call, e->reply, e->reply_len, !e->call && !e->reply };
	return true;
}

int64_t replay_clock_ms(const struct replay *replay)
{
	return replay->clock_base_ms + clock_now_ms();
}

static const char *why_stale(const struct replay *replay, const struct replay_time *time)
{
	int64_t now = replay_clock_ms(replay);

	if (time->made_ms == 0)
		return NULL;
	if (time->made_ms > now + FUTURE_MS)
		return "it was made in the future";
	if (time->made_ms <= replay->forgotten_ms || now - time->made_ms > REPLAY_FRESH_MS)
		return "it was made so long ago that it may have been done and forgotten";
	return time->until_ms && now > time->until_ms ? "nobody waits for it any more" : NULL;
}

int replay_check_fresh(const struct replay *replay, const struct replay_time *time, struct err *err)
{
	const char *why = why_stale(replay, time);

	if (!why)
		return 0;
	err_set(err, ERR_ABORTED, 0, "the call comes too late: %s", why);
	return err_explain(err, "CALL_STALE",
			   "look at the node's state before you repeat the command");
}

/* Duplicates of a call that cannot be remembered are told by their age. */
static int not_remembered(struct replay *replay, enum method_effect effect, int64_t made_ms,
			  struct err *err)
{
	if (effect != METHOD_READS)
		note_forgotten(replay, made_ms);
	return err_oom(err);
}

int replay_begin(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES], uint64_t digest,
		 enum method_effect effect, int64_t made_ms, struct call *call, struct err *err)
{
	struct entry *e = calloc(1, sizeof(*e)), *found;

	if (!e)
		return not_remembered(replay, effect, made_ms, err);
	e->made_ms = made_ms;
	memcpy(e->id, id, sizeof(e->id));
	e->digest = digest;
	e->call = call;
	e->once = effect == METHOD_ONCE;
	HASH_ADD(hh, replay->running, id, sizeof(e->id), e);
	HASH_FIND(hh, replay->running, id, sizeof(e->id), found);
	if (!found) {
		free(e);
		return not_remembered(replay, effect, made_ms, err);
	}
	if (e->once)
		note(replay, e);
	return 0;
}

static void make_room(struct replay *replay, size_t bytes)
{
	while (replay->finished && (replay->bytes + bytes > replay->limits.bytes ||
				    HASH_COUNT(replay->finished) >= replay->limits.replies))
		forget_finished(replay, replay->finished);
}

/* Takes over 'e', which is finished; 'reply' NULL: it is lost. */
static void keep(struct replay *replay, struct entry *e, const uint8_t *reply, size_t len)
{
	struct entry *found;

	if (len > replay->limits.bytes || (reply && !(e->reply = malloc(len ? len : 1)))) {
		note_forgotten(replay, e->made_ms);
		entry_free(e);
		return;
	}
	make_room(replay, len);
	if (len)
		memcpy(e->reply, reply, len);
	e->reply_len = len;
	e->call = NULL;
	HASH_ADD(hh, replay->finished, id, sizeof(e->id), e);
	HASH_FIND(hh, replay->finished, e->id, sizeof(e->id), found);
	if (found) {
		replay->bytes += len;
		return;
	}
	note_forgotten(replay, e->made_ms);
	entry_free(e);
}

void replay_finish(struct replay *replay, const uint8_t id[WIRE_CALL_ID_BYTES],
		   const uint8_t *reply, size_t reply_len)
{
	struct entry *e;

	HASH_FIND(hh, replay->running, id, WIRE_CALL_ID_BYTES, e);
	if (!e)
		return;
	HASH_DEL(replay->running, e);
	if (!reply) {
		entry_free(e);
		return;
	}
	e->finished_ms = clock_now_ms();
	keep(replay, e, reply, reply_len);
	HASH_FIND(hh, replay->finished, id, WIRE_CALL_ID_BYTES, e);
	if (e)
		note(replay, e);
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

static uint64_t digest_word(uint64_t digest, const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	digest = (digest ^ word) * 0x100000001b3u;
	return digest ^ digest >> 32;
}

/* Four words at a time that do not wait for each other: a write to a session has a quarter of a megabyte. */
static uint64_t digest_bulk(uint64_t digest, const uint8_t *p, size_t blocks)
{
	uint64_t lanes[4] = { digest, digest + 1, digest + 2, digest + 3 };

	for (; blocks > 0; blocks--, p += BULK_BLOCK) {
		lanes[0] = digest_word(lanes[0], p);
		lanes[1] = digest_word(lanes[1], p + 8);
		lanes[2] = digest_word(lanes[2], p + 16);
		lanes[3] = digest_word(lanes[3], p + 24);
	}
	for (size_t i = 1; i < ARRAY_LEN(lanes); i++)
		lanes[0] = digest_word(lanes[0], (const uint8_t *)&lanes[i]);
	return lanes[0];
}

uint64_t replay_digest(uint64_t digest, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	if (len >= BULK_BYTES) {
		digest = digest_bulk(digest, p, len / BULK_BLOCK);
		p += len / BULK_BLOCK * BULK_BLOCK;
		len %= BULK_BLOCK;
	}
	for (; len >= sizeof(uint64_t); p += sizeof(uint64_t), len -= sizeof(uint64_t))
		digest = digest_word(digest, p);
	for (; len > 0; p++, len--)
		digest = (digest ^ *p) * 0x100000001b3u;
	return digest;
}
