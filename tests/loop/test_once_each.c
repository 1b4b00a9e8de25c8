/*
 * Every call that changes something, sent a thousand times over new connections while the agent is killed in
 * the middle of it, has its side effect once. Which calls those are is read from the table that the .proto
 * files make: a new one without a case here fails by its name. $BERTH_ONCE: another number than a thousand.
 */
#include "node/v1/balancer.pb-c.h"
#include "node/v1/containers.pb-c.h"
#include "node/v1/exec.pb-c.h"
#include "node/v1/files.pb-c.h"
#include "node/v1/forward.pb-c.h"
#include "node/v1/images.pb-c.h"
#include "node/v1/lifecycle.pb-c.h"
#include "node/v1/logs.pb-c.h"
#include "node/v1/pods.pb-c.h"
#include "node/v1/processes.pb-c.h"
#include "node/v1/streams.pb-c.h"
#include "node/v1/units.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/base/text.h"
#include "tests/support/once.h"
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
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A sanitized agent takes its time to start. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SENDS 160
#else
#define SENDS 1000
#endif
/* Each over a TLS handshake, or a process. */
#define SENDS_TLS   80
#define SENDS_RELAY 40

/* Cases that would see each other's effects live in different houses. */
enum house { PLAIN, PAUSE, UNPAUSE, QUIESCE, BALANCER, HOUSES };

extern char **environ;

/* Names that no other test's processes have. */
#define API_SERVER "kube-apiserver"

/* --- processes that note their signals down ------------------------------------------------------- */

/* This program again: `count FILE NAME` writes "NAME ready" and "NAME SIGNAL" for each signal; the
 * real-time signals are not merged by the kernel, so each is seen. */
static int count_signals(const char *file, const char *name)
{
	sigset_t all;
	int signal;

	prctl(PR_SET_NAME, strncmp(name, "api", 3) == 0 ? API_SERVER : "counter");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	once_note(file, "%s ready", name);
	while (sigwait(&all, &signal) == 0) {
		once_note(file, "%s %d", name, signal);
		if (signal == SIGTERM)
			return 0;
	}
	return 1;
}

static const char *self(void)
{
	static char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	assert_true(len > 0);
	path[len] = '\0';
	return path;
}

static void wait_line(const char *path, const char *first, const char *second)
{
	const char *const words[] = { first, second, NULL };
	struct deadline by = deadline_in_ms(30000);

	while (once_lines(path, words) == 0) {
		assert_false(deadline_is_over(by));
		poll(NULL, 0, 2);
	}
}

/* Starts one and shows it to the agent. */
static pid_t start_counter(struct once_rig *rig, const char *name)
{
	char *argv[] = { (char *)self(), (char *)"count", rig->log, (char *)name, NULL };
	char from[64], to[128];
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, self(), NULL, NULL, argv, environ), 0);
	wait_line(rig->log, name, "ready");
	snprintf(from, sizeof(from), "/proc/%d", (int)pid);
	snprintf(to, sizeof(to), "%s/%d", rig->proc, (int)pid);
	assert_int_equal(symlink(from, to), 0);
	return pid;
}

static void end_counter(struct once_rig *rig, pid_t *pid)
{
	char path[128];

	if (*pid <= 0)
		return;
	snprintf(path, sizeof(path), "%s/%d", rig->proc, (int)*pid);
	unlink(path);
	kill(*pid, SIGKILL);
	assert_int_equal(waitpid(*pid, NULL, 0), *pid);
	*pid = 0;
}

/* --- names ---------------------------------------------------------------------------------------- */

/* A name of its own for each round; some live at a time. */
static char *tag(const char *what, unsigned round)
{
	static char tags[16][64];
	static size_t next;
	char *name = tags[next++ % ARRAY_LEN(tags)];

	snprintf(name, sizeof(tags[0]), "%s-%u", what, round);
	return name;
}

/* A path of the rig's with such a name. */
static char *path_of(const struct once_rig *rig, const char *what, unsigned round)
{
	static char paths[8][160];
	static size_t next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s-%u", rig->dir, what, round);
	return path;
}

/* --- Units ---------------------------------------------------------------------------------------- */

/* The method as the fakes' logs have it. */
static const char *verb_of(const struct once_case *c)
{
	static char verb[32];

	snprintf(verb, sizeof(verb), "%s", c->method);
	verb[0] |= 0x20;
	return verb;
}

