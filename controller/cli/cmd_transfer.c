#include "controller/cli/cmd_transfer.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <poll.h>
#include <string.h>

/* How often, in bytes, the node is asked whether it has failed already. */
#define LOOK_BYTES ((size_t)16 * 1024 * 1024)
/* One wait for output; in between it is looked whether to stop. */
#define WAIT_MS 500
/* agent/copy/main.c: a helper's exit code is this and its error's. */
#define EXIT_BASE 100

struct deadline transfer_call_by(const struct invocation *inv)
{
	return deadline_min(inv->by, deadline_in_ms(TRANSFER_CALL_MS));
}

void transfer_expect_bulk(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 16 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 32 * 1024 * 1024);
#endif
}

int transfer_check(const struct invocation *inv, struct err *err)
{
	struct pollfd interrupted = { .fd = inv->interrupt ? inv->interrupt->fd : -1,
				      .events = POLLIN };

	if (interrupted.fd >= 0 && poll(&interrupted, 1, 0) == 1)
		return err_set(err, ERR_CANCELLED, 0, "interrupted");
	if (deadline_is_over(inv->by))
		return err_set(err, ERR_DEADLINE_EXCEEDED, 0, "not done in time");
	return 0;
}

/* The helper's own code, where it has said it. */
static int end_error(const struct client_stream_end *end, struct err *err)
{
	int code = end->exit_code - EXIT_BASE;

	*err = end->err;
	if (err->code == ERR_FAILED_PRECONDITION && code > ERR_OK && code <= ERR_UNAUTHENTICATED) {
		err->code = (enum err_code)code;
		err_explain(err, err_code_name(err->code), NULL);
	}
	return -1;
}

/* --- in -------------------------------------------------------------------------------------------- */

static int keep_said(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	struct transfer_feed *feed = arg;
	size_t room = TRANSFER_SAID_MAX - feed->said.len;

	(void)channel;
	(void)err;
	text_add_bytes(&feed->said, bytes, len < room ? len : room);
	return 0;
}

static int look(struct transfer_feed *feed, struct deadline by, struct err *err)
{
	feed->since_look = 0;
	if (transfer_check(feed->inv, err) < 0 ||
	    client_stream_read(feed->stream, by, keep_said, feed, &feed->ended, &feed->end, err) <
		    0)
		return -1;
	if (feed->ended && feed->end.err.code)
		return end_error(&feed->end, err);
	return 0;
}

int transfer_feed_sink(void *arg, const void *bytes, size_t len, struct err *err)
{
	struct transfer_feed *feed = arg;

	feed->since_look += len;
	if (!feed->ended && feed->since_look >= LOOK_BYTES &&
	    look(feed, deadline_in_ms(0), err) < 0)
		return -1;
	return client_stream_write(feed->stream, bytes, len, feed->inv->by, err);
}

int transfer_feed_end(struct transfer_feed *feed, struct err *err)
{
	if (client_stream_write_end(feed->stream, feed->inv->by, err) < 0)
		return -1;
	while (!feed->ended) {
		if (look(feed, deadline_in_ms(WAIT_MS), err) < 0)
			return -1;
	}
	return 0;
}

/* --- out ------------------------------------------------------------------------------------------- */

static int keep_bytes(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	struct transfer_pull *pull = arg;

	if (channel != CLIENT_STREAM_OUT)
		return 0;
	text_add_bytes(&pull->bytes, bytes, len);
	return text_failed(&pull->bytes) ? err_oom(err) : 0;
}

ssize_t transfer_pull_source(void *arg, const void **ret_bytes, struct err *err)
{
	struct transfer_pull *pull = arg;
	struct client_stream_end end;

	pull->bytes.len = 0;
	while (!pull->ended && pull->bytes.len == 0) {
		if (transfer_check(pull->inv, err) < 0 ||
		    client_stream_read(pull->stream, deadline_in_ms(WAIT_MS), keep_bytes, pull,
				       &pull->ended, &end, err) < 0)
			return -1;
		if (pull->ended && end.err.code)
			return end_error(&end, err);
	}
	*ret_bytes = pull->bytes.data;
	return (ssize_t)pull->bytes.len;
}

void transfer_pull_release(struct transfer_pull *pull)
{
	text_release(&pull->bytes);
}
