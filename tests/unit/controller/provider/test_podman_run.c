/* Carrying out steps, against a podman program that answers what each test tells it to. */
#include "controller/config/cluster_config.h"
#include "controller/provider/provider.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct rig {
	char *dir;
	struct provider *podman;
	struct plan plan;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err;

	assert_non_null(rig);
	rig->dir = control_scratch();
	control_fake_podman(rig->dir);
	assert_int_equal(provider_open("podman", &control_hybrid_host, &rig->podman, &err), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	plan_release(&rig->plan);
	provider_close(rig->podman);
	control_fake_podman(NULL);
	control_scratch_remove(rig->dir);
	free(rig);
	return 0;
}

static const struct step *act(struct rig *rig, enum step_action action)
{
	struct err err;
	const struct network_spec network = {
		.cluster = "c", .name = "c", .subnet = "10.0.0.0/24", .subnet6 = ""
	};

	if (action == STEP_IMAGE_CHECK)
		assert_int_equal(provider_plan_image(rig->podman, "img", &rig->plan, &err), 0);
	else if (action == STEP_NETWORK_CREATE)
		assert_int_equal(provider_plan_network(rig->podman, &network, &rig->plan, &err), 0);
	else
		assert_int_equal(provider_plan_act(rig->podman, action, "n", 0, &rig->plan, &err),
				 0);
	return plan_last(&rig->plan);
}

static const struct step *create(struct rig *rig)
{
	const struct node_spec spec = {
		.name = "n",
		.cluster = "c",
		.index = 1,
		.image = "img",
		.ip = "10.0.0.2",
		.network = "c",
		.run_dir = "/r",
	};
	struct err err;

	assert_int_equal(provider_plan_create(rig->podman, &spec, &rig->plan, &err), 0);
	return plan_last(&rig->plan);
}

static void answer(struct rig *rig, const char *call, const char *errs, const char *rc)
{
	cleanup_free char *err_name = text_format("%s.err", call);
	cleanup_free char *rc_name = text_format("%s.rc", call);

	control_write(rig->dir, err_name, errs);
	control_write(rig->dir, rc_name, rc);
}

static int count_words(const char *log, const char *words)
{
	int found = 0;

	for (; (log = strstr(log, words)); log++)
		found++;
	return found;
}

