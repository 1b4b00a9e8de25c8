#include "tests/support/once.h"

#include "controller/client/channel_relay.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/streams.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/base/file.h"
#include "shared/base/text.h"
#include "shared/wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASES_MAX 32
#define WAIT_MS   30000
/* Connections at a time; a bridge has 16. */
#define BURST 12
/* Calls that share a connection. */
#define TOGETHER 4

/* What has become of a case in a round. */
struct fate {
	const struct once_case *c;
	uint8_t *request; /* packed */
	size_t request_len;
	unsigned before; /* effects seen before it was sent */
	char service[64];
	uint8_t id[WIRE_CALL_ID_BYTES];
	unsigned sends;
	unsigned kills;  /* of the agent, before there was an answer */
	unsigned caught; /* those of them that came when it had been sent */
	struct frames_reply *answer;
	unsigned life; /* of the agent, when the answer came */
};

/* --- small things --------------------------------------------------------------------------------- */

static unsigned dice(struct once_rig *rig, unsigned sides)
{
	return (unsigned)rand_r(&rig->random) % sides;
}

void once_note(const char *path, const char *fmt, ...)
{
	char line[512];
	va_list args;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600), len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	assert_true(fd >= 0 && len > 0 && len < (int)sizeof(line) - 1);
	line[len++] = '\n';
	assert_int_equal(write(fd, line, (size_t)len), len);
	close(fd);
}

static bool has_word(const char *line, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = line; (at = strstr(at, word)); at++) {
		if ((at == line || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\n'))
			return true;
	}
	return false;
}

unsigned once_lines(const char *path, const char *const *words)
{
	unsigned count = 0;
	char line[2048];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		size_t i = 0;

		while (words[i] && has_word(line, words[i]))
			i++;
		count += !words[i];
	}
	if (f)
		fclose(f);
	return count;
}

void once_script(const struct once_rig *rig, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", rig->bin, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fprintf(f, "#!/bin/sh\n%s\n", text) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

/* A name of its own for each round; some live at a time. */
char *once_tag(const char *what, unsigned round)
{
	static char tags[16][64];
	static size_t next;
	char *name = tags[next++ % ARRAY_LEN(tags)];

	snprintf(name, sizeof(tags[0]), "%s-%u", what, round);
	return name;
}

/* A path of the rig's with such a name. */
char *once_path(const struct once_rig *rig, const char *what, unsigned round)
{
	static char paths[8][160];
	static size_t next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s-%u", rig->dir, what, round);
	return path;
}

unsigned once_noted(struct once_rig *rig, const char *name, const char *what)
{
	const char *const words[] = { name, what, NULL };

	return once_lines(rig->log, words);
}

const char *once_self(void)
{
	static char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	assert_true(len > 0);
	path[len] = '\0';
	return path;
}

void once_wait_line(const char *path, const char *first, const char *second)
{
	const char *const words[] = { first, second, NULL };
	struct deadline by = deadline_in_ms(30000);

	while (once_lines(path, words) == 0) {
		assert_false(deadline_is_over(by));
		poll(NULL, 0, 2);
	}
}

/* --- the agent ------------------------------------------------------------------------------------ */

/* The agent looks for its helpers where it lies itself, so a copy of it finds the test's. */
static void copy_agent(const struct once_rig *rig, const char *from)
{
	cleanup_free char *front = text_format("%s-front", from);
	char path[PATH_MAX], text[2 * PATH_MAX];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	struct stat st;
	off_t at = 0;

	snprintf(path, sizeof(path), "%s/berthd", rig->bin);
	out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_true(in >= 0 && out >= 0 && fstat(in, &st) == 0);
	while (at < st.st_size)
		assert_true(sendfile(out, in, &at, (size_t)(st.st_size - at)) > 0);
	close(in);
	close(out);
	snprintf(text, sizeof(text), "echo \"copy $1 $3\" >>%s\nexec %s-copy \"$@\"", rig->log,
		 from);
	once_script(rig, "berthd-copy", text);
	snprintf(path, sizeof(path), "%s/berthd-front", rig->bin);
	assert_int_equal(symlink(front, path), 0);
}

void once_setup(struct once_rig *rig)
{
	static char original[PATH_MAX];
	char text[1024];

	memset(rig, 0, sizeof(*rig));
	rig->random = 1;
	if (!original[0])
		snprintf(original, sizeof(original), "%s", agent_process_binary());
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/berth-once-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->bin, sizeof(rig->bin), "%s/bin", rig->dir);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->dir);
	snprintf(rig->units_log, sizeof(rig->units_log), "%s/units", rig->dir);
	snprintf(rig->proc, sizeof(rig->proc), "%s/proc", rig->dir);
	assert_int_equal(mkdir(rig->bin, 0755), 0);
	assert_int_equal(mkdir(rig->proc, 0755), 0);
	copy_agent(rig, original);
	once_script(rig, "sync", "exit 0");
	snprintf(rig->path, sizeof(rig->path), "%s", getenv("PATH"));
	snprintf(text, sizeof(text), "%s:%s", rig->bin, rig->path);
	setenv("PATH", text, 1);
	snprintf(text, sizeof(text), "%s/berthd", rig->bin);
	setenv("BERTHD", text, 1);
	setenv("BERTH_FAKE_KUBELET", "inactive", 1);
	setenv("BERTH_FAKE_EFFECTS", rig->units_log, 1);
	setenv("BERTH_FAKE_PROC", rig->proc, 1);
}

