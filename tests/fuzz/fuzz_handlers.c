/*
 * What stands behind dispatch: every method of every service, by the table, called on the real rooms with
 * the fake backends. Calls run side by side, the loop turns in between, and in the end everything closes
 * as the agent does. Every call gets one answer; a reply is one that a client can read.
 *
 * Input: a byte for the node, then calls: the method, how it is called, the request, turns of the loop.
 * The request is grown from the input; with the method's top bit it is packed already, behind its length.
 *
 * What would leave the process is replaced at link time (tests/module.mk): programs, connections, cgroups,
 * the kernel's log and what pods want of the host's file system are looked at and not done.
 */
#include "agent/agent.h"
#include "agent/events/events.h"
#include "agent/pods/helper.h"
#include "agent/pods/pods.h"
#include "agent/pods/pods_impl.h"
#include "agent/runtime/runtime.h"
#include "agent/server/call.h"
#include "agent/service/metrics.h"
#include "agent/service/monitor.h"
#include "agent/service/services.h"
#include "agent/streams/child.h"
#include "agent/streams/forward.h"
#include "agent/streams/logs.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"
#include "tests/fuzz/fuzz.h"

#include "node/v1/streams.pb-c.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CALLS_MAX 12
#define TURNS_MAX 64

/* What the node has, what the fakes know, and what handlers look for. */
static const char *const words[] = {
	"web",   "default",   "main",     "c1",     "c2",           "s1",          "kubelet",
	"slow",  "broken",    "stubborn", "hang",   "haproxy",      "kube-system", "u1",
	"img:1", "missing",   "remote:1", "/",      "/etc/x",       "..",          "Always",
	"Never", "TCP",       "100m",     "1Gi",    "sh",           "-c",          "root",
	"other", "OnFailure", "v",        "Memory", "ClusterFirst", "IfNotPresent"
};

/* A pod that runs and one that does not, as the fake runtime writes them down. */
static const char effects[] = "run-sandbox u1 0 s1 1 web default 0 l:io.kubernetes.pod.uid=u1 "
			      "l:io.kubernetes.pod.name=web l:io.kubernetes.pod.namespace=default\n"
			      "create-container u1 main 0 c1 2 s1 img:1 l:io.kubernetes.pod.uid=u1 "
			      "l:io.kubernetes.pod.name=web l:io.kubernetes.pod.namespace=default "
			      "l:io.kubernetes.container.name=main\n"
			      "start c1 3\n"
			      "run-sandbox u2 0 s2 4 other kube-system 1\n"
			      "create-container u2 main 1 c2 5 s2 img:1\n";

static struct agent agent;
static struct input *input; /* the one under way */
static unsigned answers[CALLS_MAX];
static struct message_words vocabulary = { words, ARRAY_LEN(words), { 0, NULL } };
static uint8_t stream_id_seen[STREAM_ID_BYTES];

/* --- in place of what would leave the process ---------------------------------------------------------- */

/* An agent that systemd started ends what an earlier life left running. */
int __wrap_children_open(struct streams *streams, struct err *err);
int __wrap_children_open(struct streams *streams, struct err *err)
{
	(void)streams;
	(void)err;
	return 0;
}

struct child_stream_fake {
	struct stream *stream;
	bool ended;
};

static void fake_pump(void *source)
{
	(void)source;
}

static size_t fake_input(void *source, const uint8_t *bytes, size_t len)
{
	struct child_stream_fake *fake = source;
	size_t room = stream_room(fake->stream);

	if (fake->ended)
		return len;
	len = len < room ? len : room;
	stream_put(fake->stream, STREAM_OUT, bytes, len);
	return len;
}

static void fake_input_end(void *source)
{
	struct child_stream_fake *fake = source;

	if (!fake->ended)
		stream_finish(fake->stream, &(struct stream_end){ .exit_code = 3 });
	fake->ended = true;
}

static int fake_resize(void *source, unsigned rows, unsigned columns, struct err *err)
{
	(void)source;
	(void)rows;
	(void)columns;
	(void)err;
	return 0;
}

static int fake_signal(void *source, int signal, struct err *err)
{
	(void)err;
	if (signal == 9)
		fake_input_end(source);
	return 0;
}

static const struct stream_ops fake_ops = {
	.kind = "fuzz",
	.pump = fake_pump,
	.input = fake_input,
	.input_end = fake_input_end,
	.resize = fake_resize,
	.signal = fake_signal,
	.close = free,
};

