/*
 * The front's HTTP door: bytes of a client through libmicrohttpd's parser to our handler and back. The
 * client says all of it, then that it is done: what comes back is whole answers, and then the connection
 * ends.
 *
 * Input: a byte that says what the agent answers, then the client's bytes. The daemon has no thread of its
 * own here, and the agent is not asked over its socket (fuzz_probe.c does that).
 */
#include "agent/ask/probe.h"
#include "agent/front/front_impl.h"
#include "node/v1/health.pb-c.h"
#include "tests/fuzz/fuzz.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWERS_MAX (256 * 1024)
#define RUNS_MAX    1000

static struct MHD_Daemon *daemon_started;
static uint8_t agent_says;

/* --- in place of the agent, and of the daemon's thread -------------------------------------------------- */

int __wrap_probe_new(struct sd_event *loop, const char *socket_path, struct probe **ret_probe,
		     struct err *err);
int __wrap_probe_ask(struct probe *probe, const ProtobufCServiceDescriptor *service,
		     const char *method, struct deadline by, bool fresh, probe_fn *done, void *arg,
		     struct err *err);
struct MHD_Daemon *__wrap_MHD_start_daemon(unsigned flags, uint16_t port,
					   MHD_AcceptPolicyCallback apc, void *apc_arg,
					   MHD_AccessHandlerCallback handler, void *handler_arg,
					   ...);
struct MHD_Daemon *__real_MHD_start_daemon(unsigned flags, uint16_t port,
					   MHD_AcceptPolicyCallback apc, void *apc_arg,
					   MHD_AccessHandlerCallback handler, void *handler_arg,
					   ...);

int __wrap_probe_new(struct sd_event *loop, const char *socket_path, struct probe **ret_probe,
		     struct err *err)
{
	(void)loop;
	PROMISE(strcmp(socket_path, "/nowhere/read.sock") == 0);
	if (agent_says == 1)
		return err_set(err, ERR_UNAVAILABLE, 0, "no agent");
	*ret_probe = NULL;
	return 0;
}

static void answer_check(probe_fn *done, void *arg)
{
	Berth__Node__V1__HealthReply reply = BERTH__NODE__V1__HEALTH_REPLY__INIT;
	Berth__Node__V1__HealthPart part = BERTH__NODE__V1__HEALTH_PART__INIT;
	Berth__Node__V1__HealthPart *parts = &part;

	part.name = (char *)"systemd";
	part.state = (Berth__Node__V1__PartState)(agent_says % 7);
	part.message = (char *)"running";
	reply.healthy = agent_says & 8;
	reply.ready = agent_says & 16;
	reply.n_parts = agent_says & 1;
	reply.parts = &parts;
	done(arg, &reply.base, NULL);
}

int __wrap_probe_ask(struct probe *probe, const ProtobufCServiceDescriptor *service,
		     const char *method, struct deadline by, bool fresh, probe_fn *done, void *arg,
		     struct err *err)
{
	Berth__Node__V1__HealthMetricsReply metrics = BERTH__NODE__V1__HEALTH_METRICS_REPLY__INIT;
	struct err failure;

	(void)probe;
	(void)by;
	(void)fresh;
	PROMISE(service == &berth__node__v1__health__descriptor);
	metrics.text = (char *)"berth_calls_total 1\n";
	if (agent_says == 2)
		return err_set(err, ERR_UNAVAILABLE, 0, "no agent");
	if (agent_says == 3) {
		err_set(&failure, ERR_DEADLINE_EXCEEDED, 0, "the agent did not answer in time");
		done(arg, NULL, &failure);
	} else if (strcmp(method, "Metrics") == 0) {
		done(arg, &metrics.base, NULL);
	} else {
		PROMISE(strcmp(method, "Check") == 0);
		answer_check(done, arg);
	}
	return 0;
}

