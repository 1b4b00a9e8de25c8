/*
 * The same job on docker, against a dockerd of the test's own: a cluster of two nodes that run, stop,
 * start and go without a trace; a controller that is killed; a daemon that is stuck or gone. The tests
 * share the daemon and run in order.
 */
#include "controller/cluster/cluster.h"
#include "controller/exec/exec.h"
#include "controller/provider/provider.h"
#include "tests/support/dockerd.h"
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static struct dockerd *dockerd;
static const char *why_not;
static const char *cluster;
static char control_plane[64], worker[64];

static int set_up(void **state)
{
	(void)state;
	dockerd = dockerd_start(&why_not);
	if (!dockerd)
		return 0;
	if (!dockerd_load(dockerd, e2e_image())) {
		dockerd_stop(dockerd);
		dockerd = NULL;
		why_not = "there is no node image (make image)";
		return 0;
	}
	setenv("BERTH_PROVIDER", "docker", 1);
	cluster = e2e_cluster_name("docker");
	snprintf(control_plane, sizeof(control_plane), "%s-control-plane", cluster);
	snprintf(worker, sizeof(worker), "%s-worker", cluster);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (cluster)
		e2e_clean(cluster);
	dockerd_stop(dockerd);
	return 0;
}

static void skip_unless_possible(void)
{
	if (dockerd)
		return;
	print_message("skipped: %s\n", why_not);
	skip();
}

static json_object *node_json(const char *name, json_object **ret_all)
{
	json_object *node;

	*ret_all = e2e_json("get", "nodes", "--name", cluster, (char *)NULL);
	node = e2e_find(*ret_all, "name", name);
	assert_non_null(node);
	return node;
}

