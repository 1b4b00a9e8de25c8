#include "controller/cli/cmd_log_text.h"

#include <string.h>

static const struct log_range whole = { .tail = -1 };

struct tail {
	struct text text;
	size_t max;
};

/* Half a line says nothing: it goes with what is dropped before it. */
static void drop_front(struct tail *tail)
{
	struct text *text = &tail->text;
	const char *from, *line;

	if (text->len <= tail->max)
		return;
	from = text->data + (text->len - tail->max);
	line = from[-1] == '\n' ? from : strchr(from, '\n');
	if (line && line != from)
		from = line + 1;
	text->len -= (size_t)(from - text->data);
	memmove(text->data, from, text->len + 1);
}

static int take_bytes(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	struct tail *tail = arg;
	size_t before = tail->text.len;

	(void)channel;
	text_add_bytes(&tail->text, bytes, len);
	if (text_failed(&tail->text))
		return err_oom(err);
	for (size_t i = before; i < tail->text.len; i++) {
		if (!tail->text.data[i])
			tail->text.data[i] = ' ';
	}
	/* Not each time: moving costs as much as what is kept. */
	if (tail->text.len >= 2 * tail->max)
		drop_front(tail);
	return 0;
}

int log_text(struct node *node, const struct log_wanted *wanted, struct deadline by, size_t max,
	     struct text *ret, struct err *err)
{
	cleanup_with(client_stream) struct client_stream *stream = NULL;
	struct client_stream_io io = { .in_fd = -1, .stop_fd = -1, .data = take_bytes };
	struct client_stream_end end;
	struct tail tail = { .max = max };
	int rc;

	if (log_open(node, wanted, &whole, by, &stream, err) < 0)
		return -1;
	io.arg = &tail;
	rc = client_stream_run(stream, &io, by, &end, err);
	if (rc == 0 && end.err.code != ERR_OK) {
		*err = end.err;
		rc = -1;
	}
	drop_front(&tail);
	text_add(ret, text_str(&tail.text));
	text_release(&tail.text);
	if (rc == 0 && text_failed(ret))
		return err_oom(err);
	return rc;
}
