/* Cases of calls that open a session, or speak to one. */
#include "tests/support/once_cases.h"

#include "node/v1/exec.pb-c.h"
#include "node/v1/files.pb-c.h"
#include "node/v1/forward.pb-c.h"
#include "node/v1/images.pb-c.h"
#include "node/v1/logs.pb-c.h"
#include "node/v1/streams.pb-c.h"
#include "shared/base/text.h"
#include "tests/support/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Exec and Streams ----------------------------------------------------------------------------- */

static void exec_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	char script[256], *argv[] = { (char *)"sh", (char *)"-c", script };

	snprintf(script, sizeof(script), "echo %s ran >>%s", once_tag(c->word, round), rig->log);
	req.argv = argv;
	req.n_argv = 3;
	once_request(rig, &req.base);
}

static unsigned exec_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return once_noted(rig, once_tag(c->word, round), "ran");
}

/* Of the session whose command notes its signals down. */
static uint8_t signal_stream[16];

static void signal_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	char *name = once_tag(c->word, round);
	char *argv[] = { (char *)once_self(), (char *)"count", rig->log, name };
	Berth__Node__V1__StreamOpened *opened;
	struct frames_reply *r;

	req.argv = argv;
	req.n_argv = 4;
	r = once_call(rig, "Exec", "Start", &req.base);
	opened = berth__node__v1__stream_opened__unpack(NULL, r->reply->payload.len,
							r->reply->payload.data);
	assert_true(opened && opened->stream_id.len == sizeof(signal_stream));
	memcpy(signal_stream, opened->stream_id.data, sizeof(signal_stream));
	berth__node__v1__stream_opened__free_unpacked(opened, NULL);
	frames_free(r);
	rig->sessions++;
	once_wait_line(rig->log, name, "ready");
}

static void signal_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__StreamSignalRequest req = BERTH__NODE__V1__STREAM_SIGNAL_REQUEST__INIT;

	(void)c;
	(void)round;
	req.stream_id = (ProtobufCBinaryData){ sizeof(signal_stream), signal_stream };
	req.signal = 40;
	once_request(rig, &req.base);
}

static unsigned signal_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return once_noted(rig, once_tag(c->word, round), "40");
}

/* --- Images -------------------------------------------------------------------------------------- */

static void load_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ImageLoadRequest req = BERTH__NODE__V1__IMAGE_LOAD_REQUEST__INIT;

	(void)c;
	(void)round;
	once_request(rig, &req.base);
}

/* The fake's importer waits for its input: how many of them the agent has. */
static unsigned load_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	char path[128], comm[32];
	unsigned count = 0, pid;
	FILE *f, *name;

	(void)c;
	(void)round;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)rig->agent->pid,
		 (int)rig->agent->pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%u", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%u/comm", pid);
		name = fopen(path, "re");
		count += name && fgets(comm, sizeof(comm), name) && strcmp(comm, "wc\n") == 0;
		if (name)
			fclose(name);
	}
	fclose(f);
	return count;
}

/* --- Files ---------------------------------------------------------------------------------------- */

static void in_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	assert_int_equal(mkdir(once_path(rig, c->word, round), 0755), 0);
}

static void in_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__FileCopyInRequest req = BERTH__NODE__V1__FILE_COPY_IN_REQUEST__INIT;

	req.directory = once_path(rig, c->word, round);
	once_request(rig, &req.base);
}

static unsigned in_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return once_noted(rig, "in", once_path(rig, c->word, round));
}

static bool has_ended(struct once_rig *rig, uint64_t *offset)
{
	Berth__Node__V1__StreamReadRequest req = BERTH__NODE__V1__STREAM_READ_REQUEST__INIT;
	struct frames_reply *r;
	Berth__Node__V1__StreamReadReply *read;
	bool ended;

	req.stream_id = (ProtobufCBinaryData){ 16, (uint8_t *)rig->opened };
	req.offset = *offset;
	req.wait_millis = 1000;
	r = once_call(rig, "Streams", "Read", &req.base);
	read = berth__node__v1__stream_read_reply__unpack(NULL, r->reply->payload.len,
							  r->reply->payload.data);
	assert_non_null(read);
	*offset = read->next_offset;
	ended = read->end != NULL;
	if (ended)
		assert_int_equal(read->end->exit_code, 0);
	berth__node__v1__stream_read_reply__free_unpacked(read, NULL);
	frames_free(r);
	return ended;
}

