#include "controller/cli/log_merge.h"

#include "shared/base/cleanup.h"
#include "shared/base/stamp.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* No line is longer; an agent cuts them at that. */
#define LINE_MAX_BYTES ((size_t)2 * 1024 * 1024)

static const char *const streams[] = { "stdout", "stderr", "journal", "kernel" };

struct queued {
	struct queued *next;
	int64_t time_ns;
	int64_t came_ms;
	const char *stream;
	size_t len;
	char text[];
};

struct source {
	struct text line;                      /* begun */
	struct text parts[ARRAY_LEN(streams)]; /* of a line that goes on, one a stream */
	int64_t parts_ns[ARRAY_LEN(streams)];
	int64_t last_ns;
	struct queued *first, **last;
	size_t bytes;
	bool ended;
};

struct log_merge {
	struct source *sources;
	size_t count;
	int64_t window_ms;
	int64_t now_ms;
	log_line_fn *fn;
	void *arg;
};

struct log_merge *log_merge_new(size_t sources, int64_t window_ms, log_line_fn *fn, void *arg)
{
	struct log_merge *m = calloc(1, sizeof(*m));

	if (!m || !(m->sources = calloc(sources + 1, sizeof(*m->sources)))) {
		free(m);
		return NULL;
	}
	m->count = sources;
	m->window_ms = window_ms;
	m->fn = fn;
	m->arg = arg;
	for (size_t i = 0; i < sources; i++)
		m->sources[i].last = &m->sources[i].first;
	return m;
}

static void drop_first(struct source *s)
{
	struct queued *q = s->first;

	s->first = q->next;
	if (!s->first)
		s->last = &s->first;
	s->bytes -= q->len;
	free(q);
}

void log_merge_free(struct log_merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++) {
		struct source *s = &m->sources[i];

		while (s->first)
			drop_first(s);
		text_release(&s->line);
		for (size_t k = 0; k < ARRAY_LEN(streams); k++)
			text_release(&s->parts[k]);
	}
	free(m->sources);
	free(m);
}

bool log_merge_is_full(const struct log_merge *m, size_t source)
{
	return m->sources[source].bytes > LOG_MERGE_BYTES;
}

/* --- in order -------------------------------------------------------------------------------------------- */

static struct source *earliest(const struct log_merge *m)
{
	struct source *found = NULL;

	for (size_t i = 0; i < m->count; i++) {
		struct source *s = &m->sources[i];

		if (s->first && (!found || s->first->time_ns < found->first->time_ns))
			found = s;
	}
	return found;
}

/* A source without a line may yet come with an earlier one. */
static bool somebody_is_awaited(const struct log_merge *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (!m->sources[i].first && !m->sources[i].ended)
			return true;
	}
	return false;
}

static bool has_waited(const struct log_merge *m, const struct queued *q)
{
	return m->window_ms >= 0 && m->now_ms - q->came_ms >= m->window_ms;
}

static int go_on(struct log_merge *m, struct err *err)
{
	struct source *s;

	while ((s = earliest(m))) {
		const struct queued *q = s->first;
		struct log_line line = { q->time_ns, q->stream, q->text, q->len };

		/* Whoever came before it in time goes before it, however long he has waited. */
		if (somebody_is_awaited(m) && !has_waited(m, q))
			return 0;
		if (m->fn(m->arg, (size_t)(s - m->sources), &line, err) < 0)
			return -1;
		drop_first(s);
	}
	return 0;
}

static int hand_on(struct log_merge *m, struct source *s, const struct log_line *line,
		   struct err *err)
{
	struct queued *q;

	if (m->count == 1)
		return m->fn(m->arg, 0, line, err);
	q = malloc(sizeof(*q) + line->len + 1);
	if (!q)
		return err_oom(err);
	*q = (struct queued){
		.time_ns = line->time_ns,
		.came_ms = m->now_ms,
		.stream = line->stream,
		.len = line->len,
	};
	memcpy(q->text, line->text, line->len + 1);
	*s->last = q;
	s->last = &q->next;
	s->bytes += q->len;
	return 0;
}

/* --- lines ----------------------------------------------------------------------------------------------- */

