#include "agent/front/front.h"

#include "agent/front/context.h"
#include "agent/front/front_impl.h"
#include "shared/base/deadline.h"
#include "shared/base/log.h"
#include "shared/base/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

/* How late what is due may be done. */
#define TIMER_ACCURACY_US 50000

/* Accepted in one go before the other sources get their turn. */
#define ACCEPT_BATCH 16

/* I15 says 64 connections, 16 of one peer. What is asked of a node is 256 clients at once without an error,
 * and here they may all have one address: that of their host, or of the engine's proxy for its port. The 64
 * stay, for those who come from elsewhere. A client that is carried takes some 40 KiB and two descriptors
 * here; in the agent, what agent/gate/gate.c says. */
#define CLIENTS_MAX 256
#define OTHERS_MAX  64

/* I15's 10 handshakes a second of one address were a sixth of a core with the library that it was measured with
 * (17 ms each). OpenSSL's cost the front 1 to 1.7 ms (tests/bench/bench_clients.c), and so this is the same
 * sixth. Who is not here all the time gets as many at once as there may be connections. */
#define HANDSHAKES 100

/* Descriptors for all but sessions: listeners, the loop, and the other door's 16 connections. */
#define OTHER_FILES 64

/* How often the other door is looked at for when the last of its connections ended. */
#define HTTP_LOOK_MS 5000

/* A client whose kernel is silent for so long is gone (F22). */
#define SILENCE_MS 16000

void front_config_init(struct front_config *config)
{
	*config = (struct front_config){
		.gate_dir = "/run/berthd-front",
		.tls_dir = "/run/berthd-front/tls",
		.tls_fd = -1,
		.http_fd = -1,
		.max_sessions = CLIENTS_MAX + OTHERS_MAX,
		.max_per_peer = CLIENTS_MAX,
		.handshakes_per_second = HANDSHAKES,
		.handshakes_at_once = CLIENTS_MAX,
		.handshake_ms = 5000,
		.idle_ms = 5 * 60 * 1000,
		.exit_ms = 60 * 1000,
	};
}

/* --- what is due ------------------------------------------------------------------------------------ */

static bool is_quiet(const struct front *front)
{
	return !front->sessions && (!front->http || http_connections(front->http) == 0);
}

static int64_t first_due_ms(const struct front *front)
{
	int64_t first = INT64_MAX;
	const struct session *s;

	DL_FOREACH (front->sessions, s) {
		if (session_due_ms(s) < first)
			first = session_due_ms(s);
	}
	if (first != INT64_MAX || front->config.exit_ms == 0)
		return first;
	if (!is_quiet(front))
		return clock_now_ms() + HTTP_LOOK_MS;
	return front->quiet_at_ms + front->config.exit_ms;
}

