/* docker's JSON, as dockerd 20.10.24 printed it, and as it never should be. */
#include "controller/provider/docker_parse.h"

#include "controller/provider/oci_parse.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define LABELS(cluster)                                                                       \
	"\"Labels\":{\"io.berth.cluster\":\"" cluster "\",\"io.berth.created-by\":\"berth\"," \
	"\"io.berth.index\":\"2\",\"io.berth.role\":\"control-plane\","                       \
	"\"io.berth.run-dir\":\"/run/x\""
#define NODE(name, cluster, more_labels, status, host_config, settings)                      \
	"{\"Id\":\"bc0f78937faa\",\"Created\":\"2026-11-22T02:19:55.075795729Z\","           \
	"\"Path\":\"/sbin/init\",\"State\":{\"Status\":\"" status "\",\"Running\":true},"    \
	"\"Image\":\"sha256:84bb\",\"Name\":\"/" name "\",\"HostConfig\":{" host_config "}," \
	"\"Config\":{\"Image\":\"localhost/berth-node:latest\"," LABELS(cluster) more_labels \
		"}},\"NetworkSettings\":{" settings "}}"
#define PORTS                                                            \
	"\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"18080\"}," \
	"{\"HostIp\":\"::1\",\"HostPort\":\"18080\"}],\"53/udp\":["      \
	"{\"HostIp\":\"\",\"HostPort\":\"5353\"}],\"22/tcp\":null"
#define NETWORKS                                                               \
	"\"Networks\":{\"c\":{\"IPAMConfig\":{},\"IPAddress\":\"10.211.0.2\"," \
	"\"GlobalIPv6Address\":\"fd00::2\"}}"

static int parse(const char *text, const char *cluster, struct node_list *list,
		 struct strv *foreign, struct err *err)
{
	return docker_parse_nodes(text, strlen(text), cluster, list, foreign, err);
}

/* CN-230 CN-233 CN-236 */
static void ours_become_nodes_and_others_names(void **state)
{
	static const char text[] = "[" NODE(
		"c-a", "c", "", "running", "",
		"\"Ports\":{" PORTS
		"}," NETWORKS) ","
			       "{\"Id\":\"1\",\"Name\":\"/x\",\"Config\":{\"Labels\":null}}," NODE(
				       "d-a", "d", "", "exited", "", "") "]\n";
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list = { 0 };
	const struct node *node;
	struct err err;

	(void)state;
	assert_int_equal(parse(text, NULL, &list, &foreign, &err), 0);
	assert_int_equal(list.count, 2);
	node = list.items[0];
	assert_string_equal(node->name, "c-a");
	assert_string_equal(node->provider, "docker");
	assert_string_equal(node->engine_id, "bc0f78937faa");
	assert_int_equal(node->role, NODE_CONTROL_PLANE);
	assert_int_equal(node->index, 2);
	assert_int_equal(node->state, NODE_RUNNING);
	assert_string_equal(node->state_text, "running");
	assert_string_equal(node->image, "localhost/berth-node:latest");
	assert_string_equal(node->run_dir, "/run/x");
	assert_string_equal(node->ip, "10.211.0.2");
	assert_string_equal(node->ip6, "fd00::2");
	assert_true(node->created_ns == 1795313995075795729LL);
	assert_int_equal(node->port_count, 3);
	assert_string_equal(node->ports[0].host, "127.0.0.1");
	assert_int_equal(node->ports[0].host_port, 18080);
	assert_int_equal(node->ports[0].container_port, 80);
	assert_string_equal(node->ports[2].host, "0.0.0.0");
	assert_int_equal(node->ports[2].protocol, PORT_UDP);
	assert_int_equal(list.items[1]->state, NODE_STOPPED);
	assert_int_equal(foreign.count, 1);
	assert_string_equal(foreign.items[0], "x");
	node_list_release(&list);
}

/* The address that was asked for counts, also while the node is stopped and has none. */
static void label_says_the_address_of_a_stopped_node(void **state)
{
	static const char text[] = "[" NODE("c-a", "c", ",\"io.berth.ip\":\"10.211.0.9\"", "exited",
					    "\"PortBindings\":{\"80/tcp\":[{\"HostIp\":"
					    "\"127.0.0.1\",\"HostPort\":\"18080\"}],\"81/tcp\":["
					    "{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"0\"}]}",
					    "\"Ports\":{},\"Networks\":{\"c\":{\"IPAddress\":"
					    "\"\"}}") "]";
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(parse(text, "c", &list, &foreign, &err), 0);
	assert_string_equal(list.items[0]->ip, "10.211.0.9");
	assert_int_equal(list.items[0]->port_count, 1);
	assert_int_equal(list.items[0]->ports[0].host_port, 18080);
	node_list_release(&list);
}

