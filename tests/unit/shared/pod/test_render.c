#include "shared/pod/render.h"

#include "shared/pod/hash.h"
#include "shared/pod/resources.h"
#include "tests/support/podmake.h"
#include "tests/support/pods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct render_node node = {
	.memory_bytes = 1000ll << 20,
	.pods_dir = "/var/lib/berthd/volumes",
	.logs_dir = "/var/log/pods",
	.node_name = "node-1",
	.pod_ip = "10.0.0.9",
	.host_ip = "192.0.2.1",
	.resolv_conf = "# c\nnameserver 192.0.2.53\nsearch a.example b.example\noptions ndots:1\n",
	.cfs_quota = true,
};

static void release_sandbox(struct sandbox_request *r)
{
	sandbox_request_release(r);
}

static void release_container(struct container_request *r)
{
	container_request_release(r);
}

#define SANDBOX   __attribute__((cleanup(release_sandbox))) struct sandbox_request
#define CONTAINER __attribute__((cleanup(release_container))) struct container_request

static struct sandbox_request sandbox_of(const K8s__Core__V1__Pod *pod)
{
	struct sandbox_request r = { 0 };
	struct err err;

	if (render_sandbox(pod, 3, &node, &r, &err) < 0)
		fail_msg("%s", err.msg);
	return r;
}

static struct container_request container_of(const K8s__Core__V1__Pod *pod, const char *name)
{
	struct container_request r = { 0 };
	struct err err;

	if (render_container(pod, name, 2, &node, &r, &err) < 0)
		fail_msg("%s", err.msg);
	return r;
}

static void admit(K8s__Core__V1__Pod *pod)
{
	struct err err;

	if (pod_admit(pod, &err) < 0)
		fail_msg("%s", err.msg);
}

/* PS-014, PS-021, PS-023, PS-025, PS-260 */
static void sandbox_carries_names_labels_and_logs(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");

	(void)state;
	podmake_label(pod, "app", "web");
	podmake_label(pod, "io.kubernetes.pod.uid", "a lie");
	{
		SANDBOX r = sandbox_of(pod);

		assert_string_equal(r.name, "web");
		assert_string_equal(r.namespace, "default");
		assert_string_equal(r.uid, "u1");
		assert_int_equal(r.attempt, 3);
		assert_string_equal(r.hostname, "web");
		assert_string_equal(r.log_directory, "/var/log/pods/default_web_u1");
		assert_int_equal(r.labels.count, 4);
		assert_string_equal(kv_get(&r.labels, "app"), "web");
		assert_string_equal(kv_get(&r.labels, LABEL_POD_NAME), "web");
		assert_string_equal(kv_get(&r.labels, LABEL_POD_NAMESPACE), "default");
		assert_string_equal(kv_get(&r.labels, LABEL_POD_UID), "u1");
		assert_int_equal(r.dns_servers.count, 0);
	}
}