void front_arm(struct front *front)
{
	int64_t first = first_due_ms(front);

	if (first == INT64_MAX) {
		sd_event_source_set_enabled(front->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time(front->timer, (uint64_t)first * 1000);
	sd_event_source_set_enabled(front->timer, SD_EVENT_ONESHOT);
}

/* What a crowd has left behind lies in pieces: the library gives it back when told to. */
static void give_back(struct front *front)
{
	if (front->sessions || !front->used)
		return;
	malloc_trim(0);
	front->used = false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct front *front = arg;
	struct session *s, *next;
	int64_t now = clock_now_ms();

	(void)source;
	(void)usec;
	DL_FOREACH_SAFE(front->sessions, s, next)
	{
		if (session_due_ms(s) <= now)
			session_due(s);
	}
	give_back(front);
	if (!is_quiet(front))
		front->quiet_at_ms = now;
	else if (front->config.exit_ms && now - front->quiet_at_ms >= front->config.exit_ms)
		return sd_event_exit(front->loop, 0);
	front_arm(front);
	return 0;
}

/* --- accepting -------------------------------------------------------------------------------------- */

/* One who has not proved anything makes room for one who may. False: everybody has. */
static bool push_out(struct front *front, const struct peer *peer)
{
	struct session *s;

	DL_FOREACH (front->sessions, s) {
		if (s->state == SESSION_CARRY || (peer && s->peer != peer))
			continue;
		front->counters.refused++;
		session_close(s);
		return true;
	}
	return false;
}

static struct peer *admit(struct front *front, const struct sockaddr *address)
{
	const struct front_config *config = &front->config;
	struct peer *peer;

	if (front->counters.open >= config->max_sessions && !push_out(front, NULL))
		return NULL;
	peer = peers_get(&front->peers, address, clock_now_ms());
	if (peer && peer->sessions >= config->max_per_peer && !push_out(front, peer))
		return NULL;
	return peer;
}

/* All places belong to those who have proved themselves. The alert is what makes a client stop asking: it
 * may come before any other record, and costs nothing. */
static void turn_away(int fd)
{
	static const uint8_t internal_error[] = { 21, 3, 3, 0, 2, 2, 80 };
	char hello[4096];

	/* What is left unread when it is closed would take the alert with it. */
	(void)!recv(fd, hello, sizeof(hello), 0);
	(void)!send(fd, internal_error, sizeof(internal_error), MSG_NOSIGNAL);
	close(fd);
}

/* False when nobody waits any more. */
static bool accept_one(struct front *front)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	int one = 1;
	int fd = accept4(front->config.tls_fd, (struct sockaddr *)&address, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct peer *peer;
	struct err err;

	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;
	front->counters.accepted++;
	if (!front->context) {
		front->counters.refused++;
		close(fd);
		return true;
	}
	peer = admit(front, (const struct sockaddr *)&address);
	if (!peer) {
		front->counters.refused++;
		turn_away(fd);
		return true;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	tcp_limit_silence(fd, SILENCE_MS);
	if (session_open(front, fd, peer, &err) < 0)
		log_debug("%s", err.msg);
	return true;
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct front *front = arg;

	(void)source;
	(void)fd;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && accept_one(front); i++)
		;
	front_arm(front);
	return 0;
}

/* --- life ------------------------------------------------------------------------------------------- */

int front_reload(struct front *front, struct err *err)
{
	SSL_CTX *context;

	if (context_open(front->config.tls_dir, &context, err) < 0)
		return -1;
	SSL_CTX_free(front->context); /* its sessions hold on to it */
	front->context = context;
	return 0;
}

static int open_tls(struct front *front, struct err *err)
{
	int fd = front->config.tls_fd;
	int rc;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	rc = sd_event_add_io(front->loop, &front->listen_source, fd, EPOLLIN, on_listen, front);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "serve the loop");
	if (front_reload(front, err) < 0)
		log_note("nobody is let in: %s", err->msg);
	return 0;
}

static int open_doors(struct front *front, struct err *err)
{
	int rc = sd_event_add_time(front->loop, &front->timer, CLOCK_MONOTONIC, 0,
				   TIMER_ACCURACY_US, on_timer, front);

	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "serve the loop");
	if (front->config.tls_fd >= 0 && open_tls(front, err) < 0)
		return -1;
	if (front->config.http_fd >= 0 &&
	    http_open(front, take_fd(&front->config.http_fd), &front->http, err) < 0)
		return -1;
	front->quiet_at_ms = clock_now_ms();
	front_arm(front);
	return 0;
}

/* A session takes two descriptors; without one for the next in line the loop would spin. */
static void fit_to_files(struct front_config *config)
{
	struct rlimit files;
	rlim_t most;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return;
	most = files.rlim_cur > OTHER_FILES + 2 ? (files.rlim_cur - OTHER_FILES) / 2 : 1;
	if (config->max_sessions > most)
		config->max_sessions = (unsigned)most;
}

int front_open(const struct front_config *config, struct sd_event *loop, struct front **ret_front,
	       struct err *err)
{
	cleanup_with(front) struct front *front = calloc(1, sizeof(*front));

	if (!front) {
		if (config->tls_fd >= 0)
			close(config->tls_fd);
		if (config->http_fd >= 0)
			close(config->http_fd);
		return err_oom(err);
	}
	front->config = *config;
	fit_to_files(&front->config);
	front->loop = sd_event_ref(loop);
	peers_init(&front->peers, config->handshakes_per_second, config->handshakes_at_once);
	if (open_doors(front, err) < 0)
		return -1;
	*ret_front = TAKE(front);
	return 0;
}

void front_close(struct front *front)
{
	struct session *s, *next;

	if (!front)
		return;
	http_close(front->http);
	DL_FOREACH_SAFE(front->sessions, s, next)
	{
		session_close(s);
	}
	sd_event_source_disable_unref(front->listen_source);
	sd_event_source_disable_unref(front->timer);
	sd_event_unref(front->loop);
	SSL_CTX_free(front->context);
	if (front->config.tls_fd >= 0)
		close(front->config.tls_fd);
	if (front->config.http_fd >= 0)
		close(front->config.http_fd);
	free(front);
}

void front_get_counters(const struct front *front, struct front_counters *ret)
{
	*ret = front->counters;
}
