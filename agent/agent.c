#include "agent/agent.h"

#include "agent/events/events.h"
#include "agent/gate/gate.h"
#include "agent/pods/freeze.h"
#include "agent/pods/pods.h"
#include "agent/runtime/runtime.h"
#include "agent/server/notify.h"
#include "agent/server/server.h"
#include "agent/server/watchdog.h"
#include "agent/service/metrics.h"
#include "agent/service/monitor.h"
#include "agent/streams/stream.h"
#include "agent/units/unit.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/version.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#define FRONT_CLOSED_MAX 64

void agent_config_init(struct agent_config *config)
{
	const char *cluster = getenv("BERTH_CLUSTER"), *role = getenv("BERTH_ROLE");
	bool is_balancer = role && strcmp(role, "external-load-balancer") == 0;

	*config = (struct agent_config){
		.socket = "/run/berth/agent.sock",
		.private_dir = "/run/berthd",
		.state_dir = "/var/lib/berthd",
		.units_backend = "systemd",
		.runtime_backend = is_balancer ? "none" : "cri",
		.runtime_address = "unix:///run/containerd/containerd.sock",
		.pod_logs = "/var/log/pods",
		.preload_state = "/run/berth-preload/state",
		.cluster = cluster ? cluster : "",
		.is_balancer = is_balancer,
		.front_user = "berthd-front",
		.front_dir = "/run/berthd-front",
	};
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
	struct agent *agent = arg;

	(void)source;
	(void)info;
	agent->stopping = true;
	return 0;
}

/* Blocked before nng makes its threads, which inherit it: the loop alone takes these signals. */
static int open_loop(struct agent *agent, struct err *err)
{
	sigset_t mask;
	int rc;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);

	rc = sd_event_new(&agent->loop);
	if (rc >= 0)
		rc = sd_event_add_signal(agent->loop, NULL, SIGTERM, on_signal, agent);
	if (rc >= 0)
		rc = sd_event_add_signal(agent->loop, NULL, SIGINT, on_signal, agent);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "make the event loop");
	return 0;
}

/* What does the work. Nothing here waits for systemd or a runtime to be there. */
static int open_backends(struct agent *agent, struct err *err)
{
	const struct agent_config *config = &agent->config;

	if (events_open(agent->loop, &agent->events, err) < 0 ||
	    units_open(config->units_backend, agent->loop, &agent->units, err) < 0 ||
	    runtime_open(config->runtime_backend, config->runtime_address, agent->loop,
			 &agent->runtime, err) < 0 ||
	    pods_open(config->state_dir, agent->loop, agent->units, agent->runtime, &agent->pods,
		      err) < 0 ||
	    streams_open(agent->loop, &agent->streams, err) < 0)
		return -1;
	pods_set_events(agent->pods, agent->events);
	if (config->stream_idle_ms > 0)
		streams_set_idle(agent->streams, config->stream_idle_ms);
	pods_set_frozen(agent->pods, freeze_is_on(config->private_dir));
	return monitor_open(agent, &agent->monitor, err);
}

static void add_gate(const struct gate *gate, struct metrics_now *now)
{
	struct gate_counters counters;

	gate_get_counters(gate, &counters);
	now->connections += counters.open;
	now->accepted += counters.accepted;
	now->refused_peer += counters.refused_peer;
	now->refused_limit += counters.refused_limit;
	now->refused_header += counters.refused_header;
}

/* metrics_read_fn */
static void read_now(void *arg, struct metrics_now *ret)
{
	const struct agent *agent = arg;

	ret->in_flight = server_in_flight(agent->server);
	add_gate(agent->gate, ret);
	for (size_t i = 0; i < ARRAY_LEN(agent->front_gates); i++) {
		if (agent->front_gates[i])
			add_gate(agent->front_gates[i], ret);
	}
}

static uint64_t open_at(const struct gate *gate)
{
	struct gate_counters counters = { 0 };

	if (gate)
		gate_get_counters(gate, &counters);
	return counters.open;
}

static unsigned lag_of(const struct agent *agent, enum method_role role)
{
	uint64_t open = open_at(agent->front_gates[role]);
	unsigned pipes = server_pipes(agent->server, role);

	if (role == ROLE_ADMIN)
		open += open_at(agent->gate);
	return pipes > open ? pipes - (unsigned)open : 0;
}

static unsigned admin_lag(void *arg)
{
	return lag_of(arg, ROLE_ADMIN);
}

static unsigned read_lag(void *arg)
{
	return lag_of(arg, ROLE_READ);
}

static void set_role(struct agent *agent, enum method_role role, struct gate_config *config)
{
	config->private_path = server_private_path(agent->server, role);
	config->lag = role == ROLE_ADMIN ? admin_lag : read_lag;
	config->arg = agent;
}

