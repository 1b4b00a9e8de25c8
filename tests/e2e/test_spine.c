/*
 * The main job, as a newcomer does it: a cluster of two real nodes, a real pod through the agent, a
 * node stopped cleanly and started again. The tests share the cluster and run in order.
 */
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *cluster;
static char control_plane[64], worker[64], since[32];

/* A kubelet as bad as they come: it ignores SIGTERM and systemd would wait for ever. */
static const char stubborn_kubelet[] =
	"[Unit]\n"
	"Description=a kubelet that ignores SIGTERM\n"
	"[Service]\n"
	"ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\n"
	"TimeoutStopSec=infinity\n"
	"Restart=always\n";

static const char pod_yaml[] = "apiVersion: v1\n"
			       "kind: Pod\n"
			       "metadata:\n"
			       "  name: hello\n"
			       "spec:\n"
			       "  containers:\n"
			       "  - name: main\n"
			       "    image: localhost/berth/demo:1\n"
			       "    args: [hello]\n";

static int create_cluster(void **state)
{
	(void)state;
	cluster = e2e_cluster_name("spine");
	snprintf(control_plane, sizeof(control_plane), "%s-control-plane", cluster);
	snprintf(worker, sizeof(worker), "%s-worker", cluster);
	snprintf(since, sizeof(since), "%lld", (long long)time(NULL));
	e2e_ok("create", "cluster", "--name", cluster, "--workers", "1", (char *)NULL);
	return 0;
}

static int remove_cluster(void **state)
{
	(void)state;
	e2e_clean(cluster);
	return 0;
}

static json_object *nodes_json(void)
{
	return e2e_json("get", "nodes", "--name", cluster, (char *)NULL);
}

static void two_nodes_run_and_are_healthy(void **state)
{
	json_object *nodes = nodes_json(), *node = e2e_find(nodes, "name", worker), *health;

	(void)state;
	assert_int_equal(json_object_array_length(nodes), 2);
	assert_non_null(node);
	assert_string_equal(e2e_text(node, "state"), "running");
	assert_string_equal(e2e_text(node, "role"), "worker");
	assert_string_equal(e2e_text(node, "provider"), "podman");
	assert_string_equal(e2e_text(node, "agent.channel"), "ipc");
	assert_string_equal(e2e_text(node, "runtime.name"), "containerd");
	assert_string_not_equal(e2e_text(node, "ip"), "");
	assert_int_equal(e2e_containers(cluster), 2);
	json_object_put(nodes);

	health = e2e_json("health", "--name", cluster, (char *)NULL);
	assert_int_equal(json_object_array_length(health), 2);
	json_object_put(health);
}

static void creating_it_again_is_a_conflict(void **state)
{
	struct e2e_output output =
		e2e_run(60, "create", "cluster", "--name", cluster, (char *)NULL);

	(void)state;
	assert_int_equal(output.exit_code, 4);
	assert_int_equal(e2e_containers(cluster), 2);
	e2e_release(&output);
}

/* The programs that talk to the real parts run against this node's own, found by the host's pid of its
 * PID 1. */
static void run_against_node(const char *program, const char *before, const char *after)
{
	char *pid = e2e_stdout_of("podman", "inspect", "--format", "{{.State.Pid}}", worker,
				  (char *)NULL);
	char binary[4200];
	cleanup_free char *address = text_format("%s%s%s", before, pid, after);
	struct e2e_output output;

	snprintf(binary, sizeof(binary), "%.*s/tests/unit/agent/%s",
		 (int)(strlen(e2e_berth()) - strlen("/berth")), e2e_berth(), program);
	output = e2e_program(240, binary, address, (char *)NULL);
	if (output.exit_code != 0)
		fail_msg("%s %s: %s%s", binary, address, output.out, output.errs);
	e2e_release(&output);
	free(pid);
}

static void unit_backend_works_on_real_systemd(void **state)
{
	(void)state;
	run_against_node("units/test_unit_systemd", "", "");
}

static void runtime_backend_works_on_real_containerd(void **state)
{
	(void)state;
	run_against_node("runtime/test_cri_real", "unix:///proc/",
			 "/root/run/containerd/containerd.sock");
}

static void applied_pod_runs(void **state)
{
	const char *file = e2e_file("pod.yaml", pod_yaml);
	json_object *pods, *pod;

	(void)state;
	e2e_ok("apply", "-f", file, "-N", worker, "--name", cluster, "--wait", (char *)NULL);
	pods = e2e_json("get", "pods", "-N", worker, "--name", cluster, (char *)NULL);
	pod = e2e_find(pods, "name", "hello");
	assert_non_null(pod);
	assert_string_equal(e2e_text(pod, "phase"), "Running");
	assert_string_equal(e2e_text(pod, "source"), "agent");
	assert_true(strncmp(e2e_text(pod, "ip"), "10.244.", 7) == 0);
	json_object_put(pods);

	/* Again with the same manifest: nothing to do. */
	pods = e2e_json("apply", "-f", file, "-N", worker, "--name", cluster, (char *)NULL);
	assert_string_equal(e2e_text(json_object_array_get_idx(pods, 0), "result"), "unchanged");
	json_object_put(pods);
}

