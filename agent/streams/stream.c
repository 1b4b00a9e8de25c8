/*
 * One session: output to those who read, input to the source, each with those who wait for it.
 */
#include "agent/streams/streams_impl.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define KEEP_MS 1000

const uint8_t *stream_id(const struct stream *s)
{
	return s->id;
}

/* --- the source puts ------------------------------------------------------------------------------- */

size_t stream_room(const struct stream *s)
{
	return s->finished ? 0 : ring_room(&s->out);
}

uint8_t *stream_reserve(struct stream *s, enum stream_channel channel, size_t *ret_len)
{
	uint8_t *bytes = NULL;

	*ret_len = 0;
	if (!s->finished)
		bytes = ring_reserve(&s->out, channel, ret_len);
	if (!bytes)
		s->source_waits = true;
	return bytes;
}

void stream_commit(struct stream *s, size_t len)
{
	if (len == 0)
		return;
	ring_commit(&s->out, len);
	if (ring_room(&s->out) == 0)
		s->source_waits = true;
	if (s->waiters)
		streams_work_later(s);
}

void stream_put(struct stream *s, enum stream_channel channel, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	while (len > 0) {
		size_t room;
		uint8_t *to = stream_reserve(s, channel, &room);

		if (!to)
			return;
		if (room > len)
			room = len;
		memcpy(to, from, room);
		stream_commit(s, room);
		from += room;
		len -= room;
	}
}

void stream_finish(struct stream *s, const struct stream_end *end)
{
	if (s->finished)
		return;
	s->finished = true;
	s->end = *end;
	if (s->waiters)
		streams_work_later(s);
}

void stream_want_input(struct stream *s)
{
	if (s->waiters)
		streams_work_later(s);
}

/* --- waiting --------------------------------------------------------------------------------------- */

static int wait_for(struct stream *s, const struct stream_waiter *wanted, struct err *err)
{
	struct stream_waiter *w;

	if (s->waiting >= STREAM_WAITERS_MAX) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "%d calls wait for this session already",
			STREAM_WAITERS_MAX);
		return err_explain(err, "TOO_MANY_WAITERS", NULL);
	}
	w = malloc(sizeof(*w));
	if (!w)
		return err_oom(err);
	*w = *wanted;
	DL_APPEND(s->waiters, w);
	s->waiting++;
	streams_wake_by(s->streams, w->by.at_ms);
	return 0;
}

/* Out of the list, so that whatever happens in its answer finds the session whole. */
static struct stream_waiter take_waiter(struct stream *s, struct stream_waiter *w)
{
	struct stream_waiter copy = *w;

	DL_DELETE(s->waiters, w);
	s->waiting--;
	free(w);
	return copy;
}

static struct deadline at_most(struct deadline by)
{
	return deadline_min(by, deadline_in_ms(STREAM_WAIT_MS));
}

/* --- reading --------------------------------------------------------------------------------------- */

static bool has_something(const struct stream *s)
{
	return s->finished || s->out.start < s->out.end;
}

static void answer_read(struct stream *s, size_t max, stream_read_fn *done, void *arg)
{
	struct stream_piece pieces[RING_PIECES_MAX];
	struct stream_read read = { .pieces = pieces };

	read.count = ring_look(&s->out, max, pieces, &read.next_offset);
	if (s->finished && read.next_offset == s->out.end)
		read.end = &s->end;
	s->end_told |= read.end != NULL;
	done(arg, &read, NULL);
}

static int check_offset(const struct stream *s, uint64_t offset, struct err *err)
{
	if (offset >= s->out.start && offset <= s->out.end)
		return 0;
	err_set(err, ERR_OUT_OF_RANGE, 0,
		"the session has the bytes from %llu to %llu, not those at %llu",
		(unsigned long long)s->out.start, (unsigned long long)s->out.end,
		(unsigned long long)offset);
	return err_explain(err, "STREAM_OFFSET", NULL);
}

static int let_go(struct stream *s, uint64_t offset, struct err *err)
{
	if (check_offset(s, offset, err) < 0)
		return -1;
	ring_drop(&s->out, offset);
	if (s->source_waits && ring_room(&s->out) > 0)
		streams_work_later(s);
	return 0;
}