static const struct stream_ops deaf_ops = { .kind = "fuzz", .pump = fake_pump, .close = free };

static int open_fake(struct streams *streams, const struct stream_ops *ops, enum method_role role,
		     struct stream **ret_stream, struct err *err)
{
	struct child_stream_fake *fake = calloc(1, sizeof(*fake));

	PROMISE(fake);
	if (stream_new(streams, ops, fake, role, &fake->stream, err) < 0) {
		free(fake);
		return -1;
	}
	*ret_stream = fake->stream;
	return 0;
}

/* Helpers of ours are named by us and get what they are meant to get; of the rest the request decides. */
static void look_at_argv(const struct child_spec *spec)
{
	static const char *const helpers[] = { "berthd-copy", "/proc/self/exe", "wc" };
	bool known = !spec->helper;

	PROMISE(spec->argv[0] && spec->argv[0][0]);
	for (size_t i = 0; i < ARRAY_LEN(helpers); i++)
		known = known || strcmp(spec->argv[0], helpers[i]) == 0;
	PROMISE(known);
	PROMISE(!spec->helper || spec->directory);
	if (strcmp(spec->argv[0], "/proc/self/exe") != 0 || !spec->helper)
		return;
	for (size_t i = 2; spec->argv[i]; i++)
		PROMISE(strncmp(spec->argv[i], "--", 2) == 0);
}

/* A helper's output is read by handlers: anything, and an end of any kind. */
static void say_something(struct stream *stream)
{
	struct stream_end end = { .exit_code = input_byte(input) };
	size_t len;
	const uint8_t *said = input_bytes(input, input_byte(input), &len);

	if (len)
		stream_put(stream, STREAM_OUT, said, len);
	if (end.exit_code == 255)
		return;
	if (end.exit_code)
		err_set(&end.err, ERR_FAILED_PRECONDITION, 0, "exit code %d", end.exit_code);
	stream_finish(stream, &end);
}

int __wrap_child_stream_open(struct streams *streams, const struct child_spec *spec,
			     enum method_role role, struct stream **ret_stream, struct err *err);
int __wrap_child_stream_open(struct streams *streams, const struct child_spec *spec,
			     enum method_role role, struct stream **ret_stream, struct err *err)
{
	look_at_argv(spec);
	for (size_t i = 0; spec->env && spec->env[i]; i++)
		PROMISE(strchr(spec->env[i], '=') > spec->env[i]);
	if (strcmp(spec->argv[0], "missing") == 0) {
		err_set(err, ERR_NOT_FOUND, 0, "there is no program 'missing'");
		return err_explain(err, "PROGRAM_NOT_FOUND", NULL);
	}
	if (open_fake(streams, spec->input ? &fake_ops : &deaf_ops, role, ret_stream, err) < 0)
		return -1;
	if (spec->helper && !spec->input)
		say_something(*ret_stream);
	return 0;
}

void __wrap_forward_stream_open(struct streams *streams, const struct forward_target *target,
				enum method_role role, struct deadline by, forward_done_fn *done,
				void *arg);
void __wrap_forward_stream_open(struct streams *streams, const struct forward_target *target,
				enum method_role role, struct deadline by, forward_done_fn *done,
				void *arg)
{
	struct stream *stream = NULL;
	struct err err;

	(void)by;
	PROMISE(target->port > 0);
	if (open_fake(streams, &fake_ops, role, &stream, &err) < 0)
		done(arg, NULL, &err);
	else
		done(arg, stream, NULL);
}

int __wrap_kmsg_open(struct streams *streams, struct sd_event *loop, const char *path,
		     const struct logs_range *range, enum method_role role,
		     struct stream **ret_stream, struct err *err);
int __wrap_kmsg_open(struct streams *streams, struct sd_event *loop, const char *path,
		     const struct logs_range *range, enum method_role role,
		     struct stream **ret_stream, struct err *err)
{
	(void)loop;
	PROMISE(strcmp(path, "/dev/kmsg") == 0);
	PROMISE(range->tail_lines >= -1 && range->since_ns >= 0);
	return open_fake(streams, &deaf_ops, role, ret_stream, err);
}