static int running_containers(const char *pod)
{
	json_object *list =
		e2e_json("get", "containers", "-N", worker, "--name", cluster, (char *)NULL);
	int count = 0;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *item = json_object_array_get_idx(list, i);

		count += strcmp(e2e_text(item, "pod"), pod) == 0 &&
			 strcmp(e2e_text(item, "state"), "running") == 0;
	}
	json_object_put(list);
	return count;
}

static void unit_status_comes_from_systemd(void **state)
{
	json_object *units =
		e2e_json("get", "units", "-N", worker, "--name", cluster, (char *)NULL);
	json_object *containerd = e2e_find(units, "name", "containerd.service");

	(void)state;
	assert_non_null(containerd);
	assert_string_equal(e2e_text(containerd, "active"), "active");
	assert_true(atoll(e2e_text(containerd, "mainPid")) > 0);
	json_object_put(units);
}

/* The whole story so far used the agent only: the engine has executed nothing in a node. */
static void engine_has_executed_nothing_in_a_node(void **state)
{
	char *events;

	(void)state;
	events = e2e_stdout_of("podman", "events", "--stream=false", "--since", since, "--filter",
			       "event=exec", "--format", "{{.Name}}", (char *)NULL);
	assert_null(strstr(events, cluster));
	free(events);
}

static void berthd_pid(char *ret, size_t size)
{
	char *pid = e2e_stdout_of("podman", "exec", worker, "systemctl", "show", "-p", "MainPID",
				  "--value", "berthd.service", (char *)NULL);

	snprintf(ret, size, "%s", pid);
	free(pid);
}

static bool one_container_runs(void *pod)
{
	return running_containers(pod) == 1;
}

/* F1: at whatever instant the agent dies, the pod ends up running once. */
static void killing_the_agent_during_apply_runs_the_pod_once(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		char name[32], yaml[sizeof(pod_yaml) + 32], pid[16], script[4600];
		struct e2e_output output;

		snprintf(name, sizeof(name), "killed-%d", i);
		snprintf(yaml, sizeof(yaml), "%.*s%s%s",
			 (int)(strstr(pod_yaml, "hello") - pod_yaml), pod_yaml, name,
			 strstr(pod_yaml, "hello") + strlen("hello"));
		e2e_file("killed.yaml", yaml);
		berthd_pid(pid, sizeof(pid));
		/* The kill lands 40 ms further into the apply each time round. */
		snprintf(script, sizeof(script),
			 "%s --state-dir %s apply -f %s/killed.yaml -N %s --name %s --wait & "
			 "apply=$!; "
			 "podman exec %s sh -c 'sleep 0.0%d; kill -9 %s'; wait $apply",
			 e2e_berth(), e2e_state_dir(), e2e_state_dir(), worker, cluster, worker,
			 i * 2, pid);
		output = e2e_program(60, "sh", "-c", script, (char *)NULL);
		if (output.exit_code != 0)
			fail_msg("apply while the agent is killed: %s%s", output.out, output.errs);
		e2e_release(&output);
		e2e_eventually(one_container_runs, name, 10000);
		e2e_ok("delete", "pod", name, "-N", worker, "--name", cluster, (char *)NULL);
		assert_int_equal(running_containers(name), 0);
	}
}

