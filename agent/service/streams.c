#include "agent/agent.h"
#include "agent/service/call.h"
#include "agent/streams/stream.h"
#include "shared/wire/wire.h"

#include "node/v1/streams.pb-c.h"

#include <stdlib.h>

/* A call that may have to wait for the session. */
struct waiting {
	void *call;
	union {
		Berth__Node__V1__StreamReadReply_Closure read;
		Berth__Node__V1__StreamWriteReply_Closure write;
	} reply;
};

/* NULL: the call has been failed. */
static struct stream *find_stream(void *call, const ProtobufCBinaryData *id)
{
	struct stream *s;
	struct err err;

	if (streams_find(call_agent(call)->streams, id->data, id->len, call_role(call), &s, &err) ==
	    0)
		return s;
	call_fail(call, &err);
	return NULL;
}

static struct waiting *waiting_new(void *call)
{
	struct waiting *w = calloc(1, sizeof(*w));
	struct err err;

	if (!w) {
		err_oom(&err);
		call_fail(call, &err);
		return NULL;
	}
	w->call = call;
	return w;
}

/* --- Read ------------------------------------------------------------------------------------------ */

static void send_read(const struct waiting *w, const struct stream_read *read,
		      Berth__Node__V1__StreamChunk *chunks, Berth__Node__V1__StreamChunk **items)
{
	Berth__Node__V1__StreamReadReply rep = BERTH__NODE__V1__STREAM_READ_REPLY__INIT;
	Berth__Node__V1__StreamEnd end = BERTH__NODE__V1__STREAM_END__INIT;
	Berth__Node__V1__Status status = BERTH__NODE__V1__STATUS__INIT;

	for (size_t i = 0; i < read->count; i++) {
		berth__node__v1__stream_chunk__init(&chunks[i]);
		chunks[i].channel = read->pieces[i].channel;
		chunks[i].data.data = (uint8_t *)read->pieces[i].bytes;
		chunks[i].data.len = read->pieces[i].len;
		items[i] = &chunks[i];
	}
	rep.n_chunks = read->count;
	rep.chunks = items;
	rep.next_offset = read->next_offset;
	if (read->end) {
		status_from_err(&read->end->err, &status);
		end.status = &status;
		end.exit_code = read->end->exit_code;
		end.signal = (uint32_t)read->end->signal;
		rep.end = &end;
	}
	w->reply.read(&rep, w->call);
}

/* stream_read_fn */
static void on_read(void *arg, const struct stream_read *read, const struct err *err)
{
	struct waiting w = *(struct waiting *)arg;
	Berth__Node__V1__StreamChunk **items;
	Berth__Node__V1__StreamChunk *chunks;
	struct err oom;

	free(arg);
	if (err) {
		call_fail(w.call, err);
		return;
	}
	chunks = calloc(read->count + 1, sizeof(*chunks));
	items = calloc(read->count + 1, sizeof(struct Berth__Node__V1__StreamChunk *));
	if (chunks && items) {
		send_read(&w, read, chunks, items);
	} else {
		err_oom(&oom);
		call_fail(w.call, &oom);
	}
	free(items);
	free(chunks);
}

static void streams_read(Berth__Node__V1__Streams_Service *self,
			 const Berth__Node__V1__StreamReadRequest *req,
			 Berth__Node__V1__StreamReadReply_Closure reply, void *call)
{
	struct stream *s = find_stream(call, &req->stream_id);
	struct waiting *w = s ? waiting_new(call) : NULL;
	struct deadline by;

	(void)self;
	if (!w)
		return;
	w->reply.read = reply;
	by = deadline_min(call_deadline(call), deadline_in_ms(req->wait_millis));
	if (req->wait_millis > 0)
		call_park(call);
	stream_read(s, req->offset, req->max_bytes, by, on_read, w);
}

/* --- Write ----------------------------------------------------------------------------------------- */

