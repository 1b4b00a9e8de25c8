#include "controller/client/client.h"

#include "controller/client/bridge.h"
#include "controller/client/channel.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/log.h"
#include "shared/wire/methods.h"
#include "shared/wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#ifdef __linux__
#include <sys/random.h>
#endif

/* The agent's own deadline ends this much earlier than ours, so that what it has to say about it
 * (which part is not ready, say) still arrives. At most an eighth of the time. */
#define HEADROOM_MS 50

/* How long an agent that said it was stopping has to come back (an update: well under a second). */
#define NEXT_LIFE_MS 5000

/* Pause before a lost call is asked again: nng is reconnecting meanwhile. */
#define ASK_AGAIN_MS 5

/* How long a bridge that has lost its connection may take for a new one, and a call in any case: with the time
 * in which silence is noticed it makes fifteen seconds (F22). */
#define RECONNECT_MS 5000
#define LOST_MS      14500

/* How long a way that has another after it may be silent: a socket, a bridge, either to a patient client. */
#define SILENT_SOCKET_MS  1000
#define SILENT_BRIDGE_MS  5000
#define SILENT_PATIENT_MS 10000

/* How far the search for a way has come. */
enum search {
	SEARCH_FIRST,  /* the first one may be left */
	SEARCH_OTHERS, /* so may this one; what was first is kept */
	SEARCH_OVER,   /* there is no other, or none of use */
};

struct client {
	char *path;
	char node[64];
	char *cluster; /* NULL: not told */
	bool patient;
	int64_t clock_ahead_ms; /* the agent's clock before ours, as far as it has told */
	struct bridge *bridge;  /* NULL: the path is the agent's own socket */
	bool owns_bridge;
	struct channel *channel; /* NULL until the first call: nng costs 13 threads */

	client_way_fn *open_way; /* NULL: there are no others */
	void *ways_arg;
	unsigned ways_tried;
	enum search search;
	char *first_path; /* while SEARCH_OTHERS */
	struct bridge *first_bridge;
};

/* One call under way. */
struct ask {
	const struct rpc *rpc;
	const ProtobufCMethodDescriptor *method;
	Berth__Node__V1__Request req;
	uint8_t id[WIRE_CALL_ID_BYTES];
	int64_t began_ms;
	struct deadline lost_by; /* then a lost connection is lost for good */
	bool lost;               /* it has been asked at least once, and the connection was lost */
	bool blamed;             /* rpc->err tells of a try that was not the last */
	int64_t agent_clock_ms;  /* as the last refusal told; 0: it did not */
};

int client_open(const char *socket_path, const char *node, struct client **ret_client,
		struct err *err)
{
	cleanup_with(client) struct client *client = NULL;
	size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (strlen(socket_path) == 0 || strlen(socket_path) > max)
		return err_set(err, ERR_INVALID_ARGUMENT, 0,
			       "socket path '%s' must have 1 to %zu bytes", socket_path, max);
	client = calloc(1, sizeof(*client));
	if (!client)
		return err_oom(err);
	snprintf(client->node, sizeof(client->node), "%s", node);
	client->path = strdup(socket_path);
	if (!client->path)
		return err_oom(err);
	*ret_client = TAKE(client);
	return 0;
}

int client_open_bridge(struct bridge *bridge, const char *node, struct client **ret_client,
		       struct err *err)
{
	struct client *client;

	if (client_open(bridge_path(bridge), node, &client, err) < 0) {
		bridge_close(bridge);
		return -1;
	}
	client->bridge = bridge;
	client->owns_bridge = true;
	*ret_client = client;
	return 0;
}

int client_open_beside(const struct client *client, struct client **ret_client, struct err *err)
{
	struct client *beside;

	if (client_open(client->path, client->node, &beside, err) < 0)
		return -1;
	beside->bridge = client->bridge;
	beside->clock_ahead_ms = client->clock_ahead_ms;
	if (client->cluster && client_set_cluster(beside, client->cluster, err) < 0) {
		client_close(beside);
		return -1;
	}
	*ret_client = beside;
	return 0;
}

