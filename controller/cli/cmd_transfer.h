#pragma once
/*
 * Bytes through a session of a node's agent, for the commands that copy: both ways end early when the
 * command is interrupted, when its time is over or when the node's side has failed, and then say the
 * node's reason.
 */
#include "controller/cli/invocation.h"
#include "controller/client/stream.h"
#include "shared/base/text.h"

#include <sys/types.h>

/* For one call of a command that has no deadline as a whole. */
#define TRANSFER_CALL_MS 30000
struct deadline transfer_call_by(const struct invocation *inv);

/* Large messages come and go from here on: memory for them is kept. */
void transfer_expect_bulk(void);

/* ERR_CANCELLED, ERR_DEADLINE_EXCEEDED when it is time to stop. */
int transfer_check(const struct invocation *inv, struct err *err);

/* Into it. Zero-initialise; set the first two. */
struct transfer_feed {
	struct invocation *inv;
	struct client_stream *stream;
	size_t since_look; /* bytes since the node was asked whether it has failed */
	bool ended;
	struct client_stream_end end;
	struct text said; /* the session's output, at most TRANSFER_SAID_MAX; release it */
};
#define TRANSFER_SAID_MAX ((size_t)64 * 1024)

/* Takes all of 'bytes' (a copy_sink_fn; 'arg' is a struct transfer_feed). */
int transfer_feed_sink(void *arg, const void *bytes, size_t len, struct err *err);
/* Nothing more comes: waits for the node's verdict. */
int transfer_feed_end(struct transfer_feed *feed, struct err *err);
/* The same, with the last bytes and the SHA-256 of all: see client_stream_write_last(). */
int transfer_feed_last(struct transfer_feed *feed, const uint8_t *bytes, size_t len,
		       const uint8_t sha256[CLIENT_STREAM_SHA256_BYTES], struct err *err);

/* Out of it. Zero-initialise; set the first two; release it. */
struct transfer_pull {
	struct invocation *inv;
	struct client_stream *stream;
	struct text bytes;
	bool ended;
};

/* The next bytes, 0 at the end, -1 when the node's side has failed (a copy_source_fn; 'arg' is a struct
 * transfer_pull). */
ssize_t transfer_pull_source(void *arg, const void **ret_bytes, struct err *err);
void transfer_pull_release(struct transfer_pull *pull);
