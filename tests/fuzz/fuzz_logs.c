/*
 * A container's log files, whatever its program has written, as the source of a session: one that rotation
 * has put aside, the present one. All of it comes out, each file that was cut off within a line with the
 * line's end; and what is asked for by lines or since a time is the end of that, from the beginning of a
 * line. A record of the kernel's log, too, is a line or nothing.
 *
 * Input: how many lines, since when, then two files, each a length of two bytes and its bytes. A third is the
 * log of the next run; then all of this is about the run before it, by whatever name the container goes.
 */
#include "agent/streams/logs.h"
#include "agent/streams/logs_kmsg.h"
#include "shared/base/cleanup.h"
#include "shared/base/text.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#define BASE_NS INT64_C(1767225600000000000) /* 2026-01-01T00:00:00Z */

struct output {
	struct text text;
	uint64_t next;
	bool ended;
	bool waits;
};

/* Looks at this process's cgroup, which is none of a log's business. */
int __wrap_children_open(struct streams *streams, struct err *err);
int __wrap_children_open(struct streams *streams, struct err *err)
{
	(void)streams;
	(void)err;
	return 0;
}

/* stream_read_fn */
static void on_read(void *arg, const struct stream_read *read, const struct err *err)
{
	struct output *out = arg;

	PROMISE(read && !err);
	out->waits = false;
	for (size_t i = 0; i < read->count; i++)
		text_add_bytes(&out->text, read->pieces[i].bytes, read->pieces[i].len);
	out->next = read->next_offset;
	if (read->end) {
		PROMISE(read->end->err.code == ERR_OK);
		out->ended = true;
	}
}

/* Everything the session says for that range. Caller releases the text. */
static struct text read_log(struct streams *streams, sd_event *loop, const struct logs_range *range,
			    bool previous)
{
	struct container_logs_spec spec = { .root = fuzz_dir(),
					    .namespace = "default",
					    .pod = "web",
					    .container = previous ? "" : "main",
					    .previous = previous,
					    .range = *range };
	struct output out = { 0 };
	struct stream *stream;
	struct err err;

	PROMISE(container_logs_open(streams, loop, &spec, ROLE_READ, &stream, &err) == 0);
	while (!out.ended) {
		if (!out.waits) {
			out.waits = true;
			stream_read(stream, out.next, 0, deadline_in_ms(60000), on_read, &out);
		}
		if (out.waits)
			PROMISE(sd_event_run(loop, 1000000) > 0);
	}
	stream_close(stream);
	PROMISE(!text_failed(&out.text));
	return out.text;
}

static void add_file(struct text *whole, const uint8_t *bytes, size_t len)
{
	if (len)
		text_add_bytes(whole, bytes, len);
	if (len && bytes[len - 1] != '\n')
		text_add(whole, "\n");
}

static size_t count_lines(const char *text, size_t len)
{
	size_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

/* All of it, and nothing else. */
static void look_at_all(struct streams *streams, sd_event *loop, bool previous,
			const struct text *whole)
{
	const struct logs_range all = { .tail_lines = -1 };
	struct text seen = read_log(streams, loop, &all, previous);

	PROMISE(seen.len == whole->len);
	PROMISE(seen.len == 0 || memcmp(seen.data, whole->data, seen.len) == 0);
	text_release(&seen);
}

static void look_at(struct streams *streams, sd_event *loop, const struct logs_range *range,
		    bool previous, const struct text *whole)
{
	struct text part = read_log(streams, loop, range, previous);
	size_t skipped = whole->len - part.len;

	PROMISE(part.len <= whole->len);
	PROMISE(part.len == 0 || memcmp(whole->data + skipped, part.data, part.len) == 0);
	PROMISE(skipped == 0 || part.len == 0 || whole->data[skipped - 1] == '\n');
	if (range->tail_lines >= 0)
		PROMISE(count_lines(text_str(&part), part.len) <= (size_t)range->tail_lines);
	text_release(&part);
}

static void look_at_record(const uint8_t *bytes, size_t len)
{
	char record[4096], line[KMSG_LINE_BYTES];
	size_t have = len < sizeof(record) - 1 ? len : sizeof(record) - 1;
	int64_t ns;

	if (have)
		memcpy(record, bytes, have);
	record[have] = '\0';
	have = kmsg_format(record, have, BASE_NS, line, &ns);
	PROMISE(have < sizeof(line));
	PROMISE(have == 0 || (line[have - 1] == '\n' && strlen(line) == have));
}

static void take_file(struct input *in, const char *path, struct text *whole)
{
	size_t len;
	const uint8_t *at = input_bytes(in, input_word(in), &len);

	add_file(whole, at, len);
	look_at_record(at, len);
	fuzz_dir_write(path, at, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = { bytes, len };
	struct logs_range range = { .tail_lines = input_byte(&in) };
	uint8_t since = input_byte(&in);
	cleanup_with(text) struct text whole = { 0 }, next = { 0 };
	struct streams *streams;
	bool previous;
	sd_event *loop;
	struct err err;

	if (range.tail_lines == 255)
		range.tail_lines = -1;
	range.since_ns = since ? BASE_NS + since * INT64_C(1000000000) : 0;
	take_file(&in, "default_web_u1/main/0.log.20260101-000000", &whole);
	take_file(&in, "default_web_u1/main/0.log", &whole);
	previous = in.left > 0;
	if (previous)
		take_file(&in, "default_web_u1/main/1.log", &next);
	PROMISE(sd_event_new(&loop) >= 0);
	PROMISE(streams_open(loop, &streams, &err) == 0);
	if (previous)
		look_at_all(streams, loop, false, &next);
	look_at_all(streams, loop, previous, &whole);
	look_at(streams, loop, &range, previous, &whole);
	streams_close(streams);
	sd_event_unref(loop);
	if (previous)
		fuzz_dir_clear();
	return 0;
}
