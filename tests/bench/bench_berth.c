/*
 * Berth beside what people use today, in one run on one host: the agent's calls against `podman exec`
 * of the command that does the same, whole commands against whole commands, and what the idle agent
 * costs. Prints ratios with the aim beside each and writes build/bench/calls.json.
 */
#include "tests/support/bench.h"
#include "tests/support/e2e.h"

#include "controller/client/client.h"
#include "controller/client/client_node.h"
#include "shared/base/deadline.h"

#include "node/v1/containers.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/units.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define CALLS 2000

struct rig {
	const char *cluster;
	char node[64];
	struct client *client;
	struct bench *out;
};

/* --- calls ------------------------------------------------------------------------------------- */

static void ignore_units(const Berth__Node__V1__UnitStatusReply *reply, void *ctx)
{
	(void)ctx;
	assert_int_equal(reply->n_units, 1);
}

static void unit_status(struct client *client)
{
	Berth__Node__V1__UnitStatusRequest req = BERTH__NODE__V1__UNIT_STATUS_REQUEST__INIT;
	char *names[] = { (char *)"containerd" };
	struct err err;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__units__descriptor, deadline_in_ms(10000), &err);

	req.names = names;
	req.n_names = 1;
	berth__node__v1__units__status(&rpc.base, &req, ignore_units, NULL);
	if (rpc.result < 0)
		fail_msg("unit status: %s", err.msg);
}

static void ignore_containers(const Berth__Node__V1__ContainerListReply *reply, void *ctx)
{
	(void)ctx;
	assert_true(reply->n_containers > 0);
}

static void container_list(struct client *client)
{
	Berth__Node__V1__ContainerListRequest req = BERTH__NODE__V1__CONTAINER_LIST_REQUEST__INIT;
	struct err err;
	struct rpc rpc = rpc_to(client, &berth__node__v1__containers__descriptor,
				deadline_in_ms(10000), &err);

	berth__node__v1__containers__list(&rpc.base, &req, ignore_containers, NULL);
	if (rpc.result < 0)
		fail_msg("container list: %s", err.msg);
}

static void ignore_health(const Berth__Node__V1__HealthReply *reply, void *ctx)
{
	(void)ctx;
	(void)reply;
}

static void empty_call(struct client *client)
{
	Berth__Node__V1__HealthCheckRequest req = BERTH__NODE__V1__HEALTH_CHECK_REQUEST__INIT;
	struct err err;
	struct rpc rpc =
		rpc_to(client, &berth__node__v1__health__descriptor, deadline_in_ms(10000), &err);

	berth__node__v1__health__check(&rpc.base, &req, ignore_health, NULL);
	if (rpc.result < 0)
		fail_msg("health check: %s", err.msg);
}

static double call_p50_us(struct rig *b, void (*call)(struct client *))
{
	static int64_t us[CALLS];

	for (int i = 0; i < CALLS / 20; i++)
		call(b->client);
	for (int i = 0; i < CALLS; i++) {
		int64_t start = clock_now_us();

		call(b->client);
		us[i] = clock_now_us() - start;
	}
	return (double)bench_quantile(us, CALLS, 0.5);
}

/* --- commands ---------------------------------------------------------------------------------- */

static void compare(struct rig *b, const char *what, const char *noun,
		    void (*call)(struct client *), struct strv *theirs)
{
	cleanup_with(strv) struct strv ours = { 0 };
	char title[96];
	double command, other, call_us;

	bench_words(&ours, e2e_berth(), "--state-dir", e2e_state_dir(), "get", noun, "-N", b->node,
		    "--name", b->cluster, "-o", "json", NULL);
	bench_pair_ms(&ours, theirs, &command, &other);
	call_us = call_p50_us(b, call);
	snprintf(title, sizeof(title), "%s, as a call", what);
	bench_row(b->out, title, call_us / 1000, other, "ms", "aim 300");
	snprintf(title, sizeof(title), "%s, as a whole command", what);
	bench_row(b->out, title, command, other, "ms", "aim 20");
	strv_release(theirs);
}

/* --- the idle agent ---------------------------------------------------------------------------- */

static long kib_of(const char *file, const char *key)
{
	char line[256];
	long kib = 0, value;
	FILE *f = fopen(file, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0 &&
		    sscanf(line + strlen(key), " %ld", &value) == 1)
			kib += value;
	}
	fclose(f);
	return kib;
}

