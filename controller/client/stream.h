#pragma once
/*
 * A session of the agent's as blocking calls (proto/node/v1/streams.proto). Bytes are counted on both
 * sides: a lost connection is taken up again where it broke off, for STREAM_LOST_MS, then it is
 * ERR_UNAVAILABLE, reason STREAM_LOST.
 *
 * Reading and writing may go on at the same time, one thread each; everything else from either.
 */
#include "controller/client/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Berth__Node__V1__StreamOpened;
struct client_stream;

#define CLIENT_STREAM_ID_BYTES 16
/* How long an agent that does not answer is waited for (F22). */
#define STREAM_LOST_MS 15000

enum { CLIENT_STREAM_OUT = 1, CLIENT_STREAM_ERR = 2 };

/* How it ended on the node; code ERR_OK when it did not break off. */
struct client_stream_end {
	int exit_code;
	int signal;
	struct err err;
};

/* Takes what was read; -1 with '*err' filled stops the reading. */
typedef int client_stream_data_fn(void *arg, int channel, const uint8_t *bytes, size_t len,
				  struct err *err);

/* The id of a session that was opened; 'len' is what the node told and may be wrong. */
struct client_stream_id {
	uint8_t bytes[CLIENT_STREAM_ID_BYTES];
	size_t len;
};

/* The closure of every RPC that opens a session; 'id' is a struct client_stream_id. */
void client_stream_take_id(const struct Berth__Node__V1__StreamOpened *opened, void *id);

/* 'id' as StreamOpened told it ('len' must be CLIENT_STREAM_ID_BYTES: else ERR_DATA_LOSS). Reads go
 * through 'client', which is borrowed; writes through one more connection to the same agent, opened when first needed. */
int client_stream_open(struct client *client, const uint8_t *id, size_t len,
		       struct client_stream **ret_stream, struct err *err);
/* Ends the session on the node too, unless it has ended by itself: best effort, at most a second. NULL is
 * fine. */
void client_stream_close(struct client_stream *s);
DEFINE_CLEANUP(client_stream, struct client_stream *, client_stream_close)

/* Waits up to 'by' for output and hands it on. '*ret_ended': no more comes, '*ret_end' says how it ended.
 * Nothing by 'by' is success without data. 'by' bounds the wait in the node, not the calls: one that was
 * begun ahead of need ends by itself (0.1 s, or 1 s of an agent that does not answer), and such an agent
 * is waited for STREAM_LOST_MS in all, whatever 'by' says. */
int client_stream_read(struct client_stream *s, struct deadline by, client_stream_data_fn *data,
		       void *arg, bool *ret_ended, struct client_stream_end *ret_end,
		       struct err *err);
/* Until all of it is taken. A session that has ended meanwhile takes everything and drops it. */
int client_stream_write(struct client_stream *s, const uint8_t *bytes, size_t len,
			struct deadline by, struct err *err);
int client_stream_write_end(struct client_stream *s, struct deadline by, struct err *err);
int client_stream_resize(struct client_stream *s, unsigned rows, unsigned columns, struct err *err);
int client_stream_signal(struct client_stream *s, int signal, struct err *err);

/* The usual whole: feeds 'in_fd' (-1: none) into it by a thread, hands on what comes out, until it ends,
 * 'by' comes (ERR_DEADLINE_EXCEEDED) or 'stop_fd' (-1: none) becomes readable (ERR_CANCELLED). */
struct client_stream_io {
	int in_fd;
	int stop_fd;
	client_stream_data_fn *data;
	void *arg;
};
int client_stream_run(struct client_stream *s, const struct client_stream_io *io,
		      struct deadline by, struct client_stream_end *ret_end, struct err *err);