/* CN-235 */
static void desktops_word_on_a_port_wins(void **state)
{
	static const char text[] = "[" NODE(
		"c-a", "c", ",\"desktop.docker.io/ports/6443/tcp\":\":32768\"", "running", "",
		"\"Ports\":{\"6443/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"1\"}]}") "]";
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(parse(text, "c", &list, &foreign, &err), 0);
	assert_int_equal(list.items[0]->port_count, 1);
	assert_int_equal(list.items[0]->ports[0].host_port, 32768);
	node_list_release(&list);
}

static void list_names_whom_to_look_at(void **state)
{
	static const char text[] =
		"{\"ID\":\"aa\",\"Names\":\"c-a\",\"Labels\":\"a=b,io.berth.created-by=berth\"}\n"
		"{\"ID\":\"bb\",\"Names\":\"x\",\"Labels\":\"\"}\n";
	cleanup_with(strv) struct strv ids = { 0 }, foreign = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(docker_parse_list(text, &ids, &foreign, &err), 0);
	assert_int_equal(ids.count, 1);
	assert_string_equal(ids.items[0], "aa");
	assert_int_equal(foreign.count, 1);
	assert_string_equal(foreign.items[0], "x");
	assert_int_equal(docker_parse_list("", &ids, &foreign, &err), 0);
}

/* CN-052 CN-059 */
static void networks_have_subnets_gateways_and_mtu(void **state)
{
	static const char text[] =
		"[{\"Name\":\"c\",\"Id\":\"1\",\"Driver\":\"bridge\",\"EnableIPv6\":true,\"IPAM\":{"
		"\"Driver\":\"default\",\"Options\":{},\"Config\":[{\"Subnet\":\"fd00::/64\","
		"\"Gateway\":\"fd00::1\"},{\"Subnet\":\"10.9.0.0/24\",\"Gateway\":\"10.9.0.1\"}]},"
		"\"Containers\":{},\"Options\":{\"com.docker.network.driver.mtu\":\"1400\"},"
		"\"Labels\":{\"io.berth.cluster\":\"c\",\"io.berth.created-by\":\"berth\"}},"
		"{\"Name\":\"none\",\"IPAM\":{\"Config\":null},\"Labels\":{}}]";
	struct network_list list = { 0 };
	const struct network *network;
	struct err err;

	(void)state;
	assert_int_equal(docker_parse_networks(text, strlen(text), &list, &err), 0);
	network = network_list_find(&list, "c");
	assert_non_null(network);
	assert_string_equal(network->subnet, "10.9.0.0/24");
	assert_string_equal(network->gateway, "10.9.0.1");
	assert_string_equal(network->subnet6, "fd00::/64");
	assert_string_equal(network->gateway6, "fd00::1");
	assert_string_equal(network->cluster, "c");
	assert_int_equal(network->mtu, 1400);
	network = network_list_find(&list, "none");
	assert_string_equal(network->subnet, "");
	assert_string_equal(network->cluster, "");
	network_list_release(&list);
}

static const char info_text[] =
	"{\"Driver\":\"overlay2\",\"DriverStatus\":[[\"Backing Filesystem\",\"extfs\"],"
	"[\"Supports d_type\",\"true\"]],\"MemoryLimit\":true,\"SwapLimit\":false,"
	"\"CpuCfsPeriod\":true,\"CpuCfsQuota\":true,\"CPUSet\":true,\"PidsLimit\":true,"
	"\"CgroupVersion\":\"1\",\"OperatingSystem\":\"Debian GNU/Linux 12 (bookworm)\","
	"\"OSType\":\"linux\",\"NCPU\":2,\"MemTotal\":25276502016,\"DockerRootDir\":\"/tmp/data\","
	"\"ServerVersion\":\"20.10.24+dfsg1\",\"DefaultRuntime\":\"runc\",\"SecurityOptions\":["
	"\"name=seccomp,profile=default\",\"name=rootless\",\"name=userns\"],"
	"\"ClientInfo\":{\"Context\":\"default\"}}";

/* CN-022 CN-023 CN-025 CN-238 */
static void info_is_read(void **state)
{
	struct engine_info info;
	char context[32];
	struct err err;

	(void)state;
	assert_int_equal(docker_parse_info(info_text, strlen(info_text), &info, context,
					   sizeof(context), &err),
			 0);
	assert_string_equal(info.version, "20.10.24+dfsg1");
	assert_string_equal(info.runtime, "runc");
	assert_string_equal(info.cgroup, "v1");
	assert_string_equal(info.controllers, "cpu cpuset memory pids ");
	assert_string_equal(info.storage, "/tmp/data");
	assert_string_equal(info.os_type, "linux");
	assert_string_equal(info.driver, "overlay2");
	assert_string_equal(info.backing_fs, "extfs");
	assert_int_equal(info.cpus, 2);
	assert_true(info.memory_bytes == 25276502016);
	assert_true(info.memory_limit);
	assert_false(info.swap_limit);
	assert_true(info.cpu_limit);
	assert_true(info.rootless);
	assert_true(info.userns_remap);
	assert_false(info.remote);
	assert_string_equal(context, "default");
}