const char *client_channel_name(const struct client *client)
{
	return client->bridge ? bridge_name(client->bridge) : "ipc";
}

void client_close(struct client *client)
{
	if (!client)
		return;
	channel_close(client->channel);
	if (client->owns_bridge) {
		bridge_close(client->bridge);
		bridge_close(client->first_bridge);
	}
	free(client->first_path);
	free(client->path);
	free(client->cluster);
	free(client);
}

int client_set_cluster(struct client *client, const char *cluster, struct err *err)
{
	char *copy = strdup(cluster);

	if (!copy)
		return err_oom(err);
	free(client->cluster);
	client->cluster = copy;
	return 0;
}

void client_set_patient(struct client *client, bool patient)
{
	client->patient = patient;
}

/* --- ways ----------------------------------------------------------------------------------------- */

void client_set_ways(struct client *client, client_way_fn *open, void *arg)
{
	client->open_way = open;
	client->ways_arg = arg;
	client->owns_bridge = true;
	client->search = SEARCH_FIRST;
}

static struct channel_patience patience_of(const struct ask *ask)
{
	const struct client *client = ask->rpc->client;
	int64_t silent_ms = client->bridge ? SILENT_BRIDGE_MS : SILENT_SOCKET_MS;
	bool searches = client->open_way && client->search != SEARCH_OVER;

	if (client->patient)
		silent_ms = SILENT_PATIENT_MS;
	return (struct channel_patience){
		.absent = client->patient || ask->lost,
		.leave = searches ? deadline_in_ms(silent_ms) : DEADLINE_NEVER,
		.lost = ask->lost ? ask->lost_by : DEADLINE_NEVER,
	};
}

/* Puts the way in use aside when it is the first one; any other has been of no use. */
static void leave_way(struct client *client)
{
	channel_close(client->channel);
	client->channel = NULL;
	if (client->search == SEARCH_FIRST) {
		client->first_path = TAKE(client->path);
		client->first_bridge = TAKE(client->bridge);
		client->search = SEARCH_OTHERS;
		return;
	}
	free(TAKE(client->path));
	bridge_close(TAKE(client->bridge));
}

/* Opens the next one that can be. */
static bool take_next_way(struct client *client)
{
	struct bridge *bridge = NULL;

	while (client->open_way(client->ways_arg, client->ways_tried++, &bridge)) {
		client->path = bridge ? strdup(bridge_path(bridge)) : NULL;
		if (client->path) {
			client->bridge = bridge;
			return true;
		}
		bridge_close(TAKE(bridge));
	}
	return false;
}

static void back_to_first(struct client *client)
{
	client->path = TAKE(client->first_path);
	client->bridge = TAKE(client->first_bridge);
	client->search = SEARCH_OVER;
}

/* Nobody is there on the way so far, as 'err' says. True: there is one to ask again on. */
static bool go_on(struct client *client, struct err *err)
{
	if (!client->open_way || client->search == SEARCH_OVER || err->code != ERR_UNAVAILABLE)
		return false;
	log_debug("node '%s': not by %s: %s", client->node, client_channel_name(client), err->msg);
	leave_way(client);
	if (!take_next_way(client))
		back_to_first(client);
	log_debug("node '%s': now by %s%s", client->node, client_channel_name(client),
		  client->search == SEARCH_OVER ? ", for there is no other way" : "");
	return channel_open(client->path, client->bridge, &client->channel, err) == 0;
}

static int random_bytes(uint8_t *bytes, size_t len, struct err *err)
{
#ifdef __linux__
	while (len > 0) {
		ssize_t n = getrandom(bytes, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_INTERNAL, errno, "getrandom");
		bytes += n;
		len -= (size_t)n;
	}
#else
	arc4random_buf(bytes, len);
	(void)err;
#endif
	return 0;
}

static uint32_t timeout_ms(struct deadline by)
{
	int64_t left = deadline_left_ms(by);
	int64_t headroom = left / 8 < HEADROOM_MS ? left / 8 : HEADROOM_MS;

	if (left > UINT32_MAX) /* the agent has a limit of its own */
		return UINT32_MAX;
	return left > headroom ? (uint32_t)(left - headroom) : 1; /* 0 would mean its default */
}

