#include "agent/gate/gate_impl.h"
#include "agent/gate/listener.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

/* How late a silent connection may be ended, so that the timer never wakes the agent by itself. */
#define REAPER_ACCURACY_US 250000

/* Accepted in one go before the other sources get their turn. */
#define ACCEPT_BATCH 16

/* Pause of the listener when not even the reserve descriptor could be had back. */
#define STARVED_MS 100

/* Pause of the listener when nng has too many connections to bury. */
#define LAG_PAUSE_US 2000

/* I15 says 64 and 16 of one peer. What is asked of a node is 256 clients at once without an error, and they
 * may all be threads of one program, so one peer gets as many; the 64 stay, for whoever else comes meanwhile
 * (an operator with a broken script). A connection takes three descriptors and some KiB in nng. */
#define CLIENTS_MAX 256
#define OTHERS_MAX  64

void gate_config_init(struct gate_config *config)
{
	config->listen_fd = -1;
	config->peer_uid = 0;
	config->peer_gid = 0;
	config->max_connections = CLIENTS_MAX + OTHERS_MAX;
	config->max_per_peer = CLIENTS_MAX;
	config->handshake_ms = 5000;
	config->idle_ms = 5 * 60 * 1000;
	config->lag = NULL;
}

/* Arms the reaper for the first connection that may expire, or turns it off. */
static void reaper_arm(struct gate *gate)
{
	int64_t first = gate->listen_source ? INT64_MAX : clock_now_ms() + STARVED_MS;
	struct connection *c;
	uint64_t armed_us;
	int on;

	DL_FOREACH (gate->connections, c) {
		if (connection_expires_ms(c) < first)
			first = connection_expires_ms(c);
	}
	if (first == INT64_MAX) {
		sd_event_source_set_enabled(gate->reaper, SD_EVENT_OFF);
		return;
	}
	sd_event_source_get_enabled(gate->reaper, &on);
	sd_event_source_get_time(gate->reaper, &armed_us);
	if (on && armed_us <= (uint64_t)first * 1000)
		return; /* it looks again when it fires: cheaper than moving it at every accept */
	sd_event_source_set_time(gate->reaper, (uint64_t)first * 1000);
	sd_event_source_set_enabled(gate->reaper, SD_EVENT_ONESHOT);
}

static int listen_resume(struct gate *gate);

static int on_reaper(sd_event_source *source, uint64_t usec, void *arg)
{
	struct gate *gate = arg;
	struct connection *c, *next;
	int64_t now = clock_now_ms();

	(void)source;
	(void)usec;
	DL_FOREACH_SAFE(gate->connections, c, next)
	{
		if (connection_expires_ms(c) <= now)
			connection_expire(c);
	}
	if (!gate->listen_source)
		listen_resume(gate);
	reaper_arm(gate);
	return 0;
}

static unsigned connections_of(const struct gate *gate, pid_t pid)
{
	struct connection *c;
	unsigned count = 0;

	DL_FOREACH (gate->connections, c) {
		count += c->pid == pid;
	}
	return count;
}

/* True when the peer may come in. A pid of 0 is a peer from outside our pid namespace (the host's
 * controller): all of them look the same, so only the total counts for them. */
static bool admit(struct gate *gate, int fd, pid_t *ret_pid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    (peer.uid != gate->config.peer_uid && peer.uid != geteuid())) {
		gate->counters.refused_peer++;
		return false;
	}
	if (gate->counters.open >= gate->config.max_connections ||
	    (peer.pid > 0 && connections_of(gate, peer.pid) >= gate->config.max_per_peer)) {
		gate->counters.refused_limit++;
		return false;
	}
	*ret_pid = peer.pid;
	return true;
}