/* The archive goes in, and the file is there. */
static void in_use(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const struct tar_entry entry = {
		.name = "file", .type = '0', .mode = 0644, .data = "once", .size = 4
	};
	Berth__Node__V1__StreamWriteRequest req = BERTH__NODE__V1__STREAM_WRITE_REQUEST__INIT;
	cleanup_with(text) struct text archive = { 0 };
	char path[256];
	struct stat st;
	uint64_t offset = 0;

	tar_add(&archive, &entry);
	tar_end(&archive);
	req.stream_id = (ProtobufCBinaryData){ 16, (uint8_t *)rig->opened };
	req.data = (ProtobufCBinaryData){ archive.len, (uint8_t *)archive.data };
	req.eof = true;
	frames_free(once_call(rig, "Streams", "Write", &req.base));
	while (!has_ended(rig, &offset))
		continue;
	snprintf(path, sizeof(path), "%s/file", once_path(rig, c->word, round));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
}

static void out_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(once_path(rig, c->word, round), "content");
}

static void out_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__FileCopyOutRequest req = BERTH__NODE__V1__FILE_COPY_OUT_REQUEST__INIT;

	req.path = once_path(rig, c->word, round);
	once_request(rig, &req.base);
}

static unsigned out_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return once_noted(rig, "out", once_path(rig, c->word, round));
}

/* --- Logs ----------------------------------------------------------------------------------------- */

static void journal_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__LogsJournalRequest req = BERTH__NODE__V1__LOGS_JOURNAL_REQUEST__INIT;

	(void)c;
	(void)round;
	once_request(rig, &req.base);
}

static void dmesg_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__LogsDmesgRequest req = BERTH__NODE__V1__LOGS_DMESG_REQUEST__INIT;

	(void)c;
	(void)round;
	once_request(rig, &req.base);
}

/* <logs>/<namespace>_<pod>_<uid>/<container>/0.log, as the runtime would write it. */
static void log_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	char path[512];
	int len = snprintf(path, sizeof(path), "%s/logs", rig->agent->state_dir);

	mkdir(path, 0755);
	len += snprintf(path + len, sizeof(path) - (size_t)len, "/other_%s_u",
			once_tag(c->word, round));
	assert_int_equal(mkdir(path, 0755), 0);
	len += snprintf(path + len, sizeof(path) - (size_t)len, "/main");
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path + len, sizeof(path) - (size_t)len, "/0.log");
	once_note(path, "2026-01-31T12:00:00.123456789Z stdout F line");
}

static void log_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__LogsContainerRequest req = BERTH__NODE__V1__LOGS_CONTAINER_REQUEST__INIT;
	Berth__Node__V1__ContainerTarget target = BERTH__NODE__V1__CONTAINER_TARGET__INIT;

	target.namespace_ = (char *)"other";
	target.pod = once_tag(c->word, round);
	target.container = (char *)"main";
	req.target = &target;
	once_request(rig, &req.base);
}

/* --- Forward and Attach: who connects is counted -------------------------------------------------- */

static int listen_on(uint16_t *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, SOMAXCONN), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int forward_fd = -1;
static uint16_t forward_port;
static unsigned forward_accepted;

static void forward_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	(void)rig;
	(void)c;
	(void)round;
	if (forward_fd >= 0)
		close(forward_fd);
	forward_fd = listen_on(&forward_port);
	forward_accepted = 0;
}

static void forward_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ForwardOpenRequest req = BERTH__NODE__V1__FORWARD_OPEN_REQUEST__INIT;

	(void)c;
	(void)round;
	req.port = forward_port;
	once_request(rig, &req.base);
}

/* That it is hung up on does not matter: the session stays until it is read. */
static unsigned forward_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	int fd;

	(void)rig;
	(void)c;
	(void)round;
	while ((fd = accept(forward_fd, NULL, NULL)) >= 0) {
		forward_accepted++;
		close(fd);
	}
	return forward_accepted;
}

