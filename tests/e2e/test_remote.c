/*
 * Engines on another machine: dockerd by DOCKER_HOST and by a context, podman's service by CONTAINER_HOST and by
 * a connection. The machine has a network and a /run of its own, so neither its ports nor the state directory
 * are this host's. Two real engines, one cluster each: the tests share them and run in order.
 */
#include "tests/support/dockerd.h"
#include "tests/support/e2e.h"
#include "tests/support/machine.h"
#include "tests/support/podman_service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One engine and its cluster. */
struct far {
	const char *provider;
	const char *cluster;
	char control_plane[64], worker[64];
	int taken_fd, taken_port; /* somebody has it on this host, and nobody on the other */
	const char *why_not;      /* NULL: it is there */
};

static struct machine *machine;
static struct dockerd *dockerd;
static struct podman_service *service;
static struct far docker = { .provider = "docker" }, podman = { .provider = "podman" };

static void take_a_port(struct far *far)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_ANY) };
	socklen_t len = sizeof(address);

	far->taken_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(far->taken_fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(far->taken_fd, 1), 0);
	assert_int_equal(getsockname(far->taken_fd, (struct sockaddr *)&address, &len), 0);
	far->taken_port = ntohs(address.sin_port);
}

static void prepare(struct far *far, const char *what)
{
	take_a_port(far);
	far->cluster = e2e_cluster_name(what);
	snprintf(far->control_plane, sizeof(far->control_plane), "%s-control-plane", far->cluster);
	snprintf(far->worker, sizeof(far->worker), "%s-worker", far->cluster);
}

static int set_up(void **state)
{
	const char *why;

	(void)state;
	prepare(&docker, "far-docker");
	prepare(&podman, "far-podman");
	machine = machine_start(&why);
	if (!machine) {
		docker.why_not = podman.why_not = why;
		return 0;
	}
	service = podman_service_start(machine, &podman.why_not);
	dockerd = dockerd_start_on(machine, &docker.why_not);
	unsetenv("CONTAINER_HOST"); /* the image to load is this host's */
	if (dockerd && !dockerd_load(dockerd, e2e_image()))
		docker.why_not = "there is no node image (make image)";
	unsetenv("DOCKER_HOST");
	return 0;
}

/* From here on the commands go to that engine. */
static void use(const struct far *far)
{
	unsetenv("DOCKER_HOST");
	unsetenv("CONTAINER_HOST");
	if (far->why_not) {
		print_message("skipped: %s\n", far->why_not);
		skip();
	}
	setenv("BERTH_PROVIDER", far->provider, 1);
	if (far == &docker)
		setenv("DOCKER_HOST", dockerd_host(dockerd), 1);
	else
		setenv("CONTAINER_HOST", podman_service_url(service), 1);
}

static int tear_down(void **state)
{
	(void)state;
	if (dockerd)
		setenv("DOCKER_HOST", dockerd_host(dockerd), 1);
	dockerd_stop(dockerd);
	podman_service_stop(service);
	machine_stop(machine);
	close(docker.taken_fd);
	close(podman.taken_fd);
	e2e_program(30, "rm", "-rf", e2e_state_dir(), (char *)NULL);
	return 0;
}

/* cmocka's own message is cut short. */
static void assert_success(const struct e2e_output *output)
{
	if (output->exit_code != 0)
		fprintf(stderr, "%s\n", output->errs);
	assert_int_equal(output->exit_code, 0);
}

static size_t count(const char *text, const char *words)
{
	size_t found = 0;

	for (; (text = strstr(text, words)); text++)
		found++;
	return found;
}

/* How many containers and networks of ours the engine has. */
static size_t left_on(const struct far *far)
{
	char *containers = e2e_stdout_of(far->provider, "ps", "--all", "--quiet", (char *)NULL);
	char *networks = e2e_stdout_of(far->provider, "network", "ls", "--filter",
				       "label=io.berth.created-by", "--quiet", (char *)NULL);
	size_t left = strlen(containers) + strlen(networks);

	free(containers);
	free(networks);
	return left;
}

/* Whether 'what' is somewhere in the state directory. */
static bool remembers(const char *what)
{
	char *found = e2e_stdout_of("find", e2e_state_dir(), "-name", what, (char *)NULL);
	bool any = *found != '\0';

	free(found);
	return any;
}

