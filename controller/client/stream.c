#include "controller/client/stream.h"

#include "controller/client/ahead.h"
#include "node/v1/streams.pb-c.h"
#include "shared/base/cleanup.h"
#include "shared/wire/wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The agent's own limits (proto/node/v1/streams.proto). */
#define CHUNK_BYTES (256 * 1024)
#define WAIT_MS     10000

#define CLOSE_MS   1000
#define CONTROL_MS 5000

/* An answer this large is not the last one, as a rule: the next is asked for while it is handed on. That
 * read waits a short time only, and one that fails is done again by who needs it. */
#define BULK_BYTES    (64 * 1024)
#define AHEAD_WAIT_MS 100
#define AHEAD_LOST_MS 1000

/* Before an agent that was busy is asked again. */
#define BUSY_PAUSE_MS 10

struct client_stream {
	uint8_t id[CLIENT_STREAM_ID_BYTES];
	struct client *reader; /* borrowed */
	uint64_t read_offset;
	struct ahead *ahead; /* NULL until the first bulk; reads by 'reader' and 'read_offset' */
	Berth__Node__V1__StreamReadReply *ahead_reply; /* what it has read; NULL: nothing */
	atomic_bool ended;                             /* by itself; the reader has seen it */

	struct client *writer; /* NULL until the first write */
	uint64_t write_offset;
	bool has_sha256;
	uint8_t sha256[CLIENT_STREAM_SHA256_BYTES]; /* of all input */

	pthread_mutex_t control_lock; /* of the next: both threads may want it */
	struct client *control; /* NULL until needed: the other two may be waiting in a call */
};

void client_stream_take_id(const Berth__Node__V1__StreamOpened *opened, void *arg)
{
	struct client_stream_id *id = arg;

	id->len = opened->stream_id.len;
	if (id->len == sizeof(id->bytes))
		memcpy(id->bytes, opened->stream_id.data, id->len);
}

int client_stream_open(struct client *client, const uint8_t *id, size_t len,
		       struct client_stream **ret_stream, struct err *err)
{
	struct client_stream *s;

	if (len != CLIENT_STREAM_ID_BYTES)
		return err_set(err, ERR_DATA_LOSS, 0, "a session's id has %d bytes, not %zu",
			       CLIENT_STREAM_ID_BYTES, len);
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	memcpy(s->id, id, sizeof(s->id));
	s->reader = client;
	pthread_mutex_init(&s->control_lock, NULL);
	*ret_stream = s;
	return 0;
}

static ProtobufCBinaryData id_of(struct client_stream *s)
{
	return (ProtobufCBinaryData){ sizeof(s->id), s->id };
}

static struct rpc rpc_for(struct client *client, int64_t ms, struct err *err)
{
	return rpc_to(client, &berth__node__v1__streams__descriptor, deadline_in_ms(ms), err);
}

static int open_beside(const struct client_stream *s, struct client **client, struct err *err)
{
	if (*client)
		return 0;
	if (client_open_beside(s->reader, client, err) < 0)
		return -1;
	/* There is a session, so there was an agent: one that is not there now is waited for. */
	client_set_patient(*client, true);
	return 0;
}

/* --- what went wrong ------------------------------------------------------------------------------- */

static bool is_busy(const struct err *err)
{
	return strcmp(err->reason, "AGENT_BUSY") == 0 ||
	       strcmp(err->reason, "TOO_MANY_WAITERS") == 0;
}

static void pause_busy(void)
{
	struct timespec ts = { .tv_nsec = BUSY_PAUSE_MS * 1000000 };

	nanosleep(&ts, NULL);
}

static int explain(struct err *err)
{
	bool gone = strcmp(err->reason, "STREAM_GONE") == 0 ||
		    strcmp(err->reason, "STREAM_CLOSED") == 0 ||
		    strcmp(err->reason, "AGENT_STOPPING") == 0;

	if (!gone && err->code != ERR_UNAVAILABLE && err->code != ERR_DEADLINE_EXCEEDED)
		return -1;
	err->code = ERR_UNAVAILABLE;
	err_wrap(err, gone ? "the session has ended on the node" : "the session was lost");
	return err_explain(err, "STREAM_LOST", NULL);
}

