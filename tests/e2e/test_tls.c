/*
 * Agents published by TLS on real nodes: create, call, wrong authority, renewal under a running node,
 * restart, and what the node tells on its own loopback.
 */
#include "shared/base/cleanup.h"
#include "tests/support/e2e.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NODE "control-plane"

static const char *name;

static int setup(void **state)
{
	(void)state;
	name = e2e_cluster_name("tls");
	e2e_ok("create", "cluster", "--name", name, "--image", e2e_image(), "--agent-tls", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	e2e_clean(name);
	return 0;
}

static const char *node_name(void)
{
	static char full[128];

	snprintf(full, sizeof(full), "%s-" NODE, name);
	return full;
}

static void assert_answers_by_tls(void)
{
	json_object *rows = e2e_json("get", "nodes", "--name", name, "--channel", "tls", NULL);
	json_object *node = e2e_find(rows, "name", node_name());

	assert_non_null(node);
	if (strcmp(e2e_text(node, "agent.state"), "ok") != 0)
		fail_msg("%s", json_object_to_json_string(rows));
	assert_string_equal(e2e_text(node, "agent.channel"), "tls");
	json_object_put(rows);
}

static void assert_fails_with(const char *reason, const char *state_dir)
{
	struct e2e_output out =
		e2e_program(20, e2e_berth(), "--state-dir", state_dir, "health", "--name", name,
			    "--channel", "tls", "--timeout", "5s", "-o", "json", NULL);

	assert_int_not_equal(out.exit_code, 0);
	if (!strstr(out.errs, reason))
		fail_msg("no %s in: %s", reason, out.errs);
	e2e_release(&out);
}

/* D7, S1 */
static void a_published_agent_answers_by_tls_and_by_its_socket(void **state)
{
	json_object *rows;

	(void)state;
	assert_answers_by_tls();
	rows = e2e_json("get", "nodes", "--name", name, NULL);
	assert_string_equal(e2e_text(e2e_find(rows, "name", node_name()), "agent.channel"), "ipc");
	json_object_put(rows);
}

/* A2, A4: nobody but this host reaches the port */
static void it_is_published_on_the_loopback_only(void **state)
{
	cleanup_free char *port = e2e_stdout_of("podman", "port", node_name(), "7443/tcp", NULL);

	(void)state;
	assert_int_equal(strncmp(port, "127.0.0.1:", 10), 0);
}

/* S1, S10: the front has no rights, and the authority's key is not in the node */
static void the_front_is_nobody_in_particular(void **state)
{
	cleanup_free char *who = NULL, *caps = NULL, *keys = NULL;

	(void)state;
	assert_answers_by_tls();
	who = e2e_stdout_of("podman", "exec", node_name(), "ps", "-C", "berthd-front", "-o",
			    "user:20=", NULL);
	assert_non_null(strstr(who, "berthd-front"));
	caps = e2e_stdout_of("podman", "exec", node_name(), "sh", "-c",
			     "grep -h -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' "
			     "/proc/$(pidof berthd-front)/status | tr -d ' \\t' | tr '\\n' ' '",
			     NULL);
	assert_non_null(strstr(caps, "CapEff:0000000000000000"));
	assert_non_null(strstr(caps, "CapBnd:0000000000000000"));
	assert_non_null(strstr(caps, "NoNewPrivs:1"));
	assert_non_null(strstr(caps, "Seccomp:2"));
	keys = e2e_stdout_of("podman", "exec", node_name(), "ls", "/run/berth/tls", NULL);
	assert_null(strstr(keys, "ca.key"));
}

/* DESIGN.md section 4 */
static void the_node_tells_its_health_on_its_own_loopback(void **state)
{
	static const char ask[] = "exec 3<>/dev/tcp/127.0.0.1/9250; "
				  "printf 'GET /metrics HTTP/1.1\\r\\nHost: x\\r\\n"
				  "Connection: close\\r\\n\\r\\n' >&3; cat <&3";
	cleanup_free char *health = e2e_stdout_of("podman", "exec", node_name(),
						  "/usr/sbin/berthd-front", "--check", NULL);
	cleanup_free char *metrics =
		e2e_stdout_of("podman", "exec", node_name(), "bash", "-c", ask, NULL);

	(void)state;
	assert_int_equal(strncmp(health, "ok\n", 3), 0);
	assert_non_null(strstr(metrics, "\nberth_node_ready 1\n"));
}

/* What a pod is to the node, in the node: a network of its own behind a veth, with a route to the node's loopback as
 * an attacker makes it, while the node has what kube-proxy sets. */
static const char make_pod[] =
	"set -e; echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip netns add pod; "
	"ip link add pod0 type veth peer name eth0 netns pod; ip addr add 10.99.0.1/24 dev pod0; "
	"ip link set pod0 up; ip -n pod addr add 10.99.0.2/24 dev eth0; ip -n pod link set eth0 "
	"up; "
	"ip netns exec pod sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet'; "
	"ip -n pod route add 127.0.0.1/32 via 10.99.0.1 dev eth0 src 10.99.0.2";

/* A3 */
static void a_pod_gets_nothing_of_the_front(void **state)
{
	static const char ask[] =
		"ip netns exec pod bash -c 'exec 3<>/dev/tcp/10.99.0.1/7443 && echo reached; "
		"printf \"GET / HTTP/1.1\\r\\n\\r\\n\" >&3; cat <&3' 2>/dev/null; true";
	cleanup_free char *made =
		e2e_stdout_of("podman", "exec", node_name(), "bash", "-c", make_pod, NULL);
	cleanup_free char *tls = NULL, *health = NULL;

	(void)state;
	assert_string_equal(made, "");
	/* Its loopback is the node's own. */
	health = e2e_stdout_of("podman", "exec", node_name(), "bash", "-c",
			       "ip netns exec pod berthd-front --check >/dev/null 2>&1; echo $?",
			       NULL);
	assert_string_equal(health, "1");
	/* The published door asks for a certificate. */
	tls = e2e_stdout_of("podman", "exec", node_name(), "bash", "-c", ask, NULL);
	assert_string_equal(tls, "reached");
	assert_answers_by_tls();
}

/* S1 */
static void another_clusters_certificates_do_not_open_it(void **state)
{
	char other[256], command[1024];
	struct e2e_output out;

	(void)state;
	/* A state directory that never saw this cluster, and one with another authority of its name. */
	snprintf(other, sizeof(other), "%s/other", e2e_state_dir());
	snprintf(command, sizeof(command),
		 "set -e; cd %s; mkdir -p other/nodes; cp -a clusters other/; "
		 "cd other/clusters/%s/tls; rm -f nodes/* *.key *.crt; "
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 "
		 "-subj /O=admin/CN=x -addext extendedKeyUsage=clientAuth "
		 "-addext basicConstraints=critical,CA:FALSE -keyout admin.key -out admin.crt "
		 "2>/dev/null; cp admin.crt ca.crt",
		 e2e_state_dir(), name);
	out = e2e_program(20, "sh", "-c", command, NULL);
	assert_int_equal(out.exit_code, 0);
	e2e_release(&out);
	snprintf(command, sizeof(command),
		 "cp -a %s/clusters %s/clusters.good && rm -rf %s/clusters && "
		 "cp -a %s/clusters %s/clusters",
		 e2e_state_dir(), e2e_state_dir(), e2e_state_dir(), other, e2e_state_dir());
	out = e2e_program(20, "sh", "-c", command, NULL);
	assert_int_equal(out.exit_code, 0);
	e2e_release(&out);
	assert_fails_with("TLS_WRONG_AUTHORITY", e2e_state_dir());
	snprintf(command, sizeof(command), "rm -rf %s/clusters && mv %s/clusters.good %s/clusters",
		 e2e_state_dir(), e2e_state_dir(), e2e_state_dir());
	out = e2e_program(20, "sh", "-c", command, NULL);
	assert_int_equal(out.exit_code, 0);
	e2e_release(&out);
	assert_answers_by_tls();
}

static char *served_serial(void)
{
	return e2e_stdout_of("podman", "exec", node_name(), "sh", "-c",
			     "cksum < /run/berthd-front/tls/node.crt", NULL);
}

static bool is_renewed(void *before)
{
	cleanup_free char *now = served_serial();

	return strcmp(now, before) != 0;
}

static bool is_answered(void *arg)
{
	json_object *rows = e2e_json("get", "nodes", "--name", name, "--channel", "tls", NULL);
	bool ok = strcmp(e2e_text(e2e_find(rows, "name", node_name()), "agent.state"), "ok") == 0;

	(void)arg;
	json_object_put(rows);
	return ok;
}

/* S6 */
static void renewed_certificates_are_taken_up_by_the_running_node(void **state)
{
	cleanup_free char *before = NULL, *between = NULL;

	(void)state;
	assert_answers_by_tls();
	before = served_serial();
	e2e_ok("renew", "certs", "--name", name, "--force", NULL);
	assert_answers_by_tls();
	e2e_eventually(is_renewed, before, 60000);
	assert_answers_by_tls();
	between = served_serial();
	e2e_ok("renew", "certs", "--name", name, "--authority", NULL);
	assert_answers_by_tls();
	/* Its files are there a moment before the front has been told of them. */
	e2e_eventually(is_renewed, between, 60000);
	e2e_ok("renew", "certs", "--name", name, "--force", NULL);
	e2e_eventually(is_answered, NULL, 60000);
}

/* S6 */
static void it_answers_again_after_a_renewal_and_a_restart(void **state)
{
	json_object *rows;

	(void)state;
	e2e_ok("renew", "certs", "--name", name, "--authority", NULL);
	e2e_ok("restart", "cluster", "--name", name, NULL);
	assert_answers_by_tls();
	rows = e2e_json("get", "certs", "--name", name, NULL);
	assert_string_equal(e2e_text(e2e_find(rows, "name", node_name()), "kind"), "node");
	assert_string_equal(e2e_text(e2e_find(rows, "name", "previous authority"), "kind"),
			    "authority");
	json_object_put(rows);
}

/* S1 */
static void nothing_of_it_is_left_after_delete(void **state)
{
	char dir[512];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/clusters/%s", e2e_state_dir(), name);
	assert_int_equal(access(dir, F_OK), 0);
	e2e_ok("delete", "cluster", "--name", name, NULL);
	assert_int_equal(access(dir, F_OK), -1);
	e2e_assert_nothing_left(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_published_agent_answers_by_tls_and_by_its_socket),
		cmocka_unit_test(it_is_published_on_the_loopback_only),
		cmocka_unit_test(the_front_is_nobody_in_particular),
		cmocka_unit_test(the_node_tells_its_health_on_its_own_loopback),
		cmocka_unit_test(a_pod_gets_nothing_of_the_front),
		cmocka_unit_test(another_clusters_certificates_do_not_open_it),
		cmocka_unit_test(renewed_certificates_are_taken_up_by_the_running_node),
		cmocka_unit_test(it_answers_again_after_a_renewal_and_a_restart),
		cmocka_unit_test(nothing_of_it_is_left_after_delete),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