/* The runtime's streaming server: notes down which container somebody joins. */
static struct joiner {
	pthread_t thread;
	int fd, stop[2];
	const char *log;
} joiner;

static void greet(int fd, const char *log)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				     "Connection: Upgrade\r\n"
				     "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n";
	char text[4096], id[64];
	size_t len = 0;

	do {
		if (len + 1 >= sizeof(text) || recv(fd, text + len++, 1, 0) != 1)
			return;
		text[len] = '\0';
	} while (!strstr(text, "\r\n\r\n"));
	if (sscanf(text, "GET /join/%63[^ ]", id) == 1) {
		once_note(log, "join %s", id);
		send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	}
}

static void *serve_joins(void *arg)
{
	struct pollfd fds[] = { { .fd = joiner.fd, .events = POLLIN },
				{ .fd = joiner.stop[0], .events = POLLIN } };
	int open[64], fd;
	size_t count = 0;

	(void)arg;
	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		fd = accept(joiner.fd, NULL, NULL);
		if (fd < 0 || count == ARRAY_LEN(open))
			continue;
		greet(fd, joiner.log);
		open[count++] = fd;
	}
	while (count > 0)
		close(open[--count]);
	return NULL;
}

void once_joins_start(struct once_rig *rig)
{
	char path[160];
	uint16_t port;

	joiner.fd = listen_on(&port);
	joiner.log = rig->log;
	assert_int_equal(pipe2(joiner.stop, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "%s/sessions", rig->agent->runtime_dir);
	once_note(path, "http://127.0.0.1:%u/join/", port);
	assert_int_equal(pthread_create(&joiner.thread, NULL, serve_joins, NULL), 0);
}

void once_joins_stop(void)
{
	close(joiner.stop[1]);
	pthread_join(joiner.thread, NULL);
	close(joiner.stop[0]);
	close(joiner.fd);
}

static void attach_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ExecAttachRequest req = BERTH__NODE__V1__EXEC_ATTACH_REQUEST__INIT;
	Berth__Node__V1__ContainerTarget target = BERTH__NODE__V1__CONTAINER_TARGET__INIT;

	target.namespace_ = (char *)"other";
	target.pod = once_tag(c->word, round);
	req.target = &target;
	once_request(rig, &req.base);
}

static unsigned attach_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return once_noted(rig, "join", once_tag(c->word, round));
}

/* --- the table ------------------------------------------------------------------------------------ */

const struct once_case once_sessions[] = {
	{ .service = "Images",
	  .method = "Load",
	  .request = load_request,
	  .count = load_count,
	  .opens = true,
	  .live = true },
	{ .service = "Exec",
	  .method = "Start",
	  .word = "exec",
	  .request = exec_request,
	  .count = exec_count,
	  .opens = true },
	{ .service = "Exec",
	  .method = "Attach",
	  .word = "attach",
	  .prepare = once_make_container,
	  .request = attach_request,
	  .count = attach_count,
	  .opens = true },
	{ .service = "Streams",
	  .method = "Signal",
	  .word = "signal",
	  .prepare = signal_prepare,
	  .request = signal_request,
	  .count = signal_count,
	  .fleeting = true,
	  .may_miss = true },
	{ .service = "Files",
	  .method = "CopyIn",
	  .word = "in",
	  .prepare = in_prepare,
	  .request = in_request,
	  .count = in_count,
	  .use = in_use,
	  .opens = true },
	{ .service = "Files",
	  .method = "CopyOut",
	  .word = "out",
	  .prepare = out_prepare,
	  .request = out_request,
	  .count = out_count,
	  .opens = true,
	  .per_life = true },
	{ .service = "Logs", .method = "Journal", .request = journal_request, .opens = true },
	{ .service = "Logs",
	  .method = "Container",
	  .word = "log",
	  .prepare = log_prepare,
	  .request = log_request,
	  .opens = true },
	{ .service = "Logs", .method = "Dmesg", .request = dmesg_request, .opens = true },
	{ .service = "Forward",
	  .method = "Open",
	  .prepare = forward_prepare,
	  .request = forward_request,
	  .count = forward_count,
	  .opens = true },
	{ .service = NULL },
};