/* Each of the four has a unit of its own, whose lines of that verb are counted. */
static unsigned unit_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const char *const words[] = { verb_of(c), c->word, NULL };

	(void)round;
	return once_lines(rig->units_log, words);
}

static void unit_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;

	(void)round;
	req.name = (char *)c->word;
	once_request(rig, &req.base);
}

static void unit_kill_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__UnitKillRequest req = BERTH__NODE__V1__UNIT_KILL_REQUEST__INIT;

	(void)round;
	req.name = (char *)c->word;
	req.signal = SIGKILL;
	once_request(rig, &req.base);
}

/* Also before a round: the call has something to do then. */
static void unit_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__UnitActionRequest req = BERTH__NODE__V1__UNIT_ACTION_REQUEST__INIT;
	const char *opposite = strcmp(c->method, "Start") == 0 ? "Stop" : "Start";

	(void)round;
	req.name = (char *)c->word;
	frames_free(once_call(rig, "Units", opposite, &req.base));
}

/* --- Containers and Images ------------------------------------------------------------------------ */

static const char *effects(const struct once_rig *rig)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/effects", rig->agent->runtime_dir);
	return path;
}

static unsigned effect_count(struct once_rig *rig, const char *verb, const char *what)
{
	const char *const words[] = { verb, what, NULL };

	return once_lines(effects(rig), words);
}

/* A running container, and alone in its pod, of the name "WORD-ROUND" that only the test has made. */
static void make_container(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const char *id = tag(c->word, round);

	once_note(
		effects(rig),
		"create-container u-%s main 0 %s 77 s-%s img:1 l:io.kubernetes.container.name=main "
		"l:io.kubernetes.pod.namespace=other l:io.kubernetes.pod.name=%s "
		"l:io.kubernetes.pod.uid=u-%s",
		id, id, id, id, id);
	once_note(effects(rig), "start %s 78", id);
}

static void make_paused(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	make_container(rig, c, round);
	once_note(effects(rig), "pause %s 79", tag(c->word, round));
}

static void start_container(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(effects(rig), "start %s 80", tag(c->word, round));
}

static void pause_container(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(effects(rig), "pause %s 81", tag(c->word, round));
}

static void unpause_container(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(effects(rig), "unpause %s 82", tag(c->word, round));
}

static void container_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ContainerActionRequest req =
		BERTH__NODE__V1__CONTAINER_ACTION_REQUEST__INIT;
	char *id = tag(c->word, round);

	req.ids = &id;
	req.n_ids = 1;
	req.grace_seconds = 1;
	req.force = true;
	once_request(rig, &req.base);
}

/* A kill is a stop without grace. */
static unsigned container_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const char *verb = verb_of(c);

	if (strcmp(verb, "kill") == 0 || strcmp(verb, "quiesce") == 0)
		verb = "stop";
	else if (strcmp(verb, "delete") == 0)
		verb = "remove";
	return effect_count(rig, verb, tag(c->word, round)) -
	       /* the test's own, by which it undid or prepared */
	       (strcmp(verb, "pause") == 0 ? effect_count(rig, "81", tag(c->word, round)) : 0) -
	       (strcmp(verb, "unpause") == 0 ? effect_count(rig, "82", tag(c->word, round)) : 0);
}

static void pull_image(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(effects(rig), "pull %s 1", tag(c->word, round));
}

static void image_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ImageRemoveRequest req = BERTH__NODE__V1__IMAGE_REMOVE_REQUEST__INIT;

	req.image = tag(c->word, round);
	once_request(rig, &req.base);
}

static unsigned image_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return effect_count(rig, "remove-image", tag(c->word, round));
}

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

/* --- Pods ----------------------------------------------------------------------------------------- */

static Berth__Node__V1__PodApplyRequest *pod_of(const struct once_case *c, unsigned round)
{
	static Berth__Node__V1__PodApplyRequest req = BERTH__NODE__V1__POD_APPLY_REQUEST__INIT;
	static K8s__Core__V1__Pod pod = K8S__CORE__V1__POD__INIT;
	static K8s__Core__V1__ObjectMeta meta = K8S__CORE__V1__OBJECT_META__INIT;
	static K8s__Core__V1__PodSpec spec = K8S__CORE__V1__POD_SPEC__INIT;
	static K8s__Core__V1__Container container = K8S__CORE__V1__CONTAINER__INIT;
	static K8s__Core__V1__Container *containers[] = { &container };

	meta.name = tag(c->word, round);
	container.name = (char *)"main";
	container.image = (char *)"img:1";
	spec.n_containers = 1;
	spec.containers = containers;
	pod.metadata = &meta;
	pod.spec = &spec;
	req.pod = &pod;
	return &req;
}

