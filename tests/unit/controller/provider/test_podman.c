/* Every word that podman is given (CN-290). */
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

static struct provider *open_with(const struct host_facts *facts)
{
	struct provider *p = NULL;
	struct err err;

	control_fake_podman("/tmp");
	assert_int_equal(provider_open("podman", facts, &p, &err), 0);
	return p;
}

static struct node_spec worker(void)
{
	return (struct node_spec){
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
}

/* Caller frees. */
static char *create_words(const struct host_facts *facts, const struct node_spec *spec)
{
	cleanup_with(provider) struct provider *p = open_with(facts);
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	assert_int_equal(provider_plan_create(p, spec, &plan, &err), 0);
	assert_int_equal(plan.count, 1);
	assert_int_equal(plan.steps[0]->action, STEP_CONTAINER_CREATE);
	assert_string_equal(plan.steps[0]->id, "create/c-worker");
	return control_argv(&plan.steps[0]->argv);
}

/* CN-011 CN-013 CN-014 CN-015 CN-016 CN-017 CN-018 CN-020 CN-024 CN-026 CN-037 CN-040 CN-195 */
static void plain_host_gets_the_whole_list_in_order(void **state)
{
	struct node_spec spec = worker();
	char *words = create_words(&control_plain_host, &spec);

	(void)state;
	assert_string_equal(
		words, "podman | run | --name=c-worker | --hostname=c-worker | --detach | --tty | "
		       "--pull=never | --privileged | --cgroupns=private | "
		       "--security-opt=seccomp=unconfined | --tmpfs=/tmp | --tmpfs=/run | "
		       "--no-healthcheck | --stop-signal=SIGRTMIN+3 | --systemd=false | "
		       "--pids-limit=-1 | --log-driver=k8s-file | "
		       "--mount=type=volume,destination=/var,exec,dev,suid | "
		       "--volume=/lib/modules:/lib/modules:ro | "
		       "--volume=/var/lib/berth/nodes/c-worker:/run/berth | --network=c | "
		       "--ip=192.168.49.3 | --env=BERTH_CLUSTER=c | --env=BERTH_NODE=c-worker | "
		       "--env=BERTH_ROLE=worker | "
		       "--env=container=podman | --label=io.berth.cluster=c | "
		       "--label=io.berth.node=c-worker | "
		       "--label=io.berth.role=worker | --label=io.berth.index=2 | "
		       "--label=io.berth.ip=192.168.49.3 | "
		       "--label=io.berth.run-dir=/var/lib/berth/nodes/c-worker | "
		       "--label=io.berth.created-by=berth | --label=io.berth.version=0.1.0 | -- | "
		       "localhost/berth-node:latest");
	free(words);
}

/* CN-010 CN-180: and the limits of test-hosts.md. */
static void hybrid_host_without_systemd_gets_runc_cgroupfs_and_its_limits(void **state)
{
	struct node_spec spec = worker();
	char *words = create_words(&control_hybrid_host, &spec);

	(void)state;
	assert_non_null(
		strstr(words, "podman | --runtime=runc | --cgroup-manager=cgroupfs | run | "));
	assert_non_null(strstr(words, " | --pids-limit=-1 | --ulimit=nofile=20000:20000 | "
				      "--ulimit=nproc=32768:32768 | "));
	assert_null(strstr(words, "/lib/modules"));
	free(words);
}

/* What of the facts shows which word; one fact a row. */
static void each_fact_changes_only_its_words(void **state)
{
	const struct {
		struct host_facts facts;
		const char *with;    /* must be there; NULL: nothing */
		const char *without; /* must not */
	} rows[] = {
		{ { .has_systemd = true, .has_crun = true, .has_runc = true }, NULL, "--runtime" },
		{ { .has_systemd = true, .has_runc = true }, "--runtime=runc", "--cgroup-manager" },
		{ { .has_systemd = true, .has_crun = true, .cgroup_hybrid = true },
		  NULL,
		  "--runtime" },
		{ { .has_crun = true }, "--cgroup-manager=cgroupfs", "--runtime" },
		{ { .nofile_hard = -1, .nproc_hard = -1 }, NULL, "--ulimit" },
		{ { .nofile_hard = 4096, .nproc_hard = -1 }, "--ulimit=nofile=4096:4096", "nproc" },
		{ { .nofile_hard = 4096, .can_raise_limits = true }, NULL, "--ulimit" },
		{ { .has_fuse = true }, NULL, "/dev/fuse" },
		{ { .rootless = true }, NULL, "/dev/fuse" },
		{ { .rootless = true, .has_fuse = true }, "--device=/dev/fuse", "/lib/modules" },
		{ { .has_modules = true }, "--volume=/lib/modules:/lib/modules:ro", "--ulimit" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct node_spec spec = worker();
		char *words = create_words(&rows[i].facts, &spec);

		if (rows[i].with)
			assert_non_null(strstr(words, rows[i].with));
		assert_null(strstr(words, rows[i].without));
		free(words);
	}
}

/* CN-018 */
static void address_and_network_go_together_or_not_at_all(void **state)
{
	struct node_spec spec = worker();
	char *words;

	(void)state;
	spec.ip = "";
	words = create_words(&control_plain_host, &spec);
	assert_null(strstr(words, "--network"));
	assert_null(strstr(words, "--ip"));
	free(words);
	spec = worker();
	spec.network = "";
	words = create_words(&control_plain_host, &spec);
	assert_null(strstr(words, "--network"));
	assert_null(strstr(words, "| --ip"));
	free(words);
}

/* CN-091 CN-093 CN-094 CN-095 A4 */
static void ports_name_their_address_and_protocol(void **state)
{
	struct port_mapping ports[] = {
		{ 80, 8080, (char *)"", PORT_TCP },
		{ 53, 5353, (char *)"0.0.0.0", PORT_UDP },
		{ 6443, -1, NULL, PORT_TCP },
		{ 36412, 0, (char *)"::1", PORT_SCTP },
	};
	struct node_spec spec = worker();
	char *words;

	(void)state;
	spec.ports = ports;
	spec.port_count = ARRAY_LEN(ports);
	words = create_words(&control_plain_host, &spec);
	assert_non_null(strstr(words, " | --publish=127.0.0.1:8080:80/tcp | "
				      "--publish=0.0.0.0:5353:53/udp | "
				      "--publish=127.0.0.1::6443/tcp | "
				      "--publish=[::1]::36412/sctp | --env="));
	free(words);
}

/* CN-100 */
static void mounts_carry_their_options(void **state)
{
	struct mount_config mounts[] = {
		{ (char *)"/a", (char *)"/x", false, false, MOUNT_PRIVATE, false },
		{ (char *)"/b", (char *)"/y", true, true, MOUNT_HOST_TO_CONTAINER, false },
		{ (char *)"/c", (char *)"/z", false, false, MOUNT_BIDIRECTIONAL, false },
	};
	struct node_spec spec = worker();
	char *words;

	(void)state;
	spec.mounts = mounts;
	spec.mount_count = ARRAY_LEN(mounts);
	words = create_words(&control_plain_host, &spec);
	assert_non_null(strstr(words, ":/run/berth | --volume=/a:/x | --volume=/b:/y:ro,Z,rslave | "
				      "--volume=/c:/z:rshared | --network="));
	free(words);
}

/* CN-024 CN-033 CN-040: ours and the user's together, sorted; a control plane knows its kubeconfig. */
static void environment_is_sorted(void **state)
{
	struct kv items[] = { { (char *)"ZED", (char *)"1" }, { (char *)"ALPHA", (char *)"2" } };
	struct kv_list env = { items, 2 };
	struct node_spec spec = worker();
	char *words;

	(void)state;
	spec.env = &env;
	spec.role = NODE_CONTROL_PLANE;
	words = create_words(&control_plain_host, &spec);
	assert_non_null(strstr(words,
			       " | --env=ALPHA | --env=BERTH_CLUSTER=c | "
			       "--env=BERTH_NODE=c-worker | --env=BERTH_ROLE=control-plane | "
			       "--env=KUBECONFIG=/etc/kubernetes/admin.conf | --env=ZED | "
			       "--env=container=podman | --label="));
	free(words);
}

static void node_labels_are_kept(void **state)
{
	struct kv items[] = { { (char *)"tier", (char *)"front" } };
	struct kv_list labels = { items, 1 };
	struct node_spec spec = worker();
	char *words;

	(void)state;
	spec.labels = &labels;
	words = create_words(&control_plain_host, &spec);
	assert_non_null(strstr(words, " | --label=io.berth.node-label/tier=front | -- | "));
	free(words);
}

/* CN-056 CN-061 CN-130 CN-180 CN-193 CN-126 */
static void other_steps_are_one_short_call_each(void **state)
{
	cleanup_with(provider) struct provider *p = open_with(&control_hybrid_host);
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(provider_plan_image(p, "img:1", &plan, &err), 0);
	assert_int_equal(provider_plan_network(p,
					       &(struct network_spec){ .cluster = "c",
								       .name = "c",
								       .subnet = "192.168.49.0/24",
								       .subnet6 = "" },
					       &plan, &err),
			 0);
	assert_int_equal(provider_plan_act(p, STEP_CONTAINER_START, "n", 0, &plan, &err), 0);
	assert_int_equal(provider_plan_act(p, STEP_CONTAINER_STOP, "n", 7, &plan, &err), 0);
	assert_int_equal(provider_plan_act(p, STEP_CONTAINER_KILL, "n", 0, &plan, &err), 0);
	assert_int_equal(provider_plan_act(p, STEP_CONTAINER_DELETE, "n", 0, &plan, &err), 0);
	assert_int_equal(provider_plan_network_delete(p, "c", &plan, &err), 0);
	assert_int_equal(plan.count, 7);
	control_assert_argv(plan.steps[0], "podman | image | exists | -- | img:1");
	control_assert_argv(plan.steps[1],
			    "podman | network | create | --driver=bridge | "
			    "--subnet=192.168.49.0/24 | --label=io.berth.cluster=c | "
			    "--label=io.berth.created-by=berth | -- | c");
	control_assert_argv(plan.steps[2],
			    "podman | --runtime=runc | --cgroup-manager=cgroupfs | start | -- | n");
	control_assert_argv(plan.steps[3], "podman | stop | --time=7 | -- | n");
	control_assert_argv(plan.steps[4], "podman | kill | -- | n");
	control_assert_argv(plan.steps[5], "podman | rm | --force | --volumes | --time=0 | -- | n");
	control_assert_argv(plan.steps[6], "podman | network | prune | --force | "
					   "--filter=label=io.berth.cluster=c");
	assert_string_equal(plan.steps[3]->id, "stop/n");
	assert_string_equal(plan.steps[1]->id, "network");
}

/* I7 CN-006 */
static void names_that_could_be_options_are_refused(void **state)
{
	static const char *const names[] = { "",     "-rf", "--privileged", "a b",  "a;b",
					     "../x", "A",   ".x",           "x-",   "a\nb",
					     "a/b",  "a=b", "a:b",          "$(id)" };
	cleanup_with(provider) struct provider *p = open_with(&control_plain_host);
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct node_spec spec = worker();

		spec.name = names[i];
		assert_int_equal(provider_plan_create(p, &spec, &plan, &err), -1);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_int_equal(
			provider_plan_act(p, STEP_CONTAINER_DELETE, names[i], 0, &plan, &err), -1);
		assert_int_equal(provider_plan_network(p,
						       &(struct network_spec){ .cluster = "c",
									       .name = names[i],
									       .subnet = "",
									       .subnet6 = "" },
						       &plan, &err),
				 -1);
		assert_int_equal(provider_plan_network_delete(p, names[i], &plan, &err), -1);
	}
	assert_int_equal(provider_plan_image(p, "--rm", &plan, &err), -1);
	assert_int_equal(provider_plan_image(p, "", &plan, &err), -1);
	assert_int_equal(plan.count, 0);
}

/* I7: whatever bytes, every accepted name stands alone in its word and is not an option. */
static void fuzzed_names_never_change_the_shape(void **state)
{
	cleanup_with(provider) struct provider *p = open_with(&control_plain_host);
	unsigned seed = 12345, accepted = 0;
	struct err err;

	(void)state;
	for (int round = 0; round < 10000; round++) {
		cleanup_with(plan) struct plan plan = { 0 };
		char name[12];
		size_t len = 1 + (size_t)rand_r(&seed) % 10;

		for (size_t i = 0; i < len; i++)
			name[i] = "ab0-. =/;$\n\x80"[rand_r(&seed) % 12];
		name[len] = '\0';
		if (provider_plan_act(p, STEP_CONTAINER_KILL, name, 0, &plan, &err) < 0)
			continue;
		accepted++;
		assert_int_equal(plan.steps[0]->argv.count, 4);
		assert_string_equal(plan.steps[0]->argv.items[2], "--");
		assert_string_equal(plan.steps[0]->argv.items[3], name);
		assert_true(name[0] != '-' && name[0] != '.');
	}
	assert_in_range(accepted, 100, 9999);
}

static void unknown_provider_is_told(void **state)
{
	struct provider *p = NULL;
	struct err err;

	(void)state;
	assert_int_equal(provider_open("lxd", &control_plain_host, &p, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.reason, "PROVIDER_UNKNOWN");
	assert_null(p);
}

/* CN-295: without a spawn, so at once. */
static void missing_engine_is_unavailable(void **state)
{
	static const char *const names[] = { NULL, "podman" };
	struct err err;

	(void)state;
	setenv("PATH", "/nowhere", 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct provider *p = NULL;

		assert_int_equal(provider_open(names[i], &control_plain_host, &p, &err), -1);
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		assert_string_equal(err.reason, "ENGINE_NOT_INSTALLED");
		assert_true(strlen(err.advice) > 0);
	}
	control_fake_podman(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_host_gets_the_whole_list_in_order),
		cmocka_unit_test(hybrid_host_without_systemd_gets_runc_cgroupfs_and_its_limits),
		cmocka_unit_test(each_fact_changes_only_its_words),
		cmocka_unit_test(address_and_network_go_together_or_not_at_all),
		cmocka_unit_test(ports_name_their_address_and_protocol),
		cmocka_unit_test(mounts_carry_their_options),
		cmocka_unit_test(environment_is_sorted),
		cmocka_unit_test(node_labels_are_kept),
		cmocka_unit_test(other_steps_are_one_short_call_each),
		cmocka_unit_test(names_that_could_be_options_are_refused),
		cmocka_unit_test(fuzzed_names_never_change_the_shape),
		cmocka_unit_test(unknown_provider_is_told),
		cmocka_unit_test(missing_engine_is_unavailable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