static int open_gate(struct agent *agent, struct err *err)
{
	struct gate_config config;

	gate_config_init(&config);
	config.public_path = agent->config.socket;
	set_role(agent, ROLE_ADMIN, &config);
	return gate_open(&config, agent->loop, &agent->gate, err);
}

/* Straight from the file: the library's look-up brings a megabyte of modules along. */
static bool find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry = NULL;

	while (file && (entry = fgetpwent(file)) && strcmp(entry->pw_name, name) != 0)
		;
	if (entry) {
		*ret_uid = entry->pw_uid;
		*ret_gid = entry->pw_gid;
	}
	if (file)
		fclose(file);
	return entry != NULL;
}

/* All connections come from the one front, which has limits of its own for their peers, and as many in all
 * (agent/front/front.c). What it has closed may still be open here. */
static int open_front_gate(struct agent *agent, enum method_role role, uid_t uid, gid_t gid,
			   struct err *err)
{
	cleanup_free char *path =
		text_format("%s/%s.sock", agent->config.front_dir, method_role_name(role));
	struct gate_config config;

	if (!path)
		return err_oom(err);
	gate_config_init(&config);
	config.public_path = path;
	set_role(agent, role, &config);
	config.peer_uid = uid;
	config.peer_gid = gid;
	config.max_connections += FRONT_CLOSED_MAX;
	config.max_per_peer = config.max_connections;
	return gate_open(&config, agent->loop, &agent->front_gates[role], err);
}

static int open_front_gates(struct agent *agent, struct err *err)
{
	uid_t uid = 0;
	gid_t gid = 0;

	_Static_assert(AGENT_FRONT_GATES == ROLE_ADMIN + 1, "a gate a role");
	if (!find_user(agent->config.front_user, &uid, &gid))
		return 0;
	for (int role = ROLE_READ; role <= ROLE_ADMIN; role++) {
		if (open_front_gate(agent, (enum method_role)role, uid, gid, err) < 0)
			return err_wrap(err, "the front's sockets");
	}
	return 0;
}

static uint64_t connections_accepted(void *arg)
{
	const struct agent *agent = arg;
	struct gate_counters counters;

	gate_get_counters(agent->gate, &counters);
	return counters.accepted;
}

static int open_watchdog(struct agent *agent, struct err *err)
{
	struct watchdog_config config = {
		.socket_path = agent->config.socket,
		.interval_ms = watchdog_interval_ms(),
		.alive = watchdog_tell_systemd,
		.accepted = connections_accepted,
		.arg = agent,
	};

	if (config.interval_ms == 0)
		return 0;
	return watchdog_open(agent->loop, &config, &agent->watchdog, err);
}

int agent_init(struct agent *agent, const struct agent_config *config, struct err *err)
{
	memset(agent, 0, sizeof(*agent));
	agent->config = *config;
	agent->started_ms = clock_now_ms();
	if (open_loop(agent, err) < 0 || open_backends(agent, err) < 0 ||
	    metrics_new(read_now, agent, &agent->metrics, err) < 0 ||
	    server_open(agent, &agent->server, err) < 0 || open_gate(agent, err) < 0 ||
	    open_front_gates(agent, err) < 0 || open_watchdog(agent, err) < 0)
		return -1;
	events_note(agent->events, EVENT_NORMAL, "agent", "berthd", "Started", "berthd %s serves",
		    version_number());
	return 0;
}

int agent_run(struct agent *agent, struct err *err)
{
	notify("READY=1");
	while (!agent->stopping) {
		int rc = sd_event_run(agent->loop, UINT64_MAX);

		if (rc < 0)
			return err_set(err, ERR_INTERNAL, -rc, "run the event loop");
	}
	notify("STOPPING=1");
	return 0;
}

/* The server first, while the gate still relays its last answers. Then the rooms below: what is
 * pending there ends now, and the calls behind it with it. */
void agent_release(struct agent *agent)
{
	watchdog_close(agent->watchdog);
	server_close(agent->server);
	for (size_t i = 0; i < ARRAY_LEN(agent->front_gates); i++)
		gate_close(agent->front_gates[i]);
	gate_close(agent->gate);
	if (agent->monitor)
		monitor_close(agent->monitor);
	streams_close(agent->streams);
	if (agent->pods)
		pods_close(agent->pods);
	if (agent->runtime)
		runtime_close(agent->runtime);
	if (agent->units)
		units_close(agent->units);
	events_close(agent->events);
	metrics_free(agent->metrics);
	sd_event_unref(agent->loop);
	memset(agent, 0, sizeof(*agent));
}
