/*
 * Logs, events and processes of a real node: journald, containerd, the kernel. The tests share one node
 * and run in order.
 */
#include "tests/support/e2e.h"

#include "shared/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *cluster;
static char node[64];

static const char pod_yaml[] =
	"apiVersion: v1\n"
	"kind: Pod\n"
	"metadata: {name: hello}\n"
	"spec:\n"
	"  restartPolicy: Never\n"
	"  containers:\n"
	"  - {name: main, image: 'localhost/berth/demo:1', args: [hello]}\n"
	"  - {name: side, image: 'localhost/berth/demo:1', args: [sleep, '2']}\n";

static int create_cluster(void **state)
{
	(void)state;
	cluster = e2e_cluster_name("logs");
	snprintf(node, sizeof(node), "%s-control-plane", cluster);
	e2e_ok("create", "cluster", "--name", cluster, (char *)NULL);
	return 0;
}

static int remove_cluster(void **state)
{
	(void)state;
	e2e_clean(cluster);
	return 0;
}

static unsigned count(const char *text, const char *what)
{
	unsigned found = 0;

	while ((text = strstr(text, what))) {
		found++;
		text += strlen(what);
	}
	return found;
}

static void write_to_journal(const char *message)
{
	struct e2e_output output = e2e_program(20, "podman", "exec", node, "systemd-cat", "-t",
					       "e2e", "echo", message, (char *)NULL);

	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
}

static bool journal_has(void *message)
{
	struct e2e_output output = e2e_run(20, "logs", node, "--tail", "50", (char *)NULL);
	bool has = output.exit_code == 0 && strstr(output.out, message);

	e2e_release(&output);
	return has;
}

/* NS-267, NS-032 */
static void journal_of_a_unit_is_what_journalctl_shows(void **state)
{
	struct e2e_output ours = e2e_run(20, "logs", node, "-u", "containerd", (char *)NULL);
	char *theirs = e2e_stdout_of("podman", "exec", node, "journalctl", "-u", "containerd",
				     "--no-pager", "-q", "-o", "cat", (char *)NULL);

	(void)state;
	assert_int_equal(ours.exit_code, 0);
	assert_non_null(strstr(ours.out, " containerd["));
	assert_non_null(strstr(ours.out, " systemd[1]: Started"));
	/* The unit is quiet by now: line for line the same. */
	assert_int_equal(count(ours.out, "\n"), count(theirs, "\n") + 1);
	free(theirs);
	e2e_release(&ours);
}