/* --- reading --------------------------------------------------------------------------------------- */

static void reply_free(Berth__Node__V1__StreamReadReply *reply)
{
	if (reply)
		berth__node__v1__stream_read_reply__free_unpacked(reply, NULL);
}
DEFINE_CLEANUP(reply, Berth__Node__V1__StreamReadReply *, reply_free)

static void take_end(struct client_stream *s, const Berth__Node__V1__StreamEnd *told,
		     struct client_stream_end *ret_end)
{
	memset(ret_end, 0, sizeof(*ret_end));
	ret_end->exit_code = told->exit_code;
	ret_end->signal = (int)told->signal;
	if (told->status && told->status->code != BERTH__NODE__V1__CODE__OK)
		status_to_err(told->status, &ret_end->err);
	atomic_store(&s->ended, true);
}

/* Keeps the whole answer, bytes and all, instead of copying it: what its owner will free is empty. */
static void take_read(const Berth__Node__V1__StreamReadReply *reply, void *closure_data)
{
	Berth__Node__V1__StreamReadReply **kept = closure_data;

	*kept = malloc(sizeof(**kept));
	if (!*kept)
		return;
	**kept = *reply;
	berth__node__v1__stream_read_reply__init((Berth__Node__V1__StreamReadReply *)reply);
}

static int read_once(struct client_stream *s, int64_t wait_ms, int64_t lost_ms,
		     Berth__Node__V1__StreamReadReply **ret_reply, struct err *err)
{
	Berth__Node__V1__StreamReadRequest req = BERTH__NODE__V1__STREAM_READ_REQUEST__INIT;
	struct rpc rpc = rpc_for(s->reader, lost_ms, err);
	Berth__Node__V1__StreamReadReply *reply = NULL;

	req.stream_id = id_of(s);
	req.offset = s->read_offset;
	req.wait_millis = (uint32_t)wait_ms;
	berth__node__v1__streams__read(&rpc.base, &req, take_read, &reply);
	if (rpc.result < 0)
		return -1;
	if (!reply)
		return err_oom(err);
	*ret_reply = reply;
	return 0;
}

/* ahead_fn */
static void read_ahead(void *arg)
{
	struct client_stream *s = arg;
	struct err ignored;

	read_once(s, AHEAD_WAIT_MS, AHEAD_LOST_MS, &s->ahead_reply, &ignored);
}

static void ahead_of(struct client_stream *s)
{
	struct err ignored;

	/* Without a thread it is slower, that is all. */
	if (s->ahead || ahead_open(&s->ahead, &ignored) == 0)
		ahead_begin(s->ahead, read_ahead, s);
}

/* The answer that was read ahead, or one that is asked for now. */
static int next_reply(struct client_stream *s, struct deadline by,
		      Berth__Node__V1__StreamReadReply **ret_reply, struct err *err)
{
	/* Not a moment longer than a lost agent may take, the wait included (F22). */
	struct deadline lost = deadline_in_ms(STREAM_LOST_MS);

	if (s->ahead && ahead_wait(s->ahead) && s->ahead_reply) {
		*ret_reply = TAKE(s->ahead_reply);
		return 0;
	}
	for (;;) {
		int64_t left = deadline_left_ms(by);

		if (read_once(s, left < WAIT_MS ? left : WAIT_MS, deadline_left_ms(lost), ret_reply,
			      err) == 0)
			return 0;
		if (!is_busy(err))
			return explain(err);
		pause_busy();
		lost = deadline_in_ms(STREAM_LOST_MS);
	}
}

static int hand_on(const Berth__Node__V1__StreamReadReply *reply, client_stream_data_fn *data,
		   void *arg, struct err *err)
{
	for (size_t i = 0; i < reply->n_chunks; i++) {
		const Berth__Node__V1__StreamChunk *chunk = reply->chunks[i];

		if (data(arg, (int)chunk->channel, chunk->data.data, chunk->data.len, err) < 0)
			return -1;
	}
	return 0;
}

