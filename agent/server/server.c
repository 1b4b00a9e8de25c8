#include "agent/server/server.h"

#include "agent/agent.h"
#include "agent/server/call.h"
#include "agent/server/record.h"
#include "agent/server/replay.h"
#include "agent/server/worker.h"
#include "agent/service/metrics.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <utlist.h>

#define LOCK_WAIT_MS 2000
/* The timers of the server may be this late. */
#define BACKUP_ACCURACY_US 10000
#define REPLAY_ACCURACY_US (10 * 1000 * 1000)

/* How long server_close() waits for answers to leave. */
#define DRAIN_MS 1000

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

#define ROLE_COUNT (ROLE_ADMIN + 1)

/* Where the callers of one role come in. */
struct door {
	struct server *server;
	enum method_role role;
	char *private_path;
	struct workers *workers;
	struct limits limits;
};

struct server {
	struct agent *agent;
	struct door doors[ROLE_COUNT];
	int lock_fd; /* held while we serve: one agent a private directory */
	struct replay *replay;
	struct recorder *recorder;
	struct call *calls; /* not yet answered */
	size_t in_flight;
	bool stopping;           /* what is answered now is not how the calls ended */
	sd_event_source *backup; /* fires when a handler is late */
	sd_event_source *forget; /* drops old replies */
};

/* --- answers -------------------------------------------------------------------------------------- */

/* The tag of Reply.payload: the field's number and "length-delimited", as the wire has it. */
#define PAYLOAD_TAG (3 << 3 | 2)

static size_t put_varint(uint8_t *to, size_t value)
{
	size_t len = 0;

	for (; value >= 0x80; value >>= 7)
		to[len++] = (uint8_t)(value | 0x80);
	to[len++] = (uint8_t)value;
	return len;
}

/* The payload comes last, packed in its place. NULL: no memory. */
static struct answer *pack_reply(const struct server *server, const uint8_t *id, size_t id_len,
				 const ProtobufCMessage *msg, const struct err *err,
				 size_t *ret_len)
{
	Berth__Node__V1__Reply reply = BERTH__NODE__V1__REPLY__INIT;
	Berth__Node__V1__Status status = BERTH__NODE__V1__STATUS__INIT;
	size_t head, body, prefix_len = 0;
	uint8_t prefix[1 + 10], *bytes;
	struct answer *answer;

	reply.call_id = (ProtobufCBinaryData){ id_len, (uint8_t *)id };
	reply.protocol = WIRE_PROTOCOL;
	reply.status = &status;
	if (err) {
		status_from_err(err, &status);
		reply.clock_ms = (uint64_t)replay_clock_ms(server->replay);
	}
	head = berth__node__v1__reply__get_packed_size(&reply);
	body = err ? 0 : protobuf_c_message_get_packed_size(msg);
	if (body > 0) {
		prefix[0] = PAYLOAD_TAG;
		prefix_len = 1 + put_varint(prefix + 1, body);
	}
	*ret_len = head + prefix_len + body;
	answer = *ret_len <= WIRE_MAX_BYTES || err ? answer_new(*ret_len) : NULL;
	if (!answer)
		return NULL;
	bytes = answer_bytes(answer);
	berth__node__v1__reply__pack(&reply, bytes);
	memcpy(bytes + head, prefix, prefix_len);
	if (body > 0)
		protobuf_c_message_pack(msg, bytes + head + prefix_len);
	return answer;
}

/* The reply, or that of the error that there cannot be one; '*err' then points to 'spare'. NULL when
 * there is no memory even for that. */
static struct answer *make_reply(const struct server *server, const uint8_t *id, size_t id_len,
				 const ProtobufCMessage *msg, const struct err **err,
				 struct err *spare)
{
	size_t len;
	struct answer *answer = pack_reply(server, id, id_len, msg, *err, &len);

	if (answer)
		return answer;
	if (len > WIRE_MAX_BYTES)
		err_set(spare, ERR_RESOURCE_EXHAUSTED, 0,
			"the reply of %zu bytes is over the limit of %d", len, WIRE_MAX_BYTES);
	else
		err_oom(spare);
	*err = spare;
	return pack_reply(server, id, id_len, NULL, spare, &len);
}

static void refuse(const struct server *server, struct worker *w, const uint8_t *id, size_t id_len,
		   const struct err *err)
{
	struct err spare;

	worker_send_answer(w, make_reply(server, id, id_len, NULL, &err, &spare));
}

