/* What a node is asked to be, and what its engine is like, as words of both engines (CN-290). */
#include "controller/config/cluster_config.h"
#include "controller/provider/oci_create.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const engines[] = { "podman", "docker" };

static const struct engine_info whole_engine = {
	.version = "28.2.2",
	.cgroup = "v2",
	.controllers = "cpuset cpu io memory pids",
	.os_type = "linux",
	.driver = "overlay",
	.backing_fs = "extfs",
	.cpus = 4,
	.memory_limit = true,
	.swap_limit = true,
	.cpu_limit = true,
};

static void put(char *ret, size_t size, const char *value)
{
	snprintf(ret, size, "%s", value);
}

static struct node_spec worker(void)
{
	return (struct node_spec){
		.name = "c-worker",
		.cluster = "c",
		.role = NODE_WORKER,
		.index = 2,
		.image = "img:1",
		.ip = "192.168.49.3",
		.network = "c",
		.run_dir = "/r/c-worker",
		.agent_port = -1,
	};
}

static struct provider *open_engine(const char *engine, const struct host_facts *facts,
				    const struct engine_info *info)
{
	struct provider *p = NULL;
	struct err err;

	assert_int_equal(provider_open_to_plan(engine, facts, &p, &err), 0);
	if (info)
		provider_set_engine(p, info);
	return p;
}

/* The words of the create. Caller frees. */
static char *words(const char *engine, const struct host_facts *facts,
		   const struct engine_info *info, const struct node_spec *spec)
{
	cleanup_with(provider) struct provider *p = open_engine(engine, facts, info);
	cleanup_with(plan) struct plan plan = { 0 };
	struct err err;

	if (provider_plan_create(p, spec, &plan, &err) < 0)
		fail_msg("%s", err.msg);
	return control_argv(&plan.steps[0]->argv);
}

/* That these stand among the words of each engine. */
static void assert_words(const struct engine_info *info, const struct node_spec *spec,
			 const char *podman, const char *docker)
{
	const char *expected[] = { podman, docker };

	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		char *all = words(engines[i], &control_plain_host, info, spec);

		if (!strstr(all, expected[i]))
			fail_msg("%s: no '%s' in '%s'", engines[i], expected[i], all);
		free(all);
	}
}

static void assert_no_words(const struct engine_info *info, const struct node_spec *spec,
			    const char *absent)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		char *all = words(engines[i], &control_plain_host, info, spec);

		if (strstr(all, absent))
			fail_msg("%s: '%s' in '%s'", engines[i], absent, all);
		free(all);
	}
}

/* CN-002 CN-020 CN-021 CN-022 CN-023: no swap beside the memory; 0 is no limit. */
static void limits_are_memory_without_swap_and_cpus(void **state)
{
	struct node_spec spec = worker();

	(void)state;
	assert_no_words(&whole_engine, &spec, "--memory");
	assert_no_words(&whole_engine, &spec, "--cpus");
	spec.memory_bytes = 536870912;
	spec.cpus_milli = 1500;
	assert_words(&whole_engine, &spec,
		     " | --memory-swap=536870912b | --memory=536870912b | --cpus=1.5 | ",
		     " | --memory-swap=536870912b | --memory=536870912b | --cpus=1.5 | ");
	spec.cpus_milli = 2000;
	assert_words(&whole_engine, &spec, "--cpus=2 |", "--cpus=2 |");
	spec.cpus_milli = 250;
	assert_words(&whole_engine, &spec, "--cpus=0.25 |", "--cpus=0.25 |");
	/* Without having asked an engine: as it was asked for. */
	assert_words(NULL, &spec, "--memory=536870912b", "--memory=536870912b");
}

/* CN-022 CN-023 */
static void limits_that_cannot_hold_are_left_out(void **state)
{
	struct node_spec spec = worker();
	struct engine_info info = whole_engine;

	(void)state;
	spec.memory_bytes = 536870912;
	spec.cpus_milli = 1000;
	info.swap_limit = false;
	assert_no_words(&info, &spec, "--memory-swap");
	assert_words(&info, &spec, " | --memory=536870912b | --cpus=1 | ",
		     " | --memory=536870912b | --cpus=1 | ");
	info.memory_limit = false;
	assert_no_words(&info, &spec, "--memory");
	info.cpu_limit = false;
	assert_no_words(&info, &spec, "--cpus");
}