static void install_stubborn_kubelet(void)
{
	const char *file = e2e_file("kubelet.service", stubborn_kubelet);
	char target[160];
	struct e2e_output output;

	snprintf(target, sizeof(target), "%s:/etc/systemd/system/kubelet.service", worker);
	output = e2e_program(30, "podman", "cp", file, target, (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
	output = e2e_program(30, "podman", "exec", worker, "systemctl", "daemon-reload",
			     (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
	e2e_ok("start", "unit", "kubelet", "-N", worker, "--name", cluster, (char *)NULL);
}

/* NS-241, D9: while a kubelet runs, pods are its business. */
static void apply_beside_a_running_kubelet_is_refused(void **state)
{
	struct e2e_output output;

	(void)state;
	install_stubborn_kubelet();
	output = e2e_run(30, "apply", "-f", e2e_file("pod.yaml", pod_yaml), "-N", worker, "--name",
			 cluster, (char *)NULL);
	assert_int_equal(output.exit_code, 4);
	assert_non_null(strstr(output.errs, "kubelet"));
	e2e_release(&output);
}

/* NS-160, CN-190 to CN-193: the stop is the agent's doing, and the node's journal tells it. */
static void stopped_node_shows_what_the_agent_did(void **state)
{
	json_object *nodes, *node;
	char *journal;

	(void)state;
	assert_int_equal(running_containers("hello"), 1);
	e2e_ok("stop", "node", worker, "--name", cluster, (char *)NULL);
	nodes = nodes_json();
	node = e2e_find(nodes, "name", worker);
	assert_non_null(node);
	assert_string_equal(e2e_text(node, "state"), "stopped");
	json_object_put(nodes);

	/* Starting is part of the story: the journal is read in the node that came back. */
	e2e_ok("start", "node", worker, "--name", cluster, (char *)NULL);
	journal = e2e_stdout_of("podman", "exec", worker, "journalctl", "--no-pager", "-o", "cat",
				"-u", "kubelet.service", (char *)NULL);
	assert_non_null(strstr(journal, "Stopped kubelet.service"));
	free(journal);
	journal = e2e_stdout_of("podman", "exec", worker, "journalctl", "--no-pager", "-o", "cat",
				"-u", "berthd.service", (char *)NULL);
	assert_non_null(strstr(journal, "Quiesce"));
	assert_non_null(strstr(journal, "stop-kubelet ok"));
	assert_non_null(strstr(journal, "stopped container main of pod default/hello"));
	free(journal);
}

static bool hello_is_back(void *arg)
{
	(void)arg;
	return running_containers("hello") == 1;
}

static void pod_and_address_survive_the_restart(void **state)
{
	json_object *nodes = nodes_json(), *node = e2e_find(nodes, "name", worker);
	char ip[64];

	(void)state;
	snprintf(ip, sizeof(ip), "%s", e2e_text(node, "ip"));
	json_object_put(nodes);
	e2e_ok("restart", "node", worker, "--name", cluster, (char *)NULL);
	nodes = nodes_json();
	node = e2e_find(nodes, "name", worker);
	assert_string_equal(e2e_text(node, "ip"), ip);
	json_object_put(nodes);
	e2e_eventually(hello_is_back, NULL, 20000);
}

static void deleting_a_pod_leaves_no_container(void **state)
{
	json_object *list;

	(void)state;
	e2e_ok("delete", "pod", "hello", "-N", worker, "--name", cluster, (char *)NULL);
	list = e2e_json("get", "containers", "--sandboxes", "-N", worker, "--name", cluster,
			(char *)NULL);
	assert_null(e2e_find(list, "pod", "hello"));
	json_object_put(list);
}

static void node_can_be_added_and_deleted(void **state)
{
	char extra[64];
	json_object *nodes;

	(void)state;
	snprintf(extra, sizeof(extra), "%s-extra", cluster);
	e2e_ok("create", "node", extra, "--name", cluster, (char *)NULL);
	nodes = nodes_json();
	assert_int_equal(json_object_array_length(nodes), 3);
	json_object_put(nodes);
	e2e_ok("delete", "node", extra, "--name", cluster, (char *)NULL);
	nodes = nodes_json();
	assert_int_equal(json_object_array_length(nodes), 2);
	json_object_put(nodes);
}

/* DESIGN.md section 1: a lost state directory never strands a node. */
static void lost_state_directory_strands_nothing(void **state)
{
	char json[160];
	struct e2e_output output;

	(void)state;
	snprintf(json, sizeof(json), "%s/nodes/%s.json", e2e_state_dir(), worker);
	assert_int_equal(unlink(json), 0);
	e2e_ok("get", "units", "-N", worker, "--name", cluster, (char *)NULL);
	output = e2e_run(60, "health", "-N", worker, "--name", cluster, (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
}

static void deleting_the_cluster_leaves_nothing(void **state)
{
	(void)state;
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	e2e_assert_nothing_left(cluster);
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_nodes_run_and_are_healthy),
		cmocka_unit_test(creating_it_again_is_a_conflict),
		cmocka_unit_test(unit_status_comes_from_systemd),
		cmocka_unit_test(applied_pod_runs),
		cmocka_unit_test(engine_has_executed_nothing_in_a_node),
		cmocka_unit_test(unit_backend_works_on_real_systemd),
		cmocka_unit_test(runtime_backend_works_on_real_containerd),
		cmocka_unit_test(killing_the_agent_during_apply_runs_the_pod_once),
		cmocka_unit_test(apply_beside_a_running_kubelet_is_refused),
		cmocka_unit_test(stopped_node_shows_what_the_agent_did),
		cmocka_unit_test(pod_and_address_survive_the_restart),
		cmocka_unit_test(deleting_a_pod_leaves_no_container),
		cmocka_unit_test(node_can_be_added_and_deleted),
		cmocka_unit_test(lost_state_directory_strands_nothing),
		cmocka_unit_test(deleting_the_cluster_leaves_nothing),
	};

	return cmocka_run_group_tests_name("spine", tests, create_cluster, remove_cluster);
}