/* All who wait get it; only the last one needs no copy. Takes over 'answer'. */
static void send_all(struct worker *waiters, struct answer *answer)
{
	struct worker *w, *next;

	for (w = waiters; w; w = next) {
		next = worker_next(w);
		if (next && answer)
			worker_send(w, answer_bytes(answer), answer_len(answer));
		else
			worker_send_answer(w, answer);
	}
	if (!waiters)
		answer_free(answer);
}

static void forget_arm(struct server *server)
{
	int64_t left_ms = replay_expire(server->replay);

	if (left_ms < 0) {
		sd_event_source_set_enabled(server->forget, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time_relative(server->forget, (uint64_t)left_ms * 1000);
	sd_event_source_set_enabled(server->forget, SD_EVENT_ONESHOT);
}

static int on_forget(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	forget_arm(arg);
	return 0;
}

/* call_answer_fn: the call's callers get their answer, which for a mutation is remembered. */
static void on_answer(void *arg, struct call *call, const ProtobufCMessage *msg,
		      const struct err *err)
{
	struct server *server = arg;
	struct err spare;
	struct answer *answer = make_reply(server, call->id, sizeof(call->id), msg, &err, &spare);
	bool first = replay_count(server->replay) == 0;

	bool keep = call->target.effect != METHOD_READS && !server->stopping;

	DL_DELETE(server->calls, call);
	server->in_flight--;
	limits_leave(call->limits, call->class);
	keep &= answer != NULL;
	replay_finish(server->replay, call->id, keep ? answer_bytes(answer) : NULL,
		      keep ? answer_len(answer) : 0);
	if (first && replay_count(server->replay) > 0)
		forget_arm(server);
	send_all(call->waiters, answer);
	call->waiters = NULL;
	recorder_add(server->recorder, call, err);
	metrics_count(server->agent->metrics, call->target.service->descriptor->name,
		      call->target.method->name, err ? err->code : ERR_OK,
		      clock_now_us() - call->started_us);
}

/* --- late handlers -------------------------------------------------------------------------------- */

static int64_t backup_ms(const struct call *call)
{
	return call->by.at_ms + CALL_BACKUP_MS;
}

/* Arms the timer for a call that is late from 'first' on, unless it fires before. A call that ends does
 * not move it: it fires once in vain instead. */
static void backup_arm(struct server *server, int64_t first)
{
	uint64_t armed_us;
	int on;

	sd_event_source_get_enabled(server->backup, &on);
	sd_event_source_get_time(server->backup, &armed_us);
	if (first == INT64_MAX || (on && armed_us <= (uint64_t)first * 1000))
		return;
	sd_event_source_set_time(server->backup, (uint64_t)first * 1000);
	sd_event_source_set_enabled(server->backup, SD_EVENT_ONESHOT);
}

static int on_backup(sd_event_source *source, uint64_t usec, void *arg)
{
	int64_t now = clock_now_ms(), first = INT64_MAX;
	struct server *server = arg;
	struct call *call, *next;
	struct err err;

	(void)source;
	(void)usec;
	DL_FOREACH_SAFE(server->calls, call, next)
	{
		if (backup_ms(call) > now) {
			first = backup_ms(call) < first ? backup_ms(call) : first;
			continue;
		}
		err_set(&err, ERR_DEADLINE_EXCEEDED, 0,
			"%s did not end in time; it may still go on", call->target.method->name);
		call_give_up(call, &err);
	}
	backup_arm(server, first);
	return 0;
}

/* --- requests ------------------------------------------------------------------------------------- */

static uint64_t digest_of(const Berth__Node__V1__Request *req)
{
	uint64_t digest = REPLAY_DIGEST_START;

	digest = replay_digest(digest, req->service, strlen(req->service) + 1);
	digest = replay_digest(digest, req->method, strlen(req->method) + 1);
	return replay_digest(digest, req->payload.data, req->payload.len);
}

static int check_envelope(const Berth__Node__V1__Request *req, struct err *err)
{
	if (req->call_id.len != WIRE_CALL_ID_BYTES)
		return err_set(err, ERR_INVALID_ARGUMENT, 0, "a call id has %d bytes, not %zu",
			       WIRE_CALL_ID_BYTES, req->call_id.len);
	return wire_check_peer(WIRE_CONTROLLER, req->protocol, WIRE_PROTOCOL_LEAST, err);
}

static int check_cluster(const struct agent *agent, const char *cluster, struct err *err)
{
	if (!*cluster || !*agent->config.cluster || strcmp(cluster, agent->config.cluster) == 0)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, 0,
		"this node belongs to cluster '%s', the call is for one of '%.80s'",
		agent->config.cluster, cluster);
	return err_explain(err, "WRONG_CLUSTER",
			   "see with 'berth get nodes' what has become of the node");
}

/* A call of 'target' that does not run yet, but is counted. */
static int make_call(struct door *door, const struct dispatch_target *target,
		     const Berth__Node__V1__Request *req, struct call **ret_call, struct err *err)
{
	enum limit_class class = limits_class(req->service, target->effect);
	ProtobufCMessage *msg;

	if (wire_unpack_request(target->method->input, req->payload.data, req->payload.len, &msg,
				err) < 0)
		return err_wrap(err, "%s", target->method->name);
	if (limits_enter(&door->limits, class, err) < 0) {
		protobuf_c_message_free_unpacked(msg, NULL);
		return -1;
	}
	if (call_new(door->server->agent, target, door->role, req->call_id.data, req->timeout_ms,
		     msg, ret_call, err) < 0) {
		limits_leave(&door->limits, class);
		return -1;
	}
	(*ret_call)->limits = &door->limits;
	(*ret_call)->class = class;
	return 0;
}

static int check_fresh(const struct server *server, const struct dispatch_target *target,
		       const Berth__Node__V1__Request *req, struct err *err)
{
	const struct replay_time time = { (int64_t)req->made_ms, (int64_t)req->until_ms };

	if (target->effect == METHOD_READS)
		return 0;
	return replay_check_fresh(server->replay, &time, err);
}

static int start_call(struct door *door, struct worker *w, const Berth__Node__V1__Request *req,
		      uint64_t digest, struct err *err)
{
	struct server *server = door->server;
	struct dispatch_target target;
	struct call *call;

	if (dispatch_find(req->service, req->method, req->protocol, &target, err) < 0 ||
	    method_check_role(req->service, req->method, door->role, err) < 0 ||
	    check_fresh(server, &target, req, err) < 0 ||
	    make_call(door, &target, req, &call, err) < 0)
		return -1;
	call->answer = on_answer;
	call->answer_arg = server;
	worker_wait(w, &call->waiters);
	call->recorder = server->recorder;
	DL_APPEND(server->calls, call);
	server->in_flight++;
	if (replay_begin(server->replay, call->id, digest, target.effect, (int64_t)req->made_ms,
			 call, err) < 0)
		log_debug("call will not be joined: %s", err->msg);
	backup_arm(server, backup_ms(call));
	call_invoke(call);
	return 0;
}

static int outcome_unknown(const char *method, struct err *err)
{
	err_set(err, ERR_ABORTED, 0,
		"the agent was restarted during %.80s; whether it was done is unknown", method);
	return err_explain(err, "OUTCOME_UNKNOWN",
			   "look at the node's state before you repeat the command");
}

/* A request that was seen before joins the running call or gets the same reply. */
static int serve(struct door *door, struct worker *w, const Berth__Node__V1__Request *req,
		 struct err *err)
{
	struct server *server = door->server;
	uint64_t digest = digest_of(req);
	struct replay_found found;

	if (!replay_find(server->replay, req->call_id.data, digest, &found, err))
		return start_call(door, w, req, digest, err);
	if (found.call)
		worker_wait(w, &found.call->waiters);
	else if (found.reply)
		worker_send(w, found.reply, found.reply_len);
	else
		return found.lost ? outcome_unknown(req->method, err) : -1;
	return 0;
}

/* worker_request_fn */
static void on_request(void *arg, struct worker *w, const uint8_t *bytes, size_t len, bool busy)
{
	const ProtobufCMessageDescriptor *desc = &berth__node__v1__request__descriptor;
	struct door *door = arg;
	struct server *server = door->server;
	Berth__Node__V1__Request *req;
	ProtobufCMessage *msg;
	struct err err;

	if (wire_unpack(desc, bytes, len, &msg, &err) < 0) {
		refuse(server, w, NULL, 0, &err);
		return;
	}
	req = (Berth__Node__V1__Request *)msg;
	if (busy) {
		err_set(&err, ERR_RESOURCE_EXHAUSTED, 0, "the agent is busy with %zu calls",
			server->in_flight);
		err_explain(&err, "AGENT_BUSY", "try again in a moment");
		refuse(server, w, req->call_id.data, req->call_id.len, &err);
	} else if (check_envelope(req, &err) < 0 ||
		   check_cluster(server->agent, req->cluster, &err) < 0 ||
		   serve(door, w, req, &err) < 0) {
		refuse(server, w, req->call_id.data, req->call_id.len, &err);
	}
	protobuf_c_message_free_unpacked(msg, NULL);
}

/* --- life ----------------------------------------------------------------------------------------- */

/* A second agent on the same directory would make nng probe the first one's socket by connect and
 * close, which ends an nng 1.5.2 listener (security-faults.md P1): so this lock comes first. A child
 * of an agent that was killed keeps the lock until it executes its program: it is waited for a little. */
static int lock_private_dir(struct server *server, const char *dir, struct err *err)
{
	cleanup_free char *lock = text_format("%s/lock", dir);
	struct deadline by = deadline_in_ms(LOCK_WAIT_MS);

	if (!lock)
		return err_oom(err);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "make directory '%s'", dir);
	server->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (server->lock_fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, errno, "open '%s'", lock);
	while (flock(server->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (deadline_is_over(by))
			return err_set(err, ERR_FAILED_PRECONDITION, 0,
				       "another agent serves from '%s'; end it first", dir);
		poll(NULL, 0, 5);
	}
	return 0;
}

/* An agent whose disk is read-only serves all the same: that is how one finds out. */
static int open_replay(struct server *server, const char *state_dir, struct err *err)
{
	cleanup_free char *path = text_format("%s/calls", state_dir);

	if (!path)
		return err_oom(err);
	if (mkdir(state_dir, 0700) < 0 && errno != EEXIST)
		log_debug("make directory '%s': %m", state_dir);
	if (replay_new(&replay_limits_default, path, &server->replay, err) == 0)
		return 0;
	log_note("calls are not remembered across a restart: %s", err->msg);
	return replay_new(&replay_limits_default, NULL, &server->replay, err);
}

static int open_door(struct server *server, enum method_role role, struct err *err)
{
	struct door *door = &server->doors[role];

	door->server = server;
	door->role = role;
	door->private_path = text_format("%s/%s.sock", server->agent->config.private_dir,
					 method_role_name(role));
	if (!door->private_path)
		return err_oom(err);
	unlink(door->private_path);
	return workers_open(door->private_path, server->agent->loop, on_request, door,
			    &door->workers, err);
}

static int add_timers(struct server *server, struct err *err)
{
	sd_event *loop = server->agent->loop;
	int rc;

	rc = sd_event_add_time(loop, &server->backup, CLOCK_MONOTONIC, 0, BACKUP_ACCURACY_US,
			       on_backup, server);
	if (rc >= 0)
		rc = sd_event_add_time(loop, &server->forget, CLOCK_MONOTONIC, 0,
				       REPLAY_ACCURACY_US, on_forget, server);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "server: add timers");
	sd_event_source_set_enabled(server->backup, SD_EVENT_OFF);
	sd_event_source_set_enabled(server->forget, SD_EVENT_OFF);
	return 0;
}

