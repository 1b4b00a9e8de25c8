#pragma once
/*
 * A real agent for tests: `berthd serve` with fake backends in a directory of its own, started,
 * killed, started again. What fails here fails the test (cmocka's fail).
 */
#include "shared/base/deadline.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct client;

struct agent_process {
	pid_t pid;       /* 0: not running */
	char dir[64];    /* all of it lives here */
	char socket[96]; /* public */
	char private_dir[96];
	char state_dir[96];
	char runtime_dir[96]; /* the fake runtime's */
	char log[96];         /* stderr of all its lives */
};

/* Makes the directory and starts an agent that answers. */
void agent_process_start(struct agent_process *agent);
/* The same with more words for `serve` and variables "NAME=VALUE"; both lists may be NULL. */
void agent_process_start_with(struct agent_process *agent, const char *const *args,
			      const char *const *env);
/* Starts it again in the same directory, without waiting for an answer. */
void agent_process_respawn(struct agent_process *agent);
/* Until it answers Health.Check. */
void agent_process_wait_answer(struct agent_process *agent);
/* SIGKILL, and its end. */
void agent_process_kill(struct agent_process *agent);
/* SIGTERM, and its end, which must be 0; the directory stays. */
void agent_process_end(struct agent_process *agent);
/* SIGTERM; asserts that it exits with 0 within 3 s. Removes the directory. */
void agent_process_stop(struct agent_process *agent);
/* Kills it if it still runs and removes the directory; for teardown. */
void agent_process_discard(struct agent_process *agent);

/* Open descriptors, threads, resident and private bytes, voluntary context switches (all threads). */
size_t agent_process_fds(const struct agent_process *agent);
size_t agent_process_threads(const struct agent_process *agent);
size_t agent_process_resident(const struct agent_process *agent);
size_t agent_process_private(const struct agent_process *agent);
size_t agent_process_switches(const struct agent_process *agent);

/* Connections that have passed the gate and are open at nng's listener, ours and others'. */
size_t agent_process_connections(const struct agent_process *agent);
/* Until there are exactly 'count' of them. */
void agent_process_wait_connections(const struct agent_process *agent, size_t count);

/* A client of it; close with client_close(). */
struct client *agent_process_client(const struct agent_process *agent);

/* Path of the berthd under test: $BERTHD, or the one built beside this test program. */
const char *agent_process_binary(void);