/* CN-240 CN-241 CN-098 CN-057: what the engine says, and what a person is told. */
static void complaints_become_reasons_and_advice(void **state)
{
	static const struct {
		const char *complaint;
		enum err_code code;
		const char *reason;
	} rows[] = {
		{ "Error: localhost/none:latest: image not known", ERR_NOT_FOUND,
		  "IMAGE_NOT_FOUND" },
		{ "Error: creating container storage: the container name \"n\" is already in use "
		  "by "
		  "376b. You have to remove that container to be able to reuse that name: that "
		  "name "
		  "is already in use",
		  ERR_ALREADY_EXISTS, "NAME_IN_USE" },
		{ "Error: IPAM error: requested ip address 192.168.85.2 is already allocated to "
		  "container ID 376b",
		  ERR_ALREADY_EXISTS, "IP_IN_USE" },
		{ "Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:18080: bind: "
		  "address "
		  "already in use",
		  ERR_ALREADY_EXISTS, "PORT_IN_USE" },
		{ "Error: subnet 192.168.85.0/24 is already used on the host or by another config",
		  ERR_ALREADY_EXISTS, "SUBNET_TAKEN" },
		{ "Error: network name c already used: network already exists", ERR_ALREADY_EXISTS,
		  "NETWORK_EXISTS" },
		{ "Error: unable to find network with name or ID nonet: network not found",
		  ERR_NOT_FOUND, "NETWORK_NOT_FOUND" },
		{ "Error: \"c\" has associated containers with it. Use -f to forcibly delete "
		  "containers and pods: network is being used",
		  ERR_FAILED_PRECONDITION, "NETWORK_IN_USE" },
		{ "Error: requested static ip 192.168.99.10 not in any subnet on network c",
		  ERR_INVALID_ARGUMENT, "IP_OUTSIDE_SUBNET" },
		{ "Error: statfs /nonexist: no such file or directory", ERR_NOT_FOUND,
		  "MOUNT_SOURCE_NOT_FOUND" },
		{ "Error: write /var/lib/x: no space left on device", ERR_RESOURCE_EXHAUSTED,
		  "NO_SPACE" },
		{ "Error: no container with name or ID \"n\" found: no such container",
		  ERR_NOT_FOUND, "NODE_NOT_FOUND" },
		{ "Error: removal of container n is already in progress", ERR_ABORTED,
		  "DELETE_STUCK" },
		{ "Error: OCI runtime error: crun: cgroups in hybrid mode not supported, drop all "
		  "controllers from cgroupv2",
		  ERR_FAILED_PRECONDITION, "CGROUP_HYBRID" },
		{ "Error: runc create failed: the requested cgroup controller `pids` is not "
		  "available",
		  ERR_FAILED_PRECONDITION, "CGROUP_CONTROLLER_MISSING" },
		{ "Cannot connect to Podman. Please verify your connection", ERR_UNAVAILABLE,
		  "ENGINE_NOT_ANSWERING" },
		{ "Error: mkdir /run/x: permission denied", ERR_PERMISSION_DENIED,
		  "ENGINE_NOT_PERMITTED" },
		{ "level=warning msg=\"x\"\nError: the disk is on fire\n", ERR_UNKNOWN,
		  "ENGINE_FAILED" },
	};
	struct rig *rig = *state;
	const struct step *step = act(rig, STEP_CONTAINER_START);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err;

		answer(rig, "start", rows[i].complaint, "125");
		assert_int_equal(provider_run(rig->podman, step, control_soon(), &err), -1);
		assert_int_equal(err.code, rows[i].code);
		assert_string_equal(err.reason, rows[i].reason);
		assert_string_equal(err.node, "n");
		assert_ptr_equal(strstr(err.msg, "podman: container-start 'n': "), err.msg);
	}
}

/* CN-244: operation, node, the engine's own last words. */
static void message_ends_with_the_engines_words(void **state)
{
	struct rig *rig = *state;
	struct err err;

	answer(rig, "start", "warning: x\nError: the disk is on fire\n", "125");
	assert_int_equal(provider_run(rig->podman, act(rig, STEP_CONTAINER_START), control_soon(),
				      &err),
			 -1);
	assert_string_equal(err.msg,
			    "podman: container-start 'n': the disk is on fire (exit code 125)");
}

/* CN-200 CN-212 CN-061 */
static void what_is_so_already_is_success(void **state)
{
	static const struct {
		enum step_action action;
		const char *call;
		const char *complaint;
	} rows[] = {
		{ STEP_CONTAINER_KILL, "kill",
		  "Error: can only kill running containers. b216 is in state exited: container "
		  "state improper" },
		{ STEP_CONTAINER_DELETE, "rm",
		  "Error: no container with name or ID \"n\" found: no such container" },
	};
	struct rig *rig = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		answer(rig, rows[i].call, rows[i].complaint, "125");
		assert_int_equal(provider_run(rig->podman, act(rig, rows[i].action), control_soon(),
					      &err),
				 0);
	}
}

static void stop_and_start_of_nothing_are_errors(void **state)
{
	static const enum step_action actions[] = { STEP_CONTAINER_STOP, STEP_CONTAINER_START };
	struct rig *rig = *state;
	struct err err;

	answer(rig, "stop", "Error: no container with name or ID \"n\" found: no such container",
	       "125");
	answer(rig, "start", "Error: no container with name or ID \"n\" found: no such container",
	       "125");
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		assert_int_equal(
			provider_run(rig->podman, act(rig, actions[i]), control_soon(), &err), -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
	}
}