DEFINE_CLEANUP(server, struct server *, server_close)

int server_open(struct agent *agent, struct server **ret_server, struct err *err)
{
	cleanup_with(server) struct server *server = calloc(1, sizeof(*server));

	if (!server)
		return err_oom(err);
	server->agent = agent;
	server->lock_fd = -1;
	if (lock_private_dir(server, agent->config.private_dir, err) < 0 ||
	    open_replay(server, agent->config.state_dir, err) < 0 ||
	    recorder_new(JOURNAL_SOCKET, &server->recorder, err) < 0 ||
	    add_timers(server, err) < 0 || open_door(server, ROLE_ADMIN, err) < 0 ||
	    open_door(server, ROLE_READ, err) < 0)
		return -1;
	forget_arm(server); /* the journal may have told of some */
	*ret_server = TAKE(server);
	return 0;
}

static void answer_all(struct server *server)
{
	struct call *call, *next;
	struct err err;

	server->stopping = true;
	err_set(&err, ERR_UNAVAILABLE, 0, "the agent is stopping");
	err_explain(&err, "AGENT_STOPPING", NULL);
	DL_FOREACH_SAFE(server->calls, call, next)
	{
		call_give_up(call, &err);
	}
}

void server_close(struct server *server)
{
	if (!server)
		return;
	answer_all(server);
	for (size_t i = 0; i < ROLE_COUNT; i++) {
		if (server->doors[i].workers)
			workers_close(server->doors[i].workers, deadline_in_ms(DRAIN_MS));
		free(server->doors[i].private_path);
	}
	sd_event_source_disable_unref(server->backup);
	sd_event_source_disable_unref(server->forget);
	replay_free(server->replay);
	recorder_free(server->recorder);
	if (server->lock_fd >= 0)
		close(server->lock_fd);
	free(server);
}

const char *server_private_path(const struct server *server, enum method_role role)
{
	return server->doors[role].private_path;
}

size_t server_in_flight(const struct server *server)
{
	return server->in_flight;
}

unsigned server_pipes(const struct server *server, enum method_role role)
{
	return workers_pipes(server->doors[role].workers);
}
