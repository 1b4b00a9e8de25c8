#include "controller/client/channel.h"

#include "controller/client/bridge.h"
#include "shared/base/cleanup.h"
#include "shared/base/text.h"
#include "shared/wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* nng's pause between attempts to connect. */
#define RECONNECT_MIN_MS 10
#define RECONNECT_MAX_MS 100

/* A call that is still not connected looks whether anybody listens: first when connecting takes
 * longer than it should, then now and again. */
#define LOOK_FIRST_MS 5
#define LOOK_MS       200

struct channel {
	char *path;
	struct bridge *bridge; /* NULL: the path is the agent's own socket */
	unsigned failures;     /* of the bridge, as far as they are known here */
	nng_socket socket;
	nng_ctx ctx;
	nng_aio *aio;
	bool open;

	pthread_mutex_t lock; /* of the rest: nng's threads write it */
	pthread_cond_t changed;
	bool under_way;     /* an operation of 'aio' */
	bool connected;     /* now */
	bool was_connected; /* ever */
};

/* --- waiting: a condition variable on the monotonic clock ----------------------------------------- */

static void changed_init(pthread_cond_t *changed)
{
#ifdef __APPLE__
	pthread_cond_init(changed, NULL); /* waits relatively instead */
#else
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(changed, &attr);
	pthread_condattr_destroy(&attr);
#endif
}

static void changed_wait(struct channel *channel, struct deadline by)
{
	struct timespec ts;

	if (by.at_ms == INT64_MAX) {
		pthread_cond_wait(&channel->changed, &channel->lock);
		return;
	}
#ifdef __APPLE__
	ts.tv_sec = deadline_left_ms(by) / 1000;
	ts.tv_nsec = deadline_left_ms(by) % 1000 * 1000000;
	pthread_cond_timedwait_relative_np(&channel->changed, &channel->lock, &ts);
#else
	ts.tv_sec = by.at_ms / 1000;
	ts.tv_nsec = by.at_ms % 1000 * 1000000;
	pthread_cond_timedwait(&channel->changed, &channel->lock, &ts);
#endif
}

static void on_done(void *arg)
{
	struct channel *channel = arg;

	pthread_mutex_lock(&channel->lock);
	channel->under_way = false;
	pthread_cond_signal(&channel->changed);
	pthread_mutex_unlock(&channel->lock);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	struct channel *channel = arg;

	(void)pipe;
	pthread_mutex_lock(&channel->lock);
	channel->connected = event == NNG_PIPE_EV_ADD_POST;
	channel->was_connected |= channel->connected;
	pthread_mutex_unlock(&channel->lock);
}

/* True when the operation is over, false when 'by' came first. */
static bool wait_done(struct channel *channel, struct deadline by)
{
	bool over;

	pthread_mutex_lock(&channel->lock);
	while (channel->under_way && !deadline_is_over(by))
		changed_wait(channel, by);
	over = !channel->under_way;
	pthread_mutex_unlock(&channel->lock);
	return over;
}

static void begin(struct channel *channel)
{
	pthread_mutex_lock(&channel->lock);
	channel->under_way = true;
	pthread_mutex_unlock(&channel->lock);
}

/* --- life ----------------------------------------------------------------------------------------- */

static int dial(struct channel *channel)
{
	cleanup_free char *url = text_format("ipc://%s", channel->path);
	nng_dialer dialer;
	int rv = url ? nng_dialer_create(&dialer, channel->socket, url) : NNG_ENOMEM;

	if (rv == 0)
		rv = nng_dialer_set_size(dialer, NNG_OPT_RECVMAXSZ, WIRE_MAX_BYTES);
	if (rv == 0)
		rv = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
	if (rv == 0)
		rv = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
	if (rv == 0)
		rv = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
	return rv;
}

static int start(struct channel *channel)
{
	nng_socket socket;
	int rv = nng_req0_open(&socket);

	if (rv != 0)
		return rv;
	channel->socket = socket;
	channel->open = true;
	rv = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, WIRE_MAX_BYTES);
	if (rv == 0)
		rv = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
	if (rv == 0)
		rv = nng_pipe_notify(socket, NNG_PIPE_EV_ADD_POST, on_pipe, channel);
	if (rv == 0)
		rv = nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, on_pipe, channel);
	if (rv == 0)
		rv = nng_ctx_open(&channel->ctx, socket);
	if (rv == 0)
		rv = nng_aio_alloc(&channel->aio, on_done, channel);
	if (rv == 0)
		rv = dial(channel);
	return rv;
}

DEFINE_CLEANUP(channel, struct channel *, channel_close)

