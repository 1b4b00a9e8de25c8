/*
 * How fast a log comes from an agent: a file that is there, and one that grows as fast as a writer can;
 * and how soon health is answered meanwhile. One JSON object on stdout.
 */
#include "controller/client/client.h"
#include "controller/client/stream.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/logs.pb-c.h"
#include "shared/base/deadline.h"
#include "shared/base/err.h"
#include "tests/support/agent_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINES 4000000
#define ASKED 1000

static const char line[] =
	"2026-01-01T00:00:01.123456789Z stdout F a line of a log as they are, with "
	"a hundred and twenty bytes or so, all told\n";

struct bench {
	struct agent_process agent;
	char path[300];
	uint64_t bytes;
	atomic_bool over;
	int64_t worst_us, median_us;
};

static void make_dirs(struct bench *b)
{
	static const char *const parts[] = { "/logs", "/default_web_uid", "/app" };
	size_t len = (size_t)snprintf(b->path, sizeof(b->path), "%s", b->agent.state_dir);

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		len += (size_t)snprintf(b->path + len, sizeof(b->path) - len, "%s", parts[i]);
		mkdir(b->path, 0755);
	}
	snprintf(b->path + len, sizeof(b->path) - len, "/0.log");
}

static void *write_lines(void *arg)
{
	struct bench *b = arg;
	FILE *file = fopen(b->path, "ae");

	assert_non_null(file);
	for (int i = 0; i < LINES; i++)
		fwrite_unlocked(line, 1, sizeof(line) - 1, file);
	assert_int_equal(fclose(file), 0);
	return NULL;
}

static void ignore(const Berth__Node__V1__HealthReply *reply, void *arg)
{
	(void)reply;
	(void)arg;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Health by another connection, as long as the log comes. */
static void *ask_health(void *arg)
{
	struct bench *b = arg;
	struct client *client = agent_process_client(&b->agent);
	static int64_t times_us[ASKED];
	int count = 0;

	while (!atomic_load(&b->over)) {
		Berth__Node__V1__HealthCheckRequest req =
			BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
		int64_t begin = clock_now_us();
		struct err err;
		struct rpc rpc = rpc_to(client, &berth__node__v1__health__descriptor,
					deadline_in_ms(5000), &err);

		berth__node__v1__health__check(&rpc.base, &req, ignore, NULL);
		assert_int_equal(rpc.result, 0);
		times_us[count++ % ASKED] = clock_now_us() - begin;
	}
	count = count < ASKED ? count : ASKED;
	qsort(times_us, (size_t)count, sizeof(times_us[0]), compare);
	b->median_us = count ? times_us[count / 2] : 0;
	b->worst_us = count ? times_us[count - 1] : 0;
	client_close(client);
	return NULL;
}

static void take_opened(const Berth__Node__V1__StreamOpened *reply, void *arg)
{
	memcpy(arg, reply->stream_id.data, reply->stream_id.len);
}

static int count_bytes(void *arg, int channel, const uint8_t *bytes, size_t len, struct err *err)
{
	(void)channel;
	(void)bytes;
	(void)err;
	((struct bench *)arg)->bytes += len;
	return 0;
}

/* Until all has come. */
static void read_all(struct bench *b, bool follow)
{
	Berth__Node__V1__LogsContainerRequest req = BERTH__NODE__V1__LOGS_CONTAINER_REQUEST__INIT;
	Berth__Node__V1__ContainerTarget target = BERTH__NODE__V1__CONTAINER_TARGET__INIT;
	Berth__Node__V1__LogsRange range = BERTH__NODE__V1__LOGS_RANGE__INIT;
	struct client *client = agent_process_client(&b->agent);
	uint8_t id[CLIENT_STREAM_ID_BYTES];
	struct client_stream *s = NULL;
	struct client_stream_end end;
	struct rpc rpc;
	bool ended = false;
	struct err err;

	target.pod = (char *)"web";
	range.follow = follow;
	range.tail_lines = -1;
	req.target = &target;
	req.range = &range;
	rpc = rpc_to(client, &berth__node__v1__logs__descriptor, deadline_in_ms(5000), &err);
	berth__node__v1__logs__container(&rpc.base, &req, take_opened, id);
	if (rpc.result < 0 || client_stream_open(client, id, sizeof(id), &s, &err) < 0)
		fail_msg("%s", err.msg);
	b->bytes = 0;
	while (!ended && b->bytes < LINES * (sizeof(line) - 1)) {
		if (client_stream_read(s, deadline_in_ms(5000), count_bytes, b, &ended, &end,
				       &err) < 0)
			fail_msg("%s", err.msg);
	}
	assert_int_equal(b->bytes, LINES * (sizeof(line) - 1));
	client_stream_close(s);
	client_close(client);
}

static void measure(struct bench *b, bool follow)
{
	pthread_t writer, asker;
	int64_t begin_us, took_us;

	atomic_store(&b->over, false);
	if (follow)
		fclose(fopen(b->path, "we"));
	begin_us = clock_now_us();
	if (follow)
		assert_int_equal(pthread_create(&writer, NULL, write_lines, b), 0);
	assert_int_equal(pthread_create(&asker, NULL, ask_health, b), 0);
	read_all(b, follow);
	took_us = clock_now_us() - begin_us;
	atomic_store(&b->over, true);
	pthread_join(asker, NULL);
	if (follow)
		pthread_join(writer, NULL);
	printf("  \"%s\": { \"mb_per_s\": %lld, \"health_p50_us\": %lld, \"health_max_us\": %lld "
	       "}%s\n",
	       follow ? "follow" : "read", (long long)(b->bytes / (uint64_t)took_us),
	       (long long)b->median_us, (long long)b->worst_us, follow ? "," : "");
}

int main(void)
{
	static struct bench b;

	agent_process_start(&b.agent);
	make_dirs(&b);
	printf("{\n");
	measure(&b, true);
	measure(&b, false);
	printf("}\n");
	agent_process_stop(&b.agent);
	return 0;
}