static void wait_pod(struct once_rig *rig, const struct once_case *c, unsigned round, bool gone)
{
	Berth__Node__V1__PodWaitRequest req = BERTH__NODE__V1__POD_WAIT_REQUEST__INIT;

	req.namespace_ = (char *)"default";
	req.name = tag(c->word, round);
	req.gone = gone;
	frames_free(once_call(rig, "Pods", "Wait", &req.base));
}

static void apply_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_request(rig, &pod_of(c, round)->base);
}

static unsigned apply_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return effect_count(rig, "run-sandbox", tag(c->word, round));
}

static void delete_pod(const struct once_case *c, unsigned round,
		       Berth__Node__V1__PodDeleteRequest *ret)
{
	berth__node__v1__pod_delete_request__init(ret);
	ret->namespace_ = (char *)"default";
	ret->name = tag(c->word, round);
	ret->grace_seconds = -1;
}

static void apply_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__PodDeleteRequest req;

	delete_pod(c, round, &req);
	frames_free(once_call(rig, "Pods", "Delete", &req.base));
	wait_pod(rig, c, round, true);
}

static void delete_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__PodDeleteRequest req;

	delete_pod(c, round, &req);
	once_request(rig, &req.base);
}

/* Also before: a pod of that name runs. */
static void delete_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	wait_pod(rig, c, round, true);
	frames_free(once_call(rig, "Pods", "Apply", &pod_of(c, round)->base));
	wait_pod(rig, c, round, false);
}

/* Sandboxes of that name that were removed. */
static unsigned delete_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	const char *want = tag(c->word, round);
	char line[2048], id[80], name[80];
	FILE *f = fopen(effects(rig), "re");
	unsigned count = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "run-sandbox %*s %*s %79s %*s %79s", id, name) == 2 &&
		    strcmp(name, want) == 0)
			count += effect_count(rig, "remove-sandbox", id);
	}
	if (f)
		fclose(f);
	return count;
}

/* --- Exec and Streams ----------------------------------------------------------------------------- */

static unsigned noted(struct once_rig *rig, const char *name, const char *what)
{
	const char *const words[] = { name, what, NULL };

	return once_lines(rig->log, words);
}

static void exec_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	char script[256], *argv[] = { (char *)"sh", (char *)"-c", script };

	snprintf(script, sizeof(script), "echo %s ran >>%s", tag(c->word, round), rig->log);
	req.argv = argv;
	req.n_argv = 3;
	once_request(rig, &req.base);
}

static unsigned exec_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return noted(rig, tag(c->word, round), "ran");
}

/* Of the session whose command notes its signals down. */
static uint8_t signal_stream[16];

static void signal_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ExecStartRequest req = BERTH__NODE__V1__EXEC_START_REQUEST__INIT;
	char *name = tag(c->word, round);
	char *argv[] = { (char *)self(), (char *)"count", rig->log, name };
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
	wait_line(rig->log, name, "ready");
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
	return noted(rig, tag(c->word, round), "40");
}

/* --- Processes ------------------------------------------------------------------------------------ */

static pid_t victim, server;

static void victim_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	end_counter(rig, &victim);
	victim = start_counter(rig, tag(c->word, round));
}

static void victim_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__ProcessKillRequest req = BERTH__NODE__V1__PROCESS_KILL_REQUEST__INIT;

	(void)c;
	(void)round;
	req.pid = (uint32_t)victim;
	req.signal = 40;
	once_request(rig, &req.base);
}

static void server_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	end_counter(rig, &server);
	server = start_counter(rig, tag(c->word, round));
}

static void server_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__KillApiServerRequest req = BERTH__NODE__V1__KILL_API_SERVER_REQUEST__INIT;

	(void)c;
	(void)round;
	req.grace_millis = 20000;
	once_request(rig, &req.base);
}

static char *second_server(const struct once_case *c, unsigned round)
{
	return tag(c->word, round + 100);
}