int client_stream_read(struct client_stream *s, struct deadline by, client_stream_data_fn *data,
		       void *arg, bool *ret_ended, struct client_stream_end *ret_end,
		       struct err *err)
{
	cleanup_with(reply) Berth__Node__V1__StreamReadReply *reply = NULL;
	size_t len = 0;

	if (next_reply(s, by, &reply, err) < 0)
		return -1;
	for (size_t i = 0; i < reply->n_chunks; i++)
		len += reply->chunks[i]->data.len;
	if (s->read_offset + len != reply->next_offset)
		return err_set(err, ERR_DATA_LOSS, 0, "the agent counts the session's bytes wrong");
	s->read_offset += len;
	if (len >= BULK_BYTES && !reply->end)
		ahead_of(s);
	if (hand_on(reply, data, arg, err) < 0)
		return -1;
	*ret_ended = reply->end != NULL;
	if (reply->end)
		take_end(s, reply->end, ret_end);
	return 0;
}

/* --- writing --------------------------------------------------------------------------------------- */

static void take_write(const Berth__Node__V1__StreamWriteReply *reply, void *closure_data)
{
	*(uint64_t *)closure_data = reply->next_offset;
}

static int write_once(struct client_stream *s, const uint8_t *bytes, size_t len, bool eof,
		      uint64_t *ret_next, struct err *err)
{
	Berth__Node__V1__StreamWriteRequest req = BERTH__NODE__V1__STREAM_WRITE_REQUEST__INIT;
	struct rpc rpc;

	if (open_beside(s, &s->writer, err) < 0)
		return -1;
	rpc = rpc_for(s->writer, STREAM_LOST_MS, err);
	req.stream_id = id_of(s);
	req.offset = s->write_offset;
	req.data = (ProtobufCBinaryData){ len, (uint8_t *)bytes };
	req.eof = eof;
	if (eof && s->has_sha256)
		req.sha256 = (ProtobufCBinaryData){ sizeof(s->sha256), s->sha256 };
	berth__node__v1__streams__write(&rpc.base, &req, take_write, ret_next);
	if (rpc.result < 0)
		return -1;
	if (*ret_next >= s->write_offset && *ret_next - s->write_offset <= len)
		return 0;
	return err_set(err, ERR_DATA_LOSS, 0, "the agent counts the session's bytes wrong");
}

/* 1: the agent was busy, and nothing of it has been said. */
static int write_some(struct client_stream *s, const uint8_t *bytes, size_t len, bool eof,
		      struct deadline by, size_t *ret_taken, struct err *err)
{
	bool busy = false;
	uint64_t next = 0;

	if (atomic_load(&s->ended)) {
		*ret_taken = len;
		return 0;
	}
	if (write_once(s, bytes, len, eof, &next, err) < 0) {
		bool ended = atomic_load(&s->ended);

		if (!ended && !is_busy(err))
			return explain(err);
		busy = !ended;
		if (busy)
			pause_busy();
		*ret_taken = ended ? len : 0;
	} else {
		*ret_taken = (size_t)(next - s->write_offset);
		s->write_offset = next;
	}
	if ((busy || *ret_taken < len) && deadline_is_over(by))
		return err_set(err, ERR_DEADLINE_EXCEEDED, 0, "the node took no more input");
	return busy;
}

int client_stream_write(struct client_stream *s, const uint8_t *bytes, size_t len,
			struct deadline by, struct err *err)
{
	while (len > 0) {
		size_t part = len < CHUNK_BYTES ? len : CHUNK_BYTES, taken;

		if (write_some(s, bytes, part, false, by, &taken, err) < 0)
			return -1;
		bytes += taken;
		len -= taken;
	}
	return 0;
}

int client_stream_write_end(struct client_stream *s, struct deadline by, struct err *err)
{
	size_t taken;
	int rc;

	while ((rc = write_some(s, NULL, 0, true, by, &taken, err)) > 0)
		;
	return rc;
}