void stream_read(struct stream *s, uint64_t offset, size_t max, struct deadline by,
		 stream_read_fn *done, void *arg)
{
	struct stream_waiter w = { .by = at_most(by), .arg = arg };
	struct err err;

	if (max == 0 || max > STREAM_CHUNK_BYTES)
		max = STREAM_CHUNK_BYTES;
	if (let_go(s, offset, &err) < 0) {
		done(arg, NULL, &err);
		return;
	}
	if (has_something(s) || deadline_is_over(by)) {
		answer_read(s, max, done, arg);
		return;
	}
	ring_shrink(&s->out);
	w.read.offset = offset;
	w.read.max = max;
	w.read.done = done;
	if (wait_for(s, &w, &err) < 0)
		done(arg, NULL, &err);
}

/* --- writing --------------------------------------------------------------------------------------- */

static bool takes_input(const struct stream *s, uint64_t offset, size_t len, struct err *err)
{
	if (!s->ops->input) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "the session takes no input");
		err_explain(err, "STREAM_NO_INPUT", NULL);
		return false;
	}
	if (offset > s->in_offset) {
		err_set(err, ERR_OUT_OF_RANGE, 0,
			"the session has taken %llu bytes of input; %llu would leave a gap",
			(unsigned long long)s->in_offset, (unsigned long long)offset);
		err_explain(err, "STREAM_OFFSET", NULL);
		return false;
	}
	if (s->in_ended && offset + len > s->in_offset) {
		err_set(err, ERR_FAILED_PRECONDITION, 0, "the session's input has ended");
		err_explain(err, "STREAM_INPUT_ENDED", NULL);
		return false;
	}
	return true;
}

static size_t hand_on(struct stream *s, const uint8_t *bytes, size_t len)
{
	/* Nobody reads it any more: whoever writes is let come to its end. */
	if (s->finished)
		return len;
	len = s->ops->input(s->source, bytes, len);
	if (s->in_checked)
		sha256_add(&s->in_hash, bytes, len);
	return len;
}

/* What was taken, and 'rest' as its last bytes. */
static bool is_as_sent(const struct stream *s, const uint8_t *rest, size_t len)
{
	struct sha256 whole = s->in_hash;
	uint8_t sum[SHA256_BYTES];

	if (!s->in_checked || s->in_ended || s->finished)
		return true;
	sha256_add(&whole, rest, len);
	sha256_end(&whole, sum);
	return s->told_sum && memcmp(sum, s->in_sum, sizeof(sum)) == 0;
}

/* Its input stays open until it is gone: an end is what it must not see. */
static void break_off(struct stream *s)
{
	struct stream_end end = { .exit_code = 128 + SIGKILL, .signal = SIGKILL };
	struct err ignored;

	s->in_ended = true;
	s->ops->signal(s->source, SIGKILL, &ignored);
	err_set(&end.err, ERR_DATA_LOSS, 0,
		s->told_sum ? "what arrived is not what was sent: its SHA-256 differs"
			    : "what arrived cannot be checked: it came without its SHA-256");
	err_explain(&end.err, "CONTENT_CHANGED", "nothing was made of it; try again");
	stream_finish(s, &end);
}

static void end_input(struct stream *s)
{
	if (s->in_ended)
		return;
	s->in_ended = true;
	if (!s->finished && s->ops->input_end)
		s->ops->input_end(s->source);
}

void stream_check_input(struct stream *s)
{
	s->in_checked = true;
	sha256_start(&s->in_hash);
}

void stream_tell_sha256(struct stream *s, const uint8_t sha256[SHA256_BYTES])
{
	memcpy(s->in_sum, sha256, SHA256_BYTES);
	s->told_sum = true;
}

/* Hands on what is new. False: the source takes nothing at present. */
static bool try_write(struct stream *s, const struct stream_waiter *w)
{
	uint64_t stop = w->write.offset + w->write.len;
	size_t left = stop > s->in_offset ? (size_t)(stop - s->in_offset) : 0;
	const uint8_t *bytes = w->write.bytes + (w->write.len - left);

	/* Before the last bytes are handed on: an archive tells by itself where it ends. */
	if (w->write.eof && stop >= s->in_offset && !is_as_sent(s, bytes, left))
		break_off(s);
	if (left > 0) {
		size_t taken = hand_on(s, bytes, left);

		if (taken == 0)
			return false;
		s->in_offset += taken;
	}
	if (w->write.eof && s->in_offset == stop)
		end_input(s);
	return true;
}