static void name_the_call(const struct ask *ask)
{
	struct err *err = ask->rpc->err;

	snprintf(err->node, sizeof(err->node), "%s", ask->rpc->client->node);
	for (size_t i = 0; i < sizeof(ask->id); i++)
		snprintf(err->call_id + 2 * i, 3, "%02x", ask->id[i]);
}

/* The deadline has come. What the caller needs to know is whether it may have happened. */
static int out_of_time(const struct ask *ask, bool sent)
{
	bool reads = method_reads(ask->req.service, ask->req.method);
	const char *name = ask->method->name;
	struct err *err = ask->rpc->err;

	if (!ask->lost && !sent) {
		err_set(err, ERR_DEADLINE_EXCEEDED, 0,
			"no connection to the agent in time; nothing was asked of it");
		return err_explain(err, "AGENT_NOT_ANSWERING", NULL);
	}
	if (reads)
		return err_set(err, ERR_DEADLINE_EXCEEDED, 0, "no answer to %s in time", name);
	if (ask->lost)
		err_set(err, ERR_DEADLINE_EXCEEDED, 0,
			"the connection to the agent was lost; whether %s was done is unknown",
			name);
	else
		err_set(err, ERR_DEADLINE_EXCEEDED, 0,
			"no answer to %s in time; it may still be done", name);
	return err_explain(err, "OUTCOME_UNKNOWN",
			   "look at the node's state before you repeat the command");
}

/* When the call was made, by the agent's clock. */
static void stamp(struct ask *ask)
{
	int64_t left_ms = deadline_left_ms(ask->rpc->by);
	int64_t now_ms = clock_wall_ns() / 1000000 + ask->rpc->client->clock_ahead_ms;

	ask->req.made_ms = (uint64_t)now_ms;
	ask->req.until_ms = left_ms < INT64_MAX - now_ms ? (uint64_t)(now_ms + left_ms) : 0;
}

/* The agent takes the call for a late one. True: it is not, for the clocks differ or it has been on its way
 * for long, and it is asked again by the agent's clock. One that may have been done is not. */
static bool stamp_anew(struct ask *ask)
{
	struct client *client = ask->rpc->client;
	bool once = method_effect(ask->req.service, ask->req.method) == METHOD_ONCE;
	bool early = ask->agent_clock_ms < (int64_t)ask->req.made_ms; /* refused each time */

	if (strcmp(ask->rpc->err->reason, "CALL_STALE") != 0 || !ask->agent_clock_ms ||
	    deadline_is_over(ask->rpc->by))
		return false;
	if (ask->lost && once && !early) {
		err_set(ask->rpc->err, ERR_ABORTED, 0,
			"the connection to the agent was lost; whether %s was done is unknown",
			ask->method->name);
		err_explain(ask->rpc->err, "OUTCOME_UNKNOWN",
			    "look at the node's state before you repeat the command");
		return false;
	}
	client->clock_ahead_ms = ask->agent_clock_ms - clock_wall_ns() / 1000000;
	stamp(ask);
	return true;
}

static int read_reply(struct ask *ask, const Berth__Node__V1__Reply *reply,
		      ProtobufCClosure closure, void *closure_data)
{
	struct err *err = ask->rpc->err;
	ProtobufCMessage *msg;

	if (wire_check_peer(WIRE_AGENT, reply->protocol, WIRE_PROTOCOL_LEAST, err) < 0)
		return -1;
	ask->agent_clock_ms = (int64_t)reply->clock_ms;
	if (!reply->status || reply->status->code != BERTH__NODE__V1__CODE__OK)
		return status_to_err(reply->status, err);
	if (reply->call_id.len != sizeof(ask->id) ||
	    memcmp(reply->call_id.data, ask->id, sizeof(ask->id)) != 0)
		return err_set(err, ERR_DATA_LOSS, 0, "the agent answered a different call");
	if (wire_unpack(ask->method->output, reply->payload.data, reply->payload.len, &msg, err) <
	    0)
		return err_wrap(err, "the agent's answer to %s", ask->method->name);
	closure(msg, closure_data);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}

