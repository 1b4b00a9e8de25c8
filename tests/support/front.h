#pragma once
/*
 * A real agent with its front, as on a node: the front runs as another user (when the test is root) on
 * sockets that the test hands it as systemd would. What fails here fails the test.
 */
#include "tests/support/agent_process.h"

#include <stdint.h>

struct bridge;

struct front_rig {
	struct agent_process agent;
	char dir[40];
	char gate_dir[64]; /* the agent's sockets for the front */
	char state_dir[64];
	char keys_dir[96]; /* the host's certificates */
	char run_dir[64];
	char tls_dir[80]; /* what the front reads */
	char log[64];
	const char *user;
	const char *const *args; /* more words for the front; may be NULL */
	unsigned files;          /* that the front may open; 0: as many as we */
	int tls_fd, http_fd;     /* listening; they outlive a front */
	int tls_port, http_port;
	pid_t pid; /* of the front; 0: it does not run */
};

/* An agent that answers, certificates of cluster "c1" for node "n1", and a front. */
void front_rig_start(struct front_rig *rig, const char *const *args);
/* The same with more words for the agent; both lists may be NULL. */
void front_rig_start_with(struct front_rig *rig, const char *const *args,
			  const char *const *agent_args);
/* Kills what runs and removes everything; fails the test if a sanitizer has spoken. */
void front_rig_stop(struct front_rig *rig);

void front_rig_spawn(struct front_rig *rig);
void front_rig_kill(struct front_rig *rig);
/* Until the front ends by itself; its exit code, or -1 when it does not in time. */
int front_rig_wait_exit(struct front_rig *rig, int timeout_ms);

/* The directory of the host's own certificates. */
const char *front_rig_keys(const struct front_rig *rig);
/* Lets the front's user read what is in tls_dir, after it was written. */
void front_rig_share_keys(const struct front_rig *rig);
/* A bridge to the agent by TLS, with the certificates in 'keys' (NULL: the good ones). */
struct bridge *front_rig_bridge(const struct front_rig *rig, const char *keys, const char *role);
/* Connections that the agent has accepted at all its doors, as Health.Metrics tells; asking is not one
 * when 'client' is connected. */
struct client;
uint64_t front_rig_accepted(struct client *client);

/* Path of the front under test. */
const char *front_binary(void);
