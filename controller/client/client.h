#pragma once
/*
 * The agent as typed C calls. protoc-c's generated stub is the client:
 *
 *	struct rpc rpc = rpc_to(client, &berth__node__v1__units__descriptor, by, err);
 *
 *	berth__node__v1__units__start(&rpc.base, &req, print_unit, ctx);
 *	return rpc.result;
 *
 * The closure runs once, before the stub returns, and only when the call succeeded; what it gets is
 * freed when it returns. On failure rpc.result is -1 and '*err' is filled, node and call id too.
 *
 * Blocking, one call at a time per client; different clients may be used by different threads.
 * REQ's resend is off for good: after a lost connection the call is asked again by its own id, until
 * the deadline, and the agent makes sure that its side effect happens once (DESIGN.md D4b).
 */
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

struct bridge;
struct client;

/* 'socket_path': the agent's public socket as this host sees it, shorter than sun_path (ERR_
 * INVALID_ARGUMENT). 'node' is for error messages. Both are copied. No I/O. */
int client_open(const char *socket_path, const char *node, struct client **ret_client,
		struct err *err);
/* The same through a bridge, which is the client's from here on, also on failure. */
int client_open_bridge(struct bridge *bridge, const char *node, struct client **ret_client,
		       struct err *err);
/* One more way to the same agent, for calls beside those of 'client', from any thread. It borrows what
 * 'client' has and is closed before it. */
int client_open_beside(const struct client *client, struct client **ret_client, struct err *err);
void client_close(struct client *client);
DEFINE_CLEANUP(client, struct client *, client_close)

/* The cluster that the node is to be of; an agent of another one refuses (ERR_FAILED_PRECONDITION, reason
 * WRONG_CLUSTER). Copied; "" or not called: any. */
int client_set_cluster(struct client *client, const char *cluster, struct err *err);

/* Whether calls wait, up to their deadline, for an agent that is not there yet (a node that boots).
 * Default: no; then a socket that is absent or refuses is ERR_UNAVAILABLE at once, reason
 * AGENT_NOT_ANSWERING. */
void client_set_patient(struct client *client, bool patient);

/* How it reaches the agent: "ipc", "tls", "relay". Static. With other ways this is settled by the first call
 * that is answered. */
const char *client_channel_name(const struct client *client);

/* Other ways to the same agent. They are tried in turn while no connection has been made on the way so far:
 *
 *	- at once when nobody is there: no socket, or one that refuses;
 *	- after a second when somebody accepts and sends no SP header (a socket on the file share of another
 *	  kernel, an agent that hangs); five seconds for an engine or a port that does not answer;
 *	- for a patient client after ten seconds in either case: a node that boots has no agent yet.
 *
 * An agent sends the header before it looks at any call, so one that is slow with calls is not left; nothing
 * has been asked on a way that is left. Where no other way leads anywhere, the first one is used as if there
 * were no other, and the error is its error. A client that has been connected once stays with that way.
 *
 * 'open' makes the bridge of the n-th of them, counted from 0, the caller's; false: there is no n-th. '*ret_bridge'
 * NULL: that one cannot be opened. Called in a call of this client, in its thread. */
typedef bool client_way_fn(void *arg, unsigned n, struct bridge **ret_bridge);
void client_set_ways(struct client *client, client_way_fn *open, void *arg);

struct rpc {
	ProtobufCService base; /* for the generated stub */
	struct client *client;
	struct deadline by;
	struct err *err;
	int result;
};

/* Prepares calls of one service. All pointers are borrowed while 'rpc' is used. */
struct rpc rpc_to(struct client *client, const ProtobufCServiceDescriptor *service,
		  struct deadline by, struct err *err);
