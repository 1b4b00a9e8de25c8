/* One TLS connection: SILENT, HELD, HANDSHAKE, CARRY, ENDING. */
#include "agent/front/context.h"
#include "agent/front/front_impl.h"
#include "shared/base/deadline.h"
#include "shared/base/log.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

/* How long a refused client may take to read why. */
#define ENDING_MS 1000

/* When one that is held is looked at first: whose turn it is is known by those before it. */
#define HOLD_MS 10

/* RFC 8446 section 5.1: the content type of a handshake record. */
#define RECORD_HANDSHAKE 22

/* Records carried before other sessions get their turn. */
#define CARRY_BATCH 8

static void side_release(struct side *side)
{
	side->source = sd_event_source_disable_unref(side->source);
	if (side->fd >= 0)
		close(side->fd);
	side->fd = -1;
}

void session_close(struct session *s)
{
	struct front *front = s->front;

	side_release(&s->client);
	side_release(&s->gate);
	SSL_free(s->ssl);
	free(s->to_gate);
	free(s->to_client);
	DL_DELETE(front->sessions, s);
	front->counters.open--;
	front->used = true;
	s->peer->sessions--;
	s->peer->held -= s->state == SESSION_HELD;
	front->quiet_at_ms = clock_now_ms();
	free(s);
}

/* No interest means no source at all: the kernel would still report a hang-up, again and again. */
static void side_want(struct side *side, uint32_t events)
{
	if (!side->source || events == side->events)
		return;
	if (events)
		sd_event_source_set_io_events(side->source, events);
	if (!events || !side->events)
		sd_event_source_set_enabled(side->source, events ? SD_EVENT_ON : SD_EVENT_OFF);
	side->events = events;
}

/* What it waits for from here on may be due sooner. */
static void enter(struct session *s, enum session_state state)
{
	s->state = state;
	s->active_ms = clock_now_ms();
	front_arm(s->front);
}

/* The alert would be lost with the connection if what the client has sent were left unread. */
static void end_gently(struct session *s)
{
	side_release(&s->gate);
	shutdown(s->client.fd, SHUT_WR);
	enter(s, SESSION_ENDING);
	side_want(&s->client, EPOLLIN);
}

/* False when the client has ended, too. */
static bool drop_input(struct session *s)
{
	char bytes[4096];
	ssize_t n = recv(s->client.fd, bytes, sizeof(bytes), 0);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* --- carrying --------------------------------------------------------------------------------------- */

/* What OpenSSL waits for, as epoll's events; 0: the session is over. */
static uint32_t ssl_wants(struct session *s, int rc)
{
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return EPOLLIN;
	case SSL_ERROR_WANT_WRITE:
		return EPOLLOUT;
	default:
		ERR_clear_error();
		return 0;
	}
}

static bool flow_is_empty(const struct flow *flow)
{
	return flow->at == flow->len;
}

static void flow_fill(struct session *s, struct flow *flow, size_t len)
{
	flow->at = 0;
	flow->len = len;
	s->active_ms = clock_now_ms();
}

/* What both sides are waited for after a round. */
struct wants {
	uint32_t client;
	uint32_t gate;
	bool moved; /* something did */
};

