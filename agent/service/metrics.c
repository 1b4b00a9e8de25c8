#include "agent/service/metrics.h"

#include "agent/agent.h"
#include "agent/pods/pods.h"
#include "agent/service/monitor.h"
#include "agent/streams/stream.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CODES (ERR_UNAUTHENTICATED + 1)

/* Upper bounds of the latency histogram, in microseconds. */
static const int64_t bounds_us[] = {
	500,    1000,   2500,   5000,    10000,   25000,   50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

/* One method that has been called. */
struct method {
	struct method *next;
	const char *service;
	const char *method;
	uint64_t codes[CODES];
	uint64_t buckets[ARRAY_LEN(bounds_us) + 1]; /* the last: longer than all bounds */
	uint64_t sum_us;
};

struct metrics {
	metrics_read_fn *read;
	void *arg;
	struct method *methods;
};

int metrics_new(metrics_read_fn *read, void *arg, struct metrics **ret_metrics, struct err *err)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return err_oom(err);
	metrics->read = read;
	metrics->arg = arg;
	*ret_metrics = metrics;
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	struct method *m, *next;

	if (!metrics)
		return;
	for (m = metrics->methods; m; m = next) {
		next = m->next;
		free(m);
	}
	free(metrics);
}

/* NULL when there is no memory: then this call is not counted. */
static struct method *find(struct metrics *metrics, const char *service, const char *method)
{
	struct method *m = metrics->methods;

	while (m && (m->method != method || m->service != service))
		m = m->next;
	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->service = service;
	m->method = method;
	m->next = metrics->methods;
	metrics->methods = m;
	return m;
}

void metrics_count(struct metrics *metrics, const char *service, const char *method,
		   enum err_code code, int64_t micros)
{
	struct method *m = metrics ? find(metrics, service, method) : NULL;
	size_t bucket = 0;

	if (!m)
		return;
	while (bucket < ARRAY_LEN(bounds_us) && micros > bounds_us[bucket])
		bucket++;
	m->buckets[bucket]++;
	m->codes[(unsigned)code < CODES ? code : ERR_UNKNOWN]++;
	m->sum_us += micros > 0 ? (uint64_t)micros : 0;
}

/* --- text ------------------------------------------------------------------------------------------- */

static void head(struct text *out, const char *name, const char *type, const char *help)
{
	text_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct text *out, const char *name, const char *type, const char *help,
		   uint64_t value)
{
	head(out, name, type, help);
	text_addf(out, "%s %" PRIu64 "\n", name, value);
}

/* "Units" of "berth.node.v1.Units". */
static const char *short_name(const char *service)
{
	const char *dot = strrchr(service, '.');

	return dot ? dot + 1 : service;
}

static void write_codes(const struct metrics *metrics, struct text *out)
{
	static const char name[] = "berth_agent_requests_total";

	head(out, name, "counter", "Answered calls by method and code.");
	for (const struct method *m = metrics->methods; m; m = m->next) {
		for (unsigned code = 0; code < CODES; code++) {
			if (m->codes[code])
				text_addf(out, "%s{method=\"%s/%s\",code=\"%s\"} %" PRIu64 "\n",
					  name, short_name(m->service), m->method,
					  err_code_name((enum err_code)code), m->codes[code]);
		}
	}
}

static void write_histogram(const struct method *m, const char *name, struct text *out)
{
	char method[128];
	uint64_t count = 0;

	snprintf(method, sizeof(method), "method=\"%s/%s\"", short_name(m->service), m->method);
	for (size_t i = 0; i < ARRAY_LEN(bounds_us); i++) {
		count += m->buckets[i];
		text_addf(out, "%s_bucket{%s,le=\"%g\"} %" PRIu64 "\n", name, method,
			  (double)bounds_us[i] / 1e6, count);
	}
	count += m->buckets[ARRAY_LEN(bounds_us)];
	text_addf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, method, count);
	text_addf(out, "%s_sum{%s} %.6f\n", name, method, (double)m->sum_us / 1e6);
	text_addf(out, "%s_count{%s} %" PRIu64 "\n", name, method, count);
}