/* No directory is made for a pod; which ones is still worked out. */
int __wrap_volumes_prepare(struct worker *w, const struct render_node *node, struct err *err);
int __wrap_volumes_prepare(struct worker *w, const struct render_node *node, struct err *err)
{
	cleanup_with(strv) struct strv empty_dirs = { 0 }, host_dirs = { 0 };

	(void)err;
	render_directories(w->record.pod, node, &empty_dirs, &host_dirs);
	for (size_t i = 0; i < empty_dirs.count; i++)
		PROMISE(strncmp(empty_dirs.items[i], node->pods_dir, strlen(node->pods_dir)) == 0 &&
			!strstr(empty_dirs.items[i], "/../"));
	return 0;
}

struct helper {
	sd_event_source *source;
	helper_fn *done;
	void *arg;
};

struct helper *__wrap_helper_start(struct sd_event *loop, const char *const *argv,
				   struct deadline by, helper_fn *done, void *arg);
void __wrap_helper_cancel(struct helper *h);

void __wrap_helper_cancel(struct helper *h)
{
	sd_event_source_disable_unref(h->source);
	free(h);
}

static int helper_due(sd_event_source *source, void *arg)
{
	struct helper h = *(struct helper *)arg;

	(void)source;
	__wrap_helper_cancel(arg);
	h.done(h.arg, NULL);
	return 0;
}

struct helper *__wrap_helper_start(struct sd_event *loop, const char *const *argv,
				   struct deadline by, helper_fn *done, void *arg)
{
	struct helper *h = calloc(1, sizeof(*h));

	(void)by;
	PROMISE(h && argv[0]);
	*h = (struct helper){ .done = done, .arg = arg };
	PROMISE(sd_event_add_defer(loop, &h->source, helper_due, h) >= 0);
	return h;
}

/* --- calls -------------------------------------------------------------------------------------------- */

/* What goes over the wire is taken at the other end; an id of a session is good for the calls to come. */
static void look_at_reply(const struct call *call, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *bytes = malloc(len + 1);
	ProtobufCMessage *again;
	struct err err;

	PROMISE(bytes && msg->descriptor == call->target.method->output);
	PROMISE(len <= WIRE_MAX_BYTES && protobuf_c_message_pack(msg, bytes) == len);
	PROMISE(wire_unpack(msg->descriptor, bytes, len, &again, &err) == 0);
	protobuf_c_message_free_unpacked(again, NULL);
	free(bytes);
	if (msg->descriptor == &berth__node__v1__stream_opened__descriptor) {
		const Berth__Node__V1__StreamOpened *opened = (const void *)msg;

		PROMISE(opened->stream_id.len == STREAM_ID_BYTES);
		memcpy(stream_id_seen, opened->stream_id.data, STREAM_ID_BYTES);
	}
}

/* call_answer_fn */
static void on_answer(void *arg, struct call *call, const ProtobufCMessage *msg,
		      const struct err *err)
{
	unsigned *count = arg;

	PROMISE((*count)++ == 0);
	PROMISE(!msg != !err);
	if (msg)
		look_at_reply(call, msg);
	else
		PROMISE(err->code != ERR_OK && err->msg[0]);
}

static bool choose(unsigned n, struct dispatch_target *ret)
{
	struct err err;

	for (size_t i = 0; i < services_count; i++) {
		const ProtobufCServiceDescriptor *service = services[i]->descriptor;

		if (n >= service->n_methods) {
			n -= service->n_methods;
			continue;
		}
		PROMISE(dispatch_find(service->name, service->methods[n].name, WIRE_PROTOCOL, ret,
				      &err) == 0);
		return true;
	}
	return false;
}

/* NULL: it is refused. */
static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *desc, const uint8_t *bytes,
				size_t len)
{
	ProtobufCMessage *request;
	struct err err;

	if (wire_unpack_request(desc, bytes, len, &request, &err) == 0)
		return request;
	PROMISE(err.code == ERR_INVALID_ARGUMENT && err.msg[0]);
	return NULL;
}

/* Packed and unpacked as a client's would be. */
static ProtobufCMessage *make_request(const ProtobufCMessageDescriptor *desc, struct input *in)
{
	ProtobufCMessage *grown = message_make(desc, in, &vocabulary), *request;
	size_t len = protobuf_c_message_get_packed_size(grown);
	uint8_t *bytes = malloc(len + 1);

	PROMISE(bytes && protobuf_c_message_pack(grown, bytes) == len);
	protobuf_c_message_free_unpacked(grown, NULL);
	request = unpack(desc, bytes, len);
	free(bytes);
	return request;
}