/* Another has been started meanwhile. */
static void server_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	end_counter(rig, &server);
	server = start_counter(rig, second_server(c, round));
}

static unsigned server_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return noted(rig, tag(c->word, round), "15") + noted(rig, second_server(c, round), "15");
}

/* --- Files ---------------------------------------------------------------------------------------- */

static void in_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	assert_int_equal(mkdir(path_of(rig, c->word, round), 0755), 0);
}

static void in_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__FileCopyInRequest req = BERTH__NODE__V1__FILE_COPY_IN_REQUEST__INIT;

	req.directory = path_of(rig, c->word, round);
	once_request(rig, &req.base);
}

static unsigned in_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return noted(rig, "in", path_of(rig, c->word, round));
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
	snprintf(path, sizeof(path), "%s/file", path_of(rig, c->word, round));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
}

static void out_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	once_note(path_of(rig, c->word, round), "content");
}

static void out_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__FileCopyOutRequest req = BERTH__NODE__V1__FILE_COPY_OUT_REQUEST__INIT;

	req.path = path_of(rig, c->word, round);
	once_request(rig, &req.base);
}

static unsigned out_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return noted(rig, "out", path_of(rig, c->word, round));
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
	len += snprintf(path + len, sizeof(path) - (size_t)len, "/other_%s_u", tag(c->word, round));
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
	target.pod = tag(c->word, round);
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

static void joiner_start(struct once_rig *rig)
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

static void joiner_stop(void)
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
	target.pod = tag(c->word, round);
	req.target = &target;
	once_request(rig, &req.base);
}

static unsigned attach_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	return noted(rig, "join", tag(c->word, round));
}

/* --- the whole node ------------------------------------------------------------------------------- */

static void set_paused(struct once_rig *rig, const char *method)
{
	Berth__Node__V1__PauseRequest req = BERTH__NODE__V1__PAUSE_REQUEST__INIT;

	frames_free(once_call(rig, "Lifecycle", method, &req.base));
}

static void node_prepare(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	if (strcmp(c->method, "Pause") == 0)
		set_paused(rig, "Unpause");
	make_container(rig, c, round);
	if (strcmp(c->method, "Unpause") == 0)
		set_paused(rig, "Pause");
}

static void node_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	if (strcmp(c->method, "Quiesce") == 0)
		start_container(rig, c, round);
	else
		set_paused(rig, strcmp(c->method, "Pause") == 0 ? "Unpause" : "Pause");
}

static void pause_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__PauseRequest req = BERTH__NODE__V1__PAUSE_REQUEST__INIT;

	(void)c;
	(void)round;
	once_request(rig, &req.base);
}

static void quiesce_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	Berth__Node__V1__QuiesceRequest req = BERTH__NODE__V1__QUIESCE_REQUEST__INIT;

	(void)c;
	(void)round;
	req.grace_seconds = 1;
	once_request(rig, &req.base);
}

static const ProtobufCMessage *balancer_for(unsigned port)
{
	static Berth__Node__V1__BalancerSetRequest req =
		BERTH__NODE__V1__BALANCER_SET_REQUEST__INIT;
	static Berth__Node__V1__BalancerBackend backend = BERTH__NODE__V1__BALANCER_BACKEND__INIT;
	static Berth__Node__V1__BalancerBackend *backends[] = { &backend };

	backend.name = (char *)"cp";
	backend.address = (char *)"10.0.0.2";
	backend.port = 6443;
	req.listen_port = port;
	req.backends = backends;
	req.n_backends = 1;
	return &req.base;
}

#define PORT(round) (7000 + (round))

static void balancer_request(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	(void)c;
	once_request(rig, balancer_for(PORT(round)));
}

static void balancer_undo(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	(void)c;
	frames_free(once_call(rig, "LoadBalancers", "Set", balancer_for(PORT(round) + 100)));
}

/* A configuration that takes effect has been checked, and the checker has noted its port. */
static unsigned balancer_count(struct once_rig *rig, const struct once_case *c, unsigned round)
{
	char port[16];

	(void)c;
	snprintf(port, sizeof(port), "%u", PORT(round));
	return noted(rig, "checked", port);
}

/* --- the table ------------------------------------------------------------------------------------ */

