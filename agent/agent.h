#pragma once
/*
 * The agent: everything it owns, in one struct, and no globals. Made by agent.c; rooms get at what
 * they need through call_agent(). Pointers are owned here and outlive every call.
 */
#include <stdbool.h>
#include <stdint.h>

struct err;
struct events;
struct gate;
struct metrics;
struct monitor;
struct pods;
struct runtime;
struct sd_event;
struct server;
struct streams;
struct units;
struct watchdog;

/* Where the agent lives and what it drives. Strings are borrowed from argv or are static. */
struct agent_config {
	const char *socket;          /* public socket: /run/berth/agent.sock */
	const char *private_dir;     /* nng's private listener: /run/berthd */
	const char *state_dir;       /* wanted pods: /var/lib/berthd */
	const char *units_backend;   /* "systemd" or "fake" */
	const char *runtime_backend; /* "cri", "fake" or "none" */
	const char *runtime_address; /* unix:///run/containerd/containerd.sock */
	const char *pod_logs;        /* what runtimes write: /var/log/pods */
	const char *preload_state;   /* how archives are taken in: /run/berth-preload/state */
	const char *cluster;         /* from BERTH_CLUSTER; "" when not told */
	bool is_balancer;            /* BERTH_ROLE says so: haproxy, and no runtime */
	const char *front_user;      /* who may use the front's sockets: berthd-front */
	const char *front_dir;       /* where they are: /run/berthd-front */
	int64_t stream_idle_ms;      /* 0: STREAM_IDLE_MS; for tests */
};

/* The doors for the front, one a role: who comes in there has it. */
#define AGENT_FRONT_GATES 2

struct agent {
	struct agent_config config;
	int64_t started_ms;
	struct sd_event *loop;
	struct events *events;
	struct units *units;
	struct runtime *runtime;
	struct pods *pods;
	struct streams *streams;
	struct monitor *monitor;
	struct metrics *metrics; /* NULL: nothing is counted */
	struct server *server;
	struct gate *gate;
	struct gate *front_gates[AGENT_FRONT_GATES]; /* NULL: this node has no front */
	struct watchdog *watchdog; /* NULL when nobody wants to be told that we live */
	bool stopping;
};

/* Fills in the usual places and backends. */
void agent_config_init(struct agent_config *config);

/* Opens every part in order and listens. 'agent' is the caller's storage; release it with
 * agent_release(), also after a failure. Config strings are borrowed while it lives. */
int agent_init(struct agent *agent, const struct agent_config *config, struct err *err);

/* Serves until SIGTERM or SIGINT. */
int agent_run(struct agent *agent, struct err *err);

/* Answers what is running, then closes every part. */
void agent_release(struct agent *agent);