static ProtobufCMessage *take_request(const ProtobufCMessageDescriptor *desc, struct input *in)
{
	size_t len = input_word(in);
	const uint8_t *bytes = input_bytes(in, len, &len);

	return unpack(desc, bytes, len);
}

static void begin_call(unsigned *ret_answers, struct input *in)
{
	static const uint8_t id[WIRE_CALL_ID_BYTES];
	struct dispatch_target target;
	uint8_t method = input_byte(in), how = input_byte(in);
	enum method_role role = how & 1 ? ROLE_READ : ROLE_ADMIN;
	ProtobufCMessage *request;
	struct call *call;
	struct err err;

	*ret_answers = 1; /* until it is really made */
	if (!choose(method & 0x7f, &target))
		return;
	request = method & 0x80 ? take_request(target.method->input, in)
				: make_request(target.method->input, in);
	if (!request)
		return;
	if (method_check_role(target.service->descriptor->name, target.method->name, role, &err) <
	    0) {
		protobuf_c_message_free_unpacked(request, NULL);
		return;
	}
	PROMISE(call_new(&agent, &target, role, id, how & 2 ? 1 : 0, request, &call, &err) == 0);
	*ret_answers = 0;
	call->answer = on_answer;
	call->answer_arg = ret_answers;
	call_invoke(call);
}

/* --- the agent ---------------------------------------------------------------------------------------- */

static void read_now(void *arg, struct metrics_now *ret)
{
	(void)arg;
	(void)ret;
}

static void open_agent(uint8_t how)
{
	static char state_dir[80], runtime_dir[80], logs_dir[80], private_dir[80];
	const char *dir = fuzz_dir();
	struct err err;

	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	snprintf(runtime_dir, sizeof(runtime_dir), "%s/runtime", dir);
	snprintf(logs_dir, sizeof(logs_dir), "%s/logs", dir);
	snprintf(private_dir, sizeof(private_dir), "%s/private", dir);
	fuzz_dir_write("runtime/effects", effects, sizeof(effects) - 1);
	fuzz_dir_write("logs/default_web_u1/main/0.log", "2026-01-01T00:00:00Z stdout F hi\n", 33);
	PROMISE(mkdir(private_dir, 0700) == 0);
	agent_config_init(&agent.config);
	agent.config.private_dir = private_dir;
	agent.config.state_dir = state_dir;
	agent.config.pod_logs = logs_dir;
	agent.config.cluster = "c";
	agent.config.is_balancer = how & 2;
	setenv("BERTH_FAKE_KUBELET", how & 1 ? "active" : "inactive", 1);
	PROMISE(sd_event_new(&agent.loop) >= 0);
	PROMISE(events_open(agent.loop, &agent.events, &err) == 0 &&
		units_open("fake", agent.loop, &agent.units, &err) == 0 &&
		runtime_open("fake", runtime_dir, agent.loop, &agent.runtime, &err) == 0 &&
		pods_open(state_dir, agent.loop, agent.units, agent.runtime, &agent.pods, &err) ==
			0 &&
		streams_open(agent.loop, &agent.streams, &err) == 0 &&
		monitor_open(&agent, &agent.monitor, &err) == 0 &&
		metrics_new(read_now, NULL, &agent.metrics, &err) == 0);
	pods_set_events(agent.pods, agent.events);
}

static void turn(unsigned turns)
{
	for (unsigned i = 0; i < turns && sd_event_run(agent.loop, 0) > 0; i++)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = { bytes, len };
	size_t count = 0;

	input = &in;
	log_set_level(LOG_LEVEL_QUIET);
	vocabulary.bytes = (ProtobufCBinaryData){ sizeof(stream_id_seen), stream_id_seen };
	memset(stream_id_seen, 0, sizeof(stream_id_seen));
	open_agent(input_byte(&in));
	while (in.left > 0 && count < CALLS_MAX) {
		begin_call(&answers[count++], &in);
		turn(input_byte(&in) % TURNS_MAX);
	}
	turn(TURNS_MAX);
	agent_release(&agent);
	for (size_t i = 0; i < count; i++)
		PROMISE(answers[i] == 1);
	fuzz_dir_clear();
	return 0;
}