/* stream_write_fn */
static void on_written(void *arg, uint64_t next_offset, const struct err *err)
{
	struct waiting w = *(struct waiting *)arg;
	Berth__Node__V1__StreamWriteReply rep = BERTH__NODE__V1__STREAM_WRITE_REPLY__INIT;

	free(arg);
	if (err) {
		call_fail(w.call, err);
		return;
	}
	rep.next_offset = next_offset;
	w.reply.write(&rep, w.call);
}

/* False: the call has been failed. */
static bool take_sum(struct stream *s, const ProtobufCBinaryData *sum, void *call)
{
	struct err err;

	if (sum->len == SHA256_BYTES) {
		stream_tell_sha256(s, sum->data);
	} else if (sum->len > 0) {
		err_set(&err, ERR_INVALID_ARGUMENT, 0, "a SHA-256 has %d bytes, not %zu",
			SHA256_BYTES, sum->len);
		call_fail(call, &err);
		return false;
	}
	return true;
}

static void streams_write(Berth__Node__V1__Streams_Service *self,
			  const Berth__Node__V1__StreamWriteRequest *req,
			  Berth__Node__V1__StreamWriteReply_Closure reply, void *call)
{
	struct stream *s = find_stream(call, &req->stream_id);
	struct waiting *w = s && take_sum(s, &req->sha256, call) ? waiting_new(call) : NULL;

	(void)self;
	if (!w)
		return;
	w->reply.write = reply;
	call_park(call);
	stream_write(s, req->offset, req->data.data, req->data.len, req->eof, call_deadline(call),
		     on_written, w);
}

/* --- the rest -------------------------------------------------------------------------------------- */

static void streams_resize(Berth__Node__V1__Streams_Service *self,
			   const Berth__Node__V1__StreamResizeRequest *req,
			   Berth__Node__V1__StreamResizeReply_Closure reply, void *call)
{
	Berth__Node__V1__StreamResizeReply rep = BERTH__NODE__V1__STREAM_RESIZE_REPLY__INIT;
	struct stream *s = find_stream(call, &req->stream_id);
	struct err err;

	(void)self;
	if (!s)
		return;
	if (stream_resize(s, req->rows, req->columns, &err) < 0)
		call_fail(call, &err);
	else
		reply(&rep, call);
}

static void streams_signal(Berth__Node__V1__Streams_Service *self,
			   const Berth__Node__V1__StreamSignalRequest *req,
			   Berth__Node__V1__StreamSignalReply_Closure reply, void *call)
{
	Berth__Node__V1__StreamSignalReply rep = BERTH__NODE__V1__STREAM_SIGNAL_REPLY__INIT;
	struct stream *s = find_stream(call, &req->stream_id);
	struct err err;

	(void)self;
	if (!s)
		return;
	if (stream_signal(s, (int)req->signal, &err) < 0)
		call_fail(call, &err);
	else
		reply(&rep, call);
}

static void streams_close_one(Berth__Node__V1__Streams_Service *self,
			      const Berth__Node__V1__StreamCloseRequest *req,
			      Berth__Node__V1__StreamCloseReply_Closure reply, void *call)
{
	Berth__Node__V1__StreamCloseReply rep = BERTH__NODE__V1__STREAM_CLOSE_REPLY__INIT;
	struct stream *s;
	struct err err;

	(void)self;
	if (streams_find(call_agent(call)->streams, req->stream_id.data, req->stream_id.len,
			 call_role(call), &s, &err) == 0) {
		stream_close(s);
	} else if (err.code != ERR_NOT_FOUND) {
		call_fail(call, &err);
		return;
	}
	reply(&rep, call);
}

/* By hand: streams_close() is the room's own. */
Berth__Node__V1__Streams_Service streams_service = {
	.base = BERTH__NODE__V1__STREAMS__BASE_INIT,
	.read = streams_read,
	.write = streams_write,
	.resize = streams_resize,
	.signal = streams_signal,
	.close = streams_close_one,
};
