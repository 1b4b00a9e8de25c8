/* podman's JSON, as podman 4.3.1 printed it, and as it never should be. */
#include "controller/provider/podman_parse.h"

#include "controller/provider/oci_cli.h"
#include "tests/support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OURS(name, cluster, state, more)                                                          \
	"{\"AutoRemove\":false,\"Command\":null,\"CreatedAt\":\"1 second ago\",\"Exited\":false," \
	"\"ExitedAt\":-62135596800,\"ExitCode\":0,"                                               \
	"\"Id\":\"376b4031ba04a803d3e980d826f4482cc0db3a760586b398f1ff17b9268593e3\","            \
	"\"Image\":\"localhost/berth-node:latest\",\"IsInfra\":false,\"Labels\":{"                \
	"\"io.berth.cluster\":\"" cluster "\",\"io.berth.created-by\":\"berth\","                 \
	"\"io.berth.index\":\"2\",\"io.berth.ip\":\"192.168.49.3\","                              \
	"\"io.berth.node\":\"" name "\",\"io.berth.role\":\"control-plane\","                     \
	"\"io.berth.run-dir\":\"/run/x/" name                                                     \
	"\",\"org.opencontainers.image.title\":\"Berth node\"},"                                  \
	"\"Mounts\":[\"/tmp\",\"/run/berth\"],\"Names\":[\"" name "\"],\"Namespaces\":{},"        \
	"\"Networks\":[\"ctlnet\"],\"Pid\":18910,\"Pod\":\"\"," more "\"Size\":null,"             \
	"\"StartedAt\":1795303129,\"State\":\"" state "\",\"Status\":\"Up 1 second ago\","        \
	"\"Created\":1795303129}"
#define THEIRS                                                                  \
	"{\"Id\":\"19cc\",\"Image\":\"localhost/berth-node:hung\",\"Labels\":{" \
	"\"io.berth.image\":\"node\"},\"Names\":[\"berth-t2\"],\"Ports\":null," \
	"\"State\":\"running\",\"Created\":1795303128}"

static int parse(const char *text, const char *cluster, struct node_list *list,
		 struct strv *foreign, struct err *err)
{
	return podman_parse_nodes(text, strlen(text), cluster, list, foreign, err);
}

/* CN-236 */
static void ours_become_nodes_and_others_names(void **state)
{
	static const char text[] = "[" OURS(
		"c-a", "c", "running",
		"\"Ports\":[{\"host_ip\":\"127.0.0.1\",\"container_port\":80,"
		"\"host_port\":18080,\"range\":2,\"protocol\":\"udp\"}],") "," THEIRS
									   "," OURS("d-a", "d",
										    "exited",
										    "") "]\n";
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list = { 0 };
	const struct node *node;
	struct err err;

	(void)state;
	assert_int_equal(parse(text, NULL, &list, &foreign, &err), 0);
	assert_int_equal(list.count, 2);
	node = list.items[0];
	assert_string_equal(node->name, "c-a");
	assert_string_equal(node->cluster, "c");
	assert_string_equal(node->provider, "podman");
	assert_int_equal(node->role, NODE_CONTROL_PLANE);
	assert_int_equal(node->state, NODE_RUNNING);
	assert_string_equal(node->state_text, "running");
	assert_string_equal(node->ip, "192.168.49.3");
	assert_string_equal(node->image, "localhost/berth-node:latest");
	assert_string_equal(node->run_dir, "/run/x/c-a");
	assert_int_equal(node->index, 2);
	assert_int_equal(node->created_ns, 1795303129000000000);
	assert_int_equal(node->port_count, 2);
	assert_string_equal(node->ports[1].host, "127.0.0.1");
	assert_int_equal(node->ports[1].host_port, 18081);
	assert_int_equal(node->ports[1].container_port, 81);
	assert_int_equal(node->ports[1].protocol, PORT_UDP);
	assert_int_equal(list.items[1]->state, NODE_STOPPED);
	assert_int_equal(foreign.count, 1);
	assert_string_equal(foreign.items[0], "berth-t2");
	node_list_release(&list);
}

static void other_clusters_are_left_out(void **state)
{
	static const char text[] =
		"[" OURS("c-a", "c", "running", "") "," OURS("d-a", "d", "exited", "") "]";
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(parse(text, "d", &list, &foreign, &err), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0]->name, "d-a");
	assert_int_equal(foreign.count, 0);
	node_list_release(&list);
}

/* A label that anybody can set makes no node of a stranger's container. */
static void cluster_label_without_our_mark_is_foreign(void **state)
{
	static const char text[] = "[{\"Names\":[\"x\"],\"Labels\":{\"io.berth.cluster\":\"c\"}}]";
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(parse(text, "c", &list, &foreign, &err), 0);
	assert_int_equal(list.count, 0);
	assert_true(strv_has(&foreign, "x"));
}

/* CN-237 */
static void nothing_is_an_empty_list(void **state)
{
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(parse("[]\n", NULL, &list, &foreign, &err), 0);
	assert_int_equal(list.count, 0);
}