static void assert_reached(const struct far *far)
{
	json_object *nodes = e2e_json("get", "nodes", "--name", far->cluster, (char *)NULL);

	assert_int_equal(json_object_array_length(nodes), 2);
	for (size_t i = 0; i < 2; i++) {
		json_object *node = json_object_array_get_idx(nodes, i);

		assert_string_equal(e2e_text(node, "state"), "running");
		assert_string_equal(e2e_text(node, "agent.state"), "ok");
		assert_string_equal(e2e_text(node, "agent.channel"), "relay");
	}
	json_object_put(nodes);
}

/* CN-091 CN-154: its wait for readiness, too, goes through the engine. */
static void create_ends_when_the_nodes_are_ready(const struct far *far)
{
	struct e2e_output output;
	char fixed[32];

	use(far);
	snprintf(fixed, sizeof(fixed), "%d:80", far->taken_port);
	output = e2e_run(120, "create", "cluster", "--name", far->cluster, "--workers", "1",
			 "--image", e2e_image(), "-p", fixed, "-p", "0:81", (char *)NULL);
	assert_success(&output);
	assert_int_equal(count(output.errs, "warning: the engine runs on '"), 1);
	assert_non_null(strstr(output.errs, machine_address(machine)));
	e2e_release(&output);
	assert_reached(far);
	assert_false(remembers(far->worker));
}

/* Says the node's name to whoever connects to its ports 80 and 81. */
static void answer(const struct far *far)
{
	e2e_ok("exec", "--name", far->cluster, "-N", far->control_plane, "--", "sh", "-c",
	       "cd /run/systemd/system && printf '[Socket]\\nListenStream=80\\nListenStream=81\\n"
	       "Accept=yes\\n' > answer.socket && printf '[Service]\\n"
	       "ExecStart=-/bin/cat /etc/hostname\\nStandardOutput=socket\\n' > answer@.service && "
	       "systemctl daemon-reload && systemctl start answer.socket",
	       (char *)NULL);
}

static int published(const struct far *far, int container_port)
{
	json_object *nodes = e2e_json("get", "nodes", "--name", far->cluster, (char *)NULL);
	json_object *ports = NULL;
	int host_port = 0;

	json_object_object_get_ex(e2e_find(nodes, "name", far->control_plane), "ports", &ports);
	for (size_t i = 0; ports && i < json_object_array_length(ports); i++) {
		json_object *port = json_object_array_get_idx(ports, i);

		if (atoll(e2e_text(port, "containerPort")) == container_port)
			host_port = (int)atoll(e2e_text(port, "hostPort"));
	}
	json_object_put(nodes);
	return host_port;
}