static void write_latencies(const struct metrics *metrics, struct text *out)
{
	static const char name[] = "berth_agent_request_duration_seconds";

	head(out, name, "histogram", "Time from a call's request to its answer.");
	for (const struct method *m = metrics->methods; m; m = m->next)
		write_histogram(m, name, out);
}

static void write_now(const struct metrics *metrics, struct text *out)
{
	static const char refused[] = "berth_agent_connections_refused_total";
	struct metrics_now now = { 0 };

	metrics->read(metrics->arg, &now);
	number(out, "berth_agent_requests_in_flight", "gauge", "Calls that are not answered yet.",
	       now.in_flight);
	number(out, "berth_agent_connections", "gauge", "Open connections.", now.connections);
	number(out, "berth_agent_connections_accepted_total", "counter", "Connections so far.",
	       now.accepted);
	head(out, refused, "counter", "Connections that were turned away.");
	text_addf(out, "%s{reason=\"peer\"} %" PRIu64 "\n", refused, now.refused_peer);
	text_addf(out, "%s{reason=\"limit\"} %" PRIu64 "\n", refused, now.refused_limit);
	text_addf(out, "%s{reason=\"header\"} %" PRIu64 "\n", refused, now.refused_header);
}

static void write_build(const struct agent *agent, struct text *out)
{
	head(out, "berth_agent_build_info", "gauge", "Which agent this is.");
	text_addf(out, "berth_agent_build_info{version=\"%s\",commit=\"%s\"} 1\n", version_number(),
		  version_commit());
	head(out, "berth_agent_uptime_seconds", "gauge", "Time since the agent started.");
	text_addf(out, "berth_agent_uptime_seconds %.3f\n",
		  (double)(clock_now_ms() - agent->started_ms) / 1000);
}

/* statm's second number: resident pages. */
static void write_memory(struct text *out)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;

	if (file) {
		if (fscanf(file, "%*u %" SCNu64, &pages) != 1)
			pages = 0;
		fclose(file);
	}
	number(out, "process_resident_memory_bytes", "gauge", "Resident memory of the agent.",
	       pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

static const char *state_name(enum part_state state)
{
	static const char *const names[] = { "unknown", "ok", "degraded", "failed", "absent" };

	return names[(size_t)state < ARRAY_LEN(names) ? state : PART_STATE_UNKNOWN];
}

static void write_health(struct agent *agent, struct text *out)
{
	const struct node_health *health = monitor_get(agent->monitor);

	number(out, "berth_node_ready", "gauge", "1 when the node is ready.", health->ready);
	number(out, "berth_node_healthy", "gauge", "1 when no part has failed.", health->healthy);
	head(out, "berth_node_part_state", "gauge", "1 for the state that each part is in.");
	for (size_t i = 0; i < health->count; i++)
		text_addf(out, "berth_node_part_state{part=\"%s\",state=\"%s\"} 1\n",
			  health->parts[i].name, state_name(health->parts[i].state));
	head(out, "berth_runtime_latency_seconds", "gauge", "Time of the runtime's last answer.");
	text_addf(out, "berth_runtime_latency_seconds %.6f\n", (double)health->runtime_us / 1e6);
}

void metrics_write(const struct metrics *metrics, struct agent *agent, struct text *ret)
{
	write_build(agent, ret);
	write_memory(ret);
	if (agent->monitor)
		write_health(agent, ret);
	if (agent->pods)
		number(ret, "berth_pods_wanted", "gauge", "Pods that this node is to run.",
		       pods_count(agent->pods));
	if (agent->streams)
		number(ret, "berth_agent_streams", "gauge", "Open sessions: exec, logs, copies.",
		       streams_count(agent->streams));
	if (!metrics)
		return;
	write_now(metrics, ret);
	write_codes(metrics, ret);
	write_latencies(metrics, ret);
}
