#include "tests/support/pid1.h"

#include "shared/base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME    "org.freedesktop.systemd1"
#define PATH    "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define PEERS   16

struct pid1 {
	struct sd_event *loop;
	enum pid1_habit habit;
	int fd;
	sd_event_source *listen_source;
	sd_bus *peers[PEERS];
	int silent_fds[PEERS];
	sd_event_source *hang_up_source;
	bool is_active;
	bool wants_active;
	uint32_t job; /* 0: none is running */
	uint32_t last_job;
	struct {
		char method[32];
		unsigned count;
	} calls[16];
};

static const char *job_path(uint32_t job)
{
	static char path[64];

	snprintf(path, sizeof(path), PATH "/job/%u", job);
	return path;
}

static void count_call(struct pid1 *p, const char *method)
{
	size_t i = 0;

	while (*p->calls[i].method && strcmp(p->calls[i].method, method) != 0)
		assert_true(++i < ARRAY_LEN(p->calls));
	snprintf(p->calls[i].method, sizeof(p->calls[i].method), "%s", method);
	p->calls[i].count++;
}

unsigned pid1_calls(const struct pid1 *p, const char *method)
{
	for (size_t i = 0; i < ARRAY_LEN(p->calls); i++) {
		if (strcmp(p->calls[i].method, method) == 0)
			return p->calls[i].count;
	}
	return 0;
}

/* --- jobs ------------------------------------------------------------------------------------- */

void pid1_end_job(struct pid1 *p, const char *result)
{
	uint32_t job = p->job;

	if (strcmp(result, "done") == 0)
		p->is_active = p->wants_active;
	p->job = 0;
	for (size_t i = 0; i < PEERS && p->habit != PID1_LOSES_SIGNALS; i++) {
		if (!p->peers[i])
			continue;
		assert_true(sd_bus_emit_signal(p->peers[i], PATH, MANAGER, "JobRemoved", "uoss",
					       job, job_path(job), "x.service", result) >= 0);
	}
}

static int answer_job(struct pid1 *p, sd_bus_message *m, bool wants_active)
{
	uint32_t job = p->job = ++p->last_job;
	int r;

	p->wants_active = wants_active;
	if (p->habit == PID1_SIGNAL_FIRST)
		pid1_end_job(p, "done");
	r = sd_bus_reply_method_return(m, "o", job_path(job));
	if (p->habit == PID1_HONEST || p->habit == PID1_LOSES_SIGNALS)
		pid1_end_job(p, "done");
	return r;
}

/* --- states ----------------------------------------------------------------------------------- */

static int append_unit(struct pid1 *p, sd_bus_message *reply, const char *name)
{
	bool known = strcmp(name, "x.service") == 0;
	bool active = known && p->is_active;

	return sd_bus_message_append(reply, "(ssssssouso)", name, "A unit",
				     known ? "loaded" : "not-found", active ? "active" : "inactive",
				     active ? "running" : "dead", "", "/unit", 0, "", "/");
}

static int answer_list(struct pid1 *p, sd_bus_message *m)
{
	__attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
	const char *name;

	assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
	assert_true(sd_bus_message_open_container(reply, 'a', "(ssssssouso)") >= 0);
	assert_true(sd_bus_message_enter_container(m, 'a', "s") >= 0);
	while (sd_bus_message_read(m, "s", &name) > 0)
		assert_true(append_unit(p, reply, name) >= 0);
	assert_true(sd_bus_message_close_container(reply) >= 0);
	return sd_bus_message_send(reply);
}

static int answer_get(struct pid1 *p, sd_bus_message *m)
{
	const char *interface, *property;

	assert_true(sd_bus_message_read(m, "ss", &interface, &property) > 0);
	if (strcmp(property, "MainPID") == 0)
		return sd_bus_reply_method_return(m, "v", "u", p->is_active ? 42 : 0);
	if (strcmp(property, "ActiveEnterTimestamp") == 0)
		return sd_bus_reply_method_return(m, "v", "t", (uint64_t)1);
	if (strcmp(property, "UnitFileState") == 0)
		return sd_bus_reply_method_return(m, "v", "s", "enabled");
	if (strcmp(property, "SystemState") == 0)
		return sd_bus_reply_method_return(m, "v", "s", "running");
	if (p->job && strcmp(sd_bus_message_get_path(m), job_path(p->job)) == 0)
		return sd_bus_reply_method_return(m, "v", "s", "running");
	return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_OBJECT, "no such object");
}