int client_stream_write_last(struct client_stream *s, const uint8_t *bytes, size_t len,
			     const uint8_t sha256[CLIENT_STREAM_SHA256_BYTES], struct deadline by,
			     struct err *err)
{
	memcpy(s->sha256, sha256, sizeof(s->sha256));
	s->has_sha256 = true;
	while (len > 0) {
		size_t taken;

		if (write_some(s, bytes, len, true, by, &taken, err) < 0)
			return -1;
		bytes += taken;
		len -= taken;
	}
	return 0;
}

/* --- control --------------------------------------------------------------------------------------- */

static void take_nothing(const ProtobufCMessage *reply, void *closure_data)
{
	(void)reply;
	(void)closure_data;
}

static void take_resize(const Berth__Node__V1__StreamResizeReply *reply, void *closure_data)
{
	take_nothing(&reply->base, closure_data);
}

static void take_signal(const Berth__Node__V1__StreamSignalReply *reply, void *closure_data)
{
	take_nothing(&reply->base, closure_data);
}

static void take_close(const Berth__Node__V1__StreamCloseReply *reply, void *closure_data)
{
	take_nothing(&reply->base, closure_data);
}

int client_stream_resize(struct client_stream *s, unsigned rows, unsigned columns, struct err *err)
{
	Berth__Node__V1__StreamResizeRequest req = BERTH__NODE__V1__STREAM_RESIZE_REQUEST__INIT;
	int rc;

	req.stream_id = id_of(s);
	req.rows = rows;
	req.columns = columns;
	pthread_mutex_lock(&s->control_lock);
	rc = open_beside(s, &s->control, err);
	if (rc == 0) {
		struct rpc rpc = rpc_for(s->control, CONTROL_MS, err);

		berth__node__v1__streams__resize(&rpc.base, &req, take_resize, NULL);
		rc = rpc.result;
	}
	pthread_mutex_unlock(&s->control_lock);
	return rc;
}

int client_stream_signal(struct client_stream *s, int signal, struct err *err)
{
	Berth__Node__V1__StreamSignalRequest req = BERTH__NODE__V1__STREAM_SIGNAL_REQUEST__INIT;
	int rc;

	req.stream_id = id_of(s);
	req.signal = (uint32_t)signal;
	pthread_mutex_lock(&s->control_lock);
	rc = open_beside(s, &s->control, err);
	if (rc == 0) {
		struct rpc rpc = rpc_for(s->control, CONTROL_MS, err);

		berth__node__v1__streams__signal(&rpc.base, &req, take_signal, NULL);
		rc = rpc.result;
	}
	pthread_mutex_unlock(&s->control_lock);
	return rc;
}

static void end_session(struct client_stream *s, struct client *client)
{
	Berth__Node__V1__StreamCloseRequest req = BERTH__NODE__V1__STREAM_CLOSE_REQUEST__INIT;
	struct err ignored;
	struct rpc rpc = rpc_for(client, CLOSE_MS, &ignored);

	req.stream_id = id_of(s);
	berth__node__v1__streams__close(&rpc.base, &req, take_close, NULL);
}

void client_stream_close(struct client_stream *s)
{
	if (!s)
		return;
	ahead_close(s->ahead);
	reply_free(s->ahead_reply);
	/* Also one that has ended: the agent need not remember it any longer. */
	end_session(s, s->reader);
	client_close(s->writer);
	client_close(s->control);
	pthread_mutex_destroy(&s->control_lock);
	free(s);
}

/* --- the usual whole ------------------------------------------------------------------------------- */

/* Two helpers of run(): one feeds what comes in, one waits for 'stop_fd'. Each ends when it is told to
 * through a pipe that both watch. */
struct running {
	struct client_stream *s;
	const struct client_stream_io *io;
	int over[2];         /* readable when run() is about to return */
	atomic_bool stopped; /* by 'stop_fd' */
	atomic_bool lost;    /* input could not be handed on: why, says 'err' */
	struct err err;
};

/* True when 'fd' is readable, false when run() is over. */
static bool wait_readable(const struct running *run, int fd)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN },
				 { .fd = run->over[0], .events = POLLIN } };

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	return fds[1].revents == 0;
}