/* How many lines `docker WORD...` prints. */
static size_t docker_lines(const char *const *words)
{
	struct exec_options options = { .by = deadline_in_ms(30000) };
	struct exec_result result = { 0 };
	struct strv argv = { 0 };
	struct err err;
	size_t lines = 0;

	strv_add(&argv, "docker");
	for (; *words; words++)
		strv_add(&argv, *words);
	if (exec_run(&argv, &options, &result, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(result.exit_code, 0);
	for (const char *s = text_str(&result.out); *s; s++)
		lines += *s == '\n';
	exec_result_release(&result);
	strv_release(&argv);
	return lines;
}

#define DOCKER_LINES(...) docker_lines((const char *const[]){ __VA_ARGS__, NULL })

static size_t containers(void)
{
	return DOCKER_LINES("ps", "--all", "--quiet");
}

/* "none" and "host" are docker's own. */
static void assert_nothing_left(void)
{
	assert_int_equal(containers(), 0);
	assert_int_equal(DOCKER_LINES("volume", "ls", "--quiet"), 0);
	assert_int_equal(DOCKER_LINES("network", "ls", "--quiet"), 2);
}

/* Below the state directory, with the fewest words. */
static const char *archive(void)
{
	static char path[256];
	char *script = NULL;

	snprintf(path, sizeof(path), "%s/begin", e2e_state_dir());
	script = text_format("cd %s && mkdir -p lib/begun && echo one > lib/begun/file && "
			     "tar -czf begin lib",
			     e2e_state_dir());
	free(e2e_stdout_of("sh", "-c", script, (char *)NULL));
	free(script);
	return path;
}

/* D12 CN-031 CN-038; CN-122: each begins with what was preloaded. */
static void two_nodes_run_and_are_healthy(void **state)
{
	json_object *all, *node, *health;
	char *begun, *given;

	(void)state;
	skip_unless_possible();
	e2e_ok("create", "cluster", "--name", cluster, "--workers", "1", "--image", e2e_image(),
	       "--preload", archive(), "--env", "GIVEN=two words", (char *)NULL);
	given = e2e_stdout_of("docker", "exec", worker, "printenv", "GIVEN", (char *)NULL);
	assert_string_equal(given, "two words");
	free(given);
	begun = e2e_stdout_of("docker", "exec", worker, "cat", "/var/lib/begun/file", (char *)NULL);
	assert_string_equal(begun, "one");
	free(begun);
	node = node_json(worker, &all);
	assert_int_equal(json_object_array_length(all), 2);
	assert_string_equal(e2e_text(node, "state"), "running");
	assert_string_equal(e2e_text(node, "provider"), "docker");
	assert_string_equal(e2e_text(node, "agent.channel"), "ipc");
	assert_string_equal(e2e_text(node, "runtime.name"), "containerd");
	json_object_put(all);
	health = e2e_json("health", "--name", cluster, (char *)NULL);
	assert_int_equal(json_object_array_length(health), 2);
	json_object_put(health);
	assert_int_equal(DOCKER_LINES("volume", "ls", "--quiet"), 2);
}

/* CN-180 CN-193 CN-195: well under the ten seconds after which docker would kill. */
static void stopped_node_starts_again_with_its_address(void **state)
{
	struct e2e_output output;
	json_object *all, *node;
	char ip[64];

	(void)state;
	skip_unless_possible();
	snprintf(ip, sizeof(ip), "%s", e2e_text(node_json(worker, &all), "ip"));
	json_object_put(all);
	output = e2e_run(60, "stop", "node", worker, "--name", cluster, (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	assert_true(output.millis < 9000);
	e2e_release(&output);
	node = node_json(worker, &all);
	assert_string_equal(e2e_text(node, "state"), "stopped");
	assert_string_equal(e2e_text(node, "ip"), ip);
	json_object_put(all);
	e2e_ok("start", "node", worker, "--name", cluster, (char *)NULL);
	node = node_json(worker, &all);
	assert_string_equal(e2e_text(node, "state"), "running");
	assert_string_equal(e2e_text(node, "ip"), ip);
	assert_string_equal(e2e_text(node, "agent.state"), "ok");
	json_object_put(all);
}

/* CN-211 CN-126 CN-061 */
static void deleted_cluster_leaves_nothing(void **state)
{
	(void)state;
	skip_unless_possible();
	e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
	assert_nothing_left();
}

/* CN-260: its agent has taken the control planes' addresses, and haproxy the configuration. */
static void balancer_works_with_few_rights(void **state)
{
	cleanup_free char *node = text_format("%s-external-load-balancer", cluster);
	char *rights, *active;

	(void)state;
	skip_unless_possible();
	if (!dockerd_load(dockerd, CLUSTER_LB_IMAGE)) {
		print_message("skipped: there is no balancer's image (make image)\n");
		skip();
	}
	e2e_ok("create", "cluster", "--name", cluster, "--control-planes", "2", "--image",
	       e2e_image(), (char *)NULL);
	rights = e2e_stdout_of("docker", "inspect", "--format",
			       "{{.HostConfig.Privileged}} {{.HostConfig.CapAdd}}", node,
			       (char *)NULL);
	active = e2e_stdout_of(e2e_berth(), "--state-dir", e2e_state_dir(), "exec", "--name",
			       cluster, "-N", node, "--", "systemctl", "is-active", "haproxy",
			       (char *)NULL);
	/* Clients before 28 leave the prefix out. */
	assert_true(strcmp(rights, "false [CAP_SYS_ADMIN]") == 0 ||
		    strcmp(rights, "false [SYS_ADMIN]") == 0);
	assert_string_equal(active, "active");
	free(rights);
	free(active);
}

/* CN-216: podman comes first and knows nothing of it. */
static void delete_finds_the_engine_that_has_the_cluster(void **state)
{
	struct e2e_output output;

	(void)state;
	skip_unless_possible();
	unsetenv("BERTH_PROVIDER");
	output = e2e_run(120, "delete", "cluster", "--name", cluster, (char *)NULL);
	setenv("BERTH_PROVIDER", "docker", 1);
	assert_int_equal(output.exit_code, 0);
	e2e_release(&output);
	assert_nothing_left();
}

static pid_t begin_create(void)
{
	char *argv[] = { (char *)e2e_berth(),
			 (char *)"--state-dir",
			 (char *)e2e_state_dir(),
			 (char *)"create",
			 (char *)"cluster",
			 (char *)"--name",
			 (char *)cluster,
			 (char *)"--workers",
			 (char *)"2",
			 (char *)"--image",
			 (char *)e2e_image(),
			 (char *)"--quiet",
			 NULL };
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
	return pid;
}

static bool has_a_container(void *arg)
{
	(void)arg;
	return containers() > 0;
}

/* What the killed controller's docker still makes. */
static bool is_deleted(void *arg)
{
	struct e2e_output output =
		e2e_run(60, "delete", "cluster", "--name", cluster, (char *)NULL);
	bool ok = output.exit_code == 0 && containers() == 0;

	(void)arg;
	e2e_release(&output);
	return ok;
}

/* CN-291 */
static void killed_controller_leaves_nothing_after_a_delete(void **state)
{
	pid_t pid;

	(void)state;
	skip_unless_possible();
	pid = begin_create();
	e2e_eventually(has_a_container, NULL, 20000);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	e2e_eventually(is_deleted, NULL, 60000);
	assert_nothing_left();
}

struct race {
	struct provider *provider;
	const char *subnet;
	int rc;
	struct err err;
};

static void *make_network(void *arg)
{
	struct race *race = arg;
	const struct network_spec spec = {
		.cluster = cluster, .name = cluster, .subnet = race->subnet, .subnet6 = ""
	};
	struct plan plan = { 0 };

	race->rc = provider_plan_network(race->provider, &spec, &plan, &race->err);
	if (race->rc == 0)
		race->rc = provider_run(race->provider, plan_last(&plan), deadline_in_ms(30000),
					&race->err);
	plan_release(&plan);
	return NULL;
}

static int race_for_a_network(void)
{
	struct race races[2] = { { .subnet = "10.241.1.0/24" }, { .subnet = "10.241.2.0/24" } };
	pthread_t threads[ARRAY_LEN(races)];
	struct err err;
	int won = 0;

	for (size_t i = 0; i < ARRAY_LEN(races); i++)
		assert_int_equal(provider_open("docker", NULL, &races[i].provider, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(races); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_network, &races[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(races); i++) {
		pthread_join(threads[i], NULL);
		won += races[i].rc == 0;
		if (races[i].rc < 0)
			assert_string_equal(races[i].err.reason, "NETWORK_EXISTS");
		provider_close(races[i].provider);
	}
	return won;
}

/* CN-071 CN-076 CN-292: docker itself may let both have the name. */
static void networks_made_at_once_leave_one(void **state)
{
	(void)state;
	skip_unless_possible();
	for (int round = 0; round < 5; round++) {
		assert_int_equal(race_for_a_network(), 1);
		assert_int_equal(DOCKER_LINES("network", "ls", "--quiet"), 3);
		e2e_ok("delete", "cluster", "--name", cluster, (char *)NULL);
		assert_nothing_left();
	}
}

static void assert_engine_is_down(void)
{
	struct e2e_output output =
		e2e_run(20, "get", "nodes", "--name", cluster, "-o", "json", (char *)NULL);

	assert_int_not_equal(output.exit_code, 0);
	assert_true(output.millis < 6500);
	if (!strstr(output.errs, "ENGINE_NOT_ANSWERING"))
		fail_msg("%s", output.errs);
	e2e_release(&output);
}

/* CN-295 */
static void stuck_daemon_is_told_within_six_seconds(void **state)
{
	(void)state;
	skip_unless_possible();
	dockerd_freeze(dockerd);
	assert_engine_is_down();
	dockerd_thaw(dockerd);
}

/* CN-295 */
static void daemon_that_is_gone_is_told_at_once(void **state)
{
	char host[128];

	(void)state;
	skip_unless_possible();
	snprintf(host, sizeof(host), "%s", dockerd_host(dockerd));
	setenv("DOCKER_HOST", "unix:///run/berth-nowhere.sock", 1);
	assert_engine_is_down();
	setenv("DOCKER_HOST", host, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_nodes_run_and_are_healthy),
		cmocka_unit_test(stopped_node_starts_again_with_its_address),
		cmocka_unit_test(deleted_cluster_leaves_nothing),
		cmocka_unit_test(balancer_works_with_few_rights),
		cmocka_unit_test(delete_finds_the_engine_that_has_the_cluster),
		cmocka_unit_test(killed_controller_leaves_nothing_after_a_delete),
		cmocka_unit_test(networks_made_at_once_leave_one),
		cmocka_unit_test(stuck_daemon_is_told_within_six_seconds),
		cmocka_unit_test(daemon_that_is_gone_is_told_at_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