/* CN-019 */
static void gpus_are_what_each_engine_calls_them(void **state)
{
	struct node_spec spec = worker();
	static const char *const all[] = { "all", "nvidia" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		spec.gpus = all[i];
		assert_words(&whole_engine, &spec, " | --device=nvidia.com/gpu=all | ",
			     " | --gpus=all | ");
		assert_words(&whole_engine, &spec, " | --env=NVIDIA_DRIVER_CAPABILITIES=all | ",
			     " | --env=NVIDIA_DRIVER_CAPABILITIES=all | ");
	}
	spec.gpus = "nvidia.com";
	assert_words(&whole_engine, &spec, " | --device=nvidia.com/gpu=all | ",
		     " | --device=nvidia.com/gpu=all | ");
	assert_no_words(&whole_engine, &spec, "NVIDIA_DRIVER");
	spec.gpus = "amd";
	assert_words(&whole_engine, &spec, " | --device=/dev/kfd | --device=/dev/dri | ",
		     " | --device=/dev/kfd | --device=/dev/dri | ");
	spec.gpus = "";
	assert_no_words(&whole_engine, &spec, "--device");
}

/* CN-018 CN-032 */
static void ipv6_brings_its_sysctls(void **state)
{
	struct node_spec spec = worker();

	(void)state;
	assert_no_words(&whole_engine, &spec, "ipv6");
	spec.ip6 = "fd00:1::3";
	assert_words(&whole_engine, &spec,
		     " | --network=c | --ip=192.168.49.3 | --ip6=fd00:1::3 | "
		     "--sysctl=net.ipv6.conf.all.disable_ipv6=0 | "
		     "--sysctl=net.ipv6.conf.all.forwarding=1 | ",
		     " | --network=c | --ip=192.168.49.3 | --ip6=fd00:1::3 | "
		     "--sysctl=net.ipv6.conf.all.disable_ipv6=0 | "
		     "--sysctl=net.ipv6.conf.all.forwarding=1 | ");
	assert_words(&whole_engine, &spec, "--label=io.berth.ip6=fd00:1::3",
		     "--label=io.berth.ip6=fd00:1::3");
	spec.ip = "";
	assert_words(&whole_engine, &spec, " | --network=c | --ip6=fd00:1::3 | ",
		     " | --network=c | --ip6=fd00:1::3 | ");
}

/* CN-036: unset is as the host has it, empty is none. */
static void search_domains_are_given_stripped_or_left(void **state)
{
	cleanup_with(strv) struct strv domains = { 0 };
	struct node_spec spec = worker();

	(void)state;
	assert_no_words(&whole_engine, &spec, "--dns-search");
	spec.dns_search = &domains;
	assert_words(&whole_engine, &spec, " | --dns-search=. | ", " | --dns-search=. | ");
	strv_add(&domains, "a.example");
	strv_add(&domains, "b");
	assert_words(&whole_engine, &spec, " | --dns-search=a.example | --dns-search=b | ",
		     " | --dns-search=a.example | --dns-search=b | ");
	assert_no_words(&whole_engine, &spec, "--dns-search=.");
}

/* CN-094: each engine has its own word for a port of its choice. */
static void agents_port_is_published_on_loopback_when_asked_for(void **state)
{
	struct node_spec spec = worker();

	(void)state;
	assert_no_words(&whole_engine, &spec, ":7443/tcp");
	spec.agent_port = 0;
	assert_words(&whole_engine, &spec, " | --publish=127.0.0.1::7443/tcp | ",
		     " | --publish=127.0.0.1:0:7443/tcp | ");
	spec.agent_port = 17443;
	assert_words(&whole_engine, &spec, " | --publish=127.0.0.1:17443:7443/tcp | ",
		     " | --publish=127.0.0.1:17443:7443/tcp | ");
}

/* CN-034: by driver or by file system; a rootless docker cannot have it. */
static void device_mapper_is_there_where_kubelet_looks(void **state)
{
	const struct {
		const char *driver, *backing_fs;
		bool mapped;
	} rows[] = {
		{ "overlay", "extfs", false }, { "btrfs", "", true },
		{ "zfs", "", true },           { "devicemapper", "", true },
		{ "overlay", "xfs", true },    { "overlay", "btrfs", true },
		{ "overlay", "zfs", true },
	};
	struct node_spec spec = worker();
	struct host_facts host = control_plain_host;

	(void)state;
	host.has_mapper = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct engine_info info = whole_engine;

		put(info.driver, sizeof(info.driver), rows[i].driver);
		put(info.backing_fs, sizeof(info.backing_fs), rows[i].backing_fs);
		for (size_t k = 0; k < ARRAY_LEN(engines); k++) {
			char *all = words(engines[k], &host, &info, &spec);
			bool has = strstr(all, " | --volume=/dev/mapper:/dev/mapper | ") != NULL;

			assert_int_equal(has, rows[i].mapped);
			free(all);
		}
	}
}

