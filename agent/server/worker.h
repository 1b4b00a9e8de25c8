#pragma once
/*
 * nng's REP contexts as workers of the loop. A worker receives a request, is busy until it is told
 * to send, sends, and receives again. They are opened on demand so that one is always free to
 * receive; a few more than that are kept, the rest is closed (DESIGN.md D4b).
 *
 * nng's threads do nothing but put a worker on a list and ring an eventfd (security-faults.md P8);
 * a receive is posted only after the send before it has completed (P6).
 */
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sd_event;
struct worker;
struct workers;

/* Requests that may be in hand at once: the calls of agent/server/limits.h and some duplicates that wait
 * for one of them. A further one is handed over with 'busy' set. */
#define WORKERS_BUSY_MAX 1280

/* What answers that have not left may cost: a read of each of 64 sessions, and half as much again. Past that the
 * connection whose answer has waited longest is closed. */
#define WORKERS_UNSENT_MAX ((size_t)24 * 1024 * 1024)

/* 'bytes' are borrowed until it returns. It, or what it starts, ends in one worker_send(). */
typedef void worker_request_fn(void *arg, struct worker *w, const uint8_t *bytes, size_t len,
			       bool busy);

/* Listens on 'path' (mode 0600) and serves the loop; strings are copied. */
int workers_open(const char *path, struct sd_event *loop, worker_request_fn *fn, void *arg,
		 struct workers **ret_workers, struct err *err);

/* Connections that nng has and has not freed yet: its reaper takes its time. */
unsigned workers_pipes(const struct workers *workers);

/* Takes no more requests, runs the loop until every answer has left or 'by', and closes. Not from
 * within the loop. */
void workers_close(struct workers *workers, struct deadline by);

/* An answer's bytes where they can be sent without one more copy. NULL: no memory. */
struct answer;
struct answer *answer_new(size_t len);
/* To be filled; borrowed. */
uint8_t *answer_bytes(struct answer *answer);
size_t answer_len(const struct answer *answer);
/* Only of one that was not sent. NULL is fine. */
void answer_free(struct answer *answer);

/* Answers the request in hand and takes over 'answer'. NULL: there is none (out of memory). */
void worker_send_answer(struct worker *w, struct answer *answer);

/* The same with bytes that are copied. */
void worker_send(struct worker *w, const uint8_t *bytes, size_t len);

/* Puts the worker in front of a list of those who wait for one answer. */
void worker_wait(struct worker *w, struct worker **list);
struct worker *worker_next(const struct worker *w);