static void tail_and_since_pick_the_last(void **state)
{
	struct e2e_output output;

	(void)state;
	write_to_journal("the last line");
	e2e_eventually(journal_has, (char *)"the last line", 10000);
	output = e2e_run(20, "logs", node, "--tail", "3", (char *)NULL);
	assert_int_equal(count(output.out, "\n"), 3);
	e2e_release(&output);
	output = e2e_run(20, "logs", node, "--since", "1h", "-o", "json", (char *)NULL);
	assert_non_null(strstr(output.out, "\"stream\":\"journal\""));
	assert_non_null(strstr(output.out, "the last line"));
	e2e_release(&output);
	output = e2e_run(20, "logs", node, "--since", "0s", (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	assert_null(strstr(output.out, "the last line"));
	e2e_release(&output);
}

struct follower {
	struct e2e_output output;
	pthread_t thread;
};

static void *follow_journal(void *arg)
{
	struct follower *f = arg;

	f->output = e2e_run(30, "logs", node, "-f", "--tail", "0", "--timeout", "4s", (char *)NULL);
	return NULL;
}

static bool journal_child_runs(void *arg)
{
	json_object *list = e2e_json("get", "processes", "-N", node, (char *)NULL);
	bool runs = false;

	(void)arg;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *args =
			json_object_object_get(json_object_array_get_idx(list, i), "args");

		runs |= json_object_array_length(args) > 1 &&
			strcmp(json_object_get_string(json_object_array_get_idx(args, 1)),
			       "journal") == 0;
	}
	json_object_put(list);
	return runs;
}

static bool no_journal_child_runs(void *arg)
{
	return !journal_child_runs(arg);
}

/* NS-267, F38: over a rotation each line comes once, and nothing is left behind. */
static void followed_journal_goes_on_over_rotation(void **state)
{
	struct e2e_output rotated;
	struct follower f;

	(void)state;
	assert_int_equal(pthread_create(&f.thread, NULL, follow_journal, &f), 0);
	e2e_eventually(journal_child_runs, NULL, 10000);
	write_to_journal("before the rotation");
	rotated = e2e_program(20, "podman", "exec", node, "journalctl", "--rotate", (char *)NULL);
	assert_int_equal(rotated.exit_code, 0);
	e2e_release(&rotated);
	write_to_journal("after the rotation");
	pthread_join(f.thread, NULL);
	assert_int_equal(f.output.exit_code, 5); /* its time was over */
	assert_int_equal(count(f.output.out, ": before the rotation\n"), 1);
	assert_int_equal(count(f.output.out, ": after the rotation\n"), 1);
	/* Reading it writes nothing into it: else it would never end. */
	assert_null(strstr(f.output.out, "Streams/Read"));
	e2e_release(&f.output);
	e2e_eventually(no_journal_child_runs, NULL, 10000);
}

/* NS-086 */
static void log_of_a_real_container_is_shown_and_followed_to_its_end(void **state)
{
	char pod[80];
	struct e2e_output output;

	(void)state;
	snprintf(pod, sizeof(pod), "%s/hello", node);
	e2e_ok("apply", "-f", e2e_file("pod.yaml", pod_yaml), "-N", node, "--wait", (char *)NULL);
	output = e2e_run(20, "logs", pod, "-c", "main", (char *)NULL);
	assert_string_equal(output.errs, "");
	assert_string_equal(output.out, "demo: hello\n");
	e2e_release(&output);
	output = e2e_run(20, "logs", pod, (char *)NULL);
	assert_int_equal(output.exit_code, 2);
	assert_non_null(strstr(output.errs, "main, side"));
	e2e_release(&output);
	output = e2e_run(30, "logs", pod, "-c", "side", "-f", "--timestamps", (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	assert_non_null(strstr(output.out, "Z demo: sleep 2\n"));
	e2e_release(&output);
}

/* NS-206 */
static void events_tell_what_happened_to_the_pod(void **state)
{
	json_object *list = e2e_json("get", "events", "default/hello", "-N", node, (char *)NULL);

	(void)state;
	assert_non_null(e2e_find(list, "reason", "Created"));
	assert_non_null(e2e_find(list, "reason", "Started"));
	assert_string_equal(e2e_text(json_object_array_get_idx(list, 0), "kind"), "pod");
	json_object_put(list);
}

static bool sleeper_is_gone(void *arg)
{
	json_object *list = e2e_json("get", "processes", arg, "-N", node, (char *)NULL);
	bool gone = json_object_array_length(list) == 0;

	json_object_put(list);
	return gone;
}

/* NS-203, I13 */
static void processes_are_listed_and_signalled(void **state)
{
	json_object *list = e2e_json("get", "processes", "-N", node, (char *)NULL), *found;
	struct e2e_output output;
	char pid[16];

	(void)state;
	found = e2e_find(list, "command", "systemd");
	assert_non_null(found);
	assert_int_equal(json_object_get_int(json_object_object_get(found, "pid")), 1);
	assert_non_null(e2e_find(list, "command", "berthd"));
	json_object_put(list);

	output = e2e_program(20, "podman", "exec", "-d", node, "sleep", "987654", (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
	list = e2e_json("get", "processes", "sleep", "-N", node, (char *)NULL);
	found = json_object_array_get_idx(list, 0);
	assert_non_null(found);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(
				    json_object_object_get(found, "args"), 1)),
			    "987654");
	snprintf(pid, sizeof(pid), "%d", json_object_get_int(json_object_object_get(found, "pid")));
	json_object_put(list);
	e2e_ok("kill", "process", pid, "-N", node, (char *)NULL);
	e2e_eventually(sleeper_is_gone, pid, 10000);
}

/* NS-205: a privileged node sees the kernel's messages, if the host lets anybody. */
static void dmesg_shows_the_kernels_messages(void **state)
{
	struct e2e_output output = e2e_run(20, "dmesg", node, "--tail", "3", (char *)NULL);

	(void)state;
	if (output.exit_code == 0)
		assert_true(count(output.out, "\n") <= 3);
	else
		assert_non_null(strstr(output.errs, "cannot read the kernel's messages"));
	e2e_release(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(journal_of_a_unit_is_what_journalctl_shows),
		cmocka_unit_test(tail_and_since_pick_the_last),
		cmocka_unit_test(followed_journal_goes_on_over_rotation),
		cmocka_unit_test(log_of_a_real_container_is_shown_and_followed_to_its_end),
		cmocka_unit_test(events_tell_what_happened_to_the_pod),
		cmocka_unit_test(processes_are_listed_and_signalled),
		cmocka_unit_test(dmesg_shows_the_kernels_messages),
	};

	return cmocka_run_group_tests(tests, create_cluster, remove_cluster);
}