/* CN-220 */
static void engine_states_have_their_names(void **state)
{
	static const struct {
		const char *word;
		enum node_state state;
	} rows[] = {
		{ "running", NODE_RUNNING },     { "paused", NODE_PAUSED },
		{ "restarting", NODE_CREATING }, { "exited", NODE_STOPPED },
		{ "configured", NODE_STOPPED },  { "created", NODE_STOPPED },
		{ "initialized", NODE_STOPPED }, { "stopped", NODE_STOPPED },
		{ "stopping", NODE_STOPPING },   { "removing", NODE_STOPPING },
		{ "dead", NODE_ERROR },          { "", NODE_UNKNOWN },
		{ "Running", NODE_UNKNOWN },     { "half-dead", NODE_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(oci_state(rows[i].word), rows[i].state);
}

static void garbled_answers_are_told_not_believed(void **state)
{
	static const char *const texts[] = {
		"",
		"   ",
		"nonsense",
		"[",
		"[{]",
		"{}",
		"null",
		"[] []",
		"[]x",
		"[1]",
		"[{}]",
		"[{\"Names\":[]}]",
		"[{\"Names\":[7]}]",
		"[{\"Names\":\"a\"}]",
		"[" OURS("--rm", "c", "running", "") "]",
		"[" OURS("a/b", "c", "running", "") "]",
		"[" OURS("a", "../c", "running", "") "]",
		"[" OURS("a", "c", "running", "\"Ports\":[{\"container_port\":0}],") "]",
		"[" OURS("a", "c", "running", "\"Ports\":[{\"container_port\":70000}],") "]",
		"[" OURS("a", "c", "running",
			 "\"Ports\":[{\"container_port\":1,\"range\":9999999999}],") "]",
		"[" OURS("a", "c", "running",
			 "\"Ports\":[{\"container_port\":1,\"host_port\":-5}],") "]",
		"[" OURS("a", "c", "running", "\"Ports\":[\"x\"],") "]",
		"WARN[0000] something\n[]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		cleanup_with(strv) struct strv foreign = { 0 };
		struct node_list list = { 0 };
		struct err err = { 0 };

		assert_int_equal(parse(texts[i], NULL, &list, &foreign, &err), -1);
		assert_int_equal(err.code, ERR_DATA_LOSS);
		assert_string_equal(err.reason, "ENGINE_ANSWER_GARBLED");
		node_list_release(&list);
	}
}

/* Every beginning and every one-byte change of a good answer: an answer or an error, no crash. */
static void damaged_answers_do_no_harm(void **state)
{
	static const char good[] =
		"[" OURS("c-a", "c", "running",
			 "\"Ports\":[{\"host_ip\":\"\",\"container_port\":80,\"host_port\":1,"
			 "\"range\":1,\"protocol\":\"tcp\"}],") "]";
	unsigned seed = 1, refused = 0;

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(good) - 1; i++) {
		cleanup_with(strv) struct strv foreign = { 0 };
		struct node_list list = { 0 };
		char text[sizeof(good)];
		struct err err;

		memcpy(text, good, sizeof(good));
		if (i < sizeof(good))
			text[i] = '\0';
		else
			text[i - sizeof(good)] = (char)rand_r(&seed);
		refused += parse(text, NULL, &list, &foreign, &err) < 0;
		node_list_release(&list);
	}
	assert_true(refused >= sizeof(good) - 1);
}

static void deep_nesting_is_refused(void **state)
{
	char *text = malloc(200001);
	struct json_object *json;
	struct err err;

	(void)state;
	assert_non_null(text);
	memset(text, '[', 100000);
	memset(text + 100000, ']', 100000);
	text[200000] = '\0';
	assert_int_equal(oci_json_parse(text, 200000, json_type_array, &json, &err), -1);
	assert_string_equal(err.reason, "ENGINE_ANSWER_GARBLED");
	free(text);
}

/* CN-051 CN-059 */
static void networks_have_subnet_and_owner(void **state)
{
	static const char text[] =
		"[{\"name\":\"ctlnet\",\"id\":\"b6d9\",\"driver\":\"bridge\",\"subnets\":["
		"{\"subnet\":\"fd00::/64\"},{\"subnet\":\"192.168.85.0/24\",\"gateway\":"
		"\"192.168.85.1\"}],\"labels\":{\"io.berth.cluster\":\"ctl\","
		"\"io.berth.created-by\":\"berth\"}},"
		"{\"name\":\"podman\",\"options\":{\"mtu\":\"1400\"},"
		"\"subnets\":[{\"subnet\":\"10.88.0.0/16\"}]},"
		"{\"name\":\"none\"}]";
	struct network_list list = { 0 };
	const struct network *network;
	struct err err;

	(void)state;
	assert_int_equal(podman_parse_networks(text, strlen(text), &list, &err), 0);
	assert_int_equal(list.count, 3);
	network = network_list_find(&list, "ctlnet");
	assert_non_null(network);
	assert_string_equal(network->subnet, "192.168.85.0/24");
	assert_string_equal(network->cluster, "ctl");
	assert_string_equal(network->gateway, "192.168.85.1");
	assert_string_equal(network->subnet6, "fd00::/64");
	assert_string_equal(network->gateway6, "");
	assert_int_equal(network->mtu, 0);
	assert_string_equal(network_list_find(&list, "podman")->cluster, "");
	assert_int_equal(network_list_find(&list, "podman")->mtu, 1400);
	assert_string_equal(network_list_find(&list, "none")->subnet, "");
	assert_null(network_list_find(&list, "ctl"));
	network_list_release(&list);
}

/* CN-238 */
static void info_is_read(void **state)
{
	static const char text[] =
		"{\"host\":{\"cgroupVersion\":\"v1\",\"cgroupControllers\":[\"cpu\",\"pids\"],"
		"\"ociRuntime\":{\"name\":\"crun\"},\"security\":{\"rootless\":true}},"
		"\"store\":{\"graphRoot\":\"/var/lib/containers/storage\"},"
		"\"version\":{\"Version\":\"4.3.1\"}}";
	struct engine_info info;
	struct err err;

	(void)state;
	assert_int_equal(podman_parse_info(text, strlen(text), &info, &err), 0);
	assert_string_equal(info.version, "4.3.1");
	assert_string_equal(info.runtime, "crun");
	assert_string_equal(info.cgroup, "v1");
	assert_string_equal(info.controllers, "cpu pids");
	assert_string_equal(info.storage, "/var/lib/containers/storage");
	assert_true(info.rootless);
	assert_int_equal(podman_parse_info("{}", 2, &info, &err), -1);
	assert_string_equal(err.reason, "ENGINE_ANSWER_GARBLED");
}

/* CN-251 */
static void console_tail_is_plain_text(void **state)
{
	char *tail =
		oci_console_tail("one\r\n\x1b[0;32m  OK  \x1b[0m two\r\n\r\n\athree\r\nfour\r\n"
				 "five\r\n",
				 4);

	(void)state;
	assert_string_equal(tail, "  OK   two\nthree\nfour\nfive");
	free(tail);
	tail = oci_console_tail("", 4);
	assert_string_equal(tail, "");
	free(tail);
	tail = oci_console_tail("only\x1b", 4);
	assert_string_equal(tail, "only");
	free(tail);
}

/* CN-230 */
static void addresses_are_filled_in_where_they_lack(void **state)
{
	static const char nodes[] =
		"[" OURS("c-a", "c", "running", "") "," OURS("c-b", "c", "running", "") "]";
	static const char text[] =
		"[{\"Name\":\"c-a\",\"NetworkSettings\":{\"IPAddress\":\"\",\"Networks\":{\"x\":{"
		"\"IPAddress\":\"10.88.0.7\",\"GlobalIPv6Address\":\"fd00::7\"}}}},"
		"{\"Name\":\"c-b\",\"NetworkSettings\":{\"IPAddress\":\"10.88.0.8\"}},"
		"{\"Name\":\"else\",\"NetworkSettings\":null}]";
	cleanup_with(strv) struct strv foreign = { 0 };
	struct node_list list = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(parse(nodes, "c", &list, &foreign, &err), 0);
	for (size_t i = 0; i < list.count; i++)
		assert_int_equal(node_set(&list.items[i]->ip, "", &err), 0);
	assert_int_equal(podman_parse_addresses(text, strlen(text), &list, &err), 0);
	assert_string_equal(list.items[0]->ip, "10.88.0.7");
	assert_string_equal(list.items[0]->ip6, "fd00::7");
	assert_string_equal(list.items[1]->ip, "10.88.0.8");
	node_list_release(&list);
}

/* CN-232 */
static void connection_is_the_named_or_the_default_one(void **state)
{
	static const char text[] =
		"[{\"Name\":\"a\",\"URI\":\"ssh://u@a.example:22/s\",\"Default\":false},"
		"{\"Name\":\"b\",\"URI\":\"ssh://u@b.example:22/s\",\"Default\":true}]";
	struct err err;
	char url[64];

	(void)state;
	assert_int_equal(podman_parse_connection(text, strlen(text), "a", url, sizeof(url), &err),
			 0);
	assert_string_equal(url, "ssh://u@a.example:22/s");
	assert_int_equal(podman_parse_connection(text, strlen(text), "", url, sizeof(url), &err),
			 0);
	assert_string_equal(url, "ssh://u@b.example:22/s");
	assert_int_equal(podman_parse_connection("[]", 2, "", url, sizeof(url), &err), 0);
	assert_string_equal(url, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_filled_in_where_they_lack),
		cmocka_unit_test(connection_is_the_named_or_the_default_one),
		cmocka_unit_test(ours_become_nodes_and_others_names),
		cmocka_unit_test(other_clusters_are_left_out),
		cmocka_unit_test(cluster_label_without_our_mark_is_foreign),
		cmocka_unit_test(nothing_is_an_empty_list),
		cmocka_unit_test(engine_states_have_their_names),
		cmocka_unit_test(garbled_answers_are_told_not_believed),
		cmocka_unit_test(damaged_answers_do_no_harm),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(networks_have_subnet_and_owner),
		cmocka_unit_test(info_is_read),
		cmocka_unit_test(console_tail_is_plain_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