static void absent_image_is_not_found_with_advice(void **state)
{
	struct rig *rig = *state;
	struct err err;

	control_write(rig->dir, "image-exists.rc", "1");
	assert_int_equal(
		provider_run(rig->podman, act(rig, STEP_IMAGE_CHECK), control_soon(), &err), -1);
	/* The verb of the fake is "image-exists"; podman says no by its exit code alone. */
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.reason, "IMAGE_NOT_FOUND");
	assert_string_equal(err.msg, "podman: image-check: no image 'img'");
	assert_non_null(strstr(err.advice, "build node-image"));
}

static const struct step *pull(struct rig *rig)
{
	struct err err;

	assert_int_equal(provider_plan_pull(rig->podman, "quay.io/x/y:1", &rig->plan, &err), 0);
	return plan_last(&rig->plan);
}

static void assert_pulls(struct rig *rig, const char *calls)
{
	cleanup_free char *counted = control_read(rig->dir, "pull.calls");

	assert_string_equal(counted, calls);
}

static const char silent_registry[] =
	"Error: initializing source docker://quay.io/x/y:1: pinging container registry quay.io: "
	"Get "
	"\"https://quay.io/v2/\": dial tcp: lookup quay.io: no such host";

/* CN-130: after one second, then after two. */
static void registry_that_does_not_answer_is_asked_again(void **state)
{
	const int64_t begun = clock_now_ms();
	struct rig *rig = *state;
	const struct step *step = pull(rig);
	cleanup_free char *log = NULL;
	struct err err;

	answer(rig, "pull.1", silent_registry, "125");
	answer(rig, "pull.2", silent_registry, "125");
	assert_int_equal(provider_run(rig->podman, step, deadline_in_ms(60000), &err), 0);
	assert_true(clock_now_ms() - begun >= 3000);
	assert_pulls(rig, "3\n");
	log = control_read(rig->dir, "log");
	assert_ptr_equal(strstr(log, "pull | --quiet | -- | quay.io/x/y:1\n"), log);
}