static long switches_of(const char *pid)
{
	char *list, command[64];
	long total = 0;
	char *save = NULL;

	snprintf(command, sizeof(command), "/proc/%s/task", pid);
	list = e2e_stdout_of("ls", command, (char *)NULL);
	for (char *tid = strtok_r(list, "\n", &save); tid; tid = strtok_r(NULL, "\n", &save)) {
		char file[96];

		snprintf(file, sizeof(file), "/proc/%s/task/%s/status", pid, tid);
		total += kib_of(file, "voluntary_ctxt_switches:");
	}
	free(list);
	return total;
}

/* The host's pid of the node's agent: the newest berthd whose pid namespace is the node's. */
static char *agent_pid(const char *node)
{
	char *init = e2e_stdout_of("podman", "inspect", "--format", "{{.State.Pid}}", node,
				   (char *)NULL);
	char script[256], *pid;

	snprintf(script, sizeof(script),
		 "for p in $(pgrep -x berthd); do [ \"$(readlink /proc/$p/ns/pid)\" = "
		 "\"$(readlink /proc/%s/ns/pid)\" ] && echo $p; done | head -n 1",
		 init);
	pid = e2e_stdout_of("sh", "-c", script, (char *)NULL);
	free(init);
	return pid;
}

static void bench_idle(struct rig *b)
{
	char *pid = agent_pid(b->node), file[64];
	long before, rss, dirty, clean;

	assert_string_not_equal(pid, "");
	poll(NULL, 0, 5000); /* the boot is over when nothing has happened for a while */
	before = switches_of(pid);
	poll(NULL, 0, 20000); /* the measurement itself: 20 s of doing nothing */
	bench_row(b->out, "idle agent: wake-ups a second, all threads",
		  (double)(switches_of(pid) - before) / 20, 1, "/s", "budget 1");
	snprintf(file, sizeof(file), "/proc/%s/smaps_rollup", pid);
	rss = kib_of(file, "Rss:");
	dirty = kib_of(file, "Private_Dirty:");
	clean = kib_of(file, "Private_Clean:");
	bench_row(b->out, "idle agent: resident", (double)rss / 1024, 6, "MiB", "budget 6");
	bench_row(b->out, "idle agent: private", (double)dirty / 1024, 1, "MiB", "budget 1");
	bench_row(b->out, "idle agent: file pages only it has mapped", (double)clean / 1024, 0,
		  "MiB", "");
	free(pid);
}

/* --- the story --------------------------------------------------------------------------------- */

static const char pod_yaml[] = "apiVersion: v1\nkind: Pod\nmetadata: {name: bench}\n"
			       "spec: {containers: [{name: c, image: localhost/berth/demo:1}]}\n";

static int open_bench(void **state)
{
	static struct rig bench;
	char socket[160];
	struct err err;

	bench.cluster = e2e_cluster_name("bench");
	snprintf(bench.node, sizeof(bench.node), "%s-control-plane", bench.cluster);
	e2e_ok("create", "cluster", "--name", bench.cluster, (char *)NULL);
	snprintf(socket, sizeof(socket), "%s/nodes/%s/agent.sock", e2e_state_dir(), bench.node);
	if (client_open(socket, bench.node, &bench.client, &err) < 0)
		fail_msg("%s", err.msg);
	*state = &bench;
	bench.out = bench_new("calls");
	return 0;
}

static void measure(void **state)
{
	struct rig *b = *state;
	struct strv theirs = { 0 };

	bench_idle(b);
	e2e_ok("apply", "-f", e2e_file("pod.yaml", pod_yaml), "-N", b->node, "--name", b->cluster,
	       "--wait", (char *)NULL);
	bench_row(b->out, "empty call (health check), p50", call_p50_us(b, empty_call) / 1000, 0,
		  "ms", "");
	bench_words(&theirs, "podman", "exec", b->node, "systemctl", "show", "-p",
		    "ActiveState,SubState,MainPID", "containerd", NULL);
	compare(b, "unit status / podman exec systemctl show", "units", unit_status, &theirs);
	bench_words(&theirs, "podman", "exec", b->node, "ctr", "-n", "k8s.io", "containers", "ls",
		    "-q", NULL);
	compare(b, "container list / podman exec ctr containers ls", "containers", container_list,
		&theirs);
}

static int close_bench(void **state)
{
	struct rig *b = *state;
	int code = 0;

	if (b) {
		client_close(b->client);
		code = bench_finish(b->out);
		e2e_clean(b->cluster);
	}
	return code;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(measure) };

	return cmocka_run_group_tests_name("bench", tests, open_bench, close_bench);
}