/* --- connections ------------------------------------------------------------------------------ */

void pid1_hang_up(struct pid1 *p)
{
	for (size_t i = 0; i < PEERS; i++) {
		p->peers[i] = sd_bus_close_unref(p->peers[i]);
		if (p->silent_fds[i] > 0)
			close(p->silent_fds[i]);
		p->silent_fds[i] = 0;
	}
}

static int on_hang_up(sd_event_source *source, void *arg)
{
	(void)source;
	pid1_hang_up(arg);
	return 0;
}

static int hang_up_soon(struct pid1 *p)
{
	sd_event_source_set_enabled(p->hang_up_source, SD_EVENT_ONESHOT);
	return 1;
}

static int answer(struct pid1 *p, sd_bus_message *m, const char *method)
{
	if (strcmp(method, "ListUnitsByNames") == 0) {
		if (p->habit != PID1_HANGS_UP_ONCE)
			return answer_list(p, m);
		p->habit = PID1_HONEST;
		return hang_up_soon(p);
	}
	if (strcmp(method, "Get") == 0)
		return answer_get(p, m);
	if (strcmp(method, "StopUnit") == 0)
		return answer_job(p, m, false);
	if (strcmp(method, "StartUnit") == 0)
		return p->habit == PID1_HANGS_UP ? hang_up_soon(p) : answer_job(p, m, true);
	if (strcmp(method, "Hello") == 0)
		return sd_bus_reply_method_return(m, "s", ":1.1");
	return sd_bus_reply_method_return(m, NULL); /* Subscribe, AddMatch, ResetFailedUnit */
}

static int on_message(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *method = sd_bus_message_get_member(m);
	struct pid1 *p = arg;

	(void)error;
	if (!sd_bus_message_is_method_call(m, NULL, NULL))
		return 0;
	count_call(p, method);
	if (p->habit == PID1_CLOSES)
		return hang_up_soon(p);
	assert_true(answer(p, m, method) >= 0);
	return 1;
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t events, void *arg)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	sd_id128_t id = SD_ID128_MAKE(1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, 0);
	struct pid1 *p = arg;
	size_t i = 0;

	(void)source;
	(void)events;
	assert_true(fd >= 0);
	while (p->peers[i] || p->silent_fds[i])
		assert_true(++i < PEERS);
	if (p->habit == PID1_SILENT) {
		p->silent_fds[i] = fd;
		return 0;
	}
	assert_true(sd_bus_new(&p->peers[i]) >= 0);
	assert_true(sd_bus_set_fd(p->peers[i], fd, fd) >= 0);
	assert_true(sd_bus_set_server(p->peers[i], 1, id) >= 0);
	assert_true(sd_bus_start(p->peers[i]) >= 0);
	assert_true(sd_bus_attach_event(p->peers[i], p->loop, 0) >= 0);
	assert_true(sd_bus_add_filter(p->peers[i], NULL, on_message, p) >= 0);
	return 0;
}

struct pid1 *pid1_start(struct sd_event *loop, const char *path, enum pid1_habit habit)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pid1 *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->loop = loop;
	p->habit = habit;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(p->fd, 8), 0);
	assert_true(sd_event_add_io(loop, &p->listen_source, p->fd, EPOLLIN, on_connection, p) >=
		    0);
	assert_true(sd_event_add_defer(loop, &p->hang_up_source, on_hang_up, p) >= 0);
	sd_event_source_set_enabled(p->hang_up_source, SD_EVENT_OFF);
	return p;
}

void pid1_stop(struct pid1 *p)
{
	pid1_hang_up(p);
	sd_event_source_disable_unref(p->listen_source);
	sd_event_source_disable_unref(p->hang_up_source);
	close(p->fd);
	free(p);
}

void pid1_set_habit(struct pid1 *p, enum pid1_habit habit)
{
	p->habit = habit;
}