static void assert_answers(const struct far *far, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char name[128] = "";

	assert_int_equal(inet_pton(AF_INET, machine_address(machine), &address.sin_addr), 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(recv(fd, name, sizeof(name) - 1, 0) > 0);
	assert_ptr_equal(strstr(name, far->control_plane), name);
	close(fd);
}

/* CN-094 CN-098: a port is free or taken where the engine is, and a random one is known only there. */
static void ports_are_the_other_machines(const struct far *far)
{
	char guest[64], mapping[32];
	struct e2e_output output;

	use(far);
	answer(far);
	assert_int_equal(published(far, 80), far->taken_port);
	assert_answers(far, far->taken_port);
	assert_answers(far, published(far, 81));
	snprintf(guest, sizeof(guest), "%s-2", far->cluster);
	snprintf(mapping, sizeof(mapping), "%d:80", published(far, 81));
	output = e2e_run(120, "create", "cluster", "--name", guest, "--image", e2e_image(), "-p",
			 mapping, "-o", "json", (char *)NULL);
	if (output.exit_code != 4 || !strstr(output.errs, "\"PORT_IN_USE\""))
		fail_msg("%d: %s", output.exit_code, output.errs);
	e2e_release(&output);
	snprintf(guest, sizeof(guest), "%s-2*", far->cluster);
	assert_false(remembers(guest));
}

/* D7 */
static void all_work_goes_through_the_engine(const struct far *far)
{
	char there[160], back[160], *text;
	struct e2e_output output;

	use(far);
	output = e2e_run(60, "exec", "--name", far->cluster, "-N", far->worker, "--", "sh", "-c",
			 "head -c 1000000 /dev/zero | wc -c; uname -n", (char *)NULL);
	assert_int_equal(output.exit_code, 0);
	assert_int_equal(strncmp(output.out, "1000000\n", 8), 0);
	assert_non_null(strstr(output.out, far->worker));
	e2e_release(&output);
	snprintf(there, sizeof(there), "%s:/root/copied", far->worker);
	snprintf(back, sizeof(back), "%s/back-%s", e2e_state_dir(), far->provider);
	e2e_ok("cp", "--name", far->cluster, e2e_file("sent", "over there\n"), there, (char *)NULL);
	e2e_ok("cp", "--name", far->cluster, there, back, (char *)NULL);
	text = e2e_stdout_of("cat", back, (char *)NULL);
	assert_string_equal(text, "over there");
	free(text);
	output = e2e_run(60, "logs", far->worker, "--name", far->cluster, "--unit", "berthd",
			 (char *)NULL);
	assert_success(&output);
	assert_true(strlen(output.out) > 0);
	e2e_release(&output);
}

/* CN-190: the agents are asked before the engine stops the node, also from afar. */
static void nodes_stop_and_start(const struct far *far)
{
	struct e2e_output output;

	use(far);
	output = e2e_run(120, "stop", "cluster", "--name", far->cluster, (char *)NULL);
	assert_success(&output);
	assert_null(strstr(output.errs, "brought to rest"));
	assert_null(strstr(output.errs, "failed"));
	e2e_release(&output);
	e2e_ok("start", "cluster", "--name", far->cluster, (char *)NULL);
	assert_reached(far);
}

static void delete_leaves_nothing(const struct far *far)
{
	char records[64];

	use(far);
	e2e_ok("delete", "cluster", "--name", far->cluster, (char *)NULL);
	assert_int_equal(left_on(far), 0);
	snprintf(records, sizeof(records), "%s*", far->cluster);
	assert_false(remembers(records));
}

/* CN-112 CN-232: docker's own configuration says where its daemon is. */
static void contexts_lead_there(void **state)
{
	cleanup_free char *dir = text_format("%s/docker", e2e_state_dir());
	cleanup_free char *endpoint = NULL;

	(void)state;
	use(&docker);
	unsetenv("DOCKER_HOST");
	setenv("DOCKER_CONFIG", dir, 1);
	endpoint = text_format("host=%s", dockerd_host(dockerd));
	free(e2e_stdout_of("docker", "context", "create", "far", "--docker", endpoint,
			   (char *)NULL));
	setenv("DOCKER_CONTEXT", "far", 1);
	assert_reached(&docker);
	unsetenv("DOCKER_CONTEXT");
	free(e2e_stdout_of("docker", "context", "use", "far", (char *)NULL));
	assert_reached(&docker);
	unsetenv("DOCKER_CONFIG");
}

/* CN-232 */
static void connections_lead_there(void **state)
{
	(void)state;
	use(&podman);
	unsetenv("CONTAINER_HOST");
	setenv("CONTAINERS_CONF", podman_service_connection(service, "far"), 1);
	setenv("CONTAINER_CONNECTION", "far", 1);
	assert_reached(&podman);
	unsetenv("CONTAINER_CONNECTION");
	unsetenv("CONTAINERS_CONF");
}

#define ON_BOTH(test)                           \
	static void test##_docker(void **state) \
	{                                       \
		(void)state;                    \
		test(&docker);                  \
	}                                       \
	static void test##_podman(void **state) \
	{                                       \
		(void)state;                    \
		test(&podman);                  \
	}

ON_BOTH(create_ends_when_the_nodes_are_ready)
ON_BOTH(ports_are_the_other_machines)
ON_BOTH(all_work_goes_through_the_engine)
ON_BOTH(nodes_stop_and_start)
ON_BOTH(delete_leaves_nothing)

int main(void)
{
#define BOTH(test) cmocka_unit_test(test##_docker), cmocka_unit_test(test##_podman)
	const struct CMUnitTest tests[] = {
		BOTH(create_ends_when_the_nodes_are_ready),
		BOTH(ports_are_the_other_machines),
		BOTH(all_work_goes_through_the_engine),
		BOTH(nodes_stop_and_start),
		cmocka_unit_test(contexts_lead_there),
		cmocka_unit_test(connections_lead_there),
		BOTH(delete_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
