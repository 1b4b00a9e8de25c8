/*
 * /healthz, /readyz and /metrics for probes and scrapers on the node's loopback. libmicrohttpd parses, in
 * a thread of its own that polls: its epoll forgets an end of stream that comes together with a request
 * (0.9.75). Each request becomes one call to the agent, which answers from memory.
 */
#include "agent/ask/probe.h"
#include "agent/front/front_impl.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/base/text.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS        1000
#define CONNECTIONS_MAX  16
#define CONNECTION_BYTES ((size_t)16 * 1024)
#define CONNECTION_S     5
#define STACK_BYTES      ((size_t)256 * 1024)

struct http {
	struct front *front;
	struct MHD_Daemon *daemon;
};

/* What is to be sent. */
struct answer {
	const struct page *page;
	bool over;
	unsigned status;
	struct text body;
};

/* One address: what it asks and how the answer reads. */
struct page {
	const char *path;
	const char *method;
	const char *type;
	void (*write)(struct answer *a, const ProtobufCMessage *reply);
};

/* --- pages ------------------------------------------------------------------------------------------ */

static const char *state_name(int state)
{
	static const char *const names[] = { "unknown", "ok", "degraded", "failed", "absent" };

	return (size_t)state < ARRAY_LEN(names) ? names[state] : names[0];
}

static void write_parts(struct answer *a, const Berth__Node__V1__HealthReply *health, bool good)
{
	a->status = good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	text_add(&a->body, good ? "ok\n" : "failed\n");
	for (size_t i = 0; i < health->n_parts; i++) {
		const Berth__Node__V1__HealthPart *part = health->parts[i];

		text_addf(&a->body, "%-8s %-8s %s\n", part->name, state_name((int)part->state),
			  part->message);
	}
}

static void write_healthz(struct answer *a, const ProtobufCMessage *reply)
{
	const Berth__Node__V1__HealthReply *health = (const Berth__Node__V1__HealthReply *)reply;

	write_parts(a, health, health->healthy);
}

static void write_readyz(struct answer *a, const ProtobufCMessage *reply)
{
	const Berth__Node__V1__HealthReply *health = (const Berth__Node__V1__HealthReply *)reply;

	write_parts(a, health, health->ready);
}

static void write_metrics(struct answer *a, const ProtobufCMessage *reply)
{
	a->status = MHD_HTTP_OK;
	text_add(&a->body, ((const Berth__Node__V1__HealthMetricsReply *)reply)->text);
}

static const struct page pages[] = {
	{ "/healthz", "Check", "text/plain; charset=utf-8", write_healthz },
	{ "/readyz", "Check", "text/plain; charset=utf-8", write_readyz },
	{ "/metrics", "Metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics },
};

static const struct page *find_page(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	}
	return NULL;
}

/* --- requests --------------------------------------------------------------------------------------- */

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
				 const char *type, const char *text)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* probe_fn */
static void on_answer(void *arg, const ProtobufCMessage *reply, const struct err *err)
{
	struct answer *a = arg;

	a->over = true;
	if (err) {
		a->status = MHD_HTTP_SERVICE_UNAVAILABLE;
		text_addf(&a->body, "%s\n", err->msg);
	} else {
		a->page->write(a, reply);
	}
}

static int ask_by(sd_event *loop, const char *socket, struct answer *a, struct err *err)
{
	cleanup_with(probe) struct probe *probe = NULL;
	struct deadline by = deadline_in_ms(ANSWER_MS);

	if (probe_new(loop, socket, &probe, err) < 0 ||
	    probe_ask(probe, &berth__node__v1__health__descriptor, a->page->method, by, true,
		      on_answer, a, err) < 0)
		return -1;
	while (!a->over) {
		int rc = sd_event_run(loop, UINT64_MAX);

		if (rc < 0)
			return err_set(err, ERR_INTERNAL, -rc, "run the event loop");
	}
	return 0;
}

/* On a loop of this thread's own; whatever happens there is an answer. */
static void ask(const struct http *http, struct answer *a)
{
	cleanup_free char *socket = text_format("%s/%s.sock", http->front->config.gate_dir,
						method_role_name(ROLE_READ));
	sd_event *loop = NULL;
	struct err err;
	int rc = sd_event_new(&loop);

	if (rc < 0)
		rc = err_set(&err, ERR_INTERNAL, -rc, "make an event loop");
	else if (!socket)
		rc = err_oom(&err);
	else
		rc = ask_by(loop, socket, a, &err);
	sd_event_unref(loop);
	if (rc < 0)
		on_answer(a, NULL, &err);
}

/* Called when the head of a request has come, for each piece of its body, and when it is whole. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_size, void **state)
{
	static const char plain[] = "text/plain; charset=utf-8";
	struct answer a = { 0 };
	enum MHD_Result result;

	(void)version;
	(void)data;
	if (!*state || *data_size) {
		*state = arg; /* any mark will do */
		*data_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, plain,
				 "only GET is answered here\n");
	a.page = find_page(url);
	if (!a.page)
		return send_text(connection, MHD_HTTP_NOT_FOUND, plain,
				 "there are /healthz, /readyz and /metrics\n");
	ask(arg, &a);
	result = send_text(connection, a.status, a.page->type, text_str(&a.body));
	text_release(&a.body);
	return result;
}

/* The front stays while somebody asks now and again. */
static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	struct http *http = arg;

	(void)connection;
	(void)state;
	(void)code;
	atomic_store(&http->front->quiet_at_ms, clock_now_ms());
}

/* --- life ------------------------------------------------------------------------------------------- */

static void log_nothing(void *arg, const char *fmt, va_list ap)
{
	(void)arg;
	(void)fmt;
	(void)ap;
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
	return MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL,
				on_request, http, MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL,
				MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_S,
				MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
				MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES, MHD_OPTION_END);
}

DEFINE_CLEANUP(http, struct http *, http_close)

int http_open(struct front *front, int fd, struct http **ret_http, struct err *err)
{
	cleanup_with(http) struct http *http = calloc(1, sizeof(*http));

	if (!http) {
		close(fd);
		return err_oom(err);
	}
	http->front = front;
	fcntl(fd, F_SETFL,
	      fcntl(fd, F_GETFL) | O_NONBLOCK); /* else the daemon waits in accept(2) */
	http->daemon = start_daemon(http, fd);
	if (!http->daemon) {
		close(fd);
		return err_set(err, ERR_INTERNAL, 0, "http: cannot start");
	}
	*ret_http = TAKE(http);
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	free(http);
}

unsigned http_connections(const struct http *http)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info ? info->num_connections : 0;
}
