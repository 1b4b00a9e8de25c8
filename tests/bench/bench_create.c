/*
 * Creating clusters of 1, 3 and 10 nodes until all are ready, beside the bare `podman run`s of the same
 * plan at once, and beside kind as far as its nodes are prepared. kind is compared with when
 * $BERTH_BENCH_KIND names its program.
 */
#include "tests/support/bench.h"
#include "tests/support/e2e.h"

#include "controller/client/client.h"
#include "controller/client/client_node.h"
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS    3
#define NODES_MAX 10

extern char **environ;

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

	run->run_us = bench_command_us(&run->argv);
	if (client_open(run->socket, "bare", &client, &err) < 0)
		abort();
	client_set_patient(client, true);
	if (client_wait_ready(client, deadline_in_ms(120000), NULL, &err) < 0)
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

/* Makes the plan's network at once and collects the runs of its nodes. */
static size_t collect_runs(json_object *steps, struct bare_run *runs)
{
	size_t count = 0;

	for (size_t i = 0; i < json_object_array_length(steps); i++) {
		json_object *step = json_object_array_get_idx(steps, i);
		const char *action = e2e_text(step, "action");
		cleanup_with(strv) struct strv argv = { 0 };
		char dir[192];

		if (strcmp(action, "network-create") == 0) {
			argv_of(step, &argv);
			bench_command_us(&argv);
		}
		if (strcmp(action, "container-create") != 0)
			continue;
		assert_true(count < NODES_MAX);
		snprintf(dir, sizeof(dir), "%s/nodes/%s", e2e_state_dir(), e2e_text(step, "node"));
		mkdir(dir, 0700);
		snprintf(runs[count].socket, sizeof(runs[count].socket), "%s/agent.sock", dir);
		argv_of(step, &runs[count++].argv);
	}
	return count;
}

/* The plan's own argv, run with nothing around it: network first, then all containers at once. */
static void bare_create(const char *cluster, const char *workers, int64_t *ret_run_us,
			int64_t *ret_ready_us)
{
	json_object *plan = e2e_json("create", "cluster", "--name", cluster, "--workers", workers,
				     "--dry-run", (char *)NULL);
	struct bare_run runs[NODES_MAX] = { 0 };
	pthread_t threads[NODES_MAX];
	size_t count = collect_runs(json_object_object_get(plan, "steps"), runs);

	*ret_run_us = *ret_ready_us = 0;
	for (size_t i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, run_bare, &runs[i]);
	for (size_t i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		if (runs[i].run_us > *ret_run_us)
			*ret_run_us = runs[i].run_us;
		if (runs[i].ready_us > *ret_ready_us)
			*ret_ready_us = runs[i].ready_us;
		strv_release(&runs[i].argv);
	}
	json_object_put(plan);
}

static int64_t our_create(const char *cluster, const char *workers)
{
	int64_t start = clock_now_us(), us;

	e2e_ok("create", "cluster", "--name", cluster, "--workers", workers, (char *)NULL);
	us = clock_now_us() - start;
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	return us;
}

static void beside_bare_runs(struct bench *b, int nodes)
{
	const char *cluster = e2e_cluster_name("create");
	int64_t ours[ROUNDS], run[ROUNDS], ready[ROUNDS];
	char workers[16], label[96];
	double mine;

	snprintf(workers, sizeof(workers), "%d", nodes - 1);
	for (int i = 0; i < ROUNDS; i++) {
		bare_create(cluster, workers, &run[i], &ready[i]);
		e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
		ours[i] = our_create(cluster, workers);
	}
	mine = (double)bench_quantile(ours, ROUNDS, 0.5) / 1e6;
	snprintf(label, sizeof(label), "create %d until ready / bare podman runs until ready",
		 nodes);
	bench_row(b, label, mine, (double)bench_quantile(ready, ROUNDS, 0.5) / 1e6, "s",
		  "aim 0.83 (1/1.2)");
	snprintf(label, sizeof(label), "create %d until ready / bare podman runs alone", nodes);
	bench_row(b, label, mine, (double)bench_quantile(run, ROUNDS, 0.5) / 1e6, "s", "");
}

/* --- kind ------------------------------------------------------------------------------------------ */