/* PS-020, PS-021, PS-046, PS-150, PS-159, PS-181, PS-260 */
static void container_carries_hash_restarts_and_log_path(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1=registry:5000/a/b c2");
	char hash[16];

	(void)state;
	podmake_port(pod->spec->containers[0], "http", 80, 0);
	admit(pod);
	snprintf(hash, sizeof(hash), "%x", container_hash(pod->spec->containers[0]));
	{
		CONTAINER r = container_of(pod, "c1");
		struct container_request absent = { 0 };
		struct err err;

		assert_string_equal(r.name, "c1");
		assert_int_equal(r.attempt, 2);
		assert_string_equal(r.image, "registry:5000/a/b:latest");
		assert_string_equal(r.log_path, "c1/2.log");
		assert_string_equal(kv_get(&r.labels, LABEL_CONTAINER_NAME), "c1");
		assert_int_equal(r.labels.count, 4);
		assert_string_equal(kv_get(&r.annotations, NOTE_HASH), hash);
		assert_string_equal(kv_get(&r.annotations, NOTE_HASH_VERSION), "1");
		assert_string_equal(kv_get(&r.annotations, NOTE_RESTART_COUNT), "2");
		assert_string_equal(kv_get(&r.annotations, NOTE_POD_GRACE), "30");
		assert_string_equal(kv_get(&r.annotations, NOTE_MESSAGE_PATH),
				    "/dev/termination-log");
		assert_string_equal(kv_get(&r.annotations, NOTE_MESSAGE_POLICY), "File");
		assert_string_equal(
			kv_get(&r.annotations, NOTE_PORTS),
			"[{\"name\":\"http\",\"containerPort\":80,\"protocol\":\"TCP\"}]");
		assert_int_equal(render_container(pod, "no", 0, &node, &absent, &err), -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
	}
}

/* PS-157, PS-242 */
static void variables_expand_once_against_earlier_ones(void **state)
{
	static const struct {
		const char *text;
		const char *expanded;
	} rows[] = {
		{ "$(A)", "1" },     { "$$(A)", "$(A)" },     { "$(NO)", "$(NO)" },
		{ "a$", "a$" },      { "$(A", "$(A" },        { "$A", "$A" },
		{ "$$$(A)", "$1" },  { "$(A)$(B)", "1$(A)" }, { "$()", "$()" },
		{ "x$(A)y", "x1y" }, { "$$", "$" },           { "", "" },
	};
	struct kv_list env = { 0 };

	(void)state;
	assert_true(kv_add(&env, "A", "1"));
	assert_true(kv_add(&env, "B", "$(A)"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *got = render_expand(rows[i].text, &env);

		assert_string_equal(got, rows[i].expanded);
	}
	kv_release(&env);
}

/* PS-157, PS-242 */
static void command_and_env_are_rendered(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");
	K8s__Core__V1__Container *c = pod->spec->containers[0];

	(void)state;
	podmake_label(pod, "app", "web");
	podmake_env(c, "A", "1");
	podmake_env(c, "B", "$(A)$(C)");
	podmake_env(c, "C", "3");
	podmake_env_field(c, "NODE", "spec.nodeName");
	podmake_env_field(c, "IP", "status.podIP");
	podmake_env_field(c, "APP", "metadata.labels['app']");
	podmake_env_field(c, "NONE", "metadata.annotations['no']");
	podmake_word(&c->n_command, &c->command, "run-$(B)");
	podmake_word(&c->n_args, &c->args, "$(C)");
	admit(pod);
	{
		CONTAINER r = container_of(pod, "c1");

		assert_string_equal(kv_get(&r.envs, "B"), "1$(C)");
		assert_string_equal(kv_get(&r.envs, "NODE"), "node-1");
		assert_string_equal(kv_get(&r.envs, "IP"), "10.0.0.9");
		assert_string_equal(kv_get(&r.envs, "APP"), "web");
		assert_string_equal(kv_get(&r.envs, "NONE"), "");
		assert_string_equal(r.command.items[0], "run-1$(C)");
		assert_string_equal(r.args.items[0], "3");
	}
}

/* PS-190, PS-191, PS-194, PS-196 */
static void security_is_the_containers_over_the_pods(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("host c1 c2");
	K8s__Core__V1__SecurityContext *sc = podmake_security(pod->spec->containers[0]);
	K8s__Core__V1__PodSecurityContext *of_pod = malloc(sizeof(*of_pod));

	(void)state;
	k8s__core__v1__pod_security_context__init(of_pod);
	pod->spec->securitycontext = of_pod;
	of_pod->has_runasuser = of_pod->has_runasgroup = of_pod->has_runasnonroot = 1;
	of_pod->runasuser = 1000;
	of_pod->runasgroup = 2000;
	of_pod->runasnonroot = 1;
	sc->has_runasuser = 1;
	sc->runasuser = 7;
	sc->has_allowprivilegeescalation = 1;
	sc->has_readonlyrootfilesystem = sc->readonlyrootfilesystem = 1;
	admit(pod);
	{
		CONTAINER r = container_of(pod, "c1");
		CONTAINER other = container_of(pod, "c2");
		struct container_request root = { 0 };
		struct err err;

		assert_true(r.has_user && r.run_as_user == 7);
		assert_true(r.has_group && r.run_as_group == 2000);
		assert_true(r.no_new_privs && r.readonly_rootfs && !r.privileged);
		assert_true(r.namespaces.host_network && !r.namespaces.host_pid);
		assert_true(other.run_as_user == 1000 && !other.no_new_privs);

		sc->runasuser = 0;
		assert_int_equal(render_container(pod, "c1", 0, &node, &root, &err), -1);
		assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
	}
}

static void one_privileged_container_makes_the_sandbox_privileged(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1 c2");
	K8s__Core__V1__SecurityContext *sc = podmake_security(pod->spec->containers[1]);

	(void)state;
	admit(pod);
	{
		SANDBOX r = sandbox_of(pod);

		assert_false(r.privileged);
	}
	sc->has_privileged = sc->privileged = 1;
	{
		SANDBOX r = sandbox_of(pod);

		assert_true(r.privileged);
	}
}

/* PS-194 */
static void no_new_privs_yields_to_sys_admin(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");
	K8s__Core__V1__SecurityContext *sc = podmake_security(pod->spec->containers[0]);

	(void)state;
	sc->has_allowprivilegeescalation = 1;
	sc->capabilities = malloc(sizeof(*sc->capabilities));
	k8s__core__v1__capabilities__init(sc->capabilities);
	podmake_word(&sc->capabilities->n_add, &sc->capabilities->add, "SYS_ADMIN");
	podmake_word(&sc->capabilities->n_drop, &sc->capabilities->drop, "ALL");
	{
		CONTAINER r = container_of(pod, "c1");

		assert_false(r.no_new_privs);
		assert_string_equal(r.capabilities_add.items[0], "SYS_ADMIN");
		assert_string_equal(r.capabilities_drop.items[0], "ALL");
	}
}

/* PS-210, PS-211, PS-212 */
static void resources_are_in_the_kernels_units(void **state)
{
	static const struct {
		const char *request, *limit;
		int64_t shares, quota;
	} rows[] = {
		{ NULL, NULL, 2, 0 },         { "1", NULL, 1024, 0 },       { "1m", NULL, 2, 0 },
		{ NULL, "500m", 512, 50000 }, { "250m", "2", 256, 200000 }, { "1m", "1m", 2, 1000 },
		{ "1000", NULL, 262144, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");

		if (rows[i].request)
			podmake_resource(pod->spec->containers[0], 0, "cpu", rows[i].request);
		if (rows[i].limit)
			podmake_resource(pod->spec->containers[0], 1, "cpu", rows[i].limit);
		podmake_resource(pod->spec->containers[0], 1, "memory", "64Mi");
		admit(pod);
		{
			CONTAINER r = container_of(pod, "c1");

			assert_int_equal(r.cpu_shares, rows[i].shares);
			assert_int_equal(r.cpu_quota_us, rows[i].quota);
			assert_int_equal(r.cpu_period_us, rows[i].quota ? 100000 : 0);
			assert_int_equal(r.memory_bytes, 64 << 20);
		}
	}
}

/* PS-213, PS-218 */
static void oom_score_follows_the_qos_class(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *best = podtest_pod("c1");
	cleanup_with(pod) K8s__Core__V1__Pod *sure = podtest_pod("c1");
	cleanup_with(pod) K8s__Core__V1__Pod *some = podtest_pod("c1 c2");

	(void)state;
	podmake_resource(sure->spec->containers[0], 1, "cpu", "1");
	podmake_resource(sure->spec->containers[0], 1, "memory", "64Mi");
	podmake_resource(some->spec->containers[0], 0, "memory", "250Mi");
	admit(sure);
	assert_int_equal(pod_qos(best), QOS_BEST_EFFORT);
	assert_int_equal(pod_qos(sure), QOS_GUARANTEED);
	assert_int_equal(pod_qos(some), QOS_BURSTABLE);
	{
		CONTAINER b = container_of(best, "c1");
		CONTAINER g = container_of(sure, "c1");
		CONTAINER m = container_of(some, "c1");
		CONTAINER n = container_of(some, "c2");

		assert_int_equal(b.oom_score_adj, 1000);
		assert_int_equal(g.oom_score_adj, -997);
		assert_int_equal(m.oom_score_adj, 750);
		assert_int_equal(n.oom_score_adj, 999);
	}
	podmake_text(&best->spec->priorityclassname, "system-node-critical");
	assert_int_equal(resources_oom_score_adj(best, best->spec->containers[0], 1), -997);
}

/* PS-240, PS-241 */
static void volumes_become_mounts_and_directories(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");
	K8s__Core__V1__Container *c = pod->spec->containers[0];
	cleanup_with(strv) struct strv empty_dirs = { 0 };
	cleanup_with(strv) struct strv host_dirs = { 0 };

	(void)state;
	podmake_volume(pod->spec, "data", NULL);
	podmake_volume(pod->spec, "etc", "/etc");
	podmake_text(&pod->spec->volumes[1]->volumesource->hostpath->type, "DirectoryOrCreate");
	podmake_mount(c, "data", "relative/path");
	podmake_mount(c, "etc", "/host/etc");
	c->volumemounts[1]->has_readonly = c->volumemounts[1]->readonly = 1;
	podmake_text(&c->volumemounts[1]->mountpropagation, "HostToContainer");
	admit(pod);
	render_directories(pod, &node, &empty_dirs, &host_dirs);
	assert_string_equal(empty_dirs.items[0],
			    "/var/lib/berthd/volumes/u1/volumes/kubernetes.io~empty-dir/data");
	assert_string_equal(host_dirs.items[0], "/etc");
	{
		CONTAINER r = container_of(pod, "c1");

		assert_int_equal(r.mount_count, 2);
		assert_string_equal(r.mounts[0].container_path, "/relative/path");
		assert_string_equal(r.mounts[0].host_path, empty_dirs.items[0]);
		assert_string_equal(r.mounts[1].host_path, "/etc");
		assert_true(r.mounts[1].readonly);
		assert_int_equal(r.mounts[1].propagation, MOUNT_HOST_TO_CONTAINER);
	}
}

/* PS-221 */
static void ports_of_apps_and_sidecars_are_mapped_once(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("a:init s:sidecar c1 c2");
	cleanup_with(pod) K8s__Core__V1__Pod *host = podtest_pod("host c1");

	(void)state;
	podmake_port(pod->spec->containers[0], "http", 80, 8080);
	podmake_port(pod->spec->containers[1], "again", 80, 8080);
	podmake_port(pod->spec->initcontainers[0], "init", 1, 0);
	podmake_port(pod->spec->initcontainers[1], "side", 9, 0);
	podmake_port(host->spec->containers[0], "http", 80, 0);
	admit(pod);
	admit(host);
	assert_int_equal(host->spec->containers[0]->ports[0]->hostport, 80);
	{
		SANDBOX r = sandbox_of(pod);
		SANDBOX h = sandbox_of(host);

		assert_int_equal(r.port_count, 2);
		assert_int_equal(r.ports[0].host_port, 8080);
		assert_int_equal(r.ports[1].container_port, 9);
		assert_int_equal(h.port_count, 0);
		assert_string_equal(h.hostname, "");
	}
}

/* PS-223 */
static void host_name_is_cut_to_63_without_a_trailing_dash(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");

	(void)state;
	podmake_text(&pod->metadata->name,
		     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-.bbbb");
	{
		SANDBOX r = sandbox_of(pod);

		assert_int_equal(strlen(r.hostname), 62);
	}
	podmake_text(&pod->spec->hostname, "own");
	{
		SANDBOX r = sandbox_of(pod);

		assert_string_equal(r.hostname, "own");
	}
}

/* PS-230, PS-232 */
static void dns_config_is_added_to_the_nodes(void **state)
{
	cleanup_with(pod) K8s__Core__V1__Pod *pod = podtest_pod("c1");
	K8s__Core__V1__PodDNSConfig *dns = malloc(sizeof(*dns));

	(void)state;
	k8s__core__v1__pod_dnsconfig__init(dns);
	pod->spec->dnsconfig = dns;
	podmake_word(&dns->n_nameservers, &dns->nameservers, "192.0.2.54");
	podmake_word(&dns->n_searches, &dns->searches, "a.example");
	podmake_word(&dns->n_searches, &dns->searches, "c.example");
	{
		SANDBOX r = sandbox_of(pod);

		assert_int_equal(r.dns_servers.count, 2);
		assert_string_equal(r.dns_servers.items[0], "192.0.2.53");
		assert_int_equal(r.dns_searches.count, 3);
		assert_string_equal(r.dns_options.items[0], "ndots:1");
	}
	podmake_text(&pod->spec->dnspolicy, "None");
	{
		SANDBOX r = sandbox_of(pod);

		assert_int_equal(r.dns_servers.count, 1);
		assert_string_equal(r.dns_servers.items[0], "192.0.2.54");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sandbox_carries_names_labels_and_logs),
		cmocka_unit_test(container_carries_hash_restarts_and_log_path),
		cmocka_unit_test(variables_expand_once_against_earlier_ones),
		cmocka_unit_test(command_and_env_are_rendered),
		cmocka_unit_test(security_is_the_containers_over_the_pods),
		cmocka_unit_test(one_privileged_container_makes_the_sandbox_privileged),
		cmocka_unit_test(no_new_privs_yields_to_sys_admin),
		cmocka_unit_test(resources_are_in_the_kernels_units),
		cmocka_unit_test(oom_score_follows_the_qos_class),
		cmocka_unit_test(volumes_become_mounts_and_directories),
		cmocka_unit_test(ports_of_apps_and_sidecars_are_mapped_once),
		cmocka_unit_test(host_name_is_cut_to_63_without_a_trailing_dash),
		cmocka_unit_test(dns_config_is_added_to_the_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