int channel_open(const char *socket_path, struct bridge *bridge, struct channel **ret_channel,
		 struct err *err)
{
	cleanup_with(channel) struct channel *channel = calloc(1, sizeof(*channel));
	int rv;

	if (!channel)
		return err_oom(err);
	pthread_mutex_init(&channel->lock, NULL);
	changed_init(&channel->changed);
	channel->bridge = bridge;
	channel->path = strdup(socket_path);
	if (!channel->path)
		return err_oom(err);
	rv = start(channel);
	if (rv != 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, 0, "nng: %s", nng_strerror(rv));
	*ret_channel = TAKE(channel);
	return 0;
}

static void end(struct channel *channel)
{
	if (channel->open)
		nng_close(channel->socket);
	channel->open = false;
	nng_aio_free(channel->aio);
	channel->aio = NULL;
}

void channel_close(struct channel *channel)
{
	if (!channel)
		return;
	end(channel);
	pthread_cond_destroy(&channel->changed);
	pthread_mutex_destroy(&channel->lock);
	free(channel->path);
	free(channel);
}

/* --- an exchange ---------------------------------------------------------------------------------- */

/* Whether anybody listens, found out by a plain connect(2): nng would just go on trying. A listener
 * with a full queue makes a blocking connect wait, and counts as one here. */
static int look(const struct channel *channel, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int sys;

	if (fd < 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, errno, "make a socket");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", channel->path);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	sys = errno;
	if (sys == EAGAIN || sys == EINPROGRESS)
		return 0;
	if (sys == EACCES || sys == EPERM)
		return err_set(err, ERR_PERMISSION_DENIED, sys, "connect to the agent at '%s'",
			       channel->path);
	err_set(err, ERR_UNAVAILABLE, sys, "the agent does not answer at '%s'", channel->path);
	return err_explain(err, "AGENT_NOT_ANSWERING",
			   "see with 'berth get nodes' whether the node runs; start it if not");
}

enum wait_result {
	WAIT_OVER,    /* it has left, or sending has failed */
	WAIT_TIMEOUT, /* 'by' came */
	WAIT_ABSENT,  /* nobody listens, see err */
	WAIT_STALLED, /* somebody listens, and nng does not connect */
	WAIT_GO_ON,
};

static bool is_connected(struct channel *channel, bool *ret_ever)
{
	bool connected;

	pthread_mutex_lock(&channel->lock);
	connected = channel->connected;
	*ret_ever = channel->was_connected;
	pthread_mutex_unlock(&channel->lock);
	return connected;
}

/* The bridge takes its time to cross and says itself when it has failed; nng's dialer is then of no
 * more use (see start_again()). */
static enum wait_result look_at_bridge(struct channel *channel, struct deadline by, bool give_up,
				       struct err *err)
{
	if (!bridge_failed(channel->bridge, &channel->failures, err))
		return WAIT_GO_ON;
	if (give_up || err->code != ERR_UNAVAILABLE)
		return WAIT_ABSENT;
	if (wait_done(channel, deadline_min(by, deadline_in_ms(LOOK_MS))))
		return WAIT_OVER;
	return WAIT_STALLED;
}

static enum wait_result look_at_socket(struct channel *channel, bool give_up, bool *first,
				       struct err *err)
{
	if (look(channel, err) < 0)
		return give_up ? WAIT_ABSENT : WAIT_GO_ON;
	err_set(err, ERR_UNAVAILABLE, 0, "who listens at '%s' does not speak", channel->path);
	err_explain(err, "AGENT_NOT_ANSWERING", NULL);
	if (!*first)
		return WAIT_STALLED;
	*first = false;
	return WAIT_GO_ON;
}

/* 'first': this call has not looked before. */
static enum wait_result look_why(struct channel *channel, struct deadline by,
				 const struct channel_patience *patience, bool *first,
				 struct err *err)
{
	enum wait_result result;
	bool ever, leave;

	if (is_connected(channel, &ever))
		return WAIT_GO_ON;
	leave = deadline_is_over(ever ? patience->lost : patience->leave);
	if (!channel->bridge) {
		result = look_at_socket(channel, !ever && !patience->absent, first, err);
	} else {
		err_set(err, ERR_UNAVAILABLE, 0, "the agent does not answer");
		result = look_at_bridge(channel, by, leave || (!ever && !patience->absent), err);
	}
	return leave && result != WAIT_OVER ? WAIT_ABSENT : result;
}