static void close_by_control(struct client_stream *s)
{
	struct err ignored;

	pthread_mutex_lock(&s->control_lock);
	if (open_beside(s, &s->control, &ignored) == 0)
		end_session(s, s->control);
	pthread_mutex_unlock(&s->control_lock);
}

static int feed_some(struct running *run, uint8_t *bytes, bool *ret_more, struct err *err)
{
	ssize_t n = read(run->io->in_fd, bytes, CHUNK_BYTES);

	*ret_more = n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n > 0)
		return client_stream_write(run->s, bytes, (size_t)n, DEADLINE_NEVER, err);
	return *ret_more ? 0 : client_stream_write_end(run->s, DEADLINE_NEVER, err);
}

static void *feed(void *arg)
{
	struct running *run = arg;
	uint8_t *bytes = malloc(CHUNK_BYTES);
	bool more = bytes;
	int rc = bytes ? 0 : err_oom(&run->err);

	while (rc == 0 && more && wait_readable(run, run->io->in_fd))
		rc = feed_some(run, bytes, &more, &run->err);
	free(bytes);
	/* The reader finds out by itself what has become of the session; what it cannot know is told. */
	if (rc < 0 && strcmp(run->err.reason, "STREAM_LOST") != 0) {
		atomic_store(&run->lost, true);
		close_by_control(run->s);
	}
	return NULL;
}

static void *watch_stop(void *arg)
{
	struct running *run = arg;

	if (wait_readable(run, run->io->stop_fd)) {
		atomic_store(&run->stopped, true);
		close_by_control(run->s);
	}
	return NULL;
}

static int read_to_end(struct running *run, struct deadline by, struct client_stream_end *ret_end,
		       struct err *err)
{
	bool ended = false;

	while (!ended) {
		if (client_stream_read(run->s, by, run->io->data, run->io->arg, &ended, ret_end,
				       err) < 0)
			return -1;
		if (!ended && deadline_is_over(by))
			return err_set(err, ERR_DEADLINE_EXCEEDED, 0, "not done in time");
	}
	return 0;
}

/* The read's failure is the effect of another cause. */
static int find_cause(struct running *run, struct err *err)
{
	if (atomic_load(&run->stopped))
		return err_set(err, ERR_CANCELLED, 0, "stopped");
	if (atomic_load(&run->lost))
		*err = run->err;
	return -1;
}

static int run_helped(struct running *run, struct deadline by, struct client_stream_end *ret_end,
		      struct err *err)
{
	bool has_feeder, has_watcher;
	pthread_t feeder, watcher;
	int rc;

	has_feeder = run->io->in_fd >= 0 && pthread_create(&feeder, NULL, feed, run) == 0;
	has_watcher = run->io->stop_fd >= 0 && pthread_create(&watcher, NULL, watch_stop, run) == 0;
	if (has_feeder != (run->io->in_fd >= 0) || has_watcher != (run->io->stop_fd >= 0))
		rc = err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "cannot start a thread");
	else
		rc = read_to_end(run, by, ret_end, err);
	/* A write that waits for the node to take it ends with the session. */
	if (rc < 0 && has_feeder)
		close_by_control(run->s);
	while (write(run->over[1], "", 1) < 0 && errno == EINTR)
		;
	if (has_feeder)
		pthread_join(feeder, NULL);
	if (has_watcher)
		pthread_join(watcher, NULL);
	return rc < 0 ? find_cause(run, err) : 0;
}

int client_stream_run(struct client_stream *s, const struct client_stream_io *io,
		      struct deadline by, struct client_stream_end *ret_end, struct err *err)
{
	struct running run = { .s = s, .io = io };
	int rc;

	memset(ret_end, 0, sizeof(*ret_end));
	if (io->in_fd < 0 && io->stop_fd < 0)
		return read_to_end(&run, by, ret_end, err);
	if (pipe(run.over) < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a pipe");
	rc = run_helped(&run, by, ret_end, err);
	close(run.over[0]);
	close(run.over[1]);
	return rc;
}
