#include "tests/support/streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT_MS 10000

uint64_t st_sum(uint64_t sum, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ b[i]) * 0x100000001b3ull;
	return sum;
}

int st_setup(void **state)
{
	struct st_rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	assert_true(sd_event_new(&rig->loop) >= 0);
	assert_int_equal(streams_open(rig->loop, &rig->streams, &err), 0);
	*state = rig;
	return 0;
}

int st_teardown(void **state)
{
	struct st_rig *rig = *state;

	streams_close(rig->streams);
	sd_event_unref(rig->loop);
	free(rig);
	return 0;
}

/* Appends as much as fits. */
static void append(char *text, size_t size, const void *bytes, size_t len)
{
	size_t at = strlen(text);

	if (len > size - 1 - at)
		len = size - 1 - at;
	memcpy(text + at, bytes, len);
	text[at + len] = '\0';
}

static void on_read(void *arg, const struct stream_read *read, const struct err *err)
{
	struct st_answer *a = arg;

	a->count++;
	if (err) {
		a->err = *err;
		return;
	}
	a->sum = ST_SUM_START;
	for (size_t i = 0; i < read->count; i++) {
		const struct stream_piece *p = &read->pieces[i];

		a->len += p->len;
		a->sum = st_sum(a->sum, p->bytes, p->len);
		append(a->text, sizeof(a->text), p->bytes, p->len);
		append(a->channels, sizeof(a->channels), p->channel == STREAM_OUT ? "1" : "2", 1);
	}
	a->pieces = read->count;
	a->next_offset = read->next_offset;
	a->ended = read->end;
	if (read->end)
		a->end = *read->end;
}

void st_read(struct stream *s, uint64_t offset, size_t max, int64_t wait_ms,
	     struct st_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	stream_read(s, offset, max, deadline_in_ms(wait_ms), on_read, answer);
}

static void on_written(void *arg, uint64_t next_offset, const struct err *err)
{
	struct st_answer *a = arg;

	a->count++;
	a->next_offset = next_offset;
	if (err)
		a->err = *err;
}

void st_write(struct stream *s, uint64_t offset, const void *bytes, size_t len, bool eof,
	      int64_t wait_ms, struct st_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	stream_write(s, offset, bytes, len, eof, deadline_in_ms(wait_ms), on_written, answer);
}

void st_wait(struct st_rig *rig, const struct st_answer *answer)
{
	st_until(rig, answer->count > 0);
	assert_int_equal(answer->count, 1);
}

void st_settle(struct st_rig *rig)
{
	while (sd_event_run(rig->loop, 0) > 0)
		;
}

struct all {
	struct st_output *out;
	uint64_t offset;
	bool answered, ended;
};

static void on_some(void *arg, const struct stream_read *read, const struct err *err)
{
	struct all *all = arg;

	assert_null(err);
	for (size_t i = 0; i < read->count; i++) {
		const struct stream_piece *p = &read->pieces[i];

		all->out->bytes += p->len;
		all->out->sum = st_sum(all->out->sum, p->bytes, p->len);
		if (p->channel == STREAM_OUT)
			append(all->out->text, sizeof(all->out->text), p->bytes, p->len);
		else
			append(all->out->errors, sizeof(all->out->errors), p->bytes, p->len);
	}
	all->offset = read->next_offset;
	all->answered = true;
	all->ended = read->end;
	if (read->end)
		all->out->end = *read->end;
}

void st_read_all(struct st_rig *rig, struct stream *s, uint64_t offset, struct st_output *ret)
{
	struct all all = { .out = ret, .offset = offset };

	memset(ret, 0, sizeof(*ret));
	ret->sum = ST_SUM_START;
	while (!all.ended) {
		all.answered = false;
		stream_read(s, all.offset, 0, deadline_in_ms(LIMIT_MS), on_some, &all);
		st_until(rig, all.answered);
	}
}

void st_write_all(struct st_rig *rig, struct stream *s, const void *bytes, size_t len)
{
	uint64_t at = 0;

	for (;;) {
		size_t left = len - at < STREAM_CHUNK_BYTES ? len - at : STREAM_CHUNK_BYTES;
		struct st_answer answer;

		st_write(s, at, (const uint8_t *)bytes + at, left, at + left == len, LIMIT_MS,
			 &answer);
		st_wait(rig, &answer);
		assert_int_equal(answer.err.code, ERR_OK);
		at = answer.next_offset;
		if (at == len)
			return;
	}
}
