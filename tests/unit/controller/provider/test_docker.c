/* docker's own words (CN-290), and what is made of its answers, against a docker program that answers what
 * each test tells it to. */
#include "controller/config/cluster_config.h"
#include "controller/provider/provider.h"
#include "shared/base/log.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rig {
	char *dir;
	struct provider *docker;
	struct plan plan;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->dir = control_scratch();
	control_fake_podman(rig->dir);
	unsetenv("DOCKER_HOST");
	assert_int_equal(provider_open("docker", &control_plain_host, &rig->docker, &err), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	plan_release(&rig->plan);
	provider_close(rig->docker);
	control_fake_podman(NULL);
	unsetenv("DOCKER_HOST");
	control_scratch_remove(rig->dir);
	free(rig);
	return 0;
}

static void answer(struct rig *rig, const char *call, const char *errs, const char *rc)
{
	cleanup_free char *err_name = text_format("%s.err", call);
	cleanup_free char *rc_name = text_format("%s.rc", call);

	control_write(rig->dir, err_name, errs);
	control_write(rig->dir, rc_name, rc);
}

static void assert_log(struct rig *rig, const char *expected)
{
	char *log = control_read(rig->dir, "log");

	if (!strstr(log, expected))
		fail_msg("no '%s' in '%s'", expected, log);
	free(log);
}

static const struct network_spec network = {
	.cluster = "c",
	.name = "c",
	.subnet = "192.168.49.0/24",
	.subnet6 = "fd00:1::/64",
	.mtu = 1400,
};

/* CN-011 CN-013 CN-014 CN-015 CN-016 CN-017 CN-018 CN-021 CN-024 CN-026 CN-031 CN-037 CN-038 CN-040 */
static void node_is_asked_for_word_by_word(void **state)
{
	const struct node_spec spec = {
		.name = "c-worker",
		.cluster = "c",
		.role = NODE_WORKER,
		.index = 2,
		.image = "localhost/berth-node:latest",
		.ip = "192.168.49.3",
		.network = "c",
		.run_dir = "/var/lib/berth/nodes/c-worker",
		.agent_port = -1,
	};
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(provider_plan_create(rig->docker, &spec, &rig->plan, &err), 0);
	control_assert_argv(
		rig->plan.steps[0],
		"docker | run | --name=c-worker | --hostname=c-worker | --detach | --tty | "
		"--pull=never | --privileged | --cgroupns=private | "
		"--security-opt=seccomp=unconfined | --tmpfs=/tmp | --tmpfs=/run | "
		"--no-healthcheck | --stop-signal=SIGRTMIN+3 | --restart=on-failure:1 | "
		"--init=false | --security-opt=apparmor=unconfined | --volume=/var | "
		"--volume=/lib/modules:/lib/modules:ro | "
		"--volume=/var/lib/berth/nodes/c-worker:/run/berth | --network=c | "
		"--ip=192.168.49.3 | --env=BERTH_CLUSTER=c | --env=BERTH_NODE=c-worker | "
		"--env=BERTH_ROLE=worker | "
		"--env=container=docker | --label=io.berth.cluster=c | "
		"--label=io.berth.node=c-worker | --label=io.berth.role=worker | "
		"--label=io.berth.index=2 | --label=io.berth.ip=192.168.49.3 | "
		"--label=io.berth.run-dir=/var/lib/berth/nodes/c-worker | "
		"--label=io.berth.created-by=berth | --label=io.berth.version=0.1.0 | -- | "
		"localhost/berth-node:latest");
}

