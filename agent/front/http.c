/*
 * /healthz, /readyz and /metrics for probes and scrapers on the node's loopback. libmicrohttpd parses;
 * each request becomes one call to the agent, and waits suspended for its answer.
 */
#include "agent/ask/probe.h"
#include "agent/front/front_impl.h"
#include "node/v1/health.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/base/text.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

#define ANSWER_MS        2000
#define CONNECTIONS_MAX  16
#define CONNECTION_BYTES ((size_t)16 * 1024)
#define CONNECTION_S     10

struct http {
	struct front *front;
	struct MHD_Daemon *daemon;
	sd_event_source *io;
	sd_event_source *timer;
	struct request *requests;
};

struct page;

struct request {
	struct http *http;
	struct request *prev, *next;
	struct MHD_Connection *connection;
	const struct page *page;
	struct probe *probe; /* NULL once there is an answer */
	bool suspended;
	bool answered;
	unsigned status;
	struct text body;
};

/* One address: what it asks and how the answer reads. */
struct page {
	const char *path;
	const char *method;
	const char *type;
	void (*write)(struct request *r, const ProtobufCMessage *reply);
};

/* --- pages ------------------------------------------------------------------------------------------ */

static const char *state_name(int state)
{
	static const char *const names[] = { "unknown", "ok", "degraded", "failed", "absent" };

	return (size_t)state < ARRAY_LEN(names) ? names[state] : names[0];
}

static void write_parts(struct request *r, const Berth__Node__V1__HealthReply *health, bool good)
{
	r->status = good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	text_add(&r->body, good ? "ok\n" : "failed\n");
	for (size_t i = 0; i < health->n_parts; i++) {
		const Berth__Node__V1__HealthPart *part = health->parts[i];

		text_addf(&r->body, "%-8s %-8s %s\n", part->name, state_name((int)part->state),
			  part->message);
	}
}

static void write_healthz(struct request *r, const ProtobufCMessage *reply)
{
	const Berth__Node__V1__HealthReply *health = (const Berth__Node__V1__HealthReply *)reply;

	write_parts(r, health, health->healthy);
}

static void write_readyz(struct request *r, const ProtobufCMessage *reply)
{
	const Berth__Node__V1__HealthReply *health = (const Berth__Node__V1__HealthReply *)reply;

	write_parts(r, health, health->ready);
}

static void write_metrics(struct request *r, const ProtobufCMessage *reply)
{
	r->status = MHD_HTTP_OK;
	text_add(&r->body, ((const Berth__Node__V1__HealthMetricsReply *)reply)->text);
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
	struct request *r = arg;

	r->answered = true;
	if (err) {
		r->status = MHD_HTTP_SERVICE_UNAVAILABLE;
		text_addf(&r->body, "%s\n", err->msg);
	} else {
		r->page->write(r, reply);
	}
	if (r->suspended)
		MHD_resume_connection(r->connection);
	r->suspended = false;
}

/* Whatever happens there is an answer; it may come later. */
static void ask(struct request *r)
{
	struct deadline by = deadline_in_ms(ANSWER_MS);
	struct front *front = r->http->front;
	cleanup_free char *socket =
		text_format("%s/%s.sock", front->config.gate_dir, method_role_name(ROLE_READ));
	struct err err;

	if (!socket)
		err_oom(&err);
	else if (probe_new(front->loop, socket, &r->probe, &err) == 0 &&
		 probe_ask(r->probe, &berth__node__v1__health__descriptor, r->page->method, by,
			   true, on_answer, r, &err) == 0)
		return;
	on_answer(r, NULL, &err);
}

static struct request *request_new(struct http *http, struct MHD_Connection *connection)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->http = http;
	r->connection = connection;
	DL_APPEND(http->requests, r);
	return r;
}

static void request_free(struct request *r)
{
	DL_DELETE(r->http->requests, r);
	probe_free(r->probe);
	text_release(&r->body);
	free(r);
}

/* Called when the head of a request has come, and again when it is whole or has been resumed. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_size, void **state)
{
	static const char plain[] = "text/plain; charset=utf-8";
	struct request *r = *state;

	(void)version;
	(void)data;
	if (!r) {
		*state = request_new(arg, connection);
		return *state ? MHD_YES : MHD_NO;
	}
	if (*data_size) { /* nothing here reads a body */
		*data_size = 0;
		return MHD_YES;
	}
	if (r->answered)
		return send_text(connection, r->status, r->page->type, text_str(&r->body));
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, plain,
				 "only GET is answered here\n");
	r->page = find_page(url);
	if (!r->page)
		return send_text(connection, MHD_HTTP_NOT_FOUND, plain,
				 "there are /healthz, /readyz and /metrics\n");
	ask(r);
	if (r->answered)
		return send_text(connection, r->status, r->page->type, text_str(&r->body));
	r->suspended = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	(void)arg;
	(void)connection;
	(void)code;
	if (*state)
		request_free(*state);
	*state = NULL;
}

/* --- life ------------------------------------------------------------------------------------------- */

static void run(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(http->daemon);
	http->front->quiet_at_ms = clock_now_ms();
	if (MHD_get_timeout(http->daemon, &ms) != MHD_YES) {
		sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time_relative(http->timer, ms * 1000);
	sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct http *http = arg;

	(void)source;
	(void)fd;
	(void)events;
	run(http);
	front_arm(http->front);
	return 0;
}

static int on_http_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	run(arg);
	return 0;
}

static void log_nothing(void *arg, const char *fmt, va_list ap)
{
	(void)arg;
	(void)fmt;
	(void)ap;
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
				NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER,
				log_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_S,
				MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
}

static int serve(struct http *http, struct err *err)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int rc = info ? 0 : -1;

	if (rc == 0)
		rc = sd_event_add_time(http->front->loop, &http->timer, CLOCK_MONOTONIC, 0, 0,
				       on_http_timer, http);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
	if (rc >= 0)
		rc = sd_event_add_io(http->front->loop, &http->io, info->epoll_fd, EPOLLIN, on_io,
				     http);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, -rc, "http: serve the loop");
	return 0;
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
	http->daemon = start_daemon(http, fd);
	if (!http->daemon) {
		close(fd);
		return err_set(err, ERR_INTERNAL, 0, "http: cannot start");
	}
	if (serve(http, err) < 0)
		return -1;
	*ret_http = TAKE(http);
	return 0;
}

void http_close(struct http *http)
{
	struct request *r;

	if (!http)
		return;
	DL_FOREACH (http->requests, r) {
		probe_free(TAKE(r->probe));
		if (r->suspended)
			MHD_resume_connection(r->connection);
		r->suspended = false;
	}
	sd_event_source_disable_unref(http->io);
	sd_event_source_disable_unref(http->timer);
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
