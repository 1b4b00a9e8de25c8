#include "agent/server/worker.h"

#include "shared/base/cleanup.h"
#include "shared/base/text.h"
#include "shared/wire/wire.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>
#include <unistd.h>
#include <utlist.h>

/* Receivers that are kept when there is nothing to do. Two: while one of them sends, and is not yet
 * receiving again, the other takes the next request. */
#define RECEIVERS_KEPT 2

/* What an answer that has not left costs besides its bytes: a context, and its place in nng. */
#define UNSENT_EACH ((size_t)4096)

enum worker_state { WORKER_RECEIVING, WORKER_BUSY, WORKER_SENDING };

struct worker {
	struct workers *workers;
	enum worker_state state;
	nng_ctx ctx;
	nng_aio *aio;
	nng_pipe pipe; /* the request came by it, and the answer leaves by it */
	size_t unsent; /* what the answer costs until it has left */
	uint64_t turn; /* answers were given in this order */
	bool cut;      /* its connection is being closed */
	struct worker *next_waiter;
	struct worker *next_rung; /* under 'lock' */
	struct worker *prev, *next;
};

struct workers {
	sd_event *loop;
	worker_request_fn *fn;
	void *arg;
	nng_socket socket;
	bool open; /* 'socket' is */
	bool closing;
	int bell; /* eventfd, rung by nng's threads */
	sd_event_source *source;
	struct worker *all;
	unsigned receiving, busy, sending;
	size_t unsent; /* of all */
	uint64_t turns;
	atomic_uint pipes;

	pthread_mutex_t lock;
	struct worker *rung; /* whose operation has ended; newest first */
};

/* On a thread of nng's: nothing but this may be done here. */
static void on_nng_done(void *arg)
{
	struct worker *w = arg;
	struct workers *workers = w->workers;
	bool first;

	pthread_mutex_lock(&workers->lock);
	first = !workers->rung;
	w->next_rung = workers->rung;
	workers->rung = w;
	pthread_mutex_unlock(&workers->lock);
	if (first)
		eventfd_write(workers->bell, 1);
}

/* On a thread of nng's, too. REM_POST comes for those alone that had ADD_PRE. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	struct workers *workers = arg;

	(void)pipe;
	atomic_fetch_add(&workers->pipes, event == NNG_PIPE_EV_ADD_PRE ? 1 : -1);
}

unsigned workers_pipes(const struct workers *workers)
{
	return atomic_load(&workers->pipes);
}

static void receive(struct worker *w)
{
	w->state = WORKER_RECEIVING;
	w->workers->receiving++;
	nng_ctx_recv(w->ctx, w->aio);
}

static void worker_free(struct worker *w)
{
	DL_DELETE(w->workers->all, w);
	nng_ctx_close(w->ctx);
	nng_aio_free(w->aio);
	free(w);
}

static int worker_add(struct workers *workers, struct err *err)
{
	struct worker *w = calloc(1, sizeof(*w));
	int rv;

	if (!w)
		return err_oom(err);
	w->workers = workers;
	rv = nng_ctx_open(&w->ctx, workers->socket);
	if (rv == 0) {
		rv = nng_aio_alloc(&w->aio, on_nng_done, w);
		if (rv != 0)
			nng_ctx_close(w->ctx);
	}
	if (rv != 0) {
		free(w);
		return err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "nng: %s", nng_strerror(rv));
	}
	DL_APPEND(workers->all, w);
	receive(w);
	return 0;
}

/* No operation of the worker is under way. */
static void worker_idle(struct worker *w)
{
	if (w->workers->closing || w->workers->receiving >= RECEIVERS_KEPT)
		worker_free(w);
	else
		receive(w);
}

static void ensure_receiver(struct workers *workers)
{
	struct err err;

	/* When it fails, the next worker that becomes idle receives. */
	if (workers->receiving == 0)
		worker_add(workers, &err);
}