static const char *kind_config(int nodes)
{
	char text[1024] = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n"
			  "- role: control-plane\n";

	for (int i = 1; i < nodes; i++)
		strncat(text, "- role: worker\n", sizeof(text) - strlen(text) - 1);
	return e2e_file("kind.yaml", text);
}

/* kind on this host: podman, limits that may be asked for, a runtime that starts. */
static void kind_environment(void)
{
	setenv("KIND_EXPERIMENTAL_PROVIDER", "podman", 1);
	setenv("CONTAINERS_CONF",
	       e2e_file("containers.conf",
			"[containers]\ndefault_ulimits = [\"nofile=20000:20000\", "
			"\"nproc=30000:30000\"]\npids_limit = -1\n[engine]\nruntime = \"runc\"\n"
			"cgroup_manager = \"cgroupfs\"\n"),
	       1);
}

/* Microseconds until kind says that it goes on after "Preparing nodes"; the whole output is read, so that
 * it ends by itself (there is no kubeadm in the image). */
static int64_t kind_prepares(const char *kind, const char *cluster, int nodes)
{
	char *const argv[] = { (char *)kind,
			       "create",
			       "cluster",
			       "--name",
			       (char *)cluster,
			       "--config",
			       (char *)kind_config(nodes),
			       "--image",
			       (char *)e2e_image(),
			       NULL };
	posix_spawn_file_actions_t actions;
	int64_t start, us = -1;
	char line[512];
	int fds[2];
	FILE *errs;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	start = clock_now_us();
	assert_int_equal(posix_spawn(&pid, kind, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	errs = fdopen(fds[0], "r");
	while (fgets(line, sizeof(line), errs)) {
		if (us < 0 && strstr(line, "Writing configuration"))
			us = clock_now_us() - start;
	}
	fclose(errs);
	waitpid(pid, NULL, 0);
	return us;
}

static void kind_delete(const char *kind, const char *cluster)
{
	cleanup_with(strv) struct strv argv = { 0 };

	bench_words(&argv, kind, "delete", "cluster", "--name", cluster, NULL);
	bench_command_us(&argv);
}

static void beside_kind(struct bench *b, const char *kind, int nodes)
{
	const char *cluster = e2e_cluster_name("kind");
	int64_t ours[ROUNDS], theirs[ROUNDS];
	char workers[16], label[96];

	snprintf(workers, sizeof(workers), "%d", nodes - 1);
	for (int i = 0; i < ROUNDS; i++) {
		theirs[i] = kind_prepares(kind, cluster, nodes);
		kind_delete(kind, cluster);
		if (theirs[i] < 0)
			fail_msg("kind did not come past 'Preparing nodes' with %d nodes", nodes);
		ours[i] = our_create(e2e_cluster_name("create"), workers);
	}
	snprintf(label, sizeof(label), "create %d until ready / kind until nodes are prepared",
		 nodes);
	bench_row(b, label, (double)bench_quantile(ours, ROUNDS, 0.5) / 1e6,
		  (double)bench_quantile(theirs, ROUNDS, 0.5) / 1e6, "s", "aim 2");
}

/* --- all -------------------------------------------------------------------------------------------- */

static const int sizes[] = { 1, 3, NODES_MAX };

static void measure(void **state)
{
	const char *kind = getenv("BERTH_BENCH_KIND");
	struct bench *b = *state;
	bool made_modules;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		beside_bare_runs(b, sizes[i]);
	if (!kind) {
		printf("kind is not compared with: BERTH_BENCH_KIND does not name it\n");
		return;
	}
	kind_environment();
	/* kind mounts it, there or not. */
	made_modules = mkdir("/lib/modules", 0755) == 0;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		beside_kind(b, kind, sizes[i]);
	if (made_modules)
		rmdir("/lib/modules");
}

static int open_bench(void **state)
{
	char nodes[160];

	snprintf(nodes, sizeof(nodes), "%s/nodes", e2e_state_dir());
	mkdir(nodes, 0700);
	*state = bench_new("create");
	return 0;
}

static int close_bench(void **state)
{
	e2e_clean(e2e_cluster_name("create"));
	return bench_finish(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(measure) };

	return cmocka_run_group_tests_name("bench create", tests, open_bench, close_bench);
}