/* With our handler and limits; what has to do with threads is left out. */
struct MHD_Daemon *__wrap_MHD_start_daemon(unsigned flags, uint16_t port,
					   MHD_AcceptPolicyCallback apc, void *apc_arg,
					   MHD_AccessHandlerCallback handler, void *handler_arg,
					   ...)
{
	MHD_RequestCompletedCallback completed = NULL;
	void *completed_arg = NULL;
	MHD_LogCallback log = NULL;
	void *log_arg = NULL;
	unsigned limit = 0, timeout = 0;
	size_t memory = 0;
	int fd = -1, option;
	va_list ap;

	PROMISE(flags == (MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG));
	va_start(ap, handler_arg);
	while ((option = va_arg(ap, int)) != MHD_OPTION_END) {
		if (option == MHD_OPTION_EXTERNAL_LOGGER) {
			log = va_arg(ap, MHD_LogCallback);
			log_arg = va_arg(ap, void *);
		} else if (option == MHD_OPTION_NOTIFY_COMPLETED) {
			completed = va_arg(ap, MHD_RequestCompletedCallback);
			completed_arg = va_arg(ap, void *);
		} else if (option == MHD_OPTION_LISTEN_SOCKET) {
			fd = va_arg(ap, MHD_socket);
		} else if (option == MHD_OPTION_CONNECTION_LIMIT) {
			limit = va_arg(ap, unsigned);
		} else if (option == MHD_OPTION_CONNECTION_TIMEOUT) {
			timeout = va_arg(ap, unsigned);
		} else if (option == MHD_OPTION_CONNECTION_MEMORY_LIMIT) {
			memory = va_arg(ap, size_t);
		} else {
			PROMISE(option == MHD_OPTION_THREAD_STACK_SIZE);
			va_arg(ap, size_t);
		}
	}
	va_end(ap);
	daemon_started = __real_MHD_start_daemon(
		MHD_USE_ERROR_LOG, port, apc, apc_arg, handler, handler_arg,
		MHD_OPTION_EXTERNAL_LOGGER, log, log_arg, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
		MHD_OPTION_CONNECTION_TIMEOUT, timeout, MHD_OPTION_NOTIFY_COMPLETED, completed,
		completed_arg, MHD_OPTION_END);
	return daemon_started;
}

/* --- what comes back ------------------------------------------------------------------------------------ */

/* The value of a header between 'head' and 'end', or NULL. */
static const char *find_header(const char *head, const char *end, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = head; line && line + len < end; line = strstr(line, "\r\n")) {
		line += line == head ? 0 : 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1;
	}
	return NULL;
}

/* One whole answer; where it ends. A 1xx has no body, the answer to a HEAD none of its length. What is not
 * ours is the library's word to what is no request, and its last: 0.9.75 says the head of some twice. */
static const char *take_answer(const char *at, const char *end, bool heads)
{
	const char *head_end = memmem(at, (size_t)(end - at), "\r\n\r\n", 4), *length;
	unsigned long body;
	int status;

	PROMISE(sscanf(at, "HTTP/1.%*1[01] %3d ", &status) == 1);
	PROMISE(head_end);
	head_end += 4;
	if (status < 200)
		return head_end;
	if (status != 200 && status != 503 && status != 404 && status != 405) {
		PROMISE(status >= 400 && status < 600);
		return end;
	}
	length = find_header(at, head_end, "Content-Length");
	PROMISE(length);
	body = strtoul(length, NULL, 10);
	if (head_end + body <= end &&
	    (head_end + body == end || strncmp(head_end + body, "HTTP/1.", 7) == 0))
		return head_end + body;
	PROMISE(heads);
	return head_end;
}

static void look_at_answers(const char *bytes, size_t len, bool heads)
{
	const char *end = bytes + len;

	while (bytes < end)
		bytes = take_answer(bytes, end, heads);
}

/* --- the client ----------------------------------------------------------------------------------------- */

static struct front *front_opened(void)
{
	static struct front front = { .config.gate_dir = "/nowhere" };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;
	struct err err;

	if (front.http)
		return &front;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* nobody comes in here */
	PROMISE(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
		listen(fd, 1) == 0);
	PROMISE(http_open(&front, fd, &front.http, &err) == 0);
	return &front;
}

static size_t receive(int fd, char *to, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while (have < size && (n = recv(fd, to + have, size - have, MSG_DONTWAIT)) > 0)
		have += (size_t)n;
	return have;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static char answers[ANSWERS_MAX + 1];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct front *front = front_opened();
	size_t have = 0;
	int fds[2];

	if (len == 0)
		return 0;
	agent_says = bytes[0];
	PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	PROMISE(send(fds[0], bytes + 1, len - 1, MSG_NOSIGNAL) == (ssize_t)len - 1);
	PROMISE(shutdown(fds[0], SHUT_WR) == 0);
	PROMISE(MHD_add_connection(daemon_started, fds[1], (struct sockaddr *)&address,
				   sizeof(sa_family_t)) == MHD_YES);
	for (unsigned i = 0; http_connections(front->http) > 0; i++) {
		PROMISE(i < RUNS_MAX);
		PROMISE(MHD_run(daemon_started) == MHD_YES);
		have += receive(fds[0], answers + have, ANSWERS_MAX - have);
	}
	have += receive(fds[0], answers + have, ANSWERS_MAX - have);
	PROMISE(have < ANSWERS_MAX);
	answers[have] = '\0';
	look_at_answers(answers, have, memmem(bytes, len, "HEAD", 4) != NULL);
	close(fds[0]);
	return 0;
}