/* "TIME STREAM TAG TEXT". False: it is something else. '*ret_part': it goes on. */
static bool take_apart(char *line, size_t len, struct log_line *ret, size_t *ret_stream,
		       bool *ret_part)
{
	size_t at, word;
	int64_t ns;

	if (!stamp_parse(line, len, &ns, &at) || line[at] != ' ')
		return false;
	at++;
	for (*ret_stream = 0; *ret_stream < ARRAY_LEN(streams); (*ret_stream)++) {
		word = strlen(streams[*ret_stream]);
		if (len - at > word + 2 && memcmp(line + at, streams[*ret_stream], word) == 0 &&
		    line[at + word] == ' ')
			break;
	}
	if (*ret_stream == ARRAY_LEN(streams))
		return false;
	at += word + 1;
	*ret_part = line[at] == 'P';
	if (line[at] != 'P' && line[at] != 'F')
		return false;
	/* Behind the first tag there may be others, with colons. */
	at += strcspn(line + at, " ");
	at += line[at] == ' ';
	ret->time_ns = ns;
	ret->stream = streams[*ret_stream];
	ret->text = line + at;
	ret->len = len - at;
	return true;
}

static int take_part(struct source *s, size_t stream, const struct log_line *line, struct err *err)
{
	struct text *parts = &s->parts[stream];

	if (parts->len == 0)
		s->parts_ns[stream] = line->time_ns;
	if (parts->len < LINE_MAX_BYTES)
		text_add_bytes(parts, line->text, line->len);
	return text_failed(parts) ? err_oom(err) : 0;
}

static int take_line(struct log_merge *m, struct source *s, char *text, size_t len, struct err *err)
{
	struct log_line line = { .time_ns = s->last_ns, .stream = "", .text = text, .len = len };
	bool is_part = false;
	size_t stream = 0;
	int rc;

	if (!take_apart(text, len, &line, &stream, &is_part))
		return hand_on(m, s, &line, err);
	s->last_ns = line.time_ns;
	if (!is_part && s->parts[stream].len == 0)
		return hand_on(m, s, &line, err);
	if (take_part(s, stream, &line, err) < 0)
		return -1;
	if (is_part)
		return 0;
	line.time_ns = s->parts_ns[stream];
	line.text = s->parts[stream].data;
	line.len = s->parts[stream].len;
	rc = hand_on(m, s, &line, err);
	text_release(&s->parts[stream]);
	return rc;
}

/* The bytes of whole lines, which may be written to: each newline becomes a NUL. */
static int take_lines(struct log_merge *m, struct source *s, char *bytes, size_t len,
		      struct err *err)
{
	char *end = bytes + len;

	while (bytes < end) {
		char *newline = memchr(bytes, '\n', (size_t)(end - bytes));

		*newline = '\0';
		if (take_line(m, s, bytes, (size_t)(newline - bytes), err) < 0)
			return -1;
		bytes = newline + 1;
	}
	return 0;
}

/* memrchr(3), which not every host has. */
static char *last_newline(const struct text *t)
{
	for (size_t i = t->len; i > 0; i--) {
		if (t->data[i - 1] == '\n')
			return t->data + i - 1;
	}
	return NULL;
}

int log_merge_put(struct log_merge *m, size_t source, const void *bytes, size_t len, int64_t now_ms,
		  struct err *err)
{
	struct source *s = &m->sources[source];
	const char *newline;
	size_t whole;

	m->now_ms = now_ms;
	text_add_bytes(&s->line, bytes, len);
	if (text_failed(&s->line))
		return err_oom(err);
	newline = last_newline(&s->line);
	if (!newline && s->line.len <= LINE_MAX_BYTES)
		return 0;
	if (!newline) {
		text_add(&s->line, "\n");
		newline = s->line.data + s->line.len - 1;
	}
	whole = (size_t)(newline - s->line.data) + 1;
	if (take_lines(m, s, s->line.data, whole, err) < 0)
		return -1;
	s->line.len -= whole;
	memmove(s->line.data, s->line.data + whole, s->line.len + 1);
	return go_on(m, err);
}

/* What was begun is told as far as it came. */
int log_merge_end(struct log_merge *m, size_t source, struct err *err)
{
	struct source *s = &m->sources[source];

	if (s->line.len && log_merge_put(m, source, "\n", 1, m->now_ms, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		struct log_line line = { s->parts_ns[i], streams[i], text_str(&s->parts[i]),
					 s->parts[i].len };

		if (line.len && hand_on(m, s, &line, err) < 0)
			return -1;
		text_release(&s->parts[i]);
	}
	s->ended = true;
	return go_on(m, err);
}

int log_merge_tick(struct log_merge *m, int64_t now_ms, struct err *err)
{
	m->now_ms = now_ms;
	return go_on(m, err);
}