static const struct once_case cases[] = {
	{ .service = "Units",
	  .method = "Start",
	  .word = "haproxy.service",
	  .prepare = unit_undo,
	  .request = unit_request,
	  .count = unit_count,
	  .undo = unit_undo },
	{ .service = "Units",
	  .method = "Stop",
	  .word = "berthd.service",
	  .prepare = unit_undo,
	  .request = unit_request,
	  .count = unit_count,
	  .undo = unit_undo },
	{ .service = "Units",
	  .method = "Restart",
	  .word = "containerd.service",
	  .request = unit_request,
	  .count = unit_count },
	{ .service = "Units",
	  .method = "Kill",
	  .word = "kubelet.service",
	  .request = unit_kill_request,
	  .count = unit_count },
	{ .service = "Containers",
	  .method = "Stop",
	  .word = "c-stop",
	  .prepare = make_container,
	  .request = container_request,
	  .count = container_count,
	  .undo = start_container },
	{ .service = "Containers",
	  .method = "Kill",
	  .word = "c-kill",
	  .prepare = make_container,
	  .request = container_request,
	  .count = container_count,
	  .undo = start_container },
	{ .service = "Containers",
	  .method = "Pause",
	  .word = "c-pause",
	  .prepare = make_container,
	  .request = container_request,
	  .count = container_count,
	  .undo = unpause_container },
	{ .service = "Containers",
	  .method = "Unpause",
	  .word = "c-unpause",
	  .prepare = make_paused,
	  .request = container_request,
	  .count = container_count,
	  .undo = pause_container },
	{ .service = "Containers",
	  .method = "Delete",
	  .word = "c-delete",
	  .prepare = make_container,
	  .request = container_request,
	  .count = container_count,
	  .undo = make_container },
	{ .service = "Images",
	  .method = "Remove",
	  .word = "img",
	  .prepare = pull_image,
	  .request = image_request,
	  .count = image_count,
	  .undo = pull_image },
	{ .service = "Images",
	  .method = "Load",
	  .request = load_request,
	  .count = load_count,
	  .opens = true,
	  .live = true },
	{ .service = "Pods",
	  .method = "Apply",
	  .word = "p-apply",
	  .request = apply_request,
	  .count = apply_count,
	  .undo = apply_undo },
	{ .service = "Pods",
	  .method = "Delete",
	  .word = "p-delete",
	  .prepare = delete_undo,
	  .request = delete_request,
	  .count = delete_count,
	  .undo = delete_undo,
	  .may_miss = true },
	{ .service = "Exec",
	  .method = "Start",
	  .word = "exec",
	  .request = exec_request,
	  .count = exec_count,
	  .opens = true },
	{ .service = "Exec",
	  .method = "Attach",
	  .word = "attach",
	  .prepare = make_container,
	  .request = attach_request,
	  .count = attach_count,
	  .opens = true },
	{ .service = "Streams",
	  .method = "Signal",
	  .word = "signal",
	  .prepare = signal_prepare,
	  .request = signal_request,
	  .count = signal_count,
	  .may_miss = true },
	{ .service = "Processes",
	  .method = "Kill",
	  .word = "victim",
	  .prepare = victim_prepare,
	  .request = victim_request,
	  .count = signal_count },
	{ .service = "Processes",
	  .method = "KillApiServer",
	  .word = "api",
	  .prepare = server_prepare,
	  .request = server_request,
	  .count = server_count,
	  .undo = server_undo },
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
	{ .service = "Lifecycle",
	  .method = "Pause",
	  .house = PAUSE,
	  .word = "n-pause",
	  .prepare = node_prepare,
	  .request = pause_request,
	  .count = container_count,
	  .undo = node_undo },
	{ .service = "Lifecycle",
	  .method = "Unpause",
	  .house = UNPAUSE,
	  .word = "n-unpause",
	  .prepare = node_prepare,
	  .request = pause_request,
	  .count = container_count,
	  .undo = node_undo },
	{ .service = "Lifecycle",
	  .method = "Quiesce",
	  .house = QUIESCE,
	  .word = "n-quiesce",
	  .prepare = node_prepare,
	  .request = quiesce_request,
	  .count = container_count,
	  .undo = node_undo },
	{ .service = "LoadBalancers",
	  .method = "Set",
	  .house = BALANCER,
	  .request = balancer_request,
	  .count = balancer_count,
	  .undo = balancer_undo,
	  .per_life = true },
};