/* Both return false when the session is over. */
static bool client_to_gate(struct session *s, struct wants *w)
{
	struct flow *flow = s->to_gate;
	ssize_t n;

	if (flow_is_empty(flow)) {
		int rc = SSL_read(s->ssl, flow->bytes, sizeof(flow->bytes));
		uint32_t wants = rc > 0 ? 0 : ssl_wants(s, rc);

		w->client |= wants;
		if (rc <= 0)
			return wants != 0;
		flow_fill(s, flow, (size_t)rc);
		w->moved = true;
	}
	n = send(s->gate.fd, flow->bytes + flow->at, flow->len - flow->at, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	flow->at += n > 0 ? (size_t)n : 0;
	w->gate |= flow_is_empty(flow) ? 0 : EPOLLOUT;
	return true;
}

static bool gate_to_client(struct session *s, struct wants *w)
{
	struct flow *flow = s->to_client;
	uint32_t wants;
	int rc;

	if (flow_is_empty(flow)) {
		ssize_t n = recv(s->gate.fd, flow->bytes, sizeof(flow->bytes), 0);

		w->gate |= n < 0 ? EPOLLIN : 0;
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR);
		flow_fill(s, flow, (size_t)n);
		w->moved = true;
	}
	rc = SSL_write(s->ssl, flow->bytes + flow->at, (int)(flow->len - flow->at));
	if (rc > 0) {
		flow->at += (size_t)rc;
		w->client |= flow_is_empty(flow) ? 0 : EPOLLOUT;
		return true;
	}
	wants = ssl_wants(s, rc);
	w->client |= wants;
	return wants != 0;
}

static void carry(struct session *s)
{
	struct wants w;
	int rounds = 0;

	do {
		w = (struct wants){ 0 };
		if (!client_to_gate(s, &w) || !gate_to_client(s, &w)) {
			SSL_shutdown(s->ssl);
			ERR_clear_error();
			end_gently(s);
			return;
		}
	} while (w.moved && ++rounds < CARRY_BATCH);
	/* Whoever has moved is looked at again, whoever has not waits for what it lacks. */
	side_want(&s->client, w.client | (flow_is_empty(s->to_gate) ? EPOLLIN : 0));
	side_want(&s->gate, w.gate | (flow_is_empty(s->to_client) ? EPOLLIN : 0));
}

static int on_gate(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct session *s = arg;

	(void)source;
	(void)fd;
	(void)events;
	carry(s);
	return 0;
}

/* The agent's socket of a role. False when the agent is not there. */
static bool connect_gate(struct session *s, enum method_role role)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock",
			   s->front->config.gate_dir, method_role_name(role));

	if (len < 0 || (size_t)len >= sizeof(address.sun_path))
		return false;
	s->gate.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->gate.fd < 0 ||
	    connect(s->gate.fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return false;
	s->gate.events = EPOLLIN;
	s->to_gate = malloc(sizeof(*s->to_gate));
	s->to_client = malloc(sizeof(*s->to_client));
	if (!s->to_gate || !s->to_client)
		return false;
	s->to_gate->at = s->to_gate->len = 0;
	s->to_client->at = s->to_client->len = 0;
	return sd_event_add_io(s->front->loop, &s->gate.source, s->gate.fd, EPOLLIN, on_gate, s) >=
	       0;
}

/* --- handshake -------------------------------------------------------------------------------------- */

static void let_in(struct session *s)
{
	X509 *leaf = SSL_get0_peer_certificate(s->ssl);
	enum method_role role;

	/* The handshake has seen to both; what opens doors is asked twice. */
	if (!leaf || SSL_get_verify_result(s->ssl) != X509_V_OK || !context_role_of(leaf, &role)) {
		s->front->counters.refused++;
		end_gently(s);
		return;
	}
	s->front->counters.carried++;
	if (!connect_gate(s, role)) {
		log_debug("the agent does not answer: %s", strerror(errno));
		SSL_shutdown(s->ssl);
		ERR_clear_error();
		end_gently(s);
		return;
	}
	enter(s, SESSION_CARRY);
	carry(s);
}

static void handshake(struct session *s)
{
	int rc = SSL_accept(s->ssl);
	uint32_t wants;

	if (rc == 1) {
		let_in(s);
		return;
	}
	wants = ssl_wants(s, rc);
	if (wants) {
		side_want(&s->client, wants);
		return;
	}
	s->front->counters.refused++;
	end_gently(s);
}

static void begin_handshake(struct session *s)
{
	s->ssl = SSL_new(s->front->context);
	if (!s->ssl || SSL_set_fd(s->ssl, s->client.fd) != 1) {
		session_close(s);
		return;
	}
	s->state = SESSION_HANDSHAKE; /* its time has begun with the connection */
	handshake(s);
}