void stream_write(struct stream *s, uint64_t offset, const uint8_t *bytes, size_t len, bool eof,
		  struct deadline by, stream_write_fn *done, void *arg)
{
	struct stream_waiter w = { .writes = true, .by = at_most(by), .arg = arg };
	struct err err;

	if (len > STREAM_CHUNK_BYTES) {
		err_set(&err, ERR_INVALID_ARGUMENT, 0, "a write has at most %zu bytes, not %zu",
			STREAM_CHUNK_BYTES, len);
		done(arg, 0, &err);
		return;
	}
	if (!takes_input(s, offset, len, &err)) {
		done(arg, 0, &err);
		return;
	}
	w.write.offset = offset;
	w.write.bytes = bytes;
	w.write.len = len;
	w.write.eof = eof;
	w.write.done = done;
	if (try_write(s, &w) || deadline_is_over(by))
		done(arg, s->in_offset, NULL);
	else if (wait_for(s, &w, &err) < 0)
		done(arg, 0, &err);
}

/* --- from the loop --------------------------------------------------------------------------------- */

static void answer(struct stream *s, struct stream_waiter *waiter)
{
	struct stream_waiter w = take_waiter(s, waiter);
	struct err err;

	if (w.writes)
		w.write.done(w.arg, s->in_offset, NULL);
	else if (check_offset(s, w.read.offset, &err) < 0)
		w.read.done(w.arg, NULL, &err); /* another read has gone past it meanwhile */
	else
		answer_read(s, w.read.max, w.read.done, w.arg);
}

void stream_work(struct stream *s)
{
	struct stream_waiter *w, *next;
	bool blocked = false;

	if (s->source_waits && !s->finished && ring_room(&s->out) > 0) {
		s->source_waits = false;
		s->ops->pump(s->source);
	}
	DL_FOREACH_SAFE(s->waiters, w, next)
	{
		if (w->writes && !blocked)
			blocked = !try_write(s, w);
		if (w->writes ? !blocked : has_something(s))
			answer(s, w);
	}
}

/* Who has just been answered in vain asks again at once; until then the session is nobody's to close. */
static void stream_keep(struct stream *s, int64_t now_ms)
{
	int64_t idle_ms = s->streams->idle_ms;
	int64_t least = now_ms - idle_ms + (idle_ms < KEEP_MS ? idle_ms : KEEP_MS);

	if (s->touched_ms < least)
		s->touched_ms = least;
}

int64_t stream_expire(struct stream *s, int64_t now_ms)
{
	struct stream_waiter *w, *next;
	int64_t first = INT64_MAX;

	DL_FOREACH_SAFE(s->waiters, w, next)
	{
		if (w->by.at_ms <= now_ms) {
			answer(s, w);
			stream_keep(s, now_ms);
		} else if (w->by.at_ms < first) {
			first = w->by.at_ms;
		}
	}
	return first;
}

static void fail_waiters(struct stream *s)
{
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, 0, "the session was closed");
	err_explain(&err, "STREAM_CLOSED", NULL);
	while (s->waiters) {
		struct stream_waiter w = take_waiter(s, s->waiters);

		if (w.writes)
			w.write.done(w.arg, 0, &err);
		else
			w.read.done(w.arg, NULL, &err);
	}
}

void stream_close(struct stream *s)
{
	struct streams *streams = s->streams;

	fail_waiters(s);
	DL_DELETE(streams->all, s);
	streams->count--;
	s->ops->close(s->source);
	ring_release(&s->out);
	free(s);
	if (streams->count == 0) {
		sd_event_source_set_enabled(streams->timer, SD_EVENT_OFF);
		streams_expect_bulk(false);
	}
}

int stream_resize(struct stream *s, unsigned rows, unsigned columns, struct err *err)
{
	if (!s->ops->resize || s->finished)
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "the session has no terminal");
	return s->ops->resize(s->source, rows, columns, err);
}

int stream_signal(struct stream *s, int signal, struct err *err)
{
	if (!s->ops->signal || s->finished)
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "the session runs nothing");
	return s->ops->signal(s->source, signal, err);
}
