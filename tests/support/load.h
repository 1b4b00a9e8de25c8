#pragma once
/* An agent with its hands full, by any channel. What fails fails the test. */
#include "shared/base/err.h"
#include "tests/support/agent_process.h"

#include <stdint.h>

struct client;
struct load;

#define LOAD_LONG    64 /* operations that do not end */
#define LOAD_PARKED  1000
#define LOAD_CLIENTS 256
#define LOAD_CALLS   20 /* of each client */

/* Microseconds. */
struct load_times {
	int64_t p50, p99, worst;
};

/* Sorts 'us'. */
struct load_times load_times_of(int64_t *us, size_t count);

/* As many long operations as the agent takes and a thousand reads that wait for output, all under way when
 * this returns, by 'socket', the agent's own or a bridge's. Its units are the fakes. */
struct load *load_begin(const char *socket);
/* More and more reads that wait, until one is refused with ERR_RESOURCE_EXHAUSTED. */
void load_read_until_refused(struct load *load);
/* They have been under way all the time: none of them was answered. Ends them as far as they end, and the
 * reads are told that their sessions are over. */
void load_end(struct load *load);

/* One more session that says nothing; the code of the answer. It ends when nobody asks for it. */
enum err_code load_open_session(int fd);

/* A call that nobody holds up, again and again: Health.Check on a connection of its own. */
struct load_times load_check_health(const char *socket, size_t count);

/* The same as a probe asks: /healthz of a front on this machine's loopback, each time by a new connection. */
struct load_times load_check_healthz(int port, size_t count);

/* So many clients, a thread and a connection each, all connected at once; each makes LOAD_CALLS rounds of
 * Health.Check and Units.Status, of which none may fail. 'open' is called in the client's thread. */
struct load_times load_clients(const struct agent_process *agent, struct client *(*open)(void *arg),
			       void *arg);