/* Its turn, if the address has one to give. */
static bool take_turn(struct session *s)
{
	int64_t now = clock_now_ms(), wait_ms;

	if (peer_take_token(&s->front->peers, s->peer, now, &wait_ms))
		return true;
	s->held_until_ms = now + wait_ms;
	return false;
}

/* In turn, and those first who have waited longest: handshakes are what a stranger can make us spend most
 * on (I15). Who goes meanwhile is noticed: that is how most floods are made, and it costs nobody a turn. */
static void hold(struct session *s)
{
	s->state = SESSION_HELD;
	s->held_until_ms = clock_now_ms() + HOLD_MS;
	s->peer->held++;
	side_want(&s->client, EPOLLRDHUP);
	front_arm(s->front);
}

static void unhold(struct session *s)
{
	if (!take_turn(s))
		return;
	s->peer->held--;
	side_want(&s->client, EPOLLIN);
	begin_handshake(s);
}

/* The first byte of TLS's first record. Nothing else is worth a turn, nor an answer. */
static bool begins_like_tls(const struct session *s)
{
	uint8_t first;

	return recv(s->client.fd, &first, 1, MSG_PEEK) == 1 && first == RECORD_HANDSHAKE;
}

static void first_bytes(struct session *s)
{
	if (!begins_like_tls(s)) {
		s->front->counters.refused++;
		session_close(s);
	} else if (s->peer->held == 0 && take_turn(s)) {
		side_want(&s->client, EPOLLIN);
		begin_handshake(s);
	} else {
		hold(s);
	}
}

/* Before its handshake. It has a half of the connection to lose, too: nobody who means it closes that. */
static void stranger_event(struct session *s, uint32_t events)
{
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		s->front->counters.refused++;
		session_close(s);
	} else if (s->state == SESSION_SILENT) {
		first_bytes(s);
	}
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct session *s = arg;

	(void)source;
	(void)fd;
	switch (s->state) {
	case SESSION_SILENT:
	case SESSION_HELD:
		stranger_event(s, events);
		break;
	case SESSION_HANDSHAKE:
		handshake(s);
		break;
	case SESSION_CARRY:
		carry(s);
		break;
	case SESSION_ENDING:
		if (!drop_input(s))
			session_close(s);
		break;
	}
	return 0;
}

/* --- life ------------------------------------------------------------------------------------------- */

int session_open(struct front *front, int fd, struct peer *peer, struct err *err)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s) {
		close(fd);
		return err_oom(err);
	}
	s->front = front;
	s->peer = peer;
	s->client.fd = fd;
	s->gate.fd = -1;
	s->client.events = EPOLLIN | EPOLLRDHUP;
	peer->sessions++;
	front->counters.open++;
	s->active_ms = clock_now_ms();
	DL_APPEND(front->sessions, s);
	if (sd_event_add_io(front->loop, &s->client.source, fd, s->client.events, on_client, s) <
	    0) {
		session_close(s);
		return err_oom(err);
	}
	return 0;
}

static int64_t ends_ms(const struct session *s)
{
	switch (s->state) {
	case SESSION_CARRY:
		return s->active_ms + s->front->config.idle_ms;
	case SESSION_ENDING:
		return s->active_ms + ENDING_MS;
	default:
		return s->active_ms + s->front->config.handshake_ms;
	}
}

int64_t session_due_ms(const struct session *s)
{
	int64_t ends = ends_ms(s);

	return s->state == SESSION_HELD && s->held_until_ms < ends ? s->held_until_ms : ends;
}

void session_due(struct session *s)
{
	if (ends_ms(s) > clock_now_ms()) {
		unhold(s);
		return;
	}
	if (s->state < SESSION_CARRY)
		s->front->counters.refused++;
	session_close(s);
}