static int take_reply(struct ask *ask, const uint8_t *bytes, size_t len, ProtobufCClosure closure,
		      void *closure_data)
{
	ProtobufCMessage *reply;
	int rc;

	if (wire_unpack(&berth__node__v1__reply__descriptor, bytes, len, &reply, ask->rpc->err) < 0)
		return err_wrap(ask->rpc->err, "the agent's answer to %s", ask->method->name);
	rc = read_reply(ask, (Berth__Node__V1__Reply *)reply, closure, closure_data);
	protobuf_c_message_free_unpacked(reply, NULL);
	return rc;
}

/* Sends the request once, with the time that is left now. */
static enum channel_result ask_once(struct ask *ask, uint8_t **ret_bytes, size_t *ret_len)
{
	struct client *client = ask->rpc->client;
	struct err *err = ask->rpc->err;
	cleanup_free uint8_t *request = NULL;
	size_t len;

	ask->req.timeout_ms = timeout_ms(ask->rpc->by);
	len = berth__node__v1__request__get_packed_size(&ask->req);
	if (len > WIRE_MAX_BYTES) {
		err_set(err, ERR_INVALID_ARGUMENT, 0,
			"the request of %zu bytes is over the limit of %d", len, WIRE_MAX_BYTES);
		return CHANNEL_FAILED;
	}
	request = malloc(len);
	if (!request) {
		err_oom(err);
		return CHANNEL_FAILED;
	}
	berth__node__v1__request__pack(&ask->req, request);
	return channel_exchange(client->channel, request, len, ask->rpc->by, patience_of(ask),
				ret_bytes, ret_len, err);
}

