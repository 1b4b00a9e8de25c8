/*
 * A session under any order of calls: a source that produces and takes what the input says, readers and
 * writers that come back with old offsets, other ids, in the middle of it. What is read at an offset is what
 * was put there, and every call gets its one answer.
 */
#include "agent/streams/stream.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <systemd/sd-event.h>

#define CALLS_MAX 64
#define PUT_MAX   4096

struct source {
	struct stream *stream;
	uint64_t put;   /* bytes of output so far; byte i is (uint8_t)(i * 7) */
	uint64_t taken; /* bytes of input so far */
	unsigned take;  /* how many the next input() takes at most */
	bool closed;
	bool finished;
};

struct call {
	uint64_t offset;
	unsigned answers;
	size_t asked;
};

static struct source source;
static struct call calls[CALLS_MAX];
static size_t call_count;
static int64_t now_us;

/* Looks at this process's cgroup, which is none of a session's business. */
int __wrap_children_open(struct streams *streams, struct err *err);
int __wrap_children_open(struct streams *streams, struct err *err)
{
	(void)streams;
	(void)err;
	return 0;
}

static int64_t fake_now(void)
{
	return now_us;
}

/* What is put from that offset on: as many bytes as one read may bring. */
static const uint8_t *pattern_at(uint64_t offset)
{
	static uint8_t pattern[STREAM_CHUNK_BYTES + 256];

	for (size_t i = 0; !pattern[1] && i < sizeof(pattern); i++)
		pattern[sizeof(pattern) - 1 - i] = (uint8_t)((sizeof(pattern) - 1 - i) * 7);
	return pattern + offset % 256;
}

static void put_some(size_t len)
{
	size_t room = stream_room(source.stream);

	if (source.finished)
		return;
	len = len < PUT_MAX ? len : PUT_MAX;
	len = len < room ? len : room;
	stream_put(source.stream, source.put % 3 ? STREAM_OUT : STREAM_ERR, pattern_at(source.put),
		   len);
	source.put += len;
}

static void source_pump(void *arg)
{
	(void)arg;
}

static size_t source_input(void *arg, const uint8_t *bytes, size_t len)
{
	size_t n = len < source.take ? len : source.take;

	(void)arg;
	for (size_t i = 0; i < n; i++)
		PROMISE(bytes[i] == (uint8_t)((source.taken + i) * 5));
	source.taken += n;
	return n;
}

static void source_close(void *arg)
{
	(void)arg;
	PROMISE(!source.closed);
	source.closed = true;
}

static const struct stream_ops ops = {
	.kind = "fuzz",
	.pump = source_pump,
	.input = source_input,
	.close = source_close,
};

static void on_read(void *arg, const struct stream_read *read, const struct err *err)
{
	struct call *call = arg;
	uint64_t at = call->offset;

	PROMISE(call->answers++ == 0);
	PROMISE(!read != !err);
	for (size_t i = 0; read && i < read->count; i++) {
		const struct stream_piece *piece = &read->pieces[i];

		PROMISE(piece->len > 0 && piece->len <= STREAM_CHUNK_BYTES);
		PROMISE(memcmp(piece->bytes, pattern_at(at), piece->len) == 0);
		at += piece->len;
	}
	if (read) {
		PROMISE(read->next_offset == at && at <= source.put);
		PROMISE(at - call->offset <= (call->asked ? call->asked : STREAM_CHUNK_BYTES));
	}
}

static void on_write(void *arg, uint64_t next_offset, const struct err *err)
{
	struct call *call = arg;

	PROMISE(call->answers++ == 0);
	if (!err)
		PROMISE(next_offset >= call->offset);
}

static struct call *new_call(uint64_t offset, size_t asked)
{
	struct call *call = &calls[call_count++];

	*call = (struct call){ .offset = offset, .asked = asked };
	return call;
}

static void write_some(uint64_t offset, size_t len)
{
	static uint8_t bytes[CALLS_MAX][256]; /* borrowed until it is answered */
	uint8_t *mine = bytes[call_count];

	for (size_t i = 0; i < len; i++)
		mine[i] = (uint8_t)((offset + i) * 5);
	stream_write(source.stream, offset, mine, len, false, deadline_in_ms(1000), on_write,
		     new_call(offset, len));
}

static void act(const uint8_t step[3], sd_event *loop)
{
	unsigned value = step[1] | (unsigned)step[2] << 8;

	switch (step[0] % 10) {
	case 0:
	case 1:
		put_some(value);
		break;
	case 2: /* from anywhere near what there is */
	case 3:
		stream_read(source.stream, source.put > value ? source.put - value : value % 8,
			    step[2] * 97u, deadline_in_ms(step[1]), on_read,
			    new_call(source.put > value ? source.put - value : value % 8,
				     step[2] * 97u));
		break;
	case 4:
		write_some(source.taken + step[1] % 3, step[2]);
		break;
	case 5:
		write_some(source.taken > step[1] ? source.taken - step[1] : 0, step[2]);
		break;
	case 6:
		source.take = step[1];
		stream_want_input(source.stream);
		break;
	case 7:
		now_us += value * 1000;
		sd_event_run(loop, 0);
		break;
	case 8:
		if (!source.finished)
			stream_finish(source.stream, &(struct stream_end){ .exit_code = step[1] });
		source.finished = true;
		break;
	default:
		sd_event_run(loop, 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct streams *streams;
	sd_event *loop = NULL;
	struct err err;

	source = (struct source){ .take = 100 };
	call_count = 0;
	now_us = 1000000;
	clock_set_source(fake_now);
	PROMISE(sd_event_new(&loop) >= 0);
	PROMISE(streams_open(loop, &streams, &err) == 0);
	PROMISE(stream_new(streams, &ops, &source, ROLE_READ, &source.stream, &err) == 0);
	for (; len >= 3 && !source.closed && call_count < CALLS_MAX; bytes += 3, len -= 3)
		act(bytes, loop);
	if (!source.closed && len)
		stream_close(source.stream);
	streams_close(streams);
	PROMISE(source.closed);
	for (size_t i = 0; i < call_count; i++)
		PROMISE(calls[i].answers == 1);
	sd_event_unref(loop);
	return 0;
}