static void received(struct worker *w)
{
	struct workers *workers = w->workers;
	int rv = nng_aio_result(w->aio);
	nng_msg *msg;

	workers->receiving--;
	if (rv == NNG_ECLOSED || workers->closing) {
		if (rv == 0)
			nng_msg_free(nng_aio_get_msg(w->aio));
		worker_free(w);
		return;
	}
	if (rv != 0) {
		receive(w);
		return;
	}
	msg = nng_aio_get_msg(w->aio);
	w->state = WORKER_BUSY;
	w->pipe = nng_msg_get_pipe(msg);
	workers->busy++;
	ensure_receiver(workers);
	workers->fn(workers->arg, w, nng_msg_body(msg), nng_msg_len(msg),
		    workers->busy > WORKERS_BUSY_MAX);
	nng_msg_free(msg);
}

static void sent(struct worker *w)
{
	w->workers->sending--;
	w->workers->unsent -= w->unsent;
	if (nng_aio_result(w->aio) != 0)
		nng_msg_free(nng_aio_get_msg(w->aio));
	worker_idle(w);
}

/* Oldest first. */
static struct worker *take_rung(struct workers *workers)
{
	struct worker *list, *reversed = NULL, *next;

	pthread_mutex_lock(&workers->lock);
	list = workers->rung;
	workers->rung = NULL;
	pthread_mutex_unlock(&workers->lock);
	for (; list; list = next) {
		next = list->next_rung;
		list->next_rung = reversed;
		reversed = list;
	}
	return reversed;
}

static int on_bell(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct workers *workers = arg;
	struct worker *w, *next;
	eventfd_t rings;

	(void)source;
	(void)events;
	eventfd_read(fd, &rings);
	for (w = take_rung(workers); w; w = next) {
		next = w->next_rung;
		if (w->state == WORKER_RECEIVING)
			received(w);
		else
			sent(w);
	}
	return 0;
}

/* An answer is an nng message by another name: nobody else in the server knows nng. */
static nng_msg *message_of(const struct answer *answer)
{
	return (nng_msg *)answer;
}

struct answer *answer_new(size_t len)
{
	nng_msg *msg;

	return nng_msg_alloc(&msg, len) == 0 ? (struct answer *)msg : NULL;
}

uint8_t *answer_bytes(struct answer *answer)
{
	return nng_msg_body(message_of(answer));
}

size_t answer_len(const struct answer *answer)
{
	return nng_msg_len(message_of(answer));
}

void answer_free(struct answer *answer)
{
	if (answer)
		nng_msg_free(message_of(answer));
}

/* Whose answer has waited longest for its reader. */
static struct worker *slowest(struct workers *workers)
{
	struct worker *w, *oldest = NULL;

	DL_FOREACH (workers->all, w) {
		if (w->state == WORKER_SENDING && !w->cut && (!oldest || w->turn < oldest->turn))
			oldest = w;
	}
	return oldest;
}

/* One who asks and does not read would fill the memory with answers: that connection is closed, and they go with
 * it. Who is honest asks again by another. */
static void cut_off(struct workers *workers)
{
	struct worker *w, *oldest = slowest(workers);

	if (!oldest)
		return;
	DL_FOREACH (workers->all, w) {
		if (w->state == WORKER_SENDING && nng_pipe_id(w->pipe) == nng_pipe_id(oldest->pipe))
			w->cut = true;
	}
	nng_pipe_close(oldest->pipe);
}

void worker_send_answer(struct worker *w, struct answer *answer)
{
	w->workers->busy--;
	if (!answer) {
		worker_idle(w);
		return;
	}
	w->state = WORKER_SENDING;
	w->workers->sending++;
	w->cut = false;
	w->turn = ++w->workers->turns;
	w->unsent = UNSENT_EACH + answer_len(answer);
	w->workers->unsent += w->unsent;
	nng_aio_set_msg(w->aio, message_of(answer));
	nng_ctx_send(w->ctx, w->aio);
	if (w->workers->unsent > WORKERS_UNSENT_MAX)
		cut_off(w->workers);
}