/* CN-130: four times more, and within the deadline. */
static void registry_that_never_answers_ends_the_tries(void **state)
{
	const int64_t begun = clock_now_ms();
	struct rig *rig = *state;
	const struct step *step = pull(rig);
	struct err err;

	answer(rig, "pull", silent_registry, "125");
	assert_int_equal(provider_run(rig->podman, step, deadline_in_ms(60000), &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.reason, "REGISTRY_UNREACHABLE");
	assert_non_null(strstr(err.advice, "proxies"));
	assert_true(clock_now_ms() - begun >= 10000);
	assert_pulls(rig, "5\n");
	assert_int_equal(provider_run(rig->podman, step, deadline_in_ms(500), &err), -1);
}

/* CN-130 */
static void registry_that_refuses_is_asked_once(void **state)
{
	struct rig *rig = *state;
	const struct step *step = pull(rig);
	struct err err;

	answer(rig, "pull", "Error: reading manifest 1 in quay.io/x/y: manifest unknown", "125");
	assert_int_equal(provider_run(rig->podman, step, control_soon(), &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	answer(rig, "pull",
	       "Error: reading manifest 1 in quay.io/x/y: unauthorized: access to the "
	       "requested resource is not authorized",
	       "125");
	assert_int_equal(provider_run(rig->podman, step, control_soon(), &err), -1);
	assert_int_equal(err.code, ERR_PERMISSION_DENIED);
	assert_string_equal(err.reason, "REGISTRY_DENIED");
	assert_pulls(rig, "2\n");
}

/* test-hosts.md: limits step down, and the half-made container goes before each new try. */
static void refused_limits_are_halved_until_they_fit(void **state)
{
	static const char refused[] =
		"Error: runc: runc create failed: error during container init: "
		"error setting rlimits for ready process: error setting rlimit "
		"type 6: operation not permitted: OCI permission denied";
	struct rig *rig = *state;
	struct err err;
	char *log;

	answer(rig, "run.1", refused, "126");
	answer(rig, "run.2", refused, "126");
	assert_int_equal(provider_run(rig->podman, create(rig), control_soon(), &err), 0);
	log = control_read(rig->dir, "log");
	assert_non_null(strstr(log, "--ulimit=nofile=20000:20000 | --ulimit=nproc=32768:32768"));
	assert_non_null(strstr(log, "\nrm | --force | --volumes | --time=0 | -- | n\n"));
	assert_non_null(strstr(log, "--ulimit=nofile=10000:10000 | --ulimit=nproc=16384:16384"));
	assert_non_null(strstr(log, "--ulimit=nofile=5000:5000 | --ulimit=nproc=8192:8192"));
	assert_null(strstr(log, "nproc=4096"));
	free(log);
}

static void limits_that_never_fit_end_the_tries(void **state)
{
	struct rig *rig = *state;
	struct err err;
	char *calls;

	answer(rig, "run", "Error: crun: setrlimit `RLIMIT_NPROC`: Operation not permitted", "126");
	assert_int_equal(provider_run(rig->podman, create(rig), control_soon(), &err), -1);
	assert_string_equal(err.reason, "LIMIT_TOO_HIGH");
	calls = control_read(rig->dir, "run.calls");
	assert_in_range(strtol(calls, NULL, 10), 2, 6);
	free(calls);
}

/* CN-142: a name that is taken is never cleared by force. */
static void taken_name_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct err err;
	char *log;

	answer(rig, "run", "Error: the container name \"n\" is already in use by 376b", "125");
	assert_int_equal(provider_run(rig->podman, create(rig), control_soon(), &err), -1);
	assert_string_equal(err.reason, "NAME_IN_USE");
	log = control_read(rig->dir, "log");
	assert_null(strstr(log, "rm |"));
	free(log);
}

/* F26 */
static void hung_engine_is_told_at_the_deadline(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();
	struct node_list list;
	struct err err;

	control_write(rig->dir, "ps.hang", "");
	assert_int_equal(provider_list(rig->podman, NULL, deadline_in_ms(200), &list, &err), -1);
	assert_int_equal(err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(err.reason, "ENGINE_HUNG");
	assert_true(clock_now_ms() - begun < 5000);
}

static void list_is_sorted_and_one_spawn(void **state)
{
	static const char text[] =
		"[{\"Names\":[\"c-b\"],\"Labels\":{\"io.berth.cluster\":\"c\","
		"\"io.berth.created-by\":\"berth\"}},{\"Names\":[\"c-a\"],\"Labels\":{"
		"\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\"}}]";
	struct rig *rig = *state;
	unsigned before = exec_count();
	struct node_list list;
	struct err err;

	control_write(rig->dir, "ps.out", text);
	assert_int_equal(provider_list(rig->podman, "c", control_soon(), &list, &err), 0);
	assert_int_equal(exec_count(), before + 1);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0]->name, "c-a");
	node_list_release(&list);
}

/* podman's list fails when somebody else's container goes away while it lists. */
static void list_is_asked_again_when_a_container_vanished(void **state)
{
	struct rig *rig = *state;
	struct node_list list;
	struct err err;
	char *calls;

	answer(rig, "ps.1", "Error: no container with ID 376b found in database: no such container",
	       "125");
	answer(rig, "ps.2", "Error: no container with ID 376b found in database: no such container",
	       "125");
	control_write(rig->dir, "ps.out", "[]");
	assert_int_equal(provider_list(rig->podman, NULL, control_soon(), &list, &err), 0);
	assert_int_equal(list.count, 0);
	answer(rig, "ps", "Error: no such container", "125");
	assert_int_equal(provider_list(rig->podman, NULL, control_soon(), &list, &err), -1);
	calls = control_read(rig->dir, "ps.calls");
	assert_in_range(strtol(calls, NULL, 10), 5, 10);
	free(calls);
}

/* CN-244: lists fail in words, too. */
static void garbled_list_names_the_engine(void **state)
{
	struct rig *rig = *state;
	struct node_list list = { 0 };
	struct err err;

	control_write(rig->dir, "ps.out", "<html>");
	assert_int_equal(provider_list(rig->podman, "c", control_soon(), &list, &err), -1);
	assert_ptr_equal(strstr(err.msg, "podman: cannot make sense of the engine's answer: "),
			 err.msg);
	assert_int_equal(list.count, 0);
}

/* CN-061: in use is told, gone is success. */
static void network_that_others_use_is_told(void **state)
{
	static const char in_use[] = "[{\"name\":\"c\",\"subnets\":[],\"labels\":{"
				     "\"io.berth.cluster\":\"c\","
				     "\"io.berth.created-by\":\"berth\"}}]";
	struct rig *rig = *state;
	const struct step *step;
	struct err err;

	assert_int_equal(provider_plan_network_delete(rig->podman, "c", &rig->plan, &err), 0);
	step = plan_last(&rig->plan);
	control_write(rig->dir, "network-ls.out", in_use);
	assert_int_equal(provider_run(rig->podman, step, control_soon(), &err), -1);
	assert_string_equal(err.reason, "NETWORK_IN_USE");
	control_write(rig->dir, "network-ls.out", "[]");
	assert_int_equal(provider_run(rig->podman, step, control_soon(), &err), 0);
	control_write(rig->dir, "network-prune.out", "c\n");
	assert_int_equal(provider_run(rig->podman, step, control_soon(), &err), 0);
}

#define INFO                                                                              \
	"{\"host\":{\"cgroupVersion\":\"v1\",\"cgroupControllers\":[\"cpu\",\"memory\"]," \
	"\"serviceIsRemote\":%s},\"store\":{\"graphRoot\":\"/g\"},"                       \
	"\"version\":{\"Version\":\"4.3.1\"}}"

static void write_info(struct rig *rig, const char *remote)
{
	cleanup_free char *info = text_format(INFO, remote);

	control_write(rig->dir, "info.out", info);
}

/* CN-022 CN-023: here the engine names the controllers and the kernel the rest. */
static void limits_hold_as_far_as_the_kernel_goes(void **state)
{
	struct rig *rig = *state;
	struct host_facts able = control_hybrid_host;
	struct provider *p = NULL;
	struct engine_info info;
	struct err err;

	write_info(rig, "false");
	assert_int_equal(provider_info(rig->podman, control_soon(), &info, &err), 0);
	assert_true(info.memory_limit);
	assert_false(info.swap_limit);
	assert_false(info.cpu_limit);
	assert_false(info.remote);
	able.has_swap_limit = able.has_cpu_quota = true;
	assert_int_equal(provider_open("podman", &able, &p, &err), 0);
	assert_int_equal(provider_info(p, control_soon(), &info, &err), 0);
	assert_true(info.swap_limit && info.cpu_limit);
	provider_close(p);
}

/* CN-232: and a service is driven without options of this host. */
static void service_of_another_host_is_known_by_its_address(void **state)
{
	struct rig *rig = *state;
	struct provider *p = NULL;
	struct engine_info info;
	struct err err;

	write_info(rig, "true");
	control_write(rig->dir, "system.out",
		      "[{\"Name\":\"b\",\"URI\":\"ssh://u@b.example:22/s\",\"Default\":true}]");
	assert_int_equal(provider_info(rig->podman, control_soon(), &info, &err), 0);
	assert_true(info.remote && info.service);
	assert_string_equal(info.host, "b.example");
	setenv("CONTAINER_HOST", "unix:///run/podman/podman.sock", 1);
	assert_int_equal(provider_info(rig->podman, control_soon(), &info, &err), 0);
	assert_false(info.remote);
	assert_true(info.service);
	assert_int_equal(provider_open("podman", &control_hybrid_host, &p, &err), 0);
	unsetenv("CONTAINER_HOST");
	assert_int_equal(provider_plan_act(p, STEP_CONTAINER_START, "n", 0, &rig->plan, &err), 0);
	control_assert_argv(plan_last(&rig->plan), "podman | start | -- | n");
	provider_close(p);
}

/* Another machine's limits and directories are found out by trying. */
static void what_another_machine_lacks_is_left_out(void **state)
{
	struct rig *rig = *state;
	struct err err;
	char *log;

	provider_close(rig->podman);
	setenv("CONTAINER_HOST", "tcp://far.example:1", 1);
	assert_int_equal(provider_open("podman", &control_hybrid_host, &rig->podman, &err), 0);
	unsetenv("CONTAINER_HOST");
	answer(rig, "run.1", "Error: statfs /lib/modules: no such file or directory", "125");
	answer(rig, "run.2",
	       "Error: runc: runc create failed: error setting rlimit type 7: operation not "
	       "permitted: OCI permission denied",
	       "126");
	answer(rig, "run.3", "Error: runc: error setting rlimit type 7: operation not permitted",
	       "126");
	if (provider_run(rig->podman, create(rig), control_soon(), &err) < 0)
		fail_msg("%s", err.msg);
	log = control_read(rig->dir, "log");
	assert_int_equal(count_words(log, "--volume=/lib/modules:"), 1);
	assert_int_equal(count_words(log, "--ulimit=nofile=65536:65536 | "
					  "--ulimit=nproc=65536:65536 | -- | img"),
			 1);
	assert_int_equal(count_words(log, "--ulimit=nofile=32768:32768"), 1);
	free(log);
}

/* The user's own mount is no matter of choice. */
static void missing_mount_of_the_users_is_an_error(void **state)
{
	struct rig *rig = *state;
	struct err err;
	char *calls;

	answer(rig, "run.1", "Error: statfs /home/u/data: no such file or directory", "125");
	assert_int_equal(provider_run(rig->podman, create(rig), control_soon(), &err), -1);
	assert_string_equal(err.reason, "MOUNT_SOURCE_NOT_FOUND");
	calls = control_read(rig->dir, "run.calls");
	assert_int_equal(strtol(calls, NULL, 10), 1);
	free(calls);
}

/* CN-153 CN-154: its systemd has made its cgroups when it reaches a first target. */
static void console_is_followed_until_units_start(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();
	char *log;

	control_write(rig->dir, "logs.out", "[ OK ] Reached target \033[0mslices.target.\n");
	control_write(rig->dir, "logs.linger", "");
	provider_console_wait(rig->podman, "n", deadline_in_ms(30000));
	assert_true(clock_now_ms() - begun < 20000);
	log = control_read(rig->dir, "log");
	assert_non_null(strstr(log, "logs | --follow | -- | n\n"));
	free(log);
}

static void silent_console_is_followed_for_so_long(void **state)
{
	struct rig *rig = *state;
	int64_t begun = clock_now_ms();

	control_write(rig->dir, "logs.out", "Reached\n");
	control_write(rig->dir, "logs.linger", "");
	provider_console_wait(rig->podman, "n", deadline_in_ms(300));
	assert_in_range(clock_now_ms() - begun, 300, 20000);
}

int main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		RIGGED(what_another_machine_lacks_is_left_out),
		RIGGED(missing_mount_of_the_users_is_an_error),
		RIGGED(console_is_followed_until_units_start),
		RIGGED(silent_console_is_followed_for_so_long),
		RIGGED(complaints_become_reasons_and_advice),
		RIGGED(message_ends_with_the_engines_words),
		RIGGED(what_is_so_already_is_success),
		RIGGED(stop_and_start_of_nothing_are_errors),
		RIGGED(absent_image_is_not_found_with_advice),
		RIGGED(registry_that_does_not_answer_is_asked_again),
		RIGGED(registry_that_never_answers_ends_the_tries),
		RIGGED(registry_that_refuses_is_asked_once),
		RIGGED(refused_limits_are_halved_until_they_fit),
		RIGGED(limits_that_never_fit_end_the_tries),
		RIGGED(taken_name_is_left_alone),
		RIGGED(hung_engine_is_told_at_the_deadline),
		RIGGED(list_is_sorted_and_one_spawn),
		RIGGED(list_is_asked_again_when_a_container_vanished),
		RIGGED(garbled_list_names_the_engine),
		RIGGED(network_that_others_use_is_told),
		RIGGED(limits_hold_as_far_as_the_kernel_goes),
		RIGGED(service_of_another_host_is_known_by_its_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
