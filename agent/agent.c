#include "agent/agent.h"

#include "agent/gate/gate.h"
#include "agent/pods/freeze.h"
#include "agent/pods/pods.h"
#include "agent/runtime/runtime.h"
#include "agent/server/notify.h"
#include "agent/server/server.h"
#include "agent/server/watchdog.h"
#include "agent/service/monitor.h"
#include "agent/streams/stream.h"
#include "agent/units/unit.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

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
		.cluster = cluster ? cluster : "",
		.is_balancer = is_balancer,
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

	if (units_open(config->units_backend, agent->loop, &agent->units, err) < 0 ||
	    runtime_open(config->runtime_backend, config->runtime_address, agent->loop,
			 &agent->runtime, err) < 0 ||
	    pods_open(config->state_dir, agent->loop, agent->units, agent->runtime, &agent->pods,
		      err) < 0 ||
	    streams_open(agent->loop, &agent->streams, err) < 0)
		return -1;
	pods_set_frozen(agent->pods, freeze_is_on(config->private_dir));
	return monitor_open(agent, &agent->monitor, err);
}

static int open_gate(struct agent *agent, struct err *err)
{
	struct gate_config config;

	gate_config_init(&config);
	config.public_path = agent->config.socket;
	config.private_path = server_private_path(agent->server, ROLE_ADMIN);
	return gate_open(&config, agent->loop, &agent->gate, err);
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
	    server_open(agent, &agent->server, err) < 0 || open_gate(agent, err) < 0 ||
	    open_watchdog(agent, err) < 0)
		return -1;
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
	sd_event_unref(agent->loop);
	memset(agent, 0, sizeof(*agent));
}
