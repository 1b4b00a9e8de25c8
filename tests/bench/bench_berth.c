/*
 * Berth beside what people use today, in one run on one host: the agent's calls against `podman exec`
 * of the command that does the same, whole commands against whole commands, cluster create against the
 * bare `podman run`s of its own plan, and what the idle agent costs. Prints ratios with the aim beside
 * each and writes build/bench.json. Exit 0 when it could measure; it judges nothing.
 */
#include "tests/support/e2e.h"

#include "controller/client/client.h"
#include "controller/client/client_node.h"
#include "controller/exec/exec.h"
#include "shared/base/deadline.h"

#include "node/v1/containers.pb-c.h"
#include "node/v1/health.pb-c.h"
#include "node/v1/units.pb-c.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CALLS    2000
#define COMMANDS 20 /* in blocks */
#define BLOCK    5

struct bench {
	const char *cluster;
	char node[64];
	struct client *client;
	json_object *rows;
};

static int compare_us(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t quantile(int64_t *us, size_t count, double q)
{
	qsort(us, count, sizeof(us[0]), compare_us);
	return us[(size_t)((double)(count - 1) * q)];
}

static void row(struct bench *b, const char *what, double ours, double theirs, const char *unit,
		const char *aim)
{
	json_object *item = json_object_new_object();

	printf("%-58s %10.2f %10.2f %s  x%-8.1f %s\n", what, ours, theirs, unit,
	       ours > 0 ? theirs / ours : 0, aim);
	fflush(stdout);
	json_object_object_add(item, "what", json_object_new_string(what));
	json_object_object_add(item, "berth", json_object_new_double(ours));
	json_object_object_add(item, "other", json_object_new_double(theirs));
	json_object_object_add(item, "unit", json_object_new_string(unit));
	json_object_object_add(item, "aim", json_object_new_string(aim));
	json_object_array_add(b->rows, item);
}

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

static double call_p50_us(struct bench *b, void (*call)(struct client *))
{
	static int64_t us[CALLS];

	for (int i = 0; i < CALLS / 20; i++)
		call(b->client);
	for (int i = 0; i < CALLS; i++) {
		int64_t start = clock_now_us();

		call(b->client);
		us[i] = clock_now_us() - start;
	}
	return (double)quantile(us, CALLS, 0.5);
}

/* --- commands ---------------------------------------------------------------------------------- */

static int64_t command_us(const struct strv *argv)
{
	struct exec_options options = { .by = deadline_in_ms(60000) };
	struct exec_result result = { 0 };
	int64_t start = clock_now_us(), us;
	struct err err;

	if (exec_run(argv, &options, &result, &err) < 0)
		fail_msg("%s: %s", argv->items[0], err.msg);
	us = clock_now_us() - start;
	if (result.exit_code != 0)
		fail_msg("%s: exit %d: %s", argv->items[0], result.exit_code,
			 text_str(&result.errs));
	exec_result_release(&result);
	return us;
}

static void words(struct strv *argv, const char *word, ...)
{
	va_list ap;

	va_start(ap, word);
	for (; word; word = va_arg(ap, const char *))
		strv_add(argv, word);
	va_end(ap);
}

/* Medians of both, measured in blocks by turns, so that a drifting machine drifts for both. The first of a
 * block does not count: an engine goes on tidying up after its command has returned. */
static void pair_ms(const struct strv *ours, const struct strv *theirs, double *ret_ours,
		    double *ret_theirs)
{
	int64_t a[COMMANDS], b[COMMANDS];

	for (int i = 0; i < COMMANDS; i += BLOCK) {
		command_us(ours);
		for (int j = i; j < i + BLOCK; j++)
			a[j] = command_us(ours);
		command_us(theirs);
		for (int j = i; j < i + BLOCK; j++)
			b[j] = command_us(theirs);
	}
	*ret_ours = (double)quantile(a, COMMANDS, 0.5) / 1000;
	*ret_theirs = (double)quantile(b, COMMANDS, 0.5) / 1000;
}

static void compare(struct bench *b, const char *what, const char *noun,
		    void (*call)(struct client *), struct strv *theirs)
{
	cleanup_with(strv) struct strv ours = { 0 };
	char title[96];
	double command, other, call_us;

	words(&ours, e2e_berth(), "--state-dir", e2e_state_dir(), "get", noun, "-N", b->node,
	      "--name", b->cluster, "-o", "json", NULL);
	pair_ms(&ours, theirs, &command, &other);
	call_us = call_p50_us(b, call);
	snprintf(title, sizeof(title), "%s, as a call", what);
	row(b, title, call_us / 1000, other, "ms", "aim 300");
	snprintf(title, sizeof(title), "%s, as a whole command", what);
	row(b, title, command, other, "ms", "aim 20");
	strv_release(theirs);
}

/* --- create ------------------------------------------------------------------------------------ */

struct bare_run {
	struct strv argv;
	char socket[256];
	int64_t run_us;
	int64_t ready_us;
};

static void *run_bare(void *arg)
{
	struct bare_run *run = arg;
	int64_t start = clock_now_us();
	struct client *client;
	struct err err;

	run->run_us = command_us(&run->argv);
	if (client_open(run->socket, "bare", &client, &err) < 0)
		abort();
	client_set_patient(client, true);
	if (client_wait_ready(client, deadline_in_ms(60000), &err) < 0)
		abort();
	run->ready_us = clock_now_us() - start;
	client_close(client);
	return NULL;
}

static void argv_of(json_object *step, struct strv *argv)
{
	json_object *list = json_object_object_get(step, "argv");

	for (size_t i = 0; i < json_object_array_length(list); i++)
		strv_add(argv, json_object_get_string(json_object_array_get_idx(list, i)));
}

/* The plan's own argv, run with nothing around it: network first, then all containers at once. */
static void bare_create(const char *cluster, const char *workers, double *ret_run_ms,
			double *ret_ready_ms)
{
	json_object *plan = e2e_json("create", "cluster", "--name", cluster, "--workers", workers,
				     "--dry-run", (char *)NULL);
	json_object *steps = json_object_object_get(plan, "steps");
	int64_t start = clock_now_us(), last_run = 0, last_ready = 0;
	struct bare_run runs[16] = { 0 };
	pthread_t threads[16];
	size_t count = 0;

	for (size_t i = 0; i < json_object_array_length(steps); i++) {
		json_object *step = json_object_array_get_idx(steps, i);
		const char *action = e2e_text(step, "action");
		cleanup_with(strv) struct strv argv = { 0 };

		if (strcmp(action, "network-create") == 0) {
			argv_of(step, &argv);
			command_us(&argv);
			start = clock_now_us();
		} else if (strcmp(action, "container-create") == 0) {
			char dir[192];

			snprintf(dir, sizeof(dir), "%s/nodes/%s", e2e_state_dir(),
				 e2e_text(step, "node"));
			mkdir(dir, 0700);
			snprintf(runs[count].socket, sizeof(runs[count].socket), "%s/agent.sock",
				 dir);
			argv_of(step, &runs[count++].argv);
		}
	}
	for (size_t i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, run_bare, &runs[i]);
	for (size_t i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		last_run = runs[i].run_us > last_run ? runs[i].run_us : last_run;
		last_ready = runs[i].ready_us > last_ready ? runs[i].ready_us : last_ready;
		strv_release(&runs[i].argv);
	}
	(void)start;
	*ret_run_ms = (double)last_run / 1000;
	*ret_ready_ms = (double)last_ready / 1000;
	json_object_put(plan);
}

static void bench_create(struct bench *b, const char *workers, const char *title)
{
	double run_ms[3], ready_ms[3];
	int64_t ours[3], run[3], ready[3];
	const char *cluster = e2e_cluster_name("bench2");
	char label[128];

	for (int i = 0; i < 3; i++) {
		int64_t start;

		bare_create(cluster, workers, &run_ms[i], &ready_ms[i]);
		e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
		run[i] = (int64_t)(run_ms[i] * 1000);
		ready[i] = (int64_t)(ready_ms[i] * 1000);
		start = clock_now_us();
		e2e_ok("create", "cluster", "--name", cluster, "--workers", workers, (char *)NULL);
		ours[i] = clock_now_us() - start;
		e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	}
	snprintf(label, sizeof(label), "create %s until ready / bare podman runs until ready",
		 title);
	row(b, label, (double)quantile(ours, 3, 0.5) / 1e6, (double)quantile(ready, 3, 0.5) / 1e6,
	    "s ", "aim 0.77 (1/1.3)");
	snprintf(label, sizeof(label), "create %s until ready / bare podman runs alone", title);
	row(b, label, (double)quantile(ours, 3, 0.5) / 1e6, (double)quantile(run, 3, 0.5) / 1e6,
	    "s ", "aim 0.77 (1/1.3)");
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

static void bench_idle(struct bench *b)
{
	char *pid = agent_pid(b->node), file[64];
	long before, rss, dirty, clean;

	assert_string_not_equal(pid, "");
	poll(NULL, 0, 5000); /* the boot is over when nothing has happened for a while */
	before = switches_of(pid);
	poll(NULL, 0, 20000); /* the measurement itself: 20 s of doing nothing */
	row(b, "idle agent: wake-ups a second, all threads",
	    (double)(switches_of(pid) - before) / 20, 1, "/s", "budget 1");
	snprintf(file, sizeof(file), "/proc/%s/smaps_rollup", pid);
	rss = kib_of(file, "Rss:");
	dirty = kib_of(file, "Private_Dirty:");
	clean = kib_of(file, "Private_Clean:");
	row(b, "idle agent: resident", (double)rss / 1024, 6, "MiB", "budget 6");
	row(b, "idle agent: private", (double)dirty / 1024, 1, "MiB", "budget 1");
	row(b, "idle agent: file pages only it has mapped", (double)clean / 1024, 0, "MiB", "");
	free(pid);
}

/* --- the story --------------------------------------------------------------------------------- */

static const char pod_yaml[] = "apiVersion: v1\nkind: Pod\nmetadata: {name: bench}\n"
			       "spec: {containers: [{name: c, image: localhost/berth/demo:1}]}\n";

static int open_bench(void **state)
{
	static struct bench bench;
	char socket[160];
	struct err err;

	bench.cluster = e2e_cluster_name("bench");
	bench.rows = json_object_new_array();
	snprintf(bench.node, sizeof(bench.node), "%s-control-plane", bench.cluster);
	e2e_ok("create", "cluster", "--name", bench.cluster, (char *)NULL);
	snprintf(socket, sizeof(socket), "%s/nodes/%s/agent.sock", e2e_state_dir(), bench.node);
	if (client_open(socket, bench.node, &bench.client, &err) < 0)
		fail_msg("%s", err.msg);
	*state = &bench;
	printf("%-58s %10s %10s\n", "", "berth", "other");
	return 0;
}

static void measure(void **state)
{
	struct bench *b = *state;
	struct strv theirs = { 0 };

	bench_idle(b);
	e2e_ok("apply", "-f", e2e_file("pod.yaml", pod_yaml), "-N", b->node, "--name", b->cluster,
	       "--wait", (char *)NULL);
	row(b, "empty call (health check), p50", call_p50_us(b, empty_call) / 1000, 0, "ms", "");
	words(&theirs, "podman", "exec", b->node, "systemctl", "show", "-p",
	      "ActiveState,SubState,MainPID", "containerd", NULL);
	compare(b, "unit status / podman exec systemctl show", "units", unit_status, &theirs);
	words(&theirs, "podman", "exec", b->node, "ctr", "-n", "k8s.io", "containers", "ls", "-q",
	      NULL);
	compare(b, "container list / podman exec ctr containers ls", "containers", container_list,
		&theirs);
	bench_create(b, "0", "1 node");
	bench_create(b, "2", "3 nodes");
}

static int close_bench(void **state)
{
	struct bench *b = *state;
	int code = 0;

	if (b) {
		client_close(b->client);
		code = json_object_to_file_ext("build/bench.json", b->rows,
					       JSON_C_TO_STRING_PRETTY);
		json_object_put(b->rows);
		e2e_clean(b->cluster);
	}
	return code;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(measure) };

	return cmocka_run_group_tests_name("bench", tests, open_bench, close_bench);
}