static int reserve_open(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Out of descriptors: without this the one who waits would make the loop spin. */
static void turn_away(struct gate *gate)
{
	int fd;

	if (gate->reserve_fd >= 0)
		close(gate->reserve_fd);
	fd = accept4(gate->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		gate->counters.refused_limit++;
		close(fd);
	}
	gate->reserve_fd = reserve_open();
	if (gate->reserve_fd < 0)
		gate->listen_source = sd_event_source_disable_unref(gate->listen_source);
}

/* False when nobody waits any more. */
static bool accept_one(struct gate *gate)
{
	struct err err;
	pid_t pid;
	int fd = accept4(gate->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away(gate);
		return errno == ECONNABORTED || errno == EINTR;
	}
	gate->counters.accepted++;
	if (!admit(gate, fd, &pid))
		close(fd);
	else
		connection_open(gate, fd, pid, &err);
	return true;
}

static bool nng_lags(const struct gate *gate)
{
	return gate->config.lag && gate->config.lag(gate->config.arg) > GATE_LAG_MAX;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *arg)
{
	struct gate *gate = arg;

	(void)source;
	(void)usec;
	if (gate->listen_source)
		sd_event_source_set_enabled(gate->listen_source, SD_EVENT_ON);
	return 0;
}

static void pause_accepting(struct gate *gate)
{
	sd_event_source_set_time_relative(gate->pause, LAG_PAUSE_US);
	sd_event_source_set_enabled(gate->pause, SD_EVENT_ONESHOT);
	sd_event_source_set_enabled(gate->listen_source, SD_EVENT_OFF);
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct gate *gate = arg;

	(void)source;
	(void)fd;
	(void)events;
	if (nng_lags(gate)) {
		pause_accepting(gate);
		return 0;
	}
	for (int i = 0; i < ACCEPT_BATCH && accept_one(gate); i++)
		;
	reaper_arm(gate);
	return 0;
}

static int listen_resume(struct gate *gate)
{
	if (gate->reserve_fd < 0)
		gate->reserve_fd = reserve_open();
	return sd_event_add_io(gate->loop, &gate->listen_source, gate->listen_fd, EPOLLIN,
			       on_listen, gate);
}

DEFINE_CLEANUP(gate, struct gate *, gate_close)

static int gate_listen(struct gate *gate, const struct gate_config *config, struct err *err)
{
	int rc;

	if (gate->listen_fd < 0) {
		if (listener_open(config->public_path, config->peer_gid, &gate->listen_fd, err) < 0)
			return -1;
		gate->public_path = strdup(config->public_path);
		if (!gate->public_path)
			return err_oom(err);
	}
	rc = sd_event_add_time(gate->loop, &gate->reaper, CLOCK_MONOTONIC, 0, REAPER_ACCURACY_US,
			       on_reaper, gate);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(gate->reaper, SD_EVENT_OFF);
	if (rc >= 0)
		rc = sd_event_add_time(gate->loop, &gate->pause, CLOCK_MONOTONIC, 0, 1,
				       on_pause_over, gate);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(gate->pause, SD_EVENT_OFF);
	if (rc >= 0)
		rc = listen_resume(gate);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "gate: serve the loop");
	return 0;
}

int gate_open(const struct gate_config *config, struct sd_event *loop, struct gate **ret_gate,
	      struct err *err)
{
	cleanup_with(gate) struct gate *gate = malloc(sizeof(*gate));

	if (!gate) {
		if (config->listen_fd >= 0)
			close(config->listen_fd);
		return err_oom(err);
	}
	/* Not the buffer: its pages are to stay untouched until they are needed. */
	memset(gate, 0, offsetof(struct gate, buffer));
	gate->config = *config;
	gate->loop = sd_event_ref(loop);
	gate->listen_fd = config->listen_fd;
	gate->reserve_fd = reserve_open();
	if (gate->listen_fd >= 0) /* whoever made it may not have thought of it */
		fcntl(gate->listen_fd, F_SETFL, fcntl(gate->listen_fd, F_GETFL) | O_NONBLOCK);
	if (unix_address(config->private_path, &gate->private_address, err) < 0 ||
	    gate_listen(gate, config, err) < 0)
		return -1;
	*ret_gate = TAKE(gate);
	return 0;
}

void gate_close(struct gate *gate)
{
	struct connection *c, *next;

	if (!gate)
		return;
	DL_FOREACH_SAFE(gate->connections, c, next)
	{
		connection_close(c);
	}
	sd_event_source_disable_unref(gate->listen_source);
	sd_event_source_disable_unref(gate->reaper);
	sd_event_source_disable_unref(gate->pause);
	sd_event_unref(gate->loop);
	if (gate->public_path)
		unlink(gate->public_path);
	if (gate->listen_fd >= 0)
		close(gate->listen_fd);
	if (gate->reserve_fd >= 0)
		close(gate->reserve_fd);
	free(gate->public_path);
	free(gate);
}

void gate_get_counters(const struct gate *gate, struct gate_counters *ret)
{
	*ret = gate->counters;
}
