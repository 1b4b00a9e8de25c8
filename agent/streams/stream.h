#pragma once
/*
 * Sessions (DESIGN.md D5, proto/node/v1/streams.proto): what comes out of a source is buffered until it
 * has been read, what goes in is handed to the source in order. The room knows nothing of the wire; the
 * service Streams translates.
 *
 * To add a kind: write a source, that is a struct stream_ops and its state, and the service that opens
 * it. Everything happens on the agent's loop; nothing blocks, nothing is called back from within a call
 * into this room.
 *
 * Flow control: a source produces while stream_room() is not 0. When it was 0 and there is room again,
 * ops->pump is called. Input that ops->input does not take waits here; the source says stream_want_input()
 * when it takes more.
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/base/sha256.h"
#include "shared/wire/methods.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sd_event;
struct stream;
struct streams;

#define STREAM_ID_BYTES 16
/* Sessions of the agent; one more is ERR_RESOURCE_EXHAUSTED, reason TOO_MANY_STREAMS (I15). */
#define STREAMS_MAX 64
/* Output that is kept for one session; then its source waits (I12). Allocated when first needed, freed
 * when all has been read. */
#ifndef STREAM_BUFFER_BYTES /* fuzzers have a small one, whose edge is near */
#define STREAM_BUFFER_BYTES ((size_t)1024 * 1024)
#endif
/* Most bytes of one read or write. */
#define STREAM_CHUNK_BYTES ((size_t)256 * 1024)
/* Longest wait of one read. */
#define STREAM_WAIT_MS 10000
/* Without any call for it, a session is closed. */
#define STREAM_IDLE_MS 30000

enum stream_channel { STREAM_OUT = 1, STREAM_ERR = 2 };

/* How a session ended by itself. err.code is ERR_OK when it did not break off. */
struct stream_end {
	int exit_code;
	int signal;
	struct err err;
};

/* What a kind of session does. 'source' is its state. */
struct stream_ops {
	const char *kind; /* "exec", "logs"; static */

	/* There is room for output again. Required. */
	void (*pump)(void *source);
	/* Takes up to 'len' bytes and says how many; 0 only when it takes none now. NULL: the session
	 * takes no input, and writes to it are ERR_FAILED_PRECONDITION. */
	size_t (*input)(void *source, const uint8_t *bytes, size_t len);
	/* Nothing comes after the bytes taken. */
	void (*input_end)(void *source);
	/* NULL: it has no terminal. */
	int (*resize)(void *source, unsigned rows, unsigned columns, struct err *err);
	/* NULL: it runs nothing. */
	int (*signal)(void *source, int signal, struct err *err);
	/* The session is over, ended or not: ends what runs and frees the source. Required; the last call. */
	void (*close)(void *source);
};

/* --- for agent.c ------------------------------------------------------------------------------------ */

int streams_open(struct sd_event *loop, struct streams **ret_streams, struct err *err);
/* Closes every session; their pending reads and writes get ERR_UNAVAILABLE first. NULL is fine. */
void streams_close(struct streams *streams);
/* Another time than STREAM_IDLE_MS. For tests. */
void streams_set_idle(struct streams *streams, int64_t idle_ms);
/* Sessions now. */
size_t streams_count(const struct streams *streams);

/* --- for sources ------------------------------------------------------------------------------------- */

/* Makes a session; 'source' is its from here on, on success only. */
int stream_new(struct streams *streams, const struct stream_ops *ops, void *source,
	       enum method_role role, struct stream **ret_stream, struct err *err);
/* The end of its input must come with the SHA-256 of all of it (NS-075). When that is missing or another, the
 * bytes of that last write are not handed on, what runs is sent SIGKILL instead of being told of the end, and
 * the session ends with ERR_DATA_LOSS, reason CONTENT_CHANGED. To be said before the first input; the source
 * needs ops->signal. */
void stream_check_input(struct stream *s);
/* STREAM_ID_BYTES, borrowed. */
const uint8_t *stream_id(const struct stream *s);

/* Bytes of output that may be put now. */
size_t stream_room(const struct stream *s);
/* Memory to fill with output of 'channel': '*ret_len' bytes in one piece, 0 (and NULL) when there is no
 * room or no memory. Then stream_commit() says how many of them were filled. */
uint8_t *stream_reserve(struct stream *s, enum stream_channel channel, size_t *ret_len);
void stream_commit(struct stream *s, size_t len);
/* The same by a copy; 'len' is at most stream_room(). */
void stream_put(struct stream *s, enum stream_channel channel, const void *bytes, size_t len);
/* No more output. The source stays until ops->close. '*end' is copied. */
void stream_finish(struct stream *s, const struct stream_end *end);
/* The source takes input again. */
void stream_want_input(struct stream *s);

/* --- for the service -------------------------------------------------------------------------------- */

struct stream_piece {
	enum stream_channel channel;
	const uint8_t *bytes;
	size_t len;
};

/* Borrowed until 'done' returns. */
struct stream_read {
	const struct stream_piece *pieces;
	size_t count;
	uint64_t next_offset;
	const struct stream_end *end; /* NULL while there may be more */
};

typedef void stream_read_fn(void *arg, const struct stream_read *read, const struct err *err);
typedef void stream_write_fn(void *arg, uint64_t next_offset, const struct err *err);

/* ERR_NOT_FOUND, reason STREAM_GONE; ERR_PERMISSION_DENIED when 'role' is below the session's. */
int streams_find(struct streams *streams, const uint8_t *id, size_t id_len, enum method_role role,
		 struct stream **ret_stream, struct err *err);

/* See Streams.Read. Lets go of everything below 'offset'. 'done' comes once: at once when there is
 * something, else at 'by' at the latest (then with no pieces), or with ERR_UNAVAILABLE when the session is closed. Several reads may
 * wait. */
void stream_read(struct stream *s, uint64_t offset, size_t max, struct deadline by,
		 stream_read_fn *done, void *arg);
/* See Streams.Write. 'bytes' are borrowed until 'done'. */
void stream_write(struct stream *s, uint64_t offset, const uint8_t *bytes, size_t len, bool eof,
		  struct deadline by, stream_write_fn *done, void *arg);
/* What the sender says the SHA-256 of all input is: before the write with 'eof'. Without
 * stream_check_input() nobody looks at it. */
void stream_tell_sha256(struct stream *s, const uint8_t sha256[SHA256_BYTES]);
int stream_resize(struct stream *s, unsigned rows, unsigned columns, struct err *err);
int stream_signal(struct stream *s, int signal, struct err *err);
void stream_close(struct stream *s);