static void open_relay(struct once_rig *rig)
{
	cleanup_with(strv) struct strv argv = { 0 };
	struct err err;

	strv_add(&argv, agent_process_binary());
	strv_add(&argv, "relay");
	strv_add(&argv, "--socket");
	strv_add(&argv, rig->agent->socket);
	assert_int_equal(channel_relay_open(&argv, &rig->bridge, &err), 0);
}

void once_start(struct once_rig *rig, enum once_way way, const char *const *args)
{
	static const char *const hurried[] = { "--handshakes", "100000", NULL };

	rig->agent = &rig->front.agent;
	if (way == ONCE_TLS) {
		front_rig_start_with(&rig->front, hurried, args);
		rig->bridge = front_rig_bridge(&rig->front, NULL, "admin");
	} else {
		agent_process_start_with(rig->agent, args, NULL);
		if (way == ONCE_RELAY)
			open_relay(rig);
	}
	rig->socket = rig->bridge ? bridge_path(rig->bridge) : rig->agent->socket;
}

void once_stop(struct once_rig *rig)
{
	static const char *const names[] = { "BERTHD", "BERTH_FAKE_KUBELET", "BERTH_FAKE_EFFECTS",
					     "BERTH_FAKE_PROC", "BERTH_ROLE" };
	struct err err;

	bridge_close(rig->bridge);
	if (rig->front.dir[0])
		front_rig_stop(&rig->front);
	else if (rig->agent)
		agent_process_discard(rig->agent);
	setenv("PATH", rig->path, 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
	file_remove_tree(rig->dir, &err);
	rig->dir[0] = '\0';
}

/* --- calls ---------------------------------------------------------------------------------------- */

/* Until somebody is there. */
static int dial(struct once_rig *rig, const char *socket)
{
	struct deadline by = deadline_in_ms(WAIT_MS);
	char line[512];
	FILE *log;
	int fd;

	while ((fd = frames_try_open(socket)) < 0) {
		if (!deadline_is_over(by)) {
			poll(NULL, 0, 2);
			continue;
		}
		log = fopen(rig->agent->log, "re");
		while (log && fgets(line, sizeof(line), log))
			print_message("berthd: %s", line);
		fail_msg("nobody answers at '%s'; the agent %s", socket,
			 waitpid(rig->agent->pid, NULL, WNOHANG) ? "has died" : "runs");
	}
	return fd;
}

static void kill_agent(struct once_rig *rig)
{
	agent_process_kill(rig->agent);
	agent_process_respawn(rig->agent);
	rig->life++;
	rig->sessions = 0;
	/* A bridge holds a connection that failed for some seconds, so none is made in vain. */
	close(dial(rig, rig->agent->socket));
}

void once_request(struct once_rig *rig, const ProtobufCMessage *req)
{
	rig->request_len = protobuf_c_message_get_packed_size(req);
	rig->request = malloc(rig->request_len + 1);
	assert_non_null(rig->request);
	protobuf_c_message_pack(req, rig->request);
}

static int code_of(const struct frames_reply *r)
{
	return (int)r->reply->status->code;
}

struct frames_reply *once_call(struct once_rig *rig, const char *service, const char *method,
			       const ProtobufCMessage *req)
{
	uint8_t id[WIRE_CALL_ID_BYTES];
	struct frames_reply *r;
	char name[64];
	int fd = dial(rig, rig->agent->socket);

	snprintf(name, sizeof(name), "berth.node.v1.%s", service);
	assert_int_equal(getrandom(id, sizeof(id), 0), sizeof(id));
	frames_ask(fd, 1, id, name, method, req, WAIT_MS);
	r = frames_answer(fd, WAIT_MS);
	close(fd);
	assert_non_null(r);
	if (code_of(r) != ERR_OK)
		fail_msg("%s.%s: %s", service, method, r->reply->status->message);
	return r;
}

static void ask_on(struct once_rig *rig, struct fate *f, int fd, uint32_t request_id)
{
	frames_ask_packed(fd, request_id, f->id, f->service, f->c->method, f->request,
			  f->request_len, WAIT_MS);
	f->sends++;
	rig->sends++;
}

static int ask(struct once_rig *rig, struct fate *f)
{
	int fd = dial(rig, rig->socket);

	ask_on(rig, f, fd, 1);
	return fd;
}

/* Something that says nothing of the call: it has not begun, or goes on. */
static bool says_later(const struct frames_reply *r)
{
	return code_of(r) == ERR_RESOURCE_EXHAUSTED || code_of(r) == ERR_UNAVAILABLE;
}

static bool is_unknown(const struct frames_reply *r)
{
	return strcmp(r->reply->status->reason, "OUTCOME_UNKNOWN") == 0;
}

/* The first answer, which has to be one that was promised. */
static void keep_answer(struct once_rig *rig, struct fate *f, struct frames_reply *r)
{
	const struct once_case *c = f->c;
	bool fine = code_of(r) == ERR_OK;

	if (is_unknown(r)) {
		fine = f->caught > 0 && method_effect(f->service, c->method) == METHOD_ONCE;
		rig->unknown++;
	} else if (code_of(r) == ERR_NOT_FOUND) {
		fine = f->kills > 0 && c->may_miss;
	}
	if (!fine)
		fail_msg("%s.%s: %s", c->service, c->method, r->reply->status->message);
	f->answer = r;
	f->life = rig->life;
	rig->sessions += c->opens && code_of(r) == ERR_OK;
}

/* What is remembered is the same bit for bit; that nothing is known is said anew each time. */
static bool is_same(const struct frames_reply *a, const struct frames_reply *b)
{
	if (is_unknown(a))
		return is_unknown(b);
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Takes 'r' over; the first answer of a case, or the same again. False: it is none. */
static bool take(struct once_rig *rig, struct fate *f, struct frames_reply *r)
{
	bool is_answer = r && !says_later(r);

	if (is_answer && !f->answer) {
		keep_answer(rig, f, r);
		return true;
	}
	if (is_answer && !is_same(f->answer, r))
		fail_msg("%s.%s: another answer: %s", f->c->service, f->c->method,
			 r->reply->status->message);
	frames_free(r);
	return is_answer;
}

/* The answer on 'fd', which is closed. False: there was none. */
static bool take_answer(struct once_rig *rig, struct fate *f, int fd)
{
	struct frames_reply *r = frames_answer(fd, WAIT_MS);

	close(fd);
	return take(rig, f, r);
}

/* --- a round -------------------------------------------------------------------------------------- */

static unsigned count_of(struct once_rig *rig, const struct fate *f, unsigned round)
{
	return f->c->count(rig, f->c, round) - f->before;
}

static void forget(struct fate *f)
{
	frames_free(f->answer);
	free(f->request);
	*f = (struct fate){ .c = f->c, .sends = f->sends };
}

static void begin_round(struct once_rig *rig, struct fate *fates, size_t count, unsigned round)
{
	for (size_t i = 0; i < count; i++) {
		struct fate *f = &fates[i];

		forget(f);
		snprintf(f->service, sizeof(f->service), "berth.node.v1.%s", f->c->service);
		assert_int_equal(getrandom(f->id, sizeof(f->id), 0), sizeof(f->id));
		if (f->c->prepare)
			f->c->prepare(rig, f->c, round);
		f->before = f->c->count && !f->c->live ? f->c->count(rig, f->c, round) : 0;
		f->c->request(rig, f->c, round);
		f->request = TAKE(rig->request);
		f->request_len = rig->request_len;
	}
}

/* Some all at once; then the agent is killed if so wanted, at any moment, else some hang up. */
static void burst(struct once_rig *rig, struct fate *fates, size_t count, bool deadly)
{
	size_t size = count < BURST ? count : BURST, first = dice(rig, (unsigned)count);
	size_t heard = deadly ? dice(rig, (unsigned)size + 1) : 0;
	int fds[BURST];

	for (size_t i = 0; i < size; i++)
		fds[i] = ask(rig, &fates[(first + i) % count]);
	if (deadly)
		poll(NULL, 0, (int)dice(rig, 3));
	for (size_t i = 0; i < size; i++) {
		if (deadly ? i >= heard : dice(rig, 2) == 0)
			continue;
		take_answer(rig, &fates[(first + i) % count], fds[i]);
		fds[i] = -1;
	}
	if (deadly)
		kill_agent(rig);
	for (size_t i = 0; i < count; i++) {
		struct fate *f = &fates[(first + i) % count];

		f->kills += deadly && !f->answer;
		f->caught += deadly && !f->answer && i < size;
		if (i < size && fds[i] >= 0)
			close(fds[i]);
	}
}

/* What was acknowledged may take a moment. */
static void wait_done(struct once_rig *rig, const struct fate *f, unsigned round)
{
	struct deadline by = deadline_in_ms(WAIT_MS);

	while (count_of(rig, f, round) == 0) {
		if (deadline_is_over(by))
			fail_msg("%s.%s: acknowledged, but not done", f->c->service, f->c->method);
		poll(NULL, 0, 2);
	}
}

static void use_session(struct once_rig *rig, const struct fate *f, unsigned round)
{
	const ProtobufCBinaryData *payload = &f->answer->reply->payload;
	Berth__Node__V1__StreamOpened *opened =
		berth__node__v1__stream_opened__unpack(NULL, payload->len, payload->data);

	assert_non_null(opened);
	assert_int_equal(opened->stream_id.len, 16);
	rig->opened = opened->stream_id.data;
	if (f->c->use)
		f->c->use(rig, f->c, round);
	berth__node__v1__stream_opened__free_unpacked(opened, NULL);
}

/* Whether what was acknowledged is of this life: an answer may be the journal's, of an earlier one. */
static bool is_of_this_life(const struct once_rig *rig, const struct fate *f)
{
	return f->life == rig->life && f->caught == 0;
}

static void settle(struct once_rig *rig, struct fate *f, unsigned round)
{
	struct deadline by = deadline_in_ms(WAIT_MS);
	const struct once_case *c = f->c;
	bool lives;

	while (!f->answer) {
		if (deadline_is_over(by))
			fail_msg("%s.%s: no answer", c->service, c->method);
		if (!take_answer(rig, f, ask(rig, f)))
			poll(NULL, 0, 1);
	}
	if (code_of(f->answer) != ERR_OK)
		return;
	lives = is_of_this_life(rig, f);
	if (c->count && (lives || (!c->live && !c->fleeting)))
		wait_done(rig, f, round);
	if (c->opens && lives)
		use_session(rig, f, round);
	if (c->undo)
		c->undo(rig, c, round);
}

/* Each again, some at a time over a new connection; one in four does not wait for the answers. */
static void send_again(struct once_rig *rig, struct fate *fates, size_t count)
{
	struct frames_reply *r;
	int fd = dial(rig, rig->socket);

	for (size_t i = 0; i < count; i++)
		ask_on(rig, &fates[i], fd, (uint32_t)i);
	for (size_t i = dice(rig, 4) ? 0 : count; i < count; i++) {
		r = frames_answer(fd, WAIT_MS);
		if (!r || r->request_id >= count)
			fail_msg("%s.%s or a call beside it: no answer", fates[0].c->service,
				 fates[0].c->method);
		take(rig, &fates[r->request_id], r);
	}
	close(fd);
}

static void check_count(struct once_rig *rig, const struct fate *f, unsigned round)
{
	const struct once_case *c = f->c;
	bool done = code_of(f->answer) == ERR_OK;
	unsigned seen = c->count ? count_of(rig, f, round) : done, least = done, most = 1;

	if ((c->live || c->fleeting) && !is_of_this_life(rig, f))
		least = 0;
	else if (c->per_life)
		most += f->caught;
	if (seen < least || seen > most)
		fail_msg("%s.%s, round %u: sent %u times, done %u times; acknowledged: %d",
			 c->service, c->method, round, f->sends, seen, done);
}

static void take_metrics(struct once_rig *rig, unsigned long *ret_sessions)
{
	Berth__Node__V1__HealthMetricsRequest req = BERTH__NODE__V1__HEALTH_METRICS_REQUEST__INIT;
	struct frames_reply *r = once_call(rig, "Health", "Metrics", &req.base);
	Berth__Node__V1__HealthMetricsReply *metrics =
		berth__node__v1__health_metrics_reply__unpack(NULL, r->reply->payload.len,
							      r->reply->payload.data);
	const char *at;

	assert_non_null(metrics);
	at = strstr(metrics->text, "\nberth_agent_streams ");
	assert_non_null(at);
	*ret_sessions = strtoul(strchr(at, ' '), NULL, 10);
	berth__node__v1__health_metrics_reply__free_unpacked(metrics, NULL);
	frames_free(r);
}

/* However often it was asked for, a session was opened once. */
static void check_sessions(struct once_rig *rig)
{
	unsigned long now;

	take_metrics(rig, &now);
	if (now > rig->sessions)
		fail_msg("%lu sessions are open, %u were asked for", now, rig->sessions);
}

static void run_round(struct once_rig *rig, struct fate *fates, size_t count, unsigned round,
		      unsigned sends)
{
	begin_round(rig, fates, count, round);
	burst(rig, fates, count, round % 2 == 1);
	for (size_t i = 0; i < count; i++)
		settle(rig, &fates[i], round);
	for (unsigned n = 0; n < sends; n++) {
		if (n == sends / 2) {
			check_sessions(rig);
			burst(rig, fates, count, true);
		}
		for (size_t i = 0; i < count; i += TOGETHER)
			send_again(rig, &fates[i], count - i < TOGETHER ? count - i : TOGETHER);
	}
	/* The last word is waited for: what was sent before it has been dealt with. */
	for (size_t i = 0; i < count; i++)
		assert_true(take_answer(rig, &fates[i], ask(rig, &fates[i])));
	check_sessions(rig);
	for (size_t i = 0; i < count; i++)
		check_count(rig, &fates[i], round);
}

void once_run(struct once_rig *rig, const struct once_case *cases, size_t count, int house,
	      unsigned sends)
{
	struct fate fates[CASES_MAX] = { { 0 } };
	unsigned rounds;
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		assert_true(used < CASES_MAX);
		if (cases[i].house == house)
			fates[used++].c = &cases[i];
	}
	assert_true(used > 0);
	rounds = sends / 8 + 1 < ONCE_ROUNDS ? sends / 8 + 1 : ONCE_ROUNDS;
	for (unsigned round = 0; round < rounds; round++)
		run_round(rig, fates, used, round, (sends + rounds - 1) / rounds);
	for (size_t i = 0; i < used; i++) {
		assert_true(fates[i].sends >= sends);
		forget(&fates[i]);
	}
}