/* Waits until the request has left. '*err' is filled for WAIT_ABSENT alone. */
static enum wait_result wait_sent(struct channel *channel, struct deadline by,
				  const struct channel_patience *patience, struct err *err)
{
	int64_t pause_ms = LOOK_FIRST_MS;
	bool first = true;

	while (!wait_done(channel, deadline_min(by, deadline_in_ms(pause_ms)))) {
		enum wait_result result;
		struct err why;

		if (deadline_is_over(by))
			return WAIT_TIMEOUT;
		pause_ms = channel->bridge ? LOOK_FIRST_MS : LOOK_MS;
		result = look_why(channel, by, patience, &first, &why);
		if (result == WAIT_ABSENT)
			*err = why;
		if (result != WAIT_GO_ON)
			return result;
	}
	return WAIT_OVER;
}

/* Ends the operation under way, if it still is. Its result is then known. */
static int cancel(struct channel *channel)
{
	nng_aio_cancel(channel->aio);
	nng_aio_wait(channel->aio);
	return nng_aio_result(channel->aio);
}

static bool is_lost(int rv)
{
	return rv == NNG_ECONNRESET || rv == NNG_ECLOSED || rv == NNG_ECONNSHUT ||
	       rv == NNG_ECONNABORTED;
}

static enum channel_result failed(int rv, struct err *err)
{
	err_set(err, ERR_INTERNAL, 0, "nng: %s", nng_strerror(rv));
	return CHANNEL_FAILED;
}

/* A dialer of nng 1.5.2 gives up for ever when its peer goes in the middle of their negotiation, as
 * an agent does that is killed: the same mistake as the listener's (security-faults.md P1). */
static int start_again(struct channel *channel)
{
	end(channel);
	return start(channel);
}

/* Once. After WAIT_OVER '*ret_rv' tells how it went. */
static enum wait_result try_send(struct channel *channel, const uint8_t *request, size_t len,
				 struct deadline by, const struct channel_patience *patience,
				 int *ret_rv, struct err *err)
{
	enum wait_result result;
	nng_msg *msg;

	*ret_rv = nng_msg_alloc(&msg, len);
	if (*ret_rv != 0)
		return WAIT_OVER;
	memcpy(nng_msg_body(msg), request, len);
	nng_aio_set_msg(channel->aio, msg);
	begin(channel);
	nng_ctx_send(channel->ctx, channel->aio);
	result = wait_sent(channel, by, patience, err);
	*ret_rv = cancel(channel);
	if (*ret_rv == 0) /* just in time */
		return WAIT_OVER;
	nng_msg_free(nng_aio_get_msg(channel->aio));
	return result;
}

/* CHANNEL_REPLY stands for "the request has left". */
static enum channel_result send_request(struct channel *channel, const uint8_t *request, size_t len,
					struct deadline by, const struct channel_patience *patience,
					struct err *err)
{
	for (;;) {
		int rv;

		switch (try_send(channel, request, len, by, patience, &rv, err)) {
		case WAIT_OVER:
			return rv == 0 ? CHANNEL_REPLY : failed(rv, err);
		case WAIT_TIMEOUT:
			return CHANNEL_UNSENT;
		case WAIT_ABSENT:
			return CHANNEL_ABSENT;
		default:
			rv = start_again(channel);
			if (rv != 0)
				return failed(rv, err);
		}
	}
}

static enum channel_result receive_reply(struct channel *channel, struct deadline by,
					 uint8_t **ret_bytes, size_t *ret_len, struct err *err)
{
	uint8_t *bytes;
	nng_msg *msg;
	bool over;
	int rv;

	begin(channel);
	nng_ctx_recv(channel->ctx, channel->aio);
	over = wait_done(channel, by);
	rv = cancel(channel);
	if (rv != 0) {
		if (!over)
			return CHANNEL_TIMEOUT;
		return is_lost(rv) ? CHANNEL_LOST : failed(rv, err);
	}
	msg = nng_aio_get_msg(channel->aio);
	bytes = malloc(nng_msg_len(msg) ? nng_msg_len(msg) : 1);
	if (!bytes) {
		nng_msg_free(msg);
		return failed(NNG_ENOMEM, err);
	}
	memcpy(bytes, nng_msg_body(msg), nng_msg_len(msg));
	*ret_len = nng_msg_len(msg);
	*ret_bytes = bytes;
	nng_msg_free(msg);
	return CHANNEL_REPLY;
}

enum channel_result channel_exchange(struct channel *channel, const uint8_t *request, size_t len,
				     struct deadline by, struct channel_patience patience,
				     uint8_t **ret_bytes, size_t *ret_len, struct err *err)
{
	enum channel_result result;

	result = send_request(channel, request, len, by, &patience, err);
	if (result != CHANNEL_REPLY)
		return result;
	return receive_reply(channel, by, ret_bytes, ret_len, err);
}