static void rootless_docker_has_no_device_mapper(void **state)
{
	struct host_facts host = control_plain_host;
	struct engine_info info = whole_engine;
	struct node_spec spec = worker();
	char *all;

	(void)state;
	host.has_mapper = true;
	info.rootless = true;
	put(info.backing_fs, sizeof(info.backing_fs), "xfs");
	all = words("docker", &host, &info, &spec);
	assert_null(strstr(all, "/dev/mapper"));
	free(all);
	all = words("podman", &host, &info, &spec);
	assert_non_null(strstr(all, "/dev/mapper"));
	free(all);
}

/* CN-012 CN-035: by what the engine is, not who asks it. */
static void rootless_engines_get_fuse(void **state)
{
	struct engine_info info = whole_engine;
	struct node_spec spec = worker();

	(void)state;
	assert_no_words(&info, &spec, "/dev/fuse");
	info.rootless = true;
	assert_words(&info, &spec, " | --device=/dev/fuse | ", " | --device=/dev/fuse | ");
}

/* CN-015 */
static void nixos_keeps_its_modules_elsewhere(void **state)
{
	struct host_facts host = control_plain_host;
	struct node_spec spec = worker();
	char *all;

	(void)state;
	host.has_nixos_modules = true;
	all = words("docker", &host, &whole_engine, &spec);
	assert_non_null(strstr(all, " | --volume=/run/current-system/kernel-modules/lib/modules:"
				    "/lib/modules:ro | "));
	assert_null(strstr(all, "=/lib/modules:"));
	free(all);
}

/* CN-025 CN-031 */
static void remapped_users_are_mapped_back(void **state)
{
	struct engine_info info = whole_engine;
	struct node_spec spec = worker();
	char *all;

	(void)state;
	assert_no_words(&info, &spec, "--userns");
	info.userns_remap = true;
	all = words("docker", &control_plain_host, &info, &spec);
	assert_non_null(strstr(all, " | --userns=host | "));
	free(all);
}

/* S11: everybody may read an argv. What the client heeds itself is given to it only where it is secret. */
static void values_of_variables_are_not_among_the_words(void **state)
{
	static const char *const pairs[][2] = {
		{ "ANY", "canary-1" },          { "https_proxy", "http://u:canary-2@192.0.2.1:9" },
		{ "PATH", "/node/bin" },        { "HTTP_PROXY", "http://192.0.2.1:9" },
		{ "DOCKER_TOKEN", "canary-3" }, { "GLOB*", "x" },
		{ "TWO", "lines\nof=it" },
	};
	struct kv items[ARRAY_LEN(pairs)];
	struct kv_list env = { items, ARRAY_LEN(pairs) };
	struct node_spec spec = worker();
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		items[i] = (struct kv){ (char *)pairs[i][0], (char *)pairs[i][1] };
	spec.env = &env;
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		cleanup_with(provider) struct provider *p =
			open_engine(engines[i], &control_plain_host, &whole_engine);
		cleanup_with(plan) struct plan plan = { 0 };
		cleanup_free char *all = NULL, *given = NULL;

		assert_int_equal(provider_plan_create(p, &spec, &plan, &err), 0);
		all = control_argv(&plan_last(&plan)->argv);
		given = control_argv(&plan_last(&plan)->env);
		assert_null(strstr(all, "canary"));
		assert_non_null(strstr(all, " | --env=ANY | "));
		assert_non_null(strstr(all, " | --env=https_proxy | "));
		assert_non_null(strstr(all, " | --env=PATH=/node/bin | "));
		assert_non_null(strstr(all, " | --env=HTTP_PROXY=http://192.0.2.1:9 | "));
		assert_non_null(strstr(all, " | --env=GLOB*=x | "));
		assert_string_equal(given, "ANY=canary-1 | DOCKER_TOKEN=canary-3 | "
					   "TWO=lines\nof=it | "
					   "https_proxy=http://u:canary-2@192.0.2.1:9");
	}
}

/* Its directories and limits are not this host's. */
static void remote_engine_gets_nothing_of_this_host(void **state)
{
	static const struct host_facts bare = { .nofile_hard = 4096,
						.cgroup_hybrid = true,
						.has_runc = true };
	struct engine_info info = whole_engine;
	struct node_spec spec = worker();

	(void)state;
	info.remote = info.service = true;
	put(info.host, sizeof(info.host), "build.example");
	spec.run_dir = "";
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		char *all = words(engines[i], &bare, &info, &spec);

		assert_null(strstr(all, "/run/berth"));
		assert_null(strstr(all, "run-dir"));
		assert_null(strstr(all, "--ulimit"));
		assert_null(strstr(all, "--runtime"));
		assert_null(strstr(all, "--cgroup-manager"));
		assert_non_null(strstr(all, "--volume=/lib/modules:/lib/modules:ro"));
		free(all);
	}
}