static void pause_ms(long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static bool is_stopping(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE && strcmp(err->reason, "AGENT_STOPPING") == 0;
}

/* Until the agent answers again; false, with the error as it is, when it does not. */
static bool wait_next_life(const struct ask *ask)
{
	Berth__Node__V1__Request req = BERTH__NODE__V1__REQUEST__INIT;
	uint8_t id[WIRE_CALL_ID_BYTES], bytes[128];
	cleanup_free uint8_t *reply = NULL;
	enum channel_result result = CHANNEL_LOST;
	struct deadline by = deadline_min(ask->rpc->by, deadline_in_ms(NEXT_LIFE_MS));
	struct err err;
	size_t len;

	if (random_bytes(id, sizeof(id), &err) < 0)
		return false;
	req.call_id = (ProtobufCBinaryData){ sizeof(id), id };
	req.service = (char *)berth__node__v1__health__descriptor.name;
	req.method = (char *)"Check";
	req.protocol = WIRE_PROTOCOL;
	req.timeout_ms = NEXT_LIFE_MS;
	len = berth__node__v1__request__pack(&req, bytes);
	while (result == CHANNEL_LOST && !deadline_is_over(by)) {
		pause_ms(ASK_AGAIN_MS);
		result = channel_exchange(ask->rpc->client->channel, bytes, len, by,
					  (struct channel_patience){ true, DEADLINE_NEVER,
								     DEADLINE_NEVER },
					  &reply, &len, &err);
	}
	return result == CHANNEL_REPLY;
}

/* An agent on this host that was killed is back in a moment, and who is patient waits for a node. */
static void note_lost(struct ask *ask)
{
	const struct client *client = ask->rpc->client;
	struct deadline reconnect = deadline_in_ms(RECONNECT_MS);

	ask->lost = true;
	ask->lost_by = DEADLINE_NEVER;
	if (!client->bridge || client->patient)
		return;
	if (reconnect.at_ms < ask->began_ms + LOST_MS)
		reconnect.at_ms = ask->began_ms + LOST_MS;
	ask->lost_by = reconnect;
}

/* There was a connection, and there is no other to be had. */
static int lost_for_good(const struct ask *ask)
{
	const char *name = ask->method->name;
	struct err *err = ask->rpc->err;

	if (method_reads(ask->req.service, ask->req.method)) {
		err_wrap(err, "the connection to the agent was lost during %s", name);
		return err_explain(err, "AGENT_NOT_ANSWERING",
				   "Check that the node and its network are up, then try again.");
	}
	err_wrap(err, "the connection to the agent was lost; whether %s was done is unknown", name);
	return err_explain(err, "OUTCOME_UNKNOWN",
			   "Look at the node's state before you repeat the command.");
}

/* It has gone well in the end: there is no error. */
static int forgive(const struct ask *ask)
{
	if (ask->blamed)
		*ask->rpc->err = (struct err){ 0 };
	return 0;
}

/* By the same id until there is an answer: the agent sees to it that it is done once. */
static int ask_until(struct ask *ask, ProtobufCClosure closure, void *closure_data)
{
	for (;;) {
		cleanup_free uint8_t *bytes = NULL;
		size_t len;

		switch (ask_once(ask, &bytes, &len)) {
		case CHANNEL_REPLY:
			if (take_reply(ask, bytes, len, closure, closure_data) == 0)
				return forgive(ask);
			ask->blamed = true;
			if (stamp_anew(ask)) {
				pause_ms(ASK_AGAIN_MS);
				break;
			}
			if (!is_stopping(ask->rpc->err) || !wait_next_life(ask))
				return -1;
			note_lost(ask);
			break;
		case CHANNEL_LOST:
			note_lost(ask);
			if (deadline_is_over(ask->rpc->by))
				return out_of_time(ask, true);
			pause_ms(ASK_AGAIN_MS);
			break;
		case CHANNEL_TIMEOUT:
			return out_of_time(ask, true);
		case CHANNEL_UNSENT:
			return out_of_time(ask, false);
		case CHANNEL_ABSENT:
			if (ask->lost)
				return lost_for_good(ask);
			if (!go_on(ask->rpc->client, ask->rpc->err))
				return -1;
			ask->blamed = true;
			break;
		default:
			return -1;
		}
	}
}

static int call(struct ask *ask, const ProtobufCMessage *input, ProtobufCClosure closure,
		void *closure_data)
{
	struct client *client = ask->rpc->client;
	size_t len = protobuf_c_message_get_packed_size(input);
	cleanup_free uint8_t *payload = malloc(len ? len : 1);

	if (!payload)
		return err_oom(ask->rpc->err);
	protobuf_c_message_pack(input, payload);
	ask->req.payload = (ProtobufCBinaryData){ len, payload };
	if (random_bytes(ask->id, sizeof(ask->id), ask->rpc->err) < 0)
		return -1;
	stamp(ask);
	if (!client->channel &&
	    channel_open(client->path, client->bridge, &client->channel, ask->rpc->err) < 0)
		return -1;
	return ask_until(ask, closure, closure_data);
}

/* ProtobufCService.invoke: what the generated stubs call. */
static void invoke(ProtobufCService *service, unsigned method_index, const ProtobufCMessage *input,
		   ProtobufCClosure closure, void *closure_data)
{
	struct rpc *rpc = (struct rpc *)service;
	const ProtobufCMethodDescriptor *method = &service->descriptor->methods[method_index];
	struct ask ask = { .rpc = rpc, .method = method, .began_ms = clock_now_ms() };

	berth__node__v1__request__init(&ask.req);
	ask.req.call_id = (ProtobufCBinaryData){ sizeof(ask.id), ask.id };
	ask.req.service = (char *)service->descriptor->name;
	ask.req.method = (char *)method->name;
	ask.req.protocol = WIRE_PROTOCOL;
	if (rpc->client->cluster)
		ask.req.cluster = rpc->client->cluster;

	rpc->result = call(&ask, input, closure, closure_data);
	if (rpc->result < 0)
		name_the_call(&ask);
}

struct rpc rpc_to(struct client *client, const ProtobufCServiceDescriptor *service,
		  struct deadline by, struct err *err)
{
	return (struct rpc){
		.base = { .descriptor = service, .invoke = invoke },
		.client = client,
		.by = by,
		.err = err,
		.result = -1,
	};
}
