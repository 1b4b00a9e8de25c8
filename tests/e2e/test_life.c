/*
 * Life after create: pause, stop, delete, also of what is frozen, half-made or in the middle of being
 * made; and several control planes behind one door.
 */
#include "shared/base/cleanup.h"
#include "shared/base/deadline.h"
#include "shared/base/text.h"
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char pod[] = "apiVersion: v1\n"
			  "kind: Pod\n"
			  "metadata: {name: p}\n"
			  "spec:\n"
			  "  terminationGracePeriodSeconds: 2\n"
			  "  containers:\n"
			  "  - {name: a, image: \"localhost/berth/demo:1\"}\n"
			  "  - {name: b, image: \"localhost/berth/demo:1\"}\n";

/* --- pause ------------------------------------------------------------------------------------------- */

static int clean_pause(void **state)
{
	(void)state;
	e2e_clean(e2e_cluster_name("pause"));
	return 0;
}

static size_t count_state(const char *cluster, const char *wanted)
{
	json_object *list = e2e_json("get", "containers", "--name", cluster, (char *)NULL);
	size_t count = 0;

	for (size_t i = 0; i < json_object_array_length(list); i++)
		count += strcmp(e2e_text(json_object_array_get_idx(list, i), "state"), wanted) == 0;
	json_object_put(list);
	return count;
}

static void assert_node_state(const char *cluster, const char *wanted)
{
	json_object *list = e2e_json("get", "nodes", "--name", cluster, (char *)NULL);

	assert_string_equal(e2e_text(json_object_array_get_idx(list, 0), "state"), wanted);
	json_object_put(list);
}

static bool both_run(void *arg)
{
	return count_state(arg, "running") == 2;
}

/* NS-065 NS-066 NS-067 NS-058 NS-170 NS-172 NS-246 CN-200: frozen and thawed, and ended while frozen, by
 * every way there is, without a hang. */