/* CN-260: a balancer is not privileged where its systemd can do without: it mounts, and has cgroups to write. */
static void balancer_has_few_rights(void **state)
{
	static const struct {
		const char *engine, *cgroup, *words;
	} rows[] = {
		{ "podman", "v1",
		  " | --cap-add=SYS_ADMIN | --cgroupns=private | --tmpfs=/sys/fs/cgroup | " },
		{ "podman", "v2",
		  " | --cap-add=SYS_ADMIN | --cgroupns=private | "
		  "--security-opt=unmask=/sys/fs/cgroup | " },
		{ "docker", "v1",
		  " | --cap-add=SYS_ADMIN | --cgroupns=private | --tmpfs=/sys/fs/cgroup | " },
		/* docker before 28 gives writable ones of v2 to the privileged alone. */
		{ "docker", "v2", " | --privileged | " },
	};
	struct engine_info info = whole_engine;
	struct node_spec spec = worker();
	char *all;

	(void)state;
	spec.role = NODE_LOAD_BALANCER;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool few = strstr(rows[i].words, "SYS_ADMIN") != NULL;

		put(info.cgroup, sizeof(info.cgroup), rows[i].cgroup);
		all = words(rows[i].engine, &control_plain_host, &info, &spec);
		assert_non_null(strstr(all, rows[i].words));
		assert_int_equal(strstr(all, "--privileged") == NULL, few);
		assert_int_equal(strstr(all, "seccomp=unconfined") == NULL, few);
		assert_null(strstr(all, "/lib/modules"));
		free(all);
	}
	info.rootless = true;
	all = words("podman", &control_plain_host, &info, &spec);
	assert_non_null(strstr(all, " | --privileged | "));
	free(all);
}

/* CN-005: podman takes one of both; a tag is not a registry's port. */
static void podman_gets_a_digest_without_the_tag(void **state)
{
	static const struct {
		const char *image, *podman;
	} rows[] = {
		{ "img:1", "img:1" },
		{ "img:1@sha256:ab", "img@sha256:ab" },
		{ "img@sha256:ab", "img@sha256:ab" },
		{ "host:5000/img@sha256:ab", "host:5000/img@sha256:ab" },
		{ "host:5000/img:1@sha256:ab", "host:5000/img@sha256:ab" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct node_spec spec = worker();
		cleanup_free char *podman = text_format(" | -- | %s", rows[i].podman);
		cleanup_free char *docker = text_format(" | -- | %s", rows[i].image);

		spec.image = rows[i].image;
		assert_words(&whole_engine, &spec, podman, docker);
	}
}

static void unknown_kind_of_gpu_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		cleanup_with(provider) struct provider *p =
			open_engine(engines[i], &control_plain_host, &whole_engine);
		cleanup_with(plan) struct plan plan = { 0 };
		struct node_spec spec = worker();
		struct err err;

		spec.gpus = "intel";
		assert_int_equal(provider_plan_create(p, &spec, &plan, &err), -1);
		assert_string_equal(err.reason, "GPUS_INVALID");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_variables_are_not_among_the_words),
		cmocka_unit_test(limits_are_memory_without_swap_and_cpus),
		cmocka_unit_test(limits_that_cannot_hold_are_left_out),
		cmocka_unit_test(gpus_are_what_each_engine_calls_them),
		cmocka_unit_test(ipv6_brings_its_sysctls),
		cmocka_unit_test(search_domains_are_given_stripped_or_left),
		cmocka_unit_test(agents_port_is_published_on_loopback_when_asked_for),
		cmocka_unit_test(device_mapper_is_there_where_kubelet_looks),
		cmocka_unit_test(rootless_docker_has_no_device_mapper),
		cmocka_unit_test(rootless_engines_get_fuse),
		cmocka_unit_test(nixos_keeps_its_modules_elsewhere),
		cmocka_unit_test(remapped_users_are_mapped_back),
		cmocka_unit_test(remote_engine_gets_nothing_of_this_host),
		cmocka_unit_test(balancer_has_few_rights),
		cmocka_unit_test(podman_gets_a_digest_without_the_tag),
		cmocka_unit_test(unknown_kind_of_gpu_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
