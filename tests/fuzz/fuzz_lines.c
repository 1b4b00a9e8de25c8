/*
 * Log lines as they come to the controller from two nodes, in pieces, merged by time. How the bytes were
 * cut makes no difference to the lines of a node; and what goes to a terminal moves nothing there.
 *
 * Input: pieces of a byte that says whose they are and how much time passes, a length byte, and the bytes.
 */
#include "controller/cli/cell.h"
#include "controller/cli/log_merge.h"
#include "shared/base/cleanup.h"
#include "shared/base/text.h"
#include "shared/base/utf8.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* All lines of one source, one behind the other. */
struct told {
	struct text lines[2];
	size_t count;
};

static void look_at_cell(const char *text)
{
	cleanup_with(text) struct text cell = { 0 };

	cell_escape(&cell, text);
	PROMISE(!text_failed(&cell));
	for (size_t i = 0; i < cell.len;) {
		size_t len = utf8_length(cell.data + i, cell.len - i);

		PROMISE(len > 0 && (unsigned char)cell.data[i] >= ' ' && cell.data[i] != 0x7f);
		i += len;
	}
	cell_width(text_str(&cell));
}

/* log_line_fn */
static int on_line(void *arg, size_t source, const struct log_line *line, struct err *err)
{
	static const char *const streams[] = { "", "stdout", "stderr", "journal", "kernel" };
	struct told *told = arg;
	bool known = false;

	(void)err;
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		known = known || strcmp(line->stream, streams[i]) == 0;
	PROMISE(known && line->text[line->len] == '\0');
	look_at_cell(line->text);
	text_addf(&told->lines[source], "%lld %s ", (long long)line->time_ns, line->stream);
	text_add_bytes(&told->lines[source], line->text, line->len);
	text_add(&told->lines[source], "\n");
	told->count++;
	return 0;
}

/* All of each source at once. */
static void tell_whole(const struct text said[2], struct told *told)
{
	struct log_merge *m = log_merge_new(2, -1, on_line, told);
	struct err err;

	PROMISE(m);
	for (size_t i = 0; i < 2; i++) {
		PROMISE(log_merge_put(m, i, text_str(&said[i]), said[i].len, 0, &err) == 0);
		PROMISE(log_merge_end(m, i, &err) == 0);
	}
	log_merge_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = { bytes, len };
	struct text said[2] = { 0 };
	struct told pieces = { 0 }, whole = { 0 };
	struct log_merge *m = log_merge_new(2, 250, on_line, &pieces);
	int64_t now_ms = 0;
	struct err err;

	PROMISE(m);
	while (in.left > 0) {
		uint8_t how = input_byte(&in);
		const uint8_t *at = input_bytes(&in, input_byte(&in), &len);

		now_ms += how >> 1;
		if (len)
			text_add_bytes(&said[how & 1], at, len);
		PROMISE(log_merge_put(m, how & 1, len ? (const char *)at : "", len, now_ms, &err) ==
			0);
		PROMISE(log_merge_tick(m, now_ms, &err) == 0);
		PROMISE(!log_merge_is_full(m, how & 1));
	}
	PROMISE(log_merge_end(m, 0, &err) == 0 && log_merge_end(m, 1, &err) == 0);
	tell_whole(said, &whole);
	PROMISE(pieces.count == whole.count);
	for (size_t i = 0; i < 2; i++) {
		PROMISE(pieces.lines[i].len == whole.lines[i].len);
		PROMISE(memcmp(text_str(&pieces.lines[i]), text_str(&whole.lines[i]),
			       whole.lines[i].len) == 0);
		text_release(&pieces.lines[i]);
		text_release(&whole.lines[i]);
		text_release(&said[i]);
	}
	log_merge_free(m);
	return 0;
}
