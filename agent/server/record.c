#include "agent/server/record.h"

#include "agent/server/call.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/log.h"
#include "shared/base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

struct recorder {
	int fd; /* -1: no journal */
};

static int journal_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int recorder_new(const char *journal_path, struct recorder **ret_recorder, struct err *err)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	if (!recorder)
		return err_oom(err);
	recorder->fd = journal_connect(journal_path);
	*ret_recorder = recorder;
	return 0;
}

void recorder_free(struct recorder *recorder)
{
	if (!recorder)
		return;
	if (recorder->fd >= 0)
		close(recorder->fd);
	free(recorder);
}

static void hex_id(const struct call *call, char ret[2 * WIRE_CALL_ID_BYTES + 1])
{
	for (size_t i = 0; i < WIRE_CALL_ID_BYTES; i++)
		snprintf(ret + 2 * i, 3, "%02x", call->id[i]);
}

/* "berth.node.v1.Units" to "Units": the package is the same for all. */
static const char *short_service(const struct call *call)
{
	const char *name = call->target.service->descriptor->name, *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

static int priority(const struct call *call, const struct err *err)
{
	if (err)
		return err->code == ERR_INTERNAL ? LOG_ERR : LOG_NOTICE;
	return call->target.effect == METHOD_READS ? LOG_DEBUG : LOG_INFO;
}

/* 'more': further fields, each with its newline. No value has one of its own: messages are one line, the
 * rest are names and numbers. */
static void add(struct recorder *recorder, const struct call *call, int level, const char *message,
		const char *more)
{
	const char *service = short_service(call), *method = call->target.method->name;
	char id[2 * WIRE_CALL_ID_BYTES + 1], record[1400];
	int len;

	hex_id(call, id);
	if (recorder->fd < 0) {
		log_debug("%s, call %s", message, id);
		return;
	}
	len = snprintf(record, sizeof(record),
		       "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=berthd\n"
		       "METHOD=%s/%s\nCALL_ID=%s\n%s",
		       message, level, service, method, id, more);
	if (len > 0 && (size_t)len < sizeof(record))
		send(recorder->fd, record, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void recorder_note(struct recorder *recorder, const struct call *call, const char *text)
{
	char message[512];

	utf8_copy(message, sizeof(message), text);
	add(recorder, call, LOG_INFO, message, "");
}

void recorder_add(struct recorder *recorder, const struct call *call, const struct err *err)
{
	const char *code = err_code_name(err ? err->code : ERR_OK);
	double ms = (double)(clock_now_us() - call->started_us) / 1000;
	int level = priority(call, err);
	char message[700], more[64];

	if (level == LOG_DEBUG && log_get_level() < LOG_LEVEL_DEBUG)
		return;
	snprintf(message, sizeof(message), "%s/%s %s%s%s", short_service(call),
		 call->target.method->name, code, err ? ": " : "", err ? err->msg : "");
	snprintf(more, sizeof(more), "CODE=%s\nDURATION_MS=%.1f\n", code, ms);
	add(recorder, call, level, message, more);
}