/* CN-052 CN-056 CN-061 CN-073 CN-130 CN-180 CN-193 CN-211 */
static void other_steps_are_one_short_call_each(void **state)
{
	static const enum step_action actions[] = { STEP_CONTAINER_START, STEP_CONTAINER_STOP,
						    STEP_CONTAINER_KILL, STEP_CONTAINER_DELETE };
	struct rig *rig = *state;
	struct provider *p = rig->docker;
	struct err err;

	assert_int_equal(provider_plan_image(p, "img:1", &rig->plan, &err), 0);
	assert_int_equal(provider_plan_network(p, &network, &rig->plan, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		assert_int_equal(provider_plan_act(p, actions[i], "n", 7, &rig->plan, &err), 0);
	assert_int_equal(provider_plan_network_delete(p, "c", &rig->plan, &err), 0);
	control_assert_argv(rig->plan.steps[0],
			    "docker | image | inspect | --format={{.Id}} | -- | img:1");
	control_assert_argv(rig->plan.steps[1],
			    "docker | network | create | --driver=bridge | "
			    "--subnet=192.168.49.0/24 | --ipv6 | --subnet=fd00:1::/64 | "
			    "--opt=com.docker.network.driver.mtu=1400 | "
			    "--label=io.berth.cluster=c | --label=io.berth.created-by=berth | "
			    "-- | c");
	control_assert_argv(rig->plan.steps[2], "docker | start | -- | n");
	control_assert_argv(rig->plan.steps[3], "docker | stop | -t7 | -- | n");
	control_assert_argv(rig->plan.steps[4], "docker | kill | -- | n");
	control_assert_argv(rig->plan.steps[5], "docker | rm | --force | --volumes | -- | n");
	control_assert_argv(rig->plan.steps[6], "docker | network | prune | --force | "
						"--filter=label=io.berth.cluster=c");
}

static int run_act(struct rig *rig, enum step_action action, struct err *err)
{
	assert_int_equal(provider_plan_act(rig->docker, action, "n", 0, &rig->plan, err), 0);
	return provider_run(rig->docker, plan_last(&rig->plan), control_soon(), err);
}

/* CN-200 CN-212: 20.10 fails at removing what is not there, 28 does not. */
static void what_is_so_already_is_success(void **state)
{
	struct rig *rig = *state;
	struct err err;

	answer(rig, "kill",
	       "Error response from daemon: Cannot kill container: n: Container bc0f is not "
	       "running",
	       "1");
	answer(rig, "rm", "Error: No such container: n", "1");
	assert_int_equal(run_act(rig, STEP_CONTAINER_KILL, &err), 0);
	assert_int_equal(run_act(rig, STEP_CONTAINER_DELETE, &err), 0);
}

/* CN-212 CN-213 */
static void removal_in_progress_is_waited_for(void **state)
{
	static const char busy[] =
		"Error response from daemon: removal of container n is already in progress";
	struct rig *rig = *state;
	struct err err;

	answer(rig, "rm.1", busy, "1");
	assert_int_equal(run_act(rig, STEP_CONTAINER_DELETE, &err), 0);
	answer(rig, "rm", busy, "1");
	assert_int_equal(run_act(rig, STEP_CONTAINER_DELETE, &err), -1);
	assert_string_equal(err.reason, "DELETE_STUCK");
}

static void absent_image_is_not_found_with_advice(void **state)
{
	struct rig *rig = *state;
	struct err err;

	answer(rig, "image-inspect",
	       "Error response from daemon: no such image: img: No such image: img", "1");
	assert_int_equal(provider_plan_image(rig->docker, "img", &rig->plan, &err), 0);
	assert_int_equal(provider_run(rig->docker, plan_last(&rig->plan), control_soon(), &err),
			 -1);
	assert_string_equal(err.reason, "IMAGE_NOT_FOUND");
	assert_string_equal(err.msg, "docker: image-check: no image 'img'");
}

#define LISTED(id, name, labels)                                         \
	"{\"ID\":\"" id "\",\"Names\":\"" name "\",\"Labels\":\"" labels \
	"\",\"State\":\"running\",\"Ports\":\"\",\"Image\":\"img\"}\n"
#define OURS "io.berth.cluster=c,io.berth.created-by=berth,x=1"
#define INSPECTED(name)                                                                         \
	"{\"Id\":\"aa\",\"Name\":\"/" name "\",\"Created\":\"2026-11-22T02:19:55.075795729Z\"," \
	"\"State\":{\"Status\":\"running\"},\"Config\":{\"Image\":\"img\",\"Labels\":{"         \
	"\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\"}}}"

/* One look for all nodes, and none when there are none. */
static void any_number_of_nodes_is_two_spawns(void **state)
{
	struct rig *rig = *state;
	unsigned before = exec_count();
	struct node_list list;
	struct err err;

	assert_int_equal(provider_list(rig->docker, "c", control_soon(), &list, &err), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(exec_count(), before + 1);
	control_write(rig->dir, "ps.out",
		      LISTED("aa", "c-b", OURS) LISTED("bb", "c-a", OURS) LISTED("cc", "x", ""));
	control_write(rig->dir, "inspect.out", "[" INSPECTED("c-b") "," INSPECTED("c-a") "]");
	assert_int_equal(provider_list(rig->docker, "c", control_soon(), &list, &err), 0);
	assert_int_equal(exec_count(), before + 3);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0]->name, "c-a");
	node_list_release(&list);
	assert_log(rig, "ps | --all | --no-trunc | --format={{json .}} | "
			"--filter=label=io.berth.cluster=c\n");
	assert_log(rig, "\ninspect | --type=container | aa | bb\n");
}

/* Also CN-142: strangers' names are known. */
static void list_is_asked_again_when_a_container_vanished(void **state)
{
	struct rig *rig = *state;
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list;
	struct err err;

	control_write(rig->dir, "ps.1.out", LISTED("aa", "c-a", OURS) LISTED("cc", "x", ""));
	control_write(rig->dir, "ps.out", LISTED("cc", "x", ""));
	control_write(rig->dir, "inspect.out", "[]");
	answer(rig, "inspect", "Error: No such container: aa", "1");
	assert_int_equal(provider_survey(rig->docker, control_soon(), &list, &foreign, &err), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(foreign.count, 1);
	assert_string_equal(foreign.items[0], "x");
	node_list_release(&list);
}

#define TWIN(id, labels, containers) \
	"{\"Name\":\"c\",\"Id\":\"" id "\",\"Labels\":{" labels "},\"Containers\":{" containers "}}"
#define MARKS "\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\""

static int create_network(struct rig *rig, struct err *err)
{
	assert_int_equal(provider_plan_network(rig->docker, &network, &rig->plan, err), 0);
	return provider_run(rig->docker, plan_last(&rig->plan), control_soon(), err);
}

/* CN-071: the other, who has the lesser one, takes it away. */
static void network_that_was_made_twice_is_kept_once(void **state)
{
	struct rig *rig = *state;
	struct err err;
	char *log;

	control_write(rig->dir, "network-create.out", "aa\n");
	control_write(rig->dir, "network-ls.1.out", "aa\nbb\n");
	control_write(rig->dir, "network-ls.out", "aa\n");
	control_write(rig->dir, "network-inspect.out",
		      "[" TWIN("bb", MARKS, "") "," TWIN("aa", MARKS, "") "]");
	assert_int_equal(create_network(rig, &err), 0);
	assert_log(rig, "network | ls | --quiet | --no-trunc | --filter=name=^c$\n");
	log = control_read(rig->dir, "log");
	assert_null(strstr(log, "network | rm"));
	free(log);
}

/* CN-071 CN-292: whoever lost takes its own away, never another's, and says so. With the better id, too, when
 * the other stays: that one was done before. */
static void loser_of_two_networks_removes_its_own(void **state)
{
	static const char *const twins[] = {
		"[" TWIN("bb", MARKS, "\"x\":{}") "," TWIN("aa", MARKS, "") "]",
		"[" TWIN("bb", "", "") "," TWIN("aa", MARKS, "") "]",
		"[" TWIN("bb", MARKS, "") "," TWIN("aa", MARKS, "") "]",
	};
	struct rig *rig = *state;

	control_write(rig->dir, "network-create.out", "aa\n");
	control_write(rig->dir, "network-ls.out", "aa\nbb\n");
	for (size_t i = 0; i < ARRAY_LEN(twins); i++) {
		struct err err;
		char *log;

		control_write(rig->dir, "network-inspect.out", twins[i]);
		assert_int_equal(create_network(rig, &err), -1);
		assert_string_equal(err.reason, "NETWORK_EXISTS");
		assert_log(rig, "\nnetwork | rm | -- | aa\n");
		log = control_read(rig->dir, "log");
		assert_null(strstr(log, "network | rm | -- | bb"));
		free(log);
	}
}

/* CN-071: the winner's nodes may come before the loser's network has gone. */
static void node_waits_for_a_twin_to_go(void **state)
{
	const struct node_spec spec = { .name = "n",
					.cluster = "c",
					.index = 1,
					.image = "img",
					.ip = "10.0.0.2",
					.network = "c",
					.run_dir = "/r",
					.agent_port = -1 };
	struct rig *rig = *state;
	struct err err;

	answer(rig, "run.1",
	       "docker: Error response from daemon: network c is ambiguous (2 matches found on "
	       "name)\n\nRun 'docker run --help' for more information",
	       "125");
	assert_int_equal(provider_plan_create(rig->docker, &spec, &rig->plan, &err), 0);
	assert_int_equal(provider_run(rig->docker, plan_last(&rig->plan), control_soon(), &err), 0);
	assert_log(rig, "\nrm | --force | --volumes | -- | n\nrun | --name=n | ");
}

static void network_made_once_needs_no_look(void **state)
{
	struct rig *rig = *state;
	unsigned before = exec_count();
	struct err err;

	control_write(rig->dir, "network-create.out", "aa\n");
	control_write(rig->dir, "network-ls.out", "aa\n");
	assert_int_equal(create_network(rig, &err), 0);
	assert_int_equal(exec_count(), before + 2);
}

/* CN-061: reported, not forced. */
static void network_that_others_use_is_told(void **state)
{
	struct rig *rig = *state;
	struct err err;

	assert_int_equal(provider_plan_network_delete(rig->docker, "c", &rig->plan, &err), 0);
	control_write(rig->dir, "network-ls.out", "bb\n");
	control_write(rig->dir, "network-inspect.out", "[" TWIN("bb", MARKS, "\"x\":{}") "]");
	assert_int_equal(provider_run(rig->docker, plan_last(&rig->plan), control_soon(), &err),
			 -1);
	assert_string_equal(err.reason, "NETWORK_IN_USE");
	control_write(rig->dir, "network-prune.out", "Deleted Networks:\nc\n");
	assert_int_equal(provider_run(rig->docker, plan_last(&rig->plan), control_soon(), &err), 0);
}

#define INFO                                                               \
	"{\"ServerVersion\":\"20.10.24\",\"OSType\":\"linux\",\"NCPU\":2," \
	"\"DockerRootDir\":\"/d\",\"ClientInfo\":{\"Context\":\"%s\"}}"

static void write_info(struct rig *rig, const char *context)
{
	cleanup_free char *info = text_format(INFO, context);

	control_write(rig->dir, "info.out", info);
}

/* CN-232: the environment, or a context, says where the engine is. */
static void engine_of_another_host_is_known_by_its_address(void **state)
{
	struct rig *rig = *state;
	struct engine_info info;
	struct err err;

	write_info(rig, "default");
	assert_int_equal(provider_info(rig->docker, control_soon(), &info, &err), 0);
	assert_false(info.remote);
	assert_string_equal(info.storage, "/d");
	setenv("DOCKER_HOST", "tcp://build.example:2376", 1);
	assert_int_equal(provider_info(rig->docker, control_soon(), &info, &err), 0);
	assert_true(info.remote);
	assert_string_equal(info.host, "build.example");
	assert_string_equal(info.storage, "");
	unsetenv("DOCKER_HOST");
	write_info(rig, "far");
	control_write(rig->dir, "context.out",
		      "[{\"Name\":\"far\",\"Endpoints\":{\"docker\":{\"Host\":"
		      "\"ssh://me@far.example:22\"}}}]");
	assert_int_equal(provider_info(rig->docker, control_soon(), &info, &err), 0);
	assert_true(info.remote);
	assert_string_equal(info.host, "far.example");
	assert_log(rig, "\ncontext | inspect | -- | far\n");
}

/* A daemon that is there and stuck; within the six seconds of CN-295. */
static void daemon_that_takes_calls_and_answers_none_is_down(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct node_list list;
	struct err err;

	control_write(rig->dir, "ps.hang", "");
	control_write(rig->dir, "version.hang", "");
	assert_int_equal(provider_list(rig->docker, NULL, control_soon(), &list, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.reason, "ENGINE_NOT_ANSWERING");
	assert_true(clock_now_ms() - begun < 6500);
}

static void slow_daemon_is_given_its_time(void **state)
{
	struct rig *rig = *state;
	struct node_list list;
	struct err err;

	control_write(rig->dir, "ps.1.hang", "");
	assert_int_equal(provider_list(rig->docker, NULL, control_soon(), &list, &err), 0);
	assert_int_equal(list.count, 0);
	assert_log(rig, "\nversion | ");
}

/* CN-250 CN-251 */
static void console_is_its_last_lines(void **state)
{
	struct rig *rig = *state;
	char *tail;

	control_write(rig->dir, "logs.out", "1\r\n2\r\n\r\n3\r\n\033[0;32m4\033[0m\r\n5\r\n");
	tail = provider_console_tail(rig->docker, "n", control_soon());
	assert_string_equal(tail, "2\n3\n4\n5");
	free(tail);
	assert_log(rig, "logs | --tail=20 | -- | n\n");
}

/* What -v shows of a failed create. Caller frees. */
static char *log_of_a_failure(struct rig *rig, const struct node_spec *spec)
{
	cleanup_free char *path = text_format("%s/stderr", rig->dir);
	int before = dup(STDERR_FILENO), file = open(path, O_WRONLY | O_CREAT, 0600);
	struct err err;

	assert_true(before >= 0 && file >= 0);
	assert_int_equal(provider_plan_create(rig->docker, spec, &rig->plan, &err), 0);
	dup2(file, STDERR_FILENO);
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(provider_run(rig->docker, plan_last(&rig->plan), control_soon(), &err),
			 -1);
	log_set_level(LOG_LEVEL_NORMAL);
	dup2(before, STDERR_FILENO);
	close(before);
	close(file);
	return control_read(rig->dir, "stderr");
}

/* CN-244 CN-027: operation, node, words without secrets, exit code, and all that the engine said. */
static void failed_call_is_shown_to_who_asks_for_it(void **state)
{
	struct kv secret = { (char *)"DB_PASSWORD", (char *)"hunter2" };
	struct kv_list env = { &secret, 1 };
	const struct node_spec spec = { .name = "n",
					.cluster = "c",
					.index = 1,
					.image = "img",
					.ip = "10.0.0.2",
					.network = "c",
					.run_dir = "/r",
					.agent_port = -1,
					.env = &env };
	struct rig *rig = *state;
	char *log;

	answer(rig, "run", "a warning\ndocker: the moon is wrong", "125");
	log = log_of_a_failure(rig, &spec);
	assert_non_null(strstr(log, "exit code 125: docker run --name=n "));
	assert_non_null(strstr(log, "--env=DB_PASSWORD "));
	assert_null(strstr(log, "hunter2"));
	assert_non_null(strstr(log, "a warning\ndocker: the moon is wrong"));
	free(log);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(node_is_asked_for_word_by_word),
		RIGGED(other_steps_are_one_short_call_each),
		RIGGED(what_is_so_already_is_success),
		RIGGED(removal_in_progress_is_waited_for),
		RIGGED(absent_image_is_not_found_with_advice),
		RIGGED(any_number_of_nodes_is_two_spawns),
		RIGGED(list_is_asked_again_when_a_container_vanished),
		RIGGED(network_that_was_made_twice_is_kept_once),
		RIGGED(loser_of_two_networks_removes_its_own),
		RIGGED(node_waits_for_a_twin_to_go),
		RIGGED(network_made_once_needs_no_look),
		RIGGED(network_that_others_use_is_told),
		RIGGED(engine_of_another_host_is_known_by_its_address),
		RIGGED(daemon_that_takes_calls_and_answers_none_is_down),
		RIGGED(slow_daemon_is_given_its_time),
		RIGGED(console_is_its_last_lines),
		RIGGED(failed_call_is_shown_to_who_asks_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