/* Its nodes are in a machine of their own, whatever socket leads there. */
static void desktop_is_another_machine(void **state)
{
	static const char text[] = "{\"ServerVersion\":\"27.0.3\","
				   "\"OperatingSystem\":\"Docker Desktop\"}";
	struct engine_info info;
	char context[32];
	struct err err;

	(void)state;
	assert_int_equal(
		docker_parse_info(text, strlen(text), &info, context, sizeof(context), &err), 0);
	assert_true(info.remote);
}

/* CN-238 CN-295: 20.10's client exits with 0 here. */
static void error_inside_the_answer_is_an_error(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} rows[] = {
		{ "{\"ServerErrors\":[\"Cannot connect to the Docker daemon at unix:///nope. Is "
		  "the docker daemon running?\"],\"ClientInfo\":{\"Context\":\"default\"}}",
		  "ENGINE_NOT_ANSWERING" },
		{ "{\"host\":{\"arch\":\"amd64\"},\"version\":{\"Version\":\"4.3.1\"}}",
		  "ENGINE_IS_PODMAN" },
		{ "{}", "ENGINE_ANSWER_GARBLED" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct engine_info info;
		char context[32];
		struct err err;

		assert_int_equal(docker_parse_info(rows[i].text, strlen(rows[i].text), &info,
						   context, sizeof(context), &err),
				 -1);
		assert_string_equal(err.reason, rows[i].reason);
	}
}

/* CN-232 */
static void host_of_an_address_is_found(void **state)
{
	static const struct {
		const char *url;
		const char *host;
	} rows[] = {
		{ "tcp://10.1.2.3:2376", "10.1.2.3" },
		{ "ssh://me@far.example", "far.example" },
		{ "ssh://me@far:22/run/x.sock", "far" },
		{ "tcp://[fd00::1]:2376", "fd00::1" },
		{ "tcp://localhost:2375", "localhost" },
		{ "unix:///var/run/docker.sock", "" },
		{ "npipe:////./pipe/docker_engine", "" },
		{ "fd://3", "" },
		{ "", "" },
		{ "nonsense", "" },
		{ "tcp://", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char host[64];

		assert_int_equal(oci_url_host(rows[i].url, host, sizeof(host)), *rows[i].host != 0);
		assert_string_equal(host, rows[i].host);
	}
}

static void nonsense_is_garbled(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[",
		"[{\"Config\":{}}]",
		"[] []",
		"[" NODE("c-a", "c", "", "running", "", "\"Ports\":{\"99999/tcp\":[]}") "]",
		"[" NODE("c-a", "c", "", "running", "",
			 "\"Ports\":{\"80/tcp\":[{\"HostPort\":\"x\"}]}") "]",
		"[" NODE("-a", "c", "", "running", "", "") "]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		cleanup_with(strv) struct strv foreign = { 0 };
		struct node_list list = { 0 };
		struct err err;

		assert_int_equal(parse(texts[i], NULL, &list, &foreign, &err), -1);
		assert_string_equal(err.reason, "ENGINE_ANSWER_GARBLED");
		node_list_release(&list);
	}
}

/* Whatever is cut off: data or an error, never a crash. */
static void every_prefix_is_data_or_an_error(void **state)
{
	static const char text[] =
		"[" NODE("c-a", "c", "", "running", "", "\"Ports\":{" PORTS "}," NETWORKS) "]";
	struct engine_info info;
	char context[32];
	struct err err;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		cleanup_with(strv) struct strv foreign = { 0 };
		struct node_list list = { 0 };

		assert_int_equal(docker_parse_nodes(text, len, NULL, &list, &foreign, &err), -1);
		node_list_release(&list);
	}
	for (size_t len = 0; len < sizeof(info_text) - 1; len++)
		assert_int_equal(docker_parse_info(info_text, len, &info, context, sizeof(context),
						   &err),
				 -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_become_nodes_and_others_names),
		cmocka_unit_test(label_says_the_address_of_a_stopped_node),
		cmocka_unit_test(desktops_word_on_a_port_wins),
		cmocka_unit_test(list_names_whom_to_look_at),
		cmocka_unit_test(networks_have_subnets_gateways_and_mtu),
		cmocka_unit_test(info_is_read),
		cmocka_unit_test(desktop_is_another_machine),
		cmocka_unit_test(error_inside_the_answer_is_an_error),
		cmocka_unit_test(host_of_an_address_is_found),
		cmocka_unit_test(nonsense_is_garbled),
		cmocka_unit_test(every_prefix_is_data_or_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