void worker_send(struct worker *w, const uint8_t *bytes, size_t len)
{
	struct answer *answer = bytes ? answer_new(len) : NULL;

	if (answer)
		memcpy(answer_bytes(answer), bytes, len);
	worker_send_answer(w, answer);
}

void worker_wait(struct worker *w, struct worker **list)
{
	w->next_waiter = *list;
	*list = w;
}

struct worker *worker_next(const struct worker *w)
{
	return w->next_waiter;
}

static int listen_on(struct workers *workers, const char *path, struct err *err)
{
	cleanup_free char *url = text_format("ipc://%s", path);
	nng_listener listener;
	int rv;

	if (!url)
		return err_oom(err);
	rv = nng_rep0_open(&workers->socket);
	workers->open = rv == 0;
	if (rv == 0)
		rv = nng_socket_set_size(workers->socket, NNG_OPT_RECVMAXSZ, WIRE_MAX_BYTES);
	if (rv == 0)
		rv = nng_pipe_notify(workers->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, workers);
	if (rv == 0)
		rv = nng_pipe_notify(workers->socket, NNG_PIPE_EV_REM_POST, on_pipe, workers);
	if (rv == 0)
		rv = nng_listener_create(&listener, workers->socket, url);
	if (rv == 0)
		rv = nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, WIRE_MAX_BYTES);
	if (rv == 0)
		rv = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0600);
	if (rv == 0)
		rv = nng_listener_start(listener, 0);
	if (rv != 0)
		return err_set(err, ERR_FAILED_PRECONDITION, 0, "listen on '%s': %s", path,
			       nng_strerror(rv));
	return 0;
}

/* The socket has closed: what was under way has failed, or has just succeeded unseen. */
static void worker_discard(struct worker *w)
{
	bool ok;

	nng_aio_wait(w->aio);
	ok = nng_aio_result(w->aio) == 0;
	if ((w->state == WORKER_RECEIVING && ok) || (w->state == WORKER_SENDING && !ok))
		nng_msg_free(nng_aio_get_msg(w->aio));
	nng_aio_free(w->aio);
	free(w);
}

static void workers_free(struct workers *workers)
{
	struct worker *w, *next;

	if (!workers)
		return;
	if (workers->open)
		nng_close(workers->socket);
	DL_FOREACH_SAFE(workers->all, w, next)
	{
		worker_discard(w);
	}
	sd_event_source_disable_unref(workers->source);
	sd_event_unref(workers->loop);
	if (workers->bell >= 0)
		close(workers->bell);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}
DEFINE_CLEANUP(workers, struct workers *, workers_free)

int workers_open(const char *path, struct sd_event *loop, worker_request_fn *fn, void *arg,
		 struct workers **ret_workers, struct err *err)
{
	cleanup_with(workers) struct workers *workers = calloc(1, sizeof(*workers));
	int rc;

	if (!workers)
		return err_oom(err);
	pthread_mutex_init(&workers->lock, NULL);
	workers->loop = sd_event_ref(loop);
	workers->fn = fn;
	workers->arg = arg;
	workers->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (workers->bell < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make an eventfd");
	rc = sd_event_add_io(loop, &workers->source, workers->bell, EPOLLIN, on_bell, workers);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "server: serve the loop");
	if (listen_on(workers, path, err) < 0)
		return -1;
	for (int i = 0; i < RECEIVERS_KEPT; i++) {
		if (worker_add(workers, err) < 0)
			return -1;
	}
	*ret_workers = TAKE(workers);
	return 0;
}

void workers_close(struct workers *workers, struct deadline by)
{
	workers->closing = true;
	while (workers->sending > 0 && !deadline_is_over(by)) {
		if (sd_event_run(workers->loop, (uint64_t)deadline_left_ms(by) * 1000) < 0)
			break;
	}
	workers_free(workers);
}
