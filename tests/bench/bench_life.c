/*
 * Stopping a node whose 20 containers take two seconds each to end, beside what minikube does by one
 * `podman exec` after the other; and `get nodes` of ten nodes, with their agents' word, beside `podman
 * inspect` of the same.
 */
#include "tests/support/bench.h"
#include "tests/support/e2e.h"

#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PODS       4
#define CONTAINERS 5

static const char *pods_yaml(void)
{
	struct text text = { 0 };
	const char *path;

	for (int p = 0; p < PODS; p++) {
		text_addf(&text,
			  "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec:\n"
			  "  restartPolicy: Never\n  containers:\n",
			  p);
		for (int c = 0; c < CONTAINERS; c++)
			text_addf(&text,
				  "  - {name: c%d, image: \"localhost/berth/demo:1\", args: "
				  "[linger, \"2\"]}\n",
				  c);
	}
	path = e2e_file("slow.yaml", text_str(&text));
	text_release(&text);
	return path;
}

static void in_node(const char *node, const char *script)
{
	free(e2e_stdout_of("podman", "exec", node, "sh", "-c", script, (char *)NULL));
}

/* A running node with a unit called kubelet and the slow containers. */
static void make_node(const char *cluster, const char *node)
{
	e2e_ok("create", "cluster", "--name", cluster, (char *)NULL);
	e2e_ok("apply", "-f", pods_yaml(), "-N", node, "--name", cluster, "--wait", (char *)NULL);
	in_node(node, "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' > "
		      "/run/systemd/system/kubelet.service && systemctl daemon-reload && "
		      "systemctl start kubelet");
}

static int64_t our_stop(const char *cluster, const char *node)
{
	int64_t start = clock_now_us();

	make_node(cluster, node);
	start = clock_now_us();
	e2e_ok("stop", "node", node, "--name", cluster, (char *)NULL);
	return clock_now_us() - start;
}

/* What crictl stop does, by containerd's own tool: a signal to each and the wait for its end; crictl up to
 * 1.29 takes one after the other, later ones all at once. */
static const char stop_script[] =
	"for id in %s; do (ctr -n k8s.io tasks kill --signal SIGTERM $id; "
	"pid=$(ctr -n k8s.io tasks ls | awk -v id=$id '$1 == id {print $2}'); "
	"while kill -0 $pid 2>/dev/null; do sleep 0.02; done) %s done; wait";

/* systemctl, a list a namespace, stop and remove with all ids, pgrep, podman stop: an exec each. */
static int64_t their_stop(const char *cluster, const char *node, bool in_parallel)
{
	static const char *const namespaces[] = { "kube-system", "kubernetes-dashboard",
						  "istio-operator", "default" };
	cleanup_with(text) struct text ids = { 0 }, script = { 0 };
	int64_t start;

	make_node(cluster, node);
	start = clock_now_us();
	in_node(node, "systemctl stop -f kubelet");
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
		cleanup_free char *list_script =
			text_format("ctr -n k8s.io containers ls -q "
				    "'labels.\"io.kubernetes.pod.namespace\"==%s,"
				    "labels.\"io.cri-containerd.kind\"==container' | tr '\\n' ' '",
				    namespaces[i]);
		cleanup_free char *list = e2e_stdout_of("podman", "exec", node, "sh", "-c",
							list_script, (char *)NULL);

		text_addf(&ids, " %s", list);
	}
	assert_true(ids.len > PODS * CONTAINERS * 64);
	text_addf(&script, stop_script, text_str(&ids), in_parallel ? "&" : ";");
	in_node(node, text_str(&script));
	text_release(&script);
	text_addf(&script, "ctr -n k8s.io tasks rm --force %s; true", text_str(&ids));
	in_node(node, text_str(&script));
	in_node(node, "pgrep -xnf 'kube-apiserver.*' || true");
	free(e2e_stdout_of("podman", "stop", node, (char *)NULL));
	return clock_now_us() - start;
}

static void stopping(struct bench *b)
{
	const char *cluster = e2e_cluster_name("stop");
	cleanup_free char *node = text_format("%s-control-plane", cluster);
	int64_t ours, one_by_one, at_once;

	ours = our_stop(cluster, node);
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	one_by_one = their_stop(cluster, node, false);
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	at_once = their_stop(cluster, node, true);
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	bench_row(b, "stop a node, 20 containers of 2 s / by execs, one by one", (double)ours / 1e6,
		  (double)one_by_one / 1e6, "s", "aim 5");
	bench_row(b, "stop a node, 20 containers of 2 s / by execs, all at once",
		  (double)ours / 1e6, (double)at_once / 1e6, "s", "");
}

/* The same command with the engine's last answer taken away before: as after a change. */
static void forgetful(struct strv *command)
{
	cleanup_with(strv) struct strv words = { 0 };
	cleanup_free char *line = strv_quote(command);
	cleanup_free char *script =
		text_format("rm -f %s/engine/podman-containers; exec %s", e2e_state_dir(), line);

	bench_words(&words, "sh", "-c", script, (char *)NULL);
	strv_release(command);
	strv_add_all(command, &words);
}

static void listing(struct bench *b)
{
	const char *cluster = e2e_cluster_name("list");
	cleanup_with(strv) struct strv ours = { 0 }, theirs = { 0 };
	double mine, their;

	e2e_ok("create", "cluster", "--name", cluster, "--workers", "9", (char *)NULL);
	bench_words(&ours, e2e_berth(), "--state-dir", e2e_state_dir(), "get", "nodes", "--name",
		    cluster, (char *)NULL);
	bench_words(&theirs, "podman", "inspect", (char *)NULL);
	strv_addf(&theirs, "%s-control-plane", cluster);
	strv_addf(&theirs, "%s-worker", cluster);
	for (int i = 2; i < 10; i++)
		strv_addf(&theirs, "%s-worker%d", cluster, i);
	bench_pair_ms(&ours, &theirs, &mine, &their);
	bench_row(b, "get nodes of 10, agents asked / podman inspect", mine, their, "ms",
		  "aim 1.5");
	forgetful(&ours);
	bench_pair_ms(&ours, &theirs, &mine, &their);
	bench_row(b, "get nodes of 10 after a change / podman inspect", mine, their, "ms", "");
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
}

static void life(void **state)
{
	struct bench *b = bench_new("life");

	(void)state;
	assert_non_null(b);
	stopping(b);
	listing(b);
	assert_int_equal(bench_finish(b), 0);
}

static int clean(void **state)
{
	(void)state;
	e2e_clean(e2e_cluster_name("stop"));
	e2e_clean(e2e_cluster_name("list"));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(life, clean) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