static void paused_workloads_stand_still_and_can_be_ended(void **state)
{
	const char *cluster = e2e_cluster_name("pause");
	const char *const ends[] = { "stop", "kill", "restart" };
	struct e2e_output output;

	(void)state;
	e2e_ok("create", "cluster", "--name", cluster, (char *)NULL);
	e2e_ok("apply", "-f", e2e_file("p.yaml", pod), "-N", "control-plane", "--name", cluster,
	       "--wait", (char *)NULL);
	e2e_ok("pause", "cluster", "--name", cluster, (char *)NULL);
	assert_int_equal(count_state(cluster, "paused"), 2);
	assert_node_state(cluster, "paused");
	e2e_ok("health", "--name", cluster, (char *)NULL);
	e2e_ok("pause", "cluster", "--name", cluster, (char *)NULL);
	e2e_ok("unpause", "cluster", "--name", cluster, (char *)NULL);
	assert_int_equal(count_state(cluster, "running"), 2);
	assert_node_state(cluster, "running");
	for (size_t i = 0; i < 3; i++) {
		e2e_ok("pause", "cluster", "--name", cluster, (char *)NULL);
		output = e2e_run(60, ends[i], "cluster", "--name", cluster, (char *)NULL);
		assert_int_equal(output.exit_code, 0);
		assert_in_range(output.millis, 0, 15000); /* CN-293 */
		e2e_release(&output);
		e2e_ok("start", "cluster", "--name", cluster, (char *)NULL);
		e2e_eventually(both_run, (void *)cluster, 20000);
	}
	e2e_ok("pause", "cluster", "--name", cluster, (char *)NULL);
	output = e2e_run(60, "delete", "cluster", "--name", cluster, (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	assert_in_range(output.millis, 0, 15000);
	e2e_release(&output);
	e2e_assert_nothing_left(cluster);
}

/* --- a controller that dies --------------------------------------------------------------------- */

static int clean_killed(void **state)
{
	(void)state;
	e2e_clean(e2e_cluster_name("killed"));
	return 0;
}

static pid_t begin_create(const char *cluster, const char *workers)
{
	const char *state_dir = e2e_state_dir();
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execl(e2e_berth(), "berth", "--state-dir", state_dir, "create", "cluster", "--name",
		      cluster, "--image", e2e_image(), "--workers", workers, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* CN-273 CN-291: killed without a chance to clean up, at points all over its way. */
static void delete_clears_what_a_killed_create_left(void **state)
{
	const char *cluster = e2e_cluster_name("killed");

	(void)state;
	for (int point = 0; point < 20; point++) {
		pid_t pid = begin_create(cluster, "1");
		int status;

		poll(NULL, 0, 20 + point * 65);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
		e2e_assert_nothing_left(cluster);
	}
}

/* CN-273: the first interrupt winds up; a second one hurries. */
static void an_interrupt_undoes_and_a_second_one_hurries(void **state)
{
	const char *cluster = e2e_cluster_name("killed");
	int64_t began_ms;
	int status;
	pid_t pid;

	(void)state;
	pid = begin_create(cluster, "2");
	poll(NULL, 0, 500);
	began_ms = clock_now_ms();
	kill(pid, SIGINT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_in_range(clock_now_ms() - began_ms, 0, 10000);
	assert_int_equal(WEXITSTATUS(status), 130);
	e2e_assert_nothing_left(cluster);

	pid = begin_create(cluster, "2");
	poll(NULL, 0, 500);
	kill(pid, SIGINT);
	poll(NULL, 0, 100);
	began_ms = clock_now_ms();
	kill(pid, SIGINT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_in_range(clock_now_ms() - began_ms, 0, 10000);
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	e2e_assert_nothing_left(cluster);
}

/* CN-292: of two who make the same cluster one wins, and nothing of the winner's is deleted. */
static void of_two_creates_one_wins(void **state)
{
	const char *cluster = e2e_cluster_name("killed");
	pid_t pids[2];
	int won = 0;

	(void)state;
	for (int i = 0; i < 2; i++)
		pids[i] = begin_create(cluster, "1");
	for (int i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		won += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	assert_int_equal(won, 1);
	assert_int_equal(e2e_containers(cluster), 2);
	e2e_ok("health", "--name", cluster, (char *)NULL);
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	e2e_assert_nothing_left(cluster);
}

/* CN-216: the engine's labels suffice. */
static void a_cluster_without_state_is_deleted(void **state)
{
	const char *cluster = e2e_cluster_name("killed");
	cleanup_free char *other = text_format("%s/other", e2e_state_dir());
	struct e2e_output output;

	(void)state;
	e2e_ok("create", "cluster", "--name", cluster, (char *)NULL);
	output = e2e_program(60, e2e_berth(), "--state-dir", other, "delete", "cluster", "--name",
			     cluster, (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
	assert_int_equal(e2e_containers(cluster), 0);
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	e2e_assert_nothing_left(cluster);
}

/* --- the balancer -------------------------------------------------------------------------------- */

static int clean_balancer(void **state)
{
	(void)state;
	e2e_clean(e2e_cluster_name("ha"));
	return 0;
}

/* Says the node's name to whoever connects. */
static void answer_on(const char *cluster, const char *suffix)
{
	cleanup_free char *node = text_format("%s-control-plane%s", cluster, suffix);
	char *done = e2e_stdout_of(
		"podman", "exec", node, "sh", "-c",
		"cd /run/systemd/system && printf '[Socket]\\nListenStream=6443\\nAccept=yes\\n' "
		"> answer.socket && printf '[Service]\\nExecStart=-/bin/cat /etc/hostname\\n"
		"StandardOutput=socket\\n' > answer@.service && systemctl daemon-reload && "
		"systemctl start answer.socket && echo done",
		(char *)NULL);

	assert_string_equal(done, "done");
	free(done);
}

/* Who answers at the cluster's door: the number of the control plane, 0 for nobody. */
static int who_answers(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval patience = { .tv_sec = 3 };
	char name[128] = "";
	const char *found;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    recv(fd, name, sizeof(name) - 1, 0) <= 0)
		name[0] = '\0';
	close(fd);
	found = strstr(name, "control-plane");
	if (!found)
		return 0;
	return found[13] == '2' || found[13] == '3' ? found[13] - '0' : 1;
}

struct door {
	int port;
	int wanted; /* bits of control planes that answer, and no others */
};

/* Six calls in a row reach those that are wanted, and none is lost. */
static bool reaches(void *arg)
{
	const struct door *door = arg;
	int seen = 0;

	for (int i = 0; i < 6; i++)
		seen |= 1 << who_answers(door->port);
	return seen == door->wanted;
}

static int door_of(const char *cluster)
{
	json_object *list = e2e_json("get", "nodes", "--name", cluster, (char *)NULL);
	json_object *balancer = e2e_find(list, "role", "external-load-balancer"), *ports, *number;
	int port;

	assert_non_null(balancer);
	assert_true(json_object_object_get_ex(balancer, "ports", &ports));
	assert_true(json_object_object_get_ex(json_object_array_get_idx(ports, 0), "hostPort",
					      &number));
	port = json_object_get_int(number);
	json_object_put(list);
	return port;
}

static void assert_few_rights(const char *cluster)
{
	cleanup_free char *node = text_format("%s-external-load-balancer", cluster);
	char *rights = e2e_stdout_of("podman", "inspect", "--format",
				     "{{.HostConfig.Privileged}} {{.HostConfig.CapAdd}}", node,
				     (char *)NULL);

	assert_string_equal(rights, "false [CAP_SYS_ADMIN]");
	free(rights);
}

/* CN-260 to CN-264: the host reaches every control plane through one port, and goes on when one ends. */
static void three_control_planes_answer_at_one_door(void **state)
{
	const char *cluster = e2e_cluster_name("ha");
	struct door door = { .wanted = 1 << 1 | 1 << 2 | 1 << 3 };

	(void)state;
	e2e_ok("create", "cluster", "--name", cluster, "--control-planes", "3", (char *)NULL);
	answer_on(cluster, "");
	answer_on(cluster, "2");
	answer_on(cluster, "3");
	assert_few_rights(cluster);
	door.port = door_of(cluster);
	e2e_eventually(reaches, &door, 10000);
	e2e_ok("stop", "node", "control-plane2", "--name", cluster, (char *)NULL);
	door.wanted = 1 << 1 | 1 << 3;
	e2e_eventually(reaches, &door, 10000);
	for (int i = 0; i < 20; i++)
		assert_int_not_equal(who_answers(door.port), 0);
	e2e_ok("delete", "node", "control-plane3", "--name", cluster, (char *)NULL);
	door.wanted = 1 << 1;
	e2e_eventually(reaches, &door, 10000);
	e2e_ok("restart", "node", "external-load-balancer", "--name", cluster, (char *)NULL);
	e2e_eventually(reaches, &door, 10000);
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	e2e_assert_nothing_left(cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(paused_workloads_stand_still_and_can_be_ended,
					  clean_pause),
		cmocka_unit_test_teardown(delete_clears_what_a_killed_create_left, clean_killed),
		cmocka_unit_test_teardown(an_interrupt_undoes_and_a_second_one_hurries,
					  clean_killed),
		cmocka_unit_test_teardown(of_two_creates_one_wins, clean_killed),
		cmocka_unit_test_teardown(a_cluster_without_state_is_deleted, clean_killed),
		cmocka_unit_test_teardown(three_control_planes_answer_at_one_door, clean_balancer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