/* --- tests ---------------------------------------------------------------------------------------- */

static const struct once_case *find_case(const char *service, const char *method)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (strcmp(cases[i].service, service) == 0 && strcmp(cases[i].method, method) == 0)
			return &cases[i];
	}
	return NULL;
}

/* S8, F20, G8: the generated table is the list of what has to be tried */
static void every_call_that_changes_something_has_a_case(void **state)
{
	static const struct {
		const char *service, *method;
		enum method_effect effect;
	} methods[] = {
#define METHOD(service, method, effect, role) { service, method, effect },
#include "methods.inc"
#undef METHOD
	};
	const size_t package = strlen("berth.node.v1.");
	size_t changing = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		const struct once_case *c =
			find_case(methods[i].service + package, methods[i].method);

		changing += methods[i].effect != METHOD_READS;
		if ((methods[i].effect != METHOD_READS) != (c != NULL))
			fail_msg("%s.%s %s", methods[i].service, methods[i].method,
				 c ? "changes nothing, but has a case here"
				   : "changes something, and has no case here");
		if (c && !c->count && !c->opens)
			fail_msg("%s.%s: its effect is not counted", c->service, c->method);
		if (c && c->per_life && methods[i].effect == METHOD_ONCE)
			fail_msg("%s.%s must not happen twice", c->service, c->method);
	}
	assert_int_equal(changing, ARRAY_LEN(cases));
}

static struct once_rig rig;
static bool joins;

static void open_house(enum once_way way, enum house house)
{
	static const char *const no_runtime[] = { "--runtime", "none:-", NULL };
	char text[256];

	once_setup(&rig);
	if (house == BALANCER) {
		snprintf(text, sizeof(text),
			 "sed -n 's/^ *bind .*:\\([0-9]*\\)$/checked \\1/p' \"$4\" >>%s", rig.log);
		once_script(&rig, "haproxy", text);
		setenv("BERTH_ROLE", "external-load-balancer", 1);
	}
	once_start(&rig, way, house == BALANCER ? no_runtime : NULL);
	if (house == PLAIN)
		joiner_start(&rig);
	joins = house == PLAIN;
}

static void close_house(void)
{
	if (joins)
		joiner_stop();
	joins = false;
	end_counter(&rig, &victim);
	end_counter(&rig, &server);
	if (rig.dir[0])
		once_stop(&rig);
}

/* cmocka's: what a failure has left. */
static int tear_down(void **state)
{
	(void)state;
	close_house();
	return 0;
}

static void try_houses(enum once_way way, unsigned sends)
{
	unsigned all = 0, kills = 0, unknown = 0;

	for (int house = 0; house < HOUSES; house++) {
		open_house(way, (enum house)house);
		once_run(&rig, cases, ARRAY_LEN(cases), house, sends);
		all += rig.sends;
		kills += rig.life;
		unknown += rig.unknown;
		close_house();
	}
	print_message("%u sends, the agent killed %u times, %u outcomes unknown\n", all, kills,
		      unknown);
}

static unsigned scaled(unsigned sends)
{
	const char *words = getenv("BERTH_ONCE");
	unsigned wanted = words ? (unsigned)strtoul(words, NULL, 10) : 0;

	return wanted ? (sends * wanted + SENDS - 1) / SENDS : sends;
}

/* S8, F1, F20, G8 */
static void sent_a_thousand_times_each_is_done_once(void **state)
{
	(void)state;
	try_houses(ONCE_IPC, scaled(SENDS));
}

/* S8, F20, D7 */
static void over_tls_each_is_done_once(void **state)
{
	(void)state;
	try_houses(ONCE_TLS, scaled(SENDS_TLS));
}

/* S8, F20, D7 */
static void over_a_relay_each_is_done_once(void **state)
{
	(void)state;
	try_houses(ONCE_RELAY, scaled(SENDS_RELAY));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_that_changes_something_has_a_case),
		cmocka_unit_test_teardown(sent_a_thousand_times_each_is_done_once, tear_down),
		cmocka_unit_test_teardown(over_tls_each_is_done_once, tear_down),
		cmocka_unit_test_teardown(over_a_relay_each_is_done_once, tear_down),
	};

	if (argc == 4 && strcmp(argv[1], "count") == 0)
		return count_signals(argv[2], argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
