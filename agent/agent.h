#pragma once
/*
 * The agent: everything it owns, in one struct, and no globals. Made by agent.c; rooms get at what
 * they need through call_agent(). Pointers are owned here and outlive every call.
 */
#include <stdint.h>

struct gate;
struct monitor;
struct pods;
struct runtime;
struct sd_event;
struct server;
struct units;

/* Where the agent lives and what it drives. Strings are borrowed from argv or are static. */
struct agent_config {
	const char *socket;          /* public socket: /run/berth/agent.sock */
	const char *private_dir;     /* nng's private listener: /run/berthd */
	const char *state_dir;       /* wanted pods: /var/lib/berthd */
	const char *units_backend;   /* "systemd" or "fake" */
	const char *runtime_backend; /* "cri" or "fake" */
	const char *runtime_address; /* unix:///run/containerd/containerd.sock */
	const char *cluster;         /* from BERTH_CLUSTER; "" when not told */
};

struct agent {
	struct agent_config config;
	int64_t started_ms;
	struct sd_event *loop;
	struct units *units;
	struct runtime *runtime;
	struct pods *pods;
	struct monitor *monitor;
	struct server *server;
	struct gate *gate;
};
